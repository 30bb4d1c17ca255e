/* The AWS actuator when AWS does not answer as one would wish: throttled, denied, malformed,
 * late, or not at all. */
#include "autoscale_aws_stage.h"

#include "prism/io/clock.h"

#include "t.h"

#include <string.h>

#define THROTTLED "\"status\": 400, \"code\": \"Throttling\", \"message\": \"Rate exceeded\""

/* --- throttling ---------------------------------------------------------------------- */

static void throttled_orders_wait_longer_each_time(void **state)
{
    struct provider *p = *state;
    const struct pr_backoff b = { 200, 10000 };
    enum { TIMES = 6 };

    provider_fault(p, "SetDesiredCapacity", TIMES, THROTTLED);
    assert_ok(provider_set(p, 0, 5), &p->err);
    assert_true(p->sent);
    assert_int_equal(p->gaps, TIMES);
    for (int i = 0; i < TIMES; i++) { /* exactly what the pure function says, for seed 1 */
        assert_int_equal(p->gap[i], pr_backoff_ms(&b, i, 1, 0));
        assert_true(p->gap[i] <= 200 << i);
    }
    assert_true(p->gap[4] + p->gap[5] > p->gap[0] + p->gap[1]);
    const char *log = provider_log(p);
    assert_int_equal(times_said(log, "SetDesiredCapacity"), TIMES + 1);
    assert_int_equal(times_said(log, "DescribeAutoScalingGroups"), 1); /* nothing to look up */

    const int64_t before = p->gap[0];
    provider_fault(p, "SetDesiredCapacity", 1, THROTTLED); /* the next order has gaps of its own */
    assert_ok(provider_set(p, 0, 6), &p->err);
    assert_int_not_equal(p->gap[TIMES], before);
}

static void throttling_without_end_ends_at_the_deadline(void **state)
{
    struct provider *p = *state;

    provider_fault(p, "DescribeAutoScalingGroups", 1000, THROTTLED);
    assert_int_equal(provider_describe(p), PR_EUNAVAIL);
    assert_non_null(strstr(p->err.text, "DescribeAutoScalingGroups: Throttling: Rate exceeded"));
    assert_non_null(strstr(p->err.text, "gave up after"));
    assert_true(p->now_ms > 30000 && p->now_ms < 60000);
    assert_int_equal(p->report.target[0].code, PR_EUNAVAIL);
    struct autoscale_settlement s = provider_settle(p, 0, 3, 5);
    assert_int_equal(s.outcome, AUTOSCALE_UNKNOWN_STATE);
}

static void retry_after_is_waited_and_no_deadline_is_overrun(void **state)
{
    struct provider *p = *state;

    provider_fault(
        p, "SetDesiredCapacity", 1,
        "\"status\": 503, \"code\": \"ServiceUnavailable\", \"headers\": {\"Retry-After\": \"7\"}");
    assert_ok(provider_set(p, 0, 5), &p->err);
    assert_int_equal(p->gaps, 1);
    assert_true(p->gap[0] >= 7000 && p->gap[0] <= 7200);

    provider_fault(
        p, "SetDesiredCapacity", 1,
        "\"status\": 503, \"code\": \"ServiceUnavailable\", \"headers\": {\"Retry-After\": "
        "\"60\"}");
    assert_int_equal(provider_set(p, 0, 6), PR_EUNAVAIL);
    assert_int_equal(p->gaps, 1); /* asked to wait beyond the deadline: not waited at all */
}

static void scaling_in_progress_is_looked_at_again(void **state)
{
    struct provider *p = *state;

    provider_fault(
        p, "SetDesiredCapacity", 2,
        "\"status\": 400, \"code\": \"ScalingActivityInProgress\", \"message\": \"busy\"");
    assert_ok(provider_set(p, 0, 5), &p->err);
    const char *log = provider_log(p);
    assert_int_equal(times_said(log, "SetDesiredCapacity"), 3);
    assert_int_equal(times_said(log, "DescribeAutoScalingGroups"), 3);
}

static void stopping_ends_the_wait(void **state)
{
    struct provider *p = *state;

    p->stop_at = 2;
    provider_fault(p, "SetDesiredCapacity", 100, THROTTLED);
    assert_int_equal(provider_set(p, 0, 5), PR_ECANCELED);
    assert_int_equal(times_said(provider_log(p), "SetDesiredCapacity"), 3);
}

/* --- refusals that no other try mends --------------------------------------------------- */

