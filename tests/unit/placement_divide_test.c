#include "t.h"

#include "engine/hierarchy.h"

#include "placement_csr.h"
#include "prism/rng.h"

#include <inttypes.h>

enum { VERTICES = 1200 };

static struct placement_graph random_graph(struct pr_rng *rng, bool weighted)
{
    enum { EDGES = 6 * VERTICES };
    struct csr_edge *edge = malloc(EDGES * sizeof *edge);
    assert_non_null(edge);
    for (uint32_t i = 0; i < EDGES; i++) {
        const uint32_t from = (uint32_t)pr_rng_below(rng, VERTICES);
        const uint32_t far = (uint32_t)pr_rng_below(rng, i % 8 == 0 ? VERTICES : 12);
        edge[i] = (struct csr_edge){ from, (from + far) % VERTICES, 1 + i % 5 };
    }
    struct placement_graph g = csr_make(VERTICES, edge, EDGES);
    free(edge);
    if (!weighted)
        return g;
    g.vertex_weight = malloc(VERTICES * sizeof *g.vertex_weight);
    assert_non_null(g.vertex_weight);
    g.vertex_weight_sum = 0;
    for (uint32_t v = 0; v < VERTICES; v++) {
        g.vertex_weight[v] = 50 + pr_rng_below(rng, 100);
        g.vertex_weight_sum += g.vertex_weight[v];
    }
    return g;
}

static void every_vertex_gets_a_part_of_its_zone_within_the_limit(void **state)
{
    (void)state;
    const uint64_t seed = 20261121;
    struct pr_rng rng;
    print_message("seed %" PRIu64 "\n", seed);
    pr_rng_init(&rng, seed);
    for (unsigned round = 0; round < 12; round++) {
        struct placement_graph g = random_graph(&rng, round % 2 == 0);
        uint16_t zone[VERTICES], part[VERTICES];
        uint64_t held[300] = { 0 }, in_zone[4] = { 0 };
        uint32_t parts[4], first = 0, empty = 0;
        for (uint32_t p = 0; p < VERTICES; p++) {
            zone[p] = (uint16_t)pr_rng_below(&rng, 4);
            in_zone[zone[p]] += placement_vertex_weight(&g, p);
        }
        for (uint32_t z = 0; z < 4; z++)
            parts[z] = (uint32_t)(1 + pr_rng_below(&rng, 70));
        const struct placement_divide_input in = { .graph = &g,
                                                   .zone = zone,
                                                   .zones = 4,
                                                   .parts = parts,
                                                   .imbalance = 0.05,
                                                   .seed = round,
                                                   .seeds = 1 };
        struct placement_divide_result out;
        struct pr_err err;
        assert_ok(placement_divide(&in, part, &out, &err), &err);
        for (uint32_t p = 0; p < VERTICES; p++)
            held[part[p]] += placement_vertex_weight(&g, p);
        for (uint32_t z = 0; z < 4; first += parts[z++]) {
            for (uint32_t p = 0; p < VERTICES; p++)
                assert_int_equal(zone[p] == z, part[p] >= first && part[p] < first + parts[z]);
            const double even = (double)in_zone[z] / parts[z];
            for (uint32_t i = first; i < first + parts[z]; i++) {
                const double most = even * 1.05 < even + 1 ? even + 1 : even * 1.05;
                assert_true((double)held[i] <= most + (out.stretched ? 150 : 0));
                empty += held[i] == 0;
            }
        }
        assert_int_equal(empty, out.empty);
        placement_graph_done(&g);
    }
}

static void results_do_not_depend_on_threads(void **state)
{
    (void)state;
    struct pr_rng rng;
    pr_rng_init(&rng, 3);
    struct placement_graph g = random_graph(&rng, true);
    uint16_t zone[VERTICES], part[2][VERTICES];
    const uint32_t parts[] = { 40, 31, 9 };
    for (uint32_t v = 0; v < VERTICES; v++)
        zone[v] = (uint16_t)(v % 3);
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct pr_pool *pool;
        struct pr_err err;
        struct placement_divide_result out;
        assert_ok(pr_pool_new(threads, &pool, &err), &err);
        const struct placement_divide_input in = { .graph = &g,
                                                   .zone = zone,
                                                   .zones = 3,
                                                   .parts = parts,
                                                   .imbalance = 0.1,
                                                   .seeds = 2,
                                                   .pool = pool };
        assert_ok(placement_divide(&in, part[threads > 1], &out, &err), &err);
        pr_pool_free(pool);
        if (threads > 1)
            assert_memory_equal(part[0], part[1], sizeof part[0]);
    }
    placement_graph_done(&g);
}

