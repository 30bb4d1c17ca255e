/* Nodes, zones, long work, audit, costs and probes of metadata-api against real
 * PostgreSQL and NATS. */
#include "api_fixture.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct reply r;

/* --- nodes and zones -------------------------------------------------------- */

static void a_node_is_registered_changed_and_deleted(void **state)
{
    (void)state;
    char if_match[100];
    api_call(&r, "admin", "POST", "/v1/nodes",
             "{\"id\":\"m1\",\"host\":\"10.0.2.9\",\"port\":7100}", NULL);
    assert_status(&r, 201);
    assert_string_equal(api_str(&r, "zone"), "b"); /* by its subnet */
    assert_string_equal(r.location, "/v1/nodes/m1");

    api_call(&r, "viewer", "GET", "/v1/nodes/m1", NULL, NULL);
    assert_status(&r, 200); /* the snapshot has it before the answer came */
    snprintf(if_match, sizeof if_match, "If-Match: %s", r.etag);
    api_call(&r, "admin", "PATCH", "/v1/nodes/m1", "{\"zone\":\"c\"}", if_match);
    assert_status(&r, 200);
    assert_string_equal(api_str(&r, "zone"), "c");
    snprintf(if_match, sizeof if_match, "If-Match: %s", r.etag);
    api_call(&r, "viewer", "GET", "/v1/nodes?zone=c", NULL, NULL);
    assert_non_null(strstr(r.text, "\"m1\""));
    api_call(&r, "admin", "DELETE", "/v1/nodes/m1", NULL, if_match);
    assert_status(&r, 204);
    api_call(&r, "viewer", "GET", "/v1/nodes/m1", NULL, NULL);
    assert_status(&r, 404);

    assert_string_equal(api_sql("SELECT string_agg(action, ',' ORDER BY id) FROM audit "
                                "WHERE resource = 'nodes/m1'"),
                        "node.register,node.set_zone,node.delete");
    assert_string_equal(api_sql("SELECT (before->>'zone') || (after->>'zone') || principal "
                                "FROM audit WHERE action = 'node.set_zone'"),
                        "bcadmin");
}

static void a_dry_run_checks_and_changes_nothing(void **state)
{
    (void)state;
    api_call(&r, "admin", "POST", "/v1/nodes?dryRun=true",
             "{\"id\":\"m2\",\"host\":\"h\",\"port\":7100,\"zone\":\"a\"}", NULL);
    assert_status(&r, 200);
    assert_true(json_is_true(json_object_get(r.j, "dryRun")));
    api_call(&r, "viewer", "GET", "/v1/nodes/m2", NULL, NULL);
    assert_status(&r, 404);
    assert_string_equal(api_sql("SELECT count(*) FROM audit WHERE resource = 'nodes/m2'"), "0");
    api_call(&r, "admin", "POST", "/v1/nodes?dryRun=true",
             "{\"id\":\"m2\",\"host\":\"h\",\"port\":7100,\"zone\":\"nowhere\"}", NULL);
    assert_status(&r, 409);
    api_call(&r, "operator", "POST", "/v1/placement/runs?dryRun=true",
             "{\"source\":{\"file\":\"/data/g.txt\"}}", NULL);
    assert_status(&r, 200);
    assert_string_equal(
        api_sql("SELECT count(*) FROM placement_runs WHERE created_by = 'operator'"), "0");
}

static void zones_are_created_and_changed(void **state)
{
    (void)state;
    char if_match[100];
    api_call(&r, "admin", "POST", "/v1/zones", "{\"id\":\"d\",\"subnet\":\"10.0.4.0/24\"}", NULL);
    assert_status(&r, 201);
    snprintf(if_match, sizeof if_match, "If-Match: %s", r.etag);
    api_call(&r, "admin", "PATCH", "/v1/zones/d", "{\"capacityRatio\":0.5,\"subnet\":null}",
             if_match);
    assert_status(&r, 200);
    assert_true(json_is_null(json_object_get(r.j, "subnet")));
    api_call(&r, "viewer", "GET", "/v1/zones/d", NULL, NULL);
    assert_true(json_real_value(json_object_get(r.j, "capacityRatio")) == 0.5);
    api_call(&r, "viewer", "GET", "/v1/zones", NULL, NULL);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 4);
    api_call(&r, "admin", "POST", "/v1/zones", "{\"id\":\"d\"}", NULL);
    assert_status(&r, 409);
}

/* --- long work -------------------------------------------------------------- */

static bool command_published(void *ctx)
{
    return strcmp(api_sql("SELECT count(*) FROM outbox WHERE subject = '%s' "
                          "AND published_at IS NOT NULL",
                          (const char *)ctx),
                  "0") != 0;
}

