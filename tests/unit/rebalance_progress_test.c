/* How far a fleet plan is and how long it takes. */
#include "t.h"

#include "core/fleet/progress.h"

#include <math.h>
#include <string.h>

static void ratio_counts_bytes_and_steps(void **state)
{
    (void)state;
    static const struct {
        struct rebalance_fleet_progress p;
        double want;
    } row[] = {
        { { .steps = 0 }, 0 },                  /* nothing known */
        { { .steps = 4, .verified = 2 }, 0.5 }, /* empty slots */
        { { .steps = 4, .verified = 4 }, 1 },
        { { .steps = 1, .bytes = 1e12, .moved_bytes = 5e11 }, 0.5 }, /* one large slot */
        { { .steps = 2, .verified = 2, .bytes = 1e6, .moved_bytes = 3e6 },
          1 }, /* more than expected */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_true(fabs(rebalance_fleet_ratio(&row[i].p) - row[i].want) < 1e-6);
}

static void eta_follows_the_speed_so_far(void **state)
{
    (void)state;
    struct rebalance_fleet_progress p = { .steps = 100, .verified = 25, .running_s = 10 };
    assert_true(fabs(rebalance_fleet_eta_s(&p) - 30) < 1e-6);
    p.running_s = 0.5; /* too early to tell */
    assert_true(rebalance_fleet_eta_s(&p) < 0);
    p = (struct rebalance_fleet_progress){ .steps = 100, .running_s = 10 };
    assert_true(rebalance_fleet_eta_s(&p) < 0);
    p.verified = 100;
    assert_true(rebalance_fleet_eta_s(&p) == 0);
}

static void duration_counts_bytes_round_trips_and_gossip(void **state)
{
    (void)state;
    const struct rebalance_fleet_work w = {
        .bytes = 2e9, .slots = 2000, .others = 3, .pairs = 2, .bytes_per_s = 1e8
    };
    assert_true(fabs(rebalance_fleet_duration_s(&w) - (20 + 3 + 6)) < 1e-6);
    const struct rebalance_fleet_work none = { .bytes = 5 };
    assert_true(rebalance_fleet_duration_s(&none) == 0);
}

enum { SECOND = 1000000 };

static void speed_is_that_of_the_last_seconds(void **state)
{
    (void)state;
    struct rebalance_speed s = { 0 };
    assert_true(rebalance_speed_per_s(&s, SECOND, 100) == 0); /* nothing to compare with */
    rebalance_speed_see(&s, 10 * SECOND, 0);
    assert_true(rebalance_speed_per_s(&s, 11 * SECOND - 1, 100) == 0); /* 1 us early */
    assert_true(rebalance_speed_per_s(&s, 11 * SECOND, 100) == 100);
    rebalance_speed_see(&s, 11 * SECOND - 1, 5000); /* too soon: not kept */
    assert_int_equal(s.n, 1);
    for (int i = 1; i < 100; i++) /* 7 a second from then on */
        rebalance_speed_see(&s, (10 + i) * (int64_t)SECOND, 1000 + 7 * i);
    assert_true(fabs(rebalance_speed_per_s(&s, 110 * (int64_t)SECOND, 1700) - 7) < 1e-9);
    assert_true(rebalance_speed_per_s(&s, 110 * (int64_t)SECOND, 0) == 0); /* it went back */
}

static void what_is_told_never_goes_back(void **state)
{
    (void)state;
    /* Keys weigh more than was expected, and the next wave begins with what was. */
    static const struct {
        struct rebalance_fleet_seen seen;
        double bytes_done;
    } row[] = {
        { { .steps = 4, .slots = 4, .bytes = 4e6, .waves = 2, .wave = 1 }, 0 },
        { { .steps = 4, .slots = 4, .bytes = 4e6, .waves = 2, .wave = 1, .moving_bytes = 5e5 },
          5e5 },
        { { .steps = 4,
            .slots = 4,
            .bytes = 4e6,
            .waves = 2,
            .wave = 1,
            .begun = 1,
            .verified = 1,
            .slots_verified = 1,
            .bytes_verified = 1e6,
            .moving_bytes = 2.2e6 },
          2.2e6 },
        { { .steps = 4,
            .slots = 4,
            .bytes = 4e6,
            .waves = 2,
            .wave = 2,
            .verified = 2,
            .slots_verified = 2,
            .bytes_verified = 2e6,
            .wave_bytes = 2e6 },
          2.2e6 },
        { { .steps = 4, .slots = 4, .bytes = 4e6, .waves = 2, .wave = 2, .moving_bytes = 9e6 },
          4e6 },
    };
    struct rebalance_speed speed = { 0 };
    struct rebalance_fleet_told told = { 0 };
    double ratio = 0;
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        rebalance_fleet_tell(&row[i].seen, (int64_t)i * SECOND, &speed, &told);
        assert_true(told.bytes_done == row[i].bytes_done);
        assert_true(told.ratio >= ratio && told.ratio < 1);
        assert_int_equal(told.steps_done, row[i].seen.verified);
        assert_int_equal(told.steps_running, row[i].seen.begun);
        assert_int_equal(told.slots_done, row[i].seen.slots_verified);
        assert_int_equal(told.wave, row[i].seen.wave);
        ratio = told.ratio;
    }
    assert_true(told.bytes_per_s == 1e6); /* 4 MB in 4 s */
}

