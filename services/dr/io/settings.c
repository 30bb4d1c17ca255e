#include "io/settings.h"

#include "core/keys.h"

#include "prism/schedule.h"
#include "prism/web/aws_keys.h"

#define CONFIG(...) PR_CFG_ROW(struct dr_config, __VA_ARGS__)
const struct pr_cfg_row dr_config_rows[] = {
#include "config.def"
};
#undef CONFIG
const size_t dr_config_count = PR_COUNT(dr_config_rows);

#define METRIC(...) PR_METRIC_ROW(__VA_ARGS__)
const struct pr_metric_row dr_metric_rows[DR_METRIC_IDS] = {
#include "metrics.def"
};
#undef METRIC

enum pr_code dr_config_check(const struct dr_config *cfg, struct pr_err *err)
{
    if (!dr_name_ok(cfg->cluster))
        return pr_fail(err, PR_EINVAL,
                       "PRISM_DR_CLUSTER is \"%.64s\": 1 to 63 of letters, digits, . _ -",
                       cfg->cluster);
    if (cfg->spool_bytes < 2 * cfg->cut_bytes)
        return pr_fail(err, PR_EINVAL,
                       "PRISM_DR_SPOOL_BYTES is %lld: less than two times PRISM_DR_CUT_BYTES %lld",
                       (long long)cfg->spool_bytes, (long long)cfg->cut_bytes);
    if (cfg->site[0] != '\0' && (!dr_name_ok(cfg->site) || cfg->sites_file[0] == '\0'))
        return pr_fail(err, PR_EINVAL,
                       "PRISM_DR_SITE is \"%.64s\": it needs PRISM_DR_SITES_PATH, and 1 to 63 of "
                       "letters, digits, . _ -",
                       cfg->site);
    if (cfg->pg_uri[0] != '\0' && cfg->s3_access_key[0] == '\0')
        return pr_fail(err, PR_EINVAL,
                       "PRISM_DR_PG_URI: pgBackRest has its keys from "
                       "PRISM_DR_S3_ACCESS_KEY_ID, which is not set");
    const enum pr_code keys = pr_aws_settings_check(&PR_AWS_SETTINGS(cfg, "prism-dr", 0), err);
    if (keys != PR_OK)
        return keys;
    int64_t last_ms, next_ms;
    if (cfg->drill_cron[0] != '\0' &&
        pr_schedule_around(cfg->drill_cron, cfg->drill_zone, 0, &last_ms, &next_ms, err) != PR_OK)
        return pr_wrap(err, PR_EINVAL, "PRISM_DR_DRILL_CRON, PRISM_DR_DRILL_ZONE");
    return PR_OK;
}
