#include "placement_graphs.h"

#include "t.h"

#include <stdbool.h>
#include <stdlib.h>

const char *const graph_kind_name[KINDS] = { "random", "power",  "star",    "hubs",
                                             "path",   "clique", "cliques", "pairs",
                                             "empty",  "grid",   "planted" };

struct arc {
    uint32_t from, to, weight;
};
struct arcs {
    struct arc *arc;
    size_t n, cap;
    const struct graph_look *look;
    struct pr_rng rng;
};

static void *room(size_t n, size_t size)
{
    void *p = calloc(n + 1, size);
    assert_non_null(p);
    return p;
}

static void add_arc(struct arcs *a, uint32_t from, uint32_t to, uint32_t weight)
{
    if (a->n == a->cap) {
        a->cap = a->cap * 2 + 64;
        a->arc = realloc(a->arc, a->cap * sizeof *a->arc);
        assert_non_null(a->arc);
    }
    a->arc[a->n++] = (struct arc){ from, to, weight };
}

static void join(struct arcs *a, uint64_t u, uint64_t v)
{
    const uint32_t most = a->look->edge_weight;
    const uint32_t weight = most <= 1 ? 1 : 1 + (uint32_t)pr_rng_below(&a->rng, most);
    uint32_t x = (uint32_t)u, y = (uint32_t)v;
    if (x == y || x >= a->look->n || y >= a->look->n)
        return;
    if (a->look->renamed != NULL) {
        x = a->look->renamed[x];
        y = a->look->renamed[y];
    }
    add_arc(a, x, y, weight);
    add_arc(a, y, x, weight);
}

static void join_random(struct arcs *a, uint64_t edges, bool power)
{
    struct pr_zipf zipf;
    const uint64_t n = a->look->n;
    pr_zipf_init(&zipf, n, 1.2);
    for (uint64_t i = 0; i < edges; i++)
        join(a, pr_rng_below(&a->rng, n),
             power ? pr_zipf_next(&zipf, &a->rng) - 1 : pr_rng_below(&a->rng, n));
}

static void join_cliques(struct arcs *a, uint32_t size, bool ring)
{
    for (uint32_t from = 0; from < a->look->n; from += size) {
        for (uint32_t i = 0; i < size; i++)
            for (uint32_t j = i + 1; j < size; j++)
                join(a, from + i, from + j);
        if (ring)
            join(a, from, (from + size) % a->look->n);
    }
}

static void join_planted(struct arcs *a, uint32_t size)
{
    for (uint64_t i = 0; i < (uint64_t)a->look->n * 6; i++) {
        const uint64_t u = pr_rng_below(&a->rng, a->look->n), home = u / size * size;
        join(a, u,
             pr_rng_below(&a->rng, 10) == 0 ? pr_rng_below(&a->rng, a->look->n)
                                            : home + pr_rng_below(&a->rng, size));
    }
}

static void join_all(struct arcs *a)
{
    const uint32_t n = a->look->n;
    uint32_t side = 1;
    while (side * side < n)
        side++;
    switch (a->look->kind) {
    case KIND_RANDOM:
        join_random(a, (uint64_t)n * 4, false);
        break;
    case KIND_POWER:
        join_random(a, (uint64_t)n * 4, true);
        break;
    case KIND_CLIQUE:
        join_cliques(a, n, false);
        break;
    case KIND_CLIQUES:
        join_cliques(a, 8, true);
        break;
    case KIND_PLANTED:
        join_planted(a, 50);
        break;
    default:
        break;
    }
    for (uint32_t v = 0; v < n; v++)
        switch (a->look->kind) {
        case KIND_STAR:
            join(a, 0, v);
            break;
        case KIND_HUBS:
            join(a, pr_rng_below(&a->rng, n / 100 + 2), v);
            join(a, pr_rng_below(&a->rng, n / 100 + 2), v);
            break;
        case KIND_PATH:
            join(a, v, v + 1);
            break;
        case KIND_PAIRS:
            if (v % 2 == 0)
                join(a, v, v + 1);
            break;
        case KIND_GRID:
            if (v % side + 1 < side)
                join(a, v, v + 1);
            join(a, v, v + side);
            break;
        default:
            break;
        }
}

static int by_ends(const void *p, const void *q)
{
    const struct arc *a = p, *b = q;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    return (a->to > b->to) - (a->to < b->to);
}

/* Of several arcs between two vertices the first is kept: both directions were
 * added in the same order, but sorting does not keep it, so by weight. */
static int by_ends_and_weight(const void *p, const void *q)
{
    const struct arc *a = p, *b = q;
    const int ends = by_ends(p, q);
    return ends != 0 ? ends : (a->weight > b->weight) - (a->weight < b->weight);
}

static void fill_rows(struct placement_graph *g, struct arcs *a)
{
    uint64_t twice = 0;
    for (size_t i = 0; i < a->n; i++) {
        if (i > 0 && by_ends(&a->arc[i], &a->arc[i - 1]) == 0)
            continue;
        g->start[a->arc[i].from + 1]++;
        g->to[g->arcs] = a->arc[i].to;
        g->weight[g->arcs++] = a->arc[i].weight;
        g->weight_max = a->arc[i].weight > g->weight_max ? a->arc[i].weight : g->weight_max;
        twice += a->arc[i].weight;
    }
    for (uint32_t v = 0; v < g->n; v++) {
        if (g->start[v + 1] > g->degree_max)
            g->degree_max = (uint32_t)g->start[v + 1];
        g->start[v + 1] += g->start[v];
    }
    g->weight_sum = twice / 2;
}

static void weigh_vertices(struct placement_graph *g, const struct graph_look *look,
                           struct pr_rng *rng)
{
    g->vertex_weight_sum = g->n;
    if (look->vertex_weight <= 1)
        return;
    g->vertex_weight = room(g->n, sizeof *g->vertex_weight);
    g->vertex_weight_sum = 0;
    for (uint32_t v = 0; v < g->n; v++) {
        const uint64_t weight =
            pr_rng_below(rng, 20) == 0 ? 0 : 1 + pr_rng_below(rng, look->vertex_weight);
        g->vertex_weight[look->renamed == NULL ? v : look->renamed[v]] = weight;
        g->vertex_weight_sum += weight;
    }
}

struct placement_graph graph_of_look(const struct graph_look *look, uint64_t seed)
{
    struct placement_graph g = { .n = look->n };
    struct arcs a = { .look = look };
    pr_rng_init(&a.rng, seed);
    join_all(&a);
    if (a.n > 0)
        qsort(a.arc, a.n, sizeof *a.arc, by_ends_and_weight);
    g.start = room((size_t)g.n + 1, sizeof *g.start);
    g.to = room(a.n, sizeof *g.to);
    g.weight = room(a.n, sizeof *g.weight);
    fill_rows(&g, &a);
    weigh_vertices(&g, look, &a.rng);
    if (look->edge_weight <= 1) {
        free(g.weight);
        g.weight = NULL;
    }
    free(a.arc);
    return g;
}

uint32_t *graph_renaming(uint32_t n, uint64_t seed)
{
    uint32_t *name = room(n, sizeof *name);
    struct pr_rng rng;
    pr_rng_init(&rng, seed);
    for (uint32_t v = 0; v < n; v++) {
        const uint32_t other = (uint32_t)pr_rng_below(&rng, v + 1u);
        name[v] = name[other];
        name[other] = v;
    }
    return name;
}
