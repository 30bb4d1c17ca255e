/* One decision of all votes: floors, limits, budgets, whole units, and its words. */
#include "autoscale_decide_scene.h"

#include "core/decide_private.h"

#include "prism/text.h"

static void follows_the_vote_within_the_limits(void **state)
{
    (void)state;
    static const struct {
        int desired, want;
        double cpu;
    } row[] = {
        { 50, 55, 71 },  { 50, 50, 70 },   { 50, 50, 40 }, { 50, 45, 39 },
        { 95, 100, 71 }, { 100, 100, 71 }, { 6, 6, 10 },   { 7, 6, 10 },
        { 5, 6, 50 },    { 101, 100, 50 }, /* limits alone */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        scene(row[i].desired, row[i].cpu);
        assert_int_equal(decide(), row[i].want);
        assert_int_equal(got.deciding, i < 8 ? 0 : -1);
    }
    scene(5, 50);
    decide();
    assert_says(got.why, "5 -> 6 instances; no policy asked for it: min 6");
    scene(101, 50);
    decide();
    assert_says(got.why, "no policy asked for it: max 100");
}

static void the_first_decides_or_the_largest(void **state)
{
    (void)state;
    static const struct {
        bool largest;
        double cpu;
        int want, deciding;
    } row[] = {
        { false, 71, 55, 0 },                       /* the first: +10 % over 70 */
        { false, 65, 50, 0 }, { false, 39, 45, 0 }, /* -10 % under 40 */
        { true, 81, 60, 1 },                        /* the second: +20 % over 80 */
        { true, 71, 55, 0 },  { true, 39, 50, 1 },  /* the second holds: not all agree */
        { true, 29, 45, 0 },                        /* both: 45 and 40 */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        scene(50, row[i].cpu);
        in.settings.policies = 2;
        rules(&in.settings.policy[1], 80, 20, 30, 20);
        in.settings.combine = row[i].largest ? AUTOSCALE_LARGEST : AUTOSCALE_FIRST;
        assert_int_equal(decide(), row[i].want);
        assert_int_equal(got.deciding, row[i].deciding);
    }
    scene(50, 81);
    in.settings.policies = 2;
    rules(&in.settings.policy[1], 80, 20, 30, 20);
    decide();
    assert_says(got.why, "50 -> 55 instances; rules ");
    assert_says(got.why, "not followed: rules 60 (cpu>80 for 1 min)");
}

