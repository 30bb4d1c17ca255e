/* The order of moves: full shards, long pairs, and goals after every wave. */
#include "t.h"

#include "rebalance_fleet.h"

#include <stdlib.h>

static struct rf *r;
static int16_t *group;
static struct pr_arena arena;
static struct rebalance_fleet_plan plan;
static struct pr_err err;

static int setup(void **state)
{
    (void)state;
    r = calloc(1, sizeof *r);
    group = calloc(REBALANCE_SLOTS, sizeof *group);
    pr_arena_init(&arena, 0);
    return r == NULL || group == NULL;
}

static int teardown(void **state)
{
    (void)state;
    pr_arena_done(&arena);
    free(group);
    free(r);
    return 0;
}

/* Ten slots of each of two shards change places; `free_bytes` beyond what
 * each of three shards holds. */
static enum pr_code exchange(const double *free_bytes)
{
    const struct rebalance_goal goal = { .kind = REBALANCE_ASSIGN,
                                         .group_of_slot = group,
                                         .groups = 3 };
    rf_make(r, 1, 3, 0, 1e6);
    rf_fill(r, 0);
    for (int n = 0; n < 3; n++)
        r->node[n].capacity_bytes = r->node[n].used_bytes + free_bytes[n];
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        group[s] = r->slot[s].shard;
    for (int k = 0; k < 10; k++) {
        group[k] = 1;
        group[8000 + k] = 0;
    }
    return rebalance_fleet_plan(&r->f, &goal, NULL, &arena, &plan, &err);
}

