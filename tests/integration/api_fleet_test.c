/* Plans that change the fleet, their steps, standing orders and pins: metadata-api
 * against real PostgreSQL and NATS. Rows of the rebalance service are made here. */
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

static long long balance_plan(void)
{
    return create_plan("{\"goal\":{\"kind\":\"balance\"}}");
}

static void post_verb(long long id, const char *verb, int status)
{
    char path[100];
    snprintf(path, sizeof path, "/v1/rebalance/plans/%lld:%s", id, verb);
    api_call(&r, "operator", "POST", path, NULL, "If-Match: *");
    assert_status(&r, status);
}

static void get_plan(long long id, const char *rest, int status)
{
    char path[900];
    snprintf(path, sizeof path, "/v1/rebalance/plans/%lld%s", id, rest);
    api_call(&r, "viewer", "GET", path, NULL, NULL);
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
    balance_plan();
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

/* --- steps ---------------------------------------------------------------------- */

/* Two nodes met, 6 slots n1 -> n2 in waves 1 and 2; 3 of them are over. */
static void make_steps(long long id)
{
    api_sql("INSERT INTO steps (plan_id, step, wave, kind, dst_node, state) SELECT %lld, i, 1, "
            "'meet', 'n' || i, 'verified' FROM generate_series(1, 2) i",
            id);
    api_sql("INSERT INTO steps (plan_id, step, wave, kind, slot, shard, src_node, dst_node, bytes, "
            "keys, why, state, moved_keys, moved_bytes, error) SELECT %lld, 2 + i, 1 + i / 4, "
            "'slot', 99 + i, 'n1', 'n1', 'n2', 1000, 10, 'evenness of zone a', CASE WHEN i < 4 "
            "THEN 'verified' WHEN i = 4 THEN 'stuck' ELSE 'planned' END, CASE WHEN i < 4 THEN 10 "
            "ELSE 0 END, CASE WHEN i < 4 THEN 900 ELSE 0 END, CASE WHEN i = 4 THEN 'key k7 is on "
            "both sides' END FROM generate_series(1, 6) i",
            id);
}

static void a_plan_counts_its_steps_by_kind_and_state(void **state)
{
    (void)state;
    const long long id = balance_plan();
    get_plan(id, "", 200);
    assert_int_equal(json_object_size(json_object_get(r.j, "steps")), 0);
    assert_true(json_is_null(json_object_get(r.j, "wave")));
    make_steps(id);
    get_plan(id, "", 200);
    const json_t *slots = json_object_get(json_object_get(r.j, "steps"), "slot");
    const json_t *over = json_object_get(slots, "verified");
    assert_int_equal(json_integer_value(json_object_get(over, "steps")), 3);
    assert_int_equal(json_integer_value(json_object_get(over, "movedKeys")), 30);
    assert_int_equal(json_integer_value(json_object_get(over, "movedBytes")), 2700);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(slots, "stuck"), "steps")),
                     1);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(slots, "planned"), "bytes")), 2000);
    assert_int_equal(api_int(&r, "wave"), 2);
    assert_int_equal(api_int(&r, "waves"), 2);
}

