/* How long a plan has stood still, look by look. */
#include "t.h"

#include "core/standstill.h"

static double look(struct rebalance_standstill *s, int64_t plan, double ratio, bool waits,
                   int64_t now_s)
{
    const struct rebalance_standstill_seen seen = { plan, ratio, waits };
    return rebalance_standstill_look(s, &seen, now_s * 1000);
}

static void it_counts_while_it_waits_and_gets_no_further(void **state)
{
    (void)state;
    struct rebalance_standstill s = { 0 };
    assert_true(look(&s, 7, 0.1, false, 100) == 0);
    assert_true(look(&s, 7, 0.2, false, 103) == 0);
    assert_true(look(&s, 7, 0.2, true, 106) == 0);
    for (int64_t t = 109; t < 1006; t += 3)
        assert_true(look(&s, 7, 0.2, true, t) == (double)(t - 106));
    assert_true(look(&s, 7, 0.2001, true, 1009) == 0); /* it went on, and waits again */
    assert_true(look(&s, 7, 0.2001, true, 1012) == 3);
}

static void who_says_nothing_of_waiting_is_well(void **state)
{
    (void)state;
    struct rebalance_standstill s = { 0 };
    for (int64_t t = 1; t < 4000; t += 3)
        assert_true(look(&s, 7, 0.5, false, t) == 0);
    assert_true(look(&s, 7, 0.5, true, 4000) ==
                0); /* however long it was well, it only waits now */
    assert_true(look(&s, 7, 0.5, true, 4003) == 3);
}

/* It begins again and again, and says so in between. */
static void a_word_between_does_not_end_it(void **state)
{
    (void)state;
    struct rebalance_standstill s = { 0 };
    assert_true(look(&s, 7, 0, true, 10) == 0);
    assert_true(look(&s, 7, 0, false, 70) == 60);
    assert_true(look(&s, 7, 0, false, 71) == 0); /* it has not waited for over a minute */
    assert_true(look(&s, 7, 0, true, 80) == 0);
    assert_true(look(&s, 7, 0, true, 141) == 0); /* nobody looked for that long */
}

static void another_plan_or_none_begins_anew(void **state)
{
    (void)state;
    struct rebalance_standstill s = { 0 };
    assert_true(look(&s, 7, 0, true, 650) == 0);
    assert_true(look(&s, 7, 0, true, 700) == 50);
    assert_true(look(&s, 8, 0, true, 703) == 0);
    assert_true(look(&s, 8, 0, true, 706) == 3);
    assert_true(look(&s, 0, 0, false, 709) == 0);
    assert_true(look(&s, 0, 0, true, 1500) == 0); /* no plan stands still */
    assert_true(look(&s, 8, 0, true, 1503) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_counts_while_it_waits_and_gets_no_further),
        cmocka_unit_test(who_says_nothing_of_waiting_is_well),
        cmocka_unit_test(a_word_between_does_not_end_it),
        cmocka_unit_test(another_plan_or_none_begins_anew),
    };
    return cmocka_run_group_tests_name("standstill", tests, NULL, NULL);
}