static void a_run_is_rows_and_a_command_in_one_transaction(void **state)
{
    (void)state;
    char path[300];
    api_call(&r, "operator", "POST", "/v1/placement/runs",
             "{\"source\":{\"file\":\"/data/g.txt\",\"format\":\"snap\"},"
             "\"params\":{\"seed\":7,\"imbalance\":0.05,\"mode\":\"warm\",\"movePrice\":2.5,"
             "\"moveCap\":100,\"capacity\":{\"a\":1,\"b\":0.5},\"fixed\":{\"17\":\"b\"},"
             "\"fixedFile\":\"/data/f.txt\"}}",
             NULL);
    assert_status(&r, 202);
    assert_string_equal(api_str(&r, "state"), "pending");
    assert_string_equal(api_sql("SELECT concat_ws(' ', params->>'mode', params->>'move_price', "
                                "params->>'move_cap', params->'capacity'->>'b', "
                                "params->'fixed'->>'17', params->>'fixed_file') "
                                "FROM placement_runs WHERE id = %lld",
                                api_int(&r, "id")),
                        "warm 2.5 100 0.5 b /data/f.txt");
    snprintf(path, sizeof path, "/v1/placement/runs/%lld", api_int(&r, "id"));
    char location[256];
    strcpy(location, r.location);

    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, 200);
    assert_string_equal(json_string_value(json_object_get(json_object_get(r.j, "source"), "file")),
                        "/data/g.txt");
    api_call(&r, "viewer", "GET", location, NULL, NULL);
    assert_status(&r, 200);
    assert_string_equal(api_str(&r, "kind"), "placement.run");
    assert_string_equal(strchr(path, 'p'), api_str(&r, "resource"));
    assert_true(it_await(command_published, (void *)"prism.cmd.placement.run", 5000));
    api_call(&r, "viewer", "GET", "/v1/placement/runs?state=pending&pageSize=1", NULL, NULL);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 1);
}

static void an_explanation_needs_a_vertex_and_somebody_to_give_it(void **state)
{
    (void)state;
    api_call(&r, "viewer", "GET", "/v1/placement/explain/a%20b", NULL, NULL);
    assert_status(&r, 400);
    api_call(&r, "viewer", "GET", "/v1/placement/explain/7?run=x", NULL, NULL);
    assert_status(&r, 400);
    api_call(&r, NULL, "GET", "/v1/placement/explain/7", NULL, NULL);
    assert_status(&r, 401);
    api_call(&r, "viewer", "GET", "/v1/placement/explain/7", NULL, NULL);
    assert_status(&r, 503); /* no placement service runs here */
}

static long long done_run(void)
{
    return atoll(api_sql(
        "INSERT INTO placement_runs (operation_id, state, source, report, created_by) VALUES "
        "(gen_random_uuid(), 'done', '{}', '{\"before\":{\"cross_share\":0.5},"
        "\"after\":{\"cross_share\":0.05}}', 'it') RETURNING id"));
}

static long long make_plan(void)
{
    char body[100];
    snprintf(body, sizeof body, "{\"runId\":%lld,\"params\":{\"batchVertices\":500}}", done_run());
    api_call(&r, "operator", "POST", "/v1/rebalance/plans", body, NULL);
    assert_status(&r, 202);
    return api_int(&r, "id");
}

static void plan_post(long long id, const char *verb, int status)
{
    char path[100];
    snprintf(path, sizeof path, "/v1/rebalance/plans/%lld:%s", id, verb);
    api_call(&r, "operator", "POST", path, NULL, "If-Match: *");
    assert_status(&r, status);
}

