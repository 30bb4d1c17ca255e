#include "t.h"

#include "engine/warm.h"
#include "placement_csr.h"

#include <math.h>

#define FREE PLACEMENT_FREE
#define MANY UINT64_MAX

static void nothing_moves_when_nothing_pays(void **state)
{
    (void)state;
    struct placement_graph g = two_triangles();
    const uint16_t today[] = { 0, 0, 0, 1, 1, 1 };
    const uint64_t capacity[] = { 4, 4 };
    uint16_t block[6];
    struct placement_warm_result r;
    const struct placement_warm_input in = {
        .graph = &g, .blocks = 2, .capacity = capacity, .today = today, .moves = MANY
    };
    assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
    assert_memory_equal(block, today, sizeof today);
    assert_int_equal(r.cut_before, 1);
    assert_int_equal(r.cut, 1);
    assert_int_equal(r.placed + r.forced + r.moved, 0);
    assert_false(r.capped);
    placement_graph_done(&g);
}

/* Vertex 2 among the others' block: going back saves 2 + 2 - 1. */
static void a_move_must_save_more_than_its_price(void **state)
{
    (void)state;
    static const struct {
        double price;
        uint64_t weight, moved;
    } row[] = {
        { 0, 1, 1 }, { 2.999, 1, 1 }, { 3, 1, 0 },     { 3.001, 1, 0 }, { 1, 2, 1 },
        { 1, 3, 0 }, { 1.5, 2, 0 },   { 1e300, 0, 1 }, { 1e300, 1, 0 }, { INFINITY, 1, 0 },
    };
    const uint16_t today[] = { 0, 0, 1, 1, 1, 1 };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct placement_graph g = two_triangles();
        const uint64_t weight[] = { 1, 1, row[i].weight, 1, 1, 1 };
        const uint64_t capacity[] = { 5, 3 + row[i].weight }; /* not all in one */
        uint16_t block[6];
        struct placement_warm_result r;
        csr_weigh(&g, weight);
        const struct placement_warm_input in = { .graph = &g,
                                                 .blocks = 2,
                                                 .capacity = capacity,
                                                 .today = today,
                                                 .price = row[i].price,
                                                 .moves = MANY };
        assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
        assert_int_equal(r.cut_before, 4);
        assert_int_equal(r.moved, row[i].moved);
        assert_false(r.capped);
        assert_int_equal(r.cut, row[i].moved > 0 ? 1 : 4);
        assert_int_equal(block[2], row[i].moved > 0 ? 0 : 1);
        placement_graph_done(&g);
    }
}

/* 0 and 5 have changed places: the better half of the exchange comes first. */
static void the_limit_on_moves_is_kept_and_reported(void **state)
{
    (void)state;
    static const struct {
        uint64_t moves, moved;
        bool capped;
    } row[] = { { 0, 0, true }, { 1, 1, true }, { 2, 2, false }, { MANY, 2, false } };
    const uint16_t today[] = { 1, 0, 0, 1, 1, 0 };
    const uint64_t capacity[] = { 4, 4 };
    struct placement_graph g = two_triangles();
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        uint16_t block[6];
        struct placement_warm_result r;
        const struct placement_warm_input in = {
            .graph = &g, .blocks = 2, .capacity = capacity, .today = today, .moves = row[i].moves
        };
        assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
        assert_int_equal(r.moved, row[i].moved);
        assert_int_equal(r.capped, row[i].capped);
        assert_int_equal(r.cut, 9 - 4 * row[i].moved);
    }
    placement_graph_done(&g);
}

static void full_blocks_exchange_vertices(void **state)
{
    (void)state;
    static const struct {
        double price;
        uint64_t moves, moved;
    } row[] = {
        { 0, MANY, 2 }, { 3.99, MANY, 2 }, { 4, MANY, 0 }, { 0, 1, 0 }, { 0, 2, 2 },
    };
    const uint16_t today[] = { 1, 0, 0, 1, 1, 0 };
    const uint64_t capacity[] = { 3, 3 };
    struct placement_graph g = two_triangles();
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        uint16_t block[6];
        struct placement_warm_result r;
        const struct placement_warm_input in = { .graph = &g,
                                                 .blocks = 2,
                                                 .capacity = capacity,
                                                 .today = today,
                                                 .price = row[i].price,
                                                 .moves = row[i].moves };
        assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
        assert_int_equal(r.moved, row[i].moved);
        assert_false(row[i].moves == MANY && r.capped);
        assert_int_equal(r.cut, 9 - 4 * row[i].moved);
    }
    placement_graph_done(&g);
}

/* 0 and 2 want to be together; whoever makes room gains nothing by it. */
static void an_exchange_pays_for_both(void **state)
{
    (void)state;
    static const struct {
        double price;
        uint64_t moved;
    } row[] = { { 0, 2 }, { 0.49, 2 }, { 0.5, 0 }, { 0.9, 0 }, { 1, 0 } };
    static const struct csr_edge edge[] = { { 0, 2, 1 } };
    const uint16_t today[] = { 0, 0, 1, 1 };
    const uint64_t capacity[] = { 2, 2 };
    struct placement_graph g = csr_make(4, edge, 1);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        uint16_t block[4];
        struct placement_warm_result r;
        const struct placement_warm_input in = { .graph = &g,
                                                 .blocks = 2,
                                                 .capacity = capacity,
                                                 .today = today,
                                                 .price = row[i].price,
                                                 .moves = MANY };
        assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
        assert_int_equal(r.moved, row[i].moved);
        assert_false(r.capped);
        assert_int_equal(r.cut, row[i].moved > 0 ? 0 : 1);
    }
    placement_graph_done(&g);
}

