/* When balancing begins and ends, what holds a slot, and what a plan may cost. */
#include "t.h"

#include "rebalance_fleet.h"

#include <stdlib.h>

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

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

static void balance(const struct rebalance_limits *lim)
{
    const struct rebalance_goal goal = { .kind = REBALANCE_BALANCE };
    assert_ok(rebalance_fleet_plan(&r->f, &goal, lim, &arena, &plan, &err), &err);
}

static bool noted(const char *words)
{
    for (size_t i = 0; i < plan.notes; i++)
        if (strstr(plan.note[i].text, words) != NULL)
            return true;
    return false;
}

/* Two shards in one zone; the first holds `more` slots beyond its half. */
static void two_shards(int more)
{
    rf_make(r, 1, 2, 0, 1e6);
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        r->slot[s].shard = s < REBALANCE_SLOTS / 2 + more ? 0 : 1;
}

static void balancing_begins_above_one_ratio_and_ends_below_the_other(void **state)
{
    (void)state;
    static const struct {
        int more;
        double enter, leave;
        uint32_t want; /* slots */
    } row[] = {
        { 819, 0, 0, 0 },         /* 9.998 % */
        { 820, 0, 0, 411 },       /* 10.01 %: down to 5 % */
        { 820, 0.2, 0, 0 },       /* begins later */
        { 820, 0.05, 0.01, 739 }, /* ends closer */
        { 820, 0.05, 0.07, 411 }, /* it never ends above where it begins */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct rebalance_limits lim = { .enter_ratio = row[i].enter,
                                              .leave_ratio = row[i].leave };
        two_shards(row[i].more);
        balance(&lim);
        assert_int_equal(plan.slots, row[i].want);
        assert_true(plan.slots > 0 || noted("within the band"));
    }
}

static void an_empty_cluster_evens_out_by_slots(void **state)
{
    (void)state;
    two_shards(2000);
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        r->slot[s].bytes = 0;
    balance(NULL);
    assert_in_range(plan.slots, 1590, 1592); /* down to 5 % */
    assert_true(plan.bytes == 0 && plan.bound_bytes == 0);
}

static void what_was_moved_lately_stays(void **state)
{
    (void)state;
    static const struct {
        int64_t ago_ms;
        int16_t from;
        bool moves;
        const char *note;
    } row[] = {
        { HOUR_MS - 1, REBALANCE_NONE, false, "10192 in cooldown (for 1 s at most)" },
        { HOUR_MS, REBALANCE_NONE, true, NULL },
        { 7LL * DAY_MS - 1, 1, false, "10192 may not go back" },
        { 7LL * DAY_MS, 1, true, NULL },
        { 2LL * HOUR_MS, 0, true, NULL }, /* came from elsewhere */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        two_shards(2000);
        for (int s = 0; s < REBALANCE_SLOTS; s++) {
            r->slot[s].moved_at_ms = r->f.now_ms - row[i].ago_ms;
            r->slot[s].moved_from = row[i].from;
        }
        balance(NULL);
        assert_int_equal(plan.slots > 0, row[i].moves);
        assert_true(row[i].note == NULL || noted(row[i].note));
    }
}

static void drains_do_not_wait_for_cooldown(void **state)
{
    (void)state;
    const int16_t node = 0;
    const struct rebalance_goal goal = { .kind = REBALANCE_DRAIN, .node = &node, .n = 1 };
    two_shards(0);
    for (int s = 0; s < REBALANCE_SLOTS; s++) {
        r->slot[s].moved_at_ms = r->f.now_ms - 1;
        r->slot[s].moved_from = 1;
    }
    assert_ok(rebalance_fleet_plan(&r->f, &goal, NULL, &arena, &plan, &err), &err);
    assert_int_equal(plan.slots, REBALANCE_SLOTS / 2);
}

static void pins_hold(void **state)
{
    (void)state;
    two_shards(2000);
    for (int s = 100; s < REBALANCE_SLOTS; s++)
        r->slot[s].pinned = true;
    balance(NULL);
    assert_int_equal(plan.slots, 100);
    assert_true(noted("10092 of its slots are pinned"));

    two_shards(2000);
    r->shard[0].pinned = true;
    balance(NULL);
    assert_int_equal(plan.slots, 0);
    assert_true(noted("shard n1 neither gives nor takes: it is pinned"));
}

static void slots_keep_their_zone(void **state)
{
    (void)state;
    rf_make(r, 2, 2, 0, 1e6);
    for (int s = 0; s < 12000; s++)
        r->slot[s].shard = 0;
    balance(NULL);
    assert_int_equal(plan.slots, 0);
    assert_true(noted("slots keep their zone"));
}

static void a_cap_takes_the_most_useful_first(void **state)
{
    (void)state;
    struct rebalance_limits lim = { .max_slots = 100 };
    rf_make(r, 1, 3, 0, 1e6);
    for (int s = 0; s < REBALANCE_SLOTS; s++) /* 8192, 5461, 2731 */
        r->slot[s].shard = s < 8192 ? 0 : s < 13653 ? 1 : 2;
    balance(&lim);
    assert_int_equal(plan.slots, 100);
    assert_true(noted("the cap leaves out"));
    for (size_t i = 0; i < plan.steps; i++) {
        assert_int_equal(plan.step[i].src, 0);
        assert_int_equal(plan.step[i].dst, 2);
    }
    lim = (struct rebalance_limits){ .max_bytes = 50.5e6 };
    balance(&lim);
    assert_int_equal(plan.slots, 50);
}

static void hot_slots_are_exchanged_within_the_band(void **state)
{
    (void)state;
    two_shards(0);
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        r->slot[s].ops_per_s = s < 1000 ? 10 : 1;
    balance(NULL);
    assert_true(plan.hot_before > 0.3);
    assert_true(plan.hot_after <= 0.1001);
    assert_true(plan.uneven_after <= 0.0501);
    assert_true(plan.bytes == plan.heat_bytes && plan.bytes > 0);
    assert_true(plan.bound_bytes == 0);
    balance(&(struct rebalance_limits){ .enter_ratio = 0.2 }); /* heat from 40 % on */
    assert_int_equal(plan.slots, 0);
}

static void one_hot_slot_alone_is_left_and_noted(void **state)
{
    (void)state;
    two_shards(0);
    r->slot[5].ops_per_s = 1000;
    balance(NULL);
    assert_int_equal(plan.slots, 0);
    assert_true(noted("hotter than the mean"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(balancing_begins_above_one_ratio_and_ends_below_the_other),
        T(an_empty_cluster_evens_out_by_slots),
        T(what_was_moved_lately_stays),
        T(drains_do_not_wait_for_cooldown),
        T(pins_hold),
        T(slots_keep_their_zone),
        T(a_cap_takes_the_most_useful_first),
        T(hot_slots_are_exchanged_within_the_band),
        T(one_hot_slot_alone_is_left_and_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
