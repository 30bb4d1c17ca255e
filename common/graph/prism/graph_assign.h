/* Assignment files: text, "vertex partition zone" a line in any order; "-" for a
 * partition or zone that is not given; '#' and '%' begin comment lines.
 * Compressed by ending when written, told by the first bytes when read. */
#ifndef PRISM_GRAPH_ASSIGN_H
#define PRISM_GRAPH_ASSIGN_H

#include "prism/err.h"

#include <stddef.h>
#include <stdint.h>

#define GRAPH_NONE UINT32_MAX /* "-" */

struct graph_assign {
    uint64_t vertex; /* id as in the graph's file */
    uint32_t partition, zone;
};

struct graph_assigns {
    struct graph_assign *row; /* owned; ascending by vertex, each once */
    size_t n;
};

struct graph_assign_limits { /* 0: up to 2^32 - 2 */
    uint32_t partitions;     /* every partition is below it */
    uint32_t zones;
};

/* Reads everything, or nothing. PR_EDATA names file and line: not three columns,
 * not a number, beyond the limits, a vertex named before; or "no line" at all.
 * limits may be NULL. Other errors as graph_read_each. */
PR_CHECKED enum pr_code graph_assign_read(const char *path,
                                          const struct graph_assign_limits *limits,
                                          struct graph_assigns *out, struct pr_err *err);
void graph_assigns_done(struct graph_assigns *a);

/* --- writing: a graph_out (graph_out.h) and a line at a time ----------------- */
struct graph_out;
PR_CHECKED enum pr_code graph_assign_put(struct graph_out *o, const struct graph_assign *row,
                                         size_t n, struct pr_err *err);

#endif
