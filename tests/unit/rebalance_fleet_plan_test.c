/* What a plan does for each goal. */
#include "t.h"

#include "rebalance_fleet.h"

#include <stdlib.h>

static struct rf *r;
static struct pr_arena arena;
static struct rebalance_fleet_plan plan;
static struct pr_err err;

static int setup(void **state)
{
    (void)state;
    r = calloc(1, sizeof *r);
    pr_arena_init(&arena, 0);
    return r == NULL;
}

static int teardown(void **state)
{
    (void)state;
    pr_arena_done(&arena);
    free(r);
    return 0;
}

static void make_plan(enum rebalance_goal_kind kind, const int16_t *node, size_t n)
{
    const struct rebalance_goal goal = { .kind = kind, .node = node, .n = n };
    assert_ok(rebalance_fleet_plan(&r->f, &goal, NULL, &arena, &plan, &err), &err);
}

static struct rebalance_layout *end_of(void)
{
    struct rebalance_layout *l = pr_arena_alloc(&arena, sizeof *l);
    assert_non_null(l);
    assert_ok(rebalance_layout_after(&r->f, &plan, plan.waves, &arena, l, &err), &err);
    return l;
}

static void a_balanced_fleet_is_left_alone(void **state)
{
    (void)state;
    rf_make(r, 3, 6, 1, 1e6);
    make_plan(REBALANCE_BALANCE, NULL, 0);
    assert_int_equal(plan.steps, 0);
    assert_int_equal(plan.notes, 3); /* one a zone says why */
}

static void balance_ends_within_the_band(void **state)
{
    (void)state;
    rf_make(r, 3, 6, 1, 1e6);
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        if (r->slot[s].shard == 0)
            r->slot[s].bytes = 2e6;
    make_plan(REBALANCE_BALANCE, NULL, 0);
    assert_true(plan.uneven_before > 0.3);
    assert_true(plan.uneven_after <= 0.0501);
    assert_true(plan.bytes > 0 && plan.bytes <= 1.05 * plan.bound_bytes);
    for (size_t i = 0; i < plan.steps; i++) {
        assert_int_equal(plan.step[i].src, r->shard[0].primary);
        assert_int_equal(plan.step[i].dst, r->shard[3].primary);
    }
}

static void a_drained_shard_leaves_nothing_behind(void **state)
{
    (void)state;
    rf_make(r, 3, 6, 1, 1e6);
    const int16_t node[] = { 0, 1 };
    make_plan(REBALANCE_DRAIN, node, 2);
    const struct rebalance_layout *l = end_of();
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        assert_int_equal(l->slot_shard[s], r->slot[s].shard == 0 ? 3 : r->slot[s].shard);
    assert_false(l->node[0].member || l->node[1].member);
    assert_int_equal(rf_count(&plan, REBALANCE_FORGET), 2);
    assert_int_equal(plan.step[plan.steps - 1].dst, 0); /* no primary before its replica */
    assert_true(plan.bytes == plan.bound_bytes);
}

static void a_drained_primary_frees_its_replica(void **state)
{
    (void)state;
    rf_make(r, 3, 6, 1, 1e6);
    const int16_t node[] = { 0 };
    make_plan(REBALANCE_DRAIN, node, 1);
    const struct rebalance_layout *l = end_of();
    assert_false(l->node[0].member);
    assert_true(l->node[1].shard > 0);
    assert_int_equal(rf_count(&plan, REBALANCE_REPLICATE), 1);
}

static void a_primary_fails_over_where_a_replica_sits_in_its_zone(void **state)
{
    (void)state;
    rf_make(r, 3, 6, 1, 1e6);
    const int16_t twin = rf_add_node(r, 0);
    r->node[twin].member = true;
    r->node[twin].shard = 0;
    const int16_t node[] = { 0 };
    make_plan(REBALANCE_DRAIN, node, 1);
    assert_int_equal(plan.slots, 0);
    assert_int_equal(plan.step[0].kind, REBALANCE_FAILOVER);
    assert_int_equal(plan.step[0].dst, twin);
    assert_false(end_of()->node[0].member);
}

static void three_joining_shards_take_an_even_part(void **state)
{
    (void)state;
    rf_make(r, 3, 3, 2, 1e6);
    int16_t node[9];
    for (int i = 0; i < 9; i++)
        node[i] = rf_add_node(r, i % 3);
    make_plan(REBALANCE_JOIN, node, 9);
    assert_int_equal(rf_count(&plan, REBALANCE_MEET), 9);
    assert_int_equal(rf_count(&plan, REBALANCE_REPLICATE), 6);
    assert_true(plan.uneven_after <= 0.0501);
    assert_true(plan.bytes <= 1.05 * plan.bound_bytes);
    const struct rebalance_layout *l = end_of();
    assert_int_equal(l->shards, 6);
    assert_ok(rebalance_hard_goals(&r->f, l, &err), &err);
}

