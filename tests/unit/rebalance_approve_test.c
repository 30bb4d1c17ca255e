/* Standing orders against plans: what runs by itself, when, and what waits. */
#include "t.h"

#include "core/policy/approve.h"

#include <string.h>

enum { MIN_MS = 60000, HOUR_MS = 60 * MIN_MS };

/* Sunday 2026-11-22 00:00, in minutes since 1970: day 20,779. */
static const int64_t SUNDAY = INT64_C(20779) * 24 * 60;

static const char *const AUTO[] = { "failback", "balance", "repair" };

static struct rebalance_standing standing(void)
{
    struct rebalance_standing s = { .automatic = AUTO,
                                    .n = PR_COUNT(AUTO),
                                    .max_bytes = 1e12,
                                    .max_slots = 2048,
                                    .has_window = true,
                                    .cooldown_ms = HOUR_MS };
    struct pr_err err;
    assert_ok(rebalance_window_parse("0 3 * * 0", 240, &s.window, &err), &err);
    return s;
}

static struct rebalance_plan_facts plan(void)
{
    return (struct rebalance_plan_facts){ .goal = "balance",
                                          .bytes = 1e9,
                                          .slots = 100,
                                          .eta_s = 600,
                                          .worth = true,
                                          .last_auto_ms = -1 };
}

static void expect(const struct rebalance_standing *s, const struct rebalance_plan_facts *p,
                   int64_t local_min, enum rebalance_approval want, const char *says)
{
    struct rebalance_approval_out got;
    rebalance_approve(s, p, local_min, &got);
    if (got.what != want || strstr(got.why, says) == NULL)
        fail_msg("%s: \"%s\", want %s: \"%s\"", rebalance_approval_name(got.what), got.why,
                 rebalance_approval_name(want), says);
}

