/* Communities by modularity: Louvain (arXiv 0803.0476) and Leiden (arXiv
 * 1810.08473), with resolution and size limits. Pure; byte-identical for equal
 * inputs whatever the pool. */
#ifndef PLACEMENT_COMMUNITY_H
#define PLACEMENT_COMMUNITY_H

#include "engine/partition.h" /* struct placement_watch */

enum placement_community_method { PLACEMENT_LEIDEN, PLACEMENT_LOUVAIN };

struct placement_communities_input {
    const struct placement_graph *graph;
    enum placement_community_method method;
    double resolution;   /* > 0; 1 is plain modularity */
    uint64_t max_weight; /* most vertex weight of a community; 0: no limit */
    uint64_t min_weight; /* smaller ones join the neighbour that costs least, where
                            max_weight allows; 0: no limit */
    uint64_t seed;
    struct pr_pool *pool;
    struct placement_watch watch;
};

struct placement_communities {
    uint32_t count;
    double modularity;  /* at the input's resolution, weighted */
    uint32_t levels;    /* contractions made */
    uint32_t below_min; /* communities that stay below min_weight: nothing to join */
};

/* community[n]: 0..count-1, numbered by first vertex. Written only on PR_OK.
 * PR_EINVAL: resolution not positive, min_weight > max_weight; PR_EFULL: a
 * vertex heavier than max_weight; PR_ECANCELED; PR_ENOMEM. */
PR_CHECKED enum pr_code placement_communities(const struct placement_communities_input *in,
                                              uint32_t *community,
                                              struct placement_communities *out,
                                              struct pr_err *err);

/* Bytes that a call takes beside the graph at most (an estimate from above). */
uint64_t placement_communities_bytes(uint32_t n, uint64_t arcs, bool weighted, unsigned threads);

/* Weighted modularity of any labels (each below n) at a resolution; 0 without edges. */
double placement_modularity(const struct placement_graph *g, const uint32_t *label,
                            double resolution, struct pr_pool *pool);

#endif
