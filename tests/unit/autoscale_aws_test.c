/* Adjustments, steps and target tracking as the EC2 Auto Scaling guide has them: numbers that
 * are printed there, and the boundaries between them. */
#include "t.h"

#include "core/aws.h"
#include "core/aws_group.h"

#include <math.h>
#include <string.h>

static void percent_truncates_but_never_to_zero(void **state)
{
    (void)state;
    static const struct {
        double change;
        int want;
    } row[] = {
        { 12.7, 12 },  { 0.67, 1 },     { -0.58, -1 },        { -6.67, -6 },
        { 0, 0 },      { 1, 1 },        { -1, -1 },           { 1e-9, 1 },
        { -1e-9, -1 }, { 1.999999, 1 }, { 1e12, 1000000000 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(autoscale_round_percent(row[i].change), row[i].want);
}

static void adjustments_by_type(void **state)
{
    (void)state;
    static const struct {
        enum autoscale_adjustment type;
        int capacity;
        double adjust;
        int magnitude, want;
    } row[] = {
        { AUTOSCALE_CHANGE_IN_CAPACITY, 3, 5, 0, 8 }, { AUTOSCALE_CHANGE_IN_CAPACITY, 3, -5, 0, 0 },
        { AUTOSCALE_CHANGE_IN_CAPACITY, 3, 1, 9, 4 }, /* a magnitude is of per cents */
        { AUTOSCALE_EXACT_CAPACITY, 3, 5, 0, 5 },     { AUTOSCALE_EXACT_CAPACITY, 30, 5, 9, 5 },
        { AUTOSCALE_PERCENT_CHANGE, 10, 10, 0, 11 },  { AUTOSCALE_PERCENT_CHANGE, 4, 25, 2, 6 },
        { AUTOSCALE_PERCENT_CHANGE, 4, -25, 2, 2 },   { AUTOSCALE_PERCENT_CHANGE, 400, 25, 2, 500 },
        { AUTOSCALE_PERCENT_CHANGE, 11, 30, 0, 14 },  { AUTOSCALE_PERCENT_CHANGE, 14, -10, 0, 13 },
        { AUTOSCALE_PERCENT_CHANGE, 13, -30, 0, 10 }, { AUTOSCALE_PERCENT_CHANGE, 10, 0, 2, 10 },
        { AUTOSCALE_PERCENT_CHANGE, 48, 10, 0, 52 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const int got =
            autoscale_adjusted(row[i].type, row[i].capacity, row[i].adjust, row[i].magnitude);
        if (got != row[i].want)
            fail_msg("row %zu: %d, want %d", i, got, row[i].want);
    }
    for (int a = 0; a <= AUTOSCALE_PERCENT_CHANGE; a++) {
        enum autoscale_adjustment back;
        assert_true(autoscale_adjustment_parse(
            autoscale_adjustment_name((enum autoscale_adjustment)a), &back));
        assert_int_equal(back, a);
    }
    enum autoscale_adjustment none;
    assert_false(autoscale_adjustment_parse("percentchangeincapacity", &none));
}

static void bounds_mirror_below_the_threshold(void **state)
{
    (void)state;
    static const struct {
        double threshold, lower, upper, metric;
        bool holds;
    } row[] = {
        { 50, 0, 10, 49.999, false },
        { 50, 0, 10, 50, true },
        { 50, 0, 10, 59.999, true },
        { 50, 0, 10, 60, false },
        { 50, 10, INFINITY, 60, true },
        { 50, 10, INFINITY, 1e300, true },
        { 50, 10, INFINITY, 59.999, false },
        { 50, -10, 0, 50, true },
        { 50, -10, 0, 40.001, true },
        { 50, -10, 0, 40, false },
        { 50, -10, 0, 50.001, false },
        { 50, -INFINITY, -10, 40, true },
        { 50, -INFINITY, -10, 40.001, false },
        { 50, -INFINITY, -10, -1e300, true },
        { 50, -10, 10, 50, true },
        { 50, -10, 10, 40, false },
        { 50, -10, 10, 60, false },
        { 0.1, 0.2, 0.3, 0.3, true },
        { 0.7, 0.1, 0.2, 0.8, true },
        { 0.7, 0, 0.1, 0.8, false },
        { 50, 0, INFINITY, NAN, false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (autoscale_step_holds(row[i].threshold, row[i].lower, row[i].upper, row[i].metric) !=
            row[i].holds)
            fail_msg("row %zu: %g in %g..%g of %g", i, row[i].metric, row[i].lower, row[i].upper,
                     row[i].threshold);
}

static void steps_leave_no_gap(void **state)
{
    (void)state;
    static const struct {
        struct autoscale_step step[3];
        size_t n;
        const char *says; /* NULL: fine */
    } row[] = {
        { { { 0, 10, 1 }, { 10, INFINITY, 2 } }, 2, NULL },
        { { { 10, INFINITY, 2 }, { 0, 10, 1 } }, 2, NULL },
        { { { 0, INFINITY, 1 } }, 1, NULL },
        { { { -INFINITY, 0, -1 } }, 1, NULL },
        { { { -INFINITY, -5, -1 }, { -5, 5, 0 }, { 5, INFINITY, 1 } }, 3, NULL },
        { { { 0, 10, 1 }, { 15, INFINITY, 2 } }, 2, "nothing holds from 10 to 15" },
        { { { 0, 10, 1 }, { 5, INFINITY, 2 } }, 2, "overlaps another from 5 to 10" },
        { { { 0, 10, 1 } }, 1, "nothing holds above 10" },
        { { { -10, 0, -1 } }, 1, "nothing holds below -10" },
        { { { -INFINITY, INFINITY, 1 } }, 1, "no bound at all" },
        { { { 0, INFINITY, 1 }, { 10, INFINITY, 2 } }, 2, "overlaps" },
        { { { -INFINITY, 0, 1 }, { -INFINITY, -10, 2 } }, 2, "overlaps" },
        { { { 10, 10, 1 } }, 1, "not below" },
        { { { 0, NAN, 1 } }, 1, "not a number" },
        { { { 0, INFINITY, NAN } }, 1, "not a number" },
        { { { 0, 0, 0 } }, 0, "0 steps" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_err err = { 0 };
        const enum pr_code rc = autoscale_steps_check(row[i].step, row[i].n, &err);
        if ((rc == PR_OK) != (row[i].says == NULL) ||
            (rc != PR_OK && strstr(err.text, row[i].says) == NULL))
            fail_msg("row %zu: \"%s\", want \"%s\"", i, err.text, row[i].says);
    }
}

static const struct autoscale_step_alarm OUT = {
    .high = true,
    .threshold = 50,
    .type = AUTOSCALE_PERCENT_CHANGE,
    .step = { { 0, 10, 0 }, { 10, 20, 10 }, { 20, INFINITY, 30 } },
    .steps = 3
};
static const struct autoscale_step_alarm IN = {
    .threshold = 50,
    .type = AUTOSCALE_PERCENT_CHANGE,
    .step = { { -10, 0, 0 }, { -20, -10, -10 }, { -INFINITY, -20, -30 } },
    .steps = 3
};

static void step_takes_what_is_not_warming_yet(void **state)
{
    (void)state;
    static const struct {
        const struct autoscale_step_alarm *alarm;
        double metric;
        int warm, desired, want;
    } row[] = {
        { &OUT, 59.9, 10, 10, 10 }, { &OUT, 60, 10, 10, 11 },  { &OUT, 62, 10, 11, 11 },
        { &OUT, 70, 10, 11, 13 },   { &OUT, 70, 11, 11, 14 },  { &OUT, 70, 10, 14, 14 },
        { &OUT, 40, 10, 10, 10 },   { &IN, 40, 14, 14, 13 },   { &IN, 30, 13, 13, 10 },
        { &IN, 40.1, 14, 14, 14 },  { &IN, 30, 10, 11, 11 }, /* one warms up: nobody leaves */
        { &IN, 40, 10, 9, 9 },                               /* one leaves already */
        { &IN, 30, 10, 9, 7 },      { &OUT, NAN, 10, 10, 10 }, { &OUT, 55, 10, 9, 9 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const int got =
            autoscale_step_wanted(row[i].alarm, row[i].metric, row[i].warm, row[i].desired);
        if (got != row[i].want)
            fail_msg("row %zu: %d, want %d", i, got, row[i].want);
    }
}

static void tracking_rounds_up_both_ways(void **state)
{
    (void)state;
    static const struct {
        int capacity;
        double metric, target;
        int want;
    } row[] = {
        { 10, 150, 100, 15 },    { 10, 57.5, 50, 12 },    { 10, 42.5, 50, 9 }, { 10, 50, 50, 10 },
        { 10, 50.0001, 50, 11 }, { 10, 49.9999, 50, 10 }, { 10, 0, 50, 0 },    { 0, 90, 50, 0 },
        { 10, 0.7, 0.7, 10 },    { 3, 0.1, 0.3, 1 },      { 100, 33, 66, 50 }, { 10, 30, 60, 5 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(autoscale_track(row[i].capacity, row[i].metric, row[i].target),
                         row[i].want);
    assert_int_equal(autoscale_track(1, 1.5, 1), 2);
    assert_int_equal(autoscale_track(1, -1.5, 1), -1);
    assert_true(autoscale_backlog_target(10, 0.1) == 100);
}

static void alarms_stand_where_people_saw_them(void **state)
{
    (void)state;
    struct autoscale_alarm high, low;
    autoscale_track_alarms(75, 0.7, &high, &low);
    assert_true(high.op == AUTOSCALE_ABOVE && high.threshold == 75);
    assert_true(low.op == AUTOSCALE_BELOW && fabs(low.threshold - 52.5) < 1e-9);
    assert_int_equal(high.datapoints, 3);
    assert_int_equal(low.datapoints, 15);
    assert_int_equal(high.period_ms, 60000);
    assert_int_equal(low.period_ms, 60000);
}

static void out_if_any_in_only_if_all(void **state)
{
    (void)state;
#define H AUTOSCALE_HOLD
#define O AUTOSCALE_OUT
#define I AUTOSCALE_IN
#define U AUTOSCALE_UNKNOWN
    static const struct {
        enum autoscale_move one[3];
        bool may[3];
        size_t n;
        enum autoscale_move want;
    } row[] = {
        { { O, H, H }, { 1, 1, 1 }, 3, O }, { { O, I, U }, { 1, 1, 1 }, 3, O },
        { { I, I, I }, { 1, 1, 1 }, 3, I }, { { I, I, H }, { 1, 1, 1 }, 3, H },
        { { I, I, U }, { 1, 1, 1 }, 3, H }, { { I, I, H }, { 1, 1, 0 }, 3, I },
        { { I, I, U }, { 1, 1, 0 }, 3, I }, { { I, I, I }, { 0, 0, 0 }, 3, H },
        { { O, H, H }, { 0, 0, 0 }, 3, O }, { { H, H, H }, { 1, 1, 1 }, 3, H },
        { { H, H, H }, { 1, 1, 1 }, 0, H },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(autoscale_track_combine(row[i].one, row[i].may, row[i].n), row[i].want);
#undef H
#undef O
#undef I
#undef U
    assert_int_equal(autoscale_track_combine(row[2].one, NULL, 3), AUTOSCALE_IN);
}

/* --- around the policies ------------------------------------------------------------------ */

static void only_simple_scaling_waits(void **state)
{
    (void)state;
    for (int by = AUTOSCALE_BY_SIMPLE; by <= AUTOSCALE_BY_REPLACEMENT; by++) {
        const enum autoscale_trigger t = (enum autoscale_trigger)by;
        assert_int_equal(autoscale_cooldown_waits(t, true, false), t == AUTOSCALE_BY_SIMPLE);
        assert_int_equal(autoscale_cooldown_waits(t, true, true),
                         t == AUTOSCALE_BY_SIMPLE || t == AUTOSCALE_BY_HAND);
        assert_false(autoscale_cooldown_waits(t, false, true));
    }
    assert_int_equal(autoscale_warmup_of(60, 120, 300), 60);
    assert_int_equal(autoscale_warmup_of(-1, 120, 300), 120);
    assert_int_equal(autoscale_warmup_of(-1, 0, 300), 0);
    assert_int_equal(autoscale_warmup_of(-1, -1, 300), 300);
}

static void forecast_raises_and_never_lowers(void **state)
{
    (void)state;
    static const struct {
        struct autoscale_forecast f;
        int want, max;
    } row[] = {
        { { 6, 9, 1, 100, false, false, 0 }, 9, 100 },
        { { 9, 6, 1, 100, false, false, 0 }, 9, 100 },
        { { 6, 150, 1, 100, false, false, 0 }, 100, 100 },
        { { 1, 2, 3, 100, false, false, 0 }, 3, 100 },
        { { 6, 9, 1, 100, true, false, 0 }, 6, 100 },
        { { 30, 50, 1, 40, false, true, 10 }, 50, 55 },
        { { 30, 50, 1, 40, false, true, 0 }, 50, 50 },
        { { 30, 39, 1, 40, false, true, 10 }, 39, 42 },
        { { 30, 20, 1, 40, false, true, 10 }, 30, 40 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        assert_int_equal(autoscale_forecast_capacity(&row[i].f), row[i].want);
        assert_int_equal(autoscale_forecast_max(&row[i].f), row[i].max);
    }
}

static void sizes_of_pools_and_margins(void **state)
{
    (void)state;
    assert_int_equal(autoscale_warm_pool(10, 6, -1, -1), 4);
    assert_int_equal(autoscale_warm_pool(10, 6, 8, -1), 2);
    assert_int_equal(autoscale_warm_pool(10, 6, 5, -1), 0);
    assert_int_equal(autoscale_warm_pool(10, 6, 5, 3), 3);
    assert_int_equal(autoscale_warm_pool(10, 6, 8, 1), 2);
    static const int limit[][2] = { { 1, 2 },   { 9, 10 },    { 10, 11 },    { 19, 20 },
                                    { 20, 22 }, { 100, 110 }, { 1000, 1100 } };
    for (size_t i = 0; i < PR_COUNT(limit); i++)
        assert_int_equal(autoscale_rebalance_limit(limit[i][0]), limit[i][1]);
}

static void zones_are_evened(void **state)
{
    (void)state;
    int count[3] = { 4, 3, 5 };
    assert_int_equal(autoscale_zones_launch(count, 3, NULL, 4), 4);
    assert_true(count[0] == 6 && count[1] == 5 && count[2] == 5);
    const bool closed[3] = { false, true, true }, all[3] = { true, true, true };
    assert_int_equal(autoscale_zones_launch(count, 3, closed, 3), 3);
    assert_int_equal(count[0], 9);
    assert_int_equal(autoscale_zones_launch(count, 3, all, 3), 0);
    const int keep[3] = { 9, 0, 4 };
    assert_int_equal(autoscale_zones_terminate(count, 3, keep, 2), 2);
    assert_true(count[0] == 9 && count[1] == 4 && count[2] == 4);
    assert_int_equal(autoscale_zones_terminate(count, 3, keep, 100), 4);
    assert_true(count[0] == 9 && count[1] == 0 && count[2] == 4);
}

static void default_order_of_leaving(void **state)
{
    (void)state;
    static const struct autoscale_leaver one[] = {
        { .zone = 0, .version = 2, .age = 500, .to_billing_hour = 1 },
        { .zone = 0, .version = 1, .age = 10, .to_billing_hour = 50 },
        { .zone = 0, .version = 1, .age = 20, .to_billing_hour = 40 },
        { .zone = 0, .version = 9, .by_configuration = true, .to_billing_hour = 60 },
        { .zone = 1, .version = 0, .age = 900, .to_billing_hour = 0 },
        { .zone = 1, .version = 0, .age = 901, .keep = true },
    };
    static const struct {
        enum autoscale_termination policy[2];
        size_t n, order[5]; /* from the zone with the most, and across them once they are even */
    } row[] = {
        { { AUTOSCALE_GOES_DEFAULT }, 1, { 3, 2, 4, 1, 0 } },
        { { AUTOSCALE_GOES_OLDEST_INSTANCE }, 1, { 0, 2, 4, 1, 3 } },
        { { AUTOSCALE_GOES_NEWEST_INSTANCE }, 1, { 3, 1, 2, 4, 0 } },
        { { AUTOSCALE_GOES_BILLING_HOUR }, 1, { 0, 2, 4, 1, 3 } },
        { { AUTOSCALE_GOES_OLDEST_TEMPLATE, AUTOSCALE_GOES_OLDEST_INSTANCE },
          2,
          { 2, 1, 4, 0, 3 } },
        { { AUTOSCALE_GOES_OLDEST_CONFIGURATION, AUTOSCALE_GOES_NEWEST_INSTANCE },
          2,
          { 3, 1, 2, 4, 0 } },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        bool gone[PR_COUNT(one)] = { false };
        for (size_t k = 0; k < PR_COUNT(row[i].order); k++) {
            const size_t next =
                autoscale_goes_next(one, gone, PR_COUNT(one), row[i].policy, row[i].n);
            if (next != row[i].order[k])
                fail_msg("row %zu: number %zu is %zu, want %zu", i, k, next, row[i].order[k]);
            gone[next] = true;
        }
        assert_int_equal(autoscale_goes_next(one, gone, PR_COUNT(one), row[i].policy, row[i].n),
                         PR_COUNT(one));
    }
}

static void refresh_waits_at_checkpoints(void **state)
{
    (void)state;
    static struct autoscale_batch got[AUTOSCALE_BATCHES];
    double done = 0;
    const struct autoscale_refresh r = { .instances = 10,
                                         .min_healthy_pct = 80,
                                         .warmup_min = 10,
                                         .delay_min = 15,
                                         .checkpoint_pct = { 20, 50 },
                                         .checkpoints = 2 };
    assert_int_equal(autoscale_refresh_timeline(&r, got, &done), 3);
    assert_true(got[0].at_min == 0 && got[0].replace == 2);
    assert_true(got[1].at_min == 25 && got[1].replace == 2);
    assert_true(got[2].at_min == 35 && got[2].replace == 1);
    assert_true(done == 45);

    const struct autoscale_refresh careful = { .instances = 3,
                                               .min_healthy_pct = 100,
                                               .warmup_min = 5 };
    assert_int_equal(autoscale_refresh_timeline(&careful, got, &done), 3);
    assert_true(done == 15);
    const struct autoscale_refresh nobody = { .instances = 0, .min_healthy_pct = 90 };
    assert_int_equal(autoscale_refresh_timeline(&nobody, got, &done), 0);

    static const double pct[] = { 10, 40, 100 };
    static const struct {
        int instances, replaced;
        double want;
    } row[] = { { 2, 0, -1 },  { 2, 1, 40 },  { 2, 2, 100 },    { 10, 1, 10 },
                { 10, 3, 10 }, { 10, 4, 40 }, { 1000, 99, -1 }, { 1000, 100, 10 } };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_true(autoscale_refresh_checkpoint(pct, PR_COUNT(pct), row[i].instances,
                                                 row[i].replaced) == row[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percent_truncates_but_never_to_zero),
        cmocka_unit_test(adjustments_by_type),
        cmocka_unit_test(bounds_mirror_below_the_threshold),
        cmocka_unit_test(steps_leave_no_gap),
        cmocka_unit_test(step_takes_what_is_not_warming_yet),
        cmocka_unit_test(tracking_rounds_up_both_ways),
        cmocka_unit_test(alarms_stand_where_people_saw_them),
        cmocka_unit_test(out_if_any_in_only_if_all),
        cmocka_unit_test(only_simple_scaling_waits),
        cmocka_unit_test(forecast_raises_and_never_lowers),
        cmocka_unit_test(sizes_of_pools_and_margins),
        cmocka_unit_test(zones_are_evened),
        cmocka_unit_test(default_order_of_leaving),
        cmocka_unit_test(refresh_waits_at_checkpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