static void parts_without_vertices_stay_empty(void **state)
{
    (void)state;
    const struct csr_edge edge[] = { { 0, 1, 1 }, { 1, 2, 1 }, { 3, 4, 2 } };
    struct placement_graph g = csr_make(5, edge, PR_COUNT(edge));
    const uint16_t zone[] = { 0, 0, 0, 2, 2 };
    uint32_t parts[] = { 7, 50, 1 };
    struct placement_divide_input in = {
        .graph = &g, .zone = zone, .zones = 3, .parts = parts, .seeds = 1
    };
    struct placement_divide_result out;
    struct pr_err err;
    uint16_t part[5];
    assert_ok(placement_divide(&in, part, &out, &err), &err);
    assert_int_equal(part[3], 57);
    assert_int_equal(part[4], 57);
    assert_true(part[0] < 7 && part[1] < 7 && part[2] < 7);
    assert_true(part[0] != part[1] && part[1] != part[2] && part[0] != part[2]);
    assert_int_equal(out.empty, 4 + 50);
    assert_int_equal(out.cut, 2);
    parts[2] = 0;
    assert_int_equal(placement_divide(&in, part, &out, &err), PR_EINVAL);
    parts[2] = 65000;
    assert_int_equal(placement_divide(&in, part, &out, &err), PR_EINVAL);
    placement_graph_done(&g);
}

static void a_vertex_above_a_parts_share_gets_a_part_for_itself(void **state)
{
    (void)state;
    enum { N = 101 };
    struct csr_edge edge[N - 1];
    uint64_t *weight = malloc(N * sizeof *weight);
    uint16_t zone[N] = { 0 }, part[N];
    const uint32_t parts[] = { 11 };
    uint64_t held[11] = { 0 };
    assert_non_null(weight);
    for (uint32_t v = 0; v < N - 1; v++)
        edge[v] = (struct csr_edge){ v, v + 1, 1 };
    struct placement_graph g = csr_make(N, edge, N - 1);
    for (uint32_t v = 0; v < N; v++)
        weight[v] = v == 50 ? 1000 : 3;
    g.vertex_weight = weight;
    g.vertex_weight_sum = 1300;
    const struct placement_divide_input in = {
        .graph = &g, .zone = zone, .zones = 1, .parts = parts, .imbalance = 0.1, .seeds = 1
    };
    struct placement_divide_result out;
    struct pr_err err;
    assert_ok(placement_divide(&in, part, &out, &err), &err);
    for (uint32_t v = 0; v < N; v++)
        held[part[v]] += weight[v];
    assert_int_equal(held[part[50]], 1000);
    for (uint32_t p = 0; p < 11; p++)
        assert_true(p == part[50] || held[p] <= 33);
    assert_int_equal(out.outsized, 1);
    assert_false(out.stretched);
    placement_graph_done(&g);
}

static void weights_that_fit_no_better_stretch_a_part(void **state)
{
    (void)state;
    const struct csr_edge edge[] = { { 0, 1, 1 }, { 1, 2, 1 } };
    struct placement_graph g = csr_make(3, edge, PR_COUNT(edge));
    uint64_t weight[] = { 4, 4, 4 }; /* in two parts of 6 */
    const uint16_t zone[] = { 0, 0, 0 };
    const uint32_t parts[] = { 2 };
    struct placement_divide_input in = {
        .graph = &g, .zone = zone, .zones = 1, .parts = parts, .imbalance = 0.05, .seeds = 1
    };
    struct placement_divide_result out;
    struct pr_err err;
    uint16_t part[3];
    g.vertex_weight = weight;
    g.vertex_weight_sum = 12;
    assert_ok(placement_divide(&in, part, &out, &err), &err);
    assert_true(out.stretched);
    assert_int_equal(out.empty, 0);
    in.imbalance = -1;
    assert_int_equal(placement_divide(&in, part, &out, &err), PR_EINVAL);
    in.imbalance = 0;
    in.zones = 0;
    assert_int_equal(placement_divide(&in, part, &out, &err), PR_EINVAL);
    in.zones = 1;
    in.zone = (const uint16_t[]){ 0, 1, 0 };
    assert_int_equal(placement_divide(&in, part, &out, &err), PR_EINVAL);
    g.vertex_weight = NULL;
    placement_graph_done(&g);
}

static void parts_are_dealt_by_weight(void **state)
{
    (void)state;
    static const struct {
        uint64_t weight[3];
        uint32_t total, want[3];
    } row[] = {
        { { 1, 1, 1 }, 4096, { 1366, 1365, 1365 } },
        { { 2, 1, 1 }, 64000, { 32000, 16000, 16000 } },
        { { 10, 0, 5 }, 6, { 4, 0, 2 } },
        { { 1000000, 1, 1 }, 10, { 8, 1, 1 } }, /* one at least where there is weight */
        { { 1, 1, 1 }, 3, { 1, 1, 1 } },
    };
    uint32_t parts[3];
    struct pr_err err;
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        assert_ok(placement_deal_parts(row[i].weight, 3, row[i].total, parts, &err), &err);
        assert_memory_equal(parts, row[i].want, sizeof parts);
    }
    assert_int_equal(placement_deal_parts(row[0].weight, 3, 2, parts, &err), PR_EINVAL);
    assert_int_equal(placement_deal_parts((const uint64_t[3]){ 0 }, 3, 2, parts, &err), PR_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vertex_gets_a_part_of_its_zone_within_the_limit),
        cmocka_unit_test(results_do_not_depend_on_threads),
        cmocka_unit_test(parts_without_vertices_stay_empty),
        cmocka_unit_test(a_vertex_above_a_parts_share_gets_a_part_for_itself),
        cmocka_unit_test(weights_that_fit_no_better_stretch_a_part),
        cmocka_unit_test(parts_are_dealt_by_weight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
