/* What adaptive makes of data that are missing, stuck, late or wrong: nothing goes to most or
 * to least by them. */
#include "t.h"

#include "autoscale_view.h"
#include "core/adaptive.h"
#include "core/minutes.h"

#include <string.h>

enum { HOUR = 60 };
#define BEGIN (INT64_C(1000000) * VIEW_MINUTE)

static struct autoscale_adaptive settings;
static struct test_view t;
static struct autoscale_adaptive_memory memory;

static void calm(int desired, double cpu)
{
    autoscale_adaptive_default(&settings);
    memset(&memory, 0, sizeof memory);
    view_open(&t, BEGIN, desired);
    view_minutes(&t, HOUR, AUTOSCALE_CPU, cpu);
}

static struct autoscale_vote vote(void)
{
    struct autoscale_vote got;
    memset(&got, 0, sizeof got);
    autoscale_adaptive_vote(&settings, &memory, &t.v, &got);
    return got;
}

static void assert_unknown(const struct autoscale_vote *got, int desired, bool alarm,
                           const char *why)
{
    if (got->move != AUTOSCALE_UNKNOWN || got->desired != desired ||
        (strncmp(got->why, "alarm: ", 7) == 0) != alarm || strstr(got->why, why) == NULL)
        fail_msg("%d to %d (%s), want to hold at %d, %san alarm, of %s", got->move, got->desired,
                 got->why, desired, alarm ? "" : "not ", why);
}

