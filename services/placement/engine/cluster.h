/* Size-constrained label propagation: the clusters that coarsening contracts.
 * Pure; does not depend on the pool. Source: KaMinPar, arXiv 2105.02022. */
#ifndef PLACEMENT_CLUSTER_H
#define PLACEMENT_CLUSTER_H

#include "core/graph.h"
#include "engine/partition.h"

struct placement_cluster_input {
    const struct placement_graph *graph;
    uint64_t max_weight;    /* most vertex weight of a cluster */
    const uint16_t *fixed;  /* [n] or NULL: fixed vertices cluster with nothing but their like */
    const uint16_t *within; /* [n] or NULL: clusters stay inside these blocks */
    unsigned passes;
    uint64_t seed;
    struct pr_pool *pool;
    const struct placement_watch *watch;
    double done_from, done_to; /* part of the run this is, told to watch */
};

/* label[n]: a vertex of the cluster. clusters: how many. PR_ECANCELED, PR_ENOMEM. */
PR_CHECKED enum pr_code placement_cluster(const struct placement_cluster_input *in, uint32_t *label,
                                          uint32_t *clusters, struct pr_err *err);

#endif
