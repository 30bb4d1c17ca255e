/* A graph in memory: vertices numbered by ascending id, duplicates merged by
 * adding their weights, self-loops dropped (their vertex stays). Pure. */
#ifndef PRISM_DP_ADJACENCY_H
#define PRISM_DP_ADJACENCY_H

#include "prism/graph_read.h"

struct dp_arc {
    uint32_t vertex; /* the neighbour's number */
    uint64_t weight;
};

struct dp_adjacency {
    size_t vertices, edges;       /* edges: distinct, directed */
    uint64_t *id;                 /* [vertices], ascending */
    size_t *out_first, *in_first; /* [vertices + 1] into out and in */
    struct dp_arc *out, *in;      /* [edges], each vertex's sorted by number */
};

/* PR_EFULL: more than 2^32-1 vertices. */
PR_CHECKED enum pr_code dp_adjacency_build(const struct graph_edges *g, struct dp_adjacency *out,
                                           struct pr_err *err);
void dp_adjacency_done(struct dp_adjacency *a);

#endif