static void steps_are_paged_and_filtered(void **state)
{
    (void)state;
    const long long id = balance_plan();
    make_steps(id);
    make_steps(balance_plan()); /* another plan's are not shown */
    static const struct {
        const char *query;
        size_t want;
    } row[] = {
        { "", 8 },
        { "?kind=meet", 2 },
        { "?wave=2", 3 },
        { "?state=planned", 2 },
        { "?slot=103", 1 },
        { "?node=n1", 7 }, /* 6 slots from it, and it was met */
        { "?node=n2&kind=slot&state=verified&wave=1", 3 },
        { "?node=n9", 0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char rest[100];
        snprintf(rest, sizeof rest, "/steps%s", row[i].query);
        get_plan(id, rest, 200);
        if (json_array_size(json_object_get(r.j, "items")) != row[i].want)
            fail_msg("%s: %s", rest, r.text);
    }
    get_plan(id, "/steps?slot=103", 200);
    const json_t *step = json_array_get(json_object_get(r.j, "items"), 0);
    assert_string_equal(json_string_value(json_object_get(step, "from")), "n1");
    assert_string_equal(json_string_value(json_object_get(step, "to")), "n2");
    assert_string_equal(json_string_value(json_object_get(step, "state")), "stuck");
    assert_string_equal(json_string_value(json_object_get(step, "error")),
                        "key k7 is on both sides");
    get_plan(999999, "/steps", 404);

    long long seen = 0, last = 0;
    char rest[700] = "/steps?pageSize=3";
    for (;;) {
        size_t i;
        const json_t *item;
        get_plan(id, rest, 200);
        json_array_foreach(json_object_get(r.j, "items"), i, item)
        {
            const long long n = json_integer_value(json_object_get(item, "step"));
            assert_true(n > last);
            last = n;
            seen++;
        }
        const char *token = json_string_value(json_object_get(r.j, "nextPageToken"));
        if (token == NULL)
            break;
        snprintf(rest, sizeof rest, "/steps?pageSize=3&pageToken=%s", token);
    }
    assert_int_equal(seen, 8);
}

static void a_page_token_belongs_to_one_plan(void **state)
{
    (void)state;
    char rest[700];
    const long long a = balance_plan(), b = balance_plan();
    make_steps(a);
    make_steps(b);
    get_plan(a, "/steps?pageSize=2", 200);
    snprintf(rest, sizeof rest, "/steps?pageSize=2&pageToken=%s", api_str(&r, "nextPageToken"));
    get_plan(b, rest, 400);
    get_plan(a, rest, 200);
}

/* --- approving, stopping ---------------------------------------------------------- */

static void an_approved_plan_waits_until_it_is_executed(void **state)
{
    (void)state;
    char path[100], if_match[100];
    const long long id = balance_plan(), other = balance_plan();
    post_verb(id, "approve", 409); /* not proposed yet */
    api_sql("UPDATE plans SET state = 'proposed' WHERE id IN (%lld, %lld)", id, other);
    get_plan(id, "", 200);
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
    const long long id = balance_plan();
    api_sql("UPDATE plans SET state = 'proposed' WHERE id = %lld", id);
    post_verb(id, "approve", 200);
    post_verb(id, "cancel", 200);
    assert_string_equal(api_str(&r, "state"), "canceled");
}

static void a_stuck_plan_is_resumed_or_canceled(void **state)
{
    (void)state;
    const long long id = balance_plan();
    api_sql("UPDATE plans SET state = 'proposed' WHERE id = %lld", id);
    post_verb(id, "execute", 202);
    api_sql("UPDATE plans SET state = 'paused', error = 'stuck: key k7' WHERE id = %lld", id);
    get_plan(id, "", 200);
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
    const long long id = balance_plan();
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

/* --- policy and pins ------------------------------------------------------------- */

static void put_policy(const char *role, const char *body, const char *etag, int status)
{
    char if_match[100];
    snprintf(if_match, sizeof if_match, "If-Match: %s", etag == NULL ? "*" : etag);
    api_call(&r, role, "PUT", "/v1/rebalance/policy", body, if_match);
    assert_status(&r, status);
}

static void a_policy_is_replaced_as_it_was_read(void **state)
{
    (void)state;
    static const char body[] =
        "{\"auto\":[\"failback\",\"repair\"],\"window\":{\"cron\":\"0 3 * * 0\",\"timeZone\":"
        "\"Europe/Berlin\",\"minutes\":240},\"maxBytes\":1e12,\"maxSlots\":2048}";
    char etag[64];
    api_call(&r, "viewer", "GET", "/v1/rebalance/policy", NULL, NULL);
    assert_status(&r, 200);
    assert_int_equal(json_array_size(json_object_get(r.j, "auto")), 0);
    assert_true(json_is_null(json_object_get(r.j, "window")));
    snprintf(etag, sizeof etag, "%s", r.etag);
    api_call(&r, "admin", "PUT", "/v1/rebalance/policy", body, NULL);
    assert_status(&r, 428);
    put_policy("operator", body, etag, 403);
    put_policy("admin", body, etag, 200);
    assert_string_equal(api_str(&r, "changedBy"), "admin");
    put_policy("admin", body, etag, 412); /* it has changed since */
    api_call(&r, "viewer", "GET", "/v1/rebalance/policy", NULL, NULL);
    assert_int_equal(api_int(&r, "maxSlots"), 2048);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(r.j, "window"), "minutes")),
                     240);
    assert_string_equal(api_sql("SELECT concat_ws(' ', spec->'auto'->>0, "
                                "spec->'window'->>'timeZone', spec->>'maxSlots') FROM policies"),
                        "failback Europe/Berlin 2048");
    put_policy("admin", "{\"window\":null}", r.etag, 200);
    assert_string_equal(api_sql("SELECT spec FROM policies"), "{}");
    assert_string_equal(api_sql("SELECT count(*) FROM audit WHERE action = 'rebalance.policy' AND "
                                "principal = 'admin' AND before IS NOT NULL"),
                        "2");
}

