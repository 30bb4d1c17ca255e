#include "io/vertex_edges.h"

#include <stdlib.h>

struct gather {
    uint64_t vertex;
    const struct placement_watch *watch;
    const struct placement_vertex_seen *seen;
    struct placement_vertex_edges *out;
    size_t room;
};

static bool add(struct gather *g, uint64_t neighbor, uint64_t weight)
{
    struct placement_vertex_edges *e = g->out;
    if (e->n == g->room) {
        const size_t room = g->room == 0 ? 256 : 2 * g->room;
        struct placement_tie *grown = realloc(e->tie, room * sizeof *grown);
        if (grown == NULL)
            return false;
        e->tie = grown;
        g->room = room;
    }
    e->tie[e->n++] = (struct placement_tie){ neighbor, weight };
    return true;
}

static enum pr_code sink(void *ctx, const struct graph_batch *batch, struct pr_err *err)
{
    struct gather *g = ctx;
    const double done =
        batch->file_bytes == 0 ? 0 : (double)batch->read_bytes / (double)batch->file_bytes;
    if (g->watch != NULL && g->watch->go_on != NULL && !g->watch->go_on(g->watch->ctx, done))
        return pr_fail(err, PR_ECANCELED, "interrupted");
    for (size_t i = 0; i < batch->vertices; i++) {
        const struct graph_vertex *v = &batch->vertex[i];
        if (g->seen != NULL)
            g->seen->fn(g->seen->ctx, v->id, v->weight);
        if (v->id == g->vertex) {
            g->out->found = true;
            g->out->weight = v->weight;
        }
    }
    for (size_t i = 0; i < batch->edges; i++) {
        const struct graph_edge *e = &batch->edge[i];
        if (e->from != g->vertex && e->to != g->vertex)
            continue;
        g->out->found = true;
        if (e->from != e->to && !add(g, e->from == g->vertex ? e->to : e->from, e->weight))
            return pr_fail(err, PR_ENOMEM, "out of memory for the edges of a vertex");
    }
    return PR_OK;
}

static int by_neighbor(const void *a, const void *b)
{
    const uint64_t x = ((const struct placement_tie *)a)->neighbor;
    const uint64_t y = ((const struct placement_tie *)b)->neighbor;
    return x < y ? -1 : x > y;
}

enum pr_code placement_vertex_edges_read(const char *path, enum graph_format format,
                                         uint64_t vertex, const struct placement_watch *watch,
                                         const struct placement_vertex_seen *seen,
                                         struct placement_vertex_edges *out, struct pr_err *err)
{
    struct gather g = { .vertex = vertex, .watch = watch, .seen = seen, .out = out };
    *out = (struct placement_vertex_edges){ .weight = 1 };
    enum pr_code rc = graph_read_each(path, format, sink, &g, err);
    if (rc != PR_OK) {
        placement_vertex_edges_done(out);
        return rc;
    }
    if (out->n == 0)
        return PR_OK;
    qsort(out->tie, out->n, sizeof *out->tie, by_neighbor);
    size_t kept = 0;
    for (size_t i = 1; i < out->n; i++)
        if (out->tie[i].neighbor == out->tie[kept].neighbor)
            out->tie[kept].weight += out->tie[i].weight;
        else
            out->tie[++kept] = out->tie[i];
    out->n = kept + 1;
    return PR_OK;
}

void placement_vertex_edges_done(struct placement_vertex_edges *e)
{
    free(e->tie);
    *e = (struct placement_vertex_edges){ 0 };
}
