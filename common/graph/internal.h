/* Shared by the readers of one format each. */
#ifndef PRISM_GRAPH_INTERNAL_H
#define PRISM_GRAPH_INTERNAL_H

#include "prism/graph_read.h"

#include <stdbool.h>

/* --- bytes of the file, decompressed ------------------------------------ */
struct graph_source;
PR_CHECKED enum pr_code graph_source_open(struct graph_source **s, const char *path,
                                          struct pr_err *err);
/* Fills at most cap bytes; *n 0 only at the end. PR_EDATA: damaged or cut off. */
PR_CHECKED enum pr_code graph_source_read(struct graph_source *s, void *buf, size_t cap, size_t *n,
                                          struct pr_err *err);
void graph_source_close(struct graph_source *s);

/* --- whole lines -------------------------------------------------------- */
struct graph_lines {
    struct graph_source *source; /* borrowed */
    const char *path;
    char *buf; /* owned */
    size_t cap, len, used;
    uint64_t line; /* number of the next line, from 1 */
    bool ended;
};
/* The next run of whole lines, each ended by '\n' (one is put after the last
 * line when it has none). *n 0 at the end. Valid until the next call. */
PR_CHECKED enum pr_code graph_lines_next(struct graph_lines *l, const char **text, size_t *n,
                                         struct pr_err *err);

/* Reads an unsigned decimal of at most max at *p, which ends before any other
 * byte; NULL, or what is wrong with it. */
const char *graph_number(const char **p, uint64_t max, uint64_t *out);
enum pr_code graph_bad_line(const struct graph_lines *l, struct pr_err *err, const char *what);

/* --- the list being built ----------------------------------------------- */
struct graph_list {
    struct graph_edges edges;
    size_t cap;
};
bool graph_list_grow(struct graph_list *g); /* room for one more; false without memory */
static inline bool graph_list_add(struct graph_list *g, uint64_t from, uint64_t to, uint32_t weight)
{
    if (g->edges.n == g->cap && !graph_list_grow(g))
        return false;
    g->edges.edge[g->edges.n++] = (struct graph_edge){ from, to, weight };
    return true;
}

/* One reader a format: the whole source into g. */
PR_CHECKED enum pr_code graph_read_snap(struct graph_source *s, const char *path,
                                        struct graph_list *g, struct pr_err *err);
PR_CHECKED enum pr_code graph_read_metis(struct graph_source *s, const char *path,
                                         struct graph_list *g, struct pr_err *err);
PR_CHECKED enum pr_code graph_read_binary(struct graph_source *s, const char *path, size_t id_bytes,
                                          struct graph_list *g, struct pr_err *err);

#endif
