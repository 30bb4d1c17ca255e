/* Readings of many members made one sample: who and what counts, and when. */
#include "autoscale_merge_stage.h"

#include "prism/rng.h"

static void members_count_alike_however_often_they_report(void **state)
{
    (void)state;
    const struct autoscale_reading r[] = { at("a", END - 50000, 10), at("a", END - 30000, 20),
                                           at("a", END, 30), at("b", END - 5, 60) };
    const struct autoscale_merged m = merge_of(r, PR_COUNT(r), NULL, 0);
    assert_true(m.measured);
    assert_near(m.sample.cpu_pct, (20.0 + 60.0) / 2, 0);
    assert_int_equal(m.sample.at_ms, END);
    assert_int_equal(m.sample.serving, 2);
    assert_int_equal(m.sample.silent, 0);
    assert_true(isnan(m.sample.memory_pct) && isnan(m.sample.network_bps));
    assert_true(isnan(m.sample.backlog) && isnan(m.sample.load));
    assert_int_equal(odd(&m), 0);
}

static void a_minute_is_open_at_its_begin_and_closed_at_its_end(void **state)
{
    (void)state;
    static const struct {
        int64_t at_ms;
        bool in;
    } row[] = { { -MIN, false }, { -MIN + 1, true }, { -1, true }, { 0, true }, { 1, false } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct autoscale_reading r = at("a", END + row[i].at_ms, 50);
        const struct autoscale_merged m = merge_of(&r, 1, NULL, 0);
        assert_int_equal(m.measured, row[i].in);
        assert_int_equal(odd(&m), 0); /* another minute's reading is nothing odd */
    }
}

static void who_is_no_member_does_not_count(void **state)
{
    (void)state;
    static const char *const members[] = { "b", "a", "b" }; /* named twice */
    const struct autoscale_reading r[] = { at("a", END, 20), at("boots", END, 100),
                                           at("b", END, 40) };
    const struct autoscale_merged m = merge_of(r, PR_COUNT(r), members, PR_COUNT(members));
    assert_near(m.sample.cpu_pct, 30, 0);
    assert_int_equal(m.odd[AUTOSCALE_ODD_STRANGER], 1);
    assert_int_equal(m.sample.serving, 2);
    assert_int_equal(m.sample.silent, 0);
}

static void half_silent(void **state)
{
    (void)state;
    static char name[100][8];
    static const char *members[100];
    struct autoscale_reading r[50];
    for (int i = 0; i < 100; i++) {
        snprintf(name[i], sizeof name[i], "n%d", i);
        members[i] = name[i];
    }
    for (int i = 0; i < 50; i++) {
        r[i] = at(name[i * 2], END - i, 60);
        r[i].value[AUTOSCALE_LOAD] = 0.6;
        r[i].value[AUTOSCALE_BACKLOG] = 10;
    }
    const struct autoscale_merged m = merge_of(r, 50, members, 100);
    assert_int_equal(m.sample.serving, 50);
    assert_int_equal(m.sample.silent, 50);
    assert_near(m.sample.cpu_pct, 60, 1e-9);
    assert_near(m.sample.load, 60, 1e-9); /* the silent are like the others, not idle */
    assert_near(m.sample.backlog, 1000, 1e-9);
}

static void members_without_cpu_are_silent_where_others_have_it(void **state)
{
    (void)state;
    static const char *const members[] = { "a", "b", "c" };
    struct autoscale_reading r[] = { at("a", END, 50), at("b", END, NAN), at("c", END, NAN) };
    r[1].value[AUTOSCALE_MEMORY] = 10; /* restarted: CPU needs a second answer */
    r[2].value[AUTOSCALE_MEMORY] = 30;
    struct autoscale_merged m = merge_of(r, 3, members, 3);
    assert_int_equal(m.sample.serving, 1);
    assert_int_equal(m.sample.silent, 2);
    assert_near(m.sample.memory_pct, 20, 0);
    m = merge_of(r + 1, 2, members, 3); /* nobody has it: any figure is a word */
    assert_int_equal(m.sample.serving, 2);
    assert_int_equal(m.sample.silent, 1);
    assert_true(isnan(m.sample.cpu_pct));
}

