/* Maintenance windows: cron expressions against a naive matcher, minute by minute,
 * and windows against a replay of all begins. */
#include "t.h"

#include "core/policy/window.h"

#include "prism/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { HOUR = 60, DAY = 24 * HOUR, WEEK = 7 * DAY };

static int64_t at(int year, int month, int day, int hour, int minute)
{
    struct tm tm = { .tm_year = year - 1900,
                     .tm_mon = month - 1,
                     .tm_mday = day,
                     .tm_hour = hour,
                     .tm_min = minute };
    return timegm(&tm) / 60;
}

static struct pr_cron cron(const char *text)
{
    struct pr_cron c;
    struct pr_err err;
    assert_ok(pr_cron_parse(text, &c, &err), &err);
    return c;
}

static struct rebalance_window window(const char *text, int minutes)
{
    struct rebalance_window w;
    struct pr_err err;
    assert_ok(rebalance_window_parse(text, minutes, &w, &err), &err);
    return w;
}

/* --- the naive matcher -------------------------------------------------------------- */

static int naive_value(const char *s, int lo)
{
    static const char *const names[] = { "jan", "feb", "mar", "apr", "may", "jun", "jul",
                                         "aug", "sep", "oct", "nov", "dec", "sun", "mon",
                                         "tue", "wed", "thu", "fri", "sat" };
    for (int i = 0; i < 19; i++)
        if (strncasecmp(s, names[i], 3) == 0)
            return lo == 1 ? i + 1 : i - 12;
    return atoi(s);
}

/* Is v named by the field? By walking the text each time. */
static bool naive_field(const char *field, int v, int lo, int hi)
{
    char copy[128];
    snprintf(copy, sizeof copy, "%s", field);
    char *rest = copy;
    for (char *part; (part = strsep(&rest, ",")) != NULL;) {
        char *slash = strchr(part, '/');
        const int step = slash != NULL ? atoi(slash + 1) : 1;
        if (slash != NULL)
            *slash = '\0';
        const char *dash = strchr(part, '-');
        int first = lo, last = hi;
        if (*part != '*') {
            first = naive_value(part, lo);
            last = dash != NULL ? naive_value(dash + 1, lo) : slash != NULL ? hi : first;
        }
        if (v >= first && v <= last && (v - first) % step == 0)
            return true;
    }
    return false;
}

static bool naive(const char *text, int64_t local_min)
{
    char minute[64], hour[64], day[64], month[64], weekday[64];
    assert_int_equal(sscanf(text, "%63s %63s %63s %63s %63s", minute, hour, day, month, weekday),
                     5);
    const time_t t = (time_t)local_min * 60;
    struct tm tm;
    assert_non_null(gmtime_r(&t, &tm));
    const bool d = naive_field(day, tm.tm_mday, 1, 31);
    const bool w = naive_field(weekday, tm.tm_wday, 0, 6) ||
                   (tm.tm_wday == 0 && *weekday != '*' && naive_field(weekday, 7, 0, 7));
    const bool days = *day == '*' || *weekday == '*' ? d && w : d || w;
    return days && naive_field(minute, tm.tm_min, 0, 59) && naive_field(hour, tm.tm_hour, 0, 23) &&
           naive_field(month, tm.tm_mon + 1, 1, 12);
}

static const char *const EXPRESSIONS[] = {
    "0 3 * * 0",     "0 3 * * 7",          "30 22 * * sat,sun",   "*/15 1-4 * * mon-fri",
    "0 0 1 * *",     "0 0 29 2 *",         "5,10-20/5 */6 * * *", "0 2 13 * FRI",
    "59 23 31 12 *", "0 4 */2 * 1",        "0 0 1,15 jan-jun *",  "* * * * *",
    "7 7 7 7 7",     "0 12 * Mar,Nov 3-5", "10/20 0 * * *",       "0 0 28-31 * 1-5",
    "0 0 * * 6-7",
};

