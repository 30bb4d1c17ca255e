/* The gate between what moving costs and what it brings: boundaries and words. */
#include "t.h"

#include "core/policy/verdict.h"

#include <math.h>
#include <string.h>

#define assert_near(got, want) assert_true(fabs((got) - (want)) < 1e-9)

static void crossing_counts_replicas_and_billed_sides(void **state)
{
    (void)state;
    /* 2 GB cross to their zone, 3 GB to each of two further copies. */
    assert_near(rebalance_crossing_bytes(3e9, 2e9, 3), 8e9);
    assert_near(rebalance_crossing_bytes(3e9, 2e9, 1), 2e9);
    assert_near(rebalance_crossing_bytes(3e9, 2e9, 0), 2e9);
    assert_near(rebalance_move_usd(8e9, 0.01, 1), 0.08);
    assert_near(rebalance_move_usd(8e9, 0.01, 2), 0.16);
}

/* --- vertices ----------------------------------------------------------------------- */

static struct rebalance_economics good(void)
{
    return (struct rebalance_economics){ .cross_before_ratio = 0.67,
                                         .cross_after_ratio = 0.05,
                                         .usd_before_per_month = 1000,
                                         .usd_after_per_month = 100,
                                         .bytes = 3e9,
                                         .cross_zone_bytes = 2e9,
                                         .price_usd_per_gb = 0.01,
                                         .billed_sides = 2,
                                         .horizon_days = 30,
                                         .copies = 3,
                                         .vertices = 40000,
                                         .vertices_per_s = 20000 };
}

static struct rebalance_verdict judge(const struct rebalance_economics *e)
{
    struct rebalance_verdict v;
    rebalance_judge(e, &v);
    return v;
}

static void saving_more_than_twice_the_price_of_moving_is_worth_it(void **state)
{
    (void)state;
    struct rebalance_economics e = good();
    struct rebalance_verdict v = judge(&e);
    assert_true(v.worth);
    assert_near(v.move_usd, 0.16);
    assert_near(v.saved_usd, 900);
    assert_near(v.duration_s, 2);
    assert_string_equal(v.why, "half of what it saves exceeds its price: moves 8.0 GB between "
                               "zones for $0.16; saves $900 over 30 days");

    e.usd_after_per_month = e.usd_before_per_month - 2 * 0.16 + 0.01;
    v = judge(&e);
    assert_false(v.worth); /* a cent too little */
    assert_string_equal(v.why, "its price exceeds half of what it saves: moves 8.0 GB between "
                               "zones for $0.16; saves $0.31 over 30 days");
    e.usd_after_per_month -= 0.02;
    assert_true(judge(&e).worth);
    e.horizon_days = 15;
    assert_false(judge(&e).worth); /* half the time, half the saving */
    e.billed_sides = 1;
    assert_true(judge(&e).worth); /* half the price */
}

static void plan_that_saves_nothing_is_not_worth_it(void **state)
{
    (void)state;
    struct rebalance_economics e = good();
    e.usd_after_per_month = e.usd_before_per_month;
    const struct rebalance_verdict v = judge(&e);
    assert_false(v.worth);
    assert_non_null(strstr(v.why, "it saves nothing: moves 8.0 GB"));
    e.usd_after_per_month = e.usd_before_per_month + 250;
    assert_non_null(strstr(judge(&e).why, "saves -$250 over 30 days"));
}

static void unknown_prices_are_judged_by_the_share(void **state)
{
    (void)state;
    struct rebalance_economics e = good();
    e.usd_before_per_month = -1;
    assert_true(judge(&e).worth);
    assert_non_null(strstr(judge(&e).why, "its price is not known: moves 8.0 GB"));
    e.cross_after_ratio = 0.67;
    assert_false(judge(&e).worth);
    e.cross_after_ratio = -1;
    assert_false(judge(&e).worth);
    assert_non_null(strstr(judge(&e).why, "no gain"));
}

static void nothing_to_move_costs_nothing(void **state)
{
    (void)state;
    struct rebalance_economics e = good();
    e.vertices = 0;
    const struct rebalance_verdict v = judge(&e);
    assert_true(v.worth);
    assert_near(v.move_usd, 0);
    assert_near(v.duration_s, 0);
    assert_string_equal(v.why, "nothing to move");
}

/* --- the fleet ---------------------------------------------------------------------- */

