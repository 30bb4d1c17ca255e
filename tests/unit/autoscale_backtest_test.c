/* The model of a backtest, by loads that can be counted by hand. */
#include "t.h"

#include "core/backtest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DAY = 24 * 60 };
static struct autoscale_backtest how;
static struct autoscale_settings settings;

/* One outward and one inward rule, both at once: the fleet is as the CPU of the minute says. */
static void step_policy(double out_above, double in_below, double pct)
{
    autoscale_backtest_default(&how);
    how.min = 1;
    memset(&settings, 0, sizeof settings);
    settings.policies = 1;
    struct autoscale_policy *p = &settings.policy[0];
    p->kind = AUTOSCALE_RULES;
    p->is.rules.rules = 2;
    p->is.rules.rule[0] = (struct autoscale_rule){ AUTOSCALE_CPU, out_above, pct, 60000, 0 };
    p->is.rules.rule[1] = (struct autoscale_rule){ AUTOSCALE_CPU, in_below, -pct, 60000, 0 };
}

static struct autoscale_result run(const double *load, size_t minutes, int *desired, int *serving)
{
    const struct autoscale_trace t = { load, minutes, 0 };
    struct autoscale_series s = { desired, serving };
    struct autoscale_result r;
    struct pr_err err;
    assert_ok(autoscale_backtest_run(&how, &settings, &t, &r, &s, &err), &err);
    return r;
}

static void assert_near(double got, double want)
{
    if (!(fabs(got - want) < 1e-9))
        fail_msg("%.12g, want %.12g", got, want);
}

static void ordered_members_are_paid_at_once_and_serve_after_the_boot(void **state)
{
    (void)state;
    double load[30];
    int desired[30], serving[30];
    step_policy(80, 0, 100);
    for (int i = 0; i < 30; i++)
        load[i] = i < 5 ? 70 : 90; /* 100 serve at first */
    how.boot_minutes = 3;
    (void)run(load, 30, desired, serving);
    assert_int_equal(desired[0], 100);
    assert_int_equal(desired[5], 100); /* measured in minute 5, ordered at its end */
    assert_int_equal(desired[6], 200);
    assert_int_equal(serving[8], 100); /* minutes 6, 7 and 8: the boot */
    assert_int_equal(serving[9], 200);
    how.boot_minutes = 0;
    (void)run(load, 30, desired, serving);
    assert_int_equal(serving[5], 100);
    assert_int_equal(serving[6], 200);
}

static void leaving_members_go_at_once_and_those_that_boot_first(void **state)
{
    (void)state;
    double load[40];
    int desired[40], serving[40];
    step_policy(80, 30, 50);
    for (int i = 0; i < 40; i++)
        load[i] = i == 2           ? 90
                  : i > 3 && i < 6 ? 10
                                   : 50; /* ordered at the end of 2, gone after 4 */
    load[0] = 70;
    (void)run(load, 40, desired, serving);
    assert_int_equal(desired[3], 150);
    assert_int_equal(desired[5], 75);
    assert_int_equal(serving[4], 100);
    assert_int_equal(serving[5], 75); /* all 50 that booted, and 25 more */
    assert_int_equal(desired[6], 38);
    assert_int_equal(serving[6], 38);
    assert_int_equal(serving[13], 38); /* nobody comes of the first order any more */
}

static void minutes_are_judged_by_what_serves(void **state)
{
    (void)state;
    static double load[DAY];
    step_policy(100, 0, 10); /* never */
    for (int i = 0; i < DAY; i++)
        load[i] = 70;
    load[10] = 85;    /* exactly at the limit */
    load[11] = 85.01; /* short */
    load[12] = 100;   /* exactly as much as there is */
    load[13] = 120;   /* 20 of it are lost */
    struct autoscale_result r = run(load, DAY, NULL, NULL);
    assert_near(r.days, 1);
    assert_near(r.short_minutes_per_day, 3);
    assert_near(r.over_minutes_per_day, 1);
    assert_near(r.lost_load_ratio, 20 / (70.0 * (DAY - 4) + 85 + 85.01 + 100 + 120));
    assert_near(r.instance_hours, 2400);
    assert_near(r.cost, 2400 * 1.008);
    assert_near(r.actions_per_day, 0);
    assert_near(r.flaps_per_day, 0);
}

static void changes_in_the_other_direction_within_half_an_hour_are_flaps(void **state)
{
    (void)state;
    static const struct {
        int apart;
        double flaps;
    } row[] = { { 1, 1 }, { 29, 1 }, { 30, 1 }, { 31, 0 } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        static double load[DAY];
        step_policy(80, 30, 10);
        how.boot_minutes = 0;
        for (int m = 0; m < DAY; m++)
            load[m] = 70;
        load[100] = 85;
        load[100 + row[i].apart] = 20;
        const struct autoscale_result r = run(load, DAY, NULL, NULL);
        assert_near(r.actions_per_day, 2);
        assert_near(r.flaps_per_day, row[i].flaps);
    }
}

