#include "io/settings.h"

#include "prism/web/aws_keys.h"

#include <string.h>

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

/* Whom we send keys and tokens, or ask for them. */
static enum pr_code check_secrets(const struct autoscale_config *cfg, struct pr_err *err)
{
    const struct {
        const char *name, *url;
        bool without; /* nothing secret is sent there */
    } row[] = {
        { "PRISM_PROMETHEUS_URL", cfg->prometheus_url,
          cfg->prometheus_token_file[0] == '\0' && strchr(cfg->prometheus_url, '@') == NULL },
        { "PRISM_AWS_AUTOSCALING_URL", cfg->aws_autoscaling_url, false },
        { "PRISM_AWS_CLOUDWATCH_URL", cfg->aws_cloudwatch_url, false },
        { "PRISM_KUBERNETES_URL", cfg->kubernetes_url, false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const enum pr_code rc = row[i].url[0] == '\0' || row[i].without
                                    ? PR_OK
                                    : pr_web_private(row[i].url, false, err);
        if (rc != PR_OK)
            return pr_wrap(err, rc, "%s", row[i].name);
    }
    return pr_aws_settings_check(&PR_AWS_SETTINGS(cfg, "prism-autoscale", cfg->request_ms), err);
}

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
    return check_secrets(cfg, err);
}
