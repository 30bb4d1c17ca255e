/* The builder's edges: weights of vertices, limits, cancelling, gap coding. */
#include "t.h"

#include "core/build.h"
#include "core/code.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static struct placement_builder *builder(const struct placement_build_opts *opts)
{
    struct placement_builder *b = NULL;
    struct pr_err err = { .text = "" };
    assert_ok(placement_builder_new(opts, &b, &err), &err);
    return b;
}

static void add(struct placement_builder *b, uint64_t from, uint64_t to, uint32_t weight)
{
    const struct graph_edge e = { from, to, weight };
    assert_int_equal(placement_builder_add(b, &e, 1, NULL), PR_OK);
}

static void add_vertex(struct placement_builder *b, uint64_t id, uint64_t weight)
{
    const struct graph_vertex v = { id, weight };
    assert_int_equal(placement_builder_add_vertices(b, &v, 1, NULL), PR_OK);
}

static void assert_refused(struct placement_builder *b, enum pr_code code, const char *says)
{
    struct placement_graph g = { .n = 77 };
    struct pr_err err = { .text = "" };
    assert_int_equal(placement_builder_finish(b, &g, &err), code);
    if (strstr(err.text, says) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, says);
    assert_int_equal(g.n, 77);
    placement_builder_free(b);
}

static const struct placement_build_opts plain = { .pool = NULL };

static void vertices_may_stand_alone_and_have_weights(void **state)
{
    (void)state;
    struct placement_graph g;
    struct placement_builder *b = builder(&plain);
    add_vertex(b, 30, 7);
    add(b, 10, 20, 1);
    add_vertex(b, 20, 0);
    add_vertex(b, 30, 8); /* the last word counts */
    add(b, 40, 40, 3);    /* a loop: its vertex stays */
    assert_int_equal(placement_builder_finish(b, &g, NULL), PR_OK);
    placement_builder_free(b);
    static const uint64_t id[] = { 10, 20, 30, 40 }, weight[] = { 1, 0, 8, 1 };
    assert_int_equal(g.n, 4);
    assert_memory_equal(g.id, id, sizeof id);
    assert_memory_equal(g.vertex_weight, weight, sizeof weight);
    assert_int_equal(g.vertex_weight_sum, 10);
    assert_int_equal(g.arcs, 2);
    assert_null(g.weight);
    placement_graph_done(&g);
}

static void a_graph_of_lone_vertices_is_one(void **state)
{
    (void)state;
    struct placement_graph g;
    struct placement_builder *b = builder(&plain);
    for (uint64_t id = 0; id < 5; id++)
        add_vertex(b, id, 1);
    assert_int_equal(placement_builder_finish(b, &g, NULL), PR_OK);
    placement_builder_free(b);
    assert_int_equal(g.n, 5);
    assert_int_equal(g.arcs, 0);
    assert_null(g.id);            /* 0..4 */
    assert_null(g.vertex_weight); /* all 1 */
    assert_int_equal(placement_graph_code(&g, NULL, NULL), PR_OK);
    assert_int_equal(placement_row(&g, 4, NULL).n, 0);
    placement_graph_done(&g);
}

static void vertex_weights_must_be_something_and_not_too_much(void **state)
{
    (void)state;
    struct placement_builder *b = builder(&plain);
    assert_refused(b, PR_EINVAL, "empty graph");
    b = builder(&plain);
    add(b, 1, 2, 1);
    add_vertex(b, 1, 0);
    add_vertex(b, 2, 0);
    assert_refused(b, PR_EINVAL, "all vertex weights are 0");
    b = builder(&plain);
    add_vertex(b, 1, INT64_MAX);
    add_vertex(b, 2, 1);
    assert_refused(b, PR_EFULL, "the vertex weights add up to more than 2^63 - 1");
}

static void an_edge_must_weigh_something(void **state)
{
    (void)state;
    struct placement_builder *b = builder(&plain);
    const struct graph_edge e = { 1, 2, 0 };
    assert_int_equal(placement_builder_add(b, &e, 1, NULL), PR_EINVAL);
    placement_builder_free(b);
}

static void the_least_of_several_too_heavy_edges_is_named(void **state)
{
    (void)state;
    struct pr_pool *pool = NULL;
    assert_int_equal(pr_pool_new(3, &pool, NULL), PR_OK);
    struct placement_builder *b = builder(&(struct placement_build_opts){ .pool = pool });
    for (uint64_t i = 0; i < 50000; i++) {
        add(b, UINT64_MAX - i, UINT64_MAX - i - 2, UINT32_MAX);
        add(b, UINT64_MAX - i - 2, UINT64_MAX - i, 1);
    }
    assert_refused(b, PR_EFULL, "edge 18446744073709501614 - 18446744073709501616: its weights");
    pr_pool_free(pool);
}

