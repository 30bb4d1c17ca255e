/* Which block becomes which zone. Blocks are unnamed, so they get the names
 * that leave most where it is (assignment problem). Pure. */
#ifndef PLACEMENT_MATCH_H
#define PLACEMENT_MATCH_H

#include "core/graph.h"

enum { PLACEMENT_MATCH_MOST = 64 };

struct placement_match_input {
    uint32_t k;               /* blocks, and zones; 1..PLACEMENT_MATCH_MOST */
    const uint64_t *overlap;  /* [k * k] vertex weight of block (row) in zone (column) today */
    const uint64_t *size;     /* [k] vertex weight of a block */
    const uint64_t *capacity; /* [k] of a zone */
};

/* zone_of_block[k]: a permutation of the largest total overlap among those
 * where every block fits its zone. Overlaps may be of any size (when one is above
 * 2^40 all are compared without their lowest bits). PR_EINVAL: there is none. */
PR_CHECKED enum pr_code placement_match(const struct placement_match_input *in,
                                        uint16_t *zone_of_block, struct pr_err *err);

#endif
