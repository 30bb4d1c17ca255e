/* What is wanted and how it is are versioned apart; verbs act on what was seen; a key is one
 * request, arguments included. */
#include "api_fixture.h"

#include <stdio.h>
#include <string.h>

static struct reply r;

/* The resource as a viewer sees it; its ETag as an If-Match line. */
static void look(const char *path, char if_match[100])
{
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, 200);
    assert_true(r.etag[0] == '"');
    snprintf(if_match, 100, "If-Match: %s", r.etag);
}

/* The service has the row's revision in its snapshot. */
static bool has_seen(void *ctx)
{
    const char *node = ctx;
    char path[80];
    snprintf(path, sizeof path, "/v1/nodes/%s", node);
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    return r.status == 200 &&
           api_int(&r, "revision") ==
               atoll(api_sql("SELECT revision FROM nodes WHERE id = '%s'", node));
}

static void a_change_of_the_status_alone_spoils_no_if_match(void **state)
{
    (void)state;
    char seen[100], none[100];
    look("/v1/nodes/n4", seen);
    const long long generation = api_int(&r, "generation"), revision = api_int(&r, "revision");
    snprintf(none, sizeof none, "If-None-Match: %s", r.etag);
    api_sql("UPDATE nodes SET seen_at = now(), slots = 0, state = 'failed' WHERE id = 'n4'");
    assert_true(it_await(has_seen, (void *)"n4", 60000));
    assert_int_equal(api_int(&r, "generation"), generation);
    assert_true(api_int(&r, "revision") > revision);
    api_call(&r, "viewer", "GET", "/v1/nodes/n4", NULL, none);
    assert_status(&r, 200); /* a poller hears of it */
    assert_string_equal(api_str(&r, "state"), "failed");
    api_call(&r, "admin", "PATCH", "/v1/nodes/n4", "{\"zone\":\"c\"}", seen);
    assert_status(&r, 200); /* who changes the zone need not */
    assert_true(api_int(&r, "generation") > generation);
    api_call(&r, "admin", "PATCH", "/v1/nodes/n4", "{\"zone\":\"b\"}", seen);
    assert_status(&r, 412);
}

static long long plan_in(const char *state)
{
    const long long id = api_balance_plan(&r);
    api_sql("UPDATE plans SET state = '%s' WHERE id = %lld", state, id);
    return id;
}

static void verb(long long id, const char *name, const char *header, int status)
{
    char path[100];
    snprintf(path, sizeof path, "/v1/rebalance/plans/%lld:%s", id, name);
    api_call(&r, "operator", "POST", path, NULL, header);
    assert_status(&r, status);
}

static void a_verb_acts_on_the_plan_that_was_seen(void **state)
{
    (void)state;
    static const char *const verbs[] = { "approve", "execute", "resume", "cancel" };
    char path[100], seen[100];
    const long long id = plan_in("proposed");
    for (size_t i = 0; i < PR_COUNT(verbs); i++)
        verb(id, verbs[i], NULL, 428);
    assert_string_equal(api_sql("SELECT state FROM plans WHERE id = %lld", id), "proposed");

    snprintf(path, sizeof path, "/v1/rebalance/plans/%lld", id);
    look(path, seen);
    api_sql("UPDATE plans SET summary = '{\"steps\": 9}' WHERE id = %lld", id); /* planned anew */
    verb(id, "execute", seen, 412);
    look(path, seen);
    api_sql("UPDATE plans SET active_s = active_s + 1 WHERE id = %lld", id); /* only follows */
    verb(id, "execute", seen, 202);

    api_sql("UPDATE plans SET state = 'running' WHERE id = %lld", id);
    look(path, seen);
    verb(id, "pause", NULL, 200); /* a brake has no condition */
    verb(id, "resume", seen, 412);
    look(path, seen);
    api_sql("UPDATE plans SET error = 'stuck: key k' WHERE id = %lld", id);
    verb(id, "resume", seen, 412); /* stuck at what was not seen */
    look(path, seen);
    verb(id, "cancel", seen, 202);
    api_sql("UPDATE plans SET state = 'canceled' WHERE id = %lld", id);
}

/* What a poller would miss if the ETag told of the wish alone: each line changes what a body shows,
 * and nothing that raises a generation. */
