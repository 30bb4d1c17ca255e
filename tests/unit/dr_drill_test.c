/* What came of a drill, and when one is due. */
#include "t.h"

#include "core/drill.h"

#include <string.h>

/* Began at 100,000; the base had 10 keys. */
#define BACK(beat, took, loaded)                                                                   \
    .base_keys = 10, .begun_ms = 100000, .beat_ms = beat, .took_ms = took, .loaded_keys = loaded

static void every_flaw_has_a_name(void **state)
{
    (void)state;
    static const struct dr_drill_limits limits = { .age_ms = 5000, .took_ms = 1000 };
    static const struct {
        struct dr_drill_facts f;
        enum dr_drill_outcome outcome;
        int64_t age_ms;
        const char *reason;
    } row[] = {
        { { BACK(98000, 700, 10) }, DR_DRILL_GOOD, 2000, "" },
        { { .base_keys = UINT64_MAX, .begun_ms = 2, .beat_ms = 1 }, DR_DRILL_GOOD, 1, "" },
        { { BACK(95000, 1000, 10) }, DR_DRILL_GOOD, 5000, "" },
        { { BACK(100500, 700, 10) }, DR_DRILL_GOOD, 0, "" }, /* its clock is ahead */
        { { BACK(94999, 700, 10) }, DR_DRILL_LATE, 5001, "5001 ms old, 5000" },
        { { BACK(0, 700, 10) }, DR_DRILL_LATE, -1, "no heartbeat" },
        { { BACK(98000, 1001, 10) }, DR_DRILL_LATE, 2000, "took 1001 ms, 1000" },
        { { BACK(98000, 700, 10), .skipped = 1, .damage = "c/base/s/1: part 0: damaged" },
          DR_DRILL_DAMAGED,
          2000,
          "1 generation is damaged: c/base/s/1: part 0: damaged" },
        { { BACK(0, 700, 10), .skipped = 2, .damage = "x" },
          DR_DRILL_DAMAGED,
          -1,
          "2 generations are damaged: x" },
        { { BACK(98000, 700, 10), .gap = true, .why = "a gap at offset 7" },
          DR_DRILL_DAMAGED,
          2000,
          "offset 7" },
        { { BACK(98000, 700, 9) }, DR_DRILL_FAILED, 2000, "9 keys were loaded" },
        { { BACK(98000, 700, 9), .skipped = 1 }, DR_DRILL_FAILED, 2000, "manifest says 10" },
        { { .rc = PR_EDATA, .error = "none is whole" }, DR_DRILL_FAILED, -1, "none is whole" },
        { { .rc = PR_EUNAVAIL, .error = "no bucket" }, DR_DRILL_FAILED, -1, "no bucket" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dr_drill_verdict got;
        dr_drill_judge(&row[i].f, &limits, &got);
        if (got.outcome != row[i].outcome || got.age_ms != row[i].age_ms ||
            strstr(got.reason, row[i].reason) == NULL ||
            (got.reason[0] == '\0') != (got.outcome == DR_DRILL_GOOD))
            fail_msg("row %zu: %s, %lld ms: %s", i, dr_drill_outcome_name(got.outcome),
                     (long long)got.age_ms, got.reason);
    }
}

static void no_limit_of_time_is_none(void **state)
{
    (void)state;
    const struct dr_drill_facts f = { BACK(98000, INT64_MAX, 10) };
    const struct dr_drill_limits limits = { .age_ms = 5000 };
    struct dr_drill_verdict got;
    dr_drill_judge(&f, &limits, &got);
    assert_int_equal(got.outcome, DR_DRILL_GOOD);
}

static void is_due_once_a_time(void **state)
{
    (void)state;
    enum { MIN = 60000 };
    const int64_t day = INT64_C(20000) * 1440 * MIN; /* midnight, UTC, in October */
    const struct {
        const char *zone;
        int64_t since, now;
        bool due;
    } row[] = {
        /* 03:00 every day */
        { "UTC", day, day + 180 * MIN - 1, false },
        { "UTC", day, day + 180 * MIN, true },
        { "UTC", day + 180 * MIN, day + 180 * MIN, false }, /* it was held */
        { "UTC", day + 181 * MIN, day + 1000 * MIN, false },
        { "UTC", day - 10000 * MIN, day, true }, /* nobody was there */
        { "Europe/Berlin", day, day + 60 * MIN - 1, false },
        { "Europe/Berlin", day, day + 60 * MIN, true }, /* two hours ahead */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_err err;
        bool due = !row[i].due;
        assert_ok(dr_drill_due("0 3 * * *", row[i].zone, row[i].since, row[i].now, &due, &err),
                  &err);
        if (due != row[i].due)
            fail_msg("row %zu: %d", i, due);
    }
    bool due;
    struct pr_err err;
    assert_int_equal(dr_drill_due("0 25 * * *", "UTC", 0, 0, &due, &err), PR_EINVAL);
    assert_int_equal(dr_drill_due("0 3 * * *", "Atlantis", 0, 0, &due, &err), PR_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flaw_has_a_name),
        cmocka_unit_test(no_limit_of_time_is_none),
        cmocka_unit_test(is_due_once_a_time),
    };
    return cmocka_run_group_tests_name("dr drill", tests, NULL, NULL);
}