static void an_oracle_pays_for_the_boot(void **state)
{
    (void)state;
    double load[60];
    double hours = 0;
    struct pr_err err;
    autoscale_backtest_default(&how);
    how.min = 50;
    for (int i = 0; i < 60; i++)
        load[i] = i == 30 ? 140 : 35;
    const struct autoscale_trace t = { load, 60, 0 };
    assert_ok(autoscale_backtest_oracle(&how, &t, &hours, &err), &err);
    assert_near(hours * 60, 49 * 50 + 11 * 200); /* in minutes 20 to 30 */
    how.boot_minutes = 0;
    assert_ok(autoscale_backtest_oracle(&how, &t, &hours, &err), &err);
    assert_near(hours * 60, 59 * 50 + 200);
    how.boot_minutes = 100; /* all the time before */
    assert_ok(autoscale_backtest_oracle(&how, &t, &hours, &err), &err);
    assert_near(hours * 60, 29 * 50 + 31 * 200);
    how.max = 150;
    assert_ok(autoscale_backtest_oracle(&how, &t, &hours, &err), &err);
    assert_near(hours * 60, 29 * 50 + 31 * 150);
}

/* By looking at every window. */
static void an_oracle_is_right_on_any_load(void **state)
{
    (void)state;
    enum { N = 500 };
    double load[N];
    struct pr_err err;
    autoscale_backtest_default(&how);
    for (unsigned seed = 1; seed < 20; seed++) {
        unsigned x = seed * 2654435761u;
        for (int i = 0; i < N; i++) {
            x = x * 1664525u + 1013904223u;
            load[i] = (double)(x >> 20) / 10;
        }
        how.boot_minutes = (int)(seed % 15);
        double paid = 0, hours = 0;
        for (int i = 0; i < N; i++) {
            double most = 0;
            for (int j = i; j <= i + how.boot_minutes && j < N; j++)
                most = fmax(most, load[j]);
            paid += fmin(fmax(ceil(most / 0.7 - 1e-9), how.min), how.max);
        }
        const struct autoscale_trace t = { load, N, 0 };
        assert_ok(autoscale_backtest_oracle(&how, &t, &hours, &err), &err);
        assert_near(hours * 60, paid);
    }
}

static void load_goes_on_where_nobody_measured_it(void **state)
{
    (void)state;
    static double load[DAY];
    step_policy(100, 0, 10);
    for (int i = 0; i < DAY; i++)
        load[i] = i < 700 ? 70 : 90;
    for (int i = 690; i < 709; i++)
        load[i] = NAN; /* from 70 in 689 to 90 in 709: 85.01 and more from 705 on */
    struct autoscale_result r = run(load, DAY, NULL, NULL);
    assert_near(r.short_minutes_per_day, DAY - 705);
    for (int i = 0; i < 5; i++)
        load[i] = load[DAY - 1 - i] = NAN;
    r = run(load, DAY, NULL, NULL);
    assert_near(r.short_minutes_per_day, DAY - 705);
}

static void policies_do_not_see_what_nobody_measured(void **state)
{
    (void)state;
    static double load[DAY];
    int desired[DAY];
    step_policy(80, 0, 10);
    for (int i = 0; i < DAY; i++)
        load[i] = i >= 100 && i < 120 ? 90 : i < 120 ? 70 : 75;
    (void)run(load, DAY, desired, NULL);
    assert_int_equal(desired[101], 110);
    for (int i = 100; i < 120; i++)
        load[i] = NAN;
    (void)run(load, DAY, desired, NULL);
    assert_int_equal(desired[DAY - 1], 100);
}

static void fleet_floors_units_and_budgets_count(void **state)
{
    (void)state;
    static double load[DAY];
    static int desired[DAY];
    struct autoscale_fleet fleet;
    step_policy(80, 0, 10);
    for (int i = 0; i < DAY; i++)
        load[i] = 70;
    autoscale_fleet_redis(&fleet); /* of three, and two zones carry all */
    how.fleet = &fleet;
    (void)run(load, DAY, desired, NULL);
    assert_int_equal(desired[DAY - 1] % 3, 0);
    assert_true(desired[DAY - 1] * 2 / 3 >= 70);
    how.fleet = NULL;
    load[10] = load[11] = load[12] = 84;
    settings.budget.actions_per_day = 1;
    const struct autoscale_result r = run(load, DAY, NULL, NULL);
    assert_near(r.actions_per_day, 1);
}

