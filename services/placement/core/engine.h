/* What cuts a graph into blocks. The only place where placement knows of a
 * partitioning library is behind this header. */
#ifndef PLACEMENT_ENGINE_H
#define PLACEMENT_ENGINE_H

#include "core/graph.h"

#include <stdint.h>

#ifndef PLACEMENT_FREE
#define PLACEMENT_FREE UINT16_MAX /* in fixed: any block */
#endif

struct placement_engine_input {
    const struct placement_graph *graph;
    uint32_t blocks;     /* 1..PLACEMENT_MAX_ZONES, at most graph->n */
    const double *share; /* [blocks] wanted part of the vertices, > 0, sum 1 */
    double imbalance;    /* allowed ratio above a share */
    uint64_t seed;
    const uint16_t *fixed; /* [n] block or PLACEMENT_FREE; NULL: all free */
};

/* Gives each of the graph's vertices a block. Equal inputs give equal blocks.
 * Shares are an aim: the caller balances what comes back.
 * PR_EINVAL: an input the engine cannot honour; PR_EFULL: the graph exceeds
 * the engine's number range (named); PR_ENOMEM. */
typedef enum pr_code placement_engine_fn(const struct placement_engine_input *in,
                                         uint16_t *block /* [n] */, struct pr_err *err);

#endif
