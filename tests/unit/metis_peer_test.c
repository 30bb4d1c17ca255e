/* The peer that the engine is compared with is asked the right question. */
#include "metis_peer.h"
#include "t.h"

#include "core/build.h"

#include <stdlib.h>
#include <string.h>

enum { SIZE = 5, CLIQUES = 40, N = SIZE * CLIQUES };

/* A ring of cliques, joined by single edges. */
static struct placement_graph ring_of_cliques(uint32_t weight)
{
    struct graph_edges edges = { .edge = calloc(N * SIZE, sizeof *edges.edge) };
    struct placement_graph g;
    assert_non_null(edges.edge);
    for (uint32_t c = 0; c < CLIQUES; c++) {
        for (uint32_t i = 0; i < SIZE; i++)
            for (uint32_t j = i + 1; j < SIZE; j++)
                edges.edge[edges.n++] = (struct graph_edge){ c * SIZE + i, c * SIZE + j, weight };
        edges.edge[edges.n++] =
            (struct graph_edge){ c * SIZE, (c + 1) % CLIQUES * SIZE + 1, weight };
    }
    assert_int_equal(placement_graph_build(&edges, &g, NULL), PR_OK);
    free(edges.edge);
    return g;
}

static void capacities_become_shares(void **state)
{
    (void)state;
    static const uint64_t capacity[] = { 105, 53, 52 };
    struct placement_graph g = ring_of_cliques(1);
    uint16_t block[N];
    unsigned size[3] = { 0 };
    const struct metis_peer_input in = {
        .graph = &g, .blocks = 3, .capacity = capacity, .seed = 1
    };
    double seconds = -1;
    assert_null(g.weight);
    assert_int_equal(metis_peer(&in, block, &seconds, NULL), PR_OK);
    assert_true(seconds >= 0);
    for (unsigned v = 0; v < N; v++)
        size[block[v]]++;
    assert_in_range(size[0], 85, 110);
    assert_in_range(size[1], 40, 60);
    placement_graph_done(&g);
}

static void vertex_weights_count(void **state)
{
    (void)state;
    static const uint64_t capacity[] = { 210, 210 };
    struct placement_graph g = ring_of_cliques(7);
    uint16_t block[N];
    uint64_t load[2] = { 0 };
    g.vertex_weight = malloc(N * sizeof *g.vertex_weight);
    assert_non_null(g.vertex_weight);
    for (unsigned v = 0; v < N; v++)
        g.vertex_weight[v] = v < N / 2 ? 3 : 1; /* 400 in all */
    g.vertex_weight_sum = 400;
    const struct metis_peer_input in = {
        .graph = &g, .blocks = 2, .capacity = capacity, .seed = 1
    };
    assert_int_equal(metis_peer(&in, block, NULL, NULL), PR_OK);
    for (unsigned v = 0; v < N; v++)
        load[block[v]] += g.vertex_weight[v];
    assert_in_range(load[0], 180, 220);
    placement_graph_done(&g);
}

static void one_block_takes_all(void **state)
{
    (void)state;
    static const uint64_t capacity[] = { N };
    struct placement_graph g = ring_of_cliques(1);
    uint16_t block[N];
    const struct metis_peer_input in = { .graph = &g, .blocks = 1, .capacity = capacity };
    memset(block, 0xff, sizeof block);
    assert_int_equal(metis_peer(&in, block, NULL, NULL), PR_OK);
    for (unsigned v = 0; v < N; v++)
        assert_int_equal(block[v], 0);
    placement_graph_done(&g);
}

static void what_is_beyond_32_bits_is_refused(void **state)
{
    (void)state;
    static const uint64_t capacity[] = { N, N };
    struct placement_graph g = ring_of_cliques(1u << 30);
    struct placement_graph huge = { .n = 9, .arcs = (uint64_t)INT32_MAX + 1 };
    struct pr_err err;
    uint16_t block[N];
    struct metis_peer_input in = { .graph = &g, .blocks = 2, .capacity = capacity };
    assert_int_equal(metis_peer(&in, block, NULL, &err), PR_EFULL);
    assert_non_null(strstr(err.text, "weights sum to"));
    in.graph = &huge;
    assert_int_equal(metis_peer(&in, block, NULL, &err), PR_EFULL);
    assert_non_null(strstr(err.text, "2147483648 arcs"));
    placement_graph_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capacities_become_shares),
        cmocka_unit_test(vertex_weights_count),
        cmocka_unit_test(one_block_takes_all),
        cmocka_unit_test(what_is_beyond_32_bits_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
