#include "t.h"

#include "core/build.h"
#include "core/solve.h"

#include <stdlib.h>
#include <string.h>

enum { GROUPS = 3, SIZE = 20, N = GROUPS * SIZE };

/* Three dense groups in a ring: the cut of 3 edges is plain to see. */
static struct placement_graph groups(void)
{
    struct graph_edges edges = { .edge = calloc(GROUPS * SIZE * SIZE, sizeof *edges.edge) };
    struct placement_graph g;
    assert_non_null(edges.edge);
    for (unsigned c = 0; c < GROUPS; c++) {
        for (unsigned i = 0; i < SIZE; i++)
            for (unsigned j = i + 1; j < SIZE; j++)
                edges.edge[edges.n++] = (struct graph_edge){ c * SIZE + i, c * SIZE + j, 1 };
        edges.edge[edges.n++] = (struct graph_edge){ c * SIZE, (c + 1) % GROUPS * SIZE + 1, 1 };
    }
    assert_int_equal(placement_graph_build(&edges, &g, NULL), PR_OK);
    free(edges.edge);
    return g;
}

static const double even[] = { 1, 1, 1 };

static struct placement_solve_input input_of(const struct placement_graph *g)
{
    return (struct placement_solve_input){ .graph = g,
                                           .zones = 3,
                                           .ratio = even,
                                           .imbalance = 0.05,
                                           .seed = 1,
                                           .seeds = 2,
                                           .move_cap = UINT64_MAX,
                                           .keep_ratio = 0.02,
                                           .reference_ratio = -1,
                                           .lost_ratio = 0.1 };
}

/* Groups in the zones that shift says; every tenth vertex one further. */
static void today_of(uint16_t *today, unsigned shift, bool disturbed)
{
    for (unsigned v = 0; v < N; v++)
        today[v] = (uint16_t)((v / SIZE + shift + (disturbed && v % 10 == 9)) % GROUPS);
}

static void without_a_placement_the_graph_is_cut(void **state)
{
    (void)state;
    struct placement_graph g = groups();
    const struct placement_solve_input in = input_of(&g);
    struct placement_solve_result r;
    uint16_t zone[N];
    assert_int_equal(placement_solve(&in, zone, &r, NULL), PR_OK);
    assert_int_equal(r.mode, PLACEMENT_FULL);
    assert_string_equal(r.why, "there is no placement yet");
    assert_int_equal(r.cut, 3);
    assert_true(r.cut_warm == UINT64_MAX);
    placement_graph_done(&g);
}