static void full_shards_exchange_slots_through_one_with_room(void **state)
{
    (void)state;
    static const struct {
        double free_bytes[3];
        enum pr_code want;
        uint32_t slots; /* a slot on a detour counts twice */
    } row[] = {
        { { 1e9, 1e9, 0 }, PR_OK, 20 },
        { { 1.3e6, 0.3e6, 0 }, PR_OK, 20 },       /* just room for one slot */
        { { 1.2e6, 0.3e6, 0 }, PR_ECONFLICT, 0 }, /* not 1.3 times a slot */
        { { 0.3e6, 0.3e6, 1.3e6 }, PR_OK, 21 },   /* the third lends its room */
        { { 0.3e6, 0.3e6, 1.2e6 }, PR_ECONFLICT, 0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const enum pr_code rc = exchange(row[i].free_bytes);
        if (rc != row[i].want)
            fail_msg("row %zu: %s", i, err.text);
        if (rc != PR_OK) {
            assert_non_null(strstr(err.text, "is full"));
            assert_non_null(strstr(err.text, "raise maxmemory"));
            continue;
        }
        assert_int_equal(plan.slots, row[i].slots);
        assert_int_equal(plan.notes, row[i].slots > 20); /* and says so */
        struct rebalance_layout *l = pr_arena_alloc(&arena, sizeof *l);
        assert_ok(rebalance_layout_after(&r->f, &plan, plan.waves, &arena, l, &err), &err);
        for (int s = 0; s < REBALANCE_SLOTS; s++)
            assert_int_equal(l->slot_shard[s], group[s]);
    }
}

static void targets_have_the_memory_before_each_wave(void **state)
{
    (void)state;
    const int16_t node[] = { 0, 1 };
    const struct rebalance_goal goal = { .kind = REBALANCE_DRAIN, .node = node, .n = 2 };
    const struct rebalance_limits lim = { .wave_bytes = 1e15 };
    rf_make(r, 3, 6, 1, 1e6);
    rf_fill(r, 2731e6 + 2731e6 + 10e6); /* shard 3 holds both, and a little more */
    assert_ok(rebalance_fleet_plan(&r->f, &goal, &lim, &arena, &plan, &err), &err);
    double left = 2742e6; /* shard 3 has 2730 slots */
    for (int w = 1; w <= plan.waves; w++) {
        double takes = 0;
        for (size_t i = 0; i < plan.steps; i++)
            if (plan.step[i].wave == w && plan.step[i].kind == REBALANCE_SLOT)
                takes += plan.step[i].bytes;
        assert_true(left >= 1.3 * takes);
        left -= takes;
    }
    assert_in_range(plan.waves, 4, 12);
    rf_fill(r, 2731e6 + 2731e6 - 1e6);
    assert_int_equal(rebalance_fleet_plan(&r->f, &goal, &lim, &arena, &plan, &err), PR_ECONFLICT);
}

static double largest_of_a_wave(int *pairs)
{
    double most = 0;
    *pairs = 0;
    for (int w = 1; w <= plan.waves; w++) {
        double bytes[RF_NODES] = { 0 };
        for (size_t i = 0; i < plan.steps; i++)
            if (plan.step[i].wave == w && plan.step[i].kind == REBALANCE_SLOT)
                *pairs += (bytes[plan.step[i].src] += plan.step[i].bytes) == plan.step[i].bytes;
        for (int n = 0; n < RF_NODES; n++)
            most = bytes[n] > most ? bytes[n] : most;
    }
    return most;
}

static void waves_are_no_longer_than_asked(void **state)
{
    (void)state;
    static const double asked[] = { 10e6, 100e6, 4e9 };
    const int16_t node[] = { 0, 1 };
    const struct rebalance_goal goal = { .kind = REBALANCE_DRAIN, .node = node, .n = 2 };
    rf_make(r, 3, 6, 1, 1e6);
    for (size_t i = 0; i < PR_COUNT(asked); i++) {
        const struct rebalance_limits lim = { .wave_bytes = asked[i] };
        int pairs;
        assert_ok(rebalance_fleet_plan(&r->f, &goal, &lim, &arena, &plan, &err), &err);
        assert_true(largest_of_a_wave(&pairs) <= asked[i]);
        /* 2731 slots of 1 MB between two shards; then two forgets at once. */
        assert_true(plan.waves - 1 >= 2731e6 / asked[i] && plan.waves - 1 <= 2731e6 / asked[i] + 2);
    }
}

static void one_long_pair_does_not_hold_up_a_wave(void **state)
{
    (void)state;
    rf_make(r, 3, 9, 0, 1e6); /* zone a: much too uneven, b and c: a little */
    for (int s = 0; s < REBALANCE_SLOTS; s++) {
        if (r->slot[s].shard == 0)
            r->slot[s].bytes = 4e6;
        if (r->slot[s].shard == 1 || r->slot[s].shard == 2)
            r->slot[s].bytes = 1.2e6;
    }
    const struct rebalance_goal goal = { .kind = REBALANCE_BALANCE };
    const struct rebalance_limits lim = { .wave_bytes = 1e12 };
    assert_ok(rebalance_fleet_plan(&r->f, &goal, &lim, &arena, &plan, &err), &err);
    double first = 0, all = 0;
    for (size_t i = 0; i < plan.steps; i++)
        if (plan.step[i].src == 0) {
            all += plan.step[i].bytes;
            first += plan.step[i].wave == 1 ? plan.step[i].bytes : 0;
        }
    assert_true(first > 0 && first < all / 2);
}

static void new_shards_open_together_where_one_alone_would_break_a_goal(void **state)
{
    (void)state;
    int16_t node[6];
    rf_make(r, 3, 3, 1, 1e6);
    for (int i = 0; i < 6; i++)
        node[i] = rf_add_node(r, i % 3);
    const struct rebalance_goal goal = {
        .kind = REBALANCE_JOIN, .node = node, .n = 6, .as_primary = true
    };
    assert_ok(rebalance_fleet_plan(&r->f, &goal, NULL, &arena, &plan, &err), &err);
    bool opened[RF_NODES] = { false };
    int count = 0, wave = 0;
    for (size_t i = 0; i < plan.steps; i++)
        if (plan.step[i].kind == REBALANCE_SLOT && !opened[plan.step[i].dst]) {
            opened[plan.step[i].dst] = true;
            assert_true(count++ == 0 || plan.step[i].wave == wave);
            wave = plan.step[i].wave;
        }
    assert_int_equal(count, 3);
}

static void shards_close_together_where_one_alone_would_break_a_goal(void **state)
{
    (void)state;
    const int16_t node[] = { 0, 1, 2, 3, 4, 5 }; /* three whole shards of six */
    const struct rebalance_goal goal = { .kind = REBALANCE_DRAIN, .node = node, .n = 6 };
    const struct rebalance_limits lim = { .wave_bytes = 200e6 };
    rf_make(r, 3, 6, 1, 1e6);
    for (int s = 0; s < REBALANCE_SLOTS; s++) /* the first is empty long before the third */
        r->slot[s].bytes *= 1 + r->slot[s].shard % 3;
    assert_ok(rebalance_fleet_plan(&r->f, &goal, &lim, &arena, &plan, &err), &err);
    int last[3] = { 0 };
    for (size_t i = 0; i < plan.steps; i++)
        if (plan.step[i].kind == REBALANCE_SLOT)
            last[r->node[plan.step[i].src].shard] = plan.step[i].wave;
    /* 1 + 2 + 2 primaries are allowed for a while, 1 + 1 + 2 are not. */
    assert_true(last[0] > 0 && last[0] < last[1] && last[1] == last[2]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(full_shards_exchange_slots_through_one_with_room),
        T(targets_have_the_memory_before_each_wave),
        T(waves_are_no_longer_than_asked),
        T(one_long_pair_does_not_hold_up_a_wave),
        T(new_shards_open_together_where_one_alone_would_break_a_goal),
        T(shards_close_together_where_one_alone_would_break_a_goal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
