#include "t.h"

#include "core/build.h"
#include "core/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct placement_graph graph_of(struct graph_edge *edge, size_t n)
{
    const struct graph_edges edges = { .edge = edge, .n = n };
    struct placement_graph g;
    assert_int_equal(placement_graph_build(&edges, &g, NULL), PR_OK);
    return g;
}

static void assert_near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-9 * fabs(want) + 1e-12))
        fail_msg("%.15g is not %.15g", got, want);
}

static void figures_of_two_triangles_and_a_bridge(void **state)
{
    (void)state;
    struct graph_edge edge[] = { { 0, 1, 1 }, { 1, 2, 1 }, { 0, 2, 1 }, { 3, 4, 1 },
                                 { 4, 5, 1 }, { 3, 5, 1 }, { 2, 3, 1 } };
    struct placement_graph g = graph_of(edge, PR_COUNT(edge));
    const uint16_t zone[] = { 0, 0, 0, 1, 1, 1 };
    const double share[] = { 0.5, 0.5 };
    struct placement_figures *f = malloc(sizeof *f);
    assert_non_null(f);
    assert_int_equal(placement_figures(&g, zone, 2, share, NULL, f, NULL), PR_OK);
    assert_int_equal(f->cut, 1);
    assert_near(f->cross_share, 1.0 / 7);
    assert_int_equal(f->matrix[0][0], 3);
    assert_int_equal(f->matrix[1][1], 3);
    assert_int_equal(f->matrix[0][1], 1);
    assert_int_equal(f->matrix[1][0], 1);
    assert_int_equal(f->vertices[0], 3);
    assert_near(f->imbalance, 0);
    assert_near(f->modularity, 2 * (3.0 / 7 - 0.25)); /* 5/14, the textbook value */
    free(f);
    placement_graph_done(&g);
}

static void weights_count_and_isolated_vertices_do_not_divide_by_zero(void **state)
{
    (void)state;
    struct graph_edge weighted[] = { { 0, 1, 9 }, { 1, 2, 1 } }, loops[] = { { 1, 1, 1 } };
    struct placement_figures *f = malloc(sizeof *f);
    assert_non_null(f);
    struct placement_graph g = graph_of(weighted, 2);
    const uint16_t zone[] = { 0, 0, 1 };
    const double share[] = { 0.5, 0.5 };
    assert_int_equal(placement_figures(&g, zone, 2, share, NULL, f, NULL), PR_OK);
    assert_near(f->cross_share, 0.1);
    assert_near(f->imbalance, 2 / 1.5 - 1);
    placement_graph_done(&g);

    g = graph_of(loops, 1);
    assert_int_equal(placement_figures(&g, zone, 2, share, NULL, f, NULL), PR_OK);
    assert_near(f->cross_share, 0);
    assert_near(f->modularity, 0);
    placement_graph_done(&g);
    free(f);
}

static void vertices_in_a_zone_of_no_capacity_are_infinitely_too_many(void **state)
{
    (void)state;
    struct graph_edge edge[] = { { 0, 1, 1 } };
    struct placement_graph g = graph_of(edge, 1);
    const uint16_t zone[] = { 0, 1 };
    const double share[] = { 1, 0 };
    struct placement_figures *f = malloc(sizeof *f);
    assert_non_null(f);
    assert_int_equal(placement_figures(&g, zone, 2, share, NULL, f, NULL), PR_OK);
    assert_true(isinf(f->imbalance));
    free(f);
    placement_graph_done(&g);
}

static void dollars_follow_the_reference_sum(void **state)
{
    (void)state;
    /* 938 GB/s for 30 days: 2,431,296 TB, 24.3 million dollars at one side. */
    struct placement_price p = { .traffic_bytes_per_s = 1.4e12,
                                 .dollars_per_gb = 0.01,
                                 .billed_sides = 1 };
    assert_near(placement_dollars_per_month(0.67, &p), 24312960);
    p.billed_sides = 2;
    assert_near(placement_dollars_per_month(0.67, &p), 48625920);
    assert_near(placement_dollars_per_month(0, &p), 0);
}

static void labels_of_any_size_become_dense(void **state)
{
    (void)state;
    static const uint32_t label[] = { 4294967294U, 7, 7, 0, 4294967294U, 9 };
    static const uint32_t want[] = { 3, 1, 1, 0, 3, 2 };
    uint32_t dense[6], labels = 0;
    assert_int_equal(placement_labels_dense(label, 6, dense, &labels, NULL), PR_OK);
    assert_int_equal(labels, 4);
    assert_memory_equal(dense, want, sizeof want);
    assert_int_equal(placement_labels_dense(label, 0, dense, &labels, NULL), PR_OK);
    assert_int_equal(labels, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_of_any_size_become_dense),
        cmocka_unit_test(figures_of_two_triangles_and_a_bridge),
        cmocka_unit_test(weights_count_and_isolated_vertices_do_not_divide_by_zero),
        cmocka_unit_test(vertices_in_a_zone_of_no_capacity_are_infinitely_too_many),
        cmocka_unit_test(dollars_follow_the_reference_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
