/* Every way in which a request to metadata-api goes wrong. */
#include "api_fixture.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct reply r;

static bool names_field(const char *field)
{
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(r.j, "errors"), i,
                       e) if (strcmp(json_string_value(json_object_get(e, "field")), field) ==
                              0) return true;
    return false;
}

/* --- who ---------------------------------------------------------------------- */

static void without_a_good_token_there_is_401_and_a_challenge(void **state)
{
    (void)state;
    static const struct {
        const char *role, *header, *words;
    } row[] = {
        { NULL, NULL, "send Authorization" },
        { NULL, "Authorization: Basic dG9rLWFkbWlu", "send Authorization" },
        { NULL, "Authorization: Bearer", "send Authorization" },
        { "nobody", NULL, "not known" },
        { "admi", NULL, "not known" },
        { "admin2", NULL, "not known" },
        { "expired", NULL, "expired" },
        { "revoked", NULL, "revoked" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        api_call(&r, row[i].role, "GET", "/v1/nodes", NULL, row[i].header);
        assert_status(&r, 401);
        assert_non_null(strstr(r.challenge, "Bearer realm=\"prism\""));
        assert_string_equal(r.type, "application/problem+json");
        if (strstr(r.text, row[i].words) == NULL)
            fail_msg("row %zu: %s", i, r.text);
    }
}

static void every_v1_route_is_closed(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/v1/vertices/1",      "/v1/partitions",
        "/v1/partitions/1",    "/v1/topology",
        "/v1/nodes",           "/v1/nodes/n1",
        "/v1/zones",           "/v1/zones/a",
        "/v1/placement/runs",  "/v1/placement/runs/1",
        "/v1/rebalance/plans", "/v1/rebalance/plans/1",
        "/v1/operations",      "/v1/audit",
        "/v1/costs",
    };
    for (size_t i = 0; i < PR_COUNT(paths); i++) {
        api_call(&r, NULL, "GET", paths[i], NULL, NULL);
        assert_status(&r, 401);
    }
}

static void a_low_role_is_told_which_one_it_needs(void **state)
{
    (void)state;
    static const struct {
        const char *role, *method, *path, *needs;
    } row[] = {
        { "viewer", "POST", "/v1/placement/runs", "role operator" },
        { "viewer", "POST", "/v1/rebalance/plans", "role operator" },
        { "viewer", "POST", "/v1/rebalance/plans/1:execute", "role operator" },
        { "viewer", "POST", "/v1/nodes", "role admin" },
        { "operator", "POST", "/v1/nodes", "role admin" },
        { "operator", "PATCH", "/v1/zones/a", "role admin" },
        { "operator", "DELETE", "/v1/nodes/n1", "role admin" },
        { "operator", "GET", "/v1/audit", "role admin" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        api_call(&r, row[i].role, row[i].method, row[i].path, "{}", NULL);
        assert_status(&r, 403);
        assert_non_null(strstr(api_str(&r, "detail"), row[i].needs));
    }
}

static void a_new_token_works_at_once_and_a_revoked_one_stops_within_5_s(void **state)
{
    (void)state;
    api_call(&r, "fresh", "GET", "/v1/nodes", NULL, NULL);
    assert_status(&r, 401);
    usleep(250 * 1000); /* tokens are read again at most five times a second */
    api_sql("INSERT INTO api_tokens (name, hash, role) VALUES ('fresh', sha256('tok-fresh'), "
            "'viewer')");
    api_call(&r, "fresh", "GET", "/v1/nodes", NULL, NULL);
    assert_status(&r, 200);
    api_sql("UPDATE api_tokens SET revoked_at = now() WHERE name = 'fresh'");
    int waited_ms = 0;
    for (; waited_ms < 5000 && r.status == 200; waited_ms += 50) {
        usleep(50 * 1000);
        api_call(&r, "fresh", "GET", "/v1/nodes", NULL, NULL);
    }
    assert_status(&r, 401);
}

/* --- what --------------------------------------------------------------------- */

static void bad_bodies_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *body, *words;
    } row[] = {
        { NULL, "a JSON object is expected" },
        { "{\"id\":", "line 1" },
        { "[1,2]", "not an array" },
        { "\"x\"", "expected near" },
        { "{\"id\":\"a\",\"id\":\"b\"}", "duplicate" },
        { "{\"id\":\"\xff\"}", "decode byte" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        api_call(&r, "admin", "POST", "/v1/nodes", row[i].body, NULL);
        assert_status(&r, 400);
        if (strstr(api_str(&r, "detail"), row[i].words) == NULL)
            fail_msg("row %zu: %s", i, r.text);
    }
}

