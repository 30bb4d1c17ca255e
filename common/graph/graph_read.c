#include "internal.h"

#include <stdlib.h>

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

enum graph_format graph_format_of(const char *path)
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

const char *graph_name(const char *path)
{
    enum { LONGEST = 120 };
    const size_t n = strlen(path);
    return n <= LONGEST ? path : path + n - LONGEST;
}

enum pr_code graph_feed_flush(struct graph_feed *f, struct pr_err *err)
{
    if (f->edges == 0 && f->vertices == 0)
        return PR_OK;
    struct graph_batch batch = {
        .edge = f->edge, .edges = f->edges, .vertex = f->vertex, .vertices = f->vertices
    };
    graph_source_progress(f->source, &batch.read_bytes, &batch.file_bytes);
    f->handed += f->edges + f->vertices;
    f->edges = f->vertices = 0;
    return f->sink(f->ctx, &batch, err);
}

static enum pr_code read_format(struct graph_source *s, enum graph_format format,
                                struct graph_feed *f, struct pr_err *err)
{
    switch (format) {
    case GRAPH_METIS:
        return graph_read_metis(s, f, err);
    case GRAPH_BIN32:
        return graph_read_binary(s, 4, f, err);
    case GRAPH_BIN64:
        return graph_read_binary(s, 8, f, err);
    case GRAPH_SNAP:
        return graph_read_snap(s, f, err);
    default:
        return pr_fail(err, PR_EINVAL, "%s: unknown graph format %d", f->path, (int)format);
    }
}

enum pr_code graph_read_each(const char *path, enum graph_format format, graph_sink *sink,
                             void *ctx, struct pr_err *err)
{
    struct graph_source *s = NULL;
    struct graph_feed f = { .sink = sink, .ctx = ctx, .path = graph_name(path) };
    enum pr_code rc = graph_source_open(&s, path, err);
    if (rc != PR_OK)
        return rc;
    f.source = s;
    f.edge = malloc(GRAPH_FEED_ROWS * sizeof *f.edge);
    f.vertex = malloc(GRAPH_FEED_ROWS * sizeof *f.vertex);
    if (f.edge == NULL || f.vertex == NULL)
        rc = pr_fail(err, PR_ENOMEM, "%s: no memory", f.path);
    if (rc == PR_OK)
        rc = read_format(s, format == GRAPH_AUTO ? graph_format_of(path) : format, &f, err);
    if (rc == PR_OK)
        rc = graph_feed_flush(&f, err);
    if (rc == PR_OK && f.handed == 0)
        rc = pr_fail(err, PR_EDATA, "%s: empty graph", f.path);
    free(f.edge);
    free(f.vertex);
    graph_source_close(s);
    return rc;
}

struct list {
    struct graph_edges edges;
    size_t cap;
    const char *path;
};

static enum pr_code add_to_list(void *ctx, const struct graph_batch *batch, struct pr_err *err)
{
    struct list *l = ctx;
    if (batch->edges > l->cap - l->edges.n) {
        const size_t cap = l->cap == 0 ? 2 * GRAPH_FEED_ROWS : l->cap * 2;
        struct graph_edge *grown =
            cap > SIZE_MAX / sizeof *grown ? NULL : realloc(l->edges.edge, cap * sizeof *grown);
        if (grown == NULL)
            return pr_fail(err, PR_ENOMEM, "%s: no memory for %zu edges", l->path, cap);
        l->edges.edge = grown;
        l->cap = cap;
    }
    if (batch->edges > 0)
        memcpy(l->edges.edge + l->edges.n, batch->edge, batch->edges * sizeof *batch->edge);
    l->edges.n += batch->edges;
    return PR_OK;
}

enum pr_code graph_read(const char *path, enum graph_format format, struct graph_edges *out,
                        struct pr_err *err)
{
    struct list l = { .path = graph_name(path) };
    enum pr_code rc = graph_read_each(path, format, add_to_list, &l, err);
    if (rc == PR_OK && l.edges.n == 0)
        rc = pr_fail(err, PR_EDATA, "%s: empty graph: no edge", l.path);
    if (rc != PR_OK) {
        graph_edges_done(&l.edges);
        return rc;
    }
    *out = l.edges;
    return PR_OK;
}

void graph_edges_done(struct graph_edges *g)
{
    free(g->edge);
    g->edge = NULL;
    g->n = 0;
}