static void every_minute_matches_as_a_naive_matcher_says(void **state)
{
    (void)state;
    /* Five weeks over the end of a leap February, and five over a new year. */
    const int64_t from[] = { at(2028, 2, 10, 0, 0), at(2026, 12, 10, 0, 0) };
    for (size_t e = 0; e < PR_COUNT(EXPRESSIONS); e++) {
        const struct pr_cron c = cron(EXPRESSIONS[e]);
        for (size_t f = 0; f < PR_COUNT(from); f++)
            for (int64_t m = from[f]; m < from[f] + 5 * WEEK; m++)
                if (pr_cron_matches(&c, m) != naive(EXPRESSIONS[e], m))
                    fail_msg("\"%s\" at minute %lld", EXPRESSIONS[e], (long long)m);
    }
}

static void next_match_is_the_first_one(void **state)
{
    (void)state;
    for (size_t e = 0; e < PR_COUNT(EXPRESSIONS); e++) {
        const struct pr_cron c = cron(EXPRESSIONS[e]);
        const int64_t from = at(2026, 11, 21, 8, 7);
        int64_t next = pr_cron_next(&c, from);
        assert_true(next >= from && pr_cron_matches(&c, next));
        const int64_t end = next < from + 30 * DAY ? next : from + 30 * DAY;
        for (int64_t m = from; m < end; m++)
            assert_false(pr_cron_matches(&c, m));
    }
    struct pr_cron leap = cron("0 0 29 2 *");
    assert_int_equal(pr_cron_next(&leap, at(2096, 2, 29, 0, 1)), at(2104, 2, 29, 0, 0));
    assert_int_equal(pr_cron_next(&leap, at(1969, 1, 1, 0, 0)), at(1972, 2, 29, 0, 0));
}

static void names_numbers_and_both_sundays_are_one(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        { "0 3 * * 0", "0 3 * * 7" },         { "0 3 * * sun", "0 3 * * SUN" },
        { "0 3 * * 5-7", "0 3 * * fri-sun" }, { "0 3 * 1,12 *", "0 3 * JAN,Dec *" },
        { "0 3 * * 1", "  0\t3  *  * 1  " },
    };
    for (size_t i = 0; i < PR_COUNT(same); i++) {
        const struct pr_cron a = cron(same[i][0]), b = cron(same[i][1]);
        assert_int_equal(a.weekday, b.weekday);
        assert_int_equal(a.month, b.month);
        assert_int_equal(a.hour, b.hour);
        assert_int_equal(a.minute, b.minute);
    }
}

static void error_names_the_field(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } row[] = {
        { "", "minute is missing" },
        { "0 3 * *", "day of week is missing" },
        { "60 3 * * 0", "minute \"60\"" },
        { "-1 3 * * 0", "minute \"-1\"" },
        { "0 24 * * 0", "hour \"24\"" },
        { "0 3 0 * 0", "day of month \"0\"" },
        { "0 3 32 * 0", "day of month \"32\"" },
        { "0 3 * 13 0", "month \"13\"" },
        { "0 3 * foo 0", "month \"foo\"" },
        { "0 3 * * 8", "day of week \"8\"" },
        { "0 3 * * sunday", "day of week \"sunday\"" },
        { "0 5-3 * * 0", "hour \"5-3\"" },
        { "*/0 3 * * 0", "minute \"*/0\"" },
        { "*/60 3 * * 0", "minute \"*/60\"" },
        { "1, 3 * * 0", "minute \"1,\"" },
        { "1- 3 * * 0", "minute \"1-\"" },
        { "1/ 3 * * 0", "minute \"1/\"" },
        { "99999999999999999999 3 * * 0", "minute \"9999" },
        { "mon 3 * * 0", "minute \"mon\"" },
        { "0 3 * * 0 x", "\"x\" after" },
        { "0 3 30 2 *", "no such day" },
        { "0 3 31 4,6 *", "no such day" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_cron c;
        struct pr_err err = { 0 };
        if (pr_cron_parse(row[i].text, &c, &err) != PR_EINVAL ||
            strstr(err.text, row[i].says) == NULL)
            fail_msg("\"%s\": \"%s\", want \"%s\"", row[i].text, err.text, row[i].says);
    }
    struct rebalance_window w;
    assert_int_equal(rebalance_window_parse("0 3 * * 0", 0, &w, NULL), PR_EINVAL);
    assert_int_equal(rebalance_window_parse("0 3 * * 0", WEEK + 1, &w, NULL), PR_EINVAL);
    assert_int_equal(rebalance_window_parse("0 3 * * 0", INT64_MAX, &w, NULL), PR_EINVAL);
    assert_int_equal(rebalance_window_parse("0 3 * * 0", WEEK, &w, NULL), PR_OK);
}

