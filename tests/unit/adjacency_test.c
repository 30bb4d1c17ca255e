/* Edge lists -> adjacency, and the zone list. */
#include "prism/dp/adjacency.h"
#include "prism/dp/zones.h"
#include "prism/rng.h"
#include "t.h"

#include <string.h>

static struct dp_adjacency build(struct graph_edge *edge, size_t n)
{
    struct dp_adjacency a;
    struct pr_err err;
    const struct graph_edges g = { edge, n };
    assert_ok(dp_adjacency_build(&g, &a, &err), &err);
    return a;
}

static size_t number_of(const struct dp_adjacency *a, uint64_t id)
{
    for (size_t v = 0; v < a->vertices; v++)
        if (a->id[v] == id)
            return v;
    fail_msg("no vertex %llu", (unsigned long long)id);
    return 0;
}

/* Weight of from -> to in the lists of either side; 0 when absent. */
static uint64_t weight(const struct dp_adjacency *a, uint64_t from, uint64_t to, bool in)
{
    const size_t v = number_of(a, in ? to : from), u = number_of(a, in ? from : to);
    const size_t *first = in ? a->in_first : a->out_first;
    const struct dp_arc *arc = in ? a->in : a->out;
    for (size_t i = first[v]; i < first[v + 1]; i++)
        if (arc[i].vertex == u)
            return arc[i].weight;
    return 0;
}

static void merges_duplicates_and_drops_self_loops(void **state)
{
    (void)state;
    struct graph_edge e[] = { { 9, 2, 1 },           { 2, 9, 4 }, { 9, 2, 4294967295U },
                              { 9, 2, 4294967295U }, { 5, 5, 1 }, { 2, 7, 1 } };
    struct dp_adjacency a = build(e, PR_COUNT(e));
    assert_int_equal(a.vertices, 4);
    assert_int_equal(a.edges, 3);
    for (int in = 0; in < 2; in++) {
        assert_int_equal(weight(&a, 9, 2, in), 1 + 2 * 4294967295ULL);
        assert_int_equal(weight(&a, 2, 9, in), 4);
        assert_int_equal(weight(&a, 2, 7, in), 1);
        assert_int_equal(weight(&a, 5, 5, in), 0);
    }
    dp_adjacency_done(&a);
}

static void ids_may_be_sparse_and_huge(void **state)
{
    (void)state;
    struct graph_edge e[] = { { 0, INT64_MAX, 3 }, { INT64_MAX, 1000000000000ULL, 2 } };
    struct dp_adjacency a = build(e, PR_COUNT(e));
    assert_int_equal(a.vertices, 3);
    assert_int_equal(a.id[0], 0);
    assert_int_equal(a.id[2], INT64_MAX);
    assert_int_equal(weight(&a, 0, INT64_MAX, false), 3);
    assert_int_equal(weight(&a, INT64_MAX, 1000000000000ULL, true), 2);
    dp_adjacency_done(&a);
}

static void only_self_loops_leave_vertices_without_edges(void **state)
{
    (void)state;
    struct graph_edge e[] = { { 3, 3, 1 }, { 3, 3, 1 } };
    struct dp_adjacency a = build(e, PR_COUNT(e));
    assert_int_equal(a.vertices, 1);
    assert_int_equal(a.edges, 0);
    assert_int_equal(a.out_first[1], 0);
    assert_int_equal(a.in_first[1], 0);
    dp_adjacency_done(&a);
}

/* Against a plain matrix, with dense and with sparse ids. */
static void agrees_with_a_matrix_on_random_graphs(void **state)
{
    (void)state;
    enum { N = 40, EDGES = 600 };
    const uint64_t seed = 20261121;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct pr_rng rng;
    pr_rng_init(&rng, seed);
    for (uint64_t stride = 1; stride <= 1000003; stride += 1000002) {
        struct graph_edge e[EDGES];
        uint64_t want[N][N] = { { 0 } };
        size_t edges = 0;
        for (size_t i = 0; i < EDGES; i++) {
            const uint64_t u = pr_rng_below(&rng, N), v = pr_rng_below(&rng, N);
            e[i] = (struct graph_edge){ u * stride, v * stride,
                                        (uint32_t)(1 + pr_rng_below(&rng, 9)) };
            if (u != v) {
                edges += want[u][v] == 0;
                want[u][v] += e[i].weight;
            }
        }
        struct dp_adjacency a = build(e, EDGES);
        assert_int_equal(a.vertices, N); /* all drawn, with this seed */
        assert_int_equal(a.edges, edges);
        for (uint64_t u = 0; u < N; u++)
            for (uint64_t v = 0; v < N; v++) {
                assert_int_equal(weight(&a, u * stride, v * stride, false), want[u][v]);
                assert_int_equal(weight(&a, u * stride, v * stride, true), want[u][v]);
            }
        for (size_t i = 1; i < a.vertices; i++)
            assert_true(a.id[i - 1] < a.id[i]);
        dp_adjacency_done(&a);
    }
}

static void zones_are_found_by_node(void **state)
{
    (void)state;
    struct dp_zones z;
    struct pr_err err;
    assert_ok(dp_zones_parse(&z, "10.0.0.1:7=a, 10.0.0.2:7=b,::1:7=a,h.example:1=us-west_2c", &err),
              &err);
    assert_int_equal(z.n, 3);
    assert_string_equal(z.name[0], "a");
    assert_string_equal(z.name[2], "us-west_2c");
    assert_int_equal(dp_zone_of(&z, "10.0.0.1:7"), 0);
    assert_int_equal(dp_zone_of(&z, "10.0.0.2:7"), 1);
    assert_int_equal(dp_zone_of(&z, "::1:7"), 0);
    assert_int_equal(dp_zone_of(&z, "h.example:1"), 2);
    assert_int_equal(dp_zone_of(&z, "10.0.0.3:7"), -1);
    dp_zones_done(&z);
}

static void bad_zone_lists_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } row[] = {
        { "", "want host:port=zone" },
        { " ,,", "want host:port=zone" },
        { "a:1", "'a:1': want host:port=zone" },
        { "a=b", "'a=b': want host:port=zone" },
        { "=b", "'=b': want host:port=zone" },
        { "a:1=b,c:2=", "'c:2=': zone of" },
        { "a:1=b\"", "zone of" },
        { "a:1=abcdefghijklmnopqrstuvwxyz0123456", "zone of" },
        { "a:1=a,a:2=b,a:3=c,a:4=d,a:5=e,a:6=f,a:7=g,a:8=h,a:9=i,a:10=j,a:11=k,a:12=l,a:13=m,"
          "a:14=n,a:15=o,a:16=p,a:17=q",
          "'a:17=q': more than 16 zones" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dp_zones z;
        struct pr_err err = { .text = "" };
        assert_int_equal(dp_zones_parse(&z, row[i].text, &err), PR_EINVAL);
        if (strstr(err.text, row[i].says) == NULL)
            fail_msg("'%s' does not say '%s'", err.text, row[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_duplicates_and_drops_self_loops),
        cmocka_unit_test(ids_may_be_sparse_and_huge),
        cmocka_unit_test(only_self_loops_leave_vertices_without_edges),
        cmocka_unit_test(agrees_with_a_matrix_on_random_graphs),
        cmocka_unit_test(zones_are_found_by_node),
        cmocka_unit_test(bad_zone_lists_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
