/* Measures what ships. */
#include "bench.h"
#include "engine/community.h"
#include "engine/partition.h"
#include "engine/warm.h"
#include "input.h"
#include "score.h"
#include "warm_bench.h"

#include <stdlib.h>

struct clock {
    double wall_s, cpu_s;
};
static struct clock now(void)
{
    return (struct clock){ bench_wall_s(), bench_cpu_s() };
}
static void elapsed(struct clock from, struct bench_outcome *o)
{
    o->work_s = bench_wall_s() - from.wall_s;
    o->cpu_s = bench_cpu_s() - from.cpu_s;
}

static enum pr_code cut(const struct bench_task *t, const struct placement_graph *g,
                        const struct bench_terms *terms, struct pr_pool *pool, uint16_t *block,
                        struct placement_partition_result *r, struct pr_err *err)
{
    const struct placement_partition_input in = { .graph = g,
                                                  .blocks = t->blocks,
                                                  .capacity = terms->capacity,
                                                  .fixed = terms->fixed,
                                                  .seed = t->seed,
                                                  .seeds = t->tries,
                                                  .pool = pool };
    return placement_partition(&in, block, r, err);
}

/* The cut as counted here, which must be what the engine says. */
static enum pr_code check_cut(const struct placement_graph *g, const uint16_t *block, uint64_t said,
                              double *ratio, struct pr_err *err)
{
    uint64_t counted = 0;
    enum pr_code rc = score_cut(g, block, &counted, err);
    *ratio = g->weight_sum == 0 ? 0 : (double)counted / (double)g->weight_sum;
    if (rc == PR_OK && counted != said)
        rc = pr_fail(err, PR_EINTERNAL, "the engine says cut %llu, counted %llu",
                     (unsigned long long)said, (unsigned long long)counted);
    return rc;
}

static enum pr_code measure_cut(const struct bench_task *t, struct placement_graph *g,
                                struct pr_pool *pool, struct bench_outcome *o, struct pr_err *err)
{
    struct bench_terms terms;
    struct placement_partition_result r = { 0 };
    uint16_t *block = malloc((size_t)g->n * sizeof *block);
    enum pr_code rc = bench_terms_init(t, g, &terms, err);
    if (rc == PR_OK && block == NULL)
        rc = pr_fail(err, PR_ENOMEM, "out of memory for blocks");
    if (rc == PR_OK) {
        const struct clock from = now();
        rc = cut(t, g, &terms, pool, block, &r, err);
        elapsed(from, o);
    }
    if (rc == PR_OK)
        rc = check_cut(g, block, r.cut, &o->cut_ratio, err);
    if (rc == PR_OK)
        rc = bench_score_cut(t, g, &terms, block, o, err);
    bench_terms_done(&terms);
    free(block);
    return rc;
}

