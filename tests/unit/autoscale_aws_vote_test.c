/* Votes of step scaling and target tracking: alarms to their boundaries, warm-up, cooldown of
 * simple scaling, several metrics, unknown minutes. */
#include "t.h"

#include "autoscale_view.h"
#include "core/aws.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MINUTE = VIEW_MINUTE };

static struct test_view t;

static struct autoscale_vote step_vote(void)
{
    struct autoscale_step_policy p;
    struct autoscale_vote out;
    struct pr_err err;
    autoscale_step_default(&p);
    assert_ok(autoscale_step_check(&p, &err), &err);
    autoscale_step_vote(&p, &t.v, &out);
    return out;
}

static struct autoscale_vote target_vote(void)
{
    struct autoscale_target_policy p;
    struct autoscale_target_memory memory = { 0 };
    struct autoscale_vote out;
    struct pr_err err;
    autoscale_target_default(&p);
    assert_ok(autoscale_target_check(&p, &err), &err);
    autoscale_target_vote(&p, &memory, &t.v, &out);
    return out;
}

static void assert_vote(const struct autoscale_vote *got, enum autoscale_move move, int desired,
                        size_t row)
{
    if (got->move != move || got->desired != desired)
        fail_msg("row %zu: move %d to %d, want %d to %d: %s", row, got->move, got->desired, move,
                 desired, got->why);
    assert_true(got->why[0] != '\0');
}

/* --- steps -------------------------------------------------------------------------------- */

