/* Plans that change the fleet: metadata-api against real PostgreSQL and NATS. Rows of the rebalance
 * service are made here. Steps are api_steps_test.c, standing orders and pins api_policy_test.c. */
#include "api_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct reply r;

static const char *problem_field(void)
{
    const char *s = json_string_value(json_object_get(r.j, "field"));
    return s == NULL ? "" : s;
}

static long long create_plan(const char *body)
{
    api_call(&r, "operator", "POST", "/v1/rebalance/plans", body, NULL);
    assert_status(&r, 202);
    return api_int(&r, "id");
}

static void post_verb(long long id, const char *verb, int status)
{
    char path[100];
    snprintf(path, sizeof path, "/v1/rebalance/plans/%lld:%s", id, verb);
    api_call(&r, "operator", "POST", path, NULL, "If-Match: *");
    assert_status(&r, status);
}

/* --- making plans ------------------------------------------------------------- */

static void a_fleet_plan_is_stored_as_the_planner_reads_it(void **state)
{
    (void)state;
    const long long id =
        create_plan("{\"goal\":{\"kind\":\"drain\",\"nodes\":[\"n3\",\"n6\"]},\"params\":{"
                    "\"allowBigKeys\":true,"
                    "\"allowNoReplicas\":false,\"maxBytes\":5e9,\"maxSlots\":100,\"pairs\":2}}");
    assert_string_equal(api_str(&r, "kind"), "fleet");
    assert_string_equal(api_str(&r, "state"), "pending");
    assert_true(json_is_null(json_object_get(r.j, "runId")));
    assert_string_equal(
        api_sql("SELECT concat_ws(' ', kind, run_id, goal->>'kind', goal->'nodes'->>1, "
                "params->>'allow_big_keys', params->>'allow_no_replicas', "
                "(params->>'max_bytes')::float8::bigint, params->>'max_slots', params->>'pairs') "
                "FROM plans WHERE id = %lld",
                id),
        "fleet drain n6 true false 5000000000 100 2");
    assert_string_equal(api_sql("SELECT kind || o.state FROM operations o WHERE resource = "
                                "'rebalance/plans/%lld'",
                                id),
                        "rebalance.planpending");
    assert_string_equal(api_sql("SELECT count(*) FROM outbox WHERE subject = "
                                "'prism.cmd.rebalance.plan' AND encode(payload, 'hex') LIKE "
                                "'08' || lpad(to_hex(%lld), 2, '0') || '%%'",
                                id),
                        "1");
    assert_string_equal(api_sql("SELECT principal || (after->'goal'->>'kind') FROM audit WHERE "
                                "resource = 'rebalance/plans/%lld'",
                                id),
                        "operatordrain");
}

static void a_request_that_cannot_be_is_refused_by_its_field(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int status;
        const char *field; /* in the problem's text or its field */
    } row[] = {
        { "{}", 400, "runId" },
        { "{\"runId\":1,\"goal\":{\"kind\":\"balance\"}}", 400, "goal" },
        { "{\"goal\":\"balance\"}", 400, "goal" },
        { "{\"goal\":{}}", 400, "goal.kind" },
        { "{\"goal\":{\"kind\":\"shrink\"}}", 400, "goal.kind" },
        { "{\"goal\":{\"kind\":\"join\"}}", 400, "goal.nodes" },
        { "{\"goal\":{\"kind\":\"join\",\"nodes\":\"n1\"}}", 400, "goal.nodes" },
        { "{\"goal\":{\"kind\":\"join\",\"nodes\":[1]}}", 400, "goal.nodes[0]" },
        { "{\"goal\":{\"kind\":\"join\",\"nodes\":[\"n1\",\"n1\"]}}", 400, "goal.nodes[1]" },
        { "{\"goal\":{\"kind\":\"join\",\"nodes\":[\"n1\"],\"speed\":9}}", 400, "goal.speed" },
        { "{\"goal\":{\"kind\":\"assign\",\"groups\":[\"0-5\",\"5\"]}}", 400, "goal.groups[1]" },
        { "{\"goal\":{\"kind\":\"balance\"},\"params\":{\"workers\":3}}", 400, "params.workers" },
        { "{\"goal\":{\"kind\":\"balance\"},\"params\":{\"pairs\":0}}", 400, "params.pairs" },
        { "{\"goal\":{\"kind\":\"balance\"},\"params\":{\"allowBigKeys\":1}}", 400,
          "params.allowBigKeys" },
        { "{\"runId\":1,\"params\":{\"pairs\":1}}", 400, "params.pairs" },
        { "{\"goal\":{\"kind\":\"drain\",\"nodes\":[\"n1\",\"n99\"]}}", 404, "goal.nodes[1]" },
        { "{\"goal\":{\"kind\":\"replace\",\"node\":\"n98\",\"with\":\"n1\"}}", 404, "goal.node" },
        { "{\"goal\":{\"kind\":\"replace\",\"node\":\"n1\",\"with\":\"n97\"}}", 404, "goal.with" },
        { "{\"goal\":{\"kind\":\"move-replica\",\"node\":\"n4\",\"shard\":\"n4\"}}", 404,
          "goal.shard" },
    };
    char before[32];
    snprintf(before, sizeof before, "%s", api_sql("SELECT count(*) FROM plans"));
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        api_call(&r, "operator", "POST", "/v1/rebalance/plans", row[i].body, NULL);
        if (r.status != row[i].status || strstr(r.text, row[i].field) == NULL)
            fail_msg("%s: status %ld, %s", row[i].body, r.status, r.text);
        if (r.status == 404)
            assert_string_equal(problem_field(), row[i].field);
    }
    assert_string_equal(api_sql("SELECT count(*) FROM plans"), before);
    api_call(&r, "viewer", "POST", "/v1/rebalance/plans", "{\"goal\":{\"kind\":\"balance\"}}",
             NULL);
    assert_status(&r, 403);
}