static void refusals_are_sent_once(void **state)
{
    struct provider *p = *state;
    static const struct {
        const char *what, *says;
        enum pr_code code;
    } row[] = {
        { "\"status\": 400, \"code\": \"ValidationError\", \"message\": \"1 validation error\"",
          "aws group redis-a-pg1: SetDesiredCapacity: ValidationError: 1 validation error",
          PR_EINVAL },
        { "\"status\": 400, \"code\": \"ValidationError\", \"message\": \"New SetDesiredCapacity "
          "value 5 is above max value 4 for the AutoScalingGroup.\"",
          "above max value 4", PR_EFULL },
        { "\"status\": 403, \"code\": \"AccessDenied\", \"message\": \"no\"", "AccessDenied: no",
          PR_EDENIED },
        { "\"status\": 403, \"body\": \"\"", "HTTP status 403", PR_EDENIED },
        { "\"status\": 404, \"body\": \"<html>\"", "HTTP status 404", PR_ENOTFOUND },
        { "\"status\": 301, \"body\": \"\", \"headers\": {\"Location\": \"http://127.0.0.1:1/\"}",
          "HTTP status 301", PR_EINVAL },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        provider_fault(p, "SetDesiredCapacity", 1, row[i].what);
        assert_int_equal(provider_set(p, 0, 5), row[i].code);
        assert_false(p->sent);
        if (strstr(p->err.text, row[i].says) == NULL)
            fail_msg("row %zu: %s", i, p->err.text);
        assert_int_equal(times_said(provider_log(p), "SetDesiredCapacity"), 1);
    }
    assert_int_equal(p->gaps, 0);
}

static void expired_credentials_hold_and_alarm(void **state)
{
    struct provider *p = *state;

    provider_tell(p, "{\"set\": {\"expired\": [\"AKIDEXAMPLE\"]}}");
    assert_int_equal(provider_set(p, 0, 5), PR_EDENIED);
    assert_non_null(strstr(p->err.text, "ExpiredToken: The security token included in the request "
                                        "is expired"));
    assert_int_equal(provider_describe(p), PR_EDENIED);
    assert_int_equal(p->gaps, 0);
    assert_int_equal(times_said(provider_log(p), "403"), 2);
    const struct autoscale_settlement s = provider_settle(p, 0, 3, 5);
    assert_int_equal(s.outcome, AUTOSCALE_REFUSED);
    assert_int_equal(s.code, PR_EDENIED);
    assert_true(s.alarm);
    assert_non_null(strstr(s.why, "ExpiredToken"));
}

static void wrong_signatures_are_refused(void **state)
{
    struct provider *p = *state;
    struct autoscale_provider s = settings_of(p);

    (void)strcpy(s.keys.keys.secret, SECRET "x");
    provider_open(p, &s);
    assert_int_equal(provider_describe(p), PR_EDENIED);
    assert_non_null(strstr(p->err.text, "SignatureDoesNotMatch"));
    assert_null(strstr(p->err.text, "wJalr"));

    s = settings_of(p);
    s.region = "us-east-1";
    provider_open(p, &s);
    assert_int_equal(provider_describe(p), PR_EDENIED);
    assert_non_null(strstr(p->err.text, "SignatureDoesNotMatch"));

    s = settings_of(p);
    (void)strcpy(s.keys.keys.token, "not asked for");
    provider_open(p, &s);
    assert_int_equal(provider_describe(p), PR_EDENIED);
    assert_non_null(strstr(p->err.text, "InvalidClientTokenId"));
    s = settings_of(p);
    provider_open(p, &s);
    assert_ok(provider_describe(p), &p->err);
}

static void session_tokens_and_odd_secrets_are_signed(void **state)
{
    struct provider *p = *state;
    struct autoscale_provider s = settings_of(p);

    memset(s.keys.keys.token, 'T', 2000);
    memcpy(s.keys.keys.token, "FwoGZXIvYXdzE//+==", 18);
    (void)strcpy(s.keys.keys.secret, "a/b+c=d:e@f g%20&");
    provider_tell(p, "{\"set\": {\"secret\": \"a/b+c=d:e@f g%%20&\", \"token\": \"%s\"}}",
                  s.keys.keys.token);
    provider_open(p, &s);
    assert_ok(provider_set(p, 0, 4), &p->err);
    assert_true(p->sent);

    /* Names that have to be encoded, in the body and so in what is signed. */
    (void)strcpy(one_target[0].name, "redis a/b+c&d=\xc3\xbc*~");
    provider_tell(p, "{\"set\": {\"groups\": {\"redis a/b+c&d=\\u00fc*~\": {\"desired\": 1,"
                     "\"instances\": []}}}}");
    s.target = one_target;
    provider_open(p, &s);
    const enum pr_code rc = provider_set(p, 0, 2);
    (void)strcpy(one_target[0].name, "redis-a-pg1");
    assert_ok(rc, &p->err);
    assert_true(p->sent);
}