static void unknown_and_wrong_fields_are_all_named(void **state)
{
    (void)state;
    api_call(&r, "admin", "POST", "/v1/nodes",
             "{\"id\":7,\"host\":\"h\",\"port\":\"7000\",\"zoen\":\"a\"}", NULL);
    assert_status(&r, 400);
    assert_true(names_field("id") && names_field("port") && names_field("zoen"));
    assert_non_null(strstr(r.text, "must be a string, not a whole number"));
    assert_non_null(strstr(r.text, "unknown field"));

    api_call(&r, "operator", "POST", "/v1/placement/runs",
             "{\"source\":{\"path\":\"/x\"},\"params\":{\"sed\":1}}", NULL);
    assert_status(&r, 400);
    assert_true(names_field("source.path") && names_field("source.file") &&
                names_field("params.sed"));

    api_call(&r, "admin", "POST", "/v1/nodes", "{\"id\":\"-\",\"host\":\"\",\"port\":0}", NULL);
    assert_status(&r, 400);
    assert_true(names_field("id") && names_field("host") && names_field("port"));
}

static void a_batch_has_limits(void **state)
{
    (void)state;
    char *big = malloc(2 << 20);
    strcpy(big, "{\"ids\":[\"0\"");
    for (int i = 1; i <= 1000; i++)
        sprintf(big + strlen(big), ",\"%d\"", i);
    strcat(big, "]}");
    api_call(&r, "viewer", "POST", "/v1/vertices:batchGet", big, NULL);
    assert_status(&r, 400);
    assert_true(names_field("ids"));
    api_call(&r, "viewer", "POST", "/v1/vertices:batchGet", "{\"ids\":[]}", NULL);
    assert_status(&r, 400);
    api_call(&r, "viewer", "POST", "/v1/vertices:batchGet", "{\"ids\":[\"a b\",3,\"ok\"]}", NULL);
    assert_status(&r, 400);
    assert_true(names_field("ids[0]") && names_field("ids[1]") && !names_field("ids[2]"));

    memset(big, ' ', (2 << 20) - 1);
    big[(2 << 20) - 1] = '\0';
    api_call(&r, "viewer", "POST", "/v1/vertices:batchGet", big, NULL);
    assert_status(&r, 413);
    free(big);
}

static void paths_methods_and_paging_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        int status;
    } row[] = {
        { "GET", "/v1/nothing", 404 },
        { "DELETE", "/v1/topology", 405 },
        { "GET", "/v1/nodes/unknown", 404 },
        { "GET", "/v1/zones/unknown", 404 },
        { "GET", "/v1/placement/runs/999999", 404 },
        { "GET", "/v1/placement/runs/one", 400 },
        { "GET", "/v1/rebalance/plans/999999", 404 },
        { "GET", "/v1/rebalance/plans/1x", 400 },
        { "GET", "/v1/nodes?pageSize=0", 400 },
        { "GET", "/v1/nodes?pageSize=1001", 400 },
        { "GET", "/v1/nodes?pageToken=bm9uc2Vuc2U", 400 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        api_call(&r, "admin", row[i].method, row[i].path, NULL, NULL);
        assert_status(&r, row[i].status);
        assert_string_equal(r.type, "application/problem+json");
    }
    char path[600];
    api_call(&r, "viewer", "GET", "/v1/nodes?pageSize=2&zone=a", NULL, NULL);
    api_call(&r, "viewer", "GET", "/v1/nodes?pageSize=2", NULL, NULL);
    snprintf(path, sizeof path, "/v1/nodes?zone=a&pageToken=%s", api_str(&r, "nextPageToken"));
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, 400);
    assert_non_null(strstr(r.text, "other filters"));
}

/* --- preconditions ------------------------------------------------------------- */

static void changes_need_the_current_etag(void **state)
{
    (void)state;
    char stale[100];
    api_call(&r, "admin", "PATCH", "/v1/nodes/n4", "{\"zone\":\"b\"}", NULL);
    assert_status(&r, 428);
    api_call(&r, "admin", "PATCH", "/v1/nodes/n4", "{\"zone\":\"b\"}", "If-Match: bad");
    assert_status(&r, 400);
    api_call(&r, "viewer", "GET", "/v1/nodes/n4", NULL, NULL);
    snprintf(stale, sizeof stale, "If-Match: %s", r.etag);
    api_call(&r, "admin", "PATCH", "/v1/nodes/n4", "{\"zone\":\"c\"}", stale);
    assert_status(&r, 200);
    api_call(&r, "admin", "PATCH", "/v1/nodes/n4", "{\"zone\":\"b\"}", stale);
    assert_status(&r, 412);
    api_call(&r, "admin", "DELETE", "/v1/nodes/n4", NULL, stale);
    assert_status(&r, 412);
    api_call(&r, "admin", "DELETE", "/v1/nodes/n4", NULL, NULL);
    assert_status(&r, 428);
    api_call(&r, "admin", "DELETE", "/v1/nodes/n1", NULL, "If-Match: *");
    assert_status(&r, 409); /* it is in the cluster */
    assert_non_null(strstr(r.text, "drain it"));
    api_call(&r, "admin", "PATCH", "/v1/nodes/none", "{\"zone\":\"b\"}", "If-Match: *");
    assert_status(&r, 404);
    api_call(&r, "admin", "PATCH", "/v1/nodes/n4", "{\"zone\":\"nowhere\"}", "If-Match: *");
    assert_status(&r, 409);
    assert_string_equal(api_sql("SELECT zone_id FROM nodes WHERE id = 'n4'"), "c");
}