static void a_dry_run_and_the_same_key_again_make_one_plan_at_most(void **state)
{
    (void)state;
    static const char body[] = "{\"goal\":{\"kind\":\"failback\"}}";
    char before[32];
    snprintf(before, sizeof before, "%s", api_sql("SELECT count(*) FROM plans"));
    api_call(&r, "operator", "POST", "/v1/rebalance/plans?dryRun=true", body, NULL);
    assert_status(&r, 200);
    assert_true(json_is_true(json_object_get(r.j, "dryRun")));
    assert_string_equal(api_sql("SELECT count(*) FROM plans"), before);
    api_call(&r, "operator", "POST", "/v1/rebalance/plans", body, "Idempotency-Key: fleet-1");
    assert_status(&r, 202);
    const long long id = api_int(&r, "id");
    api_call(&r, "operator", "POST", "/v1/rebalance/plans", body, "Idempotency-Key: fleet-1");
    assert_status(&r, 202);
    assert_int_equal(api_int(&r, "id"), id);
    assert_int_equal(atoll(api_sql("SELECT count(*) FROM plans")), atoll(before) + 1);
}

static void plans_are_listed_by_kind(void **state)
{
    (void)state;
    api_balance_plan(&r);
    api_sql("INSERT INTO placement_runs (operation_id, state, source, created_by) VALUES "
            "(gen_random_uuid(), 'done', '{}', 'it')");
    char body[64];
    snprintf(body, sizeof body, "{\"runId\":%s}", api_sql("SELECT max(id) FROM placement_runs"));
    create_plan(body);
    static const char *const kinds[] = { "fleet", "vertices" };
    for (size_t k = 0; k < PR_COUNT(kinds); k++) {
        char path[100];
        snprintf(path, sizeof path, "/v1/rebalance/plans?kind=%s", kinds[k]);
        api_call(&r, "viewer", "GET", path, NULL, NULL);
        assert_status(&r, 200);
        const json_t *items = json_object_get(r.j, "items"), *item;
        size_t i;
        assert_true(json_array_size(items) > 0);
        json_array_foreach(items, i, item)
            assert_string_equal(json_string_value(json_object_get(item, "kind")), kinds[k]);
    }
}

/* --- approving, stopping ---------------------------------------------------------- */

static void an_approved_plan_waits_until_it_is_executed(void **state)
{
    (void)state;
    char path[100], if_match[100];
    const long long id = api_balance_plan(&r), other = api_balance_plan(&r);
    post_verb(id, "approve", 409); /* not proposed yet */
    api_sql("UPDATE plans SET state = 'proposed' WHERE id IN (%lld, %lld)", id, other);
    api_look_at_plan(&r, id, "", 200);
    snprintf(if_match, sizeof if_match, "If-Match: %s", r.etag);
    snprintf(path, sizeof path, "/v1/rebalance/plans/%lld:approve", id);
    api_sql("UPDATE plans SET fingerprint = 'changed' WHERE id = %lld", id);
    api_call(&r, "operator", "POST", path, NULL, if_match);
    assert_status(&r, 412); /* not as it was read */

    post_verb(id, "approve", 200);
    assert_string_equal(api_str(&r, "state"), "approved");
    assert_string_equal(api_str(&r, "approvedBy"), "operator");
    assert_true(json_is_null(json_object_get(r.j, "executeOperationId")));
    post_verb(id, "approve", 409);

    post_verb(other, "execute", 202); /* one that waits is not in its way */
    post_verb(id, "execute", 409);
    assert_non_null(strstr(r.text, "one plan at a time"));
    api_sql("UPDATE plans SET state = 'done' WHERE id = %lld", other);
    api_call(&r, "admin", "POST", path, NULL, "If-Match: *");
    assert_status(&r, 409);
    snprintf(path, sizeof path, "/v1/rebalance/plans/%lld:execute", id);
    api_call(&r, "admin", "POST", path, NULL, NULL);
    assert_status(&r, 428);
    api_call(&r, "admin", "POST", path, NULL, "If-Match: *");
    assert_status(&r, 202);
    assert_string_equal(api_str(&r, "approvedBy"), "operator"); /* who approved it did */
    post_verb(id, "execute", 409);
    api_sql("UPDATE plans SET state = 'done' WHERE id = %lld", id);
}

