#include "core/build.h"
#include "t.h"

#include "engine/metis_engine.h"

#include <stdlib.h>
#include <string.h>

/* A ring of cliques: as many communities as wanted, joined by single edges. */
static struct placement_graph ring_of_cliques(uint32_t cliques, uint32_t size, uint32_t weight)
{
    struct graph_edges edges = { .edge = calloc(cliques * size * size, sizeof *edges.edge) };
    assert_non_null(edges.edge);
    for (uint32_t c = 0; c < cliques; c++) {
        for (uint32_t i = 0; i < size; i++)
            for (uint32_t j = i + 1; j < size; j++)
                edges.edge[edges.n++] = (struct graph_edge){ c * size + i, c * size + j, weight };
        edges.edge[edges.n++] =
            (struct graph_edge){ c * size, (c + 1) % cliques * size + 1, weight };
    }
    struct placement_graph g;
    assert_int_equal(placement_graph_build(&edges, &g, NULL), PR_OK);
    free(edges.edge);
    return g;
}

static void finds_planted_communities_and_repeats_itself(void **state)
{
    (void)state;
    const double third[] = { 1.0 / 3, 1.0 / 3, 1.0 / 3 };
    struct placement_graph g = ring_of_cliques(30, 8, 1);
    uint16_t block[240], again[240];
    const struct placement_engine_input in = {
        .graph = &g, .blocks = 3, .share = third, .imbalance = 0.05, .seed = 7
    };
    assert_int_equal(placement_metis(&in, block, NULL), PR_OK);
    uint64_t cut = 0;
    for (uint32_t v = 0; v < g.n; v++) {
        assert_true(block[v] < 3);
        for (uint64_t a = g.start[v]; a < g.start[v + 1]; a++)
            cut += block[g.to[a]] != block[v];
    }
    assert_in_range(cut / 2, 3, 12); /* 3 is the best possible; random cuts 580 */
    assert_int_equal(placement_metis(&in, again, NULL), PR_OK);
    assert_memory_equal(block, again, sizeof block);
    placement_graph_done(&g);
}

static void shares_are_followed(void **state)
{
    (void)state;
    const double share[] = { 0.5, 0.25, 0.25 };
    struct placement_graph g = ring_of_cliques(40, 5, 1);
    uint16_t block[200];
    unsigned size[3] = { 0 };
    const struct placement_engine_input in = {
        .graph = &g, .blocks = 3, .share = share, .imbalance = 0.05, .seed = 1
    };
    assert_int_equal(placement_metis(&in, block, NULL), PR_OK);
    for (unsigned v = 0; v < 200; v++)
        size[block[v]]++;
    assert_in_range(size[0], 85, 110);
    assert_in_range(size[1], 40, 60);
    placement_graph_done(&g);
}

static void a_graph_without_edges_is_filled_by_share(void **state)
{
    (void)state;
    struct graph_edge loops[8];
    const struct graph_edges edges = { .edge = loops, .n = 8 };
    struct placement_graph g;
    uint16_t block[8];
    const double half[] = { 0.5, 0.5 }, all[] = { 1 };
    for (unsigned i = 0; i < 8; i++)
        loops[i] = (struct graph_edge){ i, i, 1 };
    assert_int_equal(placement_graph_build(&edges, &g, NULL), PR_OK);
    struct placement_engine_input in = { .graph = &g, .blocks = 2, .share = half };
    assert_int_equal(placement_metis(&in, block, NULL), PR_OK);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(block[i], i / 4);
    in.blocks = 1;
    in.share = all;
    assert_int_equal(placement_metis(&in, block, NULL), PR_OK);
    assert_int_equal(block[7], 0);
    placement_graph_done(&g);
}

static void refuses_what_metis_cannot_do(void **state)
{
    (void)state;
    const double half[] = { 0.5, 0.5 };
    struct placement_graph g = ring_of_cliques(3, 3, 1u << 30);
    uint16_t block[9], fixed[9] = { 0 };
    struct pr_err err;
    struct placement_engine_input in = { .graph = &g, .blocks = 2, .share = half };
    assert_int_equal(placement_metis(&in, block, &err), PR_EFULL);
    assert_non_null(strstr(err.text, "edge weights sum to"));

    struct placement_graph huge = { .n = 9, .arcs = (uint64_t)INT32_MAX + 1 };
    in.graph = &huge;
    assert_int_equal(placement_metis(&in, block, &err), PR_EFULL);
    assert_non_null(strstr(err.text, "2147483648 arcs"));

    in.graph = &g;
    in.fixed = fixed;
    assert_int_equal(placement_metis(&in, block, &err), PR_EINVAL);
    in.fixed = NULL;
    in.blocks = 10;
    assert_int_equal(placement_metis(&in, block, &err), PR_EINVAL);
    assert_string_equal(err.text, "10 blocks of 9 vertices");
    placement_graph_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_planted_communities_and_repeats_itself),
        cmocka_unit_test(shares_are_followed),
        cmocka_unit_test(a_graph_without_edges_is_filled_by_share),
        cmocka_unit_test(refuses_what_metis_cannot_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