static void a_plan_goes_from_proposal_to_execution(void **state)
{
    (void)state;
    char path[300];
    const long long id = make_plan();
    assert_string_equal(api_sql("SELECT params->>'batch_vertices' FROM plans WHERE id = %lld", id),
                        "500");
    plan_post(id, "execute", 409); /* not proposed yet */
    assert_non_null(strstr(r.text, "needs it to be proposed"));

    api_sql("UPDATE plans SET state = 'proposed', summary = '{\"total_moves\":3}' WHERE id = %lld",
            id);
    plan_post(id, "execute", 202);
    assert_string_equal(api_str(&r, "state"), "approved");
    assert_string_equal(api_str(&r, "approvedBy"), "operator");
    snprintf(path, sizeof path, "/v1/operations/%s", api_str(&r, "executeOperationId"));
    assert_string_equal(r.location, path);
    assert_true(it_await(command_published, (void *)"prism.cmd.rebalance.execute", 5000));
    plan_post(id, "execute", 409);

    api_sql("UPDATE plans SET state = 'running' WHERE id = %lld", id);
    plan_post(id, "pause", 200);
    assert_string_equal(api_str(&r, "state"), "paused");
    plan_post(id, "resume", 200);
    assert_string_equal(api_str(&r, "state"), "running");

    const long long other = make_plan();
    api_sql("UPDATE plans SET state = 'proposed' WHERE id = %lld", other);
    plan_post(other, "execute", 409);
    assert_non_null(strstr(r.text, "one plan at a time"));
    plan_post(other, "cancel", 200);
    assert_string_equal(api_str(&r, "state"), "canceled");

    plan_post(id, "cancel", 202);
    assert_string_equal(api_sql("SELECT cancel_requested FROM operations o JOIN plans p "
                                "ON o.id = p.execute_operation_id WHERE p.id = %lld",
                                id),
                        "t");
    api_sql("UPDATE plans SET state = 'canceled' WHERE id = %lld", id);
}

static void a_plan_counts_its_moves_by_state(void **state)
{
    (void)state;
    char path[100];
    const long long id = make_plan();
    api_sql("INSERT INTO moves (plan_id, batch, src_node, dst_node, state, vertices, moved, bytes, "
            "ids) "
            "SELECT %lld, b, 'n1', 'n2', CASE WHEN b < 3 THEN 'done' ELSE 'planned' END, 10, "
            "CASE WHEN b < 3 THEN 10 ELSE 0 END, 100, '' FROM generate_series(1, 5) b",
            id);
    snprintf(path, sizeof path, "/v1/rebalance/plans/%lld", id);
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, 200);
    json_t *moves = json_object_get(r.j, "moves"), *done = json_object_get(moves, "done");
    assert_int_equal(json_integer_value(json_object_get(done, "batches")), 2);
    assert_int_equal(json_integer_value(json_object_get(done, "moved")), 20);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(moves, "planned"), "vertices")), 30);
}

static void a_plan_needs_a_run_that_is_done(void **state)
{
    (void)state;
    char body[64];
    api_call(&r, "operator", "POST", "/v1/rebalance/plans", "{\"runId\":999999}", NULL);
    assert_status(&r, 404);
    snprintf(body, sizeof body, "{\"runId\":%s}",
             api_sql("INSERT INTO placement_runs (operation_id, source, created_by) VALUES "
                     "(gen_random_uuid(), '{}', 'it') RETURNING id"));
    api_call(&r, "operator", "POST", "/v1/rebalance/plans", body, NULL);
    assert_status(&r, 409);
}

static void an_operation_is_asked_to_stop_once_it_is_not_over(void **state)
{
    (void)state;
    char path[200];
    make_plan();
    char id[64];
    snprintf(id, sizeof id, "%s", api_str(&r, "operationId"));
    snprintf(path, sizeof path, "/v1/operations/%s:cancel", id);
    api_call(&r, "operator", "POST", path, NULL, NULL);
    assert_status(&r, 202);
    assert_true(json_is_true(json_object_get(r.j, "cancelRequested")));
    api_sql("UPDATE operations SET state = 'canceled' WHERE id = '%s'", id);
    api_call(&r, "operator", "POST", path, NULL, NULL);
    assert_status(&r, 409);
    api_call(&r, "viewer", "GET", "/v1/operations/123", NULL, NULL);
    assert_status(&r, 400);
    api_call(&r, "viewer", "GET", "/v1/operations/00000000-0000-4000-8000-000000000000", NULL,
             NULL);
    assert_status(&r, 404);
}

static void operations_page_newest_first(void **state)
{
    (void)state;
    char path[700] = "/v1/operations?pageSize=2&kind=rebalance.plan", last[64] = "9999";
    long long seen = 0;
    for (;;) {
        api_call(&r, "viewer", "GET", path, NULL, NULL);
        assert_status(&r, 200);
        size_t i;
        json_t *item;
        json_array_foreach(json_object_get(r.j, "items"), i, item)
        {
            const char *at = json_string_value(json_object_get(item, "createdAt"));
            assert_true(strcmp(at, last) <= 0);
            snprintf(last, sizeof last, "%s", at);
            seen++;
        }
        const char *token = json_string_value(json_object_get(r.j, "nextPageToken"));
        if (token == NULL)
            break;
        snprintf(path, sizeof path, "/v1/operations?pageSize=2&kind=rebalance.plan&pageToken=%s",
                 token);
    }
    assert_int_equal(seen, atoll(api_sql("SELECT count(*) FROM operations "
                                         "WHERE kind = 'rebalance.plan'")));
    assert_true(seen > 2);
}

