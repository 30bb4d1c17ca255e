#include "io/settings.h"

#define CONFIG(...) PR_CFG_ROW(struct placement_config, __VA_ARGS__)
const struct pr_cfg_row placement_config_rows[] = {
#include "config.def"
};
#undef CONFIG
const size_t placement_config_count = PR_COUNT(placement_config_rows);

#define METRIC(...) PR_METRIC_ROW(__VA_ARGS__)
const struct pr_metric_row placement_metric_rows[PLACEMENT_METRICS] = {
#include "metrics.def"
};
#undef METRIC
