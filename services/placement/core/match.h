/* Which block becomes which zone. Blocks are unnamed, so they get the names
 * that leave most vertices where they are (assignment problem). Pure. */
#ifndef PLACEMENT_MATCH_H
#define PLACEMENT_MATCH_H

#include "prism/err.h"

#include <stdint.h>

struct placement_match_input {
    uint32_t k;               /* blocks, and zones; 1..PLACEMENT_MAX_ZONES */
    const uint64_t *overlap;  /* [k * k] vertices of block (row) in zone (column) today */
    const uint64_t *size;     /* [k] vertices of a block */
    const uint64_t *capacity; /* [k] of a zone */
};

/* zone_of_block[k]: a permutation of the largest total overlap among those
 * where every block fits its zone. PR_EINVAL: there is none. */
PR_CHECKED enum pr_code placement_match(const struct placement_match_input *in,
                                        uint16_t *zone_of_block, struct pr_err *err);

#endif
