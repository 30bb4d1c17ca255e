/* What placement wants, and what a plan towards it moves: hints, the report, suggestions of the
 * real placement service, batches; and prismctl's words for them. */
#include "api_fixture.h"
#include "prism/slot.h"

#include <stdio.h>
#include <string.h>

static struct reply r;
static char out[1 << 16];

static void get(const char *path, int status)
{
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, status);
}

static const json_t *item(size_t i)
{
    const json_t *one = json_array_get(json_object_get(r.j, "items"), i);
    if (one == NULL)
        fail_msg("no item %zu: %s", i, r.text);
    return one;
}

static long long number(const json_t *of, const char *member)
{
    return json_integer_value(json_object_get(of, member));
}

static const char *word(const json_t *of, const char *member)
{
    const char *v = json_string_value(json_object_get(of, member));
    return v == NULL ? "" : v;
}

static size_t items(void)
{
    return json_array_size(json_object_get(r.j, "items"));
}

static void ctl(const char *line, const char *words)
{
    const int got = api_ctl("viewer", NULL, line, out, sizeof out);
    if (got != 0 || strstr(out, words) == NULL)
        fail_msg("prismctl %s: %d: %s", line, got, out);
}

static void run_in(const char *state, const char *params, const char *report)
{
    api_sql("INSERT INTO placement_runs (operation_id, source, params, created_by, state, report) "
            "VALUES (gen_random_uuid(), '{\"file\": \"/g\"}', '%s', 'x', '%s', %s)",
            params, state, report);
}

static void without_a_run_that_is_done_there_is_nothing(void **state)
{
    (void)state;
    get("/v1/placement/report", 404);
    get("/v1/placement/hints", 404);
    run_in("running", "{}", "NULL");
    get("/v1/placement/report", 404);
    get("/v1/placement/hints?run=1", 404);
    get("/v1/placement/hints?run=x", 400);
    get("/v1/placement/hints?run=0", 400);
}

static void hints_and_the_report_are_those_of_the_newest_run(void **state)
{
    (void)state;
    char path[700];
    run_in("done", "{}", "'{\"moves\": 1}'");
    run_in("done", "{\"kind\": \"placement\"}", "'{\"moves\": 7, \"why\": \"improved\"}'");
    run_in("done", "{\"kind\": \"evaluate\"}", "'{\"moves\": 0}'"); /* places nothing */
    run_in("failed", "{}", "NULL");
    api_sql("INSERT INTO hints SELECT 2, p, 'b', 1 FROM generate_series(0, 63) p");
    api_sql("INSERT INTO hints SELECT 3, p, CASE WHEN p %% 2 = 0 THEN 'a' ELSE 'c' END, p * 10 "
            "FROM generate_series(0, 63) p");
    get("/v1/placement/report", 200);
    assert_int_equal(api_int(&r, "id"), 3);
    assert_int_equal(number(json_object_get(r.j, "report"), "moves"), 7);
    char none[100];
    snprintf(none, sizeof none, "If-None-Match: %s", r.etag);
    api_call(&r, "viewer", "GET", "/v1/placement/report", NULL, none);
    assert_status(&r, 304);

    get("/v1/placement/hints?pageSize=6", 200);
    assert_int_equal(items(), 6);
    assert_int_equal(number(item(5), "partition"), 5);
    assert_int_equal(number(item(5), "runId"), 3);
    assert_int_equal(number(item(5), "vertices"), 50);
    assert_string_equal(word(item(5), "zone"), "c");
    assert_string_equal(word(item(5), "zoneNow"), "a"); /* of its slot, 0 */
    snprintf(path, sizeof path, "/v1/placement/hints?pageSize=6&pageToken=%s",
             api_str(&r, "nextPageToken"));
    get(path, 200);
    assert_int_equal(number(item(0), "partition"), 6);
    get("/v1/placement/hints?zone=a&pageSize=1000", 200);
    assert_int_equal(items(), 32);
    get("/v1/placement/hints?zone=z", 200);
    assert_int_equal(items(), 0);
    get("/v1/placement/hints?run=2", 200);
    assert_string_equal(word(item(0), "zone"), "b");
    get("/v1/placement/hints?run=4", 404); /* has none */
    get("/v1/placement/hints?run=99", 404);
    ctl("placement hints --zone c --limit 3", "NOW IN");
    ctl("-o json placement hints --limit 1", "\"zoneNow\"");
    ctl("placement report", "improved");
    ctl("-o json placement report", "\"operationId\"");

    /* A page of the run before does not go on with another one's. */
    get("/v1/placement/hints?pageSize=6", 200);
    snprintf(path, sizeof path, "/v1/placement/hints?pageSize=6&pageToken=%s",
             api_str(&r, "nextPageToken"));
    run_in("done", "{}", "'{}'");
    api_sql("INSERT INTO hints VALUES (6, 1, 'a', 1)");
    get(path, 400);
}

static bool suggests(void *body)
{
    api_call(&r, "viewer", "POST", "/v1/placement/hints:suggest", body, NULL);
    return r.status == 200 && number(r.j, "runId") == 6;
}

