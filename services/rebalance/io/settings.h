/* The service's settings and metrics, from config.def and metrics.def. */
#ifndef REBALANCE_SETTINGS_H
#define REBALANCE_SETTINGS_H

#include "prism/io/config.h"
#include "prism/io/metrics.h"

#define CONFIG(...) PR_CFG_FIELD(__VA_ARGS__)
struct rebalance_config {
#include "config.def"
};
#undef CONFIG

#define METRIC(...) PR_METRIC_ID(__VA_ARGS__)
enum rebalance_metric {
#include "metrics.def"
    REBALANCE_METRICS
};
#undef METRIC

extern const struct pr_cfg_row rebalance_config_rows[];
extern const size_t rebalance_config_count;
extern const struct pr_metric_row rebalance_metric_rows[];

#endif