static void runs_by_itself_inside_its_window(void **state)
{
    (void)state;
    struct rebalance_standing s = standing();
    struct rebalance_plan_facts p = plan();
    static const struct {
        int hour, minute;
        enum rebalance_approval want;
        const char *says;
    } row[] = {
        { 2, 59, REBALANCE_WAIT_FOR_WINDOW, "begins Sun 2026-11-22 03:00" },
        { 3, 0, REBALANCE_AUTO_NOW, "ends before the window" },
        { 6, 49, REBALANCE_AUTO_NOW, "" }, /* 11 min are left, one of them runs */
        { 6, 50, REBALANCE_WAIT_FOR_WINDOW,
          "takes 10 min, 10 min of the window are left: waits for Sun 2026-11-29 03:00" },
        { 7, 0, REBALANCE_WAIT_FOR_WINDOW, "begins Sun 2026-11-29 03:00" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        expect(&s, &p, SUNDAY + row[i].hour * 60 + row[i].minute, row[i].want, row[i].says);
    s.has_window = false;
    expect(&s, &p, 0, REBALANCE_AUTO_NOW, "may run by itself");
}

static void plan_longer_than_a_window_is_for_a_person(void **state)
{
    (void)state;
    const struct rebalance_standing s = standing();
    struct rebalance_plan_facts p = plan();
    p.eta_s = 239 * 60;
    expect(&s, &p, SUNDAY, REBALANCE_WAIT_FOR_WINDOW, "begins");
    p.eta_s = 240 * 60;
    expect(&s, &p, SUNDAY, REBALANCE_NEEDS_PERSON, "takes 240 min, a window lasts 240 min");
    expect(&s, &p, SUNDAY + 3 * 60, REBALANCE_NEEDS_PERSON, "takes 240 min");
    p.eta_s = -1;
    expect(&s, &p, SUNDAY + 3 * 60, REBALANCE_NEEDS_PERSON, "not known");
}

static void what_the_policy_does_not_allow_is_for_a_person(void **state)
{
    (void)state;
    const struct rebalance_standing s = standing();
    const int64_t inside = SUNDAY + 4 * 60;
    struct rebalance_plan_facts p = plan();
    p.bytes = 1e12;
    p.slots = 2048;
    expect(&s, &p, inside, REBALANCE_AUTO_NOW, ""); /* at both caps */
    p.bytes = 1.001e12;
    expect(&s, &p, inside, REBALANCE_NEEDS_PERSON, "1001.0 GB, the policy's maxBytes is 1000.0 GB");
    p = plan();
    p.slots = 2049;
    expect(&s, &p, inside, REBALANCE_NEEDS_PERSON, "2049 slots, the policy's maxSlots is 2048");
    p = plan();
    p.goal = "drain";
    expect(&s, &p, inside, REBALANCE_NEEDS_PERSON, "drain does not run by itself");
    p = plan();
    p.big_keys = 2;
    expect(&s, &p, inside, REBALANCE_NEEDS_PERSON, "allow_big_keys");
    p = plan();
    p.no_replicas = 1;
    expect(&s, &p, inside, REBALANCE_NEEDS_PERSON, "allow_no_replicas");
    p = plan();
    p.worth = false;
    p.worth_why = "it saves nothing";
    expect(&s, &p, inside, REBALANCE_NEEDS_PERSON, "by itself: it saves nothing");

    struct rebalance_standing none = { 0 }; /* as the table begins: nothing is automatic */
    p = plan();
    expect(&none, &p, inside, REBALANCE_NEEDS_PERSON, "does not run by itself");
    struct rebalance_standing uncapped = { .automatic = AUTO, .n = PR_COUNT(AUTO) };
    p.bytes = 1e18;
    p.slots = 16384;
    expect(&uncapped, &p, inside, REBALANCE_AUTO_NOW, "");
}

static void halted_comes_before_everything(void **state)
{
    (void)state;
    struct rebalance_standing s = standing();
    s.halted = true;
    struct rebalance_plan_facts p = plan();
    expect(&s, &p, SUNDAY + 4 * 60, REBALANCE_HALTED, "stop");
    p.goal = "drain";
    expect(&s, &p, SUNDAY, REBALANCE_HALTED, "stop");
}

static void same_goal_rests_between_plans(void **state)
{
    (void)state;
    struct rebalance_standing s = standing();
    s.has_window = false;
    struct rebalance_plan_facts p = plan();
    p.autos_last_day = 1;
    p.last_auto_ms = 12 * MIN_MS;
    expect(&s, &p, 0, REBALANCE_WAIT_FOR_WINDOW,
           "balance ran by itself 12 min ago (1 times in a day): not again for 48 min");
    p.last_auto_ms = HOUR_MS - 1;
    expect(&s, &p, 0, REBALANCE_WAIT_FOR_WINDOW, "not again for 1 min");
    p.last_auto_ms = HOUR_MS;
    expect(&s, &p, 0, REBALANCE_AUTO_NOW, "");
    p.autos_last_day = 3; /* the third rest is four times as long */
    expect(&s, &p, 0, REBALANCE_WAIT_FOR_WINDOW, "not again for 180 min");
    s.cooldown_ms = 0;
    p.last_auto_ms = 0;
    expect(&s, &p, 0, REBALANCE_AUTO_NOW, "");
}

static void rest_doubles_to_a_day(void **state)
{
    (void)state;
    assert_int_equal(rebalance_cooldown_ms(HOUR_MS, 0), HOUR_MS);
    assert_int_equal(rebalance_cooldown_ms(HOUR_MS, 1), HOUR_MS);
    assert_int_equal(rebalance_cooldown_ms(HOUR_MS, 2), 2 * HOUR_MS);
    assert_int_equal(rebalance_cooldown_ms(HOUR_MS, 5), 16 * HOUR_MS);
    assert_int_equal(rebalance_cooldown_ms(HOUR_MS, 6), 24 * HOUR_MS);
    assert_int_equal(rebalance_cooldown_ms(HOUR_MS, 4000000000u), 24 * HOUR_MS);
    assert_int_equal(rebalance_cooldown_ms(30 * HOUR_MS, 3), 30 * HOUR_MS); /* as it was set */
    assert_int_equal(rebalance_cooldown_ms(0, 9), 0);
}

/* A node that fails and comes back every 10 minutes for a day: failback follows it a
 * handful of times, not 144 times. */
static void simulated_flapping_is_followed_a_few_times(void **state)
{
    (void)state;
    struct rebalance_standing s = standing();
    s.has_window = false;
    struct rebalance_plan_facts p = plan();
    p.goal = "failback";
    unsigned ran = 0;
    int64_t last = -1;
    for (int64_t now = 0; now < 24 * HOUR_MS; now += 10 * MIN_MS) {
        p.last_auto_ms = last < 0 ? -1 : now - last;
        p.autos_last_day = ran;
        struct rebalance_approval_out got;
        rebalance_approve(&s, &p, 0, &got);
        if (got.what == REBALANCE_AUTO_NOW) {
            last = now;
            ran++;
        }
    }
    assert_true(ran >= 3 && ran <= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_by_itself_inside_its_window),
        cmocka_unit_test(plan_longer_than_a_window_is_for_a_person),
        cmocka_unit_test(what_the_policy_does_not_allow_is_for_a_person),
        cmocka_unit_test(halted_comes_before_everything),
        cmocka_unit_test(same_goal_rests_between_plans),
        cmocka_unit_test(rest_doubles_to_a_day),
        cmocka_unit_test(simulated_flapping_is_followed_a_few_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
