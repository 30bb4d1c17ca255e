/* The warm start where room is short, or where vertices must go. */
#include "t.h"

#include "engine/warm.h"
#include "placement_csr.h"

#include <math.h>

#define FREE PLACEMENT_FREE
#define MANY UINT64_MAX

static void vertices_without_edges_go_where_most_room_is(void **state)
{
    (void)state;
    uint16_t today[10], block[10];
    const uint64_t capacity[] = { 3, 0, 5, 2 };
    uint64_t size[4] = { 0 };
    struct placement_graph g = csr_make(10, NULL, 0);
    struct placement_warm_result r;
    for (unsigned v = 0; v < 10; v++)
        today[v] = FREE;
    const struct placement_warm_input in = {
        .graph = &g, .blocks = 4, .capacity = capacity, .today = today
    };
    assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
    for (unsigned v = 0; v < 10; v++)
        size[block[v]]++;
    assert_int_equal(size[0], 3);
    assert_int_equal(size[1], 0);
    assert_int_equal(size[2], 5);
    assert_int_equal(size[3], 2);
    assert_int_equal(block[0], 2);
    placement_graph_done(&g);
}

static void fixed_vertices_move_first_and_stay(void **state)
{
    (void)state;
    struct placement_graph g = two_triangles();
    const uint16_t today[] = { 0, 0, 0, 1, 1, 1 };
    const uint16_t fixed[] = { 1, FREE, FREE, FREE, FREE, FREE };
    const uint64_t capacity[] = { 6, 6 };
    uint16_t block[6];
    struct placement_warm_result r;
    const struct placement_warm_input in = {
        .graph = &g, .blocks = 2, .capacity = capacity, .today = today, .fixed = fixed, .price = 5
    };
    assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
    assert_int_equal(block[0], 1);
    assert_int_equal(r.forced, 1);
    assert_int_equal(r.moved, 0);
    assert_int_equal(r.cut_before, 1);
    assert_int_equal(r.cut, 5);
    placement_graph_done(&g);
}

static void overfull_blocks_lose_the_cheapest(void **state)
{
    (void)state;
    struct placement_graph g = two_triangles();
    const uint16_t today[] = { 0, 0, 0, 0, 0, 1 }, want[] = { 0, 0, 0, 1, 1, 1 };
    const uint64_t capacity[] = { 3, 3 };
    uint16_t block[6];
    struct placement_warm_result r;
    const struct placement_warm_input in = {
        .graph = &g, .blocks = 2, .capacity = capacity, .today = today, .price = 10
    };
    assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
    assert_memory_equal(block, want, sizeof want);
    assert_int_equal(r.forced, 2);
    assert_int_equal(r.moved, 0);
    assert_int_equal(r.cut_before, 4);
    assert_int_equal(r.cut, 1);
    placement_graph_done(&g);
}

/* Block 0 is 1 too heavy. Vertex 0, of weight 8, loses nothing; 1 loses an edge
 * of weight 1 but is light: what counts is the loss for each unit of excess. */
static void a_light_vertex_goes_rather_than_a_heavy_one(void **state)
{
    (void)state;
    static const struct {
        uint64_t heavy_edge;
        uint32_t goes;
    } row[] = { { 2, 1 }, { 1, 0 } }; /* even: the lower one */
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct csr_edge edge[] = { { 0, 2, (uint32_t)row[i].heavy_edge }, { 1, 2, 1 } };
        const uint64_t weight[] = { 8, 1, 1 }, capacity[] = { 9, 20 };
        const uint16_t today[] = { 0, 0, 0 };
        struct placement_graph g = csr_make(3, edge, 2);
        uint16_t block[3];
        struct placement_warm_result r;
        csr_weigh(&g, weight);
        const struct placement_warm_input in = {
            .graph = &g, .blocks = 2, .capacity = capacity, .today = today
        };
        assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
        for (uint32_t v = 0; v < 3; v++)
            assert_int_equal(block[v], v == row[i].goes);
        placement_graph_done(&g);
    }
}

static void a_block_without_capacity_is_emptied(void **state)
{
    (void)state;
    struct placement_graph g = two_triangles();
    const uint16_t today[] = { 0, 0, 0, 1, 1, 1 }, want[] = { 0, 0, 0, 2, 2, 2 };
    const uint64_t capacity[] = { 3, 0, 3 };
    uint16_t block[6];
    struct placement_warm_result r;
    const struct placement_warm_input in = {
        .graph = &g, .blocks = 3, .capacity = capacity, .today = today, .price = 10
    };
    assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
    assert_memory_equal(block, want, sizeof want);
    assert_int_equal(r.forced, 3);
    assert_int_equal(r.cut_before, 1);
    assert_int_equal(r.cut, 1);
    placement_graph_done(&g);
}

/* Only a new packing helps: 5 and 4 cannot go anywhere before 3 has left. */
static void heavy_vertices_are_packed_anew(void **state)
{
    (void)state;
    const uint64_t weight[] = { 5, 4, 3, 3 }, capacity[] = { 8, 7 };
    const uint16_t today[] = { 0, 0, 1, 1 };
    uint16_t block[4];
    uint64_t load[2] = { 0 };
    struct placement_graph g = csr_make(4, NULL, 0);
    struct placement_warm_result r;
    csr_weigh(&g, weight);
    const struct placement_warm_input in = {
        .graph = &g, .blocks = 2, .capacity = capacity, .today = today
    };
    assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
    for (uint32_t v = 0; v < 4; v++)
        load[block[v]] += weight[v];
    assert_int_equal(load[0], 8);
    assert_int_equal(load[1], 7);
    placement_graph_done(&g);
}

