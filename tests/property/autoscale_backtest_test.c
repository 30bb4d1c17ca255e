/* Every policy on every trace that comes with the project, and the bars that adaptive keeps:
 *
 *   mean of wc98, nasa and taxi   8 short minutes a day, 3.7 over 100 %, 50 actions and 4 flaps
 *                                 a day at 1.25 times the oracle's hours
 *   each trace                    no more short minutes a day than rules, and 1
 *   43,200 minutes                1 s of one core for a policy
 *
 * "quick" as argument: the first days only, and no bars. */
#include "t.h"

#include "cli/backtest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { QUICK = 4 * 24 * 60, POLICIES = 5, MEAN_OF = 3, MONTH = 30 * 24 * 60 };
static const enum autoscale_kind policy[POLICIES] = { AUTOSCALE_RULES, AUTOSCALE_STEP,
                                                      AUTOSCALE_TARGET, AUTOSCALE_HPA,
                                                      AUTOSCALE_ADAPTIVE };
static const struct {
    const char *name, *file;
    int smooth;
} trace[] = {
    { "wc98", "wc98_0608_0628", 1 }, /* the first three are those of the mean */
    { "nasa", "nasa_jul95", 15 },
    { "taxi", "nab_nyc_taxi", 1 },
    { "ec2", "nab_ec2_cpu_utilization_5f5533", 1 },
    { "rds", "nab_rds_cpu_utilization_e47b3b", 1 },
    { "elb", "nab_elb_request_count_8c0756", 1 },
    { "elb 15", "nab_elb_request_count_8c0756", 15 },
};
enum { TRACES = PR_COUNT(trace) };

static bool quick;
static struct autoscale_result result[TRACES][POLICIES];

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run_one(enum autoscale_kind kind, const double *load, size_t minutes,
                    struct autoscale_result *out)
{
    struct autoscale_backtest how;
    struct autoscale_settings *s = calloc(1, sizeof *s);
    struct pr_err err;
    const struct autoscale_trace t = { load, minutes, 0 };
    assert_non_null(s);
    autoscale_backtest_default(&how);
    s->policies = 1;
    autoscale_policy_default(kind, &s->policy[0]);
    assert_ok(autoscale_backtest_run(&how, s, &t, out, NULL, &err), &err);
    free(s);
}

static void print_row(const char *name, enum autoscale_kind kind, const struct autoscale_result *r)
{
    print_message("%-7s %-9s %8.1f %8.1f %7.2f %8.3f %8.1f %7.1f\n", name,
                  autoscale_kind_name(kind), r->short_minutes_per_day, r->over_minutes_per_day,
                  r->lost_load_ratio * 100, r->hours_ratio, r->actions_per_day, r->flaps_per_day);
}

static void policies_on_traces(void **state)
{
    (void)state;
    print_message("%-7s %-9s %8s %8s %7s %8s %8s %7s\n", "trace", "policy", "short", "over",
                  "lost %", "hours x", "actions", "flaps");
    for (size_t i = 0; i < TRACES; i++) {
        char path[512];
        struct backtest_trace t;
        struct pr_err err;
        snprintf(path, sizeof path, PRISM_SOURCE_DIR "/tests/data/traces/%s.csv.xz", trace[i].file);
        assert_ok(backtest_read(path, NULL, &t, &err), &err);
        assert_ok(backtest_smooth(&t, trace[i].smooth, &err), &err);
        autoscale_trace_scale(t.load, t.minutes, 420);
        for (size_t k = 0; k < POLICIES; k++) {
            run_one(policy[k], t.load, quick && t.minutes > QUICK ? QUICK : t.minutes,
                    &result[i][k]);
            print_row(trace[i].name, policy[k], &result[i][k]);
        }
        backtest_trace_done(&t);
    }
}

