/* Clocks that go wrong: when nothing is decided, and when it goes on. */
#include "t.h"

#include "core/clock.h"

#include "prism/clocks.h"

#include <string.h>

enum { S = 1000, MIN = AUTOSCALE_MINUTE_MS };
static const int64_t now_ms = INT64_C(1750000000000);

static void what_is_right_and_what_is_waited_for(void **state)
{
    (void)state;
    static const struct {
        int64_t stored_ms, since_ms, ahead_ms; /* the first two relative to now; 1: none */
        enum autoscale_clock want;
        const char *words;
    } row[] = {
        { 1, 1, 0, AUTOSCALE_CLOCK_RIGHT, "" },
        { -MIN, 1, 0, AUTOSCALE_CLOCK_RIGHT, "" },
        { 0, 1, 0, AUTOSCALE_CLOCK_RIGHT, "" },
        /* What is stored is of the future: */
        { 2, 1, 0, AUTOSCALE_CLOCK_WAIT, "0 s behind what is stored" },
        { 61 * S, 1, 0, AUTOSCALE_CLOCK_WAIT, "61 s behind what is stored" },
        { 3600 * S, 0, 0, AUTOSCALE_CLOCK_WAIT, "3600 s behind" }, /* noticed just now */
        { 3600 * S, -5 * MIN + 1, 0, AUTOSCALE_CLOCK_WAIT, "behind" },
        { 3600 * S, -5 * MIN, 0, AUTOSCALE_CLOCK_ASIDE, "behind" },
        { 3600 * S, -5 * MIN - 1, 0, AUTOSCALE_CLOCK_ASIDE, "behind" },
        { -1, -5 * MIN, 0, AUTOSCALE_CLOCK_RIGHT, "" },            /* it has caught up */
        { 3600 * S, 10 * MIN, 0, AUTOSCALE_CLOCK_WAIT, "behind" }, /* went back once more */
        /* The database's clock tells otherwise: */
        { -MIN, 1, MIN, AUTOSCALE_CLOCK_RIGHT, "" },
        { -MIN, 1, MIN + 1, AUTOSCALE_CLOCK_WAIT, "60 s ahead of the database's" },
        { -MIN, 1, -MIN, AUTOSCALE_CLOCK_RIGHT, "" },
        { -MIN, 1, -MIN - 1, AUTOSCALE_CLOCK_WAIT, "60 s behind the database's" },
        { 3600 * S, -10 * MIN, 2 * MIN, AUTOSCALE_CLOCK_WAIT, "ahead of the database's" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct autoscale_clock_facts f = {
            .now_ms = now_ms,
            .stored_ms = row[i].stored_ms == 1 ? 0 : now_ms + row[i].stored_ms,
            .behind_since_ms = row[i].since_ms == 1 ? 0 : now_ms + row[i].since_ms,
            .ahead_ms = row[i].ahead_ms,
        };
        char why[160];
        const enum autoscale_clock got = autoscale_clock_judge(&f, why);
        if (got != row[i].want || strstr(why, row[i].words) == NULL ||
            (row[i].words[0] == '\0') != (why[0] == '\0'))
            fail_msg("row %zu: %d, \"%s\"", i, (int)got, why);
    }
}

/* What the question took is nobody's error. */
static void how_far_clocks_are_apart_for_certain(void **state)
{
    (void)state;
    static const struct {
        int64_t before_ms, other_ms, after_ms, want;
    } row[] = {
        { 100, 100, 100, 0 }, { 100, 150, 200, 0 },  { 100, 100, 200, 0 },     { 100, 200, 200, 0 },
        { 100, 99, 200, 1 },  { 100, 201, 200, -1 }, { 500, 100, 90000, 400 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(pr_clock_off(row[i].before_ms, row[i].other_ms, row[i].after_ms),
                         row[i].want);
}

int main(void)
{
    const struct CMUnitTest test[] = {
        cmocka_unit_test(what_is_right_and_what_is_waited_for),
        cmocka_unit_test(how_far_clocks_are_apart_for_certain),
    };
    return cmocka_run_group_tests(test, NULL, NULL);
}