static void figures_of_the_whole_fleet_stand_above_its_members(void **state)
{
    (void)state;
    static const char *const members[] = { "a", "b" };
    struct autoscale_reading r[] = { at("", END - 1, NAN), at("", END - 2, NAN), at("a", END, 50),
                                     at("", END, NAN) };
    r[0].value[AUTOSCALE_BACKLOG] = 7; /* the last one of the minute */
    r[1].value[AUTOSCALE_BACKLOG] = 900;
    r[3].value[AUTOSCALE_CPU] = 80;
    r[3].source = "cloudwatch";
    struct autoscale_merged m = merge_of(r, PR_COUNT(r), members, 2);
    assert_near(m.sample.backlog, 7, 0);
    assert_near(m.sample.cpu_pct, 80, 0);
    assert_int_equal(m.sample.serving, 1);
    assert_int_equal(m.sample.silent, 1);
    m = merge_of(r, 2, members, 2); /* nobody reports singly */
    assert_true(m.measured);
    assert_near(m.sample.backlog, 7, 0);
    assert_int_equal(m.sample.serving, 0);
    assert_int_equal(m.sample.silent, 0);
}

static void members_one_by_one(void **state)
{
    (void)state;
    static const char *const expected[] = { "a", "b", "c" };
    struct autoscale_reading r[] = { at("b", END - 9, 30), at("a", END - 5000, 10),
                                     at("a", END - 20000, 20), at("stranger", END, 99),
                                     at("", END, 70) };
    struct autoscale_merge in = { .end_ms = END,
                                  .now_ms = END,
                                  .reading = r,
                                  .readings = PR_COUNT(r),
                                  .expected = expected,
                                  .members = 3 };
    struct autoscale_member *m = NULL;
    size_t n = 0;
    struct pr_err err = { 0 };
    r[0].value[AUTOSCALE_MEMORY] = 44;
    assert_ok(autoscale_merge_members(&in, &scratch, &m, &n, &err), &err);
    assert_int_equal(n, 2); /* c is silent: its caller knows that it is there */
    assert_string_equal(m[0].id, "a");
    assert_near(m[0].cpu_pct, 15, 0);
    assert_true(isnan(m[0].memory_pct));
    assert_int_equal(m[0].metric_at_ms, END - 5000);
    assert_int_equal(m[0].metric_window_ms, MIN);
    assert_string_equal(m[1].id, "b");
    assert_near(m[1].memory_pct, 44, 0);
    in.now_ms = END - 1;
    assert_int_equal(autoscale_merge_members(&in, &scratch, &m, &n, &err), PR_ECONFLICT);
    assert_int_equal(n, 0);
}

static void only_minutes_that_are_over(void **state)
{
    (void)state;
    const struct autoscale_reading r = at("a", END - 1, 50);
    struct autoscale_merge in = { .end_ms = END, .reading = &r, .readings = 1 };
    struct autoscale_merged out;
    in.now_ms = END - 1;
    assert_int_equal(autoscale_merge(&in, &scratch, &out, NULL), PR_ECONFLICT);
    in.now_ms = END;
    assert_int_equal(autoscale_merge(&in, &scratch, &out, NULL), PR_OK);
    in.end_ms = END - 1;
    assert_int_equal(autoscale_merge(&in, &scratch, &out, NULL), PR_EINVAL);
    in.end_ms = 0;
    assert_int_equal(autoscale_merge(&in, &scratch, &out, NULL), PR_EINVAL);
}

static void no_room_is_an_error_not_a_sample(void **state)
{
    (void)state;
    struct pr_arena small;
    const struct autoscale_reading r = at("a", END, 50);
    struct autoscale_merge in = { .end_ms = END, .now_ms = END, .reading = &r, .readings = 1 };
    struct autoscale_merged out;
    pr_arena_init(&small, 16);
    assert_int_equal(autoscale_merge(&in, &small, &out, NULL), PR_ENOMEM);
    assert_false(out.measured);
    pr_arena_done(&small);
}

