#include "placement_graphs.h"

#include "t.h"

#include "core/code.h"
#include "engine/community.h"
#include "placement_csr.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Random graphs of every kind, large enough for batches as well as small.
 * PRISM_SEED picks others. */

enum { ROUNDS = T_ROUNDS(160), MOST_THREADS = 4 };

static struct pr_pool *pools[MOST_THREADS + 1];
static uint64_t seed = 20261121;

struct found {
    struct placement_communities out;
    uint32_t *community;
};

static struct found find(struct placement_communities_input in, const struct placement_graph *g,
                         unsigned threads)
{
    struct found f = { .community = malloc(((size_t)g->n + 1) * sizeof *f.community) };
    struct pr_err err;
    assert_non_null(f.community);
    in.graph = g;
    in.pool = pools[threads];
    assert_ok(placement_communities(&in, f.community, &f.out, &err), &err);
    return f;
}

static uint32_t *zeros(uint32_t n)
{
    uint32_t *p = calloc((size_t)n + 1, sizeof *p);
    assert_non_null(p);
    return p;
}

/* From the definition, in another order than the engine's. */
static double modularity(const struct placement_graph *g, const struct found *f, double resolution)
{
    double *degree = calloc((size_t)f->out.count + 1, sizeof *degree), inside = 0, q = 0;
    const double all = 2 * (double)g->weight_sum;
    assert_non_null(degree);
    for (uint32_t v = g->n; v-- > 0;)
        for (uint64_t a = g->start[v]; a < g->start[v + 1]; a++) {
            const double weight = g->weight == NULL ? 1 : g->weight[a];
            degree[f->community[v]] += weight;
            if (f->community[v] == f->community[g->to[a]])
                inside += weight;
        }
    for (uint32_t c = f->out.count; c-- > 0 && g->weight_sum > 0;)
        q -= resolution * (degree[c] / all) * (degree[c] / all);
    free(degree);
    return g->weight_sum == 0 ? 0 : q + inside / all;
}

static void check_numbering(const struct placement_graph *g, const struct found *f)
{
    uint32_t next = 0;
    for (uint32_t v = 0; v < g->n; v++) {
        assert_true(f->community[v] <= next);
        next += f->community[v] == next;
    }
    assert_int_equal(next, f->out.count);
}

static void check_weights(const struct placement_graph *g, const struct found *f,
                          const struct placement_communities_input *in)
{
    uint64_t *weight = calloc((size_t)f->out.count + 1, sizeof *weight);
    uint32_t below = 0;
    assert_non_null(weight);
    for (uint32_t v = 0; v < g->n; v++)
        weight[f->community[v]] += placement_vertex_weight(g, v);
    for (uint32_t c = 0; c < f->out.count; c++) {
        assert_true(in->max_weight == 0 || weight[c] <= in->max_weight);
        below += weight[c] < in->min_weight;
    }
    assert_int_equal(below, f->out.below_min);
    /* Too light and still there: no neighbour had room. */
    for (uint32_t v = 0; v < g->n && below > 0; v++)
        for (uint64_t a = g->start[v]; a < g->start[v + 1]; a++) {
            const uint32_t own = f->community[v], other = f->community[g->to[a]];
            if (own != other && weight[own] < in->min_weight)
                assert_true(in->max_weight > 0 && weight[own] + weight[other] > in->max_weight);
        }
    free(weight);
}

/* Every community is one piece: as many trees as communities. */
static void check_connected(const struct placement_graph *g, const struct found *f)
{
    uint32_t *seen = zeros(g->n), *queue = zeros(g->n), trees = 0;
    for (uint32_t root = 0; root < g->n; root++) {
        uint32_t in = 0, out = 0;
        if (seen[root])
            continue;
        trees++;
        seen[root] = 1;
        for (queue[in++] = root; out < in; out++)
            for (uint64_t a = g->start[queue[out]]; a < g->start[queue[out] + 1]; a++) {
                const uint32_t u = g->to[a];
                if (seen[u] || f->community[u] != f->community[root])
                    continue;
                seen[u] = 1;
                queue[in++] = u;
            }
    }
    assert_int_equal(trees, f->out.count);
    free(seen);
    free(queue);
}

static void check_same(const struct placement_graph *g, const struct found *a, struct found b)
{
    assert_memory_equal(a->community, b.community, g->n * sizeof *b.community);
    assert_memory_equal(&a->out, &b.out, sizeof b.out);
    free(b.community);
}

