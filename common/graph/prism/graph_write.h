/* Writes what graph_read.h reads; files appear whole or not at all (graph_out.h). */
#ifndef PRISM_GRAPH_WRITE_H
#define PRISM_GRAPH_WRITE_H

#include "prism/graph_read.h"

#include <stdbool.h>

struct graph_writer;

struct graph_write_opts {
    enum graph_format format; /* GRAPH_AUTO: by name */
    bool weighted;            /* with edge weights; else every edge must weigh 1 */
    /* METIS only, for its header: */
    bool vertex_weighted;
    uint64_t vertices, edges; /* undirected edges, without loops and duplicates */
};

/* Errors as graph_out_open. */
PR_CHECKED enum pr_code graph_writer_open(const char *path, const struct graph_write_opts *opts,
                                          struct graph_writer **out, struct pr_err *err);
/* Not METIS. PR_EINVAL: an id above 2^32-1 in bin32, a weight without weighted. */
PR_CHECKED enum pr_code graph_writer_edges(struct graph_writer *w, const struct graph_edge *edge,
                                           size_t n, struct pr_err *err);
/* METIS only: the vertices' rows one after the other, each edge in both rows;
 * to counts from 0, the file from 1. weight NULL: all 1. */
PR_CHECKED enum pr_code graph_writer_row(struct graph_writer *w, uint64_t vertex_weight,
                                         const uint32_t *to, const uint32_t *weight, size_t n,
                                         struct pr_err *err);
/* Frees w either way. PR_EINVAL: METIS rows that contradict vertices and edges. */
PR_CHECKED enum pr_code graph_writer_close(struct graph_writer *w, struct pr_err *err);
void graph_writer_abort(struct graph_writer *w); /* as if never opened; NULL is fine */

#endif