static void a_zone_may_be_lost(void **state)
{
    (void)state;
    static const struct {
        double cpu;
        int want;
    } row[] = {
        { 66, 51 }, /* 33.66 members: 34 must be left */
        { 70, 54 }, /* 35.7 */
        { 71, 57 }, /* the vote is 57 as well: it is the vote's */
        { 39, 48 }, /* the vote is 46, and so is not enough for whole units: 19.89 need 30 */
        { 20, 48 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        scene(51, row[i].cpu);
        in.fleet.unit = 3;
        in.fleet.zone_loss_pct = 100;
        assert_int_equal(decide(), row[i].want == 48 ? 45 : row[i].want);
        assert_int_equal(got.deciding, i == 1 ? -1 : 0);
    }
    scene(48, 70);
    in.fleet.zone_loss_pct = 100;
    assert_int_equal(decide(), 51); /* 33.6: 34 of two zones, so 51 of three */
    assert_int_equal(got.floor, 51);
    assert_says(got.floor_why, "loss of a zone: a load of 33.6 members needs 51");
    assert_says(got.why, "no policy asked for it: loss of a zone");
    scene(60, 39);
    in.fleet.zone_loss_pct = 60; /* 23.4 members at 60 %: 39 must be left of 59 */
    assert_int_equal(decide(), 59);
    assert_says(got.limited, "floor 59 (loss of a zone");
}

static void what_serves_counts_and_not_what_is_wanted(void **state)
{
    (void)state;
    scene(60, 60);
    in.fleet.zone_loss_pct = 100;
    for (int i = 0; i < 60; i++)
        sample[i].serving = 40; /* 24 members' load, not 36 */
    in.view.serving = 40;
    action[0] = (struct autoscale_action){ NOW - MIN, 40, 60 };
    in.view.actions = 1;
    assert_int_equal(decide(), 60);
    assert_int_equal(got.floor, 36);
    assert_false(got.alarm);
    for (int i = 57; i < 60; i++)
        sample[i].load = 50; /* who says more than its CPU can is believed */
    assert_int_equal(decide(), 75);
}

/* Names come in any script, and notes end where there is no more room. */
static void notes_end_with_a_whole_character(void **state)
{
    (void)state;
    static const char NAME[] = "S\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80";
    for (size_t room = 1; room <= 40; room++) {
        char text[40] = "";
        for (int i = 0; i < 4; i++)
            draft_note(text, room, "%s", NAME);
        const size_t n = strlen(text);
        assert_true(n < room && n + 4 >= (room < 40 ? room : 40));
        for (size_t at = 0; at < n;) {
            const size_t length = pr_utf8_length(text + at, n - at);
            if (length == 0)
                fail_msg("room %zu: byte %zu of %zu", room, at, n);
            at += length;
        }
    }
    char text[40] = "";
    draft_note(text, sizeof text, "%.2s, %.4s, %.3s", NAME, NAME, NAME); /* cut before */
    assert_string_equal(text, "S?, S\xc3\xbc?, S\xc3\xbc");
}

static void at_the_most_and_still_short(void **state)
{
    (void)state;
    scene(100, 71);
    assert_int_equal(decide(), 100);
    assert_says(got.alarm_why, "at the most there may be (max 100) and short: 110 are needed");
    scene(95, 71);
    assert_int_equal(decide(), 100);
    assert_true(got.alarm); /* 105 */
    scene(90, 71);
    assert_int_equal(decide(), 99);
    assert_false(got.alarm);
    scene(99, 50);
    in.fleet.unit = 3; /* no 100th */
    assert_int_equal(decide(), 99);
    assert_false(got.alarm);
}

static void a_limit_goes_before_a_floor(void **state)
{
    (void)state;
    scene(100, 60); /* 60 members' load: 90 are needed that a zone may be lost */
    in.fleet.zone_loss_pct = 100;
    in.fleet.max = 61;
    in.fleet.unit = 3;
    assert_int_equal(decide(), 60);
    assert_true(got.alarm);
    assert_says(got.alarm_why, "short: 90 are needed");
}

static void whole_units(void **state)
{
    (void)state;
    scene(48, 71);
    in.fleet.unit = 3;
    assert_int_equal(decide(), 54); /* 53 */
    assert_int_equal(got.units_from, 16);
    assert_int_equal(got.units_to, 18);
    assert_says(got.why, "48 -> 54 instances (16 -> 18 units of 3)");
    assert_int_equal((int)got.places, 3);
    for (int z = 0; z < 3; z++)
        assert_int_equal(got.place[z].get, 2);
    scene(51, 39);
    in.fleet.unit = 3;
    assert_int_equal(decide(), 45); /* 46 */
    in.fleet.min = 46;
    assert_int_equal(decide(), 48);
    scene(98, 71);
    in.fleet.unit = 3;
    assert_int_equal(decide(), 99); /* 102 do not fit */
}

static void says_what_it_costs_and_when_it_helps(void **state)
{
    (void)state;
    scene(48, 71);
    autoscale_fleet_redis(&in.fleet);
    in.fleet.groups = 0;
    in.fleet.zone_loss_pct = 0;
    assert_int_equal(decide(), 54);
    assert_true(fabs(got.cost_month_before - 48 * 1.008 * 730) < 1e-6);
    assert_true(fabs(got.cost_month_after - 54 * 1.008 * 730) < 1e-6);
    assert_int_equal(got.useful_ms, 10 * MIN);
    assert_says(got.why, "new ones help in 10 min");
    in.view.useful_after_ms = 7 * MIN; /* learnt */
    decide();
    assert_int_equal(got.useful_ms, 7 * MIN);
}

static void refuses_settings_that_are_wrong(void **state)
{
    (void)state;
    enum { FLEET, NONE, RULE, COMBINE, BUDGET, TRAFFIC, DESIRED, NODE, ROWS };
    static const char *const words[ROWS] = {
        "fleet fleet: unit is 0",  "0 policies",
        "policy 1: rules: rule 1", "combine",
        "flap_ms is -1",           "zone us-west-2b: its traffic",
        "-1 are wanted",           "node x: zone 7",
    };
    const struct autoscale_node nowhere = { .id = "x", .shard = "", .zone = 7, .group = -1 };
    for (int i = 0; i < ROWS; i++) {
        scene(50, 71);
        switch (i) {
        case FLEET:
            in.fleet.unit = 0;
            break;
        case NONE:
            in.settings.policies = 0;
            break;
        case RULE:
            in.settings.policy[0].is.rules.rule[0].threshold = NAN;
            break;
        case COMBINE:
            memset(&in.settings.combine, 7, sizeof in.settings.combine);
            break;
        case BUDGET:
            in.settings.budget.flap_ms = -1;
            break;
        case TRAFFIC:
            in.zone_traffic[1] = -1;
            break;
        case DESIRED:
            in.view.desired = -1;
            break;
        case NODE:
            in.node = &nowhere;
            in.nodes = 1;
            break;
        default:
            break;
        }
        struct pr_err err = { .text = "" };
        memset(&got, 7, sizeof got);
        const struct autoscale_decision before = got;
        assert_int_equal(autoscale_decide(&in, in.memory, &got, &err), PR_EINVAL);
        assert_says(err.text, words[i]);
        assert_memory_equal(&got, &before, sizeof got);
    }
}

int main(void)
{
    const struct CMUnitTest test[] = {
        cmocka_unit_test(follows_the_vote_within_the_limits),
        cmocka_unit_test(the_first_decides_or_the_largest),
        cmocka_unit_test(a_zone_may_be_lost),
        cmocka_unit_test(what_serves_counts_and_not_what_is_wanted),
        cmocka_unit_test(notes_end_with_a_whole_character),
        cmocka_unit_test(at_the_most_and_still_short),
        cmocka_unit_test(a_limit_goes_before_a_floor),
        cmocka_unit_test(whole_units),
        cmocka_unit_test(says_what_it_costs_and_when_it_helps),
        cmocka_unit_test(refuses_settings_that_are_wrong),
    };
    return cmocka_run_group_tests(test, NULL, NULL);
}
