/* The real graphs that come with the project: within capacity, and cut as well
 * as a good partitioner does. */
#include "t.h"

#include "core/build.h"
#include "core/run.h"

#include <stdlib.h>

static void cut_of(const char *path, double most_cross_share)
{
    struct pr_err err = { 0 };
    struct graph_edges edges;
    struct placement_graph g;
    struct placement_today today;
    struct placement_result r;
    struct placement_store store = { .partitions = 4096,
                                     .zones = 3,
                                     .zone = { { "a", 1 }, { "b", 1 }, { "c", 1 } },
                                     .zone_of = calloc(4096, sizeof *store.zone_of) };
    assert_non_null(store.zone_of);
    for (uint32_t p = 0; p < store.partitions; p++)
        store.zone_of[p] = (uint16_t)(p % 3);
    assert_ok(graph_read(path, GRAPH_AUTO, &edges, &err), &err);
    assert_ok(placement_graph_build(&edges, &g, &err), &err);
    graph_edges_done(&edges);
    assert_ok(placement_today_init(&today, store.partitions, &err), &err);
    const struct placement_input in = {
        .graph = &g,
        .store = &store,
        .today = &today,
        .params = { .seed = 1,
                    .seeds = 3,
                    .imbalance = 0.05,
                    .keep_ratio = 0.02,
                    .reference_ratio = -1,
                    .move_cap = UINT64_MAX },
    };
    assert_ok(placement_compute(&in, &r, &err), &err);
    print_message("%s: %u vertices, cross-zone share %.4f -> %.4f, imbalance %.4f, %llu moves\n",
                  path, g.n, r.before.cross_share, r.after.cross_share, r.after.imbalance,
                  (unsigned long long)r.moves);
    assert_true(r.before.cross_share > 0.66 && r.before.cross_share < 0.675);
    assert_true(r.after.cross_share <= most_cross_share);
    assert_true(r.after.imbalance <= 0.05);
    assert_true((double)r.moves < g.n * 0.70); /* a third is in the right zone by chance */
    placement_result_done(&r);
    placement_today_done(&today);
    placement_graph_done(&g);
    placement_store_done(&store);
}

static void a_road_network_is_cut_along_few_roads(void **state)
{
    (void)state;
    cut_of(PRISM_SOURCE_DIR "/tests/data/road-NY.txt.xz", 0.0005);
}

static void a_social_network_has_a_twentieth_of_its_edges_between_zones(void **state)
{
    (void)state;
    cut_of(PRISM_SOURCE_DIR "/tests/data/ego-twitter.txt.xz", 0.052);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_road_network_is_cut_along_few_roads),
        cmocka_unit_test(a_social_network_has_a_twentieth_of_its_edges_between_zones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
