/* What a plan copies, between which zones, and whose zone changes. */
#include "t.h"

#include "core/fleet/cost.h"
#include "rebalance_fleet.h"

#include <math.h>
#include <stdlib.h>

static struct rf *r;
static struct pr_arena arena;
static struct pr_err err;
static struct rebalance_fleet_cost *cost;

#define assert_near(got, want) assert_true(fabs((got) - (want)) < 1e-6)

static int setup(void **state)
{
    (void)state;
    r = calloc(1, sizeof *r);
    cost = calloc(1, sizeof *cost);
    pr_arena_init(&arena, 0);
    if (r == NULL || cost == NULL)
        return 1;
    rf_make(r, 3, 6, 2, 1000); /* shard g in zone g mod 3, its replicas in the others */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pr_arena_done(&arena);
    free(cost);
    free(r);
    return 0;
}

static void weigh(struct rebalance_fleet_step *step, size_t n)
{
    const struct rebalance_fleet_plan plan = { .step = step, .steps = n, .waves = 1 };
    assert_ok(rebalance_fleet_cost(&r->f, &plan, &arena, cost, &err), &err);
}

static struct rebalance_fleet_step move(int slot, int to)
{
    return (struct rebalance_fleet_step){ .kind = REBALANCE_SLOT,
                                          .wave = 1,
                                          .slot = (int16_t)slot,
                                          .shard = REBALANCE_NONE,
                                          .src = r->shard[r->slot[slot].shard].primary,
                                          .dst = r->shard[to].primary,
                                          .bytes = r->slot[slot].bytes };
}

static struct rebalance_fleet_step act(enum rebalance_fleet_step_kind kind, int shard, int dst)
{
    return (struct rebalance_fleet_step){ .kind = kind,
                                          .wave = 1,
                                          .slot = REBALANCE_NONE,
                                          .shard = (int16_t)shard,
                                          .src = r->shard[shard].primary,
                                          .dst = (int16_t)dst };
}

static void nothing_costs_nothing(void **state)
{
    (void)state;
    weigh(NULL, 0);
    assert_near(cost->bytes, 0);
    assert_near(cost->cross_zone_bytes, 0);
    assert_int_equal(cost->rezoned, 0);
    assert_int_equal(cost->zone_before[0], 0);
    assert_int_equal(cost->zone_after[REBALANCE_SLOTS - 1], 2);
}

static void slot_that_stays_in_its_zone_crosses_to_replicas_only(void **state)
{
    (void)state;
    struct rebalance_fleet_step step[] = { move(0, 3) };
    weigh(step, 1);
    assert_near(cost->bytes, 1000);
    assert_near(cost->cross_zone_bytes, 2000);
    assert_int_equal(cost->rezoned, 0);
    r->node[r->shard[3].primary + 1].failed = true; /* takes nothing */
    weigh(step, 1);
    assert_near(cost->cross_zone_bytes, 1000);
}

static void slot_that_changes_its_zone_crosses_once_more(void **state)
{
    (void)state;
    struct rebalance_fleet_step step[] = { move(0, 1), move(1, 1) };
    weigh(step, 2);
    assert_near(cost->bytes, 2000);
    assert_near(cost->cross_zone_bytes, 6000);
    assert_int_equal(cost->rezoned, 2);
    assert_int_equal(cost->zone_before[0], 0);
    assert_int_equal(cost->zone_after[0], 1);
    assert_int_equal(cost->zone_after[2], 0);
}

static void failover_copies_nothing_and_changes_the_zone_of_all_its_slots(void **state)
{
    (void)state;
    size_t slots = 0;
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        slots += r->slot[s].shard == 0;
    struct rebalance_fleet_step step[] = { act(REBALANCE_FAILOVER, 0, r->shard[0].primary + 1) };
    weigh(step, 1);
    assert_near(cost->bytes, 0);
    assert_near(cost->cross_zone_bytes, 0);
    assert_int_equal(cost->rezoned, slots);
    assert_int_equal(cost->zone_after[0], 1);
}

static void new_replica_takes_its_shard_as_large_as_it_is_by_then(void **state)
{
    (void)state;
    double held = 0;
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        held += r->slot[s].shard == 0 ? 1000 : 0;
    const int16_t near = rf_add_node(r, 0), far = rf_add_node(r, 1);
    r->node[near].member = r->node[far].member = true;
    struct rebalance_fleet_step step[] = { act(REBALANCE_REPLICATE, 0, near), move(0, 3),
                                           act(REBALANCE_REPLICATE, 0, far) };
    weigh(step, 1);
    assert_near(cost->bytes, held);
    assert_near(cost->cross_zone_bytes, 0); /* in its primary's zone */
    weigh(step, 3);
    assert_near(cost->bytes, held + 1000 + held - 1000);
    assert_near(cost->cross_zone_bytes, 2000 + held - 1000);
    /* One that was there first takes the slot too. */
    struct rebalance_fleet_step other[] = { act(REBALANCE_REPLICATE, 3, far), move(0, 3) };
    weigh(other, 2);
    assert_near(cost->cross_zone_bytes, held + 3000);
}

static void shard_that_the_plan_makes_takes_slots_in(void **state)
{
    (void)state;
    const int16_t primary = rf_add_node(r, 0), replica = rf_add_node(r, 1);
    struct rebalance_fleet_step fill = move(0, 3);
    fill.dst = primary;
    struct rebalance_fleet_step step[] = {
        act(REBALANCE_MEET, 0, primary),
        act(REBALANCE_MEET, 0, replica),
        { .kind = REBALANCE_REPLICATE,
          .wave = 1,
          .slot = REBALANCE_NONE,
          .shard = REBALANCE_NONE,
          .src = primary,
          .dst = replica },
        fill,
    };
    weigh(step, PR_COUNT(step));
    assert_near(cost->bytes, 1000);
    assert_near(cost->cross_zone_bytes, 1000); /* to the new replica */
    assert_int_equal(cost->rezoned, 0);
}

static void shard_without_a_primary_counts_as_at_home(void **state)
{
    (void)state;
    r->shard[0].primary = REBALANCE_NONE;
    weigh(NULL, 0);
    assert_int_equal(cost->zone_before[0], 0);
    r->shard[0].home_zone = REBALANCE_NONE;
    weigh(NULL, 0);
    assert_int_equal(cost->zone_before[0], REBALANCE_NONE);
}

/* What the planner makes of a balance keeps every slot in its zone. */
static void balance_keeps_zones(void **state)
{
    (void)state;
    struct rebalance_fleet_plan plan;
    const struct rebalance_goal goal = { .kind = REBALANCE_BALANCE };
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        if (r->slot[s].shard == 0)
            r->slot[s].bytes = 2000;
    assert_ok(rebalance_fleet_plan(&r->f, &goal, NULL, &arena, &plan, &err), &err);
    assert_true(plan.slots > 0);
    assert_ok(rebalance_fleet_cost(&r->f, &plan, &arena, cost, &err), &err);
    assert_near(cost->bytes, plan.bytes);
    assert_near(cost->cross_zone_bytes, 2 * plan.bytes);
    assert_int_equal(cost->rezoned, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_costs_nothing),
        TEST(slot_that_stays_in_its_zone_crosses_to_replicas_only),
        TEST(slot_that_changes_its_zone_crosses_once_more),
        TEST(failover_copies_nothing_and_changes_the_zone_of_all_its_slots),
        TEST(new_replica_takes_its_shard_as_large_as_it_is_by_then),
        TEST(shard_that_the_plan_makes_takes_slots_in),
        TEST(shard_without_a_primary_counts_as_at_home),
        TEST(balance_keeps_zones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
