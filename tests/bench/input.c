#include "input.h"

#include "core/build.h"
#include "prism/rng.h"
#include "score.h"

#include <math.h>
#include <stdlib.h>

enum pr_code bench_load(const struct bench_task *t, struct pr_pool *pool, struct placement_graph *g,
                        struct pr_err *err)
{
    const struct placement_build_opts opts = { .pool = pool, .coded = t->coded };
    struct placement_builder *b = NULL;
    enum pr_code rc = placement_builder_new(&opts, &b, err);
    if (rc == PR_OK)
        rc = graph_read_each(t->graph, GRAPH_AUTO, placement_builder_sink, b, err);
    if (rc == PR_OK)
        rc = placement_builder_finish(b, g, err);
    placement_builder_free(b);
    return rc;
}

/* Equal for both directions of an edge. */
static uint32_t edge_weight(uint32_t u, uint32_t v)
{
    const uint64_t a = u < v ? u : v, b = u < v ? v : u;
    return 1 + (uint32_t)(pr_mix64(a << 32 | b) % 100);
}

/* Edges 1..100; vertices 1..1000, one in a thousand of them heavy. */
static enum pr_code add_weights(struct placement_graph *g, struct pr_err *err)
{
    if (g->coded != NULL)
        return pr_fail(err, PR_EINVAL, "weights do not go with gap-coded rows");
    free(g->weight);
    g->weight = malloc((g->arcs + 1) * sizeof *g->weight);
    g->vertex_weight = malloc(((size_t)g->n + 1) * sizeof *g->vertex_weight);
    if (g->weight == NULL || g->vertex_weight == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for weights");
    uint64_t twice = 0;
    g->vertex_weight_sum = 0;
    g->weight_max = 100;
    for (uint32_t v = 0; v < g->n; v++) {
        g->vertex_weight[v] = 1 + (uint64_t)(1 / (0.001 + (double)(pr_mix64(v) >> 11) * 0x1p-53));
        g->vertex_weight_sum += g->vertex_weight[v];
        for (uint64_t a = g->start[v]; a < g->start[v + 1]; a++) {
            g->weight[a] = edge_weight(v, g->to[a]);
            twice += g->weight[a];
        }
    }
    g->weight_sum = twice / 2;
    return PR_OK;
}

static void set_capacities(const struct bench_task *t, const struct placement_graph *g,
                           struct bench_terms *terms)
{
    const bool unequal = t->variant == BENCH_UNEQUAL || t->variant == BENCH_HARD;
    const double parts = unequal && t->blocks > 1 ? t->blocks - 0.5 : t->blocks;
    for (uint32_t b = 0; b < t->blocks; b++) {
        terms->share[b] = (unequal && b > 0 && b + 1 == t->blocks ? 0.5 : 1) / parts;
        const double even = terms->share[b] * (double)g->vertex_weight_sum;
        terms->capacity[b] = (uint64_t)fmax(floor(even * (1 + t->imbalance) + 1e-6), ceil(even));
    }
}

enum pr_code bench_terms_init(const struct bench_task *t, struct placement_graph *g,
                              struct bench_terms *out, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    *out = (struct bench_terms){ .share = calloc(t->blocks, sizeof *out->share),
                                 .capacity = calloc(t->blocks, sizeof *out->capacity) };
    if (t->variant == BENCH_FIXED || t->variant == BENCH_HARD)
        out->fixed = malloc((size_t)g->n * sizeof *out->fixed);
    if (out->share == NULL || out->capacity == NULL ||
        (out->fixed == NULL && (t->variant == BENCH_FIXED || t->variant == BENCH_HARD)))
        return pr_fail(err, PR_ENOMEM, "out of memory for %u blocks", t->blocks);
    if (t->variant == BENCH_WEIGHTED || t->variant == BENCH_HARD)
        rc = add_weights(g, err);
    set_capacities(t, g, out);
    struct pr_rng rng;
    pr_rng_init(&rng, 4711);
    for (uint32_t v = 0; out->fixed != NULL && v < g->n; v++)
        out->fixed[v] =
            pr_rng_below(&rng, 20) == 0 ? (uint16_t)pr_rng_below(&rng, t->blocks) : UINT16_MAX;
    return rc;
}

void bench_terms_done(struct bench_terms *t)
{
    free(t->share);
    free(t->capacity);
    free(t->fixed);
    *t = (struct bench_terms){ 0 };
}

enum pr_code bench_score_cut(const struct bench_task *t, const struct placement_graph *g,
                             const struct bench_terms *terms, const uint16_t *block,
                             struct bench_outcome *o, struct pr_err *err)
{
    uint64_t cut = 0;
    enum pr_code rc = score_cut(g, block, &cut, err);
    if (rc == PR_OK)
        rc = score_imbalance(g, block, t->blocks, terms->share, &o->imbalance, err);
    for (uint32_t v = 0; terms->fixed != NULL && v < g->n && rc == PR_OK; v++)
        if (terms->fixed[v] != UINT16_MAX && terms->fixed[v] != block[v])
            rc = pr_fail(err, PR_EINTERNAL, "vertex %u is in block %u, fixed to %u", v, block[v],
                         terms->fixed[v]);
    o->cut_ratio = g->weight_sum == 0 ? 0 : (double)cut / (double)g->weight_sum;
    o->hash = score_hash(block, (size_t)g->n * sizeof *block);
    return rc;
}

enum pr_code bench_score_communities(const struct placement_graph *g, const uint32_t *label,
                                     struct bench_outcome *o, struct pr_err *err)
{
    o->hash = score_hash(label, (size_t)g->n * sizeof *label);
    return score_modularity(g, label, &o->modularity, &o->communities, err);
}