static enum pr_code measure_communities(const struct bench_task *t, const struct placement_graph *g,
                                        struct pr_pool *pool, struct bench_outcome *o,
                                        struct pr_err *err)
{
    struct placement_communities r;
    uint32_t *label = malloc((size_t)g->n * sizeof *label);
    if (label == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for communities");
    const struct placement_communities_input in = {
        .graph = g,
        .method = t->kind == BENCH_LEIDEN ? PLACEMENT_LEIDEN : PLACEMENT_LOUVAIN,
        .resolution = 1,
        .seed = t->seed,
        .pool = pool,
    };
    const struct clock from = now();
    enum pr_code rc = placement_communities(&in, label, &r, err);
    elapsed(from, o);
    if (rc == PR_OK)
        rc = bench_score_communities(g, label, o, err);
    free(label);
    return rc;
}

/* --- warm start --------------------------------------------------------------- */

struct warm_blocks {
    uint16_t *today, *fresh, *warm;
};

static enum pr_code cut_both(const struct bench_task *t, const struct warm_graphs *w,
                             const struct bench_terms *terms, struct pr_pool *pool,
                             struct warm_blocks *b, struct bench_outcome *o, struct pr_err *err)
{
    struct placement_partition_result r;
    enum pr_code rc = cut(t, &w->old, terms, pool, b->today, &r, err);
    if (rc != PR_OK)
        return rc;
    const double from = bench_wall_s();
    rc = cut(t, &w->grown, terms, pool, b->fresh, &r, err);
    o->fresh_s = bench_wall_s() - from;
    return rc == PR_OK ? check_cut(&w->grown, b->fresh, r.cut, &o->fresh_ratio, err) : rc;
}

static enum pr_code warm_start(const struct bench_task *t, const struct warm_graphs *w,
                               const struct bench_terms *terms, struct pr_pool *pool,
                               struct warm_blocks *b, struct bench_outcome *o, struct pr_err *err)
{
    struct placement_warm_result r;
    uint64_t today_cut;
    enum pr_code rc = score_cut(&w->grown, b->today, &today_cut, err);
    const struct placement_warm_input in = {
        .graph = &w->grown,
        .blocks = t->blocks,
        .capacity = terms->capacity,
        .today = b->today,
        .changed = t->known ? w->changed : NULL,
        .n_changed = t->known ? w->n_changed : 0,
        .cut_today = t->known ? &today_cut : NULL,
        .price = t->price,
        .moves = (uint64_t)(t->cap * w->grown.n),
        .pool = pool,
    };
    o->today_ratio = (double)today_cut / (double)w->grown.weight_sum;
    if (rc != PR_OK)
        return rc;
    const struct clock from = now();
    rc = placement_warm(&in, b->warm, &r, err);
    elapsed(from, o);
    return rc == PR_OK ? check_cut(&w->grown, b->warm, r.cut, &o->cut_ratio, err) : rc;
}

static enum pr_code score_warm(const struct bench_task *t, const struct warm_graphs *w,
                               const struct bench_terms *terms, const struct warm_blocks *b,
                               struct bench_outcome *o, struct pr_err *err)
{
    enum pr_code rc = bench_score_cut(t, &w->grown, terms, b->warm, o, err);
    if (rc == PR_OK)
        rc = score_moved(b->today, b->warm, w->grown.n, t->blocks, false, &o->moved_ratio, err);
    if (rc == PR_OK)
        rc = score_moved(b->today, b->fresh, w->grown.n, t->blocks, true, &o->fresh_moved_ratio,
                         err);
    return rc;
}

static enum pr_code measure_warm(const struct bench_task *t, struct pr_pool *pool,
                                 struct bench_outcome *o, struct pr_err *err)
{
    struct warm_graphs w;
    struct bench_terms terms = { .share = NULL };
    struct warm_blocks b = { 0 };
    enum pr_code rc = warm_graphs_init(t, pool, &w, err);
    o->vertices = w.grown.n;
    o->edges = w.grown.arcs / 2;
    if (rc == PR_OK)
        rc = bench_terms_init(t, &w.grown, &terms, err);
    b.today = malloc(((size_t)w.grown.n + 1) * sizeof *b.today);
    b.fresh = malloc(((size_t)w.grown.n + 1) * sizeof *b.fresh);
    b.warm = malloc(((size_t)w.grown.n + 1) * sizeof *b.warm);
    if (rc == PR_OK && (b.today == NULL || b.fresh == NULL || b.warm == NULL))
        rc = pr_fail(err, PR_ENOMEM, "out of memory for blocks");
    if (rc == PR_OK)
        rc = cut_both(t, &w, &terms, pool, &b, o, err);
    if (rc == PR_OK)
        rc = warm_start(t, &w, &terms, pool, &b, o, err);
    if (rc == PR_OK)
        rc = score_warm(t, &w, &terms, &b, o, err);
    free(b.today);
    free(b.fresh);
    free(b.warm);
    bench_terms_done(&terms);
    warm_graphs_done(&w);
    return rc;
}

/* --- which measurement ---------------------------------------------------------- */

static enum pr_code measure(const struct bench_task *t, struct pr_pool *pool,
                            struct bench_outcome *o, struct pr_err *err)
{
    struct placement_graph g = { 0 };
    const double from = bench_wall_s();
    enum pr_code rc = bench_load(t, pool, &g, err);
    o->load_s = bench_wall_s() - from;
    o->vertices = g.n;
    o->edges = g.arcs / 2;
    if (rc == PR_OK && t->kind == BENCH_CUT)
        rc = measure_cut(t, &g, pool, o, err);
    else if (rc == PR_OK && t->kind != BENCH_LOAD)
        rc = measure_communities(t, &g, pool, o, err);
    placement_graph_done(&g);
    return rc;
}

static enum pr_code work(const struct bench_task *t, struct bench_outcome *o, struct pr_err *err)
{
    struct pr_pool *pool = NULL;
    if (t->kind == BENCH_PREPARE)
        return bench_prepare(t, o, err);
    enum pr_code rc = pr_pool_new(t->threads, &pool, err);
    if (rc == PR_OK && (t->kind == BENCH_WARM || t->kind == BENCH_WARM_OWN))
        rc = measure_warm(t, pool, o, err);
    else if (rc == PR_OK)
        rc = measure(t, pool, o, err);
    pr_pool_free(pool);
    return rc;
}

int main(int argc, char **argv)
{
    return bench_worker(argc, argv, work);
}
