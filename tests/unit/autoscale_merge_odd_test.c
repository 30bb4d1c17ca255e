/* Readings that are late, early, doubled, out of order or nonsense: what becomes of them. */
#include "autoscale_merge_stage.h"

static void late_ones_are_counted_and_ignored(void **state)
{
    (void)state;
    static const struct {
        int64_t received_ms;
        bool taken;
    } row[] = { { AUTOSCALE_LATE_MS - 1, true },
                { AUTOSCALE_LATE_MS, true },
                { AUTOSCALE_LATE_MS + 1, false } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_reading r = at("a", END, 50);
        r.received_ms = END + row[i].received_ms;
        const struct autoscale_merged m = merge_of(&r, 1, NULL, 0);
        assert_int_equal(m.measured, row[i].taken);
        assert_int_equal(m.odd[AUTOSCALE_ODD_LATE], !row[i].taken);
    }
}

static void those_from_the_future_are_counted_when_they_came(void **state)
{
    (void)state;
    static const struct {
        int64_t ahead_ms;
        bool future;
    } row[] = { { AUTOSCALE_AHEAD_MS - 1, false },
                { AUTOSCALE_AHEAD_MS, false },
                { AUTOSCALE_AHEAD_MS + 1, true } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_reading r = at("a", END, 50);
        r.received_ms = END - row[i].ahead_ms;
        const struct autoscale_merged m = merge_of(&r, 1, NULL, 0);
        assert_int_equal(m.measured, !row[i].future);
        assert_int_equal(m.odd[AUTOSCALE_ODD_FUTURE], row[i].future);
    }
    struct autoscale_reading far = at("a", END + 365 * 86400000LL, 99);
    far.received_ms = END;
    struct autoscale_merged m = merge_of(&far, 1, NULL, 0);
    assert_false(m.measured);
    assert_int_equal(m.odd[AUTOSCALE_ODD_FUTURE], 1);
    far.received_ms = END + 1; /* the next minute counts it */
    m = merge_of(&far, 1, NULL, 0);
    assert_int_equal(odd(&m), 0);
}

static void the_first_of_two_duplicates_stays(void **state)
{
    (void)state;
    struct autoscale_reading r[] = { at("a", END - 10, 90), at("a", END - 10, 30),
                                     at("a", END - 10, 30) };
    r[0].received_ms += 2;
    r[2].received_ms += 1;
    const struct autoscale_merged m = merge_of(r, PR_COUNT(r), NULL, 0);
    assert_near(m.sample.cpu_pct, 30, 0);
    assert_int_equal(m.odd[AUTOSCALE_ODD_DUPLICATE], 2);
    assert_int_equal(m.taken, 1);
}

static void another_source_at_the_same_time_is_no_duplicate(void **state)
{
    (void)state;
    struct autoscale_reading r[] = { at("a", END, 40), at("a", END, NAN) };
    r[1].source = "prometheus network";
    r[1].value[AUTOSCALE_NETWORK] = 8e9;
    const struct autoscale_merged m = merge_of(r, PR_COUNT(r), NULL, 0);
    assert_near(m.sample.cpu_pct, 40, 0);
    assert_near(m.sample.network_bps, 8e9, 0);
    assert_int_equal(m.sample.serving, 1);
    assert_int_equal(odd(&m), 0);
}

static void unordered_ones_are_taken_and_counted(void **state)
{
    (void)state;
    struct autoscale_reading r[] = { at("a", END - 30000, 10), at("a", END - 20000, 20),
                                     at("a", END - 10000, 30), at("b", END - 40000, 20) };
    r[0].received_ms = END + 5; /* after both that were measured later */
    const struct autoscale_merged m = merge_of(r, PR_COUNT(r), NULL, 0);
    assert_near(m.sample.cpu_pct, 20, 0);
    assert_int_equal(m.odd[AUTOSCALE_ODD_UNORDERED], 1);
    assert_int_equal(m.taken, 4);
}

