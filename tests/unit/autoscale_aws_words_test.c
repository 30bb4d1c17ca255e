/* What AWS's answers mean: XML, states, error codes, activities. */
#include "io/actuators/aws_private.h"

#include "prism/io/clock.h"
#include "t.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pr_xml *parse(const char *xml, struct pr_arena *arena)
{
    const struct pr_xml *root = NULL;
    struct pr_err err;

    pr_arena_init(arena, 1 << 20);
    assert_ok(pr_xml_parse(xml, strlen(xml), arena, &root, &err), &err);
    return root;
}

static void tree_is_walked_by_names(void **state)
{
    (void)state;
    struct pr_arena arena;
    const struct pr_xml *x =
        parse("<?xml version='1.0'?><a:R xmlns:a='u'><L>\n <m> one </m><x/><m>t&amp;wo</m></L>"
              "<E><Code>C&#65;</Code></E></a:R>",
              &arena);

    assert_string_equal(x->name, "R");
    const struct pr_xml *m = pr_xml_child(pr_xml_at(x, "L"), "m");
    assert_string_equal(m->text, "one");
    m = pr_xml_next(m);
    assert_string_equal(m->text, "t&wo");
    assert_null(pr_xml_next(m));
    assert_string_equal(pr_xml_text(x, "E/Code"), "CA");
    assert_string_equal(pr_xml_text(x, "E/Cod"), "");
    assert_string_equal(pr_xml_text(x, "E/Code/Deeper"), "");
    assert_string_equal(pr_xml_text(x, "L"), "");
    assert_string_equal(pr_xml_text(NULL, "E"), "");
    assert_null(pr_xml_child(NULL, "m"));
    assert_null(pr_xml_next(NULL));
    pr_arena_done(&arena);
}

static void what_is_no_answer_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *xml, *says;
    } row[] = {
        { "", "no element found" },
        { "<a>", "no element found" },
        { "<a></b>", "mismatched tag" },
        { "{\"json\":1}", "not well-formed" },
        { "<html><body>Bad gateway<br></body></html>", "mismatched tag" },
        { "<a>\xff\xfe</a>", "not well-formed" },
        { "<!DOCTYPE a [<!ENTITY b 'boom'>]><a>&b;</a>", "document type" },
        { "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "document type" },
        { "<a>&b;</a>", "undefined entity" },
    };
    struct pr_arena arena;
    const struct pr_xml *root = NULL;
    struct pr_err err;

    pr_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        assert_int_equal(pr_xml_parse(row[i].xml, strlen(row[i].xml), &arena, &root, &err),
                         PR_EDATA);
        if (strstr(err.text, row[i].says) == NULL)
            fail_msg("row %zu: %s", i, err.text);
    }
    assert_int_equal(pr_xml_parse(NULL, 0, &arena, &root, &err), PR_EDATA);

    char deep[256] = "";
    for (int i = 0; i < 33; i++)
        (void)strcat(deep, "<a>");
    assert_int_equal(pr_xml_parse(deep, strlen(deep), &arena, &root, &err), PR_EDATA);
    assert_non_null(strstr(err.text, "too deep"));
    pr_arena_done(&arena);

    char *large = calloc(1, 4 << 20); /* larger than the arena */
    assert_non_null(large);
    memset(large, 'x', (4 << 20) - 1);
    memcpy(large, "<a>", 3);
    memcpy(large + (4 << 20) - 5, "</a>", 5);
    pr_arena_init(&arena, 1 << 20);
    assert_int_equal(pr_xml_parse(large, strlen(large), &arena, &root, &err), PR_EDATA);
    assert_non_null(strstr(err.text, "too large"));
    pr_arena_done(&arena);
    free(large);
}

