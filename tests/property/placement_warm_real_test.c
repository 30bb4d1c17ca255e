/* A real graph that changes a little: few vertices move, and the cut is as good
 * as a new one. Times are printed, not judged: machines differ and are busy. */
#include "t.h"

#include "core/build.h"
#include "engine/warm.h"
#include "placement_csr.h"
#include "prism/rng.h"

#include <time.h>

enum { BLOCKS = 3, SEED = 20261121 };

static struct placement_graph before;
static struct csr_edge *edge; /* of before, and room for half as many again */
static size_t edges;
static uint16_t *today; /* room for new vertices */

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static uint64_t cut_anew(const struct placement_graph *g, const uint64_t *capacity, uint16_t *block)
{
    struct placement_partition_result r;
    struct pr_err err;
    const struct placement_partition_input in = {
        .graph = g, .blocks = BLOCKS, .capacity = capacity, .seed = SEED, .seeds = 1
    };
    assert_ok(placement_partition(&in, block, &r, &err), &err);
    return r.cut;
}

static void fill_capacity(uint32_t n, uint64_t *capacity)
{
    for (unsigned b = 0; b < BLOCKS; b++)
        capacity[b] = (uint64_t)(1.05 * n / BLOCKS);
}

static int open_graph(void **state)
{
    (void)state;
    struct graph_edges list;
    struct pr_err err;
    uint64_t capacity[BLOCKS];
    assert_ok(
        graph_read(PRISM_SOURCE_DIR "/tests/data/ego-twitter.txt.xz", GRAPH_AUTO, &list, &err),
        &err);
    assert_ok(placement_graph_build(&list, &before, &err), &err);
    graph_edges_done(&list);
    edge = malloc((before.arcs / 2 + before.arcs / 4) * sizeof *edge);
    today = malloc(2 * (size_t)before.n * sizeof *today);
    assert_true(edge != NULL && today != NULL && before.coded == NULL);
    for (uint32_t v = 0; v < before.n; v++) {
        const struct placement_row row = placement_row(&before, v, NULL);
        for (uint32_t i = 0; i < row.n; i++)
            if (row.to[i] > v)
                edge[edges++] = (struct csr_edge){ v, row.to[i], placement_arc_weight(&row, i) };
    }
    fill_capacity(before.n, capacity);
    cut_anew(&before, capacity, today);
    return 0;
}

static int close_graph(void **state)
{
    (void)state;
    placement_graph_done(&before);
    free(edge);
    free(today);
    return 0;
}

static void check_blocks(const struct placement_graph *g, const uint64_t *capacity,
                         const uint16_t *block, const struct placement_warm_result *r)
{
    uint64_t twice = 0, away = 0, load[BLOCKS] = { 0 };
    for (uint32_t v = 0; v < g->n; v++) {
        assert_in_range(block[v], 0, BLOCKS - 1);
        load[block[v]]++;
        away += today[v] != PLACEMENT_FREE && block[v] != today[v];
        const struct placement_row row = placement_row(g, v, NULL);
        for (uint32_t i = 0; i < row.n; i++)
            twice += block[row.to[i]] != block[v] ? placement_arc_weight(&row, i) : 0;
    }
    for (unsigned b = 0; b < BLOCKS; b++)
        assert_in_range(load[b], 0, capacity[b]);
    assert_int_equal(r->cut, twice / 2);
    assert_int_equal(r->moved + r->forced, away);
}

/* m edges, some of which may be those of before, among n vertices. */
static void check(const char *what, uint32_t n, size_t m, double most_ratio)
{
    uint64_t capacity[BLOCKS];
    uint16_t *block = malloc(n * sizeof *block);
    struct placement_graph g = csr_make(n, edge, m);
    struct placement_warm_result r;
    struct pr_err err;
    assert_non_null(block);
    fill_capacity(n, capacity);
    const struct placement_warm_input in = {
        .graph = &g, .blocks = BLOCKS, .capacity = capacity, .today = today, .moves = UINT64_MAX
    };
    const double start = now_ms();
    assert_ok(placement_warm(&in, block, &r, &err), &err);
    const double warm = now_ms() - start;
    check_blocks(&g, capacity, block, &r);
    const double middle = now_ms();
    const uint64_t fresh = cut_anew(&g, capacity, block);
    const double end = now_ms();
    print_message("%s: moved %.3f %%, cut %llu, %.4f of a new one; %.1f ms, new %.1f ms\n", what,
                  100.0 * (double)(r.moved + r.forced) / n, (unsigned long long)r.cut,
                  (double)r.cut / (double)fresh, warm, end - middle);
    assert_true(r.moved > 0 && r.cut < r.cut_before && !r.capped);
    assert_true((double)(r.moved + r.forced) <= 0.01 * n);
    assert_true((double)r.cut <= most_ratio * (double)fresh);
    placement_graph_done(&g);
    free(block);
}

static void one_percent_of_random_edges_more(void **state)
{
    (void)state;
    struct pr_rng rng;
    size_t m = edges;
    pr_rng_init(&rng, SEED);
    for (size_t i = 0; i < edges / 100; i++)
        edge[m++] = (struct csr_edge){ (uint32_t)pr_rng_below(&rng, before.n),
                                       (uint32_t)pr_rng_below(&rng, before.n), 1 };
    check("1 % random edges", before.n, m, 1.02);
}

static uint32_t neighbour(struct pr_rng *rng, uint32_t v)
{
    const uint64_t degree = before.start[v + 1] - before.start[v];
    return degree == 0 ? v : before.to[before.start[v] + pr_rng_below(rng, degree)];
}

/* Each new edge closes a triangle, as friendships do; as many others end. */
static void one_percent_of_edges_replaced(void **state)
{
    (void)state;
    struct pr_rng rng;
    size_t m = edges;
    pr_rng_init(&rng, SEED + 1);
    struct csr_edge *kept = malloc(edges * sizeof *kept);
    assert_non_null(kept);
    memcpy(kept, edge, edges * sizeof *kept);
    for (size_t i = 0; i < edges / 100; i++) {
        const uint32_t v = (uint32_t)pr_rng_below(&rng, before.n);
        edge[pr_rng_below(&rng, edges)] =
            (struct csr_edge){ v, neighbour(&rng, neighbour(&rng, v)), 1 };
    }
    check("1 % of edges replaced near by", before.n, m, 1.02);
    memcpy(edge, kept, edges * sizeof *kept);
    free(kept);
}

/* Each knows a vertex, some of its neighbours, and the new one before it. */
static void one_in_twenty_vertices_new(void **state)
{
    (void)state;
    struct pr_rng rng;
    size_t m = edges;
    const uint32_t n = before.n + before.n / 20;
    pr_rng_init(&rng, SEED + 2);
    for (uint32_t v = before.n; v < n; v++) {
        const uint32_t friend = (uint32_t)pr_rng_below(&rng, before.n);
        today[v] = PLACEMENT_FREE;
        edge[m++] = (struct csr_edge){ v, friend, 1 };
        edge[m++] = (struct csr_edge){ v, v - 1, 1 };
        for (unsigned i = 0; i < 8; i++)
            edge[m++] = (struct csr_edge){ v, neighbour(&rng, friend), 1 };
    }
    check("5 % new vertices", n, m, 1.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_percent_of_random_edges_more),
        cmocka_unit_test(one_percent_of_edges_replaced),
        cmocka_unit_test(one_in_twenty_vertices_new),
    };
    return cmocka_run_group_tests(tests, open_graph, close_graph);
}
