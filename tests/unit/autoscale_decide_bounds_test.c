/* What people set beside the votes: schedules and budgets, and what is too urgent for them. */
#include "autoscale_decide_scene.h"

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

int main(void)
{
    const struct CMUnitTest test[] = {
        cmocka_unit_test(calendar_floors_and_limits),
        cmocka_unit_test(a_schedule_that_begins_is_an_order),
        cmocka_unit_test(a_schedule_that_is_not_followed_is_noted),
        cmocka_unit_test(budgets_hold_what_is_not_urgent),
        cmocka_unit_test(memory_network_and_backlog_are_urgent_too),
    };
    return cmocka_run_group_tests(test, NULL, NULL);
}
