/* Vertices -> partitions -> a tree of sites: zones, placement groups in them,
 * nodes in those. Vertices are cut into partitions once; after that the graph
 * of partitions (placement_contract) is enough to place them in the tree again
 * and again. Pure; byte-identical whatever the pool. */
#ifndef PLACEMENT_HIERARCHY_H
#define PLACEMENT_HIERARCHY_H

#include "engine/partition.h"

enum { PLACEMENT_MAX_LEVELS = 4 };

/* --- vertices -> partitions ------------------------------------------------ */

struct placement_divide_input {
    const struct placement_graph *graph;
    const uint16_t *zone; /* [n] below zones */
    uint32_t zones;
    const uint32_t *parts; /* [zones] parts of a zone; their sum at most PLACEMENT_MAX_BLOCKS */
    double imbalance;      /* >= 0: a part may weigh its even share of the zone times 1 + this */
    uint64_t seed;
    uint32_t seeds; /* as for placement_partition */
    struct pr_pool *pool;
    struct placement_watch watch;
};

struct placement_divide_result {
    uint64_t cut;      /* weight of edges between parts, those between zones included */
    uint32_t empty;    /* parts without vertices */
    uint32_t outsized; /* parts of one vertex that is above the share of a part */
    bool stretched;    /* some zone's vertices did not fit otherwise: a part may be above its
                          limit by less than the zone's heaviest vertex (outsized ones apart) */
};

/* part[n]: those of zone z are numbered from parts[0] + .. + parts[z - 1] on,
 * near ones close to each other. Written only on PR_OK. PR_EINVAL: a zone out of
 * range, vertices in a zone without parts; PR_ECANCELED; PR_ENOMEM. */
PR_CHECKED enum pr_code placement_divide(const struct placement_divide_input *in, uint16_t *part,
                                         struct placement_divide_result *out, struct pr_err *err);

/* parts[zones]: total dealt out in proportion to weight, largest remainders
 * first, one at least where weight is not 0. PR_EINVAL: no weight, or more
 * zones with weight than parts. */
PR_CHECKED enum pr_code placement_deal_parts(const uint64_t *weight, uint32_t zones, uint32_t total,
                                             uint32_t *parts, struct pr_err *err);

/* --- partitions -> sites ---------------------------------------------------- */

struct placement_tree {
    uint32_t levels;                              /* 1.. ; 0 is the outermost */
    uint32_t sites[PLACEMENT_MAX_LEVELS];         /* of a level */
    const uint16_t *parent[PLACEMENT_MAX_LEVELS]; /* [sites] in the level above; none for 0 */
    const uint64_t *capacity; /* [sites of the last level] most vertex weight; 0: none */
};

struct placement_hierarchy_input {
    const struct placement_graph *graph; /* a vertex for each partition */
    const uint16_t *slot;                /* [n] partitions of one slot stay together; NULL: each
                                            by itself. A unit is a slot's, or one, partition */
    const struct placement_tree *tree;
    const uint16_t *fixed[PLACEMENT_MAX_LEVELS]; /* [n] site or PLACEMENT_FREE; NULL: all free.
                                                    A cut's zones are fixed at level 0 */
    const uint16_t *today;   /* [n] leaf, or PLACEMENT_FREE: none; NULL: all none */
    bool fresh;              /* no warm start; sites are still named to move little */
    const uint32_t *changed; /* [n_changed] partitions whose edges changed since today was
                                solved; NULL: unknown */
    uint32_t n_changed;
    double price;   /* edge weight that moving one unit of vertex weight must save */
    uint64_t moves; /* most units that move for the cut's sake in a warm start */
    double reference_ratio[PLACEMENT_MAX_LEVELS]; /* cut / weight of all edges at the last fresh
                                                     solve; below 0: unknown, then a fresh one
                                                     is made to compare with */
    double lost_ratio; /* a level is solved afresh when its warm cut is above its reference by
                          more than this part of it, and so kept if above the new one likewise */
    uint64_t seed;
    uint32_t seeds;
    struct pr_pool *pool;
    struct placement_watch watch;
};

struct placement_hierarchy_result {
    struct placement_level {
        uint64_t cut;                 /* edge weight between different sites of the level */
        uint64_t moved, moved_weight; /* partitions whose site at this level is not today's */
        bool fresh;                   /* solved without warm start */
    } level[PLACEMENT_MAX_LEVELS];
    uint32_t units;
    bool flat;   /* level by level the units did not fit: leaves were filled directly */
    bool capped; /* the limit on moves was reached */
};

/* leaf[n] is written only on PR_OK, and then no site of any level holds more
 * than its leaves together may. PR_EINVAL: a malformed tree, an index out of
 * range, partitions of one slot with different places or pins; PR_EFULL: no way
 * to fit them was found; PR_ECANCELED; PR_ENOMEM. */
PR_CHECKED enum pr_code placement_hierarchy_solve(const struct placement_hierarchy_input *in,
                                                  uint16_t *leaf,
                                                  struct placement_hierarchy_result *out,
                                                  struct pr_err *err);

/* Bytes that a solve takes beside the graph at most (an estimate from above). */
uint64_t placement_hierarchy_bytes(uint32_t n, uint64_t arcs, uint32_t leaves, bool slots,
                                   unsigned threads);

#endif