static struct rebalance_fleet_economics even(void)
{
    return (struct rebalance_fleet_economics){ .goal = "balance",
                                               .steps = 12,
                                               .bytes = 1.2e9,
                                               .cross_zone_bytes = 1.2e9,
                                               .price_usd_per_gb = 0.01,
                                               .billed_sides = 2,
                                               .bytes_per_s = 2e7,
                                               .uneven_before = 0.234,
                                               .uneven_after = 0.031,
                                               .enter_ratio = 0.10,
                                               .hot_before = -1,
                                               .hot_after = -1,
                                               .hot_enter_ratio = 0.20,
                                               .horizon_days = 30 };
}

static struct rebalance_verdict judge_fleet(const struct rebalance_fleet_economics *e)
{
    struct rebalance_verdict v;
    rebalance_judge_fleet(e, &v);
    return v;
}

static void hard_goals_are_worth_whatever_they_cost(void **state)
{
    (void)state;
    static const char *const hard[] = { "drain",  "replace", "failback",
                                        "repair", "join",    "move-replica" };
    struct rebalance_fleet_economics e = even();
    e.bytes = e.cross_zone_bytes = 4e15;
    e.uneven_before = e.uneven_after = 0;
    for (size_t i = 0; i < PR_COUNT(hard); i++) {
        e.goal = hard[i];
        const struct rebalance_verdict v = judge_fleet(&e);
        assert_true(v.worth);
        assert_true(strncmp(v.why, hard[i], strlen(hard[i])) == 0);
        assert_non_null(strstr(v.why, "moves 4.0 PB between zones for $80000"));
        assert_near(v.duration_s, 2e8);
    }
    assert_false(rebalance_goal_is_hard("balance"));
    assert_false(rebalance_goal_is_hard("assign"));
    assert_false(rebalance_goal_is_hard(""));
}

static void balance_begins_above_its_limit(void **state)
{
    (void)state;
    struct rebalance_fleet_economics e = even();
    struct rebalance_verdict v = judge_fleet(&e);
    assert_true(v.worth);
    assert_string_equal(v.why, "a shard is 23.4 % off its zone's mean, over 10 %, and 3.1 % "
                               "afterwards: moves 1.2 GB between zones for $0.02; no slot "
                               "changes its zone, cross-zone traffic stays");
    e.uneven_before = 0.10;
    v = judge_fleet(&e);
    assert_false(v.worth); /* at the limit is not above it */
    assert_non_null(strstr(v.why, "not over 10 %"));
    e.uneven_before = 0.1001;
    assert_true(judge_fleet(&e).worth);
    e.uneven_after = 0.1001;
    assert_false(judge_fleet(&e).worth); /* it changes nothing */
}

static void balance_cools_what_is_hotter_than_its_limit(void **state)
{
    (void)state;
    struct rebalance_fleet_economics e = even();
    e.uneven_before = e.uneven_after = 0.03;
    e.hot_before = 0.4;
    e.hot_after = 0.12;
    struct rebalance_verdict v = judge_fleet(&e);
    assert_true(v.worth);
    assert_non_null(strstr(v.why, "a shard is 40.0 % hotter than its zone's mean, over 20 %, and "
                                  "12.0 % afterwards: moves"));
    e.hot_before = 0.2; /* at the limit */
    v = judge_fleet(&e);
    assert_false(v.worth);
    assert_non_null(strstr(v.why, "evens out nothing"));
    e.hot_before = e.hot_after = 0.4; /* it cools nothing */
    assert_false(judge_fleet(&e).worth);
    e.hot_before = e.hot_after = -1;
    assert_false(judge_fleet(&e).worth);
}

static void balance_may_pay_by_the_numbers(void **state)
{
    (void)state;
    struct rebalance_fleet_economics e = even();
    e.uneven_before = 0.05;
    e.rezones = true;
    e.saved_usd_per_month = 310;
    struct rebalance_verdict v = judge_fleet(&e);
    assert_true(v.worth);
    assert_string_equal(v.why, "half of what it saves exceeds its price: moves 1.2 GB between "
                               "zones for $0.02; saves $310 over 30 days");
    e.saved_usd_per_month = 2 * 0.024; /* half of it is the price: not above */
    assert_false(judge_fleet(&e).worth);
    e.horizon_days = 60;
    assert_true(judge_fleet(&e).worth);
    e.horizon_days = 0; /* 30 */
    assert_false(judge_fleet(&e).worth);
}

