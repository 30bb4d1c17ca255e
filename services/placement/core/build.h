/* From edges in any order to a graph. Pure; the result depends neither on the
 * order of the edges nor on the pool. Peak memory without weights: about 12
 * bytes an edge, 24 with, and some dozen bytes a vertex. */
#ifndef PLACEMENT_BUILD_H
#define PLACEMENT_BUILD_H

#include "core/graph.h"
#include "core/watch.h"
#include "prism/graph_read.h"

struct placement_builder;

struct placement_build_opts {
    struct pr_pool *pool;         /* borrowed; NULL: the caller alone */
    uint64_t budget_bytes;        /* most memory, the finished graph included; 0: no limit */
    bool coded;                   /* finish in gap-coded rows, when no edge has a weight */
    struct placement_watch watch; /* of placement_builder_finish */
};

PR_CHECKED enum pr_code placement_builder_new(const struct placement_build_opts *opts,
                                              struct placement_builder **out, struct pr_err *err);
void placement_builder_free(struct placement_builder *b); /* NULL is fine */

/* Ids are any; loops are dropped but their vertex stays; duplicates are merged
 * by adding weights. After a failure the builder can only be freed.
 * PR_EINVAL: weight 0; PR_EFULL: beyond the budget (says the need so far), or
 * more than 2^32 - 2 vertices; PR_ENOMEM. */
PR_CHECKED enum pr_code placement_builder_add(struct placement_builder *b,
                                              const struct graph_edge *edge, size_t n,
                                              struct pr_err *err);
/* Vertices that exist even without edges, and their weights; of a vertex named
 * twice the last weight counts. Vertices never named weigh 1. */
PR_CHECKED enum pr_code placement_builder_add_vertices(struct placement_builder *b,
                                                       const struct graph_vertex *vertex, size_t n,
                                                       struct pr_err *err);
/* A graph_sink: ctx is the builder. Adds all that a batch holds. */
PR_CHECKED enum pr_code placement_builder_sink(void *builder, const struct graph_batch *batch,
                                               struct pr_err *err);

/* *out is written only on PR_OK; placement_graph_done frees it. The builder is
 * used up either way: free it.
 * PR_EINVAL: no vertex ("empty graph"), all vertex weights 0; PR_EFULL: merged
 * weights of one edge above 2^32 - 1 (names it), vertex weights summing above
 * 2^63 - 1, the budget; PR_ECANCELED; PR_ENOMEM. */
PR_CHECKED enum pr_code placement_builder_finish(struct placement_builder *b,
                                                 struct placement_graph *out, struct pr_err *err);

uint64_t placement_builder_edges(const struct placement_builder *b); /* added so far */

/* Most bytes that building a graph takes, the graph included (an estimate from
 * above, duplicates counted as edges). */
struct placement_build_size {
    uint64_t edges, vertices;
    bool weighted, vertex_weighted, coded;
    bool sparse; /* ids of 2^32 - 1 or more */
};
uint64_t placement_builder_bytes(const struct placement_build_size *size);

/* All in one, for lists in memory. PR_EINVAL: no edge ("empty graph"). */
PR_CHECKED enum pr_code placement_graph_build(const struct graph_edges *edges,
                                              struct placement_graph *out, struct pr_err *err);

#endif