static void new_vertices_go_where_their_edges_are(void **state)
{
    (void)state;
    /* 4 is tied to block 1, 5 only to 4, 6 only to 5; 7 and 8 to each other. */
    static const struct csr_edge edge[] = { { 0, 1, 1 }, { 2, 3, 1 }, { 0, 4, 1 }, { 2, 4, 3 },
                                            { 4, 5, 1 }, { 5, 6, 1 }, { 7, 8, 1 } };
    const uint16_t today[] = { 0, 0, 1, 1, FREE, FREE, FREE, FREE, FREE };
    const uint16_t want[] = { 0, 0, 1, 1, 1, 1, 1, 0, 0 };
    const uint64_t capacity[] = { 6, 6 };
    struct placement_graph g = csr_make(9, edge, PR_COUNT(edge));
    uint16_t block[9];
    struct placement_warm_result r;
    const struct placement_warm_input in = {
        .graph = &g, .blocks = 2, .capacity = capacity, .today = today, .price = 100
    };
    assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
    assert_memory_equal(block, want, sizeof want);
    assert_int_equal(r.placed, 5);
    assert_int_equal(r.cut_before, 1);
    assert_int_equal(r.cut, 1);
    assert_int_equal(r.moved + r.forced, 0);
    placement_graph_done(&g);
}

static void an_empty_graph_is_placed(void **state)
{
    (void)state;
    struct placement_graph g = csr_make(0, NULL, 0);
    const uint64_t capacity[] = { 0 };
    const uint16_t today[1] = { 0 };
    uint16_t block[1];
    struct placement_warm_result r;
    const struct placement_warm_input in = {
        .graph = &g, .blocks = 1, .capacity = capacity, .today = today
    };
    assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
    assert_int_equal(r.cut, 0);
    placement_graph_done(&g);
}

static bool never(void *ctx, double done)
{
    (void)done;
    ++*(unsigned *)ctx;
    return false;
}

static void it_stops_when_told(void **state)
{
    (void)state;
    struct placement_graph g = two_triangles();
    const uint16_t today[] = { 0, 0, 0, 1, 1, 1 };
    const uint64_t capacity[] = { 6, 6 };
    uint16_t block[6] = { 7 };
    unsigned asked = 0;
    struct placement_warm_result r;
    const struct placement_warm_input in = {
        .graph = &g, .blocks = 2, .capacity = capacity, .today = today, .watch = { never, &asked }
    };
    assert_int_equal(placement_warm(&in, block, &r, NULL), PR_ECANCELED);
    assert_int_equal(asked, 1);
    assert_int_equal(block[0], 7);
    placement_graph_done(&g);
}

static void only_the_surroundings_of_changes_are_looked_at(void **state)
{
    (void)state;
    struct placement_graph g = two_triangles();
    const uint16_t today[] = { 1, 0, 0, 1, 1, 0 };
    const uint64_t capacity[] = { 4, 4 }, cut_today = 9;
    const uint32_t changed[] = { 0 };
    uint16_t block[6];
    struct placement_warm_result r;
    for (unsigned known = 0; known < 2; known++) {
        struct placement_warm_input in = { .graph = &g,
                                           .blocks = 2,
                                           .capacity = capacity,
                                           .today = today,
                                           .changed = changed,
                                           .cut_today = known ? &cut_today : NULL,
                                           .moves = MANY };
        in.n_changed = 0;
        assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
        assert_int_equal(r.moved, 0);
        assert_int_equal(r.cut, 9);
        in.n_changed = 1; /* 5 is no neighbour of 0 */
        assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
        assert_int_equal(r.moved, 1);
        assert_false(r.capped);
        assert_int_equal(block[0], 0);
        assert_int_equal(r.cut, 5);
    }
    placement_graph_done(&g);
}

