#include "t.h"

#include "core/code.h"
#include "engine/community.h"
#include "placement_csr.h"

#include <math.h>

static const struct placement_communities_input PLAIN = { .resolution = 1, .seed = 1 };
static const enum placement_community_method METHOD[] = { PLACEMENT_LEIDEN, PLACEMENT_LOUVAIN };

static struct placement_communities find(struct placement_communities_input in,
                                         const struct placement_graph *g, uint32_t *community)
{
    struct placement_communities out;
    struct pr_err err;
    in.graph = g;
    assert_ok(placement_communities(&in, community, &out, &err), &err);
    return out;
}

/* Friends in a karate club (Zachary, 1977), who later fell out: the graph that
 * every method is tried on. Its largest modularity is .4198. */
static struct placement_graph karate(void)
{
    static const uint8_t pair[][2] = {
        { 0, 1 },   { 0, 2 },   { 0, 3 },   { 0, 4 },   { 0, 5 },   { 0, 6 },   { 0, 7 },
        { 0, 8 },   { 0, 10 },  { 0, 11 },  { 0, 12 },  { 0, 13 },  { 0, 17 },  { 0, 19 },
        { 0, 21 },  { 0, 31 },  { 1, 2 },   { 1, 3 },   { 1, 7 },   { 1, 13 },  { 1, 17 },
        { 1, 19 },  { 1, 21 },  { 1, 30 },  { 2, 3 },   { 2, 7 },   { 2, 8 },   { 2, 9 },
        { 2, 13 },  { 2, 27 },  { 2, 28 },  { 2, 32 },  { 3, 7 },   { 3, 12 },  { 3, 13 },
        { 4, 6 },   { 4, 10 },  { 5, 6 },   { 5, 10 },  { 5, 16 },  { 6, 16 },  { 8, 30 },
        { 8, 32 },  { 8, 33 },  { 9, 33 },  { 13, 33 }, { 14, 32 }, { 14, 33 }, { 15, 32 },
        { 15, 33 }, { 18, 32 }, { 18, 33 }, { 19, 33 }, { 20, 32 }, { 20, 33 }, { 22, 32 },
        { 22, 33 }, { 23, 25 }, { 23, 27 }, { 23, 29 }, { 23, 32 }, { 23, 33 }, { 24, 25 },
        { 24, 27 }, { 24, 31 }, { 25, 31 }, { 26, 29 }, { 26, 33 }, { 27, 33 }, { 28, 31 },
        { 28, 33 }, { 29, 32 }, { 29, 33 }, { 30, 32 }, { 30, 33 }, { 31, 32 }, { 31, 33 },
        { 32, 33 },
    };
    struct csr_edge edge[sizeof pair / sizeof *pair];
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++)
        edge[i] = (struct csr_edge){ pair[i][0], pair[i][1], 1 };
    return csr_make(34, edge, sizeof pair / sizeof *pair);
}

/* count cliques of size vertices, clique after clique; ring: one edge from each
 * to the next. */
static struct placement_graph cliques(uint32_t count, uint32_t size, bool ring)
{
    static struct csr_edge edge[20000];
    size_t m = 0;
    for (uint32_t c = 0; c < count; c++) {
        for (uint32_t i = 0; i < size; i++)
            for (uint32_t j = 0; j < i; j++)
                edge[m++] = (struct csr_edge){ c * size + i, c * size + j, 1 };
        if (ring)
            edge[m++] = (struct csr_edge){ c * size, (c + 1) % count * size + 1, 1 };
    }
    return csr_make(count * size, edge, m);
}

static void finds_the_factions_of_the_karate_club(void **state)
{
    (void)state;
    struct placement_graph g = karate();
    uint32_t community[34];
    assert_int_equal(g.weight_sum, 78);
    for (size_t i = 0; i < PR_COUNT(METHOD); i++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            struct placement_communities_input in = PLAIN;
            in.method = METHOD[i];
            in.seed = seed;
            const struct placement_communities out = find(in, &g, community);
            assert_in_range(out.count, 3, 5);
            /* Louvain has no way out of its first choice. */
            assert_true(out.modularity >= (METHOD[i] == PLACEMENT_LEIDEN ? .4197 : .39));
            assert_true(out.modularity < .41981);
            assert_int_not_equal(community[0], community[33]); /* the two leaders */
            assert_int_equal(community[0], 0);
        }
    placement_graph_done(&g);
}