static void a_policy_that_cannot_be_is_refused_by_its_field(void **state)
{
    (void)state;
    static const struct {
        const char *body, *field;
    } row[] = {
        { "{\"auto\":[\"vertices\"]}", "auto[0]" },
        { "{\"auto\":\"failback\"}", "auto" },
        { "{\"halted\":true}", "halted" },
        { "{\"window\":{\"cron\":\"0 3 * *\",\"timeZone\":\"UTC\",\"minutes\":60}}",
          "window.cron" },
        { "{\"window\":{\"cron\":\"0 0 30 2 *\",\"timeZone\":\"UTC\",\"minutes\":60}}",
          "window.cron" },
        { "{\"window\":{\"cron\":\"0 3 * * 0\",\"timeZone\":\"UTC\"}}", "window.minutes" },
        { "{\"window\":{\"cron\":\"0 3 * * 0\",\"timeZone\":\"Mars/Olympus\",\"minutes\":60}}",
          "window.timeZone" },
        { "{\"maxSlots\":0}", "maxSlots" },
        { "{\"maxBytes\":\"1\"}", "maxBytes" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        put_policy("admin", row[i].body, NULL, 400);
        if (strstr(r.text, row[i].field) == NULL)
            fail_msg("%s: %s", row[i].body, r.text);
    }
}

static void pins_are_made_read_and_taken_away(void **state)
{
    (void)state;
    api_call(&r, "viewer", "PUT", "/v1/rebalance/pins/slot/100", NULL, NULL);
    assert_status(&r, 403);
    api_call(&r, "operator", "PUT", "/v1/rebalance/pins/slot/100", "{\"why\":\"being looked at\"}",
             NULL);
    assert_status(&r, 201);
    assert_string_equal(r.location, "/v1/rebalance/pins/slot/100");
    api_call(&r, "operator", "PUT", "/v1/rebalance/pins/slot/100", "{\"why\":\"still\"}",
             "If-Match: *");
    assert_status(&r, 200);
    api_call(&r, "operator", "PUT", "/v1/rebalance/pins/node/n4", NULL, NULL);
    assert_status(&r, 201);
    api_call(&r, "operator", "PUT", "/v1/rebalance/pins/shard/n2", NULL, NULL);
    assert_status(&r, 201);
    api_call(&r, "viewer", "GET", "/v1/rebalance/pins/slot/100", NULL, NULL);
    assert_string_equal(api_str(&r, "why"), "still");
    assert_string_equal(api_str(&r, "createdBy"), "operator");
    api_call(&r, "viewer", "GET", "/v1/rebalance/pins?pageSize=2", NULL, NULL);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 2);
    char path[700];
    snprintf(path, sizeof path, "/v1/rebalance/pins?pageSize=2&pageToken=%s",
             api_str(&r, "nextPageToken"));
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 1);
    api_call(&r, "viewer", "GET", "/v1/rebalance/pins?kind=node", NULL, NULL);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 1);

    static const struct {
        const char *path;
        int status;
    } bad[] = { { "slot/16384", 400 },
                { "slot/x", 400 },
                { "zone/a", 400 },
                { "node/n99", 404 },
                { "shard/n4", 404 } };
    for (size_t i = 0; i < PR_COUNT(bad); i++) {
        snprintf(path, sizeof path, "/v1/rebalance/pins/%s", bad[i].path);
        api_call(&r, "operator", "PUT", path, NULL, NULL);
        assert_status(&r, bad[i].status);
    }
    api_call(&r, "operator", "DELETE", "/v1/rebalance/pins/slot/100", NULL, "If-Match: *");
    assert_status(&r, 204);
    api_call(&r, "operator", "DELETE", "/v1/rebalance/pins/slot/100", NULL, "If-Match: *");
    assert_status(&r, 404);
    assert_string_equal(api_sql("SELECT string_agg(action, ',' ORDER BY id) FROM audit WHERE "
                                "resource = 'rebalance/pins/slot/100'"),
                        "rebalance.pin,rebalance.pin,rebalance.unpin");
}

