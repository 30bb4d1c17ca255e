#include "warm_bench.h"

#include "core/build.h"
#include "input.h"
#include "prism/rng.h"

#include <stdlib.h>

enum { GROWTH_PER = 100 }; /* one new edge per so many old ones */

static int by_value(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bool has_edge(const struct placement_graph *g, uint32_t u, uint32_t v)
{
    const struct placement_row row = placement_row(g, u, NULL);
    return bsearch(&v, row.to, row.n, sizeof v, by_value) != NULL;
}

static void sort_changed(struct warm_graphs *w)
{
    uint32_t kept = 0;
    qsort(w->changed, w->n_changed, sizeof *w->changed, by_value);
    for (uint32_t i = 0; i < w->n_changed; i++)
        if (i == 0 || w->changed[i] != w->changed[kept - 1])
            w->changed[kept++] = w->changed[i];
    w->n_changed = kept;
}

/* --- making a graph from another and a few edges ----------------------------- */

struct grow {
    struct placement_builder *builder;
    struct graph_edge batch[1024];
    size_t n;
};

static enum pr_code flush_edges(struct grow *s, struct pr_err *err)
{
    const size_t n = s->n;
    s->n = 0;
    return placement_builder_add(s->builder, s->batch, n, err);
}

static enum pr_code add_edge(struct grow *s, uint32_t u, uint32_t v, struct pr_err *err)
{
    s->batch[s->n++] = (struct graph_edge){ u, v, 1 };
    return s->n == PR_COUNT(s->batch) ? flush_edges(s, err) : PR_OK;
}

static enum pr_code grow_init(struct grow *s, const struct placement_graph *like,
                              struct pr_pool *pool, struct pr_err *err)
{
    const struct placement_build_opts opts = { .pool = pool };
    enum pr_code rc = placement_builder_new(&opts, &s->builder, err);
    for (uint32_t v = 0; v < like->n && rc == PR_OK; v++) {
        const struct graph_vertex vertex = { v, 1 };
        rc = placement_builder_add_vertices(s->builder, &vertex, 1, err);
    }
    return rc;
}

/* Whether the edge is one of those held back: every hundredth by hash. */
static bool held_back(uint64_t seed, uint32_t u, uint32_t v)
{
    return pr_mix64(((uint64_t)u << 32 | v) ^ pr_mix64(seed)) % GROWTH_PER == 0;
}

/* The edges of g, less those held back when there is a list for their ends. */
static enum pr_code copy_edges(struct grow *s, const struct placement_graph *g, uint64_t seed,
                               struct warm_graphs *w, bool hold, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (uint32_t v = 0; v < g->n; v++) {
        const struct placement_row row = placement_row(g, v, NULL);
        for (uint32_t i = 0; i < row.n && rc == PR_OK; i++) {
            if (row.to[i] < v)
                continue;
            if (hold && held_back(seed, v, row.to[i])) {
                w->changed[w->n_changed++] = v;
                w->changed[w->n_changed++] = row.to[i];
            } else {
                rc = add_edge(s, v, row.to[i], err);
            }
        }
    }
    return rc;
}

static enum pr_code add_random(struct grow *s, const struct placement_graph *g, uint64_t seed,
                               struct warm_graphs *w, struct pr_err *err)
{
    struct pr_rng rng;
    enum pr_code rc = PR_OK;
    pr_rng_init(&rng, seed);
    for (uint64_t left = g->arcs / 2 / GROWTH_PER; left > 0 && rc == PR_OK;) {
        const uint32_t u = (uint32_t)pr_rng_below(&rng, g->n);
        const uint32_t v = (uint32_t)pr_rng_below(&rng, g->n);
        if (u == v || has_edge(g, u, v))
            continue;
        w->changed[w->n_changed++] = u;
        w->changed[w->n_changed++] = v;
        rc = add_edge(s, u, v, err);
        left--;
    }
    return rc;
}

static enum pr_code make_other(const struct bench_task *t, const struct placement_graph *g,
                               struct pr_pool *pool, struct warm_graphs *w,
                               struct placement_graph *other, struct pr_err *err)
{
    const bool hold = t->kind == BENCH_WARM_OWN;
    struct grow *s = calloc(1, sizeof *s);
    w->changed = malloc((g->arcs + 2) * sizeof *w->changed);
    if (s == NULL || w->changed == NULL) {
        free(s);
        return pr_fail(err, PR_ENOMEM, "out of memory for new edges");
    }
    enum pr_code rc = grow_init(s, g, pool, err);
    if (rc == PR_OK)
        rc = copy_edges(s, g, t->seed, w, hold, err);
    if (rc == PR_OK && !hold)
        rc = add_random(s, g, t->seed, w, err);
    if (rc == PR_OK)
        rc = flush_edges(s, err);
    if (rc == PR_OK)
        rc = placement_builder_finish(s->builder, other, err);
    if (rc == PR_OK && other->n != g->n)
        rc = pr_fail(err, PR_EINTERNAL, "%u vertices became %u", g->n, other->n);
    placement_builder_free(s->builder);
    free(s);
    return rc;
}

enum pr_code warm_graphs_init(const struct bench_task *t, struct pr_pool *pool,
                              struct warm_graphs *out, struct pr_err *err)
{
    const bool hold = t->kind == BENCH_WARM_OWN;
    *out = (struct warm_graphs){ .changed = NULL };
    enum pr_code rc = bench_load(t, pool, hold ? &out->grown : &out->old, err);
    if (rc == PR_OK)
        rc = make_other(t, hold ? &out->grown : &out->old, pool, out,
                        hold ? &out->old : &out->grown, err);
    if (rc == PR_OK)
        sort_changed(out);
    return rc;
}

void warm_graphs_done(struct warm_graphs *g)
{
    placement_graph_done(&g->old);
    placement_graph_done(&g->grown);
    free(g->changed);
}
