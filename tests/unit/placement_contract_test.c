#include "t.h"

#include "engine/contract.h"
#include "prism/rng.h"

#include <stdlib.h>
#include <string.h>

enum { N = 600, GROUPS = 40 };

/* A ring with random chords and weights, by hand: this is about contraction. */
static struct placement_graph ring(uint64_t seed, bool weighted)
{
    static uint32_t weight[N][N];
    struct placement_graph g = { .n = N, .vertex_weight_sum = 0 };
    struct pr_rng rng;
    pr_rng_init(&rng, seed);
    memset(weight, 0, sizeof weight);
    for (uint32_t i = 0; i < 4 * N; i++) {
        const uint32_t u = i % N;
        const uint32_t v = i < N ? (u + 1) % N : (uint32_t)pr_rng_below(&rng, N);
        const uint32_t w = weighted ? 1 + (uint32_t)pr_rng_below(&rng, 9) : 1;
        if (u != v)
            weight[u][v] = weight[v][u] = w;
    }
    g.start = calloc(N + 1, sizeof *g.start);
    g.to = malloc(N * N * sizeof *g.to);
    g.weight = weighted ? malloc(N * N * sizeof *g.weight) : NULL;
    g.vertex_weight = malloc(N * sizeof *g.vertex_weight);
    for (uint32_t u = 0; u < N; u++) {
        for (uint32_t v = 0; v < N; v++) {
            if (weight[u][v] == 0)
                continue;
            if (weighted)
                g.weight[g.arcs] = weight[u][v];
            g.to[g.arcs++] = v;
            g.weight_sum += u < v ? weight[u][v] : 0;
        }
        g.start[u + 1] = g.arcs;
        if (g.start[u + 1] - g.start[u] > g.degree_max)
            g.degree_max = (uint32_t)(g.start[u + 1] - g.start[u]);
        g.vertex_weight[u] = 1 + u % 3;
        g.vertex_weight_sum += g.vertex_weight[u];
    }
    return g;
}

static void label(uint32_t *group, uint64_t seed)
{
    for (uint32_t v = 0; v < N; v++) /* labels anywhere below N, not in order */
        group[v] = (uint32_t)(pr_mix64(seed + v) % GROUPS) * (N / GROUPS);
}

/* Against a table of all pairs of groups. */
static void agrees(const struct placement_graph *g, const uint32_t *before, const uint32_t *group,
                   const struct placement_graph *out, const uint64_t *inside)
{
    static uint64_t want[GROUPS][GROUPS], weight[GROUPS];
    uint32_t next = 0;
    memset(want, 0, sizeof want);
    memset(weight, 0, sizeof weight);
    for (uint32_t v = 0; v < N; v++) {
        assert_true(group[v] <= next); /* numbered by first vertices */
        next += group[v] == next;
        for (uint32_t u = 0; u < v; u++)
            assert_int_equal(before[u] == before[v], group[u] == group[v]);
        weight[group[v]] += g->vertex_weight[v];
        for (uint64_t a = g->start[v]; a < g->start[v + 1]; a++)
            want[group[v]][group[g->to[a]]] += g->weight == NULL ? 1 : g->weight[a];
    }
    assert_int_equal(out->n, next);
    uint64_t sum = 0;
    uint32_t most = 0;
    for (uint32_t c = 0; c < out->n; c++) {
        assert_int_equal(out->vertex_weight[c], weight[c]);
        assert_int_equal(inside[c], want[c][c]);
        want[c][c] = 0;
        for (uint64_t a = out->start[c]; a < out->start[c + 1]; a++) {
            assert_int_equal(out->weight[a], want[c][out->to[a]]);
            sum += out->weight[a];
            most = out->weight[a] > most ? out->weight[a] : most;
            want[c][out->to[a]] = 0;
        }
        for (uint32_t d = 0; d < out->n; d++)
            assert_int_equal(want[c][d], 0); /* every edge was there */
    }
    assert_int_equal(out->weight_sum, sum / 2);
    assert_int_equal(out->weight_max, most);
    assert_int_equal(out->arcs, out->start[out->n]);
    assert_int_equal(out->vertex_weight_sum, g->vertex_weight_sum);
}

static void groups_become_vertices(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct placement_graph g = ring(seed, seed % 2 == 0), first = { 0 };
        uint32_t before[N], group[N];
        label(before, seed);
        for (unsigned threads = 1; threads <= 4; threads++) {
            struct pr_pool *pool;
            struct placement_graph out;
            uint64_t *inside;
            struct pr_err err;
            assert_ok(pr_pool_new(threads, &pool, &err), &err);
            memcpy(group, before, sizeof group);
            assert_ok(placement_contract(&g, group, pool, &out, &inside, NULL, 0, &err), &err);
            agrees(&g, before, group, &out, inside);
            if (threads == 1) {
                first = out;
            } else { /* byte by byte, order of the rows included */
                assert_int_equal(out.arcs, first.arcs);
                assert_memory_equal(out.to, first.to, out.arcs * sizeof *out.to);
                placement_graph_done(&out);
            }
            free(inside);
            pr_pool_free(pool);
        }
        placement_graph_done(&first);
        placement_graph_done(&g);
    }
}

static bool never(void *ctx, double done)
{
    ++*(unsigned *)ctx;
    assert_true(done == 0.25);
    return false;
}

static void stops_when_told(void **state)
{
    (void)state;
    struct placement_graph g = ring(1, true), out;
    uint32_t group[N];
    unsigned asked = 0;
    const struct placement_watch watch = { never, &asked };
    for (unsigned threads = 1; threads <= 3; threads++) {
        struct pr_pool *pool;
        struct pr_err err;
        assert_ok(pr_pool_new(threads, &pool, &err), &err);
        label(group, 1);
        /* The caller may get no chunk of so small a graph when others are quick. */
        const enum pr_code rc = placement_contract(&g, group, pool, &out, NULL, &watch, 0.25, &err);
        if (threads == 1 || rc != PR_OK)
            assert_int_equal(rc, PR_ECANCELED);
        else
            placement_graph_done(&out);
        pr_pool_free(pool);
    }
    assert_true(asked > 0);
    placement_graph_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_become_vertices),
        cmocka_unit_test(stops_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
