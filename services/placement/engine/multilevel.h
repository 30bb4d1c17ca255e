/* One multilevel cut: coarsen, cut the smallest graph, refine on the way back.
 * Used by multisection.c. Pure; does not depend on the pool. */
#ifndef PLACEMENT_MULTILEVEL_H
#define PLACEMENT_MULTILEVEL_H

#include "engine/partition.h"

/* block[n]; *balanced is false when a block exceeds its capacity. The graph's
 * weight_sum is below 2^32; blocks are few (multisection.c
 * splits many). quick: fewer tries, for parts of a larger cut. */
PR_CHECKED enum pr_code placement_multilevel(const struct placement_partition_input *in,
                                             uint64_t seed, bool quick, uint16_t *block,
                                             bool *balanced, struct pr_err *err);

#endif
