/* What requests about scaling fleets may say: names, times, words, ranges. */
#include "t.h"

#include "api_scale.h"

#include <stdio.h>
#include <string.h>

#define MIN_MS INT64_C(60000)
#define DAY_MS INT64_C(86400000)

static void a_fleet_name_is_what_the_table_takes(void **state)
{
    (void)state;
    char longest[65] = "";
    static const struct {
        const char *name;
        bool ok;
    } row[] = {
        { "redis", true }, { "a", true },    { "0-a-", true }, { "", false },    { "-a", false },
        { "A", false },    { "a_b", false }, { "a b", false }, { "a.b", false }, { "a\n", false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (api_fleet_name_valid(row[i].name) != row[i].ok)
            fail_msg("name '%s'", row[i].name);
    memset(longest, 'a', 63);
    assert_true(api_fleet_name_valid(longest));
    longest[63] = 'a';
    assert_false(api_fleet_name_valid(longest));
}

static void a_time_is_rfc_3339(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } row[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01t00:00:00.001z", 1 },
        { "2026-11-21T10:05:00Z", INT64_C(1795255500000) },
        { "2026-11-21T10:05:00.25Z", INT64_C(1795255500250) },
        { "2026-11-21T10:05:00.123456789Z", INT64_C(1795255500123) },
        { "2026-11-21T11:05:00+01:00", INT64_C(1795255500000) },
        { "2026-11-21T04:35:00-05:30", INT64_C(1795255500000) },
        { "2024-02-29T00:00:00Z", INT64_C(1709164800000) },
        { "2023-02-29T00:00:00Z", -1 },
        { "2026-04-31T00:00:00Z", -1 },
        { "2026-13-01T00:00:00Z", -1 },
        { "2026-00-01T00:00:00Z", -1 },
        { "2026-11-00T00:00:00Z", -1 },
        { "2026-11-21T24:00:00Z", -1 },
        { "2026-11-21T10:60:00Z", -1 },
        { "2026-11-21T10:05:60Z", -1 },
        { "2026-11-21T10:05:00", -1 },
        { "2026-11-21T10:05:00.Z", -1 },
        { "2026-11-21T10:05:00+1:00", -1 },
        { "2026-11-21T10:05:00+24:00", -1 },
        { "2026-11-21 10:05:00Z", -1 },
        { "2026-11-21T10:05:00Z ", -1 },
        { "2026-11-21", -1 },
        { "26-11-21T10:05:00Z", -1 },
        { "1969-12-31T23:59:59Z", -1 },
        { "2500-01-01T00:00:00Z", -1 },
        { "2499-12-31T23:59:59Z", INT64_C(16725225599000) },
        { "now", -1 },
        { "", -1 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        int64_t ms = -1;
        const bool ok = api_time_parse(row[i].text, &ms);
        if (ok != (row[i].ms >= 0) || (ok && ms != row[i].ms))
            fail_msg("'%s': %lld", row[i].text, (long long)ms);
    }
}

static void a_time_written_is_read_back(void **state)
{
    (void)state;
    char text[API_TIME_TEXT];
    for (int64_t ms = 0; ms < INT64_C(16725225600000); ms = ms * 7 / 5 + 999) {
        int64_t back = -1;
        api_time_text(ms, text);
        assert_true(api_time_parse(text, &back));
        assert_true(back == ms);
    }
    api_time_text(INT64_C(1795255500000), text);
    assert_string_equal(text, "2026-11-21T10:05:00Z");
    api_time_text(INT64_C(1795255500007), text);
    assert_string_equal(text, "2026-11-21T10:05:00.007Z");
    api_time_text(-1, text);
    assert_string_equal(text, "-");
}

static void words_are_of_their_list(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        enum api_words which;
        const char *names; /* NULL: fine; else in the error */
    } row[] = {
        { NULL, API_MOVES, NULL },
        { "out", API_MOVES, NULL },
        { "hold,out,in,unknown", API_MOVES, NULL },
        { "out,out", API_MOVES, NULL },
        { "done", API_MOVES, "\"done\" is none of hold, out, in and unknown" },
        { "out,inn", API_MOVES, "\"inn\"" },
        { "ou", API_MOVES, "\"ou\"" },
        { "", API_MOVES, "\"\"" },
        { "out,", API_MOVES, "\"\"" },
        { ",out", API_MOVES, "\"\"" },
        { "decided,acting,done,failed,superseded", API_DECISION_STATES, NULL },
        { "hold", API_DECISION_STATES, "superseded" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct api_errors errs = { 0 };
        api_check_words("move", row[i].list, row[i].which, &errs);
        assert_int_equal(errs.n, row[i].names == NULL ? 0 : 1);
        if (row[i].names != NULL && strstr(errs.e[0].detail, row[i].names) == NULL)
            fail_msg("row %zu: %s", i, errs.e[0].detail);
    }
}

static void a_range_is_drawn_in_steps_of_a_clock_face(void **state)
{
    (void)state;
    static const struct {
        const char *points;
        int64_t minutes, step_min; /* of the range; of a step */
    } row[] = {
        { NULL, 240, 1 },        { NULL, 241, 2 },    { NULL, 480, 2 },
        { NULL, 1440, 10 },      { NULL, 10080, 60 }, { NULL, 43200, 180 },
        { "2000", 43200, 30 },   { "1", 1, 1 },       { "1", 61, 120 },
        { "2", 2880, 1440 },     { "1", 2881, 4320 }, { "240", 525600, 2880 },
        { "1", 525600, 525600 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char from[API_TIME_TEXT];
        struct api_series s;
        struct api_errors errs = { 0 };
        const int64_t now = 20000 * DAY_MS;
        api_time_text(now - row[i].minutes * MIN_MS, from);
        api_check_series(&(struct api_series_in){ .from = from, .points = row[i].points }, now, &s,
                         &errs);
        assert_int_equal(errs.n, 0);
        if (s.step_ms != row[i].step_min * MIN_MS)
            fail_msg("row %zu: %lld min", i, (long long)(s.step_ms / MIN_MS));
        assert_true(s.to_ms == now && s.from_ms == now - row[i].minutes * MIN_MS);
    }
}

static void without_a_range_it_is_the_last_six_hours(void **state)
{
    (void)state;
    struct api_series s;
    struct api_errors errs = { 0 };
    api_check_series(&(struct api_series_in){ 0 }, DAY_MS, &s, &errs);
    assert_int_equal(errs.n, 0);
    assert_true(s.to_ms == DAY_MS && s.from_ms == DAY_MS - 360 * MIN_MS);
    assert_true(s.step_ms == 2 * MIN_MS);
    api_check_series(&(struct api_series_in){ .to = "1970-01-01T01:00:00Z" }, DAY_MS, &s, &errs);
    assert_int_equal(errs.n, 0);
    assert_true(s.from_ms == 0 && s.to_ms == 60 * MIN_MS);
}

static void a_bad_range_names_its_field(void **state)
{
    (void)state;
    static const struct {
        struct api_series_in in;
        const char *field;
    } row[] = {
        { { .from = "yesterday" }, "from" },
        { { .to = "2026-11-21" }, "to" },
        { { .points = "0" }, "points" },
        { { .points = "2001" }, "points" },
        { { .points = "-1" }, "points" },
        { { .points = "x" }, "points" },
        { { .from = "2026-11-21T10:00:00Z", .to = "2026-11-21T10:00:00Z" }, "from" },
        { { .from = "2026-11-21T10:00:01Z", .to = "2026-11-21T10:00:00Z" }, "from" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct api_series s;
        struct api_errors errs = { 0 };
        api_check_series(&row[i].in, DAY_MS, &s, &errs);
        assert_int_equal(errs.n, 1);
        assert_string_equal(errs.e[0].field, row[i].field);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fleet_name_is_what_the_table_takes),
        cmocka_unit_test(a_time_is_rfc_3339),
        cmocka_unit_test(a_time_written_is_read_back),
        cmocka_unit_test(words_are_of_their_list),
        cmocka_unit_test(a_range_is_drawn_in_steps_of_a_clock_face),
        cmocka_unit_test(without_a_range_it_is_the_last_six_hours),
        cmocka_unit_test(a_bad_range_names_its_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