/* The first two of a triangle lose by going over, all three gain. */
static void a_group_moves_where_no_vertex_would(void **state)
{
    (void)state;
    static const struct {
        double price;
        uint64_t moves, moved;
    } row[] = { { 0, MANY, 3 }, { 0.99, MANY, 3 }, { 1, MANY, 0 }, { 0, 2, 0 } };
    static const struct csr_edge edge[] = { { 0, 1, 2 }, { 1, 2, 2 }, { 0, 2, 2 }, { 3, 4, 9 },
                                            { 4, 5, 9 }, { 3, 5, 9 }, { 0, 3, 1 }, { 1, 4, 1 },
                                            { 2, 5, 1 }, { 3, 6, 9 } };
    const uint16_t today[] = { 0, 0, 0, 1, 1, 1, 1 }, want[] = { 1, 1, 1, 1, 1, 1, 1 };
    const uint64_t capacity[] = { 3, 7 };
    struct placement_graph g = csr_make(7, edge, PR_COUNT(edge));
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        uint16_t block[7];
        struct placement_warm_result r;
        const struct placement_warm_input in = { .graph = &g,
                                                 .blocks = 2,
                                                 .capacity = capacity,
                                                 .today = today,
                                                 .price = row[i].price,
                                                 .moves = row[i].moves };
        assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
        assert_int_equal(r.moved, row[i].moved);
        assert_false(row[i].moves == MANY && r.capped);
        assert_int_equal(r.cut_before, 3);
        assert_int_equal(r.cut, row[i].moved > 0 ? 0 : 3);
        assert_memory_equal(block, row[i].moved > 0 ? want : today, sizeof block);
    }
    placement_graph_done(&g);
}

/* Limits that no graph reaches: what is away already may go further. */
static const uint64_t ample[] = { MANY - 1, MANY };

/* 0 gains by block 1 at once, and more by block 2, which is full of loose ones. */
static void one_that_is_away_may_exchange_without_a_limit(void **state)
{
    (void)state;
    static const struct csr_edge edge[] = { { 0, 1, 3 }, { 0, 2, 5 } };
    const uint16_t today[] = { 0, 1, 2, 2 }, fixed[] = { FREE, 1, 2, FREE };
    const uint16_t want[] = { 2, 1, 2, 0 };
    const uint64_t capacity[] = { 2, 2, 2 };
    struct placement_graph g = csr_make(4, edge, PR_COUNT(edge));
    for (size_t i = 0; i < PR_COUNT(ample); i++) {
        uint16_t block[4];
        struct placement_warm_result r;
        const struct placement_warm_input in = { .graph = &g,
                                                 .blocks = 3,
                                                 .capacity = capacity,
                                                 .today = today,
                                                 .fixed = fixed,
                                                 .moves = ample[i] };
        assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
        assert_memory_equal(block, want, sizeof want);
        assert_int_equal(r.moved, 2);
        assert_int_equal(r.cut, 3);
        assert_false(r.capped);
    }
    placement_graph_done(&g);
}

/* 0 and 1 go to block 1, then 2 to block 2; only together do they follow it. */
static void a_group_that_is_away_may_go_on_without_a_limit(void **state)
{
    (void)state;
    static const struct csr_edge edge[] = { { 0, 1, 4 },  { 0, 2, 2 }, { 1, 2, 2 }, { 0, 3, 10 },
                                            { 1, 3, 10 }, { 0, 4, 9 }, { 1, 4, 9 }, { 2, 4, 5 } };
    const uint16_t today[] = { 0, 0, 0, 1, 2 }, fixed[] = { FREE, FREE, FREE, 1, 2 };
    const uint16_t want[] = { 2, 2, 2, 1, 2 };
    const uint64_t capacity[] = { 5, 5, 5 };
    struct placement_graph g = csr_make(5, edge, PR_COUNT(edge));
    for (size_t i = 0; i < PR_COUNT(ample); i++) {
        uint16_t block[5];
        struct placement_warm_result r;
        const struct placement_warm_input in = { .graph = &g,
                                                 .blocks = 3,
                                                 .capacity = capacity,
                                                 .today = today,
                                                 .fixed = fixed,
                                                 .moves = ample[i] };
        assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
        assert_memory_equal(block, want, sizeof want);
        assert_int_equal(r.moved, 3);
        assert_int_equal(r.cut, 20);
        assert_false(r.capped);
    }
    placement_graph_done(&g);
}

static void locality_is_spent_above_the_limit_only(void **state)
{
    (void)state;
    static const struct {
        uint64_t cut, sum;
        double reference, lost;
        bool want;
    } row[] = {
        { 110, 1000, 0.1, 0.125, false },
        { 113, 1000, 0.1, 0.125, true },
        { 0, 0, 0, 0, false },
        { 1, 1000, 0, 0.5, true },
        { 0, 1000, 0, 0.5, false },
        { 125, 1000, 0.125, 0, false },
        { 126, 1000, 0.125, 0, true },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(
            placement_warm_spent(row[i].cut, row[i].sum, row[i].reference, row[i].lost),
            row[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_moves_when_nothing_pays),
        cmocka_unit_test(a_move_must_save_more_than_its_price),
        cmocka_unit_test(the_limit_on_moves_is_kept_and_reported),
        cmocka_unit_test(full_blocks_exchange_vertices),
        cmocka_unit_test(an_exchange_pays_for_both),
        cmocka_unit_test(new_vertices_go_where_their_edges_are),
        cmocka_unit_test(an_empty_graph_is_placed),
        cmocka_unit_test(it_stops_when_told),
        cmocka_unit_test(only_the_surroundings_of_changes_are_looked_at),
        cmocka_unit_test(a_group_moves_where_no_vertex_would),
        cmocka_unit_test(one_that_is_away_may_exchange_without_a_limit),
        cmocka_unit_test(a_group_that_is_away_may_go_on_without_a_limit),
        cmocka_unit_test(locality_is_spent_above_the_limit_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