static void what_exists_is_not_made_twice(void **state)
{
    (void)state;
    api_call(&r, "admin", "POST", "/v1/nodes", "{\"id\":\"n1\",\"host\":\"h\",\"port\":1}", NULL);
    assert_status(&r, 409);
    api_call(&r, "admin", "POST", "/v1/nodes",
             "{\"id\":\"new\",\"host\":\"127.0.0.1\",\"port\":7001}", NULL);
    assert_status(&r, 409); /* the address is n1's */
    assert_string_equal(api_sql("SELECT count(*) FROM audit WHERE resource = 'nodes/new'"), "0");
}

static void one_idempotency_key_is_one_request(void **state)
{
    (void)state;
    static const char body[] = "{\"source\":{\"file\":\"/data/once.txt\"}}";
    char location[256];
    api_call(&r, "operator", "POST", "/v1/placement/runs", body, "Idempotency-Key: key-1");
    assert_status(&r, 202);
    char *first = strdup(r.text);
    strcpy(location, r.location);
    api_call(&r, "operator", "POST", "/v1/placement/runs", body, "Idempotency-Key: key-1");
    assert_status(&r, 202);
    assert_string_equal(r.text, first);
    assert_string_equal(r.location, location);
    assert_string_equal(r.replayed, "true");
    free(first);
    api_call(&r, "operator", "POST", "/v1/placement/runs",
             "{\"source\":{\"file\":\"/data/other.txt\"}}", "Idempotency-Key: key-1");
    assert_status(&r, 409);
    api_call(&r, "operator", "POST", "/v1/rebalance/plans", "{\"runId\":1}",
             "Idempotency-Key: key-1");
    assert_status(&r, 409);
    /* Keys are each principal's own. */
    api_call(&r, "admin", "POST", "/v1/placement/runs", body, "Idempotency-Key: key-1");
    assert_status(&r, 202);
    assert_string_equal(api_sql("SELECT count(*) FROM placement_runs "
                                "WHERE source->>'file' = '/data/once.txt'"),
                        "2");
    char too_long[300] = "Idempotency-Key: ";
    memset(too_long + strlen(too_long), 'k', 256);
    api_call(&r, "operator", "POST", "/v1/placement/runs", body, too_long);
    assert_status(&r, 400);
}

enum { AT_ONCE = 8 };

static void *same_request(void *ctx)
{
    api_call(ctx, "operator", "POST", "/v1/placement/runs",
             "{\"source\":{\"file\":\"/data/together.txt\"}}", "Idempotency-Key: together");
    return NULL;
}

static void one_key_sent_many_times_at_once_makes_one_run(void **state)
{
    (void)state;
    pthread_t thread[AT_ONCE];
    struct reply got[AT_ONCE] = { { 0 } };
    for (int i = 0; i < AT_ONCE; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, same_request, &got[i]), 0);
    for (int i = 0; i < AT_ONCE; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < AT_ONCE; i++) {
        assert_status(&got[i], 202);
        assert_string_equal(got[i].text, got[0].text);
    }
    for (int i = 0; i < AT_ONCE; i++)
        api_reply_done(&got[i]);
    assert_string_equal(api_sql("SELECT count(*) FROM placement_runs "
                                "WHERE source->>'file' = '/data/together.txt'"),
                        "1");
}

/* --- PostgreSQL ------------------------------------------------------------------ */

static void *patch_n5(void *ctx)
{
    struct reply *mine = ctx;
    api_call(mine, "admin", "PATCH", "/v1/nodes/n5", "{\"zone\":\"a\"}", "If-Match: *");
    return NULL;
}

static const char waiting[] = "FROM pg_stat_activity WHERE datname = current_database() "
                              "AND application_name = 'metadata-api' AND wait_event_type = 'Lock'";

static bool is_waiting(void *ctx)
{
    (void)ctx;
    return strcmp(api_sql("SELECT count(*) %s", waiting), "0") != 0;
}

