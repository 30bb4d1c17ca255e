#include "t.h"

#include "api_heat.h"

#include <math.h>

enum { S = 1000, DAY = 86400 * S };

static const struct api_heat_rules rules = { .hot_per_s = 1,
                                             .half_life_ms = 600 * S,
                                             .cold_after_ms = DAY };
static const int64_t T0 = INT64_C(1700000000000);

static void a_steady_rate_is_told_as_it_is(void **state)
{
    (void)state;
    struct api_heat_spot s = { 0 };
    for (int i = 1; i <= 1200; i++) /* two hours, 12 operations every 6 s */
        api_heat_add(&s, &rules, T0 + i * 6 * S, 12);
    const double rate = api_heat_per_s(&s, &rules, T0 + 1200 * 6 * S);
    assert_true(fabs(rate - 2) < 0.02);
    assert_true(fabs(api_heat_per_s(&s, &rules, T0 + 7200 * S + 600 * S) - rate / 2) < 0.001);
    assert_int_equal(s.accessed_ms, T0 + 7200 * S);
}

static void what_comes_late_counts_as_old_as_it_is(void **state)
{
    (void)state;
    struct api_heat_spot in_order = { 0 }, late = { 0 };
    api_heat_add(&in_order, &rules, T0, 100);
    api_heat_add(&in_order, &rules, T0 + 600 * S, 10);
    api_heat_add(&late, &rules, T0 + 600 * S, 10);
    api_heat_add(&late, &rules, T0, 100);
    assert_true(fabs(in_order.score - late.score) < 1e-9);
    assert_true(fabs(late.score - 60) < 1e-9);
    assert_int_equal(late.accessed_ms, T0 + 600 * S);
}

static void temperatures_follow_rate_and_silence(void **state)
{
    (void)state;
    const double hot = 1 * 600 / log(2); /* the score of one operation a second */
    const struct {
        double score;
        int64_t accessed_ago_ms, heard_for_ms;
        enum api_temperature was, want;
    } row[] = {
        { hot * 1.001, 0, DAY, API_WARM, API_HOT },
        { hot * 0.999, 0, DAY, API_WARM, API_WARM },
        { hot * 0.999, 0, DAY, API_HOT, API_WARM },
        { 0, 0, 600 * S - 1, API_HOT, API_HOT }, /* what it was before a restart is all we know */
        { 0, 0, 600 * S, API_HOT, API_WARM },
        { 0, DAY - 1, DAY, API_WARM, API_WARM },
        { 0, DAY, DAY, API_WARM, API_COLD },
        { 0, DAY, 1, API_WARM, API_COLD }, /* known from before a restart */
        { 0, DAY, 1, API_HOT, API_COLD },
        { 0, -1, DAY - 1, API_HEAT_UNKNOWN, API_WARM }, /* -1: never seen */
        { 0, -1, DAY, API_HEAT_UNKNOWN, API_COLD },
        { hot * 2, 0, 0, API_COLD, API_HOT },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const int64_t ago = row[i].accessed_ago_ms;
        const struct api_heat_spot s = { .score = row[i].score,
                                         .scored_ms = T0,
                                         .accessed_ms = ago < 0 ? 0 : T0 - ago,
                                         .was = row[i].was };
        const enum api_temperature got = api_heat_judge(&s, &rules, T0, T0 - row[i].heard_for_ms);
        if (got != row[i].want)
            fail_msg("row %zu: %s, want %s", i, api_temperature_name(got),
                     api_temperature_name(row[i].want));
    }
}

static void names_are_those_of_the_table(void **state)
{
    (void)state;
    for (int t = API_HEAT_UNKNOWN; t <= API_COLD; t++)
        assert_int_equal(api_temperature_parse(api_temperature_name((enum api_temperature)t)), t);
    assert_int_equal(api_temperature_parse("lukewarm"), API_HEAT_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_rate_is_told_as_it_is),
        cmocka_unit_test(what_comes_late_counts_as_old_as_it_is),
        cmocka_unit_test(temperatures_follow_rate_and_silence),
        cmocka_unit_test(names_are_those_of_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
