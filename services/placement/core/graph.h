/* Graph in compressed rows: vertices numbered 0..n-1 by ascending id, every
 * edge in the rows of both ends, loops dropped, duplicates (in either
 * direction) merged by adding their weights. Pure. */
#ifndef PLACEMENT_GRAPH_H
#define PLACEMENT_GRAPH_H

#include "prism/err.h"
#include "prism/graph_read.h"

#include <stddef.h>
#include <stdint.h>

struct placement_graph {
    uint32_t n;          /* vertices, those with loops only included */
    uint64_t arcs;       /* entries of to and weight: two an edge */
    uint64_t *id;        /* [n] as in the file, ascending */
    uint64_t *start;     /* [n + 1] first arc of a vertex */
    uint32_t *to;        /* [arcs] ascending within a vertex */
    uint32_t *weight;    /* [arcs] merged weights stop at 2^32 - 1 */
    uint64_t weight_sum; /* over edges, each counted once */
    uint32_t weight_max;
};

/* The result does not depend on the order of the edges. *out is written only
 * on PR_OK; placement_graph_done frees it.
 * PR_EINVAL: no edge ("empty graph"); PR_EFULL: 2^32 - 1 vertices or more. */
PR_CHECKED enum pr_code placement_graph_build(const struct graph_edges *edges,
                                              struct placement_graph *out, struct pr_err *err);
void placement_graph_done(struct placement_graph *g);

/* Hash of a vertex whose id is this number's decimal text. */
uint64_t placement_vertex_hash(uint64_t id);

#endif