static void every_lifecycle_state_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *says;
        enum autoscale_life want;
    } row[] = {
        { "Pending", AUTOSCALE_COMING },
        { "Pending:Wait", AUTOSCALE_COMING },
        { "Pending:Proceed", AUTOSCALE_COMING },
        { "Quarantined", AUTOSCALE_COMING },
        { "InService", AUTOSCALE_IN_SERVICE },
        { "Terminating", AUTOSCALE_LEAVING },
        { "Terminating:Wait", AUTOSCALE_LEAVING },
        { "Terminating:Proceed", AUTOSCALE_LEAVING },
        { "Terminated", AUTOSCALE_GONE },
        { "Detaching", AUTOSCALE_LEAVING },
        { "Detached", AUTOSCALE_GONE },
        { "EnteringStandby", AUTOSCALE_STANDBY },
        { "Standby", AUTOSCALE_STANDBY },
        { "Warmed:Pending:Wait", AUTOSCALE_STANDBY },
        { "Warmed:Stopped", AUTOSCALE_STANDBY },
        { "Warmed:Terminated", AUTOSCALE_STANDBY },
        { "InServiceNot", AUTOSCALE_COMING }, /* of a version to come */
        { "", AUTOSCALE_COMING },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (aws_life(row[i].says) != row[i].want)
            fail_msg("%s is %s", row[i].says, autoscale_life_name(aws_life(row[i].says)));
}

static void error_codes_choose_what_is_done(void **state)
{
    (void)state;
    static const struct {
        const char *name, *message;
        long status;
        enum pr_code code;
        bool again, unsure, refresh;
    } row[] = {
        { "Throttling", "Rate exceeded", 400, PR_EUNAVAIL, true, false, false },
        { "RequestLimitExceeded", "", 503, PR_EUNAVAIL, true, false, false },
        { "ServiceUnavailable", "", 503, PR_EUNAVAIL, true, true, false },
        { "InternalFailure", "", 500, PR_EUNAVAIL, true, true, false },
        { "ResourceContention", "", 500, PR_ECONFLICT, true, false, false },
        { "ScalingActivityInProgress", "", 400, PR_ECONFLICT, true, false, false },
        { "ExpiredToken", "", 403, PR_EDENIED, false, false, true },
        { "InvalidClientTokenId", "", 403, PR_EDENIED, false, false, true },
        { "SignatureDoesNotMatch", "", 403, PR_EDENIED, false, false, false },
        { "AccessDenied", "", 403, PR_EDENIED, false, false, false },
        { "ValidationError", "AutoScalingGroup name not found - x", 400, PR_ENOTFOUND, false, false,
          false },
        { "ValidationError",
          "New SetDesiredCapacity value 12 is above max value 10 for the "
          "AutoScalingGroup.",
          400, PR_EFULL, false, false, false },
        { "ValidationError", "New SetDesiredCapacity value 1 is below min value 3", 400, PR_EFULL,
          false, false, false },
        { "ValidationError", "1 validation error detected", 400, PR_EINVAL, false, false, false },
        { "InvalidAction", "", 400, PR_EINVAL, false, false, false },
        { "", "", 429, PR_EUNAVAIL, true, false, false },
        { "", "", 502, PR_EUNAVAIL, true, true, false },
        { "", "", 401, PR_EDENIED, false, false, false },
        { "Unheard", "", 403, PR_EDENIED, false, false, false },
        { "", "", 404, PR_ENOTFOUND, false, false, false },
        { "", "", 301, PR_EINVAL, false, false, false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct aws_fault *f = aws_fault_of(row[i].name, row[i].message, row[i].status);
        if (f->code != row[i].code || f->again != row[i].again || f->unsure != row[i].unsure ||
            f->refresh != row[i].refresh)
            fail_msg("%s %ld: %s, again %d, unsure %d", row[i].name, row[i].status,
                     pr_code_name(f->code), f->again, f->unsure);
    }
}

static void failures_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *says;
        enum autoscale_problem want;
    } row[] = {
        { "We currently do not have sufficient r6i.4xlarge capacity in the Availability Zone you "
          "requested (us-east-1a). Launching EC2 instance failed.",
          AUTOSCALE_NO_CAPACITY },
        { "InsufficientInstanceCapacity", AUTOSCALE_NO_CAPACITY },
        { "Could not launch Spot Instances. There is no Spot capacity available that matches your "
          "request.",
          AUTOSCALE_NO_CAPACITY },
        { "You have requested more vCPU capacity than your current vCPU limit of 32 allows for "
          "the instance bucket that the specified instance type belongs to.",
          AUTOSCALE_QUOTA },
        { "VcpuLimitExceeded", AUTOSCALE_QUOTA },
        { "The security group 'sg-1' does not exist. Launching EC2 instance failed.",
          AUTOSCALE_OTHER_PROBLEM },
        { "", AUTOSCALE_OTHER_PROBLEM },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(aws_problem(row[i].says), row[i].want);
}