static void the_budget_is_kept_and_named(void **state)
{
    (void)state;
    enum { MIB = 1 << 20, EDGES = 1 << 20 };
    struct placement_builder *b =
        builder(&(struct placement_build_opts){ .budget_bytes = 8 * MIB });
    struct graph_edge edge[64];
    struct pr_err err = { .text = "" };
    enum pr_code rc = PR_OK;
    uint64_t at = 0;
    for (; at < EDGES && rc == PR_OK; at += PR_COUNT(edge)) {
        for (size_t i = 0; i < PR_COUNT(edge); i++)
            edge[i] = (struct graph_edge){ (at + i) % 1000, (at + i) / 1000, 1 };
        /* a file of which this is a quarter: the figure is the whole file's */
        const struct graph_batch batch = {
            .edge = edge, .edges = PR_COUNT(edge), .read_bytes = at + 64, .file_bytes = 4 * EDGES
        };
        rc = placement_builder_sink(b, &batch, &err);
    }
    assert_int_equal(rc, PR_EFULL);
    assert_in_range(at, EDGES / 8, EDGES / 2);
    assert_string_equal(err.text, "graph needs about 53 MiB, the budget is 8 MiB");
    placement_builder_free(b);
}

/* An edge that stands there twice makes a graph with weights of one without. */
static void duplicates_count_against_the_budget(void **state)
{
    (void)state;
    enum { N = 2000, STEPS = 500 };
    const struct placement_build_size size = { .edges = N * STEPS + 1, .vertices = N };
    const struct placement_build_opts opts = { .budget_bytes = placement_builder_bytes(&size) };
    for (uint64_t twice = 0; twice < 2; twice++) {
        struct placement_builder *b = builder(&opts);
        for (uint64_t v = 0; v < N; v++)
            for (uint64_t step = 1; step <= STEPS; step++)
                add(b, v, (v + step) % N, 1);
        add(b, 0, twice, 1);
        if (twice == 1) {
            assert_refused(b, PR_EFULL, "graph needs about");
            continue;
        }
        struct placement_graph g;
        assert_int_equal(placement_builder_finish(b, &g, NULL), PR_OK);
        assert_int_equal(g.arcs, 2 * N * STEPS);
        placement_builder_free(b);
        placement_graph_done(&g);
    }
}

static bool stop_at_half(void *ctx, double done)
{
    double *last = ctx;
    assert_true(done >= *last && done <= 1);
    *last = done;
    return done < 0.5;
}

static void stops_when_told(void **state)
{
    (void)state;
    double last = 0;
    struct placement_builder *b =
        builder(&(struct placement_build_opts){ .watch = { stop_at_half, &last } });
    for (uint64_t i = 0; i < 10000; i++)
        add(b, i, i * i, 1);
    assert_refused(b, PR_ECANCELED, "canceled while building");
    assert_true(last >= 0.5);
}

/* Gaps of every length, rows of every remainder of four, degrees around 128. */
static void coded_rows_read_as_plain_ones(void **state)
{
    (void)state;
    static const uint32_t gap[] = { 1, 255, 256, 65535, 65536, 16777215, 16777216, 3000000 };
    enum { DEGREES = 300 };
    struct placement_graph g = { .n = DEGREES, .degree_max = DEGREES };
    g.start = calloc(DEGREES + 1, sizeof *g.start);
    g.to = calloc(DEGREES * DEGREES, sizeof *g.to);
    uint32_t *const want = calloc(DEGREES * DEGREES, sizeof *want), row[DEGREES];
    for (uint32_t v = 0; v < DEGREES; v++) {
        uint32_t at = v % 3 == 0 ? 0 : UINT32_MAX - 1000 - v; /* wraps: any row will do */
        for (uint32_t i = 0; i < v; i++) {
            g.to[g.arcs] = want[g.arcs] = at;
            at += gap[(v + i) % PR_COUNT(gap)];
            g.arcs++;
        }
        g.start[v + 1] = g.arcs;
    }
    assert_int_equal(placement_graph_code(&g, NULL, NULL), PR_OK);
    assert_null(g.to);
    uint64_t at = 0;
    for (uint32_t v = 0; v < DEGREES; v++) {
        const struct placement_row r = placement_row(&g, v, row);
        assert_int_equal(r.n, v);
        assert_memory_equal(r.to, want + at, v * sizeof *want);
        at += v;
    }
    assert_int_equal(placement_graph_code(&g, NULL, NULL), PR_OK); /* is coded already */
    placement_graph_done(&g);
    free(want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vertices_may_stand_alone_and_have_weights),
        cmocka_unit_test(a_graph_of_lone_vertices_is_one),
        cmocka_unit_test(vertex_weights_must_be_something_and_not_too_much),
        cmocka_unit_test(an_edge_must_weigh_something),
        cmocka_unit_test(the_least_of_several_too_heavy_edges_is_named),
        cmocka_unit_test(the_budget_is_kept_and_named),
        cmocka_unit_test(duplicates_count_against_the_budget),
        cmocka_unit_test(stops_when_told),
        cmocka_unit_test(coded_rows_read_as_plain_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