static void which_way_is_taken_and_why(void **state)
{
    (void)state;
    struct placement_graph g = groups();
    static const struct {
        enum placement_mode mode;
        double reference, price;
        bool cut_anew;
        const char *why;
    } row[] = {
        { PLACEMENT_WARM, -1, 0, false, "asked for" },
        { PLACEMENT_FULL, -1, 0, true, "a new cut is hardly better" },
        { PLACEMENT_AUTO, -1, 0, true, "a new cut is hardly better" },
        { PLACEMENT_AUTO, 0.5, 0, false, "locality holds against the last full run" },
        { PLACEMENT_AUTO, 0.001, 0, true, "a new cut is hardly better" },
        { PLACEMENT_AUTO, 0.001, 1000, true, "a new cut does not save what its moves cost" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct placement_solve_input in = input_of(&g);
        struct placement_solve_result r;
        uint16_t today[N], zone[N];
        today_of(today, 1, true);
        in.today = today;
        in.mode = row[i].mode;
        in.reference_ratio = row[i].reference;
        in.move_price = row[i].price;
        assert_int_equal(placement_solve(&in, zone, &r, NULL), PR_OK);
        assert_int_equal(r.mode, PLACEMENT_WARM);
        if (strcmp(r.why, row[i].why) != 0)
            fail_msg("row %zu: %s", i, r.why);
        assert_int_equal(r.cut_full != UINT64_MAX, row[i].cut_anew);
        if (row[i].price > 0) /* nothing is worth a move */
            assert_memory_equal(zone, today, sizeof today);
        else
            for (unsigned v = 0; v < N; v++)
                assert_int_equal(zone[v], (v / SIZE + 1) % GROUPS);
    }
    placement_graph_done(&g);
}

/* Today is as bad as can be, and more moves than allowed are needed. */
static void a_new_cut_keeps_to_the_cap_on_moves(void **state)
{
    (void)state;
    struct placement_graph g = groups();
    struct placement_solve_input in = input_of(&g);
    struct placement_solve_result r;
    uint16_t today[N], zone[N];
    unsigned moved = 0;
    for (unsigned v = 0; v < N; v++)
        today[v] = (uint16_t)(v % GROUPS);
    in.today = today;
    in.move_cap = 2;
    assert_int_equal(placement_solve(&in, zone, &r, NULL), PR_OK);
    assert_int_equal(r.mode, PLACEMENT_WARM);
    assert_string_equal(r.why, "a new cut would move more vertices than allowed");
    for (unsigned v = 0; v < N; v++)
        moved += zone[v] != today[v];
    assert_true(moved <= 2);
    in.move_cap = UINT64_MAX;
    in.move_price = 0.5;
    assert_int_equal(placement_solve(&in, zone, &r, NULL), PR_OK);
    assert_int_equal(r.cut, 3);
    placement_graph_done(&g);
}

static void a_new_cut_takes_the_names_of_today(void **state)
{
    (void)state;
    struct placement_graph g = groups();
    for (unsigned shift = 0; shift < GROUPS; shift++) {
        struct placement_solve_input in = input_of(&g);
        struct placement_solve_result r;
        uint16_t today[N], zone[N];
        for (unsigned v = 0; v < N; v++) /* two in three where they should be */
            today[v] = (uint16_t)((v / SIZE + shift + (v % 3 == 2)) % GROUPS);
        in.today = today;
        in.keep_ratio = 0;
        in.move_price = 0;
        in.mode = PLACEMENT_FULL;
        assert_int_equal(placement_solve(&in, zone, &r, NULL), PR_OK);
        for (unsigned v = 0; v < N; v++)
            assert_int_equal(zone[v], (v / SIZE + shift) % GROUPS);
    }
    placement_graph_done(&g);
}

static void fixed_vertices_keep_the_names_of_their_zones(void **state)
{
    (void)state;
    struct placement_graph g = groups();
    struct placement_solve_input in = input_of(&g);
    struct placement_solve_result r;
    uint16_t today[N], fixed[N], zone[N];
    today_of(today, 0, false);
    for (unsigned v = 0; v < N; v++)
        fixed[v] = PLACEMENT_FREE;
    fixed[3] = 2; /* against today, where its group is in zone 0 */
    in.today = today;
    in.fixed = fixed;
    for (in.mode = PLACEMENT_AUTO; in.mode <= PLACEMENT_FULL; in.mode++) {
        assert_int_equal(placement_solve(&in, zone, &r, NULL), PR_OK);
        assert_int_equal(zone[3], 2);
    }
    placement_graph_done(&g);
}

static void what_cannot_be_is_refused_by_name(void **state)
{
    (void)state;
    struct placement_graph g = groups();
    static const double none[] = { 0, 0, 0 }, small[] = { 1, 1, 1e-9 }, two[] = { 1, 0, 1 };
    uint16_t zone[N], fixed[N], everything[N];
    uint64_t weight[N];
    struct placement_solve_result r;
    struct pr_err err;
    for (unsigned v = 0; v < N; v++) {
        fixed[v] = PLACEMENT_FREE;
        everything[v] = 1;
        weight[v] = 0;
    }
    fixed[7] = 3;
    const struct {
        struct placement_solve_input in;
        enum pr_code rc;
        const char *why;
    } row[] = {
        { { .ratio = none }, PR_EINVAL, "none of 3 zones has capacity" },
        { { .zones = 65 }, PR_EINVAL, "65 zones, 1 to 64" },
        { { .fixed = fixed }, PR_EINVAL, "vertex 7 is fixed to zone 3, there are 3" },
        { { .fixed = everything }, PR_EFULL, "fixed to zone 1 do not fit" },
        { { .fixed = everything, .ratio = two },
          PR_EINVAL,
          "vertex 0 is fixed to zone 1, which has no capacity" },
        { { .mode = PLACEMENT_WARM }, PR_EINVAL, "a warm start needs a placement" },
        { { .move_price = -1 }, PR_EINVAL, "move price -1" },
        { { .imbalance = 2 }, PR_EINVAL, "imbalance 2" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct placement_solve_input in = input_of(&g);
        in.ratio = row[i].in.ratio != NULL ? row[i].in.ratio : even;
        in.zones = row[i].in.zones != 0 ? row[i].in.zones : 3;
        in.fixed = row[i].in.fixed;
        in.mode = row[i].in.mode;
        in.move_price = row[i].in.move_price;
        in.imbalance = row[i].in.imbalance != 0 ? row[i].in.imbalance : 0.05;
        assert_int_equal(placement_solve(&in, zone, &r, &err), row[i].rc);
        if (strstr(err.text, row[i].why) == NULL)
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, err.text, row[i].why);
    }

    struct placement_solve_input in = input_of(&g);
    g.vertex_weight = weight;
    g.vertex_weight_sum = 0;
    assert_int_equal(placement_solve(&in, zone, &r, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "every vertex weighs 0"));
    weight[4] = 50;
    g.vertex_weight_sum = 60;
    weight[5] = 10;
    assert_int_equal(placement_solve(&in, zone, &r, &err), PR_EFULL);
    assert_non_null(
        strstr(err.text, "vertex 4 weighs 50, more than the largest zone may hold (21)"));
    g.vertex_weight = NULL;
    g.vertex_weight_sum = N;

    g.n = 2; /* of two vertices no third zone can have one */
    in.ratio = small;
    assert_int_equal(placement_solve(&in, zone, &r, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "more zones (3) than vertices (2)"));
    g.n = N;
    placement_graph_done(&g);
}

/* Eight times four large weights that fill a zone each, exactly: today is one of
 * few ways to fit, and no cut finds one. */
static void what_fits_today_is_kept_when_no_new_cut_fits(void **state)
{
    (void)state;
    enum { FULL_ZONES = 8, EACH = 4, ALL = FULL_ZONES * EACH };
    static const double ratio[FULL_ZONES] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    const uint64_t room = UINT64_C(1000000000000);
    struct graph_edges edges = { .edge = calloc(ALL, sizeof *edges.edge) };
    struct placement_graph g;
    struct placement_solve_result r;
    uint64_t weight[ALL];
    uint16_t today[ALL], zone[ALL];
    uint32_t x = 1;
    for (unsigned i = 0; i < ALL; i++)
        edges.edge[edges.n++] = (struct graph_edge){ i, (i + 1) % ALL, 1 };
    assert_int_equal(placement_graph_build(&edges, &g, NULL), PR_OK);
    free(edges.edge);
    for (unsigned z = 0; z < FULL_ZONES; z++) {
        uint64_t left = room;
        for (unsigned i = 0; i < EACH; i++) {
            const unsigned v = (z * EACH + i) * 7 % ALL; /* none beside another of its zone */
            x = x * 1664525U + 1013904223U;
            weight[v] = i == EACH - 1 ? left : 40000000000U + (x >> 8) * UINT64_C(3000) + x % 1000;
            left -= weight[v];
            today[v] = (uint16_t)z;
        }
    }
    g.vertex_weight = weight;
    g.vertex_weight_sum = FULL_ZONES * room;
    struct placement_solve_input in = input_of(&g);
    in.zones = FULL_ZONES;
    in.ratio = ratio;
    in.imbalance = 0;
    in.mode = PLACEMENT_FULL;
    assert_int_equal(placement_solve(&in, zone, &r, NULL), PR_EFULL);
    in.today = today;
    assert_int_equal(placement_solve(&in, zone, &r, NULL), PR_OK);
    assert_int_equal(r.mode, PLACEMENT_WARM);
    assert_string_equal(r.why, "a new cut cannot be made to fit");
    assert_true(r.cut_full == UINT64_MAX);
    g.vertex_weight = NULL;
    placement_graph_done(&g);
}

static bool stop(void *ctx, double done)
{
    double *last = ctx;
    assert_true(done >= *last && done <= 1);
    *last = done;
    return done < 0.1; /* the warm start is a tenth of it */
}

static void progress_only_grows_and_stopping_is_heard(void **state)
{
    (void)state;
    struct placement_graph g = groups();
    struct placement_solve_input in = input_of(&g);
    struct placement_solve_result r;
    uint16_t today[N], zone[N];
    double last = 0;
    today_of(today, 0, true);
    in.today = today;
    in.mode = PLACEMENT_FULL;
    in.watch = (struct placement_watch){ stop, &last };
    assert_int_equal(placement_solve(&in, zone, &r, NULL), PR_ECANCELED);
    assert_true(last >= 0.1);
    placement_graph_done(&g);
}

static void random_placement_cuts_what_shares_say(void **state)
{
    (void)state;
    static const double third[] = { 1.0 / 3, 1.0 / 3, 1.0 / 3 }, one[] = { 1, 0 };
    assert_true(placement_random_ratio(third, 3) > 0.666 &&
                placement_random_ratio(third, 3) < 0.667);
    assert_true(placement_random_ratio(one, 2) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_placement_the_graph_is_cut),
        cmocka_unit_test(which_way_is_taken_and_why),
        cmocka_unit_test(a_new_cut_keeps_to_the_cap_on_moves),
        cmocka_unit_test(a_new_cut_takes_the_names_of_today),
        cmocka_unit_test(fixed_vertices_keep_the_names_of_their_zones),
        cmocka_unit_test(what_cannot_be_is_refused_by_name),
        cmocka_unit_test(what_fits_today_is_kept_when_no_new_cut_fits),
        cmocka_unit_test(progress_only_grows_and_stopping_is_heard),
        cmocka_unit_test(random_placement_cuts_what_shares_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
