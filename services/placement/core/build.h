/* From edges in any order to a graph. Pure. */
#ifndef PLACEMENT_BUILD_H
#define PLACEMENT_BUILD_H

#include "core/graph.h"
#include "prism/graph_read.h"

/* The result does not depend on the order of the edges. *out is written only
 * on PR_OK; placement_graph_done frees it.
 * PR_EINVAL: no edge ("empty graph"); PR_EFULL: 2^32 - 1 vertices or more. */
PR_CHECKED enum pr_code placement_graph_build(const struct graph_edges *edges,
                                              struct placement_graph *out, struct pr_err *err);

#endif
