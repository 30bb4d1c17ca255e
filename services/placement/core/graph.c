#include "core/build.h"

#include "prism/slot.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* File ids to 0..n-1: a direct table when ids are dense, else binary search. */
struct numbering {
    uint64_t *id; /* [n] ascending */
    size_t n;
    uint32_t *direct; /* [max + 1] number of an id, or NULL */
};

static uint64_t largest_id(const struct graph_edges *edges)
{
    uint64_t max = 0;
    for (size_t i = 0; i < edges->n; i++) {
        if (edges->edge[i].from > max)
            max = edges->edge[i].from;
        if (edges->edge[i].to > max)
            max = edges->edge[i].to;
    }
    return max;
}

static bool number_dense(const struct graph_edges *edges, uint64_t max, struct numbering *out)
{
    out->direct = calloc((size_t)max + 1, sizeof *out->direct);
    if (out->direct == NULL)
        return false;
    for (size_t i = 0; i < edges->n; i++) {
        out->direct[edges->edge[i].from] = 1;
        out->direct[edges->edge[i].to] = 1;
    }
    size_t n = 0;
    for (uint64_t id = 0; id <= max; id++)
        n += out->direct[id];
    out->id = malloc(n * sizeof *out->id);
    if (out->id == NULL)
        return false;
    for (uint64_t id = 0; id <= max; id++) {
        if (out->direct[id] == 0)
            continue;
        out->direct[id] = (uint32_t)out->n;
        out->id[out->n++] = id;
    }
    return true;
}

/* Least significant byte first; bytes that are the same everywhere are skipped. */
static bool radix_sort(uint64_t *v, size_t n)
{
    uint64_t *other = malloc(n * sizeof *other), *from = v, *to = other;
    if (other == NULL)
        return false;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        size_t at[257] = { 0 };
        for (size_t i = 0; i < n; i++)
            at[((from[i] >> shift) & 0xff) + 1]++;
        if (at[((from[0] >> shift) & 0xff) + 1] == n)
            continue;
        for (unsigned b = 0; b < 256; b++)
            at[b + 1] += at[b];
        for (size_t i = 0; i < n; i++)
            to[at[(from[i] >> shift) & 0xff]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != v)
        memcpy(v, from, n * sizeof *v);
    free(other);
    return true;
}

static bool number_sparse(const struct graph_edges *edges, struct numbering *out)
{
    out->id = malloc(2 * edges->n * sizeof *out->id);
    if (out->id == NULL)
        return false;
    for (size_t i = 0; i < edges->n; i++) {
        out->id[2 * i] = edges->edge[i].from;
        out->id[2 * i + 1] = edges->edge[i].to;
    }
    if (!radix_sort(out->id, 2 * edges->n))
        return false;
    out->n = 1;
    for (size_t i = 1; i < 2 * edges->n; i++)
        if (out->id[i] != out->id[out->n - 1])
            out->id[out->n++] = out->id[i];
    uint64_t *fit = realloc(out->id, out->n * sizeof *fit);
    if (fit != NULL)
        out->id = fit;
    return true;
}