static void adaptive_keeps_its_bars_in_the_mean(void **state)
{
    (void)state;
    for (size_t k = 0; k < POLICIES; k++) {
        struct autoscale_result m = { .days = 0 };
        for (size_t i = 0; i < MEAN_OF; i++) {
            const struct autoscale_result *r = &result[i][k];
            m.short_minutes_per_day += r->short_minutes_per_day / MEAN_OF;
            m.over_minutes_per_day += r->over_minutes_per_day / MEAN_OF;
            m.lost_load_ratio += r->lost_load_ratio / MEAN_OF;
            m.hours_ratio += r->hours_ratio / MEAN_OF;
            m.actions_per_day += r->actions_per_day / MEAN_OF;
            m.flaps_per_day += r->flaps_per_day / MEAN_OF;
        }
        print_row("mean", policy[k], &m);
        if (policy[k] != AUTOSCALE_ADAPTIVE || quick)
            continue;
        assert_true(m.short_minutes_per_day <= 8);
        assert_true(m.over_minutes_per_day <= 3.7);
        assert_true(m.actions_per_day <= 50);
        assert_true(m.flaps_per_day <= 4);
        assert_true(m.hours_ratio <= 1.25);
    }
}

static void adaptive_is_nowhere_shorter_than_rules_by_more_than_a_minute(void **state)
{
    (void)state;
    for (size_t i = 0; i < TRACES && !quick; i++)
        if (result[i][POLICIES - 1].short_minutes_per_day > result[i][0].short_minutes_per_day + 1)
            fail_msg("%s: %.2f short minutes a day, rules %.2f", trace[i].name,
                     result[i][POLICIES - 1].short_minutes_per_day,
                     result[i][0].short_minutes_per_day);
}

/* Clients that get no answer for a while come back all at once, to a fleet that has shrunk: one
 * boot is what that may cost. */
static void an_outage_is_not_followed_by_another(void **state)
{
    (void)state;
    enum { DAY = 24 * 60, DAYS = 7 };
    static const int lasts[] = { 30, 60, 180, 600 };
    double *load = calloc((size_t)DAYS * DAY, sizeof *load);
    assert_non_null(load);
    for (size_t k = 0; k < PR_COUNT(lasts) && !quick; k++) {
        for (int i = 0; i < DAYS * DAY; i++) {
            const double x = fabs((double)(i % DAY) / 720 - 1); /* 1 at midnight, 0 at noon */
            const bool out = i / DAY >= 2 && i % DAY >= 660 && i % DAY < 660 + lasts[k];
            load[i] = out ? 0 : 420 - 320 * x + 20 * (double)((i * 7919) % 101) / 101;
        }
        struct autoscale_result rules, adaptive;
        run_one(AUTOSCALE_RULES, load, (size_t)DAYS * DAY, &rules);
        run_one(AUTOSCALE_ADAPTIVE, load, (size_t)DAYS * DAY, &adaptive);
        char name[16];
        snprintf(name, sizeof name, "%d min", lasts[k]);
        print_row(name, AUTOSCALE_RULES, &rules);
        print_row(name, AUTOSCALE_ADAPTIVE, &adaptive);
        assert_true(adaptive.short_minutes_per_day <= 12); /* a boot, and the minutes at its ends */
    }
    free(load);
}

/* A thousand members, thirty days, every policy. */
static void a_month_takes_less_than_a_second(void **state)
{
    (void)state;
    double *load = calloc(MONTH, sizeof *load);
    assert_non_null(load);
    for (int i = 0; i < MONTH; i++) {
        const double x = fabs((double)(i % 1440) / 720 - 1); /* 1 at midnight, 0 at noon */
        load[i] = 600 - 500 * x + 40 * (double)((i * 7919) % 101) / 101;
    }
    for (size_t k = 0; k < POLICIES; k++) {
        struct autoscale_result r;
        const double t0 = cpu_s();
        run_one(policy[k], load, quick ? QUICK : MONTH, &r);
        print_message("%s: %.3f s\n", autoscale_kind_name(policy[k]), cpu_s() - t0);
        assert_true(quick || cpu_s() - t0 < 1);
    }
    free(load);
}

int main(int argc, char **argv)
{
    quick = argc > 1 && strcmp(argv[1], "quick") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_on_traces),
        cmocka_unit_test(adaptive_keeps_its_bars_in_the_mean),
        cmocka_unit_test(adaptive_is_nowhere_shorter_than_rules_by_more_than_a_minute),
        cmocka_unit_test(an_outage_is_not_followed_by_another),
        cmocka_unit_test(a_month_takes_less_than_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
