#include "t.h"

#include "core/explain.h"
#include "core/build.h"

#include <string.h>

static void says_what_held_a_vertex_back(void **state)
{
    (void)state;
    /* 0 has weight 3 to zone b (vertices 1, 2) and 1 to zone a (3); 4 is a loop. */
    struct graph_edge edge[] = { { 0, 1, 2 }, { 0, 2, 1 }, { 0, 3, 1 }, { 4, 4, 1 } };
    const struct graph_edges edges = { .edge = edge, .n = PR_COUNT(edge) };
    struct placement_graph g;
    assert_int_equal(placement_graph_build(&edges, &g, NULL), PR_OK);
    const uint16_t zone[] = { 0, 1, 1, 0, 0 };
    const uint64_t vertices[] = { 3, 2 };
    static const struct {
        uint32_t v;
        uint64_t capacity_b;
        int64_t gain;
        const char *why;
    } row[] = {
        { 0, 3, 2, "cut of the whole graph" },
        { 0, 2, 2, "is full" },
        { 0, 0, 2, "has no capacity" },
        { 3, 3, 0, "is in its zone" },
        { 4, 3, 0, "no edges" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const uint64_t capacity[] = { 3, row[i].capacity_b };
        const struct placement_explain_input in = { &g, zone, 2, vertices, capacity, row[i].v };
        struct placement_explanation got;
        placement_explain(&in, &got);
        assert_int_equal(got.gain, row[i].gain);
        assert_int_equal(got.zone, 0);
        if (row[i].v == 0) {
            assert_int_equal(got.tie[0], 1);
            assert_int_equal(got.tie[1], 3);
            assert_int_equal(got.preferred, 1);
        }
        if (strstr(got.why, row[i].why) == NULL)
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, got.why, row[i].why);
    }
    placement_graph_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(says_what_held_a_vertex_back) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
