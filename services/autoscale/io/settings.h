/* The service's settings and metrics; rows in config.def and metrics.def. */
#ifndef AUTOSCALE_SETTINGS_H
#define AUTOSCALE_SETTINGS_H

#include "prism/io/config.h"
#include "prism/io/metrics.h"

#define CONFIG(...) PR_CFG_FIELD(__VA_ARGS__)
struct autoscale_config {
#include "config.def"
};
#undef CONFIG

#define METRIC(...) PR_METRIC_ID(__VA_ARGS__)
enum autoscale_metric_id {
#include "metrics.def"
    AUTOSCALE_METRIC_IDS
};
#undef METRIC

extern const struct pr_cfg_row autoscale_config_rows[];
extern const size_t autoscale_config_count;
extern const struct pr_metric_row autoscale_metric_rows[AUTOSCALE_METRIC_IDS];

/* Settings that are right each by itself and not together: PR_EINVAL names them. */
PR_CHECKED enum pr_code autoscale_config_check(const struct autoscale_config *cfg,
                                               struct pr_err *err);

#endif