static void a_late_minute_is_missing(void **state)
{
    (void)state;
    static const struct {
        int64_t late_ms;
        bool known, alarm;
    } row[] = {
        { 0, true, false },
        { AUTOSCALE_MISSED_MS, true, false },
        { AUTOSCALE_MISSED_MS + 1, false, false },
        { 10 * VIEW_MINUTE - 1, false, false },
        { 10 * VIEW_MINUTE, false, true },
        { INT64_C(200) * VIEW_MINUTE, false, true },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        for (int high = 0; high < 2; high++) { /* neither out nor in */
            calm(100, high ? 84 : 28);
            t.v.now_ms += row[i].late_ms;
            const struct autoscale_vote got = vote();
            if (row[i].known)
                assert_int_equal(got.desired, high ? 150 : 50);
            else
                assert_unknown(&got, 100, row[i].alarm, "no load has been measured");
        }
}

static void minutes_without_cpu_are_missing(void **state)
{
    (void)state;
    for (int n = 1; n < 15; n++) {
        calm(100, 84);
        view_minutes(&t, n, AUTOSCALE_CPU, NAN);
        const struct autoscale_vote got = vote();
        assert_unknown(&got, 100, n >= 10, "no load has been measured");
    }
    calm(100, 84);
    view_minutes(&t, 3, AUTOSCALE_CPU, NAN);
    view_minute(&t, AUTOSCALE_CPU, 84); /* there again */
    const struct autoscale_vote got = vote();
    assert_int_equal(got.move, AUTOSCALE_OUT);
}

static void nothing_at_all_is_unknown(void **state)
{
    (void)state;
    calm(100, 20);
    t.v.samples = 0;
    struct autoscale_vote got = vote();
    assert_unknown(&got, 100, true, "no load has been measured");
    calm(100, 20);
    for (size_t i = 0; i < t.v.samples; i++)
        t.sample[i].serving = 0; /* and the view knows of none */
    t.v.serving = 0;
    got = vote();
    assert_unknown(&got, 100, true, "no load has been measured");
    calm(100, 20);
    for (size_t i = 0; i < t.v.samples; i++)
        t.sample[i].serving = 0;
    got = vote(); /* all that the view says serve */
    assert_int_equal(got.move, AUTOSCALE_IN);
}

static void goes_in_only_when_most_of_the_hold_is_known(void **state)
{
    (void)state;
    for (int known = 1; known <= 20; known++) {
        calm(100, 28);
        for (size_t i = t.v.samples - 20; i < t.v.samples - (size_t)known; i++)
            t.sample[i].cpu_pct = NAN;
        const struct autoscale_vote got = vote();
        assert_int_equal(got.move, known < 15 ? AUTOSCALE_HOLD : AUTOSCALE_IN);
        if (known < 15)
            assert_non_null(strstr(got.limited, "of 20 min are known"));
    }
    autoscale_adaptive_default(&settings); /* it has just been started */
    memset(&memory, 0, sizeof memory);
    view_open(&t, BEGIN, 100);
    for (int n = 1; n <= 20; n++) {
        view_minute(&t, AUTOSCALE_CPU, 20);
        const struct autoscale_vote got = vote();
        assert_int_equal(got.move, n < 15 ? AUTOSCALE_HOLD : AUTOSCALE_IN);
    }
}

/* So many of the hundred said nothing in the last minutes. */
static void silenced(int minutes, int silent)
{
    for (int i = 1; i <= minutes; i++) {
        t.sample[t.v.samples - (size_t)i].serving = 100 - silent;
        t.sample[t.v.samples - (size_t)i].silent = silent;
    }
}

static void silent_members_may_be_busy_on_the_way_in(void **state)
{
    (void)state;
    static const struct {
        int silent, want;
    } row[] = {
        { 0, 50 }, { 10, 60 }, { 30, 80 }, { 37, 87 }, { 38, 100 }, { 50, 100 }, { 99, 100 }
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        calm(100, 28);
        silenced(1, row[i].silent);
        const struct autoscale_vote got = vote();
        assert_int_equal(got.desired, row[i].want);
    }
    calm(100, 84);
    silenced(40, 60); /* outward, what the others say counts */
    const struct autoscale_vote got = vote();
    assert_int_equal(got.desired, 150);
}

static void silence_and_its_end_change_no_load(void **state)
{
    (void)state;
    for (int back = 0; back < 45; back++) {
        calm(100, 56);
        silenced(HOUR / 2, 50);
        view_minutes(&t, back, AUTOSCALE_CPU, 56);
        const struct autoscale_vote got = vote();
        assert_int_equal(got.desired, 100);
        assert_int_equal(got.wanted, 100);
    }
}

static void a_metric_stuck_at_a_hundred_does_not_walk_to_most(void **state)
{
    (void)state;
    calm(60, 50);
    struct autoscale_vote got = { .move = AUTOSCALE_HOLD };
    int most = 0, served = 60;
    for (int minute = 0; minute < 600; minute++) {
        t.v.serving = served;
        view_minute(&t, AUTOSCALE_CPU, 100);
        got = vote();
        if (got.move == AUTOSCALE_OUT) {
            view_changed(&t, t.v.now_ms, t.v.desired, got.desired);
            t.v.desired = got.desired;
        }
        if (t.v.actions > 0 && t.v.now_ms - t.action[t.v.actions - 1].at_ms >= 10 * VIEW_MINUTE)
            served = t.v.desired;
        most = t.v.desired > most ? t.v.desired : most;
    }
    assert_int_equal(most, 240); /* four times who served when it began */
    assert_unknown(&got, 240, true, "stuck, or growth by more than 4");
    assert_true(t.v.actions < 12);

    view_minute(&t, AUTOSCALE_CPU, 94.9); /* it lives: from here it may go on */
    got = vote();
    assert_true(got.move != AUTOSCALE_UNKNOWN);
}

/* After an outage the fleet is small and the load as large as before, all at once. */
static void load_that_comes_back_is_met_as_on_other_days(void **state)
{
    (void)state;
    static const struct {
        double day[2]; /* CPU of the days before, with 420 */
        int max, want;
        const char *rule;
    } row[] = {
        { { 56, 56 }, 1000, 420, "saturated, usual load 235.2" },
        { { 28, 56 }, 1000, 210, "saturated, usual load 117.6" }, /* the lower of two */
        { { 56, 28 }, 1000, 210, "saturated, usual load 117.6" },
        { { 100, 56 }, 1000, 85, "highest forecast" }, /* nobody knows what that one had */
        { { 56, 100 }, 1000, 85, "highest forecast" },
        { { 95, 95 }, 1000, 85, "highest forecast" },
        { { NAN, 56 }, 1000, 85, "highest forecast" },
        { { 56, 56 }, 793, 420, "saturated, usual load 235.2" },
        { { 56, 56 }, 790, 419, "saturated, usual load 235.2" }, /* half of the way to max */
        { { 56, 56 }, 300, 174, "saturated, usual load 235.2" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        calm(420, row[i].day[0]);
        for (size_t k = 0; k < PR_COUNT(row[i].day); k++)
            for (int minute = k == 0 ? HOUR : 0; minute < 24 * HOUR; minute++) {
                view_minute(&t, AUTOSCALE_CPU, row[i].day[k]);
                if (minute % HOUR == HOUR - 1) {
                    (void)vote();
                    t.sample[0] = t.sample[t.v.samples - 1];
                    t.v.samples = 1;
                }
            }
        view_minutes(&t, 20, AUTOSCALE_CPU, 56);
        (void)vote();
        /* What was once ordered is no proof of anything, neither before nor in the run. */
        view_changed(&t, t.v.now_ms, 900, 48);
        t.v.max = row[i].max;
        t.v.desired = t.v.serving = 48;
        view_minutes(&t, 40, AUTOSCALE_CPU, 0);
        (void)vote();
        view_minute(&t, AUTOSCALE_CPU, 100);
        struct autoscale_vote got = vote();
        assert_int_equal(got.move, AUTOSCALE_OUT);
        assert_int_equal(got.desired, row[i].want);
        assert_string_equal(got.limited, "");
        assert_memory_equal(got.rule, row[i].rule, strlen(row[i].rule));
        view_changed(&t, t.v.now_ms, 48, 900);
        view_minute(&t, AUTOSCALE_CPU, 100);
        got = vote();
        assert_int_equal(got.desired, row[i].want);
    }
}

static void a_metric_that_does_not_answer_to_more_members_is_stuck(void **state)
{
    (void)state;
    static const struct {
        double cpu;
        int minutes, serving;
        bool stuck;
    } row[] = {
        { 70, 9, 140, false }, /* not for ten minutes yet */
        { 70, 10, 140, true }, { 70, 10, 109, false },
        { 70, 10, 110, true }, { 0, 30, 70, true }, /* nor does it go to least by a dead one */
        { 30, 30, 70, true },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        calm(100, 50);
        view_minute(&t, AUTOSCALE_CPU, row[i].cpu);
        t.v.serving = t.v.desired = row[i].serving;
        view_minutes(&t, row[i].minutes, AUTOSCALE_CPU, row[i].cpu);
        const struct autoscale_vote got = vote();
        if (row[i].stuck)
            assert_unknown(&got, row[i].serving, true, "CPU reads exactly");
        else
            assert_true(got.move != AUTOSCALE_UNKNOWN);
    }
}

static void booting_members_do_not_order_more_of_them(void **state)
{
    (void)state;
    static const int grown = 110; /* of 100, and all are busy with starting */
    for (int minutes = 1; minutes <= 3; minutes++) {
        calm(100, 56);
        t.v.desired = t.v.serving = grown;
        view_minutes(&t, minutes, AUTOSCALE_CPU, 80); /* would be a load of 88, not 56 */
        const struct autoscale_vote got = vote();
        assert_int_equal(got.move, AUTOSCALE_HOLD);
    }
    calm(100, 56);
    t.v.desired = t.v.serving = grown;
    view_minutes(&t, 4, AUTOSCALE_CPU, 80); /* that is no boot */
    struct autoscale_vote got = vote();
    assert_int_equal(got.move, AUTOSCALE_OUT);
    calm(100, 56);
    t.v.desired = t.v.serving = grown;
    view_minute(&t, AUTOSCALE_CPU, 85); /* too busy to explain it away */
    got = vote();
    assert_int_equal(got.move, AUTOSCALE_OUT);
}

static void our_clock_may_go_back(void **state)
{
    (void)state;
    calm(100, 84);
    (void)vote();
    const struct autoscale_adaptive_memory before = memory;
    view_open(&t, BEGIN - INT64_C(300) * VIEW_MINUTE, 100);
    view_minutes(&t, 20, AUTOSCALE_CPU, 56);
    const struct autoscale_vote got = vote(); /* what it measured after that is forgotten */
    assert_int_equal(got.move, AUTOSCALE_HOLD);
    assert_true(memory.minute == before.minute - 340);
    int other = 0; /* the slot in which that happened has its mean now, and no other */
    for (int i = 0; i < AUTOSCALE_ADAPTIVE_WEEK; i++)
        other += fabs(memory.week[i] - before.week[i]) > 1e-12;
    assert_int_equal(other, 1);
    int held = 0, twice = 0; /* of one day, which must not count as two */
    for (int i = 0; i < AUTOSCALE_ADAPTIVE_DAY; i++) {
        assert_true(before.held[2 * i] == 0 || memory.held[2 * i] == 0);
        held += before.held[2 * i] > 0;
        twice += memory.held[2 * i + 1] > 0;
    }
    assert_true(held >= 5);
    assert_int_equal(twice, 0);
}

static void limits_that_make_no_sense_are_an_alarm(void **state)
{
    (void)state;
    static const struct {
        int min, max, desired;
    } row[] = { { 48, 0, 100 }, { 48, 47, 100 }, { 0, 10, -1 } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        calm(100, 84);
        t.v.min = row[i].min;
        t.v.max = row[i].max;
        t.v.desired = row[i].desired;
        const struct autoscale_vote got = vote();
        assert_unknown(&got, row[i].desired, true, "make no sense");
    }
}

static void a_load_that_is_known_apart_from_cpu_counts_instead(void **state)
{
    (void)state;
    calm(100, 100); /* saturated, and the source says how much it is */
    view_also(&t, HOUR, AUTOSCALE_LOAD, 400);
    const struct autoscale_vote got = vote();
    assert_int_equal(got.move, AUTOSCALE_OUT);
    assert_int_equal(got.desired, 715);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_minute_is_missing),
        cmocka_unit_test(minutes_without_cpu_are_missing),
        cmocka_unit_test(nothing_at_all_is_unknown),
        cmocka_unit_test(goes_in_only_when_most_of_the_hold_is_known),
        cmocka_unit_test(silent_members_may_be_busy_on_the_way_in),
        cmocka_unit_test(silence_and_its_end_change_no_load),
        cmocka_unit_test(a_metric_stuck_at_a_hundred_does_not_walk_to_most),
        cmocka_unit_test(load_that_comes_back_is_met_as_on_other_days),
        cmocka_unit_test(a_metric_that_does_not_answer_to_more_members_is_stuck),
        cmocka_unit_test(booting_members_do_not_order_more_of_them),
        cmocka_unit_test(our_clock_may_go_back),
        cmocka_unit_test(limits_that_make_no_sense_are_an_alarm),
        cmocka_unit_test(a_load_that_is_known_apart_from_cpu_counts_instead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
