/* Time zones as data against libc's, which reads the same rules as a TZ string. */
#include "t.h"

#include "prism/cron.h"
#include "prism/zone.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MINUTE = 60000 };
static const int64_t HOUR = INT64_C(60) * MINUTE, DAY = 24 * HOUR;

static struct pr_zone zone(const char *name)
{
    struct pr_zone z;
    struct pr_err err;
    assert_ok(pr_zone_find(name, &z, &err), &err);
    return z;
}

static int64_t utc(int year, unsigned month, unsigned day, int hour, int minute)
{
    return pr_day_from(year, month, day) * DAY + hour * HOUR + (int64_t)minute * MINUTE;
}

/* Every zone, at each hour of two years around which the clocks change, as libc says. */
static void offsets_are_as_libc_says(void **state)
{
    (void)state;
    static const struct {
        const char *name, *rule;
    } all[] = {
#define Z(name, rule) { name, rule },
#include "zones.def"
#undef Z
    };
    for (size_t i = 0; i < PR_COUNT(all); i++) {
        const struct pr_zone z = zone(all[i].name);
        if (i > 0)
            assert_true(strcmp(all[i - 1].name, all[i].name) < 0);
        setenv("TZ", all[i].rule, 1);
        tzset();
        for (int64_t t = utc(2026, 1, 1, 0, 0) - DAY; t < utc(2028, 1, 2, 0, 0); t += HOUR / 4) {
            const time_t s = (time_t)(t / 1000);
            struct tm tm;
            assert_non_null(localtime_r(&s, &tm));
            if (pr_zone_offset_ms(&z, t) != tm.tm_gmtoff * 1000)
                fail_msg("%s at %lld: %lld ms, want %ld s", all[i].name, (long long)t,
                         (long long)pr_zone_offset_ms(&z, t), tm.tm_gmtoff);
            if (!z.changes)
                t += DAY;
        }
    }
}

static void clocks_change_to_the_millisecond(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int month, day, hour, minute; /* UTC, 2027 */
        int before_min, after_min;
    } row[] = {
        { "Europe/Berlin", 3, 28, 1, 0, 60, 120 },
        { "Europe/Berlin", 10, 31, 1, 0, 120, 60 },
        { "America/New_York", 3, 14, 7, 0, -300, -240 },
        { "America/New_York", 11, 7, 6, 0, -240, -300 },
        { "Australia/Sydney", 4, 3, 16, 0, 660, 600 },
        { "Australia/Lord_Howe", 10, 2, 15, 30, 630, 660 },
        { "Europe/Dublin", 3, 28, 1, 0, 0, 60 },
        { "CET-1CEST,M3.5.0,M10.5.0/3", 3, 28, 1, 0, 60, 120 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct pr_zone z = zone(row[i].name);
        const int64_t t =
            utc(2027, (unsigned)row[i].month, (unsigned)row[i].day, row[i].hour, row[i].minute);
        assert_int_equal(pr_zone_offset_ms(&z, t - 1), (int64_t)row[i].before_min * MINUTE);
        assert_int_equal(pr_zone_offset_ms(&z, t), (int64_t)row[i].after_min * MINUTE);
    }
}

static void wall_clock_finds_its_moment(void **state)
{
    (void)state;
    const struct pr_zone z = zone("Europe/Berlin");
    static const struct {
        int month, day, hour, minute;         /* there, 2027 */
        int u_month, u_day, u_hour, u_minute; /* UTC */
    } row[] = {
        { 1, 15, 12, 0, 1, 15, 11, 0 },   { 7, 15, 12, 0, 7, 15, 10, 0 },
        { 3, 28, 1, 59, 3, 28, 0, 59 },   { 3, 28, 2, 0, 3, 28, 1, 0 }, /* left out: the jump */
        { 3, 28, 2, 59, 3, 28, 1, 0 },    { 3, 28, 3, 0, 3, 28, 1, 0 },
        { 3, 28, 3, 1, 3, 28, 1, 1 },     { 10, 31, 1, 59, 10, 30, 23, 59 },
        { 10, 31, 2, 30, 10, 31, 0, 30 }, /* twice: the first */
        { 10, 31, 3, 0, 10, 31, 2, 0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const int64_t local =
            utc(2027, (unsigned)row[i].month, (unsigned)row[i].day, row[i].hour, row[i].minute) /
            MINUTE;
        const int64_t want = utc(2027, (unsigned)row[i].u_month, (unsigned)row[i].u_day,
                                 row[i].u_hour, row[i].u_minute);
        if (pr_zone_utc_ms(&z, local) != want)
            fail_msg("row %zu: %lld, want %lld", i, (long long)pr_zone_utc_ms(&z, local),
                     (long long)want);
    }
    /* South of the equator, over the turn of the year. */
    const struct pr_zone south = zone("Pacific/Auckland");
    for (int64_t t = utc(2026, 12, 31, 0, 0); t < utc(2027, 1, 2, 0, 0); t += HOUR)
        assert_int_equal(pr_zone_utc_ms(&south, (t + pr_zone_offset_ms(&south, t)) / MINUTE), t);
}

static void error_names_the_zone(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",       "Europe/Berlyn",      "CE-1",       "CET",
        "CET-25", "CET-1CEST,M3.5.0",   "CET-1CEST",  "CET-1CEST,M13.5.0,M10.5.0",
        "<+1-1",  "CET-1CEST,J60,J300", "UTC0 extra", "CET-1CEST,M3.6.0,M10.5.0",
    };
    for (size_t i = 0; i < PR_COUNT(bad); i++) {
        struct pr_zone z;
        struct pr_err err = { 0 };
        if (pr_zone_find(bad[i], &z, &err) != PR_EINVAL || strstr(err.text, bad[i]) == NULL)
            fail_msg("\"%s\": \"%s\"", bad[i], err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_are_as_libc_says),
        cmocka_unit_test(clocks_change_to_the_millisecond),
        cmocka_unit_test(wall_clock_finds_its_moment),
        cmocka_unit_test(error_names_the_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