static void whoever_polls_hears_of_progress(void **state)
{
    (void)state;
    char plan[100], operation[100];
    const long long id = plan_in("proposed");
    char if_match[100];
    snprintf(plan, sizeof plan, "/v1/rebalance/plans/%lld", id);
    look(plan, if_match);
    verb(id, "execute", if_match, 202);
    snprintf(operation, sizeof operation, "/v1/operations/%s", api_str(&r, "executeOperationId"));
    const char *op = strrchr(operation, '/') + 1;
    api_sql("INSERT INTO dr_groups (id, groups, epoch, seq, holder) VALUES ('g0', 1, 1, 1, 'd')");
    api_sql("INSERT INTO dr_drills (shard_id, asked_by) VALUES ('n1', 'x')");
    const char *number = strrchr(plan, '/') + 1;
    const struct {
        const char *path, *sql, *of; /* sql: up to what is looked for */
    } row[] = {
        { plan, "UPDATE operations SET progress = '{\"bytesDone\": 1}' WHERE id = ", op },
        { plan,
          "INSERT INTO steps (plan_id, step, wave, kind) SELECT id, 1, 1, 'slot' FROM plans "
          "WHERE id = ",
          number },
        { plan, "UPDATE steps SET moved_bytes = 7, state = 'migrating' WHERE plan_id = ", number },
        { plan,
          "INSERT INTO moves (plan_id, batch, src_node, dst_node, vertices, ids) "
          "SELECT id, 1, 'n1', 'n2', 10, '' FROM plans WHERE id = ",
          number },
        { plan, "UPDATE moves SET moved = 5 WHERE plan_id = ", number },
        { operation, "UPDATE operations SET progress_ratio = 0.5 WHERE id = ", op },
        { operation, "UPDATE operations SET eta_s = 9, phase = 'wave 2' WHERE id = ", op },
        { "/v1/dr", "UPDATE dr_groups SET seq = 2 WHERE id = ", "g0" },
        { "/v1/dr/drills/1", "UPDATE dr_drills SET state = 'running' WHERE id = ", "1" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char none[100], masked[200];
        look(row[i].path, if_match);
        snprintf(none, sizeof none, "If-None-Match: %s", r.etag);
        const bool still = strcmp(row[i].path, "/v1/dr") != 0; /* that has ages in it */
        api_call(&r, "viewer", "GET", row[i].path, NULL, none);
        if (still)
            assert_status(&r, 304);
        api_sql("%s'%s'", row[i].sql, row[i].of);
        api_call(&r, "viewer", "GET", row[i].path, NULL, none);
        if (r.status != 200)
            fail_msg("%s after %s: %ld", row[i].path, row[i].sql, r.status);
        /* Also of one who looks at a part only. */
        snprintf(masked, sizeof masked, "%s?readMask=state", row[i].path);
        api_call(&r, "viewer", "GET", masked, NULL, none);
        assert_status(&r, 200);
    }
    api_sql("UPDATE plans SET state = 'canceled' WHERE id = %lld", id);
}

static void progress_does_not_stand_in_the_way_of_a_cancel(void **state)
{
    (void)state;
    char path[200], seen[100];
    plan_in("pending");
    snprintf(path, sizeof path, "/v1/operations/%s", api_str(&r, "operationId"));
    look(path, seen);
    const char *id = strrchr(path, '/') + 1;
    api_sql("UPDATE operations SET state = 'running', progress_ratio = 0.5 WHERE id = '%s'", id);
    char cancel[220];
    snprintf(cancel, sizeof cancel, "%s:cancel", path);
    api_call(&r, "operator", "POST", cancel, NULL, seen);
    assert_status(&r, 202);
    api_call(&r, "operator", "POST", cancel, NULL, seen);
    assert_status(&r, 412); /* that was asked for meanwhile */
}

static void a_key_is_one_request_with_its_arguments(void **state)
{
    (void)state;
    static const char body[] = "{\"id\":\"k1\",\"host\":\"h\",\"port\":7777}";
    static const char key[] = "Idempotency-Key: versions-1";
    api_call(&r, "admin", "POST", "/v1/nodes?dryRun=true", body, key);
    assert_status(&r, 200); /* a dry run is not remembered */
    api_call(&r, "admin", "POST", "/v1/nodes", body, key);
    assert_status(&r, 201);
    char etag[64];
    snprintf(etag, sizeof etag, "%s", r.etag);
    api_call(&r, "admin", "POST", "/v1/nodes", body, key);
    assert_status(&r, 201);
    assert_string_equal(r.replayed, "true");
    assert_string_equal(r.etag, etag);
    static const char *const other[] = { "/v1/nodes?dryRun=true", "/v1/nodes?dryRun=false",
                                         "/v1/nodes?dryRun=" };
    for (size_t i = 0; i < PR_COUNT(other); i++) {
        api_call(&r, "admin", "POST", other[i], body, key);
        if (r.status != (i == 2 ? 400 : 409))
            fail_msg("%s: %ld: %s", other[i], r.status, r.text);
    }
    assert_string_equal(api_sql("SELECT count(*) FROM nodes WHERE id = 'k1'"), "1");
}

static int teardown(void **state)
{
    api_reply_done(&r);
    return api_teardown(state);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_of_the_status_alone_spoils_no_if_match),
        cmocka_unit_test(a_verb_acts_on_the_plan_that_was_seen),
        cmocka_unit_test(whoever_polls_hears_of_progress),
        cmocka_unit_test(progress_does_not_stand_in_the_way_of_a_cancel),
        cmocka_unit_test(a_key_is_one_request_with_its_arguments),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, api_small_setup, teardown);
}
