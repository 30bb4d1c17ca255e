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

static void calendar_floors_and_limits(void **state)
{
    (void)state;
    scene(50, 50);
    in.settings.schedule.floors = 1;
    struct autoscale_floor *f = &in.settings.schedule.floor[0];
    *f = (struct autoscale_floor){
        .name = "evening",
        .cron = "* * * * *",
        .zone = "UTC",
        .lasts_ms = DAY,
        .min = 60,
    };
    assert_int_equal(decide(), 60);
    assert_int_equal(got.deciding, -1);
    assert_string_equal(got.floor_why, "schedule evening: min 60");
    f->min = 0;
    f->max = 40;
    assert_int_equal(decide(), 40);
    assert_says(got.why, "schedule evening: max 40");
    f->max = 3;
    assert_int_equal(decide(), 6); /* not below the fleet's own min */
    f->max = 0;
    f->min = 200;
    assert_int_equal(decide(), 100);
    assert_true(got.alarm);
    assert_says(got.alarm_why, "at the most there may be (max 100) and short: 200 are needed");
}

static void a_schedule_that_begins_is_an_order(void **state)
{
    (void)state;
    static const struct {
        double cpu;
        int desired, want;
    } row[] = {
        { 50, 60, 60 }, { 50, 40, 40 }, { 71, 40, 55 }, /* a policy wants more */
        { 71, 52, 55 }, { 39, 40, 40 }, { 39, 47, 45 }, { 39, 60, 60 }, { 50, 200, 100 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        scene(50, row[i].cpu);
        in.settings.schedule.floors = 1;
        in.settings.schedule.floor[0] = (struct autoscale_floor){
            .name = "start",
            .cron = "* * * * *",
            .zone = "UTC",
            .lasts_ms = MIN,
            .desired = row[i].desired,
        };
        in.decided_ms = NOW - MIN;
        assert_int_equal(decide(), row[i].want);
    }
    static const struct {
        int64_t decided_ms;
        int want;
    } late[] = {
        { 0, 60 },           /* nobody knows: a minute ago */
        { NOW - 1, 60 },     /* before it began */
        { NOW, 50 },         /* then: it was an order of that decision */
        { NOW + 30001, 60 }, /* a clock that went back */
    };
    for (size_t i = 0; i < PR_COUNT(late); i++) {
        scene(50, 50);
        in.settings.schedule.floors = 1;
        in.settings.schedule.floor[0] = (struct autoscale_floor){
            .name = "start",
            .cron = "40 22 * * *",
            .zone = "UTC",
            .lasts_ms = MIN,
            .desired = 60,
        };
        in.view.now_ms = NOW + 30000; /* it began at NOW */
        in.decided_ms = late[i].decided_ms;
        assert_int_equal(decide(), late[i].want);
    }
}

/* An order inward that the data forbid is not given again: the decision must say so. */
static void a_schedule_that_is_not_followed_is_noted(void **state)
{
    (void)state;
    static const struct {
        double cpu;
        int silent, desired, want;
        const char *words; /* NULL: none of the schedule */
    } row[] = {
        { 50, 25, 40, 50, "not by schedule start: 40 wanted: 25 of 50 members are silent" },
        { 39, 25, 40, 50, "not by schedule start: 40 wanted: 25 of 50 members are silent" },
        { 50, 24, 40, 40, NULL },
        { 50, 25, 50, 50, NULL },
        { 50, 25, 60, 60, NULL },
        { 71, 25, 40, 55, NULL }, /* a policy wants more */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        scene(50, row[i].cpu);
        for (int s = 0; s < 60; s++) {
            sample[s].silent = row[i].silent;
            sample[s].serving = 50 - row[i].silent;
        }
        in.settings.schedule.floors = 1;
        in.settings.schedule.floor[0] = (struct autoscale_floor){
            .name = "start",
            .cron = "* * * * *",
            .zone = "UTC",
            .lasts_ms = MIN,
            .desired = row[i].desired,
        };
        in.decided_ms = NOW - MIN;
        if (decide() != row[i].want)
            fail_msg("row %zu: %d, want %d: %s", i, got.to, row[i].want, got.limited);
        if (row[i].words != NULL)
            assert_says(got.limited, row[i].words);
        else
            assert_null(strstr(got.limited, "schedule"));
    }
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

static void budgets_hold_what_is_not_urgent(void **state)
{
    (void)state;
    static const struct {
        int desired;
        double cpu;
        int64_t ago_ms;
        int want;
        const char *words;
    } row[] = {
        { 50, 71, DAY - 1, 50, "budget of 1 actions a day is used up" },
        { 50, 71, DAY, 55, "" },
        { 50, 39, DAY - 1, 50, "budget of 1 actions a day is used up" },
        { 50, 39, DAY, 45, "" },
        { 50, 84.9, DAY - 1, 50, "budget" },
        { 50, 85, DAY - 1, 55, "urgent, CPU 85.0 %" },
        { 5, 50, DAY - 1, 6, "" },     /* min */
        { 101, 50, DAY - 1, 100, "" }, /* max */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        scene(row[i].desired, row[i].cpu);
        in.settings.budget.actions_per_day = 1;
        action[0] = (struct autoscale_action){ NOW - row[i].ago_ms, 40, 50 };
        in.view.actions = 1;
        assert_int_equal(decide(), row[i].want);
        if (row[i].words[0] != '\0')
            assert_says(got.limited, row[i].words);
    }
    scene(48, 70);
    in.fleet.zone_loss_pct = 100;
    in.settings.budget.actions_per_day = 1;
    action[0] = (struct autoscale_action){ NOW - MIN, 40, 48 };
    in.view.actions = 1;
    assert_int_equal(decide(), 51); /* a floor knows no budget */
}

static void memory_network_and_backlog_are_urgent_too(void **state)
{
    (void)state;
    enum { MEMORY, NETWORK, LOAD, ROWS };
    static const char *const words[ROWS] = { "memory 90.0 %", "network 9.00 Gbps",
                                             "load of 42.5 members on 50" };
    for (int i = 0; i < ROWS; i++) {
        scene(50, 71);
        autoscale_fleet_redis(&in.fleet);
        in.fleet.unit = 1;
        in.fleet.groups = 0;
        in.fleet.zone_loss_pct = 0;
        for (int s = 57; s < 60; s++) {
            sample[s].memory_pct = i == MEMORY ? 90 : 50;
            sample[s].network_bps = i == NETWORK ? 9e9 : 1e9;
            sample[s].load = i == LOAD ? 42.5 : NAN;
        }
        in.settings.budget.actions_per_day = 1;
        action[0] = (struct autoscale_action){ NOW - MIN, 40, 50 };
        in.view.actions = 1;
        assert_int_equal(decide(), 55);
        assert_says(got.limited, words[i]);
    }
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
        cmocka_unit_test(calendar_floors_and_limits),
        cmocka_unit_test(a_schedule_that_begins_is_an_order),
        cmocka_unit_test(a_schedule_that_is_not_followed_is_noted),
        cmocka_unit_test(notes_end_with_a_whole_character),
        cmocka_unit_test(budgets_hold_what_is_not_urgent),
        cmocka_unit_test(memory_network_and_backlog_are_urgent_too),
        cmocka_unit_test(at_the_most_and_still_short),
        cmocka_unit_test(a_limit_goes_before_a_floor),
        cmocka_unit_test(whole_units),
        cmocka_unit_test(says_what_it_costs_and_when_it_helps),
        cmocka_unit_test(refuses_settings_that_are_wrong),
    };
    return cmocka_run_group_tests(test, NULL, NULL);
}
