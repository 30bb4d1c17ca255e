#include "prism/dp/adjacency.h"

#include "prism/map.h"

#include <stdlib.h>
#include <string.h>

/* Ids to numbers: a plain table when ids are dense (most files), else a map. */
struct numbering {
    uint32_t *dense; /* [dense_n], number + 1; NULL when a map is used */
    uint64_t dense_n;
    struct pr_map map;
};

static uint32_t number_of(const struct numbering *nb, uint64_t id)
{
    uint64_t v = 0;
    if (nb->dense != NULL)
        return nb->dense[id] - 1;
    (void)pr_map_get(&nb->map, id, &v);
    return (uint32_t)v;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool number_densely(const struct graph_edges *g, struct numbering *nb,
                           struct dp_adjacency *a)
{
    nb->dense = calloc(nb->dense_n, sizeof *nb->dense);
    if (nb->dense == NULL)
        return false;
    for (size_t i = 0; i < g->n; i++)
        nb->dense[g->edge[i].from] = nb->dense[g->edge[i].to] = 1;
    for (uint64_t id = 0; id < nb->dense_n; id++)
        a->vertices += nb->dense[id];
    a->id = malloc(a->vertices * sizeof *a->id);
    if (a->id == NULL)
        return false;
    uint32_t next = 0;
    for (uint64_t id = 0; id < nb->dense_n; id++)
        if (nb->dense[id] != 0) {
            a->id[next++] = id;
            nb->dense[id] = next;
        }
    return true;
}

static bool number_by_map(const struct graph_edges *g, struct numbering *nb, struct dp_adjacency *a)
{
    uint64_t seen;
    size_t cap = 0;
    for (size_t i = 0; i < 2 * g->n; i++) {
        const uint64_t id = i % 2 == 0 ? g->edge[i / 2].from : g->edge[i / 2].to;
        if (pr_map_get(&nb->map, id, &seen))
            continue;
        if (a->vertices == cap) {
            cap = cap == 0 ? 1024 : cap * 2;
            uint64_t *grown = realloc(a->id, cap * sizeof *grown);
            if (grown == NULL)
                return false;
            a->id = grown;
        }
        a->id[a->vertices++] = id;
        if (pr_map_put(&nb->map, id, 0) != PR_OK)
            return false;
    }
    qsort(a->id, a->vertices, sizeof *a->id, by_value);
    for (size_t v = 0; v < a->vertices; v++)
        if (pr_map_put(&nb->map, a->id[v], v) != PR_OK)
            return false;
    return true;
}

static int by_vertex(const void *a, const void *b)
{
    const uint32_t x = ((const struct dp_arc *)a)->vertex, y = ((const struct dp_arc *)b)->vertex;
    return (x > y) - (x < y);
}

/* Sorts each list by neighbour and merges equal ones, closing the gaps. */
static void merge_lists(struct dp_adjacency *a)
{
    size_t to = 0;
    for (size_t v = 0; v < a->vertices; v++) {
        struct dp_arc *list = a->out + a->out_first[v];
        const size_t n = a->out_first[v + 1] - a->out_first[v], first = to;
        bool sorted = true;
        for (size_t i = 1; i < n && sorted; i++)
            sorted = list[i - 1].vertex <= list[i].vertex;
        if (!sorted)
            qsort(list, n, sizeof *list, by_vertex);
        for (size_t i = 0; i < n; i++) {
            if (to > first && a->out[to - 1].vertex == list[i].vertex) {
                uint64_t *sum = &a->out[to - 1].weight;
                *sum = list[i].weight > UINT64_MAX - *sum ? UINT64_MAX : *sum + list[i].weight;
            } else {
                a->out[to++] = list[i];
            }
        }
        a->out_first[v] = first;
    }
    a->out_first[a->vertices] = a->edges = to;
}

/* first[v + 1] counts, then sums; fill moves first[v] on, so it is kept apart. */
static void fill_out(const struct graph_edges *g, const struct numbering *nb,
                     struct dp_adjacency *a, size_t *next)
{
    for (size_t i = 0; i < g->n; i++)
        if (g->edge[i].from != g->edge[i].to)
            a->out_first[number_of(nb, g->edge[i].from) + 1]++;
    for (size_t v = 0; v < a->vertices; v++)
        a->out_first[v + 1] += a->out_first[v];
    memcpy(next, a->out_first, a->vertices * sizeof *next);
    for (size_t i = 0; i < g->n; i++) {
        const struct graph_edge *e = &g->edge[i];
        if (e->from != e->to)
            a->out[next[number_of(nb, e->from)]++] =
                (struct dp_arc){ number_of(nb, e->to), e->weight };
    }
}

static void fill_in(struct dp_adjacency *a, size_t *next)
{
    for (size_t i = 0; i < a->edges; i++)
        a->in_first[a->out[i].vertex + 1]++;
    for (size_t v = 0; v < a->vertices; v++)
        a->in_first[v + 1] += a->in_first[v];
    memcpy(next, a->in_first, a->vertices * sizeof *next);
    for (size_t v = 0; v < a->vertices; v++) /* ascending: lists come out sorted */
        for (size_t i = a->out_first[v]; i < a->out_first[v + 1]; i++)
            a->in[next[a->out[i].vertex]++] = (struct dp_arc){ (uint32_t)v, a->out[i].weight };
}

enum pr_code dp_adjacency_build(const struct graph_edges *g, struct dp_adjacency *out,
                                struct pr_err *err)
{
    struct dp_adjacency a = { .vertices = 0 };
    struct numbering nb = { .dense_n = 0 };
    size_t *next = NULL;
    uint64_t top = 0;
    enum pr_code rc = PR_OK;
    pr_map_init(&nb.map);
    for (size_t i = 0; i < g->n; i++) {
        top = g->edge[i].from > top ? g->edge[i].from : top;
        top = g->edge[i].to > top ? g->edge[i].to : top;
    }
    bool ok;
    if (top < 8 * (uint64_t)g->n + 1024 && top < UINT32_MAX) {
        nb.dense_n = top + 1;
        ok = number_densely(g, &nb, &a);
    } else {
        ok = number_by_map(g, &nb, &a);
    }
    if (ok && a.vertices >= UINT32_MAX) {
        rc = pr_fail(err, PR_EFULL, "graph: %zu vertices, at most %u fit here", a.vertices,
                     UINT32_MAX - 1);
        goto out;
    }
    if (ok) {
        a.out_first = calloc(a.vertices + 1, sizeof *a.out_first);
        a.in_first = calloc(a.vertices + 1, sizeof *a.in_first);
        a.out = malloc((g->n + 1) * sizeof *a.out);
        next = malloc((a.vertices + 1) * sizeof *next);
        ok = a.out_first != NULL && a.in_first != NULL && a.out != NULL && next != NULL;
    }
    if (ok) {
        fill_out(g, &nb, &a, next);
        merge_lists(&a);
        a.in = malloc((a.edges + 1) * sizeof *a.in);
        ok = a.in != NULL;
    }
    if (ok)
        fill_in(&a, next);
    else
        rc = pr_fail(err, PR_ENOMEM, "graph: no memory for %zu edges", g->n);
out:
    free(next);
    free(nb.dense);
    pr_map_done(&nb.map);
    if (rc != PR_OK)
        dp_adjacency_done(&a);
    else
        *out = a;
    return rc;
}

void dp_adjacency_done(struct dp_adjacency *a)
{
    free(a->id);
    free(a->out_first);
    free(a->in_first);
    free(a->out);
    free(a->in);
    *a = (struct dp_adjacency){ .vertices = 0 };
}