static void trace_is_scaled_by_its_percentile(void **state)
{
    (void)state;
    static double load[2001];
    for (int i = 0; i < 2001; i++)
        load[i] = (i * 7) % 2001; /* 0 to 2000, mixed: 1998 is the 99.9th percentile */
    autoscale_trace_scale(load, 2001, 420);
    for (int i = 0; i < 2001; i++)
        assert_near(load[i], (i * 7) % 2001 * (420.0 / 1998));
    double some[] = { 4, NAN, 1, NAN, 2 };
    autoscale_trace_scale(some, 5, 100); /* of three known ones: the second */
    assert_near(some[0], 200);
    assert_near(some[4], 100);
    assert_true(isnan(some[1]));
    double none[] = { NAN, NAN }, zero[] = { 0, 0, 0 };
    autoscale_trace_scale(none, 2, 420);
    autoscale_trace_scale(zero, 3, 420);
    autoscale_trace_scale(zero, 0, 420);
    assert_true(isnan(none[0]));
    assert_near(zero[2], 0);
}

static void wrong_models_and_traces_are_named(void **state)
{
    (void)state;
    double load[] = { 1, 2, 3 };
    const struct autoscale_trace t = { load, 3, 0 };
    struct autoscale_result r;
    struct pr_err err;
    step_policy(80, 0, 10);
    const struct autoscale_backtest good = how;
#define WRONG(member, value, word)                                                                 \
    do {                                                                                           \
        how = good;                                                                                \
        how.member = value;                                                                        \
        assert_int_equal(autoscale_backtest_run(&how, &settings, &t, &r, NULL, &err), PR_EINVAL);  \
        assert_non_null(strstr(err.text, word));                                                   \
    } while (0)
    WRONG(boot_minutes, -1, "boot");
    WRONG(boot_minutes, DAY + 1, "boot");
    WRONG(max, 0, "limits");
    WRONG(min, 2000, "limits");
    WRONG(short_pct, 0, "short");
    WRONG(oracle_pct, NAN, "oracle");
    WRONG(price_hour, -1, "price");
    WRONG(flap_minutes, -1, "flap");
    how = good;
    settings.policies = 0;
    assert_int_equal(autoscale_backtest_run(&how, &settings, &t, &r, NULL, &err), PR_EINVAL);
    settings.policies = 1;
    load[1] = -1;
    assert_int_equal(autoscale_backtest_run(&how, &settings, &t, &r, NULL, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "minute 1"));
    load[0] = load[1] = load[2] = NAN;
    assert_int_equal(autoscale_backtest_run(&how, &settings, &t, &r, NULL, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "no minute"));
    const struct autoscale_trace empty = { load, 0, 0 };
    assert_int_equal(autoscale_backtest_run(&how, &settings, &empty, &r, NULL, &err), PR_EINVAL);
}

static bool ends(void *ctx)
{
    int *days = ctx;
    return (*days)-- == 0;
}

/* Whoever waits for it may give up: it is asked day by day. */
static void it_ends_when_it_is_told_to(void **state)
{
    (void)state;
    static double load[5 * DAY];
    for (int i = 0; i < 5 * DAY; i++)
        load[i] = 70;
    const struct autoscale_trace t = { load, 5 * DAY, 0 };
    struct autoscale_result r;
    struct pr_err err;
    int days = 3;
    step_policy(80, 0, 100);
    how.stop = ends;
    how.stop_ctx = &days;
    assert_int_equal(autoscale_backtest_run(&how, &settings, &t, &r, NULL, &err), PR_ECANCELED);
    assert_string_equal(err.text, "stopped after 3 of 5 days");
    days = 5;
    assert_ok(autoscale_backtest_run(&how, &settings, &t, &r, NULL, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordered_members_are_paid_at_once_and_serve_after_the_boot),
        cmocka_unit_test(leaving_members_go_at_once_and_those_that_boot_first),
        cmocka_unit_test(minutes_are_judged_by_what_serves),
        cmocka_unit_test(changes_in_the_other_direction_within_half_an_hour_are_flaps),
        cmocka_unit_test(an_oracle_pays_for_the_boot),
        cmocka_unit_test(an_oracle_is_right_on_any_load),
        cmocka_unit_test(load_goes_on_where_nobody_measured_it),
        cmocka_unit_test(policies_do_not_see_what_nobody_measured),
        cmocka_unit_test(fleet_floors_units_and_budgets_count),
        cmocka_unit_test(trace_is_scaled_by_its_percentile),
        cmocka_unit_test(wrong_models_and_traces_are_named),
        cmocka_unit_test(it_ends_when_it_is_told_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
