/* The service's settings and metrics; rows in config.def and metrics.def. */
#ifndef PLACEMENT_SETTINGS_H
#define PLACEMENT_SETTINGS_H

#include "prism/io/config.h"
#include "prism/io/metrics.h"

#define CONFIG(...) PR_CFG_FIELD(__VA_ARGS__)
struct placement_config {
#include "config.def"
};
#undef CONFIG

#define METRIC(...) PR_METRIC_ID(__VA_ARGS__)
enum placement_metric {
#include "metrics.def"
    PLACEMENT_METRICS
};
#undef METRIC

extern const struct pr_cfg_row placement_config_rows[];
extern const size_t placement_config_count;
extern const struct pr_metric_row placement_metric_rows[PLACEMENT_METRICS];

#endif
