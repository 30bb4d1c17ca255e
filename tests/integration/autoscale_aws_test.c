/* The AWS actuator: orders, and what is reported of them. */
#include "autoscale_provider.h"

#include "t.h"

#include <string.h>

static const struct autoscale_target TARGET[] = { { "redis-a-pg1", 0, 0 },
                                                  { "redis-b-pg1", 1, 1 } };

static void open_aws(struct provider *p)
{
    const struct autoscale_provider settings = {
        .kind = "aws",
        .target = TARGET,
        .targets = PR_COUNT(TARGET),
        .pace = provider_pace(p),
        .endpoint = p->url,
        .region = "eu-central-1",
        .keys.keys = { "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "" },
    };
    provider_open(p, &settings);
}

/* Group a: three in service, of at most 10; group b: none. */
static int setup(void **state)
{
    static struct provider p;

    provider_start(&p, "aws", NULL, NULL);
    provider_tell(&p, "{\"set\": {\"groups\": {"
                      "\"redis-a-pg1\": {\"desired\": 3, \"min\": 1, \"max\": 10, \"instances\": ["
                      "{\"id\": \"i-a1\", \"state\": \"InService\"},"
                      "{\"id\": \"i-a2\", \"state\": \"InService\"},"
                      "{\"id\": \"i-a3\", \"state\": \"InService\"}]},"
                      "\"redis-b-pg1\": {\"desired\": 0, \"zone\": \"eu-central-1b\","
                      "\"instances\": []}}}}");
    open_aws(&p);
    *state = &p;
    return 0;
}

static int teardown(void **state)
{
    provider_stop(*state);
    return 0;
}

static const struct autoscale_reported *look(struct provider *p, size_t target)
{
    assert_ok(provider_describe(p), &p->err);
    return &p->report.target[target];
}

/* --- orders ----------------------------------------------------------------------- */

static void the_same_order_again_sends_nothing(void **state)
{
    struct provider *p = *state;

    assert_ok(provider_set(p, 0, 5), &p->err);
    assert_true(p->sent);
    const char *log = provider_log(p);
    assert_non_null(strstr(log, "SetDesiredCapacity AutoScalingGroupName=redis-a-pg1 "
                                "DesiredCapacity=5 HonorCooldown=false 200"));
    assert_int_equal(times_said(log, "200"), 2);

    assert_ok(provider_set(p, 0, 5), &p->err);
    assert_false(p->sent);
    assert_int_equal(times_said(provider_log(p), "SetDesired"), 0);
    assert_ok(provider_set(p, 1, 0), &p->err); /* so from the beginning */
    assert_false(p->sent);
    assert_int_equal(times_said(provider_log(p), "SetDesired"), 0);
}

static void done_is_what_is_reported(void **state)
{
    struct provider *p = *state;

    assert_int_equal(provider_settle(p, 0, 3, 5).outcome, AUTOSCALE_DIFFERS);
    assert_ok(provider_set(p, 0, 5), &p->err);
    struct autoscale_settlement s = provider_settle(p, 0, 3, 5);
    assert_int_equal(s.outcome, AUTOSCALE_WAITING);
    assert_int_equal(s.has, 3);
    assert_int_equal(s.coming, 2);
    provider_tell(p, "{\"tick\": 1}");
    s = provider_settle(p, 0, 3, 5);
    assert_int_equal(s.outcome, AUTOSCALE_DONE);
    assert_false(s.alarm);
}

static void named_member_goes_and_no_other(void **state)
{
    struct provider *p = *state;

    assert_ok(provider_terminate(p, 0, "i-a2", 2), &p->err);
    assert_true(p->sent);
    assert_non_null(strstr(provider_log(p), "TerminateInstanceInAutoScalingGroup InstanceId=i-a2 "
                                            "ShouldDecrementDesiredCapacity=true 200"));
    assert_int_equal(provider_settle(p, 0, 3, 2).outcome, AUTOSCALE_WAITING); /* still leaving */
    assert_int_equal(p->report.target[0].leaving, 1);
    (void)provider_log(p);

    assert_ok(provider_terminate(p, 0, "i-a2", 2), &p->err); /* leaving already */
    assert_false(p->sent);
    provider_tell(p, "{\"tick\": 1}");
    assert_ok(provider_terminate(p, 0, "i-a2", 2), &p->err); /* gone */
    assert_false(p->sent);
    assert_int_equal(times_said(provider_log(p), "Terminate"), 0);
    assert_int_equal(provider_settle(p, 0, 3, 2).outcome, AUTOSCALE_DONE);
    assert_non_null(autoscale_report_find(&p->report, 0, "i-a1"));
    assert_non_null(autoscale_report_find(&p->report, 0, "i-a3"));
}

/* The answer is lost after the order was carried out: it is not carried out twice. */
static void lost_answers_cost_no_second_member(void **state)
{
    struct provider *p = *state;
    static const char *const HOW[] = { "\"drop\": true",
                                       "\"status\": 500, \"code\": \"InternalFailure\"",
                                       "\"status\": 502, \"body\": \"<html>Bad gateway</html>\"" };

    for (int i = 0; i < 3; i++) {
        provider_tell(p,
                      "{\"set\": {\"groups\": {\"redis-a-pg1\": {\"desired\": 3, \"instances\": ["
                      "{\"id\": \"i-a1\", \"state\": \"InService\"},"
                      "{\"id\": \"i-a2\", \"state\": \"InService\"},"
                      "{\"id\": \"i-a3\", \"state\": \"InService\"}]}}}}");
        provider_tell(p,
                      "{\"fault\": {\"match\": \"TerminateInstanceInAutoScalingGroup\","
                      "\"perform\": true, %s}}",
                      HOW[i]);
        assert_ok(provider_terminate(p, 0, "i-a1", 2), &p->err);
        assert_true(p->sent);
        assert_int_equal(times_said(provider_log(p), "Terminate"), 1);
        assert_int_equal(look(p, 0)->desired, 2);
        assert_int_equal(p->report.target[0].in_service, 2);

        provider_tell(p, "{\"fault\": {\"match\": \"SetDesiredCapacity\", \"perform\": true, %s}}",
                      HOW[i]);
        assert_ok(provider_set(p, 0, 4), &p->err);
        assert_true(p->sent);
        assert_int_equal(times_said(provider_log(p), "SetDesired"), 1);
    }
}

static void number_lowered_by_others_is_not_lowered_again(void **state)
{
    struct provider *p = *state;

    /* Wants two already, and three run: our member goes without lowering the number. */
    provider_tell(p, "{\"set\": {\"groups\": {\"redis-a-pg1\": {\"desired\": 2}}}}");
    assert_ok(provider_terminate(p, 0, "i-a1", 2), &p->err);
    assert_non_null(strstr(provider_log(p), "InstanceId=i-a1 "
                                            "ShouldDecrementDesiredCapacity=false 200"));
    provider_tell(p, "{\"tick\": 1}");
    assert_int_equal(look(p, 0)->in_service, 2);
    assert_int_equal(p->report.target[0].desired, 2);
}

static void stale_plans_are_turned_away(void **state)
{
    struct provider *p = *state;

    static const struct {
        const char *id;
        int after;
        const char *says;
    } row[] = {
        { "i-a1", 1, "wants 3 members, expected 2 or 1" },
        { "i-a1", 5, "wants 3 members, expected 6 or 5" },
        { "i-else", 2, "i-else is not in it" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        assert_int_equal(provider_terminate(p, 0, row[i].id, row[i].after), PR_ECONFLICT);
        if (strstr(p->err.text, row[i].says) == NULL ||
            strstr(p->err.text, "aws group redis-a-pg1") == NULL)
            fail_msg("%s", p->err.text);
    }
    provider_tell(p, "{\"set\": {\"groups\": {\"redis-a-pg1\": {\"instances\": ["
                     "{\"id\": \"i-a1\", \"state\": \"Standby\"}]}}}}");
    assert_int_equal(provider_terminate(p, 0, "i-a1", 2), PR_ECONFLICT);
    assert_non_null(strstr(p->err.text, "i-a1 is Standby"));
    assert_int_equal(times_said(provider_log(p), "Terminate"), 0);
    assert_int_equal(p->gaps, 0);
}

static void limits_of_the_group_send_nothing(void **state)
{
    struct provider *p = *state;

    assert_ok(provider_set(p, 0, 10), &p->err);
    (void)provider_log(p);
    assert_int_equal(provider_set(p, 0, 11), PR_EFULL);
    assert_string_equal(p->err.text,
                        "aws group redis-a-pg1: 11 members wanted, its limits are 1..10");
    assert_int_equal(provider_set(p, 0, 0), PR_EFULL);
    assert_int_equal(provider_set(p, 0, -1), PR_EINVAL);
    assert_int_equal(provider_set(p, 2, 1), PR_EINVAL);
    assert_int_equal(times_said(provider_log(p), "SetDesired"), 0);

    provider_tell(p, "{\"set\": {\"groups\": {\"redis-a-pg1\": {\"min\": 3, \"desired\": 3}}}}");
    assert_int_equal(provider_terminate(p, 0, "i-a1", 2), PR_EFULL);
    assert_int_equal(times_said(provider_log(p), "Terminate"), 0);
    const struct autoscale_settlement s = provider_settle(p, 0, 10, 11);
    assert_int_equal(s.outcome, AUTOSCALE_REFUSED);
    assert_int_equal(s.code, PR_EFULL);
}

/* --- what is reported --------------------------------------------------------------- */

static void members_are_reported_with_place_and_state(void **state)
{
    struct provider *p = *state;

    provider_tell(p, "{\"set\": {\"groups\": {\"redis-a-pg1\": {\"desired\": 6, \"instances\": ["
                     "{\"id\": \"i-1\", \"state\": \"Pending:Wait\"},"
                     "{\"id\": \"i-2\", \"state\": \"InService\"},"
                     "{\"id\": \"i-3\", \"state\": \"InService\", \"health\": \"Unhealthy\"},"
                     "{\"id\": \"i-4\", \"state\": \"Terminating:Wait\"},"
                     "{\"id\": \"i-5\", \"state\": \"Terminated\"},"
                     "{\"id\": \"i-6\", \"state\": \"Standby\"}]}}}}");
    const struct autoscale_reported *r = look(p, 0);
    assert_int_equal(r->desired, 6);
    assert_int_equal(r->min, 1);
    assert_int_equal(r->max, 10);
    assert_int_equal(r->coming, 1);
    assert_int_equal(r->in_service, 1);
    assert_int_equal(r->unhealthy, 1);
    assert_int_equal(r->leaving, 1);
    assert_true(r->members_known);
    assert_int_equal(p->report.instances, 5); /* without the one that is gone */
    const struct autoscale_instance *i = &p->report.instance[0];
    assert_string_equal(i->id, "i-1");
    assert_string_equal(i->place, "eu-central-1a");
    assert_string_equal(i->state, "Pending:Wait");
    assert_int_equal(i->target, 0);
    assert_false(p->report.instance[2].healthy);
    assert_int_equal(p->report.target[1].desired, 0);
    assert_int_equal(p->actuator->can(p->actuator, 0), AUTOSCALE_CAN_ACT | AUTOSCALE_CAN_TERMINATE);
}

static void refused_capacity_is_reported_as_such(void **state)
{
    struct provider *p = *state;

    provider_tell(p, "{\"set\": {\"capacity\": 0}}");
    assert_ok(provider_set(p, 0, 6), &p->err);
    struct autoscale_settlement s = provider_settle(p, 0, 3, 6);
    assert_int_equal(s.outcome, AUTOSCALE_REFUSED);
    assert_int_equal(s.code, PR_EFULL);
    assert_int_equal(p->report.target[0].problem, AUTOSCALE_NO_CAPACITY);
    assert_non_null(strstr(s.why, "do not have sufficient r6i.4xlarge capacity"));
    assert_true(s.alarm);
}

static void capacity_in_part_is_reported_with_numbers(void **state)
{
    struct provider *p = *state;

    provider_tell(p, "{\"set\": {\"capacity\": 2}}");
    assert_ok(provider_set(p, 0, 6), &p->err);
    assert_int_equal(provider_settle(p, 0, 3, 6).outcome, AUTOSCALE_WAITING);
    provider_tell(p, "{\"tick\": 1}");
    struct autoscale_settlement s = provider_settle(p, 0, 3, 6);
    assert_int_equal(s.outcome, AUTOSCALE_PARTIAL);
    assert_int_equal(s.has, 5);
    assert_int_equal(s.wanted, 6);
    assert_int_equal(s.missing, 1);
    assert_true(s.alarm);

    /* An activity from before the order explains nothing. */
    autoscale_report_done(&p->report);
    assert_ok(p->actuator->describe(p->actuator, INT64_C(4102444800000), &p->report, &p->err),
              &p->err);
    assert_int_equal(p->report.target[0].problem, AUTOSCALE_NO_PROBLEM);
}

static void reasons_that_may_not_be_read_hide_nothing_else(void **state)
{
    struct provider *p = *state;

    provider_tell(p, "{\"set\": {\"capacity\": 0}}");
    assert_ok(provider_set(p, 0, 6), &p->err);
    provider_tell(p, "{\"fault\": {\"match\": \"DescribeScalingActivities\", \"status\": 403,"
                     "\"code\": \"AccessDenied\", \"message\": \"not authorized\"}}");
    const struct autoscale_reported *r = look(p, 0);
    assert_int_equal(r->code, PR_OK);
    assert_int_equal(r->desired, 6);
    assert_int_equal(r->problem, AUTOSCALE_NO_PROBLEM);
    assert_non_null(strstr(r->problem_text, "AccessDenied: not authorized"));
}

static void suspended_and_deleted_groups_say_so(void **state)
{
    struct provider *p = *state;

    provider_tell(p, "{\"set\": {\"groups\": {\"redis-a-pg1\": {\"desired\": 5,"
                     "\"suspended\": [\"Terminate\", \"Launch\"]},"
                     "\"redis-b-pg1\": {\"status\": \"Delete in progress\"}}}}");
    assert_int_equal(look(p, 0)->problem, AUTOSCALE_SUSPENDED);
    assert_int_equal(p->report.target[1].code, PR_ENOTFOUND);
    assert_string_equal(p->report.target[1].problem_text,
                        "aws group redis-b-pg1: Delete in progress");
    assert_int_equal(provider_settle(p, 0, 3, 5).outcome, AUTOSCALE_REFUSED);
    assert_int_equal(provider_set(p, 1, 1), PR_ENOTFOUND);
}

static void missing_group_is_named_and_the_others_answer(void **state)
{
    struct provider *p = *state;

    provider_tell(p, "{\"set\": {\"groups\": {\"redis-b-pg1\": null}}}");
    assert_int_equal(look(p, 0)->code, PR_OK);
    assert_int_equal(p->report.target[1].code, PR_ENOTFOUND);
    assert_string_equal(p->report.target[1].problem_text,
                        "aws: there is no Auto Scaling group redis-b-pg1 in eu-central-1");
    assert_int_equal(provider_set(p, 1, 1), PR_ENOTFOUND);
    assert_int_equal(provider_settle(p, 1, 0, 1).outcome, AUTOSCALE_REFUSED);
    assert_int_equal(p->gaps, 0);
}

/* A provider that reports what was not asked for. */
static void liars_are_not_believed_to_be_done(void **state)
{
    struct provider *p = *state;

    assert_ok(provider_set(p, 0, 4), &p->err);
    provider_tell(p, "{\"tick\": 1}");
    provider_tell(p, "{\"set\": {\"groups\": {\"redis-a-pg1\": {\"claims\": 9}}}}");
    struct autoscale_settlement s = provider_settle(p, 0, 3, 4);
    assert_int_equal(s.outcome, AUTOSCALE_DIFFERS);
    assert_true(s.alarm);
    assert_non_null(strstr(s.why, "wants 9, we want 4"));

    provider_tell(p, "{\"set\": {\"groups\": {\"redis-a-pg1\": {\"claims\": 4, \"instances\": ["
                     "{\"id\": \"i-1\", \"state\": \"InService\"},"
                     "{\"id\": \"i-2\", \"state\": \"InService\"},"
                     "{\"id\": \"i-3\", \"state\": \"InService\"},"
                     "{\"id\": \"i-4\", \"state\": \"InService\"},"
                     "{\"id\": \"i-5\", \"state\": \"InService\"}]}}}}");
    s = provider_settle(p, 0, 3, 4);
    assert_int_equal(s.outcome, AUTOSCALE_WAITING); /* and EXCESS, once late */
    assert_int_equal(s.has, 5);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_same_order_again_sends_nothing),
        T(done_is_what_is_reported),
        T(named_member_goes_and_no_other),
        T(lost_answers_cost_no_second_member),
        T(number_lowered_by_others_is_not_lowered_again),
        T(stale_plans_are_turned_away),
        T(limits_of_the_group_send_nothing),
        T(members_are_reported_with_place_and_state),
        T(refused_capacity_is_reported_as_such),
        T(capacity_in_part_is_reported_with_numbers),
        T(reasons_that_may_not_be_read_hide_nothing_else),
        T(suspended_and_deleted_groups_say_so),
        T(missing_group_is_named_and_the_others_answer),
        T(liars_are_not_believed_to_be_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
