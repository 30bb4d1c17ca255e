/* When adaptive goes out and in: its bands, holds and gaps at their boundaries. */
#include "t.h"

#include "autoscale_view.h"
#include "core/adaptive.h"

#include <stdio.h>
#include <string.h>

enum { HOUR = 60 };
#define BEGIN (INT64_C(1000000) * VIEW_MINUTE)

static struct autoscale_adaptive settings;
static struct test_view t;
static struct autoscale_adaptive_memory memory;

/* An hour at one load: n members at cpu %, and so many are wanted. */
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

static void assert_move(const struct autoscale_vote *got, enum autoscale_move move, int desired,
                        const char *rule)
{
    if (got->move != move || got->desired != desired || strstr(got->rule, rule) == NULL)
        fail_msg("%d to %d (%s; %s; %s), want %d to %d (%s)", got->move, got->desired, got->rule,
                 got->limited, got->why, move, desired, rule);
}

static void goes_out_beyond_its_band_alone(void **state)
{
    (void)state;
    static const struct {
        double cpu;
        int want;
    } row[] = { /* 100 members: the mean needs cpu / 0.56, the forecast cpu / 0.65 */
                { 56, 100 },
                { 61.6, 100 }, /* exactly 110 */
                { 61.61, 111 },
                { 70, 125 },
                { 84, 150 }
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        calm(100, row[i].cpu);
        const struct autoscale_vote got = vote();
        assert_move(&got, row[i].want > 100 ? AUTOSCALE_OUT : AUTOSCALE_HOLD, row[i].want,
                    "mean of 30 min at 56 %");
        assert_true(fabs(got.observed - row[i].cpu) < 1e-6);
        assert_true(fabs(got.threshold - 56) < 1e-9);
    }
}

static void goes_in_beyond_its_band_alone(void **state)
{
    (void)state;
    static const struct {
        double cpu;
        int want;
    } row[] = {
        { 56, 100 }, { 49.28, 100 }, /* exactly 88 */ { 49.27, 88 }, { 45, 81 }, { 28, 50 }
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        calm(100, row[i].cpu);
        const struct autoscale_vote got = vote();
        assert_move(&got, row[i].want < 100 ? AUTOSCALE_IN : AUTOSCALE_HOLD, row[i].want, "mean");
    }
}

static void limits_are_kept_and_named(void **state)
{
    (void)state;
    calm(900, 100 * 0.9);
    struct autoscale_vote got = vote();
    assert_move(&got, AUTOSCALE_OUT, 1000, "mean");
    assert_int_equal(got.wanted, 1447);
    assert_string_equal(got.limited, "max 1000");
    calm(100, 5);
    got = vote();
    assert_move(&got, AUTOSCALE_IN, 48, "mean");
    assert_int_equal(got.wanted, 9);
    assert_string_equal(got.limited, "min 48");
    calm(48, 5);
    got = vote();
    assert_move(&got, AUTOSCALE_HOLD, 48, "mean");
    calm(1000, 90);
    got = vote();
    assert_move(&got, AUTOSCALE_HOLD, 1000, "mean");
    calm(40, 20); /* fewer than the least: nobody goes the other way for that */
    got = vote();
    assert_move(&got, AUTOSCALE_HOLD, 40, "mean");
}

static void peak_holds_for_twenty_minutes(void **state)
{
    (void)state;
    for (int after = 1; after <= 22; after++) {
        calm(100, 20);
        view_minute(&t, AUTOSCALE_CPU, 60); /* 93 members at 65 %, and more by its trend */
        view_minutes(&t, after, AUTOSCALE_CPU, 20);
        const struct autoscale_vote got = vote();
        if (after < 20)
            assert_move(&got, AUTOSCALE_HOLD, 100, "highest forecast of 20 min at 65 %");
        else /* the mean of 10 or 30 minutes */
            assert_move(&got, AUTOSCALE_IN, 48, "mean");
    }
}

