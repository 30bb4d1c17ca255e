/* How often the size may change in a day. */
#include "t.h"

#include "core/budget.h"

#include <string.h>

enum { MIN = 60 * 1000, NOW = 3 * AUTOSCALE_DAY_MS };

static const struct autoscale_budget one_each = { 1, 1, 30 * MIN };

static bool allows(const struct autoscale_budget *b, const struct autoscale_action *a, size_t n,
                   bool out)
{
    const struct autoscale_view v = { .now_ms = NOW, .action = a, .actions = n };
    char why[128] = "";
    const bool yes = autoscale_budget_allows(b, &v, out, why, sizeof why);
    assert_int_equal(yes, why[0] == '\0');
    return yes;
}

static void an_action_is_free_again_after_a_day(void **state)
{
    (void)state;
    static const struct {
        int64_t ago_ms;
        bool allowed;
    } row[] = {
        { 0, false },
        { AUTOSCALE_DAY_MS - 1, false }, /* 1 ms early */
        { AUTOSCALE_DAY_MS, true },
        { AUTOSCALE_DAY_MS + 1, true },
        { -1, true }, /* from the future: a clock that went back */
    };
    const struct autoscale_budget actions = { .actions_per_day = 1 }, none = { 0 };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct autoscale_action a = { NOW - row[i].ago_ms, 48, 53 };
        assert_int_equal(allows(&actions, &a, 1, true), row[i].allowed);
        assert_int_equal(allows(&actions, &a, 1, false), row[i].allowed);
        assert_true(allows(&none, &a, 1, true));
    }
    const struct autoscale_action nothing = { NOW - MIN, 48, 48 };
    assert_true(allows(&actions, &nothing, 1, true));
}

static void a_reversal_is_a_flap_for_half_an_hour(void **state)
{
    (void)state;
    static const struct {
        int64_t ago_ms;
        bool out, flap;
    } row[] = {
        { 0, false, true },         { 30 * MIN - 1, false, true },
        { 30 * MIN, false, false }, { 30 * MIN + 1, false, false },
        { 0, true, false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct autoscale_action a = { NOW - row[i].ago_ms, 48, 53 };
        const struct autoscale_view v = { .now_ms = NOW, .action = &a, .actions = 1 };
        struct autoscale_spent s;
        autoscale_budget_spent(&one_each, &v, row[i].out, &s);
        assert_int_equal(s.would_flap, row[i].flap);
        assert_int_equal(s.flap_until, row[i].flap ? a.at_ms + 30 * MIN : 0);
        assert_int_equal(s.flaps, 0);
    }
}

static void only_so_many_flaps_a_day(void **state)
{
    (void)state;
    const struct autoscale_budget b = { .flaps_per_day = 1, .flap_ms = 30 * MIN };
    const struct autoscale_action row[] = {
        { NOW - 100 * MIN, 48, 53 }, /* out */
        { NOW - 80 * MIN, 53, 48 },  /* in: one flap */
        { NOW - 29 * MIN, 48, 53 },  /* out, 51 min later: none */
    };
    assert_false(allows(&b, row, 3, false)); /* were the second */
    assert_true(allows(&b, row, 3, true));   /* goes on */
    assert_true(allows(&b, row, 1, false));
    const struct autoscale_budget two = { .flaps_per_day = 2, .flap_ms = 30 * MIN };
    assert_true(allows(&two, row, 3, false));
}

static void a_flap_of_the_day_before_counts_no_more(void **state)
{
    (void)state;
    const struct autoscale_action row[] = {
        { NOW - AUTOSCALE_DAY_MS - 10 * MIN, 48, 53 },
        { NOW - AUTOSCALE_DAY_MS, 53, 48 },
        { NOW - MIN, 48, 53 },
    };
    const struct autoscale_budget b = { .flaps_per_day = 1, .flap_ms = 30 * MIN };
    assert_true(allows(&b, row, 3, false));
    struct autoscale_action late[3];
    memcpy(late, row, sizeof late);
    late[1].at_ms++;
    assert_false(allows(&b, late, 3, false));
}

static void refuses_what_is_no_budget(void **state)
{
    (void)state;
    static const struct {
        struct autoscale_budget b;
        const char *words;
    } row[] = {
        { { -1, 0, 0 }, "actions_per_day is -1" },
        { { 0, -1, 0 }, "flaps_per_day is -1" },
        { { 0, 0, -1 }, "flap_ms is -1" },
        { { 0, 0, AUTOSCALE_DAY_MS + 1 }, "flap_ms is 86400001" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_err err = { .text = "" };
        assert_int_equal(autoscale_budget_check(&row[i].b, &err), PR_EINVAL);
        assert_non_null(strstr(err.text, row[i].words));
    }
}

int main(void)
{
    const struct CMUnitTest test[] = {
        cmocka_unit_test(an_action_is_free_again_after_a_day),
        cmocka_unit_test(a_reversal_is_a_flap_for_half_an_hour),
        cmocka_unit_test(only_so_many_flaps_a_day),
        cmocka_unit_test(a_flap_of_the_day_before_counts_no_more),
        cmocka_unit_test(refuses_what_is_no_budget),
    };
    return cmocka_run_group_tests(test, NULL, NULL);
}
