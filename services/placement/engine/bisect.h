/* Two sides of a small graph: greedy growing and Fiduccia-Mattheyses passes,
 * the best of some tries. Pure, one thread.
 * Source: Fiduccia and Mattheyses, DAC 1982; Karypis and Kumar, SISC 20(1), 1998. */
#ifndef PLACEMENT_BISECT_H
#define PLACEMENT_BISECT_H

#include "core/graph.h"

struct placement_bisect_input {
    const struct placement_graph *graph;
    const uint16_t *fixed; /* [n] side 0, 1 or PLACEMENT_FREE; NULL: all free */
    uint64_t target;       /* wanted vertex weight of side 0 */
    uint64_t limit[2];     /* most vertex weight of a side, if it can be had */
    unsigned tries;        /* >= 1 */
    uint64_t seed;
};

/* side[n]: 0 or 1. PR_ENOMEM. */
PR_CHECKED enum pr_code placement_bisect(const struct placement_bisect_input *in, uint16_t *side,
                                         struct pr_err *err);

/* block[n] by recursive bisection, in proportion to capacity and, if it can be
 * had, within it. fixed[n] or NULL. PR_ENOMEM. */
PR_CHECKED enum pr_code placement_bisect_all(const struct placement_graph *g, uint32_t blocks,
                                             const uint64_t *capacity, const uint16_t *fixed,
                                             unsigned tries, uint64_t seed, uint16_t *block,
                                             struct pr_err *err);

#endif