static struct graph_look random_look(struct pr_rng *rng, unsigned round)
{
    struct graph_look look = { .kind = (enum graph_kind)(round % KINDS) };
    look.n = 1 + (uint32_t)pr_rng_below(rng, pr_rng_below(rng, 3) == 0 ? 12000 : 600);
    if (look.kind == KIND_CLIQUE)
        look.n = 1 + look.n % 300;
    static const uint32_t weights[] = { 1, 1, 1, 9, 1000, UINT32_MAX };
    look.edge_weight = weights[pr_rng_below(rng, PR_COUNT(weights))];
    look.vertex_weight = pr_rng_below(rng, 2) == 0 ? 1 : 1 + pr_rng_below(rng, 100);
    return look;
}

static struct placement_communities_input random_input(struct pr_rng *rng,
                                                       const struct placement_graph *g)
{
    struct placement_communities_input in = {
        .method = pr_rng_below(rng, 3) == 0 ? PLACEMENT_LOUVAIN : PLACEMENT_LEIDEN,
        .resolution = pr_rng_below(rng, 2) == 0 ? 1 : exp(4 * pr_rng_unit(rng) - 2),
        .seed = pr_rng_next(rng),
    };
    uint64_t heaviest = 1;
    for (uint32_t v = 0; v < g->n; v++)
        if (placement_vertex_weight(g, v) > heaviest)
            heaviest = placement_vertex_weight(g, v);
    if (pr_rng_below(rng, 2) == 0)
        in.max_weight = heaviest + pr_rng_below(rng, g->vertex_weight_sum / 4 + 2);
    if (pr_rng_below(rng, 2) == 0)
        in.min_weight = pr_rng_below(rng, g->vertex_weight_sum / 8 + 2);
    if (in.max_weight > 0 && in.min_weight > in.max_weight)
        in.min_weight = in.max_weight;
    return in;
}

static void every_result_is_as_promised(void **state)
{
    (void)state;
    struct pr_rng rng;
    pr_rng_init(&rng, seed);
    for (unsigned round = 0; round < ROUNDS; round++) {
        const struct graph_look look = random_look(&rng, round);
        struct placement_graph g = graph_of_look(&look, pr_rng_next(&rng));
        const struct placement_communities_input in = random_input(&rng, &g);
        print_message("PRISM_SEED=%" PRIu64 " round %u: %s, %" PRIu32 " vertices, %" PRIu64
                      " arcs\n",
                      seed, round, graph_kind_name[look.kind], g.n, g.arcs);
        const struct found f = find(in, &g, 1);
        check_numbering(&g, &f);
        check_weights(&g, &f, &in);
        const double want = modularity(&g, &f, in.resolution);
        assert_true(fabs(f.out.modularity - want) < 1e-9);
        assert_true(fabs(placement_modularity(&g, f.community, in.resolution, pools[3]) - want) <
                    1e-9);
        if (in.method == PLACEMENT_LEIDEN)
            check_connected(&g, &f);
        for (unsigned threads = 2; threads <= MOST_THREADS; threads++)
            check_same(&g, &f, find(in, &g, threads));
        if (g.weight == NULL && g.arcs > 0) {
            assert_int_equal(placement_graph_code(&g, NULL, NULL), PR_OK);
            check_same(&g, &f, find(in, &g, 2));
        }
        free(f.community);
        placement_graph_done(&g);
    }
}

/* Vertices of a planted graph know where they belong, whatever the seed; a
 * result that modularity calls no better than the planted one has failed. */
static void planted_communities_are_found(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < T_ROUNDS(6); i++) {
        const struct graph_look look = { .kind = KIND_PLANTED, .n = 10000 };
        struct placement_graph g = graph_of_look(&look, seed + i);
        struct found planted = { .out.count = 200, .community = zeros(g.n) };
        for (uint32_t v = 0; v < g.n; v++)
            planted.community[v] = v / 50;
        const struct placement_communities_input in = {
            .method = i % 2 == 0 ? PLACEMENT_LEIDEN : PLACEMENT_LOUVAIN, .resolution = 1, .seed = i
        };
        const struct found f = find(in, &g, 2);
        assert_true(f.out.modularity > modularity(&g, &planted, 1) - .002);
        free(planted.community);
        free(f.community);
        placement_graph_done(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_result_is_as_promised),
        cmocka_unit_test(planted_communities_are_found),
    };
    if (getenv("PRISM_SEED") != NULL)
        seed = strtoull(getenv("PRISM_SEED"), NULL, 10);
    for (unsigned i = 1; i <= MOST_THREADS; i++)
        if (pr_pool_new(i, &pools[i], NULL) != PR_OK)
            return EXIT_FAILURE;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (unsigned i = 1; i <= MOST_THREADS; i++)
        pr_pool_free(pools[i]);
    return failed;
}
