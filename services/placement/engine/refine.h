/* Improves blocks on one level: label propagation that may go through worse
 * states, after Jet (arXiv 2304.13194), and the rebalancing it needs. Pure;
 * does not depend on the pool. */
#ifndef PLACEMENT_REFINE_H
#define PLACEMENT_REFINE_H

#include "core/graph.h"
#include "engine/partition.h"

#include <stdbool.h>

struct placement_refine_input {
    const struct placement_graph *graph; /* weight_sum below 2^32 */
    uint32_t blocks;
    const uint64_t *capacity; /* [blocks] */
    const uint16_t *fixed;    /* [n] or NULL */
    double patience;          /* how much of its tie a vertex may give up for a while, 0..1 */
    unsigned stale;           /* rounds without a better cut after which to stop */
    struct pr_pool *pool;
    const struct placement_watch *watch;
    double done; /* told to watch */
};

/* Improves block[n] in place. When it cannot be brought within capacity it is
 * left as near as was reached, and *balanced is false. *cut: what it cuts then.
 * PR_ECANCELED, PR_ENOMEM: block is then unspecified. */
PR_CHECKED enum pr_code placement_refine_level(const struct placement_refine_input *in,
                                               uint16_t *block, uint64_t *cut, bool *balanced,
                                               struct pr_err *err);

/* Puts vertices where there is room, heaviest first, when nothing gentler
 * served. PR_EFULL: it found no way; PR_ENOMEM. */
PR_CHECKED enum pr_code placement_pack(const struct placement_refine_input *in, uint16_t *block,
                                       struct pr_err *err);

#endif