static void alarms_of_steps_at_their_boundaries(void **state)
{
    (void)state;
    static const struct {
        double cpu;
        int minutes, lacks_ms;
        enum autoscale_move move;
        int desired; /* from 100 */
    } row[] = {
        { 69.999, 60, 0, AUTOSCALE_HOLD, 100 }, { 70, 3, 0, AUTOSCALE_OUT, 110 },
        { 70, 3, 1, AUTOSCALE_UNKNOWN, 100 },   { 70, 2, 0, AUTOSCALE_UNKNOWN, 100 },
        { 79.999, 3, 0, AUTOSCALE_OUT, 110 },   { 80, 3, 0, AUTOSCALE_OUT, 120 },
        { 90, 3, 0, AUTOSCALE_OUT, 130 },       { 100, 3, 0, AUTOSCALE_OUT, 130 },
        { 40.001, 60, 0, AUTOSCALE_HOLD, 100 }, { 40, 15, 0, AUTOSCALE_IN, 90 },
        { 40, 15, 1, AUTOSCALE_UNKNOWN, 100 },  { 20.001, 15, 0, AUTOSCALE_IN, 90 },
        { 20, 15, 0, AUTOSCALE_IN, 80 },        { 0, 15, 0, AUTOSCALE_IN, 80 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        view_open(&t, 0, 100);
        view_minutes(&t, row[i].minutes, AUTOSCALE_CPU, row[i].cpu);
        t.sample[0].at_ms += row[i].lacks_ms;
        const struct autoscale_vote got = step_vote();
        assert_vote(&got, row[i].move, row[i].desired, i);
    }
}

static void those_that_warm_up_are_part_of_the_step(void **state)
{
    (void)state;
    static const struct {
        double cpu;
        int serving; /* of 110, ten of which were ordered */
        int64_t ordered_ago_ms;
        enum autoscale_move move;
        int desired;
    } row[] = {
        { 75, 100, 6 * MINUTE, AUTOSCALE_HOLD, 110 },    /* +10 % of 100: they are on the way */
        { 85, 100, 6 * MINUTE, AUTOSCALE_OUT, 120 },     /* +20 % of 100 */
        { 85, 110, 6 * MINUTE, AUTOSCALE_OUT, 132 },     /* all serve: +20 % of 110 */
        { 85, 110, 5 * MINUTE - 1, AUTOSCALE_OUT, 120 }, /* for 5 min they warm up anyway */
        { 85, 110, 5 * MINUTE, AUTOSCALE_OUT, 132 },
        { 85, 100, 25 * MINUTE - 1, AUTOSCALE_OUT, 120 }, /* 5 min and twice the usual 10 */
        { 85, 100, 25 * MINUTE, AUTOSCALE_OUT, 132 },     /* they will not come */
        { 30, 100, 6 * MINUTE, AUTOSCALE_HOLD, 110 },     /* nobody leaves meanwhile */
        { 30, 110, 6 * MINUTE, AUTOSCALE_IN, 99 },
        { 85, 0, 14 * MINUTE, AUTOSCALE_OUT, 132 }, /* nobody says who serves */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        view_open(&t, 0, 110);
        view_minutes(&t, 30, AUTOSCALE_CPU, row[i].cpu);
        t.v.serving = row[i].serving;
        view_changed(&t, t.v.now_ms - row[i].ordered_ago_ms, 100, 110);
        const struct autoscale_vote got = step_vote();
        assert_vote(&got, row[i].move, row[i].desired, i);
    }
}

static void largest_capacity_wins_among_alarms(void **state)
{
    (void)state;
    struct autoscale_step_policy p;
    struct autoscale_vote got;
    autoscale_step_default(&p);
    p.alarm[2] = (struct autoscale_step_alarm){ .metric = AUTOSCALE_MEMORY,
                                                .high = true,
                                                .threshold = 80,
                                                .datapoints = 1,
                                                .type = AUTOSCALE_CHANGE_IN_CAPACITY,
                                                .step = { { 0, INFINITY, 3 } },
                                                .steps = 1 };
    p.alarms = 3;
    view_open(&t, 0, 100);
    view_minutes(&t, 20, AUTOSCALE_CPU, 30);
    view_also(&t, 20, AUTOSCALE_MEMORY, 80);
    autoscale_step_vote(&p, &t.v, &got);
    assert_vote(&got, AUTOSCALE_OUT, 103, 0);
    p.alarm[2].high = false; /* two ways in: the one that keeps more */
    p.alarm[2].step[0] = (struct autoscale_step){ -INFINITY, 0, -3 };
    autoscale_step_vote(&p, &t.v, &got);
    assert_vote(&got, AUTOSCALE_IN, 97, 1);
}

static void simple_scaling_waits_after_each_change(void **state)
{
    (void)state;
    struct autoscale_step_policy p;
    autoscale_step_default(&p);
    p.cooldown_ms = 5 * MINUTE;
    p.warmup_ms = 0;
    static const struct {
        int change;
        int64_t ago_ms;
        enum autoscale_move move;
    } row[] = { { 10, 15 * MINUTE - 1, AUTOSCALE_HOLD }, /* 10 min until they came, and 5 */
                { 10, 15 * MINUTE, AUTOSCALE_OUT },
                { -10, 5 * MINUTE - 1, AUTOSCALE_HOLD },
                { -10, 5 * MINUTE, AUTOSCALE_OUT } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_vote got;
        view_open(&t, 0, 100);
        view_minutes(&t, 30, AUTOSCALE_CPU, 95);
        view_changed(&t, t.v.now_ms - row[i].ago_ms, 100 - row[i].change, 100);
        autoscale_step_vote(&p, &t.v, &got);
        assert_vote(&got, row[i].move, row[i].move == AUTOSCALE_OUT ? 130 : 100, i);
        if (got.move == AUTOSCALE_HOLD) {
            assert_int_equal(got.cooldown_until_ms, t.v.now_ms + 1);
            assert_int_equal(got.wanted, 130);
        }
    }
}

static void step_settings_are_checked(void **state)
{
    (void)state;
    struct autoscale_step_policy p;
    struct pr_err err = { 0 };
#define BAD(change, says)                                                                          \
    autoscale_step_default(&p);                                                                    \
    change;                                                                                        \
    if (autoscale_step_check(&p, &err) != PR_EINVAL || strstr(err.text, says) == NULL)             \
    fail_msg("%s: \"%s\"", #change, err.text)
    BAD(p.alarms = 0, "0 alarms");
    BAD(p.alarms = 9, "9 alarms");
    BAD(p.warmup_ms = -1, "warm-up");
    BAD(p.cooldown_ms = -1, "cooldown");
    BAD(p.alarm[1].metric = AUTOSCALE_METRICS, "alarm 2: no such metric");
    BAD(p.alarm[1].threshold = NAN, "alarm 2: the threshold");
    BAD(p.alarm[0].datapoints = 0, "alarm 1: datapoints");
    BAD(p.alarm[0].min_magnitude = -1, "alarm 1: the minimum magnitude");
    BAD(p.alarm[0].steps = 2, "alarm 1: steps: nothing holds above 20");
#undef BAD
}

/* --- target tracking ------------------------------------------------------------------------ */

static void alarm_pair_at_its_boundaries(void **state)
{
    (void)state;
    static const struct {
        double cpu;
        int minutes, lacks_ms;
        enum autoscale_move move;
        int desired; /* from 100 */
    } row[] = {
        { 70, 60, 0, AUTOSCALE_HOLD, 100 },
        { 70.0001, 3, 0, AUTOSCALE_OUT, 101 },
        { 70.0001, 3, 1, AUTOSCALE_UNKNOWN, 100 },
        { 77, 3, 0, AUTOSCALE_OUT, 110 },
        { 100, 3, 0, AUTOSCALE_OUT, 143 },
        { 49, 60, 0, AUTOSCALE_HOLD, 100 },
        { 48.9, 15, 0, AUTOSCALE_IN, 70 },
        { 48.9, 15, 1, AUTOSCALE_HOLD, 100 },
        { 48.9, 14, 0, AUTOSCALE_HOLD, 100 },
        { 35, 15, 0, AUTOSCALE_IN, 50 },
        { 0, 15, 0, AUTOSCALE_IN, 48 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        view_open(&t, 0, 100);
        view_minutes(&t, row[i].minutes, AUTOSCALE_CPU, row[i].cpu);
        t.sample[0].at_ms += row[i].lacks_ms;
        const struct autoscale_vote got = target_vote();
        assert_vote(&got, row[i].move, row[i].desired, i);
    }
}

static void scale_in_keeps_what_the_highest_minute_needed(void **state)
{
    (void)state;
    view_open(&t, 0, 100);
    view_minutes(&t, 15, AUTOSCALE_CPU, 21);
    t.sample[3].cpu_pct = 42;
    struct autoscale_vote got = target_vote();
    assert_vote(&got, AUTOSCALE_IN, 60, 0);
    assert_true(got.observed == 42);

    /* It looks at 15 minutes after a change before it takes another step. */
    view_changed(&t, t.v.now_ms, 100, 60);
    t.v.desired = t.v.serving = 60;
    view_minutes(&t, 14, AUTOSCALE_CPU, 21);
    got = target_vote();
    assert_vote(&got, AUTOSCALE_HOLD, 60, 1);
    t.v.now_ms += MINUTE - 1;
    got = target_vote();
    assert_vote(&got, AUTOSCALE_HOLD, 60, 2);
    t.v.now_ms -= MINUTE - 1;
    view_minute(&t, AUTOSCALE_CPU, 63);
    got = target_vote();
    assert_vote(&got, AUTOSCALE_HOLD, 60, 3);
}

static void metric_is_of_those_that_serve(void **state)
{
    (void)state;
    static const struct {
        double cpu;
        int serving; /* of 110 */
        enum autoscale_move move;
        int desired;
    } row[] = {
        { 77, 100, AUTOSCALE_HOLD, 110 }, /* 100 x 77 / 70: they are on the way */
        { 80.5, 100, AUTOSCALE_OUT, 115 }, { 77, 110, AUTOSCALE_OUT, 121 },
        { 35, 100, AUTOSCALE_HOLD, 110 }, /* nobody leaves meanwhile */
        { 35, 110, AUTOSCALE_IN, 55 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        view_open(&t, 0, 110);
        view_minutes(&t, 30, AUTOSCALE_CPU, row[i].cpu);
        t.v.serving = row[i].serving;
        view_changed(&t, t.v.now_ms - 15 * MINUTE, 100, 110);
        const struct autoscale_vote got = target_vote();
        assert_vote(&got, row[i].move, row[i].desired, i);
    }
}

static void several_targets(void **state)
{
    (void)state;
    static const struct {
        double cpu, memory, bps;
        enum autoscale_move move;
        int desired; /* from 100 */
    } row[] = {
        { 35, 93.5, NAN, AUTOSCALE_OUT, 110 },  /* any out */
        { 77, 93.5, 16e9, AUTOSCALE_OUT, 200 }, /* the largest */
        { 35, 70, NAN, AUTOSCALE_HOLD, 100 },   /* memory is not low */
        { 35, 51, NAN, AUTOSCALE_IN, 60 },      /* all: the larger stays */
        { 35, 51, 1e9, AUTOSCALE_IN, 60 },      { 35, 51, 7e9, AUTOSCALE_HOLD, 100 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        view_open(&t, 0, 100);
        view_minutes(&t, 15, AUTOSCALE_CPU, row[i].cpu);
        view_also(&t, 15, AUTOSCALE_MEMORY, row[i].memory);
        view_also(&t, 15, AUTOSCALE_NETWORK, row[i].bps);
        const struct autoscale_vote got = target_vote();
        assert_vote(&got, row[i].move, row[i].desired, i);
    }
    /* Without its scale-in, memory has no say in it. */
    struct autoscale_target_policy p;
    struct autoscale_target_memory memory = { 0 };
    struct autoscale_vote got;
    autoscale_target_default(&p);
    p.tracker[1].disable_scale_in = true;
    view_also(&t, 15, AUTOSCALE_NETWORK, NAN);
    view_also(&t, 15, AUTOSCALE_MEMORY, 70);
    autoscale_target_vote(&p, &memory, &t.v, &got);
    assert_vote(&got, AUTOSCALE_IN, 50, 0);
}

static void insufficient_data_holds(void **state)
{
    (void)state;
    view_open(&t, 0, 100);
    struct autoscale_vote got = target_vote();
    assert_vote(&got, AUTOSCALE_UNKNOWN, 100, 0);
    got = step_vote();
    assert_vote(&got, AUTOSCALE_UNKNOWN, 100, 1);

    view_minutes(&t, 30, AUTOSCALE_CPU, 30);
    t.sample[20].cpu_pct = NAN; /* within the low alarm's 15 */
    got = target_vote();
    assert_vote(&got, AUTOSCALE_HOLD, 100, 2);
    t.sample[20].cpu_pct = 30;
    view_also(&t, 30, AUTOSCALE_MEMORY, 30);
    t.sample[29].memory_pct = NAN;
    got = target_vote();
    assert_vote(&got, AUTOSCALE_UNKNOWN, 100, 3);
    view_minutes(&t, 1, AUTOSCALE_CPU, NAN);
    got = target_vote();
    assert_vote(&got, AUTOSCALE_UNKNOWN, 100, 4);
}

static void memory_tells_since_when_an_alarm_is_on(void **state)
{
    (void)state;
    struct autoscale_target_policy p;
    struct autoscale_target_memory memory = { 0 };
    struct autoscale_vote got;
    autoscale_target_default(&p);
    view_open(&t, MINUTE, 100);
    for (int i = 1; i <= 10; i++) {
        view_minute(&t, AUTOSCALE_CPU, i < 9 ? 80 : 60);
        autoscale_target_vote(&p, &memory, &t.v, &got);
        assert_int_equal(memory.high_since_ms[0], i < 3 || i > 8 ? 0 : 3 * MINUTE);
        if (i == 8)
            assert_non_null(strstr(got.why, "is on for 5 min"));
    }
}

static void target_settings_are_checked(void **state)
{
    (void)state;
    struct autoscale_target_policy p;
    struct pr_err err = { 0 };
#define BAD(change, says)                                                                          \
    autoscale_target_default(&p);                                                                  \
    change;                                                                                        \
    if (autoscale_target_check(&p, &err) != PR_EINVAL || strstr(err.text, says) == NULL)           \
    fail_msg("%s: \"%s\"", #change, err.text)
    BAD(p.trackers = 0, "0 metrics");
    BAD(p.trackers = 5, "5 metrics");
    BAD(p.tracker[1].target = 0, "target 2");
    BAD(p.tracker[1].target = NAN, "target 2");
    BAD(p.tracker[2].metric = AUTOSCALE_CPU, "target 3: target 1 has the same metric");
    BAD(p.tracker[0].metric = AUTOSCALE_METRICS, "target 1: no such metric");
    BAD(p.low_ratio = 1, "ratio");
    BAD(p.high_minutes = 0, "minutes");
    BAD(p.low_minutes = 1441, "minutes");
    BAD(p.warmup_ms = -1, "warm-up");
#undef BAD
}

static void month_of_votes_is_fast(void **state)
{
    (void)state;
    enum { MONTH = 30 * 24 * 60 };
    static struct autoscale_sample sample[MONTH];
    for (int i = 0; i < MONTH; i++) {
        sample[i] = view_nothing((int64_t)(i + 1) * MINUTE, 60);
        sample[i].cpu_pct = i % 40 < 30 ? 35 : 75;
    }
    struct autoscale_target_policy target;
    struct autoscale_target_memory memory = { 0 };
    struct autoscale_step_policy step;
    autoscale_target_default(&target);
    autoscale_step_default(&step);
    struct autoscale_view v = {
        .desired = 60, .serving = 60, .min = 48, .max = 1000, .sample = sample
    };
    for (int kind = 0; kind < 2; kind++) {
        const clock_t begin = clock();
        int spoke = 0;
        for (int i = 1; i <= MONTH; i++) {
            struct autoscale_vote out;
            v.samples = (size_t)i;
            v.now_ms = sample[i - 1].at_ms;
            if (kind == 0)
                autoscale_target_vote(&target, &memory, &v, &out);
            else
                autoscale_step_vote(&step, &v, &out);
            spoke += out.move == AUTOSCALE_OUT || out.move == AUTOSCALE_IN;
        }
        const double s = (double)(clock() - begin) / CLOCKS_PER_SEC;
        printf("43,200 votes of %s in %.3f s of CPU\n", kind == 0 ? "target" : "step", s);
        assert_true(spoke > MONTH / 4);
        assert_true(s < 10); /* a sanitizer on a busy machine */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alarms_of_steps_at_their_boundaries),
        cmocka_unit_test(those_that_warm_up_are_part_of_the_step),
        cmocka_unit_test(largest_capacity_wins_among_alarms),
        cmocka_unit_test(simple_scaling_waits_after_each_change),
        cmocka_unit_test(step_settings_are_checked),
        cmocka_unit_test(alarm_pair_at_its_boundaries),
        cmocka_unit_test(scale_in_keeps_what_the_highest_minute_needed),
        cmocka_unit_test(metric_is_of_those_that_serve),
        cmocka_unit_test(several_targets),
        cmocka_unit_test(insufficient_data_holds),
        cmocka_unit_test(memory_tells_since_when_an_alarm_is_on),
        cmocka_unit_test(target_settings_are_checked),
        cmocka_unit_test(month_of_votes_is_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