static void finds_each_clique_of_a_ring(void **state)
{
    (void)state;
    struct placement_graph g = cliques(12, 6, true);
    uint32_t community[72];
    for (size_t i = 0; i < PR_COUNT(METHOD); i++) {
        struct placement_communities_input in = PLAIN;
        in.method = METHOD[i];
        const struct placement_communities out = find(in, &g, community);
        assert_int_equal(out.count, 12);
        assert_true(fabs(out.modularity - (15. / 16 - 1. / 12)) < 1e-12);
        for (uint32_t v = 0; v < 72; v++)
            assert_int_equal(community[v], v / 6);
    }
    placement_graph_done(&g);
}

static void cliques_without_edges_between_them_stay_apart(void **state)
{
    (void)state;
    struct placement_graph g = cliques(40, 9, false);
    uint32_t community[360];
    const struct placement_communities out = find(PLAIN, &g, community);
    assert_int_equal(out.count, 40);
    assert_true(fabs(out.modularity - 39. / 40) < 1e-12);
    for (uint32_t v = 0; v < 360; v++)
        assert_int_equal(community[v], v / 9);
    placement_graph_done(&g);
}

/* Plain modularity joins small cliques of a long ring; a higher resolution
 * tells them apart, a lower one joins more. */
static void resolution_decides_how_many(void **state)
{
    (void)state;
    struct placement_graph g = cliques(60, 3, true);
    uint32_t community[180], count[4];
    static const double resolution[] = { .05, .5, 1, 8 };
    for (size_t i = 0; i < PR_COUNT(resolution); i++) {
        struct placement_communities_input in = PLAIN;
        in.resolution = resolution[i];
        count[i] = find(in, &g, community).count;
        assert_true(i == 0 || count[i] > count[i - 1]);
    }
    assert_in_range(count[0], 2, 6);
    assert_true(count[2] < 60);
    assert_int_equal(count[3], 60);
    placement_graph_done(&g);
}

static void heavy_edges_bind(void **state)
{
    (void)state;
    /* A circle of 8, each second edge heavy. */
    struct csr_edge edge[8];
    for (uint32_t v = 0; v < 8; v++)
        edge[v] = (struct csr_edge){ v, (v + 1) % 8, v % 2 == 0 ? 1000 : 1 };
    struct placement_graph g = csr_make(8, edge, 8);
    uint32_t community[8];
    const struct placement_communities out = find(PLAIN, &g, community);
    assert_int_equal(out.count, 4);
    for (uint32_t v = 0; v < 8; v++)
        assert_int_equal(community[v], v / 2);
    placement_graph_done(&g);
}

static void a_star_is_one_community(void **state)
{
    (void)state;
    enum { LEAVES = 60000 }; /* so many that limits and batches of large graphs hold */
    struct csr_edge *edge = malloc(LEAVES * sizeof *edge);
    uint32_t *community = malloc((LEAVES + 1) * sizeof *community);
    assert_non_null(edge);
    assert_non_null(community);
    for (uint32_t v = 0; v < LEAVES; v++)
        edge[v] = (struct csr_edge){ v, LEAVES, 1 };
    struct placement_graph g = csr_make(LEAVES + 1, edge, LEAVES);
    for (size_t i = 0; i < PR_COUNT(METHOD); i++) {
        struct placement_communities_input in = PLAIN;
        in.method = METHOD[i];
        assert_int_equal(find(in, &g, community).count, 1);
    }
    placement_graph_done(&g);
    free(edge);
    free(community);
}

