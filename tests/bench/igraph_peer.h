/* igraph's communities (GPL) as a peer to compare with; never part of what
 * ships. */
#ifndef PRISM_IGRAPH_PEER_H
#define PRISM_IGRAPH_PEER_H

#include "core/graph.h"

#include <stdbool.h>

/* Louvain (igraph_community_multilevel, resolution 1) or Leiden
 * (igraph_community_leiden: modularity, beta 0.01, 2 iterations). seconds: of
 * igraph alone, its graph already made. PR_EINTERNAL: igraph says why. */
PR_CHECKED enum pr_code igraph_peer(const struct placement_graph *g, bool leiden, uint64_t seed,
                                    uint32_t *community, double *seconds, struct pr_err *err);
const char *igraph_peer_version(void);

#endif
