/* Threshold rules: the table to its boundaries, who is against scaling in, cooldowns by
 * direction, unknown minutes. */
#include "t.h"

#include "autoscale_view.h"
#include "core/rules.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MINUTE = VIEW_MINUTE };
static const double GBPS = 1e9;

static struct autoscale_rules table(void)
{
    struct autoscale_rules r;
    struct pr_err err;
    autoscale_rules_default(&r);
    assert_ok(autoscale_rules_check(&r, &err), &err);
    return r;
}

static struct autoscale_vote vote(const struct test_view *t)
{
    const struct autoscale_rules r = table();
    struct autoscale_vote out;
    autoscale_rules_vote(&r, &t->v, &out);
    return out;
}

static void assert_vote(const struct autoscale_vote *got, enum autoscale_move move, int desired,
                        size_t row)
{
    if (got->move != move || got->desired != desired)
        fail_msg("row %zu: move %d to %d, want %d to %d: %s", row, got->move, got->desired, move,
                 desired, got->why);
}

static void table_is_the_references(void **state)
{
    (void)state;
    static const struct autoscale_rule want[] = {
        { AUTOSCALE_CPU, 70, 10, 300000, 300000 },
        { AUTOSCALE_MEMORY, 85, 10, 180000, 600000 },
        { AUTOSCALE_NETWORK, 8e9, 10, 300000, 300000 },
        { AUTOSCALE_CPU, 40, -10, 900000, 900000 },
    };
    const struct autoscale_rules r = table();
    assert_int_equal(r.rules, PR_COUNT(want));
    for (size_t i = 0; i < PR_COUNT(want); i++) {
        assert_int_equal(r.rule[i].metric, want[i].metric);
        assert_true(r.rule[i].threshold == want[i].threshold);
        assert_true(r.rule[i].step_pct == want[i].step_pct);
        assert_int_equal(r.rule[i].sustained_ms, want[i].sustained_ms);
        assert_int_equal(r.rule[i].cooldown_ms, want[i].cooldown_ms);
    }
}

