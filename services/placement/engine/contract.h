/* Contraction: the graph of groups of vertices. Pure; the result does not
 * depend on the pool. */
#ifndef PLACEMENT_CONTRACT_H
#define PLACEMENT_CONTRACT_H

#include "core/graph.h"
#include "core/watch.h"

/* group[n]: on entry any label below n a vertex; on PR_OK the number of its
 * group in *out, 0..out->n-1, numbered by the groups' first vertices. Edges
 * inside a group vanish, parallel ones are added up (weights stop at 2^32 - 1;
 * they cannot reach it while g->weight_sum is below). Vertex weights are added
 * up. out has no ids, and its rows are not sorted. placement_graph_done frees it.
 * inside (may be NULL): receives a malloced [out->n] array of twice the edge
 * weight that vanished within each group. watch may be NULL; it
 * is told done all the time. PR_ECANCELED, PR_ENOMEM: group is then unspecified. */
PR_CHECKED enum pr_code placement_contract(const struct placement_graph *g, uint32_t *group,
                                           struct pr_pool *pool, struct placement_graph *out,
                                           uint64_t **inside, const struct placement_watch *watch,
                                           double done, struct pr_err *err);

#endif
