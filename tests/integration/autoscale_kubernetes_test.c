/* The Kubernetes actuator: orders by the scale subresource, and what is reported of them. */
#include "autoscale_kube_stage.h"

#include "t.h"

#include <string.h>

/* --- orders ---------------------------------------------------------------------------- */

static void the_same_order_again_sends_nothing(void **state)
{
    struct provider *p = *state;

    assert_ok(provider_set(p, PROXY, 4), &p->err);
    assert_true(p->sent);
    assert_non_null(strstr(provider_log(p),
                           "PATCH scale prism/deployments/proxy-a/scale "
                           "{\"metadata\":{\"resourceVersion\":\"7\"},\"spec\":{\"replicas\":4}} "
                           "200"));
    assert_ok(provider_set(p, PROXY, 4), &p->err);
    assert_false(p->sent);
    assert_int_equal(times_said(provider_log(p), "PATCH"), 0);

    struct autoscale_settlement s = provider_settle(p, PROXY, 2, 4);
    assert_int_equal(s.outcome, AUTOSCALE_WAITING);
    assert_int_equal(s.has, 2);
    provider_tell(p, "{\"tick\": 1}");
    assert_int_equal(provider_settle(p, PROXY, 2, 4).outcome, AUTOSCALE_DONE);
}

/* spec.replicas is left out when it is 0. */
static void nothing_at_all_is_a_number(void **state)
{
    struct provider *p = *state;

    assert_ok(provider_set(p, PROXY, 0), &p->err);
    assert_true(p->sent);
    assert_ok(provider_set(p, PROXY, 0), &p->err);
    assert_false(p->sent);
    assert_int_equal(provider_settle(p, PROXY, 2, 0).outcome, AUTOSCALE_WAITING);
    provider_tell(p, "{\"tick\": 1}");
    assert_int_equal(provider_settle(p, PROXY, 2, 0).outcome, AUTOSCALE_DONE);
    assert_ok(provider_set(p, PROXY, 1), &p->err);
    assert_true(p->sent);
}

static void conflicts_are_read_again(void **state)
{
    struct provider *p = *state;

    provider_fault(p, "PATCH scale", 2,
                   "\"status\": 409, \"code\": \"Conflict\", \"message\": \"modified\"");
    assert_ok(provider_set(p, PROXY, 4), &p->err);
    const char *log = provider_log(p);
    assert_int_equal(times_said(log, "GET scale"), 3);
    assert_int_equal(times_said(log, "PATCH scale"), 3);
    assert_int_equal(p->gaps, 2);

    /* Somebody else ordered the same meanwhile: nothing is left to send. */
    provider_tell(p, "{\"fault\": {\"match\": \"PATCH scale\", \"status\": 409, \"perform\": true,"
                     "\"code\": \"Conflict\"}}");
    assert_ok(provider_set(p, PROXY, 6), &p->err);
    assert_false(p->sent);
    assert_int_equal(times_said(provider_log(p), "PATCH scale"), 1);
}

static void lost_answers_are_looked_up(void **state)
{
    struct provider *p = *state;
    static const char *const HOW[] = { "\"drop\": true", "\"status\": 500", "\"status\": 504",
                                       "\"status\": 502, \"body\": \"<html>\"" };

    for (int i = 0; i < 4; i++) {
        provider_tell(p, "{\"fault\": {\"match\": \"PATCH scale\", \"perform\": true, %s}}",
                      HOW[i]);
        assert_ok(provider_set(p, PROXY, 10 + i), &p->err);
        assert_true(p->sent);
        assert_int_equal(times_said(provider_log(p), "PATCH scale"), 1);
    }
}

/* --- who goes ---------------------------------------------------------------------------- */

