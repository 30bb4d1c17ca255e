/* Log-linear histogram of non-negative values (latencies in us, sizes in
 * bytes): 16 linear steps per power of two, so a quantile is at most 6.25 %
 * above the true value. Fixed memory, mergeable, no allocation. */
#ifndef PRISM_STATS_H
#define PRISM_STATS_H

#include <stdint.h>

enum { PR_HIST_BUCKETS = 61 * 16 };

struct pr_hist {
    uint64_t count, sum, max;
    uint64_t bucket[PR_HIST_BUCKETS];
};

void pr_hist_add(struct pr_hist *h, uint64_t v);
void pr_hist_merge(struct pr_hist *into, const struct pr_hist *from);
uint64_t pr_hist_quantile(const struct pr_hist *h, double q); /* q 0..1; 0 when empty */

#endif
