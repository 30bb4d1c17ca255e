#include "io/settings.h"

#define CONFIG(...) PR_CFG_ROW(struct autoscale_config, __VA_ARGS__)
const struct pr_cfg_row autoscale_config_rows[] = {
#include "config.def"
};
#undef CONFIG
const size_t autoscale_config_count = PR_COUNT(autoscale_config_rows);

#define METRIC(...) PR_METRIC_ROW(__VA_ARGS__)
const struct pr_metric_row autoscale_metric_rows[AUTOSCALE_METRIC_IDS] = {
#include "metrics.def"
};
#undef METRIC

enum pr_code autoscale_config_check(const struct autoscale_config *cfg, struct pr_err *err)
{
    /* A lease is renewed at a quarter of its time, and counts as ours for a second less. */
    const int64_t left_ms = cfg->lease_ttl_ms - cfg->lease_ttl_ms / 4 - 1000;
    if (cfg->call_ms > left_ms)
        return pr_fail(err, PR_EINVAL,
                       "PRISM_AUTOSCALE_CALL_MS is %lld: with PRISM_AUTOSCALE_LEASE_TTL_MS %lld "
                       "at most %lld of a lease is left for a call",
                       (long long)cfg->call_ms, (long long)cfg->lease_ttl_ms, (long long)left_ms);
    if (cfg->request_ms > cfg->call_ms)
        return pr_fail(err, PR_EINVAL,
                       "PRISM_AUTOSCALE_REQUEST_MS is %lld, more than PRISM_AUTOSCALE_CALL_MS %lld",
                       (long long)cfg->request_ms, (long long)cfg->call_ms);
    return PR_OK;
}
