#include "t.h"

#include "core/balance.h"
#include "core/build.h"

#include <string.h>

/* Two triangles 0-1-2 and 3-4-5 joined by 2-3; edges of weight 2, the bridge 1. */
static struct placement_graph two_triangles(void)
{
    struct graph_edge edge[] = { { 0, 1, 2 }, { 1, 2, 2 }, { 0, 2, 2 }, { 3, 4, 2 },
                                 { 4, 5, 2 }, { 3, 5, 2 }, { 2, 3, 1 } };
    const struct graph_edges edges = { .edge = edge, .n = PR_COUNT(edge) };
    struct placement_graph g;
    assert_int_equal(placement_graph_build(&edges, &g, NULL), PR_OK);
    return g;
}

static void cut_counts_each_edge_once(void **state)
{
    (void)state;
    struct placement_graph g = two_triangles();
    const uint16_t split[] = { 0, 0, 0, 1, 1, 1 }, odd[] = { 0, 1, 0, 1, 0, 1 };
    assert_int_equal(placement_cut(&g, split), 1);
    assert_int_equal(placement_cut(&g, odd), 9); /* 01, 12, 23, 34, 45 */
    placement_graph_done(&g);
}

static void balanced_blocks_are_left_alone(void **state)
{
    (void)state;
    struct placement_graph g = two_triangles();
    uint16_t block[] = { 0, 1, 0, 1, 0, 1 };
    const uint16_t was[] = { 0, 1, 0, 1, 0, 1 };
    const uint64_t capacity[] = { 3, 3 };
    uint64_t moved = 9;
    assert_int_equal(placement_balance(&g, 2, capacity, block, &moved, NULL), PR_OK);
    assert_int_equal(moved, 0);
    assert_memory_equal(block, was, sizeof was);
    placement_graph_done(&g);
}

static void moves_the_vertices_of_least_loss_first(void **state)
{
    (void)state;
    struct placement_graph g = two_triangles();
    /* All but 5 in block 0: 3 and 4 lose 1 and 0 to follow it. */
    uint16_t block[] = { 0, 0, 0, 0, 0, 1 };
    const uint64_t capacity[] = { 3, 3 };
    const uint16_t want[] = { 0, 0, 0, 1, 1, 1 };
    uint64_t moved;
    assert_int_equal(placement_balance(&g, 2, capacity, block, &moved, NULL), PR_OK);
    assert_int_equal(moved, 2);
    assert_memory_equal(block, want, sizeof want);
    placement_graph_done(&g);
}

static void blocks_of_no_capacity_are_emptied(void **state)
{
    (void)state;
    struct placement_graph g = two_triangles();
    uint16_t block[] = { 1, 1, 1, 1, 1, 1 };
    const uint64_t capacity[] = { 3, 0, 3 };
    uint64_t moved, size[3] = { 0 };
    assert_int_equal(placement_balance(&g, 3, capacity, block, &moved, NULL), PR_OK);
    assert_int_equal(moved, 6);
    for (unsigned v = 0; v < 6; v++)
        size[block[v]]++;
    assert_int_equal(size[0], 3);
    assert_int_equal(size[1], 0);
    assert_int_equal(size[2], 3);
    placement_graph_done(&g);
}

static void too_little_capacity_is_refused(void **state)
{
    (void)state;
    struct placement_graph g = two_triangles();
    uint16_t block[6] = { 0 };
    const uint64_t capacity[] = { 3, 2 };
    uint64_t moved;
    struct pr_err err;
    assert_int_equal(placement_balance(&g, 2, capacity, block, &moved, &err), PR_EINVAL);
    assert_string_equal(err.text, "capacity for 5 vertices, the graph has 6");
    placement_graph_done(&g);
}

static void refining_gains_within_capacity_only(void **state)
{
    (void)state;
    struct placement_graph g = two_triangles();
    uint16_t block[] = { 0, 0, 1, 1, 1, 1 };
    const uint16_t was[] = { 0, 0, 1, 1, 1, 1 }, want[] = { 0, 0, 0, 1, 1, 1 };
    const uint64_t full[] = { 2, 4 }, room[] = { 3, 4 };
    assert_int_equal(placement_refine(&g, 2, full, block, 4), 0);
    assert_memory_equal(block, was, sizeof was);
    assert_int_equal(placement_refine(&g, 2, room, block, 4), 1);
    assert_memory_equal(block, want, sizeof want);
    placement_graph_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_counts_each_edge_once),
        cmocka_unit_test(balanced_blocks_are_left_alone),
        cmocka_unit_test(moves_the_vertices_of_least_loss_first),
        cmocka_unit_test(blocks_of_no_capacity_are_emptied),
        cmocka_unit_test(too_little_capacity_is_refused),
        cmocka_unit_test(refining_gains_within_capacity_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