/* Its backend dies in the middle of the transaction: it is done again, once. */
static void a_backend_killed_midway_costs_nothing(void **state)
{
    (void)state;
    struct reply mine = { 0 };
    pthread_t thread;
    PGconn *pg = PQconnectdb(fx.uri);
    PQclear(PQexec(pg, "BEGIN"));
    PQclear(PQexec(pg, "SELECT 1 FROM nodes WHERE id = 'n5' FOR UPDATE"));
    assert_int_equal(PQtransactionStatus(pg), PQTRANS_INTRANS);
    assert_int_equal(pthread_create(&thread, NULL, patch_n5, &mine), 0);
    assert_true(it_await(is_waiting, NULL, 5000));
    api_sql("SELECT pg_terminate_backend(pid) %s", waiting);
    PQclear(PQexec(pg, "COMMIT"));
    PQfinish(pg);
    pthread_join(thread, NULL);
    assert_status(&mine, 200);
    api_reply_done(&mine);
    assert_string_equal(api_sql("SELECT count(*) FROM audit WHERE resource = 'nodes/n5'"), "1");
}

static void killed_idle_backends_are_replaced(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        api_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name LIKE 'metadata-api%%'");
        api_call(&r, "viewer", "GET", "/v1/placement/runs", NULL, NULL);
        assert_status(&r, 200);
        api_call(&r, "viewer", "GET", "/v1/vertices/1?consistency=strong", NULL, NULL);
        assert_status(&r, 200);
    }
}

static bool writes_again(void *ctx)
{
    (void)ctx;
    api_call(&r, "operator", "POST", "/v1/placement/runs",
             "{\"source\":{\"file\":\"/data/after.txt\"}}", "Idempotency-Key: after");
    return r.status == 202;
}

static bool warned(void *ctx)
{
    (void)ctx;
    api_call(&r, "viewer", "GET", "/v1/vertices/known", NULL, NULL);
    return strcmp(r.warning, "111 - \"Revalidation Failed\"") == 0;
}

static bool aged(void *ctx)
{
    (void)ctx;
    api_call(&r, "viewer", "GET", "/v1/vertices/known", NULL, NULL);
    assert_status(&r, 200);
    return atoi(r.age) >= 2;
}

static void look_ups_go_on_while_postgresql_is_down_and_writes_say_so(void **state)
{
    (void)state;
    api_call(&r, "viewer", "GET", "/v1/vertices/known", NULL, NULL); /* warms its blob */
    assert_status(&r, 200);
    it_server_kill("postgres", true);
    assert_true(it_await(aged, NULL, 10000));
    assert_true(it_await(warned, NULL, 10000)); /* once a read of PostgreSQL has failed */
    static const char *const from_memory[] = { "/v1/partitions/1", "/v1/nodes", "/v1/topology",
                                               "/v1/zones/a" };
    for (size_t i = 0; i < PR_COUNT(from_memory); i++) {
        api_call(&r, "viewer", "GET", from_memory[i], NULL, NULL);
        assert_status(&r, 200);
        assert_true(r.warning[0] != '\0');
    }
    api_call(&r, "operator", "POST", "/v1/placement/runs",
             "{\"source\":{\"file\":\"/data/after.txt\"}}", "Idempotency-Key: after");
    assert_status(&r, 503);
    api_call(&r, "viewer", "GET", "/v1/operations", NULL, NULL);
    assert_status(&r, 503);
    api_call(&r, "viewer", "GET", "/v1/vertices/known?consistency=strong", NULL, NULL);
    assert_status(&r, 503);
    api_call(&r, "nobody", "GET", "/v1/nodes", NULL, NULL);
    assert_status(&r, 401);
    it_server_up("postgres");
    assert_true(it_await(writes_again, NULL, 15000));
    assert_string_equal(api_sql("SELECT count(*) FROM placement_runs "
                                "WHERE source->>'file' = '/data/after.txt'"),
                        "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_good_token_there_is_401_and_a_challenge),
        cmocka_unit_test(every_v1_route_is_closed),
        cmocka_unit_test(a_low_role_is_told_which_one_it_needs),
        cmocka_unit_test(a_new_token_works_at_once_and_a_revoked_one_stops_within_5_s),
        cmocka_unit_test(bad_bodies_are_named),
        cmocka_unit_test(unknown_and_wrong_fields_are_all_named),
        cmocka_unit_test(a_batch_has_limits),
        cmocka_unit_test(paths_methods_and_paging_are_checked),
        cmocka_unit_test(changes_need_the_current_etag),
        cmocka_unit_test(what_exists_is_not_made_twice),
        cmocka_unit_test(one_idempotency_key_is_one_request),
        cmocka_unit_test(one_key_sent_many_times_at_once_makes_one_run),
        cmocka_unit_test(a_backend_killed_midway_costs_nothing),
        cmocka_unit_test(killed_idle_backends_are_replaced),
        cmocka_unit_test(look_ups_go_on_while_postgresql_is_down_and_writes_say_so),
    };
    int failed = cmocka_run_group_tests(tests, api_small_setup, api_teardown);
    api_reply_done(&r);
    return failed;
}
