/* From what a builder holds to a graph. */
#include "core/build_internal.h"
#include "core/code.h"

#include <stdlib.h>

enum { PIECE_EDGES = 1 << 16 };

/* --- watched passes ---------------------------------------------------------- */

struct slice {
    void (*fn)(void *, unsigned, uint64_t, uint64_t);
    void *ctx;
    uint64_t at, n;
    unsigned range;
};

static void run_slice(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    const struct slice *s = ctx;
    s->fn(s->ctx, worker, s->at + begin, s->at + end);
}

static void run_ranges(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    const struct slice *s = ctx;
    (void)worker;
    for (uint64_t range = begin; range < end; range++)
        s->fn(s->ctx, s->range + (unsigned)range, s->at, s->at + s->n);
}

static enum pr_code watch(const struct build_pass *p, double done, struct pr_err *err)
{
    const struct placement_watch *const w = &p->b->opts.watch;
    done += p->done;
    if (w->go_on == NULL || w->go_on(w->ctx, done > 1 ? 1 : done))
        return PR_OK;
    return pr_fail(err, PR_ECANCELED, "canceled while building the graph");
}

enum pr_code build_pass_run(struct build_pass *p, double share, uint64_t n, uint64_t grain,
                            uint64_t slice, void (*fn)(void *, unsigned, uint64_t, uint64_t),
                            void *ctx, struct pr_err *err)
{
    struct slice s = { .fn = fn, .ctx = ctx };
    for (; s.at < n; s.at += slice) {
        const enum pr_code rc = watch(p, share * (double)s.at / (double)n, err);
        if (rc != PR_OK)
            return rc;
        s.n = n - s.at < slice ? n - s.at : slice;
        pr_pool_for(p->b->opts.pool, s.n, grain, run_slice, &s);
    }
    p->done += share;
    return PR_OK;
}

enum pr_code build_pass_ranges(struct build_pass *p, double share, unsigned ranges, uint64_t n,
                               uint64_t slice, void (*fn)(void *, unsigned, uint64_t, uint64_t),
                               void *ctx, struct pr_err *err)
{
    const unsigned threads = pr_pool_threads(p->b->opts.pool);
    struct slice s = { .fn = fn, .ctx = ctx };
    for (; s.range < ranges; s.range += threads)
        for (s.at = 0; s.at < n; s.at += slice) {
            const double of_these = (double)s.at / (double)n;
            const unsigned left = ranges - s.range, now = left < threads ? left : threads;
            const enum pr_code rc =
                watch(p, share * (s.range + of_these * now) / (double)ranges, err);
            if (rc != PR_OK)
                return rc;
            s.n = n - s.at < slice ? n - s.at : slice;
            pr_pool_for(p->b->opts.pool, now, 1, run_ranges, &s);
        }
    p->done += share;
    return PR_OK;
}

/* --- the parts --------------------------------------------------------------- */

static enum pr_code cut_pieces(const struct placement_builder *b, struct edge_pieces *out,
                               struct pr_err *err)
{
    *out = (struct edge_pieces){ .n = 0 };
    out->piece = malloc((b->edges / PIECE_EDGES + b->runs + 1) * sizeof *out->piece);
    if (out->piece == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory building the graph");
    for (size_t r = 0; r < b->runs; r++) {
        const struct edge_run *const run = &b->run[r];
        for (size_t at = 0; at < run->n; at += PIECE_EDGES)
            out->piece[out->n++] = (struct edge_piece){
                .pair = run->pair + 2 * at,
                .weight = run->weight == NULL ? NULL : run->weight + at,
                .n = run->n - at < PIECE_EDGES ? run->n - at : PIECE_EDGES,
            };
    }
    return PR_OK;
}

static enum pr_code check_vertex_weights(struct placement_graph *g, struct pr_err *err)
{
    uint64_t sum = 0;
    bool ones = true;
    for (uint32_t v = 0; v < g->n; v++) {
        const uint64_t w = g->vertex_weight[v];
        if (w > INT64_MAX - sum)
            return pr_fail(err, PR_EFULL, "the vertex weights add up to more than 2^63 - 1");
        sum += w;
        ones &= w == 1;
    }
    if (sum == 0)
        return pr_fail(err, PR_EINVAL, "all vertex weights are 0");
    g->vertex_weight_sum = sum;
    if (ones) {
        free(g->vertex_weight);
        g->vertex_weight = NULL;
    }
    return PR_OK;
}

static enum pr_code set_vertex_weights(struct placement_builder *b, const struct numbering *nb,
                                       struct placement_graph *g, struct pr_err *err)
{
    g->vertex_weight_sum = g->n;
    if (b->vertex_weight == NULL)
        return PR_OK;
    g->vertex_weight = malloc(g->n * sizeof *g->vertex_weight);
    if (g->vertex_weight == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for vertex weights");
    for (uint32_t v = 0; v < g->n; v++)
        g->vertex_weight[v] = 1;
    for (size_t i = 0; i < b->vertices; i++)
        g->vertex_weight[numbering_of(nb, b->vertex[i])] = b->vertex_weight[i];
    return check_vertex_weights(g, err);
}

static enum pr_code finish(struct placement_builder *b, struct edge_pieces *list,
                           struct numbering *nb, struct placement_graph *g, struct pr_err *err)
{
    enum pr_code rc = builder_number(b, list, nb, err);
    if (rc != PR_OK)
        return rc;
    g->n = nb->n;
    rc = builder_check_budget(b, g->n, b->weighted, err);
    if (rc == PR_OK) /* small next to the list, and it may refuse */
        rc = set_vertex_weights(b, nb, g, err);
    if (rc == PR_OK)
        rc = builder_rows(b, list, nb, g, err);
    if (rc == PR_OK && b->opts.coded && g->weight == NULL)
        rc = placement_graph_code(g, b->opts.pool, err);
    g->id = nb->id;
    nb->id = NULL;
    return rc;
}

enum pr_code placement_builder_finish(struct placement_builder *b, struct placement_graph *out,
                                      struct pr_err *err)
{
    struct edge_pieces list;
    struct numbering nb = { .n = 0 };
    struct placement_graph g = { .n = 0 };
    if (b->edges == 0 && b->vertices == 0)
        return pr_fail(err, PR_EINVAL, "empty graph: no vertex");
    enum pr_code rc = cut_pieces(b, &list, err);
    if (rc == PR_OK)
        rc = finish(b, &list, &nb, &g, err);
    free(list.piece);
    numbering_done(&nb);
    if (rc != PR_OK) {
        placement_graph_done(&g);
        return rc;
    }
    *out = g;
    return PR_OK;
}

enum pr_code placement_graph_build(const struct graph_edges *edges, struct placement_graph *out,
                                   struct pr_err *err)
{
    const struct placement_build_opts opts = { .pool = NULL };
    struct placement_builder *b = NULL;
    if (edges->n == 0)
        return pr_fail(err, PR_EINVAL, "empty graph: no edge");
    enum pr_code rc = placement_builder_new(&opts, &b, err);
    if (rc == PR_OK)
        rc = placement_builder_add(b, edges->edge, edges->n, err);
    if (rc == PR_OK)
        rc = placement_builder_finish(b, out, err);
    placement_builder_free(b);
    return rc;
}