static void numbered_sets_lose_their_last_alone(void **state)
{
    struct provider *p = *state;

    assert_int_equal(p->actuator->can(p->actuator, REDIS),
                     AUTOSCALE_CAN_ACT | AUTOSCALE_CAN_TERMINATE_LAST);
    assert_int_equal(provider_terminate(p, REDIS, "redis-b-1", 2), PR_ECONFLICT);
    assert_non_null(strstr(p->err.text, "redis-b-2 goes first, not redis-b-1"));
    assert_int_equal(provider_terminate(p, REDIS, "redis-b-10", 2), PR_ECONFLICT);
    assert_int_equal(provider_terminate(p, REDIS, "redis-b-2x", 2), PR_ECONFLICT);
    assert_int_equal(provider_terminate(p, REDIS, "redis-b-2", 1), PR_ECONFLICT);
    assert_non_null(strstr(p->err.text, "wants 3 members, expected 2 or 1"));
    assert_int_equal(times_said(provider_log(p), "PATCH"), 0);

    assert_ok(provider_terminate(p, REDIS, "redis-b-2", 2), &p->err);
    assert_true(p->sent);
    /* The pod is still there; the order is given all the same. */
    assert_ok(provider_terminate(p, REDIS, "redis-b-2", 2), &p->err);
    assert_false(p->sent);
    assert_int_equal(times_said(provider_log(p), "PATCH"), 1);

    provider_tell(p, "{\"tick\": 1}");
    provider_tell(p, "{\"set\": {\"forbidden\": [\"GET pods\"]}}"); /* then by the number alone */
    assert_int_equal(provider_terminate(p, REDIS, "redis-b-0", 1), PR_ECONFLICT);
    assert_ok(provider_terminate(p, REDIS, "redis-b-1", 1), &p->err);
}

static void deployments_lose_the_marked_pod(void **state)
{
    struct provider *p = *state;

    assert_int_equal(p->actuator->can(p->actuator, PROXY),
                     AUTOSCALE_CAN_ACT | AUTOSCALE_CAN_TERMINATE);
    assert_ok(provider_terminate(p, PROXY, "proxy-a-x1", 1), &p->err);
    assert_true(p->sent);
    const char *log = provider_log(p);
    assert_non_null(strstr(log, "PATCH pod prism/pods/proxy-a-x1 {\"metadata\":{\"annotations\":"
                                "{\"controller.kubernetes.io/pod-deletion-cost\":"
                                "\"-2147483648\",\"prism/leaves\":\"pool/1\"}}} 200"));
    assert_int_equal(times_said(log, "PATCH scale"), 1);
    provider_tell(p, "{\"tick\": 1}");
    assert_ok(provider_describe(p), &p->err);
    assert_null(autoscale_report_find(&p->report, PROXY, "proxy-a-x1"));
    assert_non_null(autoscale_report_find(&p->report, PROXY, "proxy-a-x2"));
    (void)provider_log(p);
    assert_ok(provider_terminate(p, PROXY, "proxy-a-x1", 1), &p->err);
    assert_false(p->sent);
    assert_int_equal(times_said(provider_log(p), "PATCH"), 0);
}

static void marks_that_would_not_help_are_not_made(void **state)
{
    struct provider *p = *state;

    assert_int_equal(provider_terminate(p, PROXY, "proxy-a-x3", 1), PR_ECONFLICT);
    assert_non_null(strstr(p->err.text, "proxy-a-x3 is not there"));
    assert_int_equal(provider_terminate(p, PROXY, "../../secrets/x", 1), PR_EINVAL);
    provider_tell(p, "{\"set\": {\"objects\": {\"deployments/proxy-a\": {\"pods\": ["
                     "{\"name\": \"proxy-a-x1\"},"
                     "{\"name\": \"proxy-a-x2\", \"ready\": false}]}}}}");
    assert_int_equal(provider_terminate(p, PROXY, "proxy-a-x1", 1), PR_ECONFLICT);
    assert_non_null(strstr(p->err.text, "proxy-a-x2 is not ready and would go first"));
    provider_tell(p, "{\"set\": {\"forbidden\": [\"GET pods\"]}}");
    assert_int_equal(provider_terminate(p, PROXY, "proxy-a-x1", 1), PR_EDENIED);
    provider_tell(p, "{\"set\": {\"forbidden\": [\"PATCH pod\"]}}");
    assert_int_equal(provider_terminate(p, PROXY, "proxy-a-x2", 1), PR_EDENIED);
    assert_int_equal(times_said(provider_log(p), "PATCH scale"), 0);
}