/* Of equal zones whoever asks may say which: it may know where the traffic is. */
static void of_equal_zones_the_node_named_first_becomes_primary(void **state)
{
    (void)state;
    for (int first = 0; first < 3; first++) {
        rf_make(r, 3, 6, 2, 1e6);
        int16_t node[3];
        for (int i = 0; i < 3; i++)
            node[i] = rf_add_node(r, i);
        const int16_t asked[] = { node[first], node[(first + 1) % 3], node[(first + 2) % 3] };
        make_plan(REBALANCE_JOIN, asked, 3);
        const struct rebalance_layout *l = end_of();
        for (int i = 0; i < 3; i++)
            assert_int_equal(l->node[node[i]].primary, i == first);
    }
}

static void a_left_over_node_is_a_spare_replica(void **state)
{
    (void)state;
    rf_make(r, 3, 6, 1, 1e6);
    const int16_t node[] = { rf_add_node(r, 2) };
    make_plan(REBALANCE_JOIN, node, 1);
    assert_int_equal(plan.steps, 2);
    assert_int_equal(plan.step[1].kind, REBALANCE_REPLICATE);
}

static void missing_replicas_come_first(void **state)
{
    (void)state;
    rf_make(r, 3, 6, 1, 1e6);
    r->node[5].failed = true; /* of shard 2, in zone a */
    const int16_t node[] = { rf_add_node(r, 0) };
    make_plan(REBALANCE_JOIN, node, 1);
    assert_int_equal(plan.step[1].kind, REBALANCE_REPLICATE);
    assert_int_equal(plan.step[1].shard, 2);
}

static void primaries_return_to_their_zones(void **state)
{
    (void)state;
    rf_make(r, 3, 6, 1, 1e6);
    r->node[0].primary = false;
    r->node[1].primary = true;
    r->shard[0].primary = 1;
    make_plan(REBALANCE_FAILBACK, NULL, 0);
    assert_int_equal(plan.steps, 1);
    assert_int_equal(plan.step[0].kind, REBALANCE_FAILOVER);
    assert_int_equal(plan.step[0].dst, 0);
    assert_int_equal(plan.step[0].src, 1);
}

static void a_dead_replica_is_replaced(void **state)
{
    (void)state;
    rf_make(r, 3, 6, 1, 1e6);
    r->node[1].failed = true;
    const int16_t old = 1;
    const struct rebalance_goal goal = {
        .kind = REBALANCE_REPLACE, .node = &old, .n = 1, .with = rf_add_node(r, 1)
    };
    assert_ok(rebalance_fleet_plan(&r->f, &goal, NULL, &arena, &plan, &err), &err);
    assert_int_equal(plan.steps, 3); /* meet, replicate, forget */
    assert_int_equal(plan.waves, 3);
}

static void permuted_groups_move_nothing(void **state)
{
    (void)state;
    rf_make(r, 3, 6, 1, 1e6);
    int16_t *group = calloc(REBALANCE_SLOTS, sizeof *group);
    assert_non_null(group);
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        group[s] = (int16_t)((r->slot[s].shard * 5 + 2) % 6);
    const struct rebalance_goal goal = { .kind = REBALANCE_ASSIGN,
                                         .group_of_slot = group,
                                         .groups = 6 };
    assert_ok(rebalance_fleet_plan(&r->f, &goal, NULL, &arena, &plan, &err), &err);
    assert_int_equal(plan.steps, 0);
    group[0] = group[REBALANCE_SLOTS - 1];
    assert_ok(rebalance_fleet_plan(&r->f, &goal, NULL, &arena, &plan, &err), &err);
    assert_int_equal(plan.slots, 1);
    free(group);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_balanced_fleet_is_left_alone),
        T(balance_ends_within_the_band),
        T(a_drained_shard_leaves_nothing_behind),
        T(a_drained_primary_frees_its_replica),
        T(a_primary_fails_over_where_a_replica_sits_in_its_zone),
        T(three_joining_shards_take_an_even_part),
        T(of_equal_zones_the_node_named_first_becomes_primary),
        T(a_left_over_node_is_a_spare_replica),
        T(missing_replicas_come_first),
        T(primaries_return_to_their_zones),
        T(a_dead_replica_is_replaced),
        T(permuted_groups_move_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
