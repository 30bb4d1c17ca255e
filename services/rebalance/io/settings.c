#include "io/settings.h"

#define CONFIG(...) PR_CFG_ROW(struct rebalance_config, __VA_ARGS__)
const struct pr_cfg_row rebalance_config_rows[] = {
#include "config.def"
};
#undef CONFIG
const size_t rebalance_config_count = PR_COUNT(rebalance_config_rows);

#define METRIC(...) PR_METRIC_ROW(__VA_ARGS__)
const struct pr_metric_row rebalance_metric_rows[] = {
#include "metrics.def"
};
#undef METRIC