static void all_is_done_only_when_the_plan_is(void **state)
{
    (void)state;
    const struct rebalance_fleet_seen all = {
        .steps = 3, .verified = 3, .bytes = 1e6, .bytes_verified = 1e6, .running_s = 9
    };
    struct rebalance_speed speed = { 0 };
    struct rebalance_fleet_told told = { 0 };
    rebalance_fleet_tell(&all, 0, &speed, &told);
    assert_true(told.ratio < 1);
    assert_true(told.eta_s == 0);
    rebalance_fleet_tell_state(&told, "done", NULL);
    assert_true(told.ratio == 1);
    assert_true(told.eta_s == 0);
}

static void states_say_why_and_leave_the_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *state, *why, *reason;
        double ratio, eta_s;
        uint64_t running;
    } row[] = {
        { "running", NULL, "waiting: node n1", 0.5, 10, 2 },
        { "paused", NULL, "waiting: node n1", 0.5, -1, 2 },
        { "paused", "slot 7: a big key", "slot 7: a big key", 0.5, -1, 2 },
        { "canceled", NULL, "waiting: node n1", 0.5, -1, 0 },
        { "failed", "slot 7 is left open", "slot 7 is left open", 0.5, -1, 0 },
        { "done", NULL, "", 1, 0, 0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct rebalance_fleet_told told = { .ratio = 0.5,
                                             .eta_s = 10,
                                             .steps = 4,
                                             .steps_done = 2,
                                             .steps_running = 2,
                                             .bytes_per_s = 5,
                                             .reason = "waiting: node n1" };
        rebalance_fleet_tell_state(&told, row[i].state, row[i].why);
        assert_string_equal(told.reason, row[i].reason);
        assert_true(told.ratio == row[i].ratio);
        assert_true(told.eta_s == row[i].eta_s);
        assert_true(told.bytes_per_s == (i == 0 ? 5 : 0));
        assert_int_equal(told.steps_running, row[i].running);
        assert_int_equal(told.steps_done, 2);
    }
}

static void stuck_comes_before_what_is_waited_for_and_words_stay_text(void **state)
{
    (void)state;
    char longest[600];
    struct rebalance_speed speed = { 0 };
    struct rebalance_fleet_told told = { 0 };
    struct rebalance_fleet_seen seen = { .stuck_why = "slot 3: key \xc3\xa4\n",
                                         .waits_for = "waiting: node n1" };
    rebalance_fleet_tell(&seen, 0, &speed, &told);
    assert_string_equal(told.reason, "slot 3: key \xc3\xa4?");
    seen.stuck_why = "slot 3: key \xc3";
    rebalance_fleet_tell(&seen, 0, &speed, &told);
    assert_string_equal(told.reason, "slot 3: key ?");
    seen.stuck_why = "";
    rebalance_fleet_tell(&seen, 0, &speed, &told);
    assert_string_equal(told.reason, "waiting: node n1");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    seen.waits_for = longest;
    rebalance_fleet_tell(&seen, 0, &speed, &told);
    assert_int_equal(strlen(told.reason), sizeof told.reason - 1);
    seen.waits_for = NULL;
    rebalance_fleet_tell(&seen, 0, &speed, &told);
    assert_string_equal(told.reason, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speed_is_that_of_the_last_seconds),
        cmocka_unit_test(what_is_told_never_goes_back),
        cmocka_unit_test(all_is_done_only_when_the_plan_is),
        cmocka_unit_test(states_say_why_and_leave_the_numbers),
        cmocka_unit_test(stuck_comes_before_what_is_waited_for_and_words_stay_text),
        cmocka_unit_test(ratio_counts_bytes_and_steps),
        cmocka_unit_test(eta_follows_the_speed_so_far),
        cmocka_unit_test(duration_counts_bytes_round_trips_and_gossip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