/* Whatever order they come in, not a bit differs. */
static void order_does_not_matter(void **state)
{
    (void)state;
    enum { N = 400 };
    static char name[20][8];
    static struct autoscale_reading r[N];
    static const double odd_value[] = { NAN, -3, INFINITY, 500 };
    for (int i = 0; i < 20; i++)
        snprintf(name[i], sizeof name[i], "n%d", i);
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct pr_rng g;
        pr_rng_init(&g, seed);
        for (size_t i = 0; i < N; i++) {
            r[i] = at(name[pr_rng_below(&g, 20)], END - (int64_t)pr_rng_below(&g, 70000), 0);
            r[i].received_ms += (int64_t)pr_rng_below(&g, 260000) - 7000;
            for (size_t m = 0; m < AUTOSCALE_METRICS; m++)
                r[i].value[m] = pr_rng_below(&g, 10) == 0 ? odd_value[pr_rng_below(&g, 4)]
                                                          : pr_rng_unit(&g) * 100;
            if (i > 0 && pr_rng_below(&g, 10) == 0) {
                r[i] = r[i - 1];
                r[i].received_ms++;
            }
        }
        const struct autoscale_merged first = merge_of(r, N, NULL, 0);
        for (size_t i = N; i-- > 1;) {
            const size_t k = pr_rng_below(&g, i + 1);
            const struct autoscale_reading x = r[i];
            r[i] = r[k];
            r[k] = x;
        }
        const struct autoscale_merged again = merge_of(r, N, NULL, 0);
        if (memcmp(&first.sample, &again.sample, sizeof first.sample) != 0 ||
            memcmp(first.odd, again.odd, sizeof first.odd) != 0)
            fail_msg("seed %llu", (unsigned long long)seed);
        assert_true(first.sample.cpu_pct >= 0 && first.sample.cpu_pct <= 100);
        assert_true(first.sample.load >= 0 && isfinite(first.sample.load));
        pr_arena_reset(&scratch);
    }
}

static void which_minutes_are_due(void **state)
{
    (void)state;
    enum { SETTLE = 5000, LATE = AUTOSCALE_LATE_MS };
    const int64_t T = END;
    static const struct {
        int64_t done, now; /* relative to END; done INT64_MIN: never merged */
        int64_t first, last;
        bool none; /* is due */
    } row[] = {
        { -MIN, SETTLE - 1, -LATE + MIN, -MIN, false }, /* the newest is not settled: only late
                                                           readings of those before */
        { -MIN, SETTLE, -LATE + MIN, 0, false },        /* settled exactly */
        { 0, SETTLE + 1, -LATE + MIN, 0, false },       /* again, for late ones */
        { 0, 0, -LATE, -MIN, false },                   /* a clock set back by a little */
        { 0, -1, 1, 0, true },                          /* behind what was merged */
        { 0, -86400000, 1, 0, true },                   /* far behind */
        { -10 * MIN, SETTLE, -9 * MIN, 0, false },      /* was away: catches up */
        { -600 * MIN, SETTLE, -59 * MIN, 0, false },    /* the newest hour of ten */
        { INT64_MIN, SETTLE, -LATE + MIN, 0, false },   /* the first time */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct autoscale_due d = autoscale_merge_due(
            row[i].done == INT64_MIN ? 0 : T + row[i].done, T + row[i].now, SETTLE);
        if (row[i].none) {
            assert_true(d.first_ms > d.last_ms);
            continue;
        }
        assert_int_equal(d.first_ms - T, row[i].first);
        assert_int_equal(d.last_ms - T, row[i].last);
    }
    assert_true(autoscale_merge_due(0, 0, SETTLE).first_ms >
                autoscale_merge_due(0, 0, SETTLE).last_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_count_alike_however_often_they_report),
        cmocka_unit_test(a_minute_is_open_at_its_begin_and_closed_at_its_end),
        cmocka_unit_test(who_is_no_member_does_not_count),
        cmocka_unit_test(half_silent),
        cmocka_unit_test(members_without_cpu_are_silent_where_others_have_it),
        cmocka_unit_test(figures_of_the_whole_fleet_stand_above_its_members),
        cmocka_unit_test(members_one_by_one),
        cmocka_unit_test(only_minutes_that_are_over),
        cmocka_unit_test(no_room_is_an_error_not_a_sample),
        cmocka_unit_test(order_does_not_matter),
        cmocka_unit_test(which_minutes_are_due),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
