#include "t.h"

#include "core/build.h"
#include "core/parts.h"

#include <stdlib.h>
#include <string.h>

enum { N = 60, ZONES = 3, PARTS = 6 };

/* A ring of cliques of five; zones are thirds of it. */
static struct placement_graph ring(void)
{
    struct graph_edges edges = { .edge = calloc(N * 5, sizeof *edges.edge) };
    struct placement_graph g;
    assert_non_null(edges.edge);
    for (unsigned v = 0; v < N; v++) {
        for (unsigned u = v + 1; u < v / 5 * 5 + 5; u++)
            edges.edge[edges.n++] = (struct graph_edge){ v, u, 2 };
        if (v % 5 == 4)
            edges.edge[edges.n++] = (struct graph_edge){ v, (v + 1) % N, 1 };
    }
    assert_int_equal(placement_graph_build(&edges, &g, NULL), PR_OK);
    free(edges.edge);
    return g;
}

static void zones_of(uint16_t *zone)
{
    for (unsigned v = 0; v < N; v++)
        zone[v] = (uint16_t)(v / (N / ZONES));
}

/* Every part in one zone, and none far above its even share. */
static void check(const uint16_t *zone, const uint32_t *part, uint64_t most)
{
    int zone_of[PARTS];
    uint64_t weight[PARTS] = { 0 };
    for (unsigned i = 0; i < PARTS; i++)
        zone_of[i] = -1;
    for (unsigned v = 0; v < N; v++) {
        assert_true(part[v] < PARTS);
        assert_true(zone_of[part[v]] < 0 || zone_of[part[v]] == zone[v]);
        zone_of[part[v]] = zone[v];
        assert_true(++weight[part[v]] <= most);
    }
}

static void parts_are_cut_within_their_zones(void **state)
{
    (void)state;
    struct placement_graph g = ring();
    uint16_t zone[N];
    uint32_t part[N];
    struct placement_parts_result r;
    zones_of(zone);
    const struct placement_parts_input in = { .graph = &g,
                                              .zone = zone,
                                              .zones = ZONES,
                                              .parts = PARTS,
                                              .imbalance = 0.05,
                                              .seed = 1,
                                              .seeds = 1 };
    assert_int_equal(placement_parts(&in, part, &r, NULL), PR_OK);
    assert_false(r.kept);
    check(zone, part, 10);
    assert_int_equal(r.heaviest, 10);
    assert_int_equal(r.cut, 6); /* between cliques only, twice a zone */
    placement_graph_done(&g);
}

static void only_who_changes_zone_changes_part(void **state)
{
    (void)state;
    struct placement_graph g = ring();
    uint16_t zone[N];
    uint32_t part[N], today[N];
    struct placement_parts_result r;
    zones_of(zone);
    for (unsigned v = 0; v < N; v++)
        today[v] = v / 10;
    zone[19] = 1;           /* its clique stays in zone 0; it is tied to vertex 20, of part 2 */
    today[40] = UINT32_MAX; /* new: it joins its clique, of part 4 */
    const struct placement_parts_input in = { .graph = &g,
                                              .zone = zone,
                                              .zones = ZONES,
                                              .parts = PARTS,
                                              .imbalance = 0.2,
                                              .today = today,
                                              .seed = 1,
                                              .seeds = 1 };
    assert_int_equal(placement_parts(&in, part, &r, NULL), PR_OK);
    assert_true(r.kept);
    for (unsigned v = 0; v < N; v++)
        assert_int_equal(part[v], v == 19 ? 2 : v / 10);
    assert_int_equal(r.heaviest, 11);
    placement_graph_done(&g);
}

static void a_part_above_its_limit_loses_whom_it_holds_least(void **state)
{
    (void)state;
    struct placement_graph g = ring();
    uint16_t zone[N];
    uint32_t part[N], today[N];
    unsigned moved = 0;
    struct placement_parts_result r;
    zones_of(zone);
    for (unsigned v = 0; v < N; v++)
        today[v] = v < 15 ? 0 : v < 20 ? 1 : v / 10;
    const struct placement_parts_input in = { .graph = &g,
                                              .zone = zone,
                                              .zones = ZONES,
                                              .parts = PARTS,
                                              .imbalance = 0.2,
                                              .today = today,
                                              .seed = 1,
                                              .seeds = 1 };
    assert_int_equal(placement_parts(&in, part, &r, NULL), PR_OK);
    assert_true(r.kept);
    assert_false(r.stretched);
    check(zone, part, 13);
    for (unsigned v = 0; v < N; v++)
        moved += part[v] != today[v];
    assert_int_equal(moved, 2);
    assert_int_equal(part[14], 1); /* the only one that is tied to part 1 */
    assert_int_equal(r.heaviest, 13);
    assert_true(r.imbalance > 0.299 && r.imbalance < 0.301);
    placement_graph_done(&g);
}

