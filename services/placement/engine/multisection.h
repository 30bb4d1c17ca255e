/* Many blocks: a multilevel cut into groups of blocks, one within each group,
 * and a last refinement over all. Pure; does not depend on the pool. */
#ifndef PLACEMENT_MULTISECTION_H
#define PLACEMENT_MULTISECTION_H

#include "engine/partition.h"

/* As placement_multilevel, for any number of blocks. */
PR_CHECKED enum pr_code placement_multisection(const struct placement_partition_input *in,
                                               uint64_t seed, bool quick, uint16_t *block,
                                               bool *balanced, struct pr_err *err);

#endif