/* A member's clock that is set back says the same times twice. */
static void a_members_clock_that_goes_back(void **state)
{
    (void)state;
    struct autoscale_reading r[6];
    for (int i = 0; i < 3; i++) {
        r[i] = at("a", END - 30000 + i * 10000, 50);
        r[i + 3] = at("a", END - 30000 + i * 10000, 80); /* once more, 30 s later */
        r[i + 3].received_ms = r[i].received_ms + 30000;
    }
    const struct autoscale_merged m = merge_of(r, 6, NULL, 0);
    assert_near(m.sample.cpu_pct, 50, 0);
    assert_int_equal(m.odd[AUTOSCALE_ODD_DUPLICATE], 3);
}

static void nonsense_is_unknown_never_a_number(void **state)
{
    (void)state;
    static const struct {
        double v;
        enum autoscale_oddity odd;
        double want;
    } row[] = {
        { -1e-9, AUTOSCALE_ODD_NEGATIVE, NAN },     { -INFINITY, AUTOSCALE_ODD_NEGATIVE, NAN },
        { INFINITY, AUTOSCALE_ODD_TOO_LARGE, NAN }, { 110.0001, AUTOSCALE_ODD_TOO_LARGE, NAN },
        { 800, AUTOSCALE_ODD_TOO_LARGE, NAN }, /* a share of one core, of eight */
        { 110, AUTOSCALE_ODDITIES, 100 },           { 100.5, AUTOSCALE_ODDITIES, 100 },
        { 100, AUTOSCALE_ODDITIES, 100 },           { 0, AUTOSCALE_ODDITIES, 0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_reading r = at("a", END, row[i].v);
        r.value[AUTOSCALE_MEMORY] = 30; /* the rest of the reading stands */
        const struct autoscale_merged m = merge_of(&r, 1, NULL, 0);
        assert_true(m.measured);
        assert_near(m.sample.memory_pct, 30, 0);
        if (isnan(row[i].want))
            assert_true(isnan(m.sample.cpu_pct));
        else
            assert_near(m.sample.cpu_pct, row[i].want, 0);
        assert_int_equal(odd(&m), row[i].odd != AUTOSCALE_ODDITIES);
        if (row[i].odd != AUTOSCALE_ODDITIES)
            assert_int_equal(m.odd[row[i].odd], 1);
    }
}

static void sums_stay_finite(void **state)
{
    (void)state;
    struct autoscale_reading r[] = { at("a", END, 1), at("b", END, 1), at("c", END, 1) };
    r[0].value[AUTOSCALE_BACKLOG] = 1e15; /* the most that is believed */
    r[1].value[AUTOSCALE_BACKLOG] = 1e15;
    r[2].value[AUTOSCALE_BACKLOG] = 1.7e308;
    const struct autoscale_merged m = merge_of(r, 3, NULL, 0);
    assert_near(m.sample.backlog, 3e15, 0); /* the third is like the others */
    assert_int_equal(m.odd[AUTOSCALE_ODD_TOO_LARGE], 1);
}

static void an_empty_reading_is_silence(void **state)
{
    (void)state;
    static const char *const members[] = { "a", "b" };
    const struct autoscale_reading r[] = { at("a", END, NAN), at("b", END, 40) };
    const struct autoscale_merged m = merge_of(r, 2, members, 2);
    assert_int_equal(m.odd[AUTOSCALE_ODD_EMPTY], 1);
    assert_int_equal(m.sample.serving, 1);
    assert_int_equal(m.sample.silent, 1);
    const struct autoscale_merged none = merge_of(r, 1, members, 2);
    assert_false(none.measured); /* nobody said anything: no sample, not 0 */
    assert_true(isnan(none.sample.cpu_pct));
}

static void oddities_have_names(void **state)
{
    (void)state;
    for (int o = 0; o < AUTOSCALE_ODDITIES; o++)
        assert_true(strlen(autoscale_oddity_name((enum autoscale_oddity)o)) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(late_ones_are_counted_and_ignored),
        cmocka_unit_test(those_from_the_future_are_counted_when_they_came),
        cmocka_unit_test(the_first_of_two_duplicates_stays),
        cmocka_unit_test(another_source_at_the_same_time_is_no_duplicate),
        cmocka_unit_test(unordered_ones_are_taken_and_counted),
        cmocka_unit_test(a_members_clock_that_goes_back),
        cmocka_unit_test(nonsense_is_unknown_never_a_number),
        cmocka_unit_test(sums_stay_finite),
        cmocka_unit_test(an_empty_reading_is_silence),
        cmocka_unit_test(oddities_have_names),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