/* Each rule at its threshold and just beyond, sustained 1 ms too short, exactly, and longer. */
static void rules_speak_at_their_boundaries(void **state)
{
    (void)state;
    static const struct {
        enum autoscale_metric metric;
        double value;
        int minutes, lacks_ms; /* of the first minute */
        enum autoscale_move move;
        int desired; /* from 60 */
        const char *rule;
    } row[] = {
        { AUTOSCALE_CPU, 70.0001, 5, 0, AUTOSCALE_OUT, 66, "cpu>70 for 5 min" },
        { AUTOSCALE_CPU, 70.0001, 5, 1, AUTOSCALE_UNKNOWN, 60, "cpu>70 for 5 min" },
        { AUTOSCALE_CPU, 70.0001, 6, 0, AUTOSCALE_OUT, 66, "cpu>70 for 5 min" },
        { AUTOSCALE_CPU, 70, 60, 0, AUTOSCALE_HOLD, 60, "cpu>70 for 5 min" },
        { AUTOSCALE_MEMORY, 85.0001, 3, 0, AUTOSCALE_OUT, 66, "memory>85 for 3 min" },
        { AUTOSCALE_MEMORY, 85.0001, 3, 1, AUTOSCALE_UNKNOWN, 60, "memory>85 for 3 min" },
        { AUTOSCALE_MEMORY, 85, 60, 0, AUTOSCALE_HOLD, 60, "memory>85 for 3 min" },
        { AUTOSCALE_NETWORK, 8.0001e9, 5, 0, AUTOSCALE_OUT, 66, "network>8 Gbps for 5 min" },
        { AUTOSCALE_NETWORK, 8.0001e9, 5, 1, AUTOSCALE_UNKNOWN, 60, "network>8 Gbps for 5 min" },
        { AUTOSCALE_NETWORK, 8e9, 60, 0, AUTOSCALE_HOLD, 60, "network>8 Gbps for 5 min" },
        { AUTOSCALE_CPU, 39.9999, 15, 0, AUTOSCALE_IN, 54, "cpu<40 for 15 min" },
        { AUTOSCALE_CPU, 39.9999, 15, 1, AUTOSCALE_HOLD, 60, "cpu>70 for 5 min" },
        { AUTOSCALE_CPU, 39.9999, 60, 0, AUTOSCALE_IN, 54, "cpu<40 for 15 min" },
        { AUTOSCALE_CPU, 40, 60, 0, AUTOSCALE_HOLD, 60, "cpu>70 for 5 min" },
        { AUTOSCALE_CPU, 100, 5, 0, AUTOSCALE_OUT, 66, "cpu>70 for 5 min" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        static struct test_view t;
        view_open(&t, 0, 60);
        view_minutes(&t, row[i].minutes, row[i].metric, row[i].value);
        t.sample[0].at_ms += row[i].lacks_ms;
        const struct autoscale_vote got = vote(&t);
        assert_vote(&got, row[i].move, row[i].desired, i);
        assert_string_equal(got.rule, row[i].rule);
    }
}

/* The fifth minute has just ended, is about to, or is long over. */
static void now_counts(void **state)
{
    (void)state;
    static struct test_view t;
    view_open(&t, 0, 60);
    view_minutes(&t, 5, AUTOSCALE_CPU, 80);
    const int64_t end = t.v.now_ms;
    static const struct {
        int64_t after_ms;
        enum autoscale_move move;
        int desired;
    } row[] = {
        { -1, AUTOSCALE_UNKNOWN, 60 }, /* a sample from the future */
        { 0, AUTOSCALE_OUT, 66 },
        { MINUTE, AUTOSCALE_OUT, 66 }, /* the next one may be on its way */
        { AUTOSCALE_MISSED_MS, AUTOSCALE_OUT, 66 },
        { AUTOSCALE_MISSED_MS + 1, AUTOSCALE_UNKNOWN, 60 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        t.v.now_ms = end + row[i].after_ms;
        const struct autoscale_vote got = vote(&t);
        assert_vote(&got, row[i].move, row[i].desired, i);
    }
}

static void step_rounds_up_outward_and_takes_whole_ones_inward(void **state)
{
    (void)state;
    static const struct {
        int from;
        double pct;
        int to;
    } row[] = {
        { 48, 10, 53 },  { 53, 10, 59 },     { 59, 10, 65 }, { 97, 10, 107 }, { 50, 10, 55 },
        { 1, 10, 2 },    { 1000, 10, 1100 }, { 0, 10, 0 },   { 53, -10, 48 }, { 48, -10, 44 },
        { 60, -10, 54 }, { 5, -10, 4 },      { 1, -10, 0 },  { 3, -100, 0 },  { 100, 12.5, 113 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(autoscale_rule_step(row[i].from, row[i].pct), row[i].to);
}

static void limits_end_a_step(void **state)
{
    (void)state;
    static const struct {
        double cpu;
        int desired, min, max;
        enum autoscale_move move;
        int to, wanted;
        const char *limited;
    } row[] = {
        { 80, 950, 48, 1000, AUTOSCALE_OUT, 1000, 1045, "max 1000" },
        { 80, 1000, 48, 1000, AUTOSCALE_HOLD, 1000, 1100, "max 1000" },
        { 80, 909, 48, 1000, AUTOSCALE_OUT, 1000, 1000, "" },
        { 30, 50, 48, 1000, AUTOSCALE_IN, 48, 45, "min 48" },
        { 30, 48, 48, 1000, AUTOSCALE_HOLD, 48, 48, "" },
        { 80, 1100, 48, 1000, AUTOSCALE_HOLD, 1100, 1210, "max 1000" }, /* beyond it already */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        static struct test_view t;
        view_open(&t, 0, row[i].desired);
        t.v.min = row[i].min;
        t.v.max = row[i].max;
        view_minutes(&t, 15, AUTOSCALE_CPU, row[i].cpu);
        const struct autoscale_vote got = vote(&t);
        assert_vote(&got, row[i].move, row[i].to, i);
        assert_int_equal(got.wanted, row[i].wanted);
        assert_string_equal(got.limited, row[i].limited);
    }
}

static void cooldown_is_of_the_direction(void **state)
{
    (void)state;
    static const struct {
        enum autoscale_metric metric;
        double value;
        int change; /* the last one: members more or fewer */
        int64_t ago_ms;
        enum autoscale_move move;
        int desired;
    } row[] = {
        { AUTOSCALE_CPU, 80, 5, 5 * MINUTE - 1, AUTOSCALE_HOLD, 60 },
        { AUTOSCALE_CPU, 80, 5, 5 * MINUTE, AUTOSCALE_OUT, 66 },
        { AUTOSCALE_CPU, 80, 5, 5 * MINUTE + 1, AUTOSCALE_OUT, 66 },
        { AUTOSCALE_CPU, 80, -5, 1, AUTOSCALE_OUT, 66 }, /* inward never blocks outward */
        { AUTOSCALE_CPU, 80, -5, 0, AUTOSCALE_OUT, 66 },
        { AUTOSCALE_MEMORY, 90, 5, 10 * MINUTE - 1, AUTOSCALE_HOLD, 60 },
        { AUTOSCALE_MEMORY, 90, 5, 10 * MINUTE, AUTOSCALE_OUT, 66 },
        { AUTOSCALE_NETWORK, 9e9, 5, 5 * MINUTE - 1, AUTOSCALE_HOLD, 60 },
        { AUTOSCALE_NETWORK, 9e9, 5, 5 * MINUTE, AUTOSCALE_OUT, 66 },
        { AUTOSCALE_CPU, 30, -5, 15 * MINUTE - 1, AUTOSCALE_HOLD, 60 },
        { AUTOSCALE_CPU, 30, -5, 15 * MINUTE, AUTOSCALE_IN, 54 },
        { AUTOSCALE_CPU, 30, 5, 1, AUTOSCALE_IN, 54 },  /* each direction has its own */
        { AUTOSCALE_CPU, 80, 0, 1, AUTOSCALE_OUT, 66 }, /* a change of nothing */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        static struct test_view t;
        view_open(&t, 0, 60);
        view_minutes(&t, 20, row[i].metric, row[i].value);
        view_changed(&t, t.v.now_ms - row[i].ago_ms, 60 - row[i].change, 60);
        const struct autoscale_vote got = vote(&t);
        assert_vote(&got, row[i].move, row[i].desired, i);
        const int64_t cooldown = row[i].metric == AUTOSCALE_MEMORY ? 10 * MINUTE
                                 : row[i].value < 40               ? 15 * MINUTE
                                                                   : 5 * MINUTE;
        if (got.move == AUTOSCALE_HOLD) {
            assert_int_equal(got.cooldown_until_ms, t.v.now_ms - row[i].ago_ms + cooldown);
            assert_non_null(strstr(got.limited, "cooldown until Thu 1970-01-01 00:"));
            assert_int_not_equal(got.wanted, 60);
        }
    }
}

/* The memory rule still cools down, the CPU rule does not: any metric scales out. */
static void rules_cool_down_each_by_its_own(void **state)
{
    (void)state;
    static struct test_view t;
    view_open(&t, 0, 60);
    view_minutes(&t, 20, AUTOSCALE_CPU, 80);
    view_also(&t, 20, AUTOSCALE_MEMORY, 90);
    view_changed(&t, t.v.now_ms - 7 * MINUTE, 55, 60);
    const struct autoscale_vote got = vote(&t);
    assert_vote(&got, AUTOSCALE_OUT, 66, 0);
    assert_string_equal(got.rule, "cpu>70 for 5 min");
}

static void any_metric_scales_out_and_the_largest_wins(void **state)
{
    (void)state;
    static struct test_view t;
    view_open(&t, 0, 60);
    view_minutes(&t, 20, AUTOSCALE_CPU, 30); /* low enough to scale in */
    view_also(&t, 20, AUTOSCALE_MEMORY, 90);
    const struct autoscale_vote got = vote(&t);
    assert_vote(&got, AUTOSCALE_OUT, 66, 0);
    assert_string_equal(got.rule, "memory>85 for 3 min");
    assert_true(got.observed == 90 && got.threshold == 85);

    struct autoscale_rules r = table();
    r.rule[1].step_pct = 25;
    view_also(&t, 5, AUTOSCALE_CPU, 80);
    struct autoscale_vote most;
    autoscale_rules_vote(&r, &t.v, &most);
    assert_vote(&most, AUTOSCALE_OUT, 75, 1);
}

/* Memory and network have no inward rule: they agree when what they have fits fewer members. */
static void all_must_agree_to_scale_in(void **state)
{
    (void)state;
    static const struct {
        enum autoscale_metric metric;
        double value;
        enum autoscale_move move;
        int desired; /* 60 to 54: x 60 / 54 */
    } row[] = {
        { AUTOSCALE_MEMORY, 76.5, AUTOSCALE_IN, 54 },
        { AUTOSCALE_MEMORY, 76.6, AUTOSCALE_HOLD, 60 },
        { AUTOSCALE_MEMORY, 84, AUTOSCALE_HOLD, 60 },
        { AUTOSCALE_NETWORK, 7.2e9, AUTOSCALE_IN, 54 },
        { AUTOSCALE_NETWORK, 7.3e9, AUTOSCALE_HOLD, 60 },
        { AUTOSCALE_MEMORY, 0, AUTOSCALE_IN, 54 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        static struct test_view t;
        view_open(&t, 0, 60);
        view_minutes(&t, 20, AUTOSCALE_CPU, 30);
        view_also(&t, 20, row[i].metric, row[i].value);
        const struct autoscale_vote got = vote(&t);
        assert_vote(&got, row[i].move, row[i].desired, i);
        if (got.move == AUTOSCALE_HOLD)
            assert_non_null(strstr(got.why, "too much for fewer members"));
    }
}

static void missing_minute_breaks_what_is_sustained(void **state)
{
    (void)state;
    static struct test_view t;
    for (int kind = 0; kind < 2; kind++) { /* a sample without a value, and none at all */
        for (int gap = 0; gap < 5; gap++) {
            view_open(&t, 0, 60);
            view_minutes(&t, 10, AUTOSCALE_CPU, 80);
            if (kind == 0) {
                t.sample[9 - gap].cpu_pct = NAN;
            } else {
                for (int i = 9 - gap; i < 9; i++)
                    t.sample[i] = t.sample[i + 1];
                t.v.samples--;
            }
            const struct autoscale_vote got = vote(&t);
            if (kind == 1 && gap == 0) /* the next may be on its way: five before it are enough */
                assert_vote(&got, AUTOSCALE_OUT, 66, 0);
            else
                assert_vote(&got, AUTOSCALE_UNKNOWN, 60, (size_t)gap);
            view_minutes(&t, 5, AUTOSCALE_CPU, 80); /* whole again */
            const struct autoscale_vote again = vote(&t);
            assert_vote(&again, AUTOSCALE_OUT, 66, (size_t)gap);
        }
    }
    /* One minute at the threshold is known, and says no, whatever else is missing. */
    view_open(&t, 0, 60);
    view_minutes(&t, 10, AUTOSCALE_CPU, 80);
    t.sample[9].cpu_pct = NAN;
    t.sample[8].cpu_pct = 70;
    const struct autoscale_vote got = vote(&t);
    assert_vote(&got, AUTOSCALE_HOLD, 60, 0);
}

static void unknown_metric_forbids_scaling_in(void **state)
{
    (void)state;
    static struct test_view t;
    view_open(&t, 0, 60);
    view_minutes(&t, 20, AUTOSCALE_CPU, 30);
    struct autoscale_vote got = vote(&t); /* memory and network never were: no part */
    assert_vote(&got, AUTOSCALE_IN, 54, 0);
    assert_non_null(strstr(got.why, "not measured: memory, network"));

    view_also(&t, 20, AUTOSCALE_MEMORY, 50); /* and fell silent a minute ago, an hour, a day */
    static const int silent[] = { 1, 2, 3, 59, 60, 61, 500, 1440 };
    for (size_t i = 0; i < PR_COUNT(silent); i++) {
        while (!(t.v.samples >= 20 + (size_t)silent[i]))
            view_minute(&t, AUTOSCALE_CPU, 30);
        got = vote(&t);
        if (got.move == AUTOSCALE_IN || got.desired != 60)
            fail_msg("%d min silent: %s", silent[i], got.why);
    }
    assert_int_equal(got.move, AUTOSCALE_UNKNOWN);
}

static void half_silent_members_forbid_scaling_in(void **state)
{
    (void)state;
    static struct test_view t;
    static const struct {
        int serving, silent;
        enum autoscale_move move;
    } row[] = { { 60, 0, AUTOSCALE_IN },
                { 31, 29, AUTOSCALE_IN },
                { 30, 30, AUTOSCALE_HOLD },
                { 1, 59, AUTOSCALE_HOLD } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        view_open(&t, 0, 60);
        view_minutes(&t, 20, AUTOSCALE_CPU, 30);
        t.sample[12].serving = row[i].serving;
        t.sample[12].silent = row[i].silent;
        const struct autoscale_vote got = vote(&t);
        assert_int_equal(got.move, row[i].move);
    }
    for (size_t i = 0; i < t.v.samples; i++) /* those who are left still tell of too much work */
        t.sample[i] = (struct autoscale_sample){ t.sample[i].at_ms, 80, NAN, NAN, NAN, NAN, 1, 59 };
    const struct autoscale_vote got = vote(&t);
    assert_vote(&got, AUTOSCALE_OUT, 66, 0);
}

static void nothing_known_is_unknown(void **state)
{
    (void)state;
    static struct test_view t;
    view_open(&t, 0, 60);
    struct autoscale_vote got = vote(&t);
    assert_vote(&got, AUTOSCALE_UNKNOWN, 60, 0);
    assert_true(isnan(got.observed) && isnan(got.threshold));
    view_minutes(&t, 100, AUTOSCALE_CPU, NAN);
    got = vote(&t);
    assert_vote(&got, AUTOSCALE_UNKNOWN, 60, 1);
}

/* Late by a few seconds each: no minute is missing. */
static void jitter_is_no_missing_minute(void **state)
{
    (void)state;
    static struct test_view t;
    view_open(&t, 0, 60);
    view_minutes(&t, 30, AUTOSCALE_CPU, 80);
    for (size_t i = 0; i < t.v.samples; i++)
        t.sample[i].at_ms += (int64_t)(i * 7919 % 25000);
    t.v.now_ms = t.sample[29].at_ms + 20000;
    const struct autoscale_vote got = vote(&t);
    assert_vote(&got, AUTOSCALE_OUT, 66, 0);
}

static void settings_are_checked(void **state)
{
    (void)state;
    static const struct {
        struct autoscale_rule rule;
        const char *says;
    } row[] = {
        { { AUTOSCALE_METRICS, 70, 10, 0, 0 }, "no such metric" },
        { { AUTOSCALE_CPU, NAN, 10, 0, 0 }, "threshold" },
        { { AUTOSCALE_CPU, -1, 10, 0, 0 }, "threshold" },
        { { AUTOSCALE_CPU, 70, 0, 0, 0 }, "step" },
        { { AUTOSCALE_CPU, 70, -101, 0, 0 }, "step" },
        { { AUTOSCALE_CPU, 70, NAN, 0, 0 }, "step" },
        { { AUTOSCALE_CPU, 70, 10, -1, 0 }, "sustained" },
        { { AUTOSCALE_CPU, 70, 10, 86400001, 0 }, "sustained" },
        { { AUTOSCALE_CPU, 70, 10, 0, -1 }, "cooldown" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_rules r = table();
        struct pr_err err = { 0 };
        r.rule[2] = row[i].rule;
        if (autoscale_rules_check(&r, &err) != PR_EINVAL || strstr(err.text, "rule 3") == NULL ||
            strstr(err.text, row[i].says) == NULL)
            fail_msg("row %zu: \"%s\"", i, err.text);
    }
    struct autoscale_rules none = { .rules = 0 };
    assert_int_equal(autoscale_rules_check(&none, NULL), PR_EINVAL);
}

static void vote_says_what_it_saw(void **state)
{
    (void)state;
    static struct test_view t;
    view_open(&t, 0, 60);
    view_minutes(&t, 3, AUTOSCALE_CPU, 71);
    view_minutes(&t, 2, AUTOSCALE_CPU, 81);
    view_also(&t, 5, AUTOSCALE_NETWORK, 2 * GBPS);
    const struct autoscale_vote got = vote(&t);
    assert_true(got.observed == 75 && got.threshold == 70);
    assert_int_equal(got.window_ms, 5 * MINUTE);
    assert_string_equal(got.limited, "");
    assert_string_equal(got.why,
                        "cpu>70 for 5 min: cpu 75 %, +10 % of 60 is 66; not measured: memory");
}

static void month_of_votes_is_fast(void **state)
{
    (void)state;
    enum { MONTH = 30 * 24 * 60 };
    static struct autoscale_sample sample[MONTH];
    static struct autoscale_action action[1];
    for (int i = 0; i < MONTH; i++) {
        sample[i] = view_nothing((int64_t)(i + 1) * MINUTE, 60);
        sample[i].cpu_pct = i % 40 < 30 ? 35 : 75;
    }
    const struct autoscale_rules r = table();
    struct autoscale_view v = {
        .desired = 60, .serving = 60, .min = 48, .max = 1000, .sample = sample, .action = action
    };
    const clock_t begin = clock();
    int spoke = 0;
    for (int i = 1; i <= MONTH; i++) {
        struct autoscale_vote out;
        v.samples = (size_t)i;
        v.now_ms = sample[i - 1].at_ms;
        autoscale_rules_vote(&r, &v, &out);
        spoke += out.move == AUTOSCALE_OUT || out.move == AUTOSCALE_IN;
    }
    const double s = (double)(clock() - begin) / CLOCKS_PER_SEC;
    printf("43,200 votes of the rules in %.3f s of CPU\n", s);
    assert_true(spoke > MONTH / 4);
    assert_true(s < 10); /* a sanitizer on a busy machine */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_the_references),
        cmocka_unit_test(rules_speak_at_their_boundaries),
        cmocka_unit_test(now_counts),
        cmocka_unit_test(step_rounds_up_outward_and_takes_whole_ones_inward),
        cmocka_unit_test(limits_end_a_step),
        cmocka_unit_test(cooldown_is_of_the_direction),
        cmocka_unit_test(rules_cool_down_each_by_its_own),
        cmocka_unit_test(any_metric_scales_out_and_the_largest_wins),
        cmocka_unit_test(all_must_agree_to_scale_in),
        cmocka_unit_test(missing_minute_breaks_what_is_sustained),
        cmocka_unit_test(unknown_metric_forbids_scaling_in),
        cmocka_unit_test(half_silent_members_forbid_scaling_in),
        cmocka_unit_test(nothing_known_is_unknown),
        cmocka_unit_test(jitter_is_no_missing_minute),
        cmocka_unit_test(settings_are_checked),
        cmocka_unit_test(vote_says_what_it_saw),
        cmocka_unit_test(month_of_votes_is_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