static void an_approved_plan_that_waits_is_canceled_at_once(void **state)
{
    (void)state;
    const long long id = api_balance_plan(&r);
    api_sql("UPDATE plans SET state = 'proposed' WHERE id = %lld", id);
    post_verb(id, "approve", 200);
    post_verb(id, "cancel", 200);
    assert_string_equal(api_str(&r, "state"), "canceled");
}

static void a_stuck_plan_is_resumed_or_canceled(void **state)
{
    (void)state;
    const long long id = api_balance_plan(&r);
    api_sql("UPDATE plans SET state = 'proposed' WHERE id = %lld", id);
    post_verb(id, "execute", 202);
    api_sql("UPDATE plans SET state = 'paused', error = 'stuck: key k7' WHERE id = %lld", id);
    api_look_at_plan(&r, id, "", 200);
    assert_string_equal(api_str(&r, "error"), "stuck: key k7");
    post_verb(id, "resume", 200);
    assert_string_equal(api_str(&r, "state"), "running");
    api_sql("UPDATE plans SET state = 'paused' WHERE id = %lld", id);
    post_verb(id, "cancel", 202);
    api_sql("UPDATE plans SET state = 'canceled' WHERE id = %lld", id);
}

static void post_body(const char *role, long long id, const char *verb, const char *body,
                      int status)
{
    char path[100];
    snprintf(path, sizeof path, "/v1/rebalance/plans/%lld:%s", id, verb);
    api_call(&r, role, "POST", path, body, "If-Match: *");
    assert_status(&r, status);
}

static const char *params_of(long long id)
{
    return api_sql("SELECT concat_ws(' ', params->'allow_big_keys', params->'allow_no_replicas', "
                   "params->'max_slots') FROM plans WHERE id = %lld",
                   id);
}

/* A step is stuck at a key that nobody knew when the plan was made. */
static void a_plan_is_allowed_what_it_is_stuck_at(void **state)
{
    (void)state;
    const long long id =
        create_plan("{\"goal\":{\"kind\":\"balance\"},\"params\":{\"maxSlots\":7}}");
    post_body("operator", id, "approve", "{\"allowBigKeys\":true}", 409); /* not proposed yet */
    assert_string_equal(params_of(id), "7");
    api_sql("UPDATE plans SET state = 'proposed' WHERE id = %lld", id);
    post_body("viewer", id, "approve", "{\"allowBigKeys\":true}", 403);
    post_body("operator", id, "approve", "{\"allowNoReplicas\":false}", 200);
    assert_string_equal(params_of(id), "false 7");
    post_body("operator", id, "execute", "{}", 202);
    assert_string_equal(params_of(id), "false 7");

    api_sql("UPDATE plans SET state = 'paused', error = 'stuck: key k7' WHERE id = %lld", id);
    static const struct {
        const char *body, *field;
    } bad[] = {
        { "{\"allowBigKeys\":1}", "allowBigKeys" },
        { "{\"allowBigKeys\":null}", "allowBigKeys" },
        { "{\"maxSlots\":1}", "maxSlots" },
        { "{\"allowBigKeys\":", "JSON" },
        { "[]", "object" },
    };
    for (size_t i = 0; i < PR_COUNT(bad); i++) {
        post_body("operator", id, "resume", bad[i].body, 400);
        assert_non_null(strstr(r.text, bad[i].field));
    }
    assert_string_equal(params_of(id), "false 7");
    post_body("operator", id, "resume", "{\"allowBigKeys\":true,\"allowNoReplicas\":true}", 200);
    assert_string_equal(api_str(&r, "state"), "running");
    assert_string_equal(params_of(id), "true true 7");
    assert_true(json_is_true(json_object_get(json_object_get(r.j, "params"), "allowBigKeys")));
    assert_string_equal(
        api_sql("SELECT concat_ws(' ', principal, before->'params'->'allowBigKeys', "
                "before->'params'->'allowNoReplicas', after->'params'->'allowBigKeys', "
                "after->'params'->'allowNoReplicas') FROM audit WHERE resource = "
                "'rebalance/plans/%lld' AND action = 'rebalance.plan.resume'",
                id),
        "operator false true true");
    api_sql("UPDATE plans SET state = 'done' WHERE id = %lld", id);
    post_body("operator", id, "resume", "{\"allowBigKeys\":false}", 409);
    assert_string_equal(params_of(id), "true true 7");
}

