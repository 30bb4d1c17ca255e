/* Cron expressions backwards, and dates both ways. Forwards they are tested with the windows of
 * rebalance (rebalance_window_test.c). */
#include "t.h"

#include "prism/cron.h"

enum { DAY = PR_DAY_MIN };

static const char *const EXPRESSIONS[] = {
    "0 3 * * 0",     "30 22 * * sat,sun", "*/15 1-4 * * mon-fri",
    "0 0 1 * *",     "59 23 31 12 *",     "0 4 */2 * 1",
    "* * * * *",     "7 7 7 7 7",         "0 2 13 * FRI",
    "10/20 0 * * *",
};

static struct pr_cron cron(const char *text)
{
    struct pr_cron c;
    struct pr_err err;
    assert_ok(pr_cron_parse(text, &c, &err), &err);
    return c;
}

static int64_t at(int year, unsigned month, unsigned day, int hour, int minute)
{
    return pr_day_from(year, month, day) * DAY + hour * 60 + minute;
}

static void every_day_of_900_years_has_its_date(void **state)
{
    (void)state;
    assert_int_equal(pr_day_from(1970, 1, 1), 0);
    assert_int_equal(pr_day_from(2000, 3, 1), 11017);
    for (int64_t day = -164000; day < 164000; day++) {
        const struct pr_date d = pr_date_of(day);
        if (pr_day_from(d.year, d.month, d.day) != day)
            fail_msg("day %lld is %lld-%u-%u and back", (long long)day, (long long)d.year, d.month,
                     d.day);
    }
}

static void last_match_is_the_last_one(void **state)
{
    (void)state;
    for (size_t e = 0; e < PR_COUNT(EXPRESSIONS); e++) {
        const struct pr_cron c = cron(EXPRESSIONS[e]);
        const int64_t from = at(2026, 11, 21, 8, 7);
        const int64_t last = pr_cron_last(&c, from);
        assert_true(last <= from && pr_cron_matches(&c, last));
        for (int64_t m = from; m > last && m > from - 400 * DAY; m--)
            assert_false(pr_cron_matches(&c, m));
        assert_int_equal(pr_cron_last(&c, last), last);
        assert_int_equal(pr_cron_next(&c, last), last);
        assert_true(pr_cron_last(&c, last - 1) < last);
    }
    const struct pr_cron leap = cron("0 0 29 2 *");
    assert_int_equal(pr_cron_last(&leap, at(2104, 2, 28, 23, 59)), at(2096, 2, 29, 0, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_of_900_years_has_its_date),
        cmocka_unit_test(last_match_is_the_last_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