static uint32_t number_of(const struct numbering *nb, uint64_t id)
{
    if (nb->direct != NULL)
        return nb->direct[id];
    size_t lo = 0, hi = nb->n - 1;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (nb->id[mid] < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return (uint32_t)lo;
}

/* One entry per end of every edge that is no loop; rows in file order. */
static bool fill_rows(const struct graph_edges *edges, const struct numbering *nb,
                      struct placement_graph *g)
{
    for (size_t i = 0; i < edges->n; i++) {
        const struct graph_edge *e = &edges->edge[i];
        if (e->from == e->to)
            continue;
        g->start[number_of(nb, e->from) + 1]++;
        g->start[number_of(nb, e->to) + 1]++;
    }
    for (uint32_t v = 0; v < g->n; v++)
        g->start[v + 1] += g->start[v];
    g->arcs = g->start[g->n];

    g->to = malloc((g->arcs + 1) * sizeof *g->to);
    g->weight = malloc((g->arcs + 1) * sizeof *g->weight);
    uint64_t *at = malloc(((size_t)g->n + 1) * sizeof *at);
    bool ok = g->to != NULL && g->weight != NULL && at != NULL;
    if (ok) {
        memcpy(at, g->start, ((size_t)g->n + 1) * sizeof *at);
        for (size_t i = 0; i < edges->n; i++) {
            const struct graph_edge *e = &edges->edge[i];
            if (e->from == e->to)
                continue;
            const uint32_t u = number_of(nb, e->from), v = number_of(nb, e->to);
            g->to[at[u]] = v;
            g->weight[at[u]++] = e->weight;
            g->to[at[v]] = u;
            g->weight[at[v]++] = e->weight;
        }
    }
    free(at);
    return ok;
}

/* The graph is symmetric, so writing it out by column gives the same rows,
 * each sorted. */
static bool sort_rows(struct placement_graph *g)
{
    uint32_t *to = malloc((g->arcs + 1) * sizeof *to);
    uint32_t *weight = malloc((g->arcs + 1) * sizeof *weight);
    uint64_t *at = malloc(((size_t)g->n + 1) * sizeof *at);
    if (to == NULL || weight == NULL || at == NULL) {
        free(to);
        free(weight);
        free(at);
        return false;
    }
    memcpy(at, g->start, ((size_t)g->n + 1) * sizeof *at);
    for (uint32_t u = 0; u < g->n; u++)
        for (uint64_t a = g->start[u]; a < g->start[u + 1]; a++) {
            const uint32_t v = g->to[a];
            to[at[v]] = u;
            weight[at[v]++] = g->weight[a];
        }
    free(at);
    free(g->to);
    free(g->weight);
    g->to = to;
    g->weight = weight;
    return true;
}

static void merge_duplicates(struct placement_graph *g)
{
    uint64_t kept = 0, first = 0, twice = 0;
    for (uint32_t v = 0; v < g->n; v++) {
        const uint64_t end = g->start[v + 1], row = kept;
        for (uint64_t a = first; a < end; a++) {
            if (kept > row && g->to[kept - 1] == g->to[a]) {
                const uint64_t sum = (uint64_t)g->weight[kept - 1] + g->weight[a];
                g->weight[kept - 1] = sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
                continue;
            }
            g->to[kept] = g->to[a];
            g->weight[kept++] = g->weight[a];
        }
        for (uint64_t a = row; a < kept; a++) {
            twice += g->weight[a];
            if (g->weight[a] > g->weight_max)
                g->weight_max = g->weight[a];
        }
        first = end;
        g->start[v] = row;
    }
    g->start[g->n] = kept;
    g->arcs = kept;
    g->weight_sum = twice / 2;
    g->vertex_weight_sum = g->n;
    for (uint32_t v = 0; v < g->n; v++)
        if (g->start[v + 1] - g->start[v] > g->degree_max)
            g->degree_max = (uint32_t)(g->start[v + 1] - g->start[v]);
    if (g->weight_max <= 1) {
        free(g->weight);
        g->weight = NULL;
    }
}

static bool build(const struct graph_edges *edges, struct numbering *nb, struct placement_graph *g,
                  struct pr_err *err)
{
    const uint64_t max = largest_id(edges);
    const bool dense = max / 8 < edges->n + 1024 && max < UINT32_MAX;
    if (!(dense ? number_dense(edges, max, nb) : number_sparse(edges, nb)))
        return false;
    if (nb->n >= UINT32_MAX) {
        (void)pr_fail(err, PR_EFULL, "graph of %zu vertices, at most %u are supported", nb->n,
                      UINT32_MAX - 1);
        return false;
    }
    g->n = (uint32_t)nb->n;
    g->start = calloc((size_t)g->n + 1, sizeof *g->start);
    if (g->start == NULL || !fill_rows(edges, nb, g) || !sort_rows(g))
        return false;
    merge_duplicates(g);
    g->id = nb->id;
    nb->id = NULL;
    return true;
}

enum pr_code placement_graph_build(const struct graph_edges *edges, struct placement_graph *out,
                                   struct pr_err *err)
{
    if (edges->n == 0)
        return pr_fail(err, PR_EINVAL, "empty graph: no edge");

    struct pr_err why = { .code = PR_ENOMEM, .text = "out of memory building the graph" };
    struct numbering nb = { 0 };
    struct placement_graph g = { 0 };
    const bool ok = build(edges, &nb, &g, &why);
    free(nb.id);
    free(nb.direct);
    if (!ok) {
        placement_graph_done(&g);
        return pr_fail(err, why.code, "%s", why.text);
    }
    *out = g;
    return PR_OK;
}

void placement_graph_done(struct placement_graph *g)
{
    free(g->id);
    free(g->start);
    free(g->to);
    free(g->coded);
    free(g->weight);
    free(g->vertex_weight);
    *g = (struct placement_graph){ 0 };
}

uint64_t placement_vertex_hash(uint64_t id)
{
    char text[20];
    unsigned at = sizeof text;
    do {
        text[--at] = (char)('0' + id % 10);
        id /= 10;
    } while (id > 0);
    return pr_vertex_hash(text + at, sizeof text - at);
}

static const uint8_t *decode_varint(const uint8_t *p, uint32_t *out)
{
    uint32_t value = 0;
    unsigned shift = 0;
    while (*p & 0x80) {
        value |= (uint32_t)(*p++ & 0x7f) << shift;
        shift += 7;
    }
    *out = value | (uint32_t)*p << shift;
    return p + 1;
}

uint32_t placement_row_decode(const struct placement_graph *g, uint32_t v, uint32_t *to)
{
    uint32_t degree, at = 0;
    const uint8_t *p = decode_varint(g->coded + g->start[v], &degree);
    for (uint32_t i = 0; i < degree; i++) {
        uint32_t gap;
        p = decode_varint(p, &gap);
        at += gap; /* the first gap is the first neighbour itself */
        to[i] = at;
    }
    return degree;
}
