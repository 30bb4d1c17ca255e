/* Floors by the calendar: begins and ends to the millisecond, time zones and their changes,
 * several at once. */
#include "t.h"

#include "core/schedule.h"

#include "prism/cron.h"

#include <stdio.h>
#include <string.h>

enum { MINUTE = 60000 };
static const int64_t HOUR = INT64_C(60) * MINUTE, DAY = 24 * HOUR;

static int64_t utc(int year, unsigned month, unsigned day, int hour, int minute)
{
    return pr_day_from(year, month, day) * DAY + hour * HOUR + (int64_t)minute * MINUTE;
}

static struct autoscale_schedule_now at(const struct autoscale_schedule *s, int64_t now_ms)
{
    struct autoscale_schedule_now out;
    struct pr_err err;
    assert_ok(autoscale_schedule_check(s, &err), &err);
    assert_ok(autoscale_schedule_at(s, now_ms - MINUTE, now_ms, &out, &err), &err);
    return out;
}

static const struct autoscale_schedule MORNING = {
    .floor = { { "morning", "0 8 * * mon-fri", "Europe/Berlin", 10 * 3600000, 120, 0, 0 } },
    .floors = 1,
};

static void floor_begins_and_ends_to_the_millisecond(void **state)
{
    (void)state;
    static const struct {
        int day, hour, minute, ms; /* November 2026; the 23rd is a Monday; UTC + 1 */
        int min;
    } row[] = {
        { 23, 7, 0, -1, 0 },    { 23, 7, 0, 0, 120 }, { 23, 7, 0, 1, 120 },
        { 23, 17, 0, -1, 120 }, { 23, 17, 0, 0, 0 },  { 24, 12, 0, 0, 120 },
        { 27, 16, 59, 0, 120 }, { 28, 12, 0, 0, 0 },  { 29, 12, 0, 0, 0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct autoscale_schedule_now got = at(
            &MORNING, utc(2026, 11, (unsigned)row[i].day, row[i].hour, row[i].minute) + row[i].ms);
        if (got.min != row[i].min)
            fail_msg("row %zu: %d, want %d", i, got.min, row[i].min);
        assert_true((got.min_name != NULL) == (got.min > 0));
        if (got.min > 0)
            assert_string_equal(got.min_name, "morning");
        assert_true(got.max == 0 && got.desired == 0 && got.max_name == NULL);
    }
}

static void clocks_that_change_are_followed(void **state)
{
    (void)state;
    struct autoscale_schedule s = MORNING;
    static const struct {
        const char *cron;
        int64_t lasts_ms;
        int month, day, hour, minute; /* UTC, 2027 */
        int min;
    } row[] = {
        { "0 8 * * *", 3600000, 3, 27, 7, 0, 120 }, /* winter: 08:00 is 07:00 UTC */
        { "0 8 * * *", 3600000, 3, 28, 6, 0, 120 }, /* summer */
        { "0 8 * * *", 3600000, 3, 28, 7, 0, 0 },
        { "30 2 * * *", 3600000, 3, 28, 0, 59, 0 }, /* left out: at the jump */
        { "30 2 * * *", 3600000, 3, 28, 1, 0, 120 },
        { "30 2 * * *", 3600000, 3, 28, 1, 59, 120 },
        { "30 2 * * *", 3600000, 3, 28, 2, 0, 0 },
        { "30 2 * * *", 3600000, 10, 31, 0, 29, 0 }, /* twice: the first */
        { "30 2 * * *", 3600000, 10, 31, 0, 30, 120 },
        { "30 2 * * *", 3600000, 10, 31, 1, 10, 120 }, /* the clock says 02:10 again */
        { "30 2 * * *", 3600000, 10, 31, 1, 30, 0 },
        { "0 22 * * *", 8 * 3600000, 10, 30, 20, 0, 120 }, /* eight hours over the change */
        { "0 22 * * *", 8 * 3600000, 10, 31, 3, 59, 120 },
        { "0 22 * * *", 8 * 3600000, 10, 31, 4, 0, 0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        snprintf(s.floor[0].cron, sizeof s.floor[0].cron, "%s", row[i].cron);
        s.floor[0].lasts_ms = row[i].lasts_ms;
        const struct autoscale_schedule_now got =
            at(&s,
               utc(2027, (unsigned)row[i].month, (unsigned)row[i].day, row[i].hour, row[i].minute));
        if (got.min != row[i].min)
            fail_msg("row %zu: %d, want %d", i, got.min, row[i].min);
    }
}

static void several_at_once(void **state)
{
    (void)state;
    struct autoscale_schedule s = {
        .floor = { { "day", "0 6 * * *", "UTC", 12 * 3600000, 100, 0, 0 },
                   { "sale", "0 9 27 11 *", "UTC", 24 * 3600000, 300, 0, 320 },
                   { "frugal", "0 0 * * sat,sun", "UTC", 48 * 3600000, 0, 200, 0 },
                   { "tight", "0 0 * * sun", "UTC", 24 * 3600000, 0, 90, 0 } },
        .floors = 4,
    };
    static const struct {
        int day, hour; /* November 2026; the 28th is a Saturday */
        int min, max, desired;
        const char *min_name, *max_name;
    } row[] = {
        { 26, 12, 100, 0, 0, "day", NULL },       { 27, 9, 300, 0, 320, "sale", NULL },
        { 27, 10, 300, 0, 0, "sale", NULL },      { 28, 8, 300, 300, 0, "sale", "sale" },
        { 28, 10, 100, 200, 0, "day", "frugal" }, { 28, 20, 0, 200, 0, NULL, "frugal" },
        { 29, 3, 0, 90, 0, NULL, "tight" },       { 29, 12, 100, 100, 0, "day", "day" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct autoscale_schedule_now got =
            at(&s, utc(2026, 11, (unsigned)row[i].day, row[i].hour, 0));
        if (got.min != row[i].min || got.max != row[i].max || got.desired != row[i].desired)
            fail_msg("row %zu: min %d max %d desired %d", i, got.min, got.max, got.desired);
        assert_true((got.min_name == NULL) == (row[i].min_name == NULL));
        assert_true((got.max_name == NULL) == (row[i].max_name == NULL));
        if (got.min_name != NULL)
            assert_string_equal(got.min_name, row[i].min_name);
        if (got.max_name != NULL)
            assert_string_equal(got.max_name, row[i].max_name);
    }
    s.floors = 0;
    const struct autoscale_schedule_now none = at(&s, 0);
    assert_true(none.min == 0 && none.max == 0 && none.desired == 0);
}

/* A scheduled action is seen by whoever looks next, once. */
static void desired_is_of_its_begin_alone(void **state)
{
    (void)state;
    const struct autoscale_schedule s = {
        .floor = { { "evening", "0 18 * * *", "UTC", 0, 0, 0, 80 } },
        .floors = 1,
    };
    const int64_t begin = utc(2026, 11, 23, 18, 0);
    static const struct {
        int64_t since, now; /* from the begin */
        int desired;
    } row[] = {
        { -MINUTE, -1, 0 },
        { -MINUTE, 0, 80 },
        { -1, 59999, 80 },
        { 0, MINUTE, 0 },
        { -10 * MINUTE, 20 * MINUTE, 80 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_schedule_now got;
        assert_int_equal(
            autoscale_schedule_at(&s, begin + row[i].since, begin + row[i].now, &got, NULL), PR_OK);
        if (got.desired != row[i].desired)
            fail_msg("row %zu: %d, want %d", i, got.desired, row[i].desired);
        assert_int_equal(got.min, 0);
    }
}

/* After an outage: what began last is what people want now, unless that is long past. */
static void of_missed_begins_the_latest_counts(void **state)
{
    (void)state;
    struct autoscale_schedule s = {
        .floor = { { "first", "0 18 * * *", "UTC", 0, 0, 0, 200 },
                   { "second", "20 18 * * *", "UTC", 0, 0, 0, 80 },
                   { "floor", "25 18 * * *", "UTC", 3600000, 10, 0, 0 } },
        .floors = 3,
    };
    const int64_t begin = utc(2026, 11, 23, 18, 0);
    static const struct {
        const char *second; /* its cron */
        int64_t since, now; /* from the first begin */
        int desired;
        const char *name;
    } row[] = {
        { "20 18 * * *", -MINUTE, 20 * MINUTE - 1, 200, "first" },
        { "20 18 * * *", -MINUTE, 20 * MINUTE, 80, "second" },
        { "20 18 * * *", -MINUTE, 30 * MINUTE, 80, "second" }, /* both were missed */
        { "40 17 * * *", -30 * MINUTE, 30 * MINUTE, 200, "first" },
        { "0 18 * * *", -MINUTE, 30 * MINUTE, 200, "first" }, /* at once: the larger */
        { "0 0 29 2 *", -MINUTE, 60 * MINUTE - 1, 200, "first" },
        { "0 0 29 2 *", -MINUTE, 60 * MINUTE, 200, "first" },
        { "0 0 29 2 *", -MINUTE, 60 * MINUTE + 1, 0, NULL },
        { "20 18 * * *", -MINUTE, 80 * MINUTE, 80, "second" },
        { "20 18 * * *", -MINUTE, 80 * MINUTE + 1, 0, NULL },
        { "20 18 * * *", 20 * MINUTE, 30 * MINUTE, 0, NULL }, /* both were seen */
    };
    for (int turned = 0; turned < 2; turned++) { /* whatever their order */
        for (size_t i = 0; i < PR_COUNT(row); i++) {
            struct autoscale_schedule_now got;
            struct pr_err err;
            snprintf(s.floor[1 - turned].cron, sizeof s.floor[0].cron, "%s", row[i].second);
            assert_ok(
                autoscale_schedule_at(&s, begin + row[i].since, begin + row[i].now, &got, &err),
                &err);
            if (got.desired != row[i].desired)
                fail_msg("row %zu: %d, want %d", i, got.desired, row[i].desired);
            assert_true((got.desired_name == NULL) == (row[i].name == NULL));
            if (row[i].name != NULL)
                assert_string_equal(got.desired_name, row[i].name);
        }
        const struct autoscale_floor other = s.floor[0];
        s.floor[0] = s.floor[1];
        s.floor[1] = other;
    }
}

static void begins_before_and_after(void **state)
{
    (void)state;
    static const struct {
        const char *cron, *zone;
        int64_t now, last, next;
    } row[] = {
        { "0 8 * * *", "UTC", 0, -57600000, 28800000 },
        { "* * * * *", "UTC", 61000, 60000, 120000 },
        { "0 0 29 2 *", "UTC", INT64_C(1700000000000), INT64_C(1582934400000),
          INT64_C(1709164800000) },
        { "0 8 * * *", "Asia/Kolkata", INT64_C(1700000000000), INT64_C(1699929000000),
          INT64_C(1700015400000) },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_floor f = { .name = "x" };
        int64_t last = 0, next = 0;
        struct pr_err err;
        snprintf(f.cron, sizeof f.cron, "%s", row[i].cron);
        snprintf(f.zone, sizeof f.zone, "%s", row[i].zone);
        assert_ok(autoscale_floor_begins(&f, row[i].now, &last, &next, &err), &err);
        if (last != row[i].last || next != row[i].next)
            fail_msg("row %zu: %lld and %lld", i, (long long)last, (long long)next);
    }
}

static void error_names_the_floor(void **state)
{
    (void)state;
    static const struct {
        struct autoscale_floor floor;
        const char *says;
    } row[] = {
        { { "", "0 8 * * *", "UTC", 1, 1, 0, 0 }, "no name" },
        { { "x", "0 8 * *", "UTC", 1, 1, 0, 0 }, "\"x\": cron: day of week is missing" },
        { { "x", "0 8 * * *", "Mars/Olympus", 1, 1, 0, 0 }, "time zone \"Mars/Olympus\"" },
        { { "x", "0 8 * * *", "UTC", 1, 0, 0, 0 }, "asks for no min, max or desired" },
        { { "x", "0 8 * * *", "UTC", 1, -1, 0, 0 }, "not from 0" },
        { { "x", "0 8 * * *", "UTC", 1, 5, 4, 0 }, "max is below min" },
        { { "x", "0 8 * * *", "UTC", 0, 5, 0, 0 }, "last no time" },
        { { "x", "0 8 * * *", "UTC", -1, 5, 0, 0 }, "lasts less" },
        { { "x", "0 8 * * *", "UTC", INT64_MAX, 5, 0, 0 }, "more than a year" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_schedule s = { .floors = 1 };
        struct pr_err err = { 0 };
        s.floor[0] = row[i].floor;
        if (autoscale_schedule_check(&s, &err) != PR_EINVAL ||
            strstr(err.text, row[i].says) == NULL)
            fail_msg("row %zu: \"%s\", want \"%s\"", i, err.text, row[i].says);
    }
    struct autoscale_schedule many = { .floors = AUTOSCALE_SCHEDULES + 1 };
    assert_int_equal(autoscale_schedule_check(&many, NULL), PR_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floor_begins_and_ends_to_the_millisecond),
        cmocka_unit_test(clocks_that_change_are_followed),
        cmocka_unit_test(several_at_once),
        cmocka_unit_test(desired_is_of_its_begin_alone),
        cmocka_unit_test(of_missed_begins_the_latest_counts),
        cmocka_unit_test(begins_before_and_after),
        cmocka_unit_test(error_names_the_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