/* --- pages ---------------------------------------------------------------------------- */

static void many_groups_are_read_page_by_page(void **state)
{
    struct provider *p = *state;
    static struct autoscale_target many[AUTOSCALE_TARGETS];
    struct autoscale_provider s = settings_of(p);

    for (int i = 0; i < AUTOSCALE_TARGETS; i++) {
        many[i] = (struct autoscale_target){ .zone = i % 3, .group = i };
        (void)snprintf(many[i].name, sizeof many[i].name, "group-%02d", i);
        if (i != 70)
            provider_tell(p,
                          "{\"set\": {\"groups\": {\"%s\": {\"desired\": %d,"
                          "\"instances\": []}}}}",
                          many[i].name, i);
    }
    provider_tell(p, "{\"set\": {\"page\": 7}}");
    s.target = many;
    s.targets = AUTOSCALE_TARGETS;
    provider_open(p, &s);
    /* In the middle of it all one page fails: it goes on from there. */
    provider_tell(p, "{\"set\": {\"capacity\": 0}}");
    provider_fault(p, "DescribeScalingActivities", 2, THROTTLED);
    assert_ok(provider_describe(p), &p->err);
    for (int i = 0; i < AUTOSCALE_TARGETS; i++) {
        assert_int_equal(p->report.target[i].code, i == 70 ? PR_ENOTFOUND : PR_OK);
        assert_int_equal(p->report.target[i].desired, i == 70 ? 0 : i);
    }
    const char *log = provider_log(p);
    assert_int_equal(times_said(log, "DescribeAutoScalingGroups"), 8 + 5); /* 50 + 29, by 7 */
    assert_int_equal(times_said(log, "DescribeScalingActivities"), 2 + 78);
    assert_int_equal(p->gaps, 2);
}

static void pages_without_an_end_are_left(void **state)
{
    struct provider *p = *state;

    provider_fault(
        p, "DescribeAutoScalingGroups", 1000,
        "\"status\": 200, \"body\": \"<DescribeAutoScalingGroupsResponse>"
        "<DescribeAutoScalingGroupsResult><AutoScalingGroups/><NextToken>again</NextToken>"
        "</DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>\"");
    assert_int_equal(provider_describe(p), PR_EDATA);
    assert_non_null(strstr(p->err.text, "pages without an end"));
    assert_int_equal(times_said(provider_log(p), "Describe"), 2);
}

/* --- answers that are none --------------------------------------------------------------- */

#define RESULT(inner)                                                                              \
    "\"status\": 200, \"body\": \"<R><DescribeAutoScalingGroupsResult><AutoScalingGroups>" inner   \
    "</AutoScalingGroups></DescribeAutoScalingGroupsResult></R>\""
#define GROUP(inner)                                                                               \
    "<member><AutoScalingGroupName>redis-a-pg1</AutoScalingGroupName>" inner "</member>"
#define SIZES "<MinSize>0</MinSize><MaxSize>9</MaxSize><DesiredCapacity>1</DesiredCapacity>"