#define ACTIVITY(status, start, message)                                                           \
    "<member><StatusCode>" status "</StatusCode><StartTime>" start                                 \
    "</StartTime><StatusMessage>" message "</StatusMessage><Description>Launching</Description>"   \
    "</member>"

static void only_failures_since_the_order_count(void **state)
{
    (void)state;
    static const struct {
        const char *list, *text;
        enum autoscale_problem want;
    } row[] = {
        { "", "", AUTOSCALE_NO_PROBLEM },
        { ACTIVITY("Successful", "2025-03-01T00:00:01Z", ""), "", AUTOSCALE_NO_PROBLEM },
        { ACTIVITY("Failed", "2025-03-01T00:00:00Z", "no sufficient luck"), "no sufficient luck",
          AUTOSCALE_OTHER_PROBLEM },
        { ACTIVITY("Failed", "2025-02-28T23:59:59.999Z", "old"), "", AUTOSCALE_NO_PROBLEM },
        { ACTIVITY("InProgress", "2025-03-01T00:00:09Z", "")
              ACTIVITY("Failed", "2025-03-01T00:00:08Z", "VcpuLimitExceeded")
                  ACTIVITY("Failed", "2025-03-01T00:00:07Z", "InsufficientInstanceCapacity"),
          "VcpuLimitExceeded", AUTOSCALE_QUOTA }, /* the newest */
        { ACTIVITY("Cancelled", "2025-03-01T00:00:05Z", ""), "Launching", AUTOSCALE_OTHER_PROBLEM },
        { ACTIVITY("Failed", "yesterday", "when?"), "", AUTOSCALE_NO_PROBLEM },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_arena arena;
        struct autoscale_reported r = { 0 };
        char xml[2048];
        (void)snprintf(xml, sizeof xml,
                       "<R><DescribeScalingActivitiesResult><Activities>%s</Activities>"
                       "</DescribeScalingActivitiesResult></R>",
                       row[i].list);
        aws_read_activities(parse(xml, &arena), INT64_C(1740787200000), &r);
        assert_int_equal(r.problem, row[i].want);
        assert_string_equal(r.problem_text, row[i].text);
        pr_arena_done(&arena);
    }
}

static void times_are_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } row[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "2025-03-01T00:00:00Z", INT64_C(1740787200000) },
        { "2024-02-29T23:59:59.500Z", INT64_C(1709251199000) },
        { "2025-03-01T00:00:00+00:00", INT64_C(1740787200000) },
        { "2025-03-01T00:00:00", -1 },
        { "2025-03-01T00:00:00+01:00", -1 },
        { "2025-03-01", -1 },
        { "", -1 },
        { "2025-03-01T00:00:00Zx", -1 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        int64_t ms = -1;
        assert_true(pr_time_parse(row[i].text, &ms) == (row[i].ms >= 0));
        if (row[i].ms >= 0)
            assert_int_equal(ms, row[i].ms);
    }
}

static void parameters_are_encoded(void **state)
{
    (void)state;
    struct aws_question q = { .who = "", .action = "" };

    aws_param(&q, "A", "redis a/b+c&d=\xc3\xbc~_-.9");
    assert_string_equal(q.more.data, "&A=redis%20a%2Fb%2Bc%26d%3D%C3%BC~_-.9");
    pr_buf_done(&q.more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_is_walked_by_names),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(every_lifecycle_state_is_known),
        cmocka_unit_test(error_codes_choose_what_is_done),
        cmocka_unit_test(failures_are_told_apart),
        cmocka_unit_test(only_failures_since_the_order_count),
        cmocka_unit_test(times_are_read_strictly),
        cmocka_unit_test(parameters_are_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
