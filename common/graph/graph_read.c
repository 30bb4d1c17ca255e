#include "internal.h"

#include <stdlib.h>
#include <string.h>

static const char *const format_name[] = {
    [GRAPH_AUTO] = "auto",   [GRAPH_SNAP] = "snap",   [GRAPH_METIS] = "metis",
    [GRAPH_BIN32] = "bin32", [GRAPH_BIN64] = "bin64",
};

enum graph_format graph_format_parse(const char *name)
{
    for (size_t i = 0; i < PR_COUNT(format_name); i++)
        if (strcmp(name, format_name[i]) == 0)
            return (enum graph_format)i;
    return (enum graph_format) - 1;
}

static bool ends_with(const char *s, size_t n, const char *tail)
{
    const size_t t = strlen(tail);
    return n >= t && memcmp(s + n - t, tail, t) == 0;
}

static enum graph_format format_of_name(const char *path)
{
    static const char *const packed[] = { ".xz", ".gz", ".zst" };
    size_t n = strlen(path);
    for (size_t i = 0; i < PR_COUNT(packed); i++)
        if (ends_with(path, n, packed[i])) {
            n -= strlen(packed[i]);
            break;
        }
    if (ends_with(path, n, ".bin32"))
        return GRAPH_BIN32;
    if (ends_with(path, n, ".bin64"))
        return GRAPH_BIN64;
    return ends_with(path, n, ".metis") || ends_with(path, n, ".graph") ? GRAPH_METIS : GRAPH_SNAP;
}

bool graph_list_grow(struct graph_list *g)
{
    const size_t cap = g->cap == 0 ? 4096 : g->cap * 2;
    if (cap > SIZE_MAX / sizeof *g->edges.edge)
        return false;
    struct graph_edge *grown = realloc(g->edges.edge, cap * sizeof *grown);
    if (grown == NULL)
        return false;
    g->edges.edge = grown;
    g->cap = cap;
    return true;
}

enum pr_code graph_read(const char *path, enum graph_format format, struct graph_edges *out,
                        struct pr_err *err)
{
    struct graph_source *s = NULL;
    struct graph_list g = { .cap = 0 };
    enum pr_code rc = graph_source_open(&s, path, err);
    if (rc != PR_OK)
        return rc;
    switch (format == GRAPH_AUTO ? format_of_name(path) : format) {
    case GRAPH_METIS:
        rc = graph_read_metis(s, path, &g, err);
        break;
    case GRAPH_BIN32:
        rc = graph_read_binary(s, path, 4, &g, err);
        break;
    case GRAPH_BIN64:
        rc = graph_read_binary(s, path, 8, &g, err);
        break;
    case GRAPH_SNAP:
        rc = graph_read_snap(s, path, &g, err);
        break;
    default:
        rc = pr_fail(err, PR_EINVAL, "%s: unknown graph format %d", path, (int)format);
    }
    graph_source_close(s);
    if (rc == PR_OK && g.edges.n == 0)
        rc = pr_fail(err, PR_EDATA, "%s: empty graph", path);
    if (rc != PR_OK) {
        graph_edges_done(&g.edges);
        return rc;
    }
    *out = g.edges;
    return PR_OK;
}

void graph_edges_done(struct graph_edges *g)
{
    free(g->edge);
    g->edge = NULL;
    g->n = 0;
}