/* --- why -------------------------------------------------------------------------- */

static void explain(const char *query, int status)
{
    char path[200];
    snprintf(path, sizeof path, "/v1/rebalance/explain%s", query);
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, status);
}

static void a_slot_that_a_plan_moves_is_explained_by_its_step(void **state)
{
    (void)state;
    char query[100];
    const long long id = balance_plan();
    make_steps(id);
    snprintf(query, sizeof query, "?plan=%lld&slot=100", id);
    explain(query, 200);
    assert_string_equal(api_str(&r, "code"), "moved");
    assert_string_equal(api_str(&r, "text"), "evenness of zone a");
    assert_string_equal(json_string_value(json_object_get(json_object_get(r.j, "step"), "to")),
                        "n2");
    snprintf(query, sizeof query, "?plan=%lld&slot=103", id);
    explain(query, 200);
    assert_string_equal(api_str(&r, "code"), "stuck");
    snprintf(query, sizeof query, "?plan=%lld&slot=105", id);
    explain(query, 200);
    assert_string_equal(api_str(&r, "code"), "moves");
    snprintf(query, sizeof query, "?plan=%lld&slot=7", id);
    explain(query, 503); /* the planner knows, and nobody plans here */
    explain("?plan=999999&slot=7", 404);
    explain("?slot=7", 503);
    explain("?node=n1", 503);
    explain("", 400);
    explain("?slot=7&node=n1", 400);
    explain("?slot=16384", 400);
    explain("?slot=1&plan=x", 400);
    explain("?node=a%20b", 400);
}

/* --- the rest --------------------------------------------------------------------- */

static void a_shard_says_in_which_zone_it_belongs(void **state)
{
    (void)state;
    api_sql("UPDATE shards SET home_zone = 'b' WHERE id = 'n1'");
    api_call(&r, "admin", "PATCH", "/v1/zones/a", "{\"capacityRatio\":1}", "If-Match: *");
    assert_status(&r, 200); /* which has the snapshot read again */
    api_call(&r, "viewer", "GET", "/v1/topology", NULL, NULL);
    const json_t *shards = json_object_get(r.j, "shards"), *first = json_array_get(shards, 0);
    assert_string_equal(json_string_value(json_object_get(first, "homeZone")), "b");
    assert_string_equal(json_string_value(json_object_get(first, "zone")), "a");
    assert_true(json_is_null(json_object_get(json_array_get(shards, 1), "homeZone")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fleet_plan_is_stored_as_the_planner_reads_it),
        cmocka_unit_test(a_request_that_cannot_be_is_refused_by_its_field),
        cmocka_unit_test(a_dry_run_and_the_same_key_again_make_one_plan_at_most),
        cmocka_unit_test(plans_are_listed_by_kind),
        cmocka_unit_test(a_plan_counts_its_steps_by_kind_and_state),
        cmocka_unit_test(steps_are_paged_and_filtered),
        cmocka_unit_test(a_page_token_belongs_to_one_plan),
        cmocka_unit_test(an_approved_plan_waits_until_it_is_executed),
        cmocka_unit_test(an_approved_plan_that_waits_is_canceled_at_once),
        cmocka_unit_test(a_stuck_plan_is_resumed_or_canceled),
        cmocka_unit_test(a_plan_is_allowed_what_it_is_stuck_at),
        cmocka_unit_test(a_plan_of_vertices_is_allowed_nothing),
        cmocka_unit_test(while_everything_is_stopped_nothing_begins),
        cmocka_unit_test(a_policy_is_replaced_as_it_was_read),
        cmocka_unit_test(a_policy_that_cannot_be_is_refused_by_its_field),
        cmocka_unit_test(pins_are_made_read_and_taken_away),
        cmocka_unit_test(a_slot_that_a_plan_moves_is_explained_by_its_step),
        cmocka_unit_test(a_shard_says_in_which_zone_it_belongs),
    };
    int failed = cmocka_run_group_tests(tests, api_small_setup, api_teardown);
    api_reply_done(&r);
    return failed;
}
