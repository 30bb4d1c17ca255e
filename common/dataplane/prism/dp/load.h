/* Bulk load: every vertex with its neighbours of both directions to its hash
 * home, all replicas included. Loading again changes nothing; a vertex that
 * moved since is written where it lives now. */
#ifndef PRISM_DP_LOAD_H
#define PRISM_DP_LOAD_H

#include "prism/dp/adjacency.h"
#include "prism/dp/tool_args.h"

#include <stdatomic.h>

struct dp_load_options {
    const struct dp_store *store;
    int threads;
    const atomic_bool *stop; /* set by a signal; may be NULL */
    /* Called about twice a second from the caller's thread; may be NULL. */
    void (*progress)(void *ctx, size_t vertices, size_t edges, double seconds);
    void *ctx;
};

struct dp_load_report {
    size_t vertices, edges; /* edges: distinct directed edges, each written at both ends */
    size_t moved;           /* vertices that were not at home */
    uint64_t bytes;         /* requests and replies on the wire */
    double seconds;
};

/* PR_OK: everything is on every primary and its replicas. Otherwise nothing is
 * claimed; err names the vertex, e.g. PR_EFULL (VERTEX_FULL or OOM), PR_EDENIED. */
PR_CHECKED enum pr_code dp_load(const struct dp_adjacency *a, const struct dp_load_options *o,
                                struct dp_load_report *report, struct pr_err *err);

#endif