/* A partition whose slot's primary is in the third zone. */
static unsigned partition_in_c(void)
{
    unsigned p = 0;
    while (pr_partition_slot(p) * 3 / PR_SLOTS != 2)
        p++;
    return p;
}

static void a_vertex_that_does_not_exist_yet_is_suggested_a_place(void **state)
{
    (void)state;
    static const struct {
        const char *body, *field;
    } wrong[] = {
        { "{}", "id" },
        { "{\"id\":\"a b\"}", "id" },
        { "{\"id\":\"v\",\"neighbors\":7}", "neighbors" },
        { "{\"id\":\"v\",\"neighbors\":[\"w\",7]}", "neighbors[1]" },
        { "{\"id\":\"v\",\"neighbors\":[\"\"]}", "neighbors[0]" },
        { "{\"id\":\"v\",\"near\":[]}", "near" },
    };
    char body[] = "{\"id\":\"new\",\"neighbors\":[\"k1\",\"k2\"]}";
    for (size_t i = 0; i < PR_COUNT(wrong); i++) {
        api_call(&r, "viewer", "POST", "/v1/placement/hints:suggest", wrong[i].body, NULL);
        assert_status(&r, 400);
        snprintf(out, sizeof out, "\"field\":\"%s\"", wrong[i].field);
        if (strstr(r.text, out) == NULL)
            fail_msg("%s: %s", wrong[i].body, r.text);
    }
    api_call(&r, "viewer", "POST", "/v1/placement/hints:suggest", body, NULL);
    assert_status(&r, 503);        /* nobody there to ask */
    for (int i = 1; i <= 2; i++) { /* both neighbors are wanted in zone c */
        char id[8];
        snprintf(id, sizeof id, "k%d", i);
        api_sql("INSERT INTO route_bases VALUES ('target', 6, %u, 1, %s)", api_home(id),
                api_blob(id, partition_in_c()));
    }
    struct it_service placement;
    it_service(&placement, "placement", fx.uri, NULL);
    assert_true(it_await(suggests, body, 60000));
    assert_string_equal(api_str(&r, "zone"), "c");
    assert_string_equal(api_str(&r, "id"), "new");
    assert_int_equal(pr_partition_slot((uint32_t)api_int(&r, "partition")) * 3 / PR_SLOTS, 2);
    ctl("placement suggest new k1 k2", "zone");
    api_call(&r, NULL, "POST", "/v1/placement/hints:suggest", body, NULL);
    assert_status(&r, 401);
    assert_int_equal(it_stop(placement.pid), 0);
}

static void the_batches_of_a_plan_are_listed(void **state)
{
    (void)state;
    char path[700];
    api_sql("INSERT INTO plans (operation_id, run_id, created_by, state) "
            "VALUES (gen_random_uuid(), 3, 'x', 'running')");
    api_sql("INSERT INTO moves (plan_id, batch, src_node, dst_node, state, vertices, moved, bytes, "
            "ids, error) SELECT 1, b, 'n' || b %% 3 + 1, 'n' || (b + 1) %% 3 + 1, "
            "CASE WHEN b = 7 THEN 'failed' WHEN b < 7 THEN 'done' ELSE 'planned' END, 100, "
            "CASE WHEN b < 7 THEN 100 ELSE 0 END, 4096, '', CASE WHEN b = 7 THEN 'full' END "
            "FROM generate_series(1, 12) b");
    get("/v1/rebalance/plans/1/moves?pageSize=10", 200);
    assert_int_equal(items(), 10);
    assert_int_equal(number(item(9), "batch"), 10); /* by number, not as text */
    assert_int_equal(number(item(0), "moved"), 100);
    assert_string_equal(word(item(6), "error"), "full");
    snprintf(path, sizeof path, "/v1/rebalance/plans/1/moves?pageSize=10&pageToken=%s",
             api_str(&r, "nextPageToken"));
    get(path, 200);
    assert_int_equal(items(), 2);
    assert_null(json_object_get(r.j, "nextPageToken"));
    get("/v1/rebalance/plans/1/moves?state=failed", 200);
    assert_int_equal(items(), 1);
    get("/v1/rebalance/plans/1/moves?node=n2&readMask=from,to", 200);
    assert_int_equal(items(), 8);
    get("/v1/rebalance/plans/2/moves", 404);
    get("/v1/rebalance/plans/x/moves", 400);
    ctl("plan moves 1 --state failed", "full");
}

static void prismctl_says_who_somebody_is(void **state)
{
    (void)state;
    ctl("whoami", "viewer");
    ctl("-o json whoami", "\"role\"");
}

static int teardown(void **state)
{
    api_reply_done(&r);
    return api_teardown(state);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_run_that_is_done_there_is_nothing),
        cmocka_unit_test(hints_and_the_report_are_those_of_the_newest_run),
        cmocka_unit_test(a_vertex_that_does_not_exist_yet_is_suggested_a_place),
        cmocka_unit_test(the_batches_of_a_plan_are_listed),
        cmocka_unit_test(prismctl_says_who_somebody_is),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, api_small_setup, teardown);
}