static void what_cannot_fit_is_refused(void **state)
{
    (void)state;
    static const struct {
        uint64_t weight[3], capacity[2];
        uint16_t fixed[3];
        const char *text;
    } row[] = {
        { { 1, 1, 1 },
          { 1, 1 },
          { FREE, FREE, FREE },
          "vertices of weight 3 are 1 above all capacities" },
        { { 1, 5, 1 },
          { 4, 4 },
          { FREE, FREE, FREE },
          "vertex 1 of weight 5 is 1 above the largest capacity" },
        { { 2, 2, 1 },
          { 3, 9 },
          { 0, 0, FREE },
          "vertices fixed in block 0 are 1 above its capacity" },
        { { 2, 2, 2 },
          { 3, 3 },
          { FREE, FREE, FREE },
          "block 0 is 1 above its capacity, and no other has room for what could leave it" },
        { { 0, 0, 0 },
          { 0, 0 },
          { FREE, FREE, FREE },
          "vertex 0 of weight 0 is 0 above the largest capacity" },
    };
    const uint16_t today[] = { 0, 0, 0 };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct placement_graph g = csr_make(3, NULL, 0);
        uint16_t block[3] = { 7, 7, 7 };
        struct placement_warm_result r;
        struct pr_err err;
        csr_weigh(&g, row[i].weight);
        const struct placement_warm_input in = { .graph = &g,
                                                 .blocks = 2,
                                                 .capacity = row[i].capacity,
                                                 .today = today,
                                                 .fixed = row[i].fixed };
        assert_int_equal(placement_warm(&in, block, &r, &err), PR_EFULL);
        assert_int_equal(block[0], 7);
        assert_string_equal(err.text, row[i].text);
        placement_graph_done(&g);
    }
}

static void wrong_input_is_refused(void **state)
{
    (void)state;
    struct placement_graph g = two_triangles();
    const uint16_t good[] = { 0, 0, 0, 1, 1, 1 }, bad[] = { 0, 0, 0, 1, 1, 2 };
    const uint64_t capacity[] = { 6, 6 };
    const uint32_t changed[] = { 6 };
    const struct placement_warm_input fine = {
        .graph = &g, .blocks = 2, .capacity = capacity, .today = good
    };
    struct placement_warm_input in[6] = { fine, fine, fine, fine, fine, fine };
    uint16_t block[6];
    struct placement_warm_result r;
    in[0].blocks = 0;
    in[1].blocks = PLACEMENT_MAX_BLOCKS + 1;
    in[2].today = bad;
    in[3].fixed = bad;
    in[4].price = -1;
    in[5].changed = changed;
    in[5].n_changed = 1;
    for (size_t i = 0; i < PR_COUNT(in); i++)
        assert_int_equal(placement_warm(&in[i], block, &r, NULL), PR_EINVAL);
    in[0] = fine;
    in[0].price = NAN;
    assert_int_equal(placement_warm(&in[0], block, &r, NULL), PR_EINVAL);
    placement_graph_done(&g);
}

/* All leaves but the hub's own side want to follow it; there is no room. */
static void a_star_stays_within_capacity(void **state)
{
    (void)state;
    enum { LEAVES = 1000 };
    static struct csr_edge edge[LEAVES];
    static uint16_t today[LEAVES + 1], block[LEAVES + 1];
    uint64_t size[4] = { 0 };
    const uint64_t capacity[] = { 260, 260, 260, 260 };
    for (uint32_t i = 0; i < LEAVES; i++) {
        edge[i] = (struct csr_edge){ 0, i + 1, 1 };
        today[i + 1] = (uint16_t)(i % 4);
    }
    struct placement_graph g = csr_make(LEAVES + 1, edge, LEAVES);
    struct placement_warm_result r;
    const struct placement_warm_input in = {
        .graph = &g, .blocks = 4, .capacity = capacity, .today = today, .moves = MANY
    };
    assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
    for (uint32_t v = 0; v <= LEAVES; v++)
        size[block[v]]++;
    for (unsigned b = 0; b < 4; b++)
        assert_in_range(size[b], 0, capacity[b]);
    assert_int_equal(r.cut_before, 750);
    assert_int_equal(r.cut, LEAVES - 259);
    assert_false(r.capped);
    placement_graph_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vertices_without_edges_go_where_most_room_is),
        cmocka_unit_test(fixed_vertices_move_first_and_stay),
        cmocka_unit_test(overfull_blocks_lose_the_cheapest),
        cmocka_unit_test(a_light_vertex_goes_rather_than_a_heavy_one),
        cmocka_unit_test(a_block_without_capacity_is_emptied),
        cmocka_unit_test(heavy_vertices_are_packed_anew),
        cmocka_unit_test(what_cannot_fit_is_refused),
        cmocka_unit_test(wrong_input_is_refused),
        cmocka_unit_test(a_star_stays_within_capacity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
