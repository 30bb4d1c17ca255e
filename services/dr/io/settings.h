/* The service's settings and metrics; rows in config.def and metrics.def. */
#ifndef DR_SETTINGS_H
#define DR_SETTINGS_H

#include "prism/io/config.h"
#include "prism/io/metrics.h"

#define CONFIG(...) PR_CFG_FIELD(__VA_ARGS__)
struct dr_config {
#include "config.def"
};
#undef CONFIG

#define METRIC(...) PR_METRIC_ID(__VA_ARGS__)
enum dr_metric_id {
#include "metrics.def"
    DR_METRIC_IDS
};
#undef METRIC

/* What is written bears this machine's time, and what is deleted is judged by it: whose clock is
 * further from PostgreSQL's leads nothing. */
enum { DR_CLOCKS_APART_MS = 60 * 1000 };

extern const struct pr_cfg_row dr_config_rows[];
extern const size_t dr_config_count;
extern const struct pr_metric_row dr_metric_rows[DR_METRIC_IDS];

/* Settings that are right each by itself and not together: PR_EINVAL names them. */
PR_CHECKED enum pr_code dr_config_check(const struct dr_config *cfg, struct pr_err *err);

#endif