static void vertices_without_edges_stay_alone(void **state)
{
    (void)state;
    const struct csr_edge edge[] = { { 1, 3, 1 } };
    struct placement_graph g = csr_make(5, edge, 1), none = csr_make(3, edge, 0),
                           nobody = csr_make(0, edge, 0);
    uint32_t community[5];
    struct placement_communities out = find(PLAIN, &g, community);
    const uint32_t want[] = { 0, 1, 2, 1, 3 };
    assert_int_equal(out.count, 4);
    assert_memory_equal(community, want, sizeof want);

    out = find(PLAIN, &none, community);
    assert_int_equal(out.count, 3);
    assert_true(out.modularity == 0);
    assert_int_equal(community[2], 2);
    assert_int_equal(find(PLAIN, &nobody, community).count, 0);
    placement_graph_done(&g);
    placement_graph_done(&none);
    placement_graph_done(&nobody);
}

static void no_community_outgrows_its_limit(void **state)
{
    (void)state;
    struct placement_graph g = cliques(1, 30, false);
    uint32_t community[30];
    for (size_t i = 0; i < PR_COUNT(METHOD); i++)
        for (uint64_t max = 1; max <= 31; max++) {
            struct placement_communities_input in = PLAIN;
            uint64_t weight[30] = { 0 };
            in.method = METHOD[i];
            in.max_weight = max;
            assert_true(find(in, &g, community).count >= (30 + max - 1) / max);
            for (uint32_t v = 0; v < 30; v++)
                assert_true(++weight[community[v]] <= max);
        }
    placement_graph_done(&g);
}

static void small_ones_join_the_neighbour_that_costs_least(void **state)
{
    (void)state;
    /* Two cliques of 5; 10 hangs on the first by weight 1, on the second by 2,
     * too lightly for its own 40 to 11; 12 has no neighbour. */
    struct csr_edge edge[32];
    size_t m = 0;
    for (uint32_t i = 0; i < 5; i++)
        for (uint32_t j = 0; j < i; j++) {
            edge[m++] = (struct csr_edge){ i, j, 20 };
            edge[m++] = (struct csr_edge){ 5 + i, 5 + j, 20 };
        }
    edge[m++] = (struct csr_edge){ 10, 0, 1 };
    edge[m++] = (struct csr_edge){ 10, 5, 2 };
    edge[m++] = (struct csr_edge){ 10, 11, 40 };
    struct placement_graph g = csr_make(13, edge, m);
    uint32_t community[13];
    struct placement_communities_input in = PLAIN;
    assert_int_equal(find(in, &g, community).count, 4);
    in.min_weight = 3;
    struct placement_communities out = find(in, &g, community);
    const uint32_t want[] = { 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2 };
    assert_int_equal(out.count, 3);
    assert_int_equal(out.below_min, 1);
    assert_memory_equal(community, want, sizeof want);

    in.max_weight = 6; /* leaves no room for two more */
    out = find(in, &g, community);
    assert_int_equal(out.count, 4);
    assert_int_equal(out.below_min, 2);
    in.min_weight = 0;
    in.max_weight = 0;
    assert_int_equal(find(in, &g, community).below_min, 0);
    placement_graph_done(&g);
}

static void coded_rows_give_the_same(void **state)
{
    (void)state;
    struct placement_graph g = cliques(30, 7, true), coded = csr_copy(&g);
    uint32_t plain[210], other[210];
    assert_int_equal(placement_graph_code(&coded, NULL, NULL), PR_OK);
    const struct placement_communities a = find(PLAIN, &g, plain), b = find(PLAIN, &coded, other);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_equal(plain, other, sizeof plain);
    placement_graph_done(&g);
    placement_graph_done(&coded);
}

static void modularity_is_as_defined(void **state)
{
    (void)state;
    /* Two triangles and a bridge of weight 3: 2m = 18, strengths 2 2 5 5 2 2. */
    const struct csr_edge edge[] = { { 0, 1, 1 }, { 1, 2, 1 }, { 0, 2, 1 }, { 3, 4, 1 },
                                     { 4, 5, 1 }, { 3, 5, 1 }, { 2, 3, 3 } };
    struct placement_graph g = csr_make(6, edge, PR_COUNT(edge));
    const uint32_t split[] = { 5, 5, 5, 2, 2, 2 }, all[6] = { 0 }, odd[] = { 0, 1, 0, 1, 0, 1 };
    assert_true(fabs(placement_modularity(&g, split, 1, NULL) - (12. / 18 - .5)) < 1e-12);
    assert_true(fabs(placement_modularity(&g, split, 2, NULL) - (12. / 18 - 1)) < 1e-12);
    assert_true(fabs(placement_modularity(&g, all, 1, NULL)) < 1e-12);
    assert_true(fabs(placement_modularity(&g, odd, 1, NULL) - (4. / 18 - .5)) < 1e-12);
    placement_graph_done(&g);
}

