/* Prometheus metrics from one table per service (metrics.def):
 *   METRIC(ID, KIND, "prism_name_unit", "label" or NULL, "help")
 * KIND: COUNTER, GAUGE or HISTOGRAM (seconds; fixed buckets 0.5 ms .. 60 s).
 * At most one label, of few values (64 at most; further values are counted
 * under "other"). Thread-safe. */
#ifndef PRISM_IO_METRICS_H
#define PRISM_IO_METRICS_H

#include "prism/buf.h"
#include "prism/err.h"

#include <stddef.h>

enum pr_metric_kind { PR_COUNTER, PR_GAUGE, PR_HISTOGRAM };

struct pr_metric_row {
    const char *name, *label, *help;
    enum pr_metric_kind kind;
};
#define PR_METRIC_ROW(id, k, nm, lb, he) { .name = nm, .label = lb, .help = he, .kind = PR_##k },
#define PR_METRIC_ID(id, k, nm, lb, he)  id,

struct pr_metrics;
/* rows stay borrowed. NULL only without memory. */
struct pr_metrics *pr_metrics_new(const struct pr_metric_row *rows, size_t n);
void pr_metrics_free(struct pr_metrics *m);
/* label: the label's value, NULL when the row has none. */
void pr_metrics_add(struct pr_metrics *m, int id, const char *label, double v);
void pr_metrics_set(struct pr_metrics *m, int id, const char *label, double v);
void pr_metrics_observe(struct pr_metrics *m, int id, const char *label, double seconds);
/* Label NULL: all of the row's. What somebody else reports from now on is not shown any more;
 * setting it brings it back. Rows without a label have one series, which stays. */
void pr_metrics_drop(struct pr_metrics *m, int id, const char *label);
double pr_metrics_get(struct pr_metrics *m, int id, const char *label); /* value or count */
void pr_metrics_text(struct pr_metrics *m, struct pr_buf *out); /* exposition format 0.0.4 */

#endif
