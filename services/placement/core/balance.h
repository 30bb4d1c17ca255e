/* Keeps blocks within their capacity whatever an engine returned, and improves
 * a cut by single moves. Pure and deterministic. */
#ifndef PLACEMENT_BALANCE_H
#define PLACEMENT_BALANCE_H

#include "core/graph.h"

#include <stdint.h>

/* Moves vertices out of blocks above capacity, those first whose move costs
 * least edge weight (ties: lower vertex, then lower block), until every block
 * holds at most its capacity. *moved: how many.
 * PR_EINVAL: capacities sum to less than n; PR_ENOMEM. block is then unchanged
 * or partly balanced. */
PR_CHECKED enum pr_code placement_balance(const struct placement_graph *g, uint32_t blocks,
                                          const uint64_t *capacity, uint16_t *block,
                                          uint64_t *moved, struct pr_err *err);

/* Up to passes sweeps in vertex order; a vertex goes to the block it is tied
 * to most when that cuts strictly less and there is room. Returns the moves. */
uint64_t placement_refine(const struct placement_graph *g, uint32_t blocks,
                          const uint64_t *capacity, uint16_t *block, unsigned passes);

/* Weight of edges between different blocks, each edge once. */
uint64_t placement_cut(const struct placement_graph *g, const uint16_t *block);

/* Edge weight from v to every block: tie[blocks] is overwritten. */
void placement_ties(const struct placement_graph *g, const uint16_t *block, uint32_t blocks,
                    uint32_t v, uint64_t *tie);

#endif