/* Numbers order as numbers: 10 comes after 9. */
static void lists_page_newest_first_beyond_nine_rows(void **state)
{
    (void)state;
    static const struct {
        const char *list, *table;
    } row[] = { { "/v1/placement/runs", "placement_runs" },
                { "/v1/rebalance/plans", "plans" },
                { "/v1/audit", "audit" } };
    while (make_plan() < 12)
        ;
    for (size_t l = 0; l < PR_COUNT(row); l++) {
        char path[700];
        long long last = LLONG_MAX, seen = 0;
        snprintf(path, sizeof path, "%s?pageSize=4", row[l].list);
        while (path[0] != '\0') {
            api_call(&r, "admin", "GET", path, NULL, NULL);
            assert_status(&r, 200);
            size_t i;
            json_t *item;
            json_array_foreach(json_object_get(r.j, "items"), i, item)
            {
                long long id = json_integer_value(json_object_get(item, "id"));
                assert_true(id < last);
                last = id;
                seen++;
            }
            const char *token = json_string_value(json_object_get(r.j, "nextPageToken"));
            snprintf(path, sizeof path, "%s", "");
            if (token != NULL)
                snprintf(path, sizeof path, "%s?pageSize=4&pageToken=%s", row[l].list, token);
        }
        assert_int_equal(seen, atoll(api_sql("SELECT count(*) FROM %s", row[l].table)));
        assert_true(seen > 10);
    }
}

/* --- the rest --------------------------------------------------------------- */

static void the_audit_trail_is_readable_by_admins(void **state)
{
    (void)state;
    api_call(&r, "admin", "GET", "/v1/audit?pageSize=5&principal=operator", NULL, NULL);
    assert_status(&r, 200);
    json_t *items = json_object_get(r.j, "items");
    assert_true(json_array_size(items) > 0);
    assert_string_equal(json_string_value(json_object_get(json_array_get(items, 0), "principal")),
                        "operator");
    api_call(&r, "admin", "GET", "/v1/audit?action=no.such", NULL, NULL);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 0);
}

static void costs_follow_from_the_last_report(void **state)
{
    (void)state;
    long long run = done_run();
    api_call(&r, "viewer", "GET", "/v1/costs", NULL, NULL);
    assert_status(&r, 200);
    assert_int_equal(api_int(&r, "runId"), run);
    double after = json_real_value(json_object_get(json_object_get(r.j, "after"), "usdPerMonth"));
    assert_true(after > 3628799 && after < 3628801); /* both sides are billed */
    assert_true(json_real_value(json_object_get(r.j, "savedUsdPerMonth")) > 16e6);
}

static void probes_metrics_and_description_need_no_token(void **state)
{
    (void)state;
    static const char *const paths[] = { "/livez", "/readyz", "/metrics", "/openapi.json" };
    for (size_t i = 0; i < PR_COUNT(paths); i++) {
        api_call(&r, NULL, "GET", paths[i], NULL, NULL);
        assert_status(&r, 200);
    }
    assert_string_equal(api_str(&r, "openapi"), "3.1.0");
    api_call(&r, NULL, "GET", "/metrics", NULL, NULL);
    assert_non_null(strstr(r.text, "prism_api_requests_total{status=\"200\"}"));
    assert_non_null(strstr(r.text, "prism_api_snapshot_revision"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_is_registered_changed_and_deleted),
        cmocka_unit_test(a_dry_run_checks_and_changes_nothing),
        cmocka_unit_test(zones_are_created_and_changed),
        cmocka_unit_test(a_run_is_rows_and_a_command_in_one_transaction),
        cmocka_unit_test(an_explanation_needs_a_vertex_and_somebody_to_give_it),
        cmocka_unit_test(a_plan_goes_from_proposal_to_execution),
        cmocka_unit_test(a_plan_counts_its_moves_by_state),
        cmocka_unit_test(a_plan_needs_a_run_that_is_done),
        cmocka_unit_test(an_operation_is_asked_to_stop_once_it_is_not_over),
        cmocka_unit_test(operations_page_newest_first),
        cmocka_unit_test(lists_page_newest_first_beyond_nine_rows),
        cmocka_unit_test(the_audit_trail_is_readable_by_admins),
        cmocka_unit_test(costs_follow_from_the_last_report),
        cmocka_unit_test(probes_metrics_and_description_need_no_token),
    };
    int failed = cmocka_run_group_tests(tests, api_small_setup, api_teardown);
    api_reply_done(&r);
    return failed;
}