/* Marked, and then the number could not be lowered: whoever gives that up takes the mark away. */
static void mark_of_an_order_that_was_given_up_is_undone(void **state)
{
    struct provider *p = *state;

    provider_fault(p, "PATCH scale", 1, "\"status\": 403, \"code\": \"Forbidden\"");
    assert_int_equal(provider_terminate(p, PROXY, "proxy-a-x1", 1), PR_EDENIED);
    assert_ok(provider_describe(p), &p->err);
    assert_true(autoscale_report_find(&p->report, PROXY, "proxy-a-x1")->marked);
    assert_false(autoscale_report_find(&p->report, PROXY, "proxy-a-x2")->marked);
    (void)provider_log(p);
    assert_ok(p->actuator->keep(p->actuator, PROXY, "proxy-a-x1", &p->err), &p->err);
    assert_non_null(strstr(provider_log(p),
                           "PATCH pod prism/pods/proxy-a-x1 {\"metadata\":{\"annotations\":"
                           "{\"controller.kubernetes.io/pod-deletion-cost\":null,"
                           "\"prism/leaves\":null}}} 200"));
    assert_ok(provider_describe(p), &p->err);
    assert_false(autoscale_report_find(&p->report, PROXY, "proxy-a-x1")->marked);
    assert_ok(p->actuator->keep(p->actuator, PROXY, "proxy-a-x9", &p->err), &p->err); /* gone */
}

/* Another installation has settings of the same workload: what it marked is not ours to undo. */
static void mark_of_somebody_else_is_not_ours(void **state)
{
    struct provider *p = *state;
    static const struct {
        const char *owner;
        bool ours;
    } row[] = { { "pool/1", true }, { "pool/2", false }, { "pool", false }, { "true", false } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        provider_tell(p,
                      "{\"set\": {\"objects\": {\"deployments/proxy-a\": {\"replicas\": 1, "
                      "\"pods\": [{\"name\": \"a\", \"annotations\": {\"prism/leaves\": "
                      "\"%s\"}}]}}}}",
                      row[i].owner);
        assert_ok(provider_describe(p), &p->err);
        assert_int_equal(autoscale_report_find(&p->report, PROXY, "a")->marked, row[i].ours);
    }
    struct autoscale_provider nobody_s = settings_of(p);
    struct autoscale_actuator *a = NULL;
    nobody_s.owner = "";
    assert_int_equal(autoscale_actuator_open(&nobody_s, &a, &p->err), PR_EINVAL);
}

/* A pod that will never be ready has failed: it is not waited for, and leaves before others. */
static void pod_that_does_not_come_up_has_failed(void **state)
{
    struct provider *p = *state;
    static const struct {
        const char *what;
        bool failed;
    } row[] = {
        { "\"waiting\": \"CrashLoopBackOff\"", true },
        { "\"waiting\": \"ImagePullBackOff\", \"phase\": \"Pending\"", true },
        { "\"waiting\": \"ContainerCreating\", \"phase\": \"Pending\"", false },
        { "\"restarts\": 2, \"ended\": 5", false }, /* it may have waited for others */
        { "\"restarts\": 3, \"ended\": 5", true },
        /* Long ago, or after a long run: it is not ready now for another reason. */
        { "\"restarts\": 30, \"ended\": 590", true },
        { "\"restarts\": 30, \"ended\": 86400", false },
        { "\"restarts\": 3, \"ended\": 5, \"ran\": 590", true },
        { "\"restarts\": 3, \"ended\": 5, \"ran\": 86400", false },
        { "\"restarts\": 3", false },
        { "\"waiting\": \"CrashLoopBackOff\", \"restarts\": 3, \"ended\": 5", true },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        provider_tell(p,
                      "{\"set\": {\"objects\": {\"deployments/proxy-a\": {\"replicas\": 2, "
                      "\"pods\": [{\"name\": \"a\"}, {\"name\": \"b\", \"ready\": false, "
                      "%s}]}}}}",
                      row[i].what);
        assert_ok(provider_describe(p), &p->err);
        assert_int_equal(p->report.target[PROXY].unhealthy, row[i].failed);
        assert_int_equal(p->report.target[PROXY].coming, !row[i].failed);
        assert_int_equal(provider_terminate(p, PROXY, "a", 1), PR_ECONFLICT);
    }
    assert_ok(provider_terminate(p, PROXY, "b", 1), &p->err);
    assert_true(p->sent);
}

/* Unassigned before assigned, Pending before Running, not ready before ready: a mark tells apart
 * none but equals. */
