/* Which block becomes which zone. Blocks are unnamed, so they get the names
 * that leave most where it is (assignment problem). Pure. */
#ifndef PLACEMENT_MATCH_H
#define PLACEMENT_MATCH_H

#include "core/graph.h"

/* Up to so many the best naming is found; above, one by descending overlap. */
enum { PLACEMENT_MATCH_EXACT = 64 };

struct placement_match_input {
    uint32_t k;               /* blocks, and zones; 1..PLACEMENT_MATCH_EXACT */
    const uint64_t *overlap;  /* [k * k] vertex weight of block (row) in zone (column) today */
    const uint64_t *size;     /* [k] vertex weight of a block */
    const uint64_t *capacity; /* [k] of a zone */
};

/* zone_of_block[k]: a permutation of the largest total overlap among those
 * where every block fits its zone (overlaps summing above 2^40 are compared
 * without their lowest bits). PR_EINVAL: there is none. */
PR_CHECKED enum pr_code placement_match(const struct placement_match_input *in,
                                        uint16_t *zone_of_block, struct pr_err *err);

/* The same from the vertices themselves, for any number of blocks: block[n] is
 * below k, today[n] below k or UINT16_MAX (nowhere). k: 1..65000. Above
 * PLACEMENT_MATCH_EXACT the pair of most overlap is matched first (ties: lower
 * block, lower zone) where block and zone are free and it fits, the rest by
 * size; memory is O(n + k).
 * PR_EINVAL: no naming fits; PR_ENOMEM. */
PR_CHECKED enum pr_code placement_match_blocks(const struct placement_graph *g, uint32_t k,
                                               const uint16_t *block, const uint16_t *today,
                                               const uint64_t *capacity, uint16_t *zone_of_block,
                                               struct pr_err *err);

#endif