static void refuses_what_cannot_be(void **state)
{
    (void)state;
    const struct csr_edge edge[] = { { 0, 1, 1 } };
    struct placement_graph g = csr_make(2, edge, 1);
    static const struct {
        double resolution;
        uint64_t max, min, heavy;
        enum pr_code want;
    } row[] = {
        { 0, 0, 0, 1, PR_EINVAL },
        { -1, 0, 0, 1, PR_EINVAL },
        { (double)NAN, 0, 0, 1, PR_EINVAL },
        { INFINITY, 0, 0, 1, PR_EINVAL },
        { 1, 3, 4, 1, PR_EINVAL },
        { 1, 4, 4, 1, PR_OK },
        { 1, 0, 9, 1, PR_OK },
        { 1, 6, 0, 7, PR_EFULL },
        { 1, 7, 0, 7, PR_OK },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        uint64_t weight[] = { 1, row[i].heavy };
        uint32_t community[] = { 8, 9 };
        struct placement_graph h = g;
        h.vertex_weight = weight;
        h.vertex_weight_sum = 1 + row[i].heavy;
        const struct placement_communities_input in = { .graph = &h,
                                                        .resolution = row[i].resolution,
                                                        .max_weight = row[i].max,
                                                        .min_weight = row[i].min };
        struct placement_communities out;
        struct pr_err err;
        assert_int_equal(placement_communities(&in, community, &out, &err), row[i].want);
        assert_int_equal(community[0], row[i].want == PR_OK ? 0 : 8);
    }
    placement_graph_done(&g);
}

struct patience {
    unsigned asked, until;
    double done;
};

static bool patient(void *ctx, double done)
{
    struct patience *p = ctx;
    assert_true(done >= p->done && done <= 1);
    p->done = done;
    return ++p->asked < p->until;
}

static void stops_when_told(void **state)
{
    (void)state;
    enum { N = 20000 };
    struct csr_edge *edge = malloc(N * 30 * sizeof *edge);
    uint32_t *community = malloc(N * sizeof *community);
    struct placement_communities out;
    assert_non_null(edge);
    assert_non_null(community);
    for (uint32_t i = 0; i < N * 30; i++)
        edge[i] = (struct csr_edge){ i % N, (i % N + 1 + i / N * (i / N)) % N, 1 };
    struct placement_graph g = csr_make(N, edge, N * 30);
    struct patience p = { .until = UINT32_MAX };
    struct placement_communities_input in = PLAIN;
    in.graph = &g;
    in.watch = (struct placement_watch){ patient, &p };
    assert_int_equal(placement_communities(&in, community, &out, NULL), PR_OK);
    const unsigned asked = p.asked;
    assert_true(asked >= 10);
    for (unsigned until = 1; until <= asked; until += 1 + until / 2) {
        p = (struct patience){ .until = until };
        community[0] = 77;
        assert_int_equal(placement_communities(&in, community, &out, NULL), PR_ECANCELED);
        assert_int_equal(community[0], 77);
    }
    placement_graph_done(&g);
    free(edge);
    free(community);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_factions_of_the_karate_club),
        cmocka_unit_test(finds_each_clique_of_a_ring),
        cmocka_unit_test(cliques_without_edges_between_them_stay_apart),
        cmocka_unit_test(resolution_decides_how_many),
        cmocka_unit_test(heavy_edges_bind),
        cmocka_unit_test(a_star_is_one_community),
        cmocka_unit_test(vertices_without_edges_stay_alone),
        cmocka_unit_test(no_community_outgrows_its_limit),
        cmocka_unit_test(small_ones_join_the_neighbour_that_costs_least),
        cmocka_unit_test(coded_rows_give_the_same),
        cmocka_unit_test(modularity_is_as_defined),
        cmocka_unit_test(refuses_what_cannot_be),
        cmocka_unit_test(stops_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