static void malformed_answers_change_nothing(void **state)
{
    struct provider *p = *state;
    static const struct {
        const char *what, *says;
    } row[] = {
        { "\"status\": 200, \"body\": \"\"", "not XML" },
        { "\"status\": 200, \"body\": \"<html><body>Sign in<br></body></html>\"", "not XML" },
        { "\"status\": 200, \"body\": \"<html><body>Sign in</body></html>\"",
          "an answer without groups" },
        { "\"status\": 200, \"body\": \"{\\\"a\\\": 1}\"", "not XML" },
        { "\"status\": 200, \"body\": \"<R><DescribeAutoScalingGroupsResult><AutoScal\"",
          "not XML" },
        { RESULT(GROUP("")), "is no number" },
        { RESULT(GROUP("<MinSize>0</MinSize><MaxSize>9</MaxSize>"
                       "<DesiredCapacity>many</DesiredCapacity>")),
          "is no number" },
        { RESULT(GROUP("<MinSize>0</MinSize><MaxSize>9</MaxSize>"
                       "<DesiredCapacity>-1</DesiredCapacity>")),
          "is no number" },
        { RESULT(GROUP("<MinSize>0</MinSize><MaxSize>99999999999999999999</MaxSize>"
                       "<DesiredCapacity>1</DesiredCapacity>")),
          "is no number" },
        { RESULT(GROUP(SIZES) GROUP(SIZES)), "described twice" },
        { RESULT(GROUP(SIZES "<Instances><member><InstanceId>i-1</InstanceId></member>"
                             "</Instances>")),
          "without InstanceId or LifecycleState" },
        { RESULT(GROUP(SIZES "<Instances>"
                             "<member><InstanceId>i-1</InstanceId><LifecycleState>InService"
                             "</LifecycleState></member>"
                             "<member><InstanceId>i-1</InstanceId><LifecycleState>InService"
                             "</LifecycleState></member></Instances>")),
          "i-1 is listed twice" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        provider_fault(p, "DescribeAutoScalingGroups", 1, row[i].what);
        assert_int_equal(provider_set(p, 0, 5), PR_EDATA);
        if (strstr(p->err.text, row[i].says) == NULL || strncmp(p->err.text, "aws", 3) != 0)
            fail_msg("row %zu: %s", i, p->err.text);
        const char *log = provider_log(p);
        assert_int_equal(times_said(log, "SetDesired"), 0);
        assert_int_equal(times_said(log, "Describe"), 1);
    }
    provider_fault(p, "DescribeAutoScalingGroups", 1, row[0].what);
    assert_int_equal(provider_settle(p, 0, 3, 5).outcome, AUTOSCALE_UNKNOWN_STATE);

    /* Of an order: it may have arrived, and is given again by whoever wants it. */
    provider_fault(p, "SetDesiredCapacity", 1,
                   "\"status\": 200, \"perform\": true, \"body\": \"<oops\"");
    assert_int_equal(provider_set(p, 0, 5), PR_EDATA);
    assert_true(p->sent);
    assert_ok(provider_set(p, 0, 5), &p->err);
    assert_false(p->sent);
}

static void late_answers_are_not_waited_for(void **state)
{
    struct provider *p = *state;
    struct autoscale_provider s = settings_of(p);

    s.pace.timeout_ms = 120;
    s.pace.deadline_ms = 1500; /* of the test's clock */
    provider_open(p, &s);
    provider_fault(p, "DescribeAutoScalingGroups", 1000, "\"stall\": true");
    const int64_t begin_us = pr_mono_us();
    assert_int_equal(provider_describe(p), PR_ETIMEOUT);
    assert_true(pr_mono_us() - begin_us >= 120000 * (int64_t)(p->gaps + 1));
    assert_true(p->gaps >= 2);
    assert_non_null(strstr(p->err.text, "127.0.0.1: no answer in "));

    /* An order whose answer is late was carried out: the next look shows it. */
    provider_stop(p);
    assert_int_equal(aws_setup(state), 0);
    p = *state;
    s = settings_of(p);
    s.pace.timeout_ms = 1000;
    provider_open(p, &s);
    provider_fault(p, "SetDesiredCapacity", 1, "\"stall\": true, \"perform\": true");
    assert_ok(provider_set(p, 0, 5), &p->err);
    assert_true(p->sent);
    assert_int_equal(times_said(provider_log(p), "SetDesired"), 1);
}

static void nobody_there_is_unavailable(void **state)
{
    struct provider *p = *state;
    struct autoscale_provider s = settings_of(p);

    s.endpoint = "http://127.0.0.1:1"; /* nobody listens on tcpmux */
    provider_open(p, &s);
    assert_int_equal(provider_set(p, 0, 5), PR_EUNAVAIL);
    assert_false(p->sent);
    assert_non_null(strstr(p->err.text, "127.0.0.1"));
    assert_true(p->gaps > 5);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, aws_setup, aws_teardown)
    const struct CMUnitTest tests[] = {
        T(throttled_orders_wait_longer_each_time),
        T(throttling_without_end_ends_at_the_deadline),
        T(retry_after_is_waited_and_no_deadline_is_overrun),
        T(scaling_in_progress_is_looked_at_again),
        T(stopping_ends_the_wait),
        T(refusals_are_sent_once),
        T(expired_credentials_hold_and_alarm),
        T(wrong_signatures_are_refused),
        T(session_tokens_and_odd_secrets_are_signed),
        T(many_groups_are_read_page_by_page),
        T(pages_without_an_end_are_left),
        T(malformed_answers_change_nothing),
        T(late_answers_are_not_waited_for),
        T(nobody_there_is_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
