/* Cuts a graph into blocks of limited weight so that little edge weight lies
 * between blocks: multilevel, after KaMinPar (arXiv 2105.02022) for coarsening
 * and Jet (arXiv 2304.13194) for refinement. Pure; byte-identical for equal
 * inputs whatever the pool. docs/explanation/placement.md tells how it works. */
#ifndef PLACEMENT_PARTITION_H
#define PLACEMENT_PARTITION_H

#include "core/graph.h"
#include "core/watch.h"

#include <stdbool.h>

enum { PLACEMENT_MAX_BLOCKS = 65000 };
#define PLACEMENT_FREE UINT16_MAX /* in fixed: any block */

struct placement_partition_input {
    const struct placement_graph *graph;
    uint32_t blocks;          /* 1..PLACEMENT_MAX_BLOCKS; may exceed n: some stay empty */
    const uint64_t *capacity; /* [blocks] most vertex weight; 0: none. Blocks are filled in
                                 proportion to it */
    const uint16_t *fixed;    /* [n] block or PLACEMENT_FREE; NULL: all free */
    uint64_t seed;
    uint32_t seeds; /* >= 1 tries from seed, seed + 1, ...; the least cut is kept */
    struct pr_pool *pool;
    struct placement_watch watch;
};

struct placement_partition_result {
    uint64_t cut;  /* weight of edges between blocks, each once */
    uint64_t seed; /* of the try that was kept */
};

/* block[n] is written only on PR_OK, and then no block exceeds its capacity.
 * PR_EINVAL: no block, a fixed block out of range; PR_EFULL: the vertices do
 * not fit (which vertex or block, and by how much); PR_ECANCELED; PR_ENOMEM. */
PR_CHECKED enum pr_code placement_partition(const struct placement_partition_input *in,
                                            uint16_t *block, struct placement_partition_result *out,
                                            struct pr_err *err);

/* Bytes that a call takes beside the graph at most (an estimate from above). */
uint64_t placement_partition_bytes(uint32_t n, uint64_t arcs, bool weighted, uint32_t blocks,
                                   unsigned threads);

#endif