static void pod_that_would_go_sooner_is_not_passed_over(void **state)
{
    struct provider *p = *state;
    static const char crashed[] = "\"ready\": false, \"waiting\": \"CrashLoopBackOff\"";
    static const struct {
        const char *other;
        bool sooner;
    } row[] = {
        { "\"ready\": false, \"phase\": \"Pending\", \"node\": \"\"", true },
        { "\"ready\": false, \"phase\": \"Pending\"", true },
        { "\"ready\": false, \"waiting\": \"ImagePullBackOff\", \"phase\": \"Pending\"", true },
        { "\"ready\": false, \"phase\": \"Unknown\"", true },
        { "\"ready\": false", false },
        { "\"ready\": false, \"waiting\": \"CrashLoopBackOff\"", false },
        { "\"ready\": false, \"phase\": \"Pending\", \"deleting\": true", false },
        { "\"ready\": true", false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        provider_tell(
            p,
            "{\"set\": {\"objects\": {\"deployments/proxy-a\": {\"replicas\": 2, "
            "\"version\": 7, \"pods\": [{\"name\": \"a\", %s}, {\"name\": \"b\", %s}]}}}}",
            crashed, row[i].other);
        const enum pr_code rc = provider_terminate(p, PROXY, "a", 1);
        if (rc != (row[i].sooner ? PR_ECONFLICT : PR_OK) ||
            (row[i].sooner && strstr(p->err.text, "b is not ready and would go first") == NULL))
            fail_msg("row %zu: %d %s", i, (int)rc, rc == PR_OK ? "" : p->err.text);
    }
}

/* --- what is reported --------------------------------------------------------------------- */

static void pods_are_reported_with_node_and_readiness(void **state)
{
    struct provider *p = *state;

    provider_tell(p,
                  "{\"set\": {\"page\": 2, \"objects\": {\"deployments/proxy-a\": {\"replicas\": 5,"
                  "\"pods\": [{\"name\": \"a\"}, {\"name\": \"b\", \"ready\": false},"
                  "{\"name\": \"c\", \"phase\": \"Pending\", \"ready\": false, \"node\": \"\","
                  "\"unschedulable\": \"0/6 nodes are available: 6 Insufficient memory.\"},"
                  "{\"name\": \"d\", \"deleting\": true},"
                  "{\"name\": \"e\", \"phase\": \"Failed\", \"ready\": false}]}}}}");
    assert_ok(provider_describe(p), &p->err);
    const struct autoscale_reported *r = &p->report.target[PROXY];
    assert_int_equal(r->desired, 5);
    assert_int_equal(r->max, -1);
    assert_int_equal(r->in_service, 1);
    assert_int_equal(r->coming, 2);
    assert_int_equal(r->leaving, 1);
    assert_true(r->members_known);
    assert_int_equal(r->problem, AUTOSCALE_NO_CAPACITY);
    assert_string_equal(r->problem_text, "c: 0/6 nodes are available: 6 Insufficient memory.");
    assert_int_equal(p->report.instances, 4 + 3);
    assert_string_equal(p->report.instance[5].place, "n2");
    assert_int_equal(times_said(provider_log(p), "GET pods"), 3 + 2);

    struct autoscale_settlement s = provider_settle(p, PROXY, 2, 5);
    assert_int_equal(s.outcome, AUTOSCALE_WAITING);
    assert_non_null(strstr(s.why, "meanwhile: c: 0/6 nodes"));
}

/* What is younger than its readings is for the policy to say. */
static void pods_are_reported_with_their_times(void **state)
{
    struct provider *p = *state;

    provider_tell(p, "{\"set\": {\"objects\": {\"deployments/proxy-a\": {\"replicas\": 4,"
                     "\"pods\": [{\"name\": \"a\", \"started\": \"2026-11-21T10:00:00Z\","
                     "\"ready_since\": \"2026-11-21T10:00:07Z\"},"
                     "{\"name\": \"b\", \"ready\": false, \"started\": \"2026-11-21T10:00:00Z\"},"
                     "{\"name\": \"c\", \"started\": \"yesterday\", \"ready_since\": \"\"},"
                     "{\"name\": \"d\", \"phase\": \"Pending\", \"ready\": false}]}}}}");
    assert_ok(provider_describe(p), &p->err);
    static const struct {
        int64_t started_ms, ready_since_ms;
    } WANT[] = { { 1795255200000, 1795255207000 }, { 1795255200000, 0 }, { 0, 0 }, { 0, 0 } };
    for (size_t i = 0; i < PR_COUNT(WANT); i++) {
        assert_int_equal(p->report.instance[i].started_ms, WANT[i].started_ms);
        assert_int_equal(p->report.instance[i].ready_since_ms, WANT[i].ready_since_ms);
    }
}

static void capacity_in_part_is_reported_with_numbers(void **state)
{
    struct provider *p = *state;

    provider_tell(p, "{\"set\": {\"objects\": {\"deployments/proxy-a\": {\"replicas\": 5,"
                     "\"pods\": [{\"name\": \"a\"}, {\"name\": \"b\"}, {\"name\": \"c\"}],"
                     "\"conditions\": [{\"type\": \"Available\", \"status\": \"True\"},"
                     "{\"type\": \"ReplicaFailure\", \"status\": \"True\", \"message\":"
                     "\"pods are forbidden: exceeded quota: compute\"}]}}}}");
    struct autoscale_settlement s = provider_settle(p, PROXY, 2, 5);
    assert_int_equal(s.outcome, AUTOSCALE_PARTIAL);
    assert_int_equal(s.has, 3);
    assert_int_equal(s.missing, 2);
    assert_int_equal(p->report.target[PROXY].problem, AUTOSCALE_QUOTA);
    assert_non_null(strstr(s.why, "exceeded quota: compute"));
    assert_int_equal(provider_settle(p, PROXY, 3, 5).outcome, AUTOSCALE_REFUSED);
    provider_tell(p, "{\"set\": {\"forbidden\": [\"GET object\"]}}");
    assert_int_equal(provider_settle(p, PROXY, 3, 5).outcome, AUTOSCALE_WAITING);
}

static void without_leave_to_list_pods_counts_remain(void **state)
{
    struct provider *p = *state;

    provider_tell(p, "{\"set\": {\"forbidden\": [\"GET pods\"]}}");
    struct autoscale_settlement s = provider_settle(p, REDIS, 2, 3);
    assert_int_equal(s.outcome, AUTOSCALE_DONE);
    assert_non_null(strstr(s.why, "ready is not known"));
    assert_int_equal(p->report.instances, 0);
}

static void one_objects_trouble_is_its_own(void **state)
{
    struct provider *p = *state;

    provider_tell(p, "{\"set\": {\"objects\": {\"deployments/proxy-a\": null}}}");
    assert_ok(provider_describe(p), &p->err);
    assert_int_equal(p->report.target[PROXY].code, PR_ENOTFOUND);
    assert_non_null(
        strstr(p->report.target[PROXY].problem_text, "deployments.apps \"proxy-a\" not found"));
    assert_int_equal(p->report.target[REDIS].in_service, 3);
    assert_int_equal(provider_set(p, PROXY, 3), PR_ENOTFOUND);

    provider_fault(p, "GET scale", 2, "\"status\": 403, \"code\": \"Forbidden\"");
    assert_int_equal(provider_describe(p), PR_EDENIED); /* nobody answered */
}

/* A server that answers with another number than it was asked for, or reports other ones. */
static void liars_are_found_out(void **state)
{
    struct provider *p = *state;

    provider_tell(p, "{\"set\": {\"objects\": {\"deployments/proxy-a\": {\"forces\": 9}}}}");
    assert_int_equal(provider_set(p, PROXY, 4), PR_EDATA);
    assert_true(p->sent);
    assert_non_null(strstr(p->err.text, "4 replicas asked for, the answer says 9"));
    struct autoscale_settlement s = provider_settle(p, PROXY, 2, 4);
    assert_int_equal(s.outcome, AUTOSCALE_DIFFERS);
    assert_true(s.alarm);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, kube_setup, kube_teardown)
    const struct CMUnitTest tests[] = {
        T(the_same_order_again_sends_nothing),
        T(nothing_at_all_is_a_number),
        T(conflicts_are_read_again),
        T(lost_answers_are_looked_up),
        T(numbered_sets_lose_their_last_alone),
        T(deployments_lose_the_marked_pod),
        T(marks_that_would_not_help_are_not_made),
        T(mark_of_an_order_that_was_given_up_is_undone),
        T(mark_of_somebody_else_is_not_ours),
        T(pod_that_does_not_come_up_has_failed),
        T(pod_that_would_go_sooner_is_not_passed_over),
        T(pods_are_reported_with_node_and_readiness),
        T(pods_are_reported_with_their_times),
        T(capacity_in_part_is_reported_with_numbers),
        T(without_leave_to_list_pods_counts_remain),
        T(one_objects_trouble_is_its_own),
        T(liars_are_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
