/* What about a shard needs attention, at its limits. */
#include "t.h"

#include "core/alarm.h"

#include <stddef.h>

static const struct dr_alarm_input GOOD = { .now_ms = 1000000,
                                            .since_ms = 0,
                                            .durable_as_of_ms = 999000,
                                            .beat_ms = 1000,
                                            .streaming = true,
                                            .spool_bytes = 50,
                                            .spool_max_bytes = 100,
                                            .rate_bps = 10,
                                            .backlog_bytes = 600 };

#define ONLY(a) (1U << (a))

static void each_at_its_limit(void **state)
{
    (void)state;
    struct dr_alarm_input in = GOOD;
    assert_int_equal(dr_alarms(&in), 0);

    in.durable_as_of_ms = in.now_ms - DR_LAG_MS;
    assert_int_equal(dr_alarms(&in), 0);
    in.durable_as_of_ms--;
    assert_int_equal(dr_alarms(&in), ONLY(DR_ALARM_LAG));
    in.beat_ms = 3000; /* 2 s more between heartbeats are 2 s more of age */
    assert_int_equal(dr_alarms(&in), 0);
    in.durable_as_of_ms -= 2000;
    assert_int_equal(dr_alarms(&in), ONLY(DR_ALARM_LAG));

    in = GOOD;
    in.spool_bytes = 51;
    assert_int_equal(dr_alarms(&in), ONLY(DR_ALARM_SPOOL));

    in = GOOD;
    in.bases_failed = 1;
    assert_int_equal(dr_alarms(&in), ONLY(DR_ALARM_BASE));

    in = GOOD;
    in.backlog_bytes = 599;
    assert_int_equal(dr_alarms(&in), ONLY(DR_ALARM_BACKLOG));
    in.backlog_bytes = 0; /* not known */
    assert_int_equal(dr_alarms(&in), 0);

    in = GOOD;
    in.held_ms = in.now_ms - DR_LAG_MS;
    assert_int_equal(dr_alarms(&in), 0);
    in.held_ms--;
    assert_int_equal(dr_alarms(&in), ONLY(DR_ALARM_TAKER));
}

static void a_base_is_no_detachment(void **state)
{
    (void)state;
    struct dr_alarm_input in = GOOD;
    in.streaming = false;
    in.since_ms = in.now_ms - DR_DETACHED_MS;
    assert_int_equal(dr_alarms(&in), 0);
    in.since_ms--;
    assert_int_equal(dr_alarms(&in), ONLY(DR_ALARM_DETACHED));
    in.base = true;
    assert_int_equal(dr_alarms(&in), 0);
}

static void they_add_up_and_have_names(void **state)
{
    (void)state;
    struct dr_alarm_input in = GOOD;
    in.durable_as_of_ms = 0;
    in.streaming = false;
    in.spool_bytes = 100;
    in.bases_failed = 9;
    in.backlog_bytes = 1;
    in.held_ms = 1;
    assert_int_equal(dr_alarms(&in), (1U << DR_ALARMS) - 1);
    for (int i = 0; i < DR_ALARMS; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(dr_alarm_name((enum dr_alarm)i),
                                    dr_alarm_name((enum dr_alarm)k));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_at_its_limit),
        cmocka_unit_test(a_base_is_no_detachment),
        cmocka_unit_test(they_add_up_and_have_names),
    };
    return cmocka_run_group_tests_name("dr alarm", tests, NULL, NULL);
}
