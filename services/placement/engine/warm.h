/* Improves a placement that exists instead of making a new one: only vertices
 * whose surroundings changed are looked at, and one moves only when it saves
 * more than its move costs, or does so together with a few others (an exchange
 * between full blocks, a small group). What falls is
 *     cut + price x weight of the vertices that are not where they are today,
 * strictly each time, so a vertex that left may also return. Pure;
 * byte-identical whatever the pool; renamed blocks give the renamed result. */
#ifndef PLACEMENT_WARM_H
#define PLACEMENT_WARM_H

#include "engine/partition.h"

struct placement_warm_input {
    const struct placement_graph *graph;
    uint32_t blocks;
    const uint64_t *capacity; /* [blocks] most vertex weight; 0: none, who is there leaves */
    const uint16_t *today;    /* [n] block; PLACEMENT_FREE: new, or its block is gone */
    const uint16_t *fixed;    /* [n] or NULL; a vertex fixed elsewhere than today moves */
    const uint32_t *changed;  /* [n_changed] vertices whose edges changed; NULL: unknown, then
                                 every vertex with an edge to another block is looked at, as
                                 it is when these are many */
    uint32_t n_changed;
    const uint64_t *cut_today; /* today's cut of this graph where the caller knows it, edges of
                                  new vertices left out; NULL: counted. With it and changed a
                                  run reads the rows of the frontier only */
    double price;   /* >= 0: edge weight that moving one unit of vertex weight must save */
    uint64_t moves; /* most vertices away from today's block for the cut's sake (those that
                       capacity or fixed force, and new vertices, come on top) */
    struct pr_pool *pool;
    struct placement_watch watch;
};

struct placement_warm_result {
    uint64_t cut_before; /* with new vertices placed and nothing moved */
    uint64_t cut;
    uint64_t placed; /* vertices that had no block */
    uint64_t forced; /* moved because of capacity or fixed */
    uint64_t moved;  /* moved for the cut's sake */
    bool capped;     /* the limit on moves was reached */
};

/* block[n] is written only on PR_OK, and then no block exceeds its capacity.
 * PR_EINVAL: no block, a block of today or fixed out of range, a price below 0;
 * PR_EFULL: the vertices do not fit, or (weighted ones: packing them is hard)
 * no way to fit them was found; the text names block and excess;
 * PR_ECANCELED; PR_ENOMEM. */
PR_CHECKED enum pr_code placement_warm(const struct placement_warm_input *in, uint16_t *block,
                                       struct placement_warm_result *out, struct pr_err *err);

/* Whether locality is lost so far that a full run is due: the cut is above
 * reference_ratio (cut / weight of all edges, of the last full run) by more than
 * lost_ratio of it. */
bool placement_warm_spent(uint64_t cut, uint64_t weight_sum, double reference_ratio,
                          double lost_ratio);

#endif