static void assign_is_judged_by_what_is_known(void **state)
{
    (void)state;
    struct rebalance_fleet_economics e = even();
    e.goal = "assign";
    e.rezones = true;
    e.saved_unknown = "nobody looked";
    assert_true(judge_fleet(&e).worth);
    assert_string_equal(judge_fleet(&e).why,
                        "asked for: moves 1.2 GB between zones for $0.02; what it does to "
                        "cross-zone traffic is not known: nobody looked");
    e.saved_unknown = NULL;
    e.saved_usd_per_month = 310;
    assert_true(judge_fleet(&e).worth);
    e.saved_usd_per_month = -5;
    assert_false(judge_fleet(&e).worth); /* however even */
    assert_string_equal(judge_fleet(&e).why,
                        "it saves nothing: moves 1.2 GB between zones for $0.02; adds cross-zone "
                        "traffic of $5.00 over 30 days");
    e.saved_usd_per_month = 0;
    assert_true(judge_fleet(&e).worth); /* for evenness */
    e.uneven_before = e.enter_ratio;
    assert_false(judge_fleet(&e).worth);
    assert_non_null(strstr(judge_fleet(&e).why, "it saves nothing: "));
    assert_non_null(strstr(judge_fleet(&e).why, "; saves $0.00 over 30 days"));
    e.rezones = false;
    assert_false(judge_fleet(&e).worth);
    assert_non_null(strstr(judge_fleet(&e).why, "no slot changes its zone"));
}

static void hard_goal_says_what_it_adds_and_is_worth_it(void **state)
{
    (void)state;
    struct rebalance_fleet_economics e = even();
    e.goal = "drain";
    e.rezones = true;
    e.saved_usd_per_month = -5.2;
    e.horizon_days = 60;
    struct rebalance_verdict v = judge_fleet(&e);
    assert_true(v.worth);
    assert_near(v.saved_usd, -10.4);
    assert_string_equal(v.why, "drain is needed whatever it costs: moves 1.2 GB between zones for "
                               "$0.02; adds cross-zone traffic of $10.40 over 60 days");
    e.saved_usd_per_month = 5.2;
    e.cross_zone_bytes = 0; /* a fail-over copies nothing */
    assert_string_equal(judge_fleet(&e).why, "drain is needed whatever it costs: moves nothing "
                                             "between zones; saves $10.40 over 60 days");
    e.saved_unknown = "nobody looked";
    v = judge_fleet(&e);
    assert_true(v.worth);
    assert_non_null(strstr(v.why, "is not known: nobody looked"));
}

static void traffic_is_priced_by_the_month(void **state)
{
    (void)state;
    /* 1 MB/s, half of it across: 1,296 GB in 30 days, both sides billed. */
    assert_near(rebalance_traffic_usd(1e6, 0.5, 0.01, 2), 25.92);
    assert_near(rebalance_traffic_usd(1e6, 0, 0.01, 2), 0);
    assert_near(rebalance_traffic_usd(0, 1, 0.01, 2), 0);
}

static void empty_plan_costs_nothing(void **state)
{
    (void)state;
    struct rebalance_fleet_economics e = even();
    e.steps = 0;
    const struct rebalance_verdict v = judge_fleet(&e);
    assert_true(v.worth);
    assert_near(v.move_usd, 0);
    assert_string_equal(v.why, "nothing to do");
}

/* The longest words fit, and are cut rather than overrun. */
static void absurd_figures_fit(void **state)
{
    (void)state;
    struct rebalance_fleet_economics e = even();
    e.bytes = e.cross_zone_bytes = 1e300;
    e.uneven_before = 1e300;
    e.uneven_after = 1e299;
    e.rezones = true;
    e.saved_usd_per_month = -1e300;
    struct rebalance_verdict v = judge_fleet(&e);
    assert_true(strlen(v.why) < sizeof v.why);
    e.hot_before = 1e300;
    e.hot_after = 1e299;
    e.uneven_before = 0;
    v = judge_fleet(&e);
    assert_true(strlen(v.why) < sizeof v.why);
    e = even();
    e.bytes_per_s = 0;
    assert_true(judge_fleet(&e).duration_s < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crossing_counts_replicas_and_billed_sides),
        cmocka_unit_test(saving_more_than_twice_the_price_of_moving_is_worth_it),
        cmocka_unit_test(plan_that_saves_nothing_is_not_worth_it),
        cmocka_unit_test(unknown_prices_are_judged_by_the_share),
        cmocka_unit_test(nothing_to_move_costs_nothing),
        cmocka_unit_test(hard_goals_are_worth_whatever_they_cost),
        cmocka_unit_test(balance_begins_above_its_limit),
        cmocka_unit_test(balance_cools_what_is_hotter_than_its_limit),
        cmocka_unit_test(hard_goal_says_what_it_adds_and_is_worth_it),
        cmocka_unit_test(traffic_is_priced_by_the_month),
        cmocka_unit_test(balance_may_pay_by_the_numbers),
        cmocka_unit_test(assign_is_judged_by_what_is_known),
        cmocka_unit_test(empty_plan_costs_nothing),
        cmocka_unit_test(absurd_figures_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