/* Whatever bytes come, the parser answers, and what it takes has a next match. */
static void noise_is_answered(void **state)
{
    (void)state;
    const uint64_t seed = 7;
    struct pr_rng rng;
    pr_rng_init(&rng, seed);
    static const char alphabet[] = "0123456789*/-, \tmonsunjafeb";
    unsigned taken = 0, refused = 0;
    for (int i = 0; i < 100000; i++) { /* an expression with a few bytes changed */
        char text[64];
        snprintf(text, sizeof text, "%s", EXPRESSIONS[pr_rng_below(&rng, PR_COUNT(EXPRESSIONS))]);
        for (uint64_t n = pr_rng_below(&rng, 4); n > 0; n--)
            text[pr_rng_below(&rng, strlen(text))] =
                alphabet[pr_rng_below(&rng, sizeof alphabet - 1)];
        struct pr_cron c;
        if (pr_cron_parse(text, &c, NULL) == PR_OK) {
            taken++;
            assert_true(pr_cron_next(&c, 0) >= 0);
        } else {
            refused++;
        }
    }
    if (taken < 1000 || refused < 1000)
        fail_msg("seed %llu: %u taken, %u refused", (unsigned long long)seed, taken, refused);
}

/* --- windows ---------------------------------------------------------------------- */