/* Vertices of 9 of 30 cannot be even in two parts of zone 0. */
static void what_cannot_be_even_is_told(void **state)
{
    (void)state;
    struct placement_graph g = ring();
    uint16_t zone[N];
    uint32_t part[N], today[N];
    uint64_t weight[N];
    struct placement_parts_result r;
    zones_of(zone);
    for (unsigned v = 0; v < N; v++) {
        today[v] = v / 10;
        weight[v] = v < 20 ? v % 10 == 0 : 1;
    }
    weight[0] = weight[1] = weight[2] = 9;
    weight[10] = 3;
    g.vertex_weight = weight;
    g.vertex_weight_sum = 70;
    const struct placement_parts_input in = { .graph = &g,
                                              .zone = zone,
                                              .zones = ZONES,
                                              .parts = PARTS,
                                              .imbalance = 0.05,
                                              .today = today,
                                              .seed = 1,
                                              .seeds = 1 };
    assert_int_equal(placement_parts(&in, part, &r, NULL), PR_OK);
    assert_true(r.kept);
    assert_true(r.stretched);
    assert_int_equal(r.heaviest, 18); /* 27 and 3 became 18 and 12 */
    g.vertex_weight = NULL;
    placement_graph_done(&g);
}

static void more_parts_than_today_are_made_anew(void **state)
{
    (void)state;
    struct placement_graph g = ring();
    uint16_t zone[N];
    uint32_t part[N], today[N];
    struct placement_parts_result r;
    zones_of(zone);
    for (unsigned v = 0; v < N; v++)
        today[v] = zone[v];
    const struct placement_parts_input in = { .graph = &g,
                                              .zone = zone,
                                              .zones = ZONES,
                                              .parts = PARTS,
                                              .imbalance = 0.05,
                                              .today = today,
                                              .seed = 1,
                                              .seeds = 1 };
    assert_int_equal(placement_parts(&in, part, &r, NULL), PR_OK);
    assert_false(r.kept);
    check(zone, part, 10);
    assert_true(r.imbalance < 0.001 && r.imbalance > -0.001);
    placement_graph_done(&g);
}

static bool refuse(void *ctx, double done)
{
    assert_true(done >= 0 && done <= 1);
    ++*(unsigned *)ctx;
    return false;
}

static void keeping_is_stopped_too(void **state)
{
    (void)state;
    struct placement_graph g = ring();
    uint16_t zone[N];
    uint32_t part[N], today[N];
    unsigned asked = 0;
    struct placement_parts_result r;
    zones_of(zone);
    for (unsigned v = 0; v < N; v++)
        today[v] = v / 10;
    const struct placement_parts_input in = { .graph = &g,
                                              .zone = zone,
                                              .zones = ZONES,
                                              .parts = PARTS,
                                              .imbalance = 0.2,
                                              .today = today,
                                              .seed = 1,
                                              .seeds = 1,
                                              .watch = { refuse, &asked } };
    assert_int_equal(placement_parts(&in, part, &r, NULL), PR_ECANCELED);
    assert_int_equal(asked, 1);
    placement_graph_done(&g);
}

/* Vertices without edges, none placed: the lightest part takes each, so parts
 * end even however many there are. */
static void the_lightest_part_takes_who_is_tied_to_none(void **state)
{
    (void)state;
    enum { LONE = 30000, MANY = 3000 };
    struct graph_edges edges = { .edge = calloc(LONE, sizeof *edges.edge), .n = LONE };
    struct placement_graph g;
    for (unsigned v = 0; v < LONE; v++)
        edges.edge[v] = (struct graph_edge){ v, v, 1 };
    assert_int_equal(placement_graph_build(&edges, &g, NULL), PR_OK);
    free(edges.edge);
    uint16_t *zone = calloc(LONE, sizeof *zone);
    uint32_t *part = calloc(LONE, sizeof *part), *today = calloc(LONE, sizeof *today);
    struct placement_parts_result r;
    for (unsigned v = 0; v < LONE; v++) {
        zone[v] = (uint16_t)(v % 2);
        today[v] = v < MANY ? v : UINT32_MAX;
    }
    const struct placement_parts_input in = { .graph = &g,
                                              .zone = zone,
                                              .zones = 2,
                                              .parts = MANY,
                                              .imbalance = 0,
                                              .today = today,
                                              .seeds = 1 };
    assert_int_equal(placement_parts(&in, part, &r, NULL), PR_OK);
    assert_true(r.kept);
    assert_int_equal(r.heaviest, LONE / MANY);
    for (unsigned v = 0; v < LONE; v++)
        assert_int_equal(part[v] % 2, zone[v]);
    free(zone);
    free(part);
    free(today);
    placement_graph_done(&g);
}

static void fewer_parts_than_zones_are_refused(void **state)
{
    (void)state;
    struct placement_graph g = ring();
    uint16_t zone[N];
    uint32_t part[N];
    struct placement_parts_result r;
    zones_of(zone);
    const struct placement_parts_input in = {
        .graph = &g, .zone = zone, .zones = ZONES, .parts = 2, .imbalance = 0.05, .seeds = 1
    };
    assert_int_equal(placement_parts(&in, part, &r, NULL), PR_EINVAL);
    placement_graph_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_cut_within_their_zones),
        cmocka_unit_test(only_who_changes_zone_changes_part),
        cmocka_unit_test(a_part_above_its_limit_loses_whom_it_holds_least),
        cmocka_unit_test(what_cannot_be_even_is_told),
        cmocka_unit_test(more_parts_than_today_are_made_anew),
        cmocka_unit_test(keeping_is_stopped_too),
        cmocka_unit_test(the_lightest_part_takes_who_is_tied_to_none),
        cmocka_unit_test(fewer_parts_than_zones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