static void hold_grows_with_the_flaps_of_the_last_day(void **state)
{
    (void)state;
    static const int want[] = { 20, 25, 30, 35, 40, 45, 50, 55, 60, 60 };
    for (int flaps = 0; flaps < 10; flaps++) {
        for (int day = 0; day < 2; day++) {
            calm(100, 30);
            view_minute(&t, AUTOSCALE_CPU, 60);
            const int64_t now = t.v.now_ms;
            const int64_t then = now - (day == 0 ? 20 : 30) * INT64_C(60) * VIEW_MINUTE;
            for (int i = 0; i < flaps; i++) { /* each: in, and out 10 minutes later */
                const int64_t ms = then + i * INT64_C(60) * VIEW_MINUTE / 4;
                view_changed(&t, ms, 110, 100);
                view_changed(&t, ms + 10 * VIEW_MINUTE, 100, 110);
            }
            /* out and in alternate, every 5 or 10 minutes: all but the first reverse */
            const int counted = day == 0 && flaps > 0 ? 2 * flaps - 1 : 0;
            const struct autoscale_vote got = vote();
            char rule[48];
            snprintf(rule, sizeof rule, "highest forecast of %d min",
                     want[counted < 9 ? counted : 9]);
            assert_move(&got, AUTOSCALE_HOLD, 100, rule);
        }
    }
}

static void waits_inward_after_any_change_and_longer_after_one_outward(void **state)
{
    (void)state;
    static const struct {
        int from, to;
        int64_t ago_ms;
        int64_t left_ms; /* 0: it goes in */
    } row[] = {
        { 120, 100, 5 * VIEW_MINUTE - 1, 1 },
        { 120, 100, 5 * VIEW_MINUTE, 0 },
        { 80, 100, 30 * VIEW_MINUTE, 1 }, /* exactly: that were a flap */
        { 80, 100, 30 * VIEW_MINUTE + 1, 0 },
        { 80, 100, 1, 30 * VIEW_MINUTE },
        { 100, 100, 1, 0 }, /* nothing changed */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        calm(100, 28);
        view_changed(&t, t.v.now_ms - row[i].ago_ms, row[i].from, row[i].to);
        const struct autoscale_vote got = vote();
        assert_int_equal(got.wanted, 50);
        if (row[i].left_ms == 0) {
            assert_move(&got, AUTOSCALE_IN, 50, "mean");
            continue;
        }
        assert_move(&got, AUTOSCALE_HOLD, 100, "mean");
        assert_true(got.cooldown_until_ms == t.v.now_ms + row[i].left_ms);
        assert_non_null(strstr(got.limited, "cooldown until"));
    }
}

static void changes_inward_never_hold_back_what_goes_out(void **state)
{
    (void)state;
    calm(100, 70);
    view_changed(&t, t.v.now_ms - 1, 110, 100);
    view_changed(&t, t.v.now_ms, 100, 100);
    const struct autoscale_vote got = vote();
    assert_move(&got, AUTOSCALE_OUT, 125, "mean");
}

/* n pairs of in and out, each a flap, an hour apart. */
static void flapped(int n)
{
    for (int i = n; i > 0; i--) {
        const int64_t ms = t.v.now_ms - i * INT64_C(60) * VIEW_MINUTE;
        view_changed(&t, ms - 20 * VIEW_MINUTE, 110, 100);
        view_changed(&t, ms, 100, 110);
    }
}

static void budgets_stop_what_is_not_urgent(void **state)
{
    (void)state;
    calm(100, 28);
    flapped(12);
    struct autoscale_vote got = vote();
    assert_move(&got, AUTOSCALE_HOLD, 100, "");
    assert_string_equal(got.limited, "12 flaps a day are used up");
    calm(100, 28);
    flapped(11);
    got = vote();
    assert_move(&got, AUTOSCALE_IN, 50, "");

    static const struct {
        double cpu;
        enum autoscale_move want;
        int to;
    } row[] = { { 28, AUTOSCALE_HOLD, 100 },
                { 70, AUTOSCALE_HOLD, 100 },
                { 84.99, AUTOSCALE_HOLD, 100 },
                { 85, AUTOSCALE_OUT, 152 } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        calm(100, row[i].cpu);
        settings.actions_per_day = 4;
        flapped(2);
        got = vote();
        assert_move(&got, row[i].want, row[i].to, "");
        if (row[i].want == AUTOSCALE_HOLD)
            assert_non_null(strstr(got.limited, "4 actions a day"));
        settings.actions_per_day = 5;
        got = vote();
        assert_true(got.move != AUTOSCALE_HOLD);
    }
}