static void a_plan_of_vertices_is_allowed_nothing(void **state)
{
    (void)state;
    const long long run = atoll(api_sql("INSERT INTO placement_runs (operation_id, source, state, "
                                        "created_by) VALUES (gen_random_uuid(), '{}', 'done', "
                                        "'it') RETURNING id"));
    char body[40];
    snprintf(body, sizeof body, "{\"runId\":%lld}", run);
    const long long id = create_plan(body);
    api_sql("UPDATE plans SET state = 'proposed' WHERE id = %lld", id);
    post_body("operator", id, "execute", "{\"allowNoReplicas\":true}", 400);
    assert_string_equal(problem_field(), "allowNoReplicas");
    assert_string_equal(api_sql("SELECT state || params::text FROM plans WHERE id = %lld", id),
                        "proposed{}");
}

static void while_everything_is_stopped_nothing_begins(void **state)
{
    (void)state;
    char header[64];
    const long long id = api_balance_plan(&r);
    api_sql("UPDATE plans SET state = 'proposed' WHERE id = %lld", id);
    api_call(&r, "viewer", "POST", "/v1/rebalance:stop", NULL, NULL);
    assert_status(&r, 403);
    api_call(&r, "operator", "POST", "/v1/rebalance:stop", NULL, NULL);
    assert_status(&r, 200);
    assert_true(json_is_true(json_object_get(r.j, "halted")));
    const long long revision = api_int(&r, "revision");
    api_call(&r, "admin", "POST", "/v1/rebalance:stop", NULL, NULL);
    assert_status(&r, 200);
    assert_int_equal(api_int(&r, "revision"), revision); /* it was already */

    post_verb(id, "execute", 409);
    assert_non_null(strstr(r.text, "stopped by"));
    post_verb(id, "approve", 200); /* that moves nothing */
    assert_string_equal(api_sql("SELECT coalesce(execute_operation_id::text, 'none') FROM plans "
                                "WHERE id = %lld",
                                id),
                        "none");
    api_call(&r, "operator", "POST", "/v1/rebalance:start", NULL, NULL);
    assert_status(&r, 428); /* stopped by whom, and why? */
    snprintf(header, sizeof header, "If-Match: \"%lld\"", revision - 1);
    api_call(&r, "operator", "POST", "/v1/rebalance:start", NULL, header);
    assert_status(&r, 412);
    snprintf(header, sizeof header, "If-Match: \"%lld\"", revision);
    api_call(&r, "operator", "POST", "/v1/rebalance:start", NULL, header);
    assert_status(&r, 200);
    assert_true(json_is_false(json_object_get(r.j, "halted")));
    post_verb(id, "execute", 202);
    api_sql("UPDATE plans SET state = 'done' WHERE id = %lld", id);
    assert_string_equal(api_sql("SELECT string_agg(action || ' ' || principal || ' ' || "
                                "(after->>'halted'), ',' ORDER BY id) FROM audit "
                                "WHERE resource = 'rebalance/policy'"),
                        "rebalance.stop operator true,rebalance.stop admin true,"
                        "rebalance.start operator false");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fleet_plan_is_stored_as_the_planner_reads_it),
        cmocka_unit_test(a_request_that_cannot_be_is_refused_by_its_field),
        cmocka_unit_test(a_dry_run_and_the_same_key_again_make_one_plan_at_most),
        cmocka_unit_test(plans_are_listed_by_kind),
        cmocka_unit_test(an_approved_plan_waits_until_it_is_executed),
        cmocka_unit_test(an_approved_plan_that_waits_is_canceled_at_once),
        cmocka_unit_test(a_stuck_plan_is_resumed_or_canceled),
        cmocka_unit_test(a_plan_is_allowed_what_it_is_stuck_at),
        cmocka_unit_test(a_plan_of_vertices_is_allowed_nothing),
        cmocka_unit_test(while_everything_is_stopped_nothing_begins),
    };
    int failed = cmocka_run_group_tests(tests, api_small_setup, api_teardown);
    api_reply_done(&r);
    return failed;
}
