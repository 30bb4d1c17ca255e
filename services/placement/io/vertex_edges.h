/* The edges of one vertex, from a graph file that is read through once and not
 * kept: an explanation costs no more memory than the vertex has neighbours. */
#ifndef PLACEMENT_VERTEX_EDGES_H
#define PLACEMENT_VERTEX_EDGES_H

#include "core/watch.h"
#include "prism/graph_read.h"

#include <stdbool.h>

struct placement_tie {
    uint64_t neighbor; /* id */
    uint64_t weight;   /* of the edge, duplicates added up */
};

struct placement_vertex_edges {
    bool found;                /* the file names the vertex */
    uint64_t weight;           /* of the vertex */
    struct placement_tie *tie; /* [n] ascending by neighbour; loops left out; owned */
    size_t n;
};

/* Told of every vertex that the file gives a weight (others weigh 1). */
struct placement_vertex_seen {
    void (*fn)(void *ctx, uint64_t id, uint64_t weight);
    void *ctx;
};

/* Errors as graph_read_each; PR_ECANCELED when the watch says so.
 * seen may be NULL. */
PR_CHECKED enum pr_code placement_vertex_edges_read(const char *path, enum graph_format format,
                                                    uint64_t vertex,
                                                    const struct placement_watch *watch,
                                                    const struct placement_vertex_seen *seen,
                                                    struct placement_vertex_edges *out,
                                                    struct pr_err *err);
void placement_vertex_edges_done(struct placement_vertex_edges *e);

#endif
