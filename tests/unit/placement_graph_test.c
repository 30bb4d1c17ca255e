#include "t.h"

#include "core/build.h"
#include "core/graph.h"

#include "prism/slot.h"

#include <string.h>

static struct placement_graph built(struct graph_edge *edge, size_t n)
{
    struct placement_graph g;
    const struct graph_edges edges = { .edge = edge, .n = n };
    assert_int_equal(placement_graph_build(&edges, &g, NULL), PR_OK);
    return g;
}

static void numbers_vertices_by_ascending_id(void **state)
{
    (void)state;
    struct graph_edge edge[] = { { 70, 5, 1 }, { 5, UINT64_C(1) << 62, 1 } };
    struct placement_graph g = built(edge, 2);
    assert_int_equal(g.n, 3);
    assert_int_equal(g.arcs, 4);
    assert_true(g.id[0] == 5 && g.id[1] == 70 && g.id[2] == UINT64_C(1) << 62);
    assert_int_equal(g.start[1] - g.start[0], 2); /* 5 has both others */
    assert_int_equal(g.to[0], 1);
    assert_int_equal(g.to[1], 2);
    placement_graph_done(&g);
}

static void dense_and_sparse_ids_give_the_same_rows(void **state)
{
    (void)state;
    struct graph_edge dense[] = { { 3, 0, 2 }, { 1, 2, 1 }, { 3, 1, 5 }, { 0, 1, 1 } };
    struct graph_edge sparse[PR_COUNT(dense)];
    for (size_t i = 0; i < PR_COUNT(dense); i++)
        sparse[i] = (struct graph_edge){ dense[i].from << 40, dense[i].to << 40, dense[i].weight };
    struct placement_graph a = built(dense, PR_COUNT(dense)), b = built(sparse, PR_COUNT(sparse));
    assert_int_equal(a.n, b.n);
    assert_int_equal(a.arcs, b.arcs);
    assert_memory_equal(a.start, b.start, (a.n + 1) * sizeof *a.start);
    assert_memory_equal(a.to, b.to, a.arcs * sizeof *a.to);
    assert_memory_equal(a.weight, b.weight, a.arcs * sizeof *a.weight);
    placement_graph_done(&a);
    placement_graph_done(&b);
}

static void merges_duplicates_of_both_directions_and_drops_loops(void **state)
{
    (void)state;
    struct graph_edge edge[] = { { 1, 2, 3 }, { 2, 1, 4 }, { 1, 1, 9 }, { 1, 2, 1 }, { 3, 3, 1 } };
    struct placement_graph g = built(edge, PR_COUNT(edge));
    assert_int_equal(g.n, 3); /* 3 has a loop only and stays a vertex */
    assert_int_equal(g.arcs, 2);
    assert_int_equal(g.weight[0], 8);
    assert_int_equal(g.weight[1], 8);
    assert_int_equal(g.weight_sum, 8);
    assert_int_equal(g.weight_max, 8);
    assert_int_equal(g.start[3], g.start[2]);
    placement_graph_done(&g);
}

static void a_merged_weight_above_32_bits_is_refused_and_the_sum_has_64(void **state)
{
    (void)state;
    struct graph_edge edge[] = { { 1, 7, UINT32_MAX }, { 7, 1, 1 }, { 7, 9, UINT32_MAX } };
    const struct graph_edges all = { .edge = edge, .n = 3 };
    struct placement_graph g;
    struct pr_err err;
    assert_int_equal(placement_graph_build(&all, &g, &err), PR_EFULL);
    assert_non_null(strstr(err.text, "edge 1 - 7: its weights add up to more than 4294967295"));
    edge[1].weight = UINT32_MAX;
    edge[1].to = 9;
    edge[2].to = 2;
    g = built(edge, 3);
    assert_int_equal(g.weight[0], UINT32_MAX);
    assert_int_equal(g.weight_sum, 3 * (uint64_t)UINT32_MAX);
    placement_graph_done(&g);
}

static void edge_order_does_not_matter(void **state)
{
    (void)state;
    struct graph_edge one[] = { { 9, 4, 1 }, { 4, 7, 2 }, { 7, 9, 3 }, { 4, 9, 5 } };
    struct graph_edge two[] = { { 9, 4, 5 }, { 9, 7, 3 }, { 4, 9, 1 }, { 7, 4, 2 } };
    struct placement_graph a = built(one, PR_COUNT(one)), b = built(two, PR_COUNT(two));
    assert_int_equal(a.arcs, b.arcs);
    assert_memory_equal(a.to, b.to, a.arcs * sizeof *a.to);
    assert_memory_equal(a.weight, b.weight, a.arcs * sizeof *a.weight);
    placement_graph_done(&a);
    placement_graph_done(&b);
}

static void refuses_an_empty_graph(void **state)
{
    (void)state;
    struct pr_err err;
    struct placement_graph g;
    const struct graph_edges none = { .n = 0 };
    assert_int_equal(placement_graph_build(&none, &g, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "empty graph"));
}

static void hash_of_a_number_is_that_of_its_text(void **state)
{
    (void)state;
    assert_true(placement_vertex_hash(0) == pr_vertex_hash("0", 1));
    assert_true(placement_vertex_hash(1700) == pr_vertex_hash("1700", 4));
    assert_true(placement_vertex_hash(UINT64_MAX) == pr_vertex_hash("18446744073709551615", 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_vertices_by_ascending_id),
        cmocka_unit_test(dense_and_sparse_ids_give_the_same_rows),
        cmocka_unit_test(merges_duplicates_of_both_directions_and_drops_loops),
        cmocka_unit_test(a_merged_weight_above_32_bits_is_refused_and_the_sum_has_64),
        cmocka_unit_test(edge_order_does_not_matter),
        cmocka_unit_test(refuses_an_empty_graph),
        cmocka_unit_test(hash_of_a_number_is_that_of_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