static void window_knows_its_end_and_the_next_begin(void **state)
{
    (void)state;
    const struct rebalance_window w = window("0 3 * * sun", 240);
    static const struct {
        int day, hour, minute; /* November 2026; the 22nd is a Sunday */
        bool inside;
        int64_t left;
        int next_day;
    } row[] = {
        { 21, 8, 0, false, 0, 22 },  { 22, 2, 59, false, 0, 22 }, { 22, 3, 0, true, 240, 29 },
        { 22, 5, 30, true, 90, 29 }, { 22, 6, 59, true, 1, 29 },  { 22, 7, 0, false, 0, 29 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct rebalance_window_at got =
            rebalance_window_look(&w, at(2026, 11, row[i].day, row[i].hour, row[i].minute));
        assert_int_equal(got.inside, row[i].inside);
        assert_int_equal(got.left_min, row[i].left);
        assert_int_equal(got.next_min, at(2026, 11, row[i].next_day, 3, 0));
        if (got.inside)
            assert_int_equal(got.ends_min, at(2026, 11, 22, 7, 0));
    }
}

static void window_goes_on_over_midnight_and_new_year(void **state)
{
    (void)state;
    const struct rebalance_window w = window("0 22 31 12 *", 300);
    const struct rebalance_window_at got = rebalance_window_look(&w, at(2027, 1, 1, 2, 59));
    assert_true(got.inside);
    assert_int_equal(got.left_min, 1);
    assert_int_equal(got.next_min, at(2027, 12, 31, 22, 0));
}

static void windows_that_touch_are_one(void **state)
{
    (void)state;
    const struct rebalance_window nights = window("0 0 * * 6,0", DAY);
    const struct rebalance_window_at sat = rebalance_window_look(&nights, at(2026, 11, 21, 8, 0));
    assert_int_equal(sat.ends_min, at(2026, 11, 23, 0, 0));
    assert_int_equal(sat.next_min, at(2026, 11, 28, 0, 0));

    const struct rebalance_window always = window("* * * * *", 1);
    const struct rebalance_window_at on = rebalance_window_look(&always, at(2026, 11, 21, 8, 0));
    assert_true(on.inside && on.left_min >= 28 * DAY);
}

static void nothing_starts_that_would_cross_the_end(void **state)
{
    (void)state;
    const struct rebalance_window w = window("0 3 * * sun", 240);
    const struct rebalance_window_at in = rebalance_window_look(&w, at(2026, 11, 22, 6, 0));
    assert_true(rebalance_window_may_start(&in, 0));
    assert_true(rebalance_window_may_start(&in, 59 * 60)); /* 60 are left, one runs already */
    assert_false(rebalance_window_may_start(&in, 59 * 60 + 1));
    assert_false(rebalance_window_may_start(&in, -1));
    const struct rebalance_window_at out = rebalance_window_look(&w, at(2026, 11, 22, 8, 0));
    assert_false(rebalance_window_may_start(&out, 0));
}

/* Daylight saving, as local time shows it: at 02:00 it is 03:00, so a begin at 02:30
 * is never seen, and the window that should have begun is on; back, it is on twice. */
static void skipped_begin_counts(void **state)
{
    (void)state;
    const struct rebalance_window w = window("30 2 * * sun", 120);
    assert_false(rebalance_window_look(&w, at(2027, 3, 28, 1, 59)).inside);
    const struct rebalance_window_at jumped = rebalance_window_look(&w, at(2027, 3, 28, 3, 0));
    assert_true(jumped.inside);
    assert_int_equal(jumped.left_min, 90);
}

/* Random windows against a replay of every minute. */
static void windows_are_as_a_replay_says(void **state)
{
    (void)state;
    static const int lengths[] = { 1, 30, 59, 60, 240, DAY, DAY + 1, WEEK };
    const uint64_t seed = 11;
    struct pr_rng rng;
    pr_rng_init(&rng, seed);
    enum { SPAN = 3 * WEEK };
    static bool open[SPAN], begins[SPAN];
    for (size_t e = 0; e < PR_COUNT(EXPRESSIONS); e++) {
        const int64_t from = at(2026, 10, 1, 0, 0) + (int64_t)pr_rng_below(&rng, 400 * DAY);
        for (int i = 0; i < SPAN; i++)
            begins[i] = naive(EXPRESSIONS[e], from + i);
        for (size_t l = 0; l < PR_COUNT(lengths); l++) {
            const struct rebalance_window w = window(EXPRESSIONS[e], lengths[l]);
            for (int i = 0, until = 0; i < SPAN; i++) {
                until = begins[i] ? i + lengths[l] : until;
                open[i] = i < until;
            }
            /* The first week warms up; what is told must hold in what follows. */
            for (int n = 0; n < 200; n++) {
                const int i = WEEK + (int)pr_rng_below(&rng, WEEK);
                const struct rebalance_window_at got = rebalance_window_look(&w, from + i);
                int end = i;
                while (end < SPAN && (open[end] || begins[end]))
                    end++;
                bool ok = got.inside == open[i] && (end == SPAN || got.left_min == end - i);
                if (!got.inside && got.next_min >= 0 && got.next_min < from + SPAN)
                    ok = ok && begins[got.next_min - from];
                for (int k = i + 1; ok && !got.inside && k < SPAN; k++)
                    ok = !begins[k] || got.next_min <= from + k;
                if (!ok)
                    fail_msg("seed %llu: \"%s\" for %d min at minute %lld",
                             (unsigned long long)seed, EXPRESSIONS[e], lengths[l],
                             (long long)(from + i));
            }
        }
    }
}

static void times_are_told_with_their_weekday(void **state)
{
    (void)state;
    char text[24];
    pr_minute_text(at(2026, 11, 22, 3, 5), text);
    assert_string_equal(text, "Sun 2026-11-22 03:05");
    pr_minute_text(at(2028, 2, 29, 23, 59), text);
    assert_string_equal(text, "Tue 2028-02-29 23:59");
    pr_minute_text(-1, text);
    assert_string_equal(text, "Wed 1969-12-31 23:59");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_minute_matches_as_a_naive_matcher_says),
        cmocka_unit_test(next_match_is_the_first_one),
        cmocka_unit_test(names_numbers_and_both_sundays_are_one),
        cmocka_unit_test(error_names_the_field),
        cmocka_unit_test(noise_is_answered),
        cmocka_unit_test(window_knows_its_end_and_the_next_begin),
        cmocka_unit_test(window_goes_on_over_midnight_and_new_year),
        cmocka_unit_test(windows_that_touch_are_one),
        cmocka_unit_test(nothing_starts_that_would_cross_the_end),
        cmocka_unit_test(skipped_begin_counts),
        cmocka_unit_test(windows_are_as_a_replay_says),
        cmocka_unit_test(times_are_told_with_their_weekday),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