static void saturation_asks_for_half_as_many_again_at_least(void **state)
{
    (void)state;
    static const struct {
        double target, cpu;
        int want;
        const char *rule;
    } row[] = { /* targets so high that nothing else asks */
                { 100, 94.99, 100, "" },
                { 100, 95, 150, "saturated at 95 %" },
                { 100, 100, 150, "saturated at 95 %" },
                { 56, 100, 206, "mean" }
    }; /* 115 at 56 %: more than is served is asked for */
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        calm(100, row[i].cpu);
        settings.target_pct = row[i].target;
        settings.peak_pct = 100;
        const struct autoscale_vote got = vote();
        assert_move(&got, row[i].want > 100 ? AUTOSCALE_OUT : AUTOSCALE_HOLD, row[i].want,
                    row[i].rule);
    }
}

static void memory_and_network_ask_too(void **state)
{
    (void)state;
    static const struct {
        enum autoscale_metric metric;
        double value;
        enum autoscale_move move;
        int want;
        const char *rule;
    } row[] = {
        { AUTOSCALE_MEMORY, 93.5, AUTOSCALE_HOLD, 100, "memory at 85 %" }, /* 110 */
        { AUTOSCALE_MEMORY, 95, AUTOSCALE_OUT, 112, "memory at 85 %" },
        { AUTOSCALE_MEMORY, 80, AUTOSCALE_HOLD, 100, "memory at 85 %" }, /* and not in */
        { AUTOSCALE_MEMORY, 34, AUTOSCALE_IN, 50, "mean" },
        { AUTOSCALE_NETWORK, 9e9, AUTOSCALE_OUT, 113, "network at 8e+09" },
        { AUTOSCALE_NETWORK, 7.2e9, AUTOSCALE_HOLD, 100, "network" },
        { AUTOSCALE_NETWORK, 1e9, AUTOSCALE_IN, 50, "mean" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        calm(100, 28);
        view_also(&t, HOUR, row[i].metric, row[i].value);
        const struct autoscale_vote got = vote();
        assert_move(&got, row[i].move, row[i].want, row[i].rule);
    }
    calm(100, 28);
    view_also(&t, HOUR, AUTOSCALE_MEMORY, 95);
    settings.memory_pct = 0;
    const struct autoscale_vote got = vote();
    assert_move(&got, AUTOSCALE_IN, 50, "mean");
}

static void settings_are_checked_by_name(void **state)
{
    (void)state;
    struct pr_err err;
    autoscale_adaptive_default(&settings);
    assert_ok(autoscale_adaptive_check(&settings, &err), &err);
#define WRONG(member, value)                                                                       \
    do {                                                                                           \
        struct autoscale_adaptive p = settings;                                                    \
        p.member = value;                                                                          \
        assert_int_equal(autoscale_adaptive_check(&p, &err), PR_EINVAL);                           \
        assert_non_null(strstr(err.text, #member));                                                \
    } while (0)
    WRONG(target_pct, 0);
    WRONG(target_pct, 100.5);
    WRONG(target_pct, NAN);
    WRONG(mean_ms, VIEW_MINUTE - 1);
    WRONG(mean_ms, INT64_C(60) * VIEW_MINUTE + 1);
    WRONG(peak_pct, INFINITY);
    WRONG(out_band_pct, -1);
    WRONG(in_band_pct, 91);
    WRONG(hold_ms, 0);
    WRONG(hold_flap_ms, -1);
    WRONG(gap_ms, -1);
    WRONG(flap_ms, INT64_C(25) * 60 * VIEW_MINUTE);
    WRONG(flaps_per_day, -1);
    WRONG(actions_per_day, -1);
    WRONG(saturated_pct, 101);
    WRONG(jump_ratio, 0.9);
    WRONG(growth_ratio, 0);
    WRONG(memory_pct, -1);
    WRONG(network_bps, NAN);
    WRONG(alarm_after_ms, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_out_beyond_its_band_alone),
        cmocka_unit_test(goes_in_beyond_its_band_alone),
        cmocka_unit_test(limits_are_kept_and_named),
        cmocka_unit_test(peak_holds_for_twenty_minutes),
        cmocka_unit_test(hold_grows_with_the_flaps_of_the_last_day),
        cmocka_unit_test(waits_inward_after_any_change_and_longer_after_one_outward),
        cmocka_unit_test(changes_inward_never_hold_back_what_goes_out),
        cmocka_unit_test(budgets_stop_what_is_not_urgent),
        cmocka_unit_test(saturation_asks_for_half_as_many_again_at_least),
        cmocka_unit_test(memory_and_network_ask_too),
        cmocka_unit_test(settings_are_checked_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
