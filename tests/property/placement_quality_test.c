/* The real graphs that come with the project are cut as well as they were, and
 * about as well as METIS cuts them when it is there. */
#include "t.h"

#include "core/build.h"
#include "engine/partition.h"
#ifdef HAVE_METIS
#include "metis_peer.h"
#endif

#include <stdlib.h>

static uint64_t cut_of(const struct placement_graph *g, const uint16_t *block)
{
    uint64_t twice = 0;
    for (uint32_t v = 0; v < g->n; v++) {
        const struct placement_row row = placement_row(g, v, NULL);
        for (uint32_t i = 0; i < row.n; i++)
            if (block[row.to[i]] != block[v])
                twice += placement_arc_weight(&row, i);
    }
    return twice / 2;
}

#ifdef HAVE_METIS
static void check_against_metis(const struct placement_graph *g, uint32_t blocks,
                                const uint64_t *capacity, uint16_t *block, uint64_t ours)
{
    struct pr_err err = { 0 };
    const struct metis_peer_input in = {
        .graph = g, .blocks = blocks, .capacity = capacity, .seed = 1
    };
    assert_ok(metis_peer(&in, block, NULL, &err), &err);
    const double ratio = (double)ours / (double)cut_of(g, block);
    print_message("  %.3f x METIS\n", ratio);
    assert_true(ratio <= 1.10);
}
#else
static void check_against_metis(const struct placement_graph *g, uint32_t blocks,
                                const uint64_t *capacity, uint16_t *block, uint64_t ours)
{
    (void)g, (void)blocks, (void)capacity, (void)block, (void)ours;
    print_message("  NOT COMPARED WITH METIS: built without libmetis-dev\n");
}
#endif

static void check_block_loads(const struct placement_graph *g, uint32_t blocks,
                              const uint64_t *capacity, const uint16_t *block)
{
    uint64_t load[64] = { 0 };
    for (uint32_t v = 0; v < g->n; v++)
        load[block[v]]++;
    for (uint32_t b = 0; b < blocks; b++)
        assert_true(load[b] <= capacity[b]);
}

/* Of four seeds at 5 %. */
static void cuts_at_most(const char *path, uint32_t blocks, double most_ratio)
{
    struct pr_err err = { 0 };
    struct graph_edges edges;
    struct placement_graph g;
    struct placement_partition_result r;
    uint64_t capacity[64];
    assert_ok(graph_read(path, GRAPH_AUTO, &edges, &err), &err);
    assert_ok(placement_graph_build(&edges, &g, &err), &err);
    graph_edges_done(&edges);
    for (uint32_t b = 0; b < blocks; b++)
        capacity[b] = (uint64_t)(1.05 * g.n / blocks);
    uint16_t *block = malloc(g.n * sizeof *block);
    assert_non_null(block);
    const struct placement_partition_input in = {
        .graph = &g, .blocks = blocks, .capacity = capacity, .seed = 1, .seeds = 4
    };
    assert_ok(placement_partition(&in, block, &r, &err), &err);
    check_block_loads(&g, blocks, capacity, block);
    assert_int_equal(cut_of(&g, block), r.cut);
    print_message("%s in %u: cut %.5f\n", path, blocks, (double)r.cut / (double)g.weight_sum);
    assert_true((double)r.cut <= most_ratio * (double)g.weight_sum);
    check_against_metis(&g, blocks, capacity, block, r.cut);
    free(block);
    placement_graph_done(&g);
}

static void a_road_network_is_cut_along_few_roads(void **state)
{
    (void)state;
    cuts_at_most(PRISM_SOURCE_DIR "/tests/data/road-NY.txt.xz", 3, 0.0004);
    cuts_at_most(PRISM_SOURCE_DIR "/tests/data/road-NY.txt.xz", 64, 0.008);
}

static void a_social_network_is_cut_between_its_circles(void **state)
{
    (void)state;
    cuts_at_most(PRISM_SOURCE_DIR "/tests/data/ego-twitter.txt.xz", 3, 0.056);
    cuts_at_most(PRISM_SOURCE_DIR "/tests/data/ego-twitter.txt.xz", 64, 0.255);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_road_network_is_cut_along_few_roads),
        cmocka_unit_test(a_social_network_is_cut_between_its_circles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
