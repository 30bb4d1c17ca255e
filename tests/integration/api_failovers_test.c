/* Region fail-overs over REST and by prismctl. metadata-api is the real one, at a site whose
 * PostgreSQL does not answer until a relay to it is put up; what dr would answer is made here. */
#include "api_failovers_stage.h"

#include "dr_pg_relay.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static struct reply r;
static char dir[64], admin_uri[IT_URI], hash_path[96];
static int relay_port;
static pid_t relay;

static bool served(void *ctx)
{
    char text[4096];
    (void)ctx;
    return it_http(fx.service.port, "GET", "/v1/dr/failovers",
                   "Authorization: Bearer tok-standby\r\n", NULL, text, sizeof text) == 200;
}

/* --- the site in standby ------------------------------------------------------------------------
 */

static const char *file(const char *name, const char *text)
{
    static char path[96];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
    return path;
}

/* The same database at another port, where nobody listens yet. */
static void move_port(char uri[IT_URI], const char *from, int port)
{
    const char *at = strrchr(from, ':');
    assert_non_null(at);
    (void)snprintf(uri, IT_URI, "%.*s:%d%s", (int)(at - from), from, port, strchr(at, '/'));
}

static int setup(void **state)
{
    char sha[80], setting[160], away[IT_URI];
    const char *extra[] = { setting, NULL };
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/prism-standby-XXXXXX");
    assert_non_null(mkdtemp(dir));
    it_bus_reset();
    it_database("failovers", fx.uri);
    (void)snprintf(admin_uri, sizeof admin_uri, "%s", fx.uri);
    api_sql("INSERT INTO api_tokens (name, hash, role) VALUES ('admin', sha256('tok-admin'), "
            "'admin'), ('viewer', sha256('tok-viewer'), 'viewer')");
    (void)snprintf(sha, sizeof sha, "%s\n", api_sql("SELECT encode(sha256('tok-standby'), 'hex')"));
    (void)snprintf(hash_path, sizeof hash_path, "%s", file("hash", sha));
    (void)snprintf(setting, sizeof setting, "PRISM_API_STANDBY_TOKEN_SHA256_PATH=%s", hash_path);
    relay_port = it_free_port();
    move_port(away, fx.uri, relay_port);
    failovers_dr_is(FAILOVERS_NEVER, false);
    failovers_dr_answers(true);
    it_service_launch(&fx.service, "metadata-api", away, extra, it_free_port());
    assert_true(it_await(served, NULL, 20000));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    failovers_dr_answers(false);
    if (relay > 0) {
        (void)kill(relay, SIGKILL);
        (void)waitpid(relay, NULL, 0);
    }
    const char *rm[] = { "/bin/rm", "-rf", dir, NULL };
    (void)it_run(NULL, rm, NULL, 0, 10000);
    return it_stop(fx.service.pid);
}

static void call(const char *role, const char *method, const char *path, const char *body,
                 int status)
{
    api_call(&r, role, method, path, body, NULL);
    if (r.status != status)
        fail_msg("%s %s as %s: %ld, want %d: %s", method, path, role == NULL ? "nobody" : role,
                 r.status, status, r.text);
}

static const char ORDER[] = "{\"to\":\"west\",\"oldSideIsDown\":true,\"waitS\":5}";

/* --- while PostgreSQL is away -------------------------------------------------------------------
 */

static void nothing_but_failovers_is_open_and_to_one_token_alone(void **state)
{
    (void)state;
    static const struct {
        const char *role, *method, *path;
        int status;
    } row[] = {
        { NULL, "GET", "/v1/dr/failovers", 401 },
        { "admin", "GET", "/v1/dr/failovers", 401 }, /* nobody can look it up */
        { "standby2", "GET", "/v1/dr/failovers", 401 },
        { "", "POST", "/v1/dr/failovers", 401 },
        { "standby", "GET", "/v1/nodes", 403 },
        { "standby", "GET", "/v1/dr", 403 },
        { "standby", "POST", "/v1/dr/drills", 403 },
        { "standby", "GET", "/v1/audit", 403 },
        { "admin", "GET", "/v1/nodes", 503 },
        { NULL, "GET", "/v1/nodes", 503 },
        { "standby", "GET", "/v1/dr/failovers", 200 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        call(row[i].role, row[i].method, row[i].path, NULL, row[i].status);
    call(NULL, "GET", "/livez", NULL, 200);
    call(NULL, "GET", "/readyz", NULL, 503);
}

static void there_is_none_at_first(void **state)
{
    (void)state;
    failovers_dr_is(FAILOVERS_NEVER, false);
    call("standby", "GET", "/v1/dr/failovers", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 0);
    call("standby", "GET", "/v1/dr/failovers/latest", NULL, 404);
    call("standby", "GET", "/v1/dr/failovers/7", NULL, 404);
    call("standby", "GET", "/v1/dr/failovers/0", NULL, 400);
    call("standby", "GET", "/v1/dr/failovers/first", NULL, 400);
}

/* Whether PostgreSQL is away shows when it was tried for a while. */
static bool counts(void *ctx)
{
    (void)ctx;
    api_call(&r, "standby", "POST", "/v1/dr/failovers?dryRun=true", ORDER, NULL);
    return r.status != 503;
}

static void a_plan_changes_nothing(void **state)
{
    (void)state;
    failovers_dr_is(FAILOVERS_NEVER, false);
    assert_true(it_await(counts, NULL, 30000));
    call("standby", "POST", "/v1/dr/failovers?dryRun=true", ORDER, 200);
    assert_false(json_is_true(json_object_get(r.j, "ready")));
    assert_int_equal(api_int(&r, "expectedRpoMs"), 900);
    assert_string_equal(json_string_value(json_object_get(
                            json_array_get(json_object_get(r.j, "shards"), 0), "untilAt")),
                        "2026-11-21T10:05:00.250Z");
    assert_string_equal(failovers_dr.verb, "plan");
    assert_true(failovers_dr.last.old_side_is_down);
    assert_false(failovers_dr.last.over_existing);
    assert_int_equal(failovers_dr.last.wait_ms, 5000);
    assert_string_equal(failovers_dr.to, "west");
}

static void an_order_is_carried_out_and_shown(void **state)
{
    (void)state;
    failovers_dr_is(FAILOVERS_AT_WORK, true);
    api_call(&r, "standby", "POST", "/v1/dr/failovers", ORDER, "Idempotency-Key: k1");
    assert_status(&r, 202);
    assert_string_equal(r.location, "/v1/dr/failovers/7");
    assert_string_equal(failovers_dr.verb, "execute");
    assert_string_equal(failovers_dr.by, "standby-token");
    assert_int_equal(strspn(failovers_dr.key, "0123456789abcdef"), 64);
    call("standby", "GET", "/v1/dr/failovers/7", NULL, 200);
    assert_string_equal(api_str(&r, "state"), "running");
    assert_string_equal(api_str(&r, "begunAt"), "2026-11-21T10:05:00.250Z");
    assert_true(json_is_null(json_object_get(r.j, "endedAt")));
    assert_true(json_is_true(json_object_get(r.j, "executing")));
    assert_null(json_object_get(r.j, "begunMs"));
    assert_int_equal(api_int(&r, "rtoMs"), 41200);
    call("standby", "GET", "/v1/dr/failovers", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 1);
    failovers_dr_is(FAILOVERS_NEVER, true); /* its checks take long: nothing in the journal yet */
    call("standby", "POST", "/v1/dr/failovers", ORDER, 202);
    assert_string_equal(api_str(&r, "state"), "checking");
    assert_string_equal(r.location, "/v1/dr/failovers/latest");
}

static void one_that_stopped_is_resumed_or_taken_back(void **state)
{
    (void)state;
    failovers_dr_is(FAILOVERS_STOPPED, false);
    call("standby", "POST", "/v1/dr/failovers/7:resume", "{\"overExisting\":true}", 202);
    assert_string_equal(failovers_dr.verb, "resume");
    assert_int_equal(failovers_dr.last.number, 7);
    assert_true(failovers_dr.last.over_existing);
    assert_string_equal(api_str(&r, "why"), "redis: the bucket refuses");
    call("standby", "POST", "/v1/dr/failovers/7:abort", NULL, 202);
    assert_string_equal(failovers_dr.verb, "abort");
    failovers_dr.refuse = PR_ECONFLICT;
    call("standby", "POST", "/v1/dr/failovers/7:abort", NULL, 409);
    assert_string_equal(api_str(&r, "detail"), "one is under way already");
    failovers_dr.refuse = PR_ENOTFOUND;
    call("standby", "POST", "/v1/dr/failovers/9:resume", NULL, 404);
}

/* What dr knows a request by; its key is the same every time. */
static void mark_of(const char *role, const char *path, const char *body, char mark[65])
{
    api_call(&r, role, "POST", path, body, "Idempotency-Key: same");
    assert_status(&r, 202);
    assert_int_equal(strlen(failovers_dr.key), 64);
    (void)snprintf(mark, 65, "%.64s", failovers_dr.key);
}

static void a_key_is_of_one_request_alone(void **state)
{
    char order[65], other[65];
    (void)state;
    failovers_dr_is(FAILOVERS_STOPPED, false);
    mark_of("standby", "/v1/dr/failovers", ORDER, order);
    mark_of("standby", "/v1/dr/failovers", ORDER, other);
    assert_string_equal(order, other);
    mark_of("standby", "/v1/dr/failovers", "{\"to\":\"west\"}", other);
    assert_string_not_equal(order, other);
    mark_of("standby", "/v1/dr/failovers/7:resume", NULL, order);
    mark_of("standby", "/v1/dr/failovers/7:abort", NULL, other);
    assert_string_not_equal(order, other);
}

static void what_is_wrong_never_reaches_dr(void **state)
{
    (void)state;
    static const struct {
        const char *path, *body;
    } row[] = {
        { "/v1/dr/failovers", NULL },
        { "/v1/dr/failovers", "{}" },
        { "/v1/dr/failovers", "{\"to\":\"\"}" },
        { "/v1/dr/failovers", "{\"to\":7}" },
        { "/v1/dr/failovers", "{\"to\":\"west\",\"force\":true}" },
        { "/v1/dr/failovers", "{\"to\":\"west\",\"oldSideIsDown\":\"yes\"}" },
        { "/v1/dr/failovers", "{\"to\":\"west\",\"waitS\":0}" },
        { "/v1/dr/failovers", "{\"to\":\"west\",\"waitS\":3601}" },
        { "/v1/dr/failovers", "[]" },
        { "/v1/dr/failovers?dryRun=maybe", "{\"to\":\"west\"}" },
        { "/v1/dr/failovers/7:resume", "{\"to\":\"west\"}" },
        { "/v1/dr/failovers/x:resume", NULL },
        { "/v1/dr/failovers/0:abort", NULL },
    };
    failovers_dr_is(FAILOVERS_NEVER, false);
    for (size_t i = 0; i < PR_COUNT(row); i++)
        call("standby", "POST", row[i].path, row[i].body, 400);
    assert_int_equal(failovers_dr.asked, 0);
}

static void without_dr_the_answer_is_later(void **state)
{
    (void)state;
    failovers_dr_answers(false);
    call("standby", "GET", "/v1/dr/failovers", NULL, 503);
    call("standby", "POST", "/v1/dr/failovers", ORDER, 503);
    call("standby", "GET", "/v1/dr/failovers/latest", NULL, 503);
    failovers_dr_is(FAILOVERS_NEVER, false);
    failovers_dr_answers(true);
    assert_true(it_await(served, NULL, 10000));
}

static int ctl(const char *role, const char *command, char *out, size_t n)
{
    char url[160], token[64], line[512];
    const char *env[] = { url, token, NULL };
    const char *argv[] = { "/bin/sh", "-c", line, PRISM_BIN_DIR "/prismctl", NULL };
    (void)snprintf(line, sizeof line, "exec \"$0\" dr failover %s 2>&1 </dev/null", command);
    (void)snprintf(url, sizeof url, "PRISM_API_URL=%s", fx.service.url);
    (void)snprintf(token, sizeof token, "PRISM_TOKEN=tok-%s", role);
    return it_run(env, argv, out, n, 60000);
}

static void assert_says(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, text);
}

static void prismctl_does_it_in_one_command(void **state)
{
    static char out[65536];
    (void)state;
    failovers_dr_is(FAILOVERS_NEVER, false);
    assert_int_equal(ctl("standby", "plan --to west", out, sizeof out), 6);
    assert_says(out, "in the way   west is not empty");
    assert_says(out, "claim        takes the marker");
    assert_int_equal(ctl("standby", "execute --yes", out, sizeof out), 2);
    assert_int_equal(ctl("standby", "fly --to west", out, sizeof out), 2);
    assert_int_equal(ctl("standby", "execute --to west", out, sizeof out), 6); /* its plan */
    assert_int_equal(ctl("admin", "execute --to west --yes", out, sizeof out), 4);
    assert_int_equal(ctl("standby", "status", out, sizeof out), 5);
    failovers_dr_is(FAILOVERS_AT_WORK, true);
    failovers_dr.done_after = 3;
    assert_int_equal(ctl("standby", "execute --to west --yes --watch", out, sizeof out), 0);
    assert_says(out, "redis        running  redis it is");
    assert_says(out, "redis        done     redis it is");
    assert_says(out, "RPO          0.8 s");
    assert_says(out, "RTO          41.2 s");
    failovers_dr_is(FAILOVERS_STOPPED, false);
    assert_int_equal(ctl("standby", "status --watch", out, sizeof out), 1);
    assert_says(out, "it stopped: redis: the bucket refuses");
    assert_int_equal(ctl("standby", "resume", out, sizeof out), 2); /* nobody to ask */
    failovers_dr_is(FAILOVERS_AT_WORK, true);
    failovers_dr.done_after = 2;
    assert_int_equal(ctl("standby", "resume --yes --watch --old-side-is-down", out, sizeof out), 0);
    assert_true(failovers_dr.last.old_side_is_down);
    assert_int_equal(ctl("standby", "abort 7 --yes --watch", out, sizeof out), 1); /* it is done */
    failovers_dr.refuse = PR_ECONFLICT;
    assert_int_equal(ctl("standby", "execute --to west --yes", out, sizeof out), 6);
    assert_int_equal(ctl("standby", "list", out, sizeof out), 0);
    assert_says(out, "east");
}

/* --- once PostgreSQL is there -------------------------------------------------------------------
 */

static bool ready(void *ctx)
{
    (void)ctx;
    return it_service_ready(&fx.service);
}

static bool audited(void *ctx)
{
    (void)ctx;
    return strtol(api_sql("SELECT count(*) FROM audit"), NULL, 10) > 0;
}

static void then_the_tokens_there_count_and_the_trail_is_written(void **state)
{
    (void)state;
    const char *port = strrchr(fx.uri, ':');
    relay = dr_pg_relay(relay_port, (int)strtol(port + 1, NULL, 10));
    assert_true(relay > 0);
    assert_true(it_await(ready, NULL, 30000));
    failovers_dr_is(FAILOVERS_AT_WORK, true);
    call("standby", "POST", "/v1/dr/failovers", ORDER, 401);
    assert_non_null(strstr(api_str(&r, "detail"), "use a token of an administrator"));
    call("standby", "GET", "/v1/dr/failovers/latest", NULL, 200); /* who follows sees the end */
    call("viewer", "GET", "/v1/dr/failovers/latest", NULL, 200);
    call("viewer", "POST", "/v1/dr/failovers", ORDER, 403);
    call("admin", "GET", "/v1/nodes", NULL, 200);
    call("admin", "POST", "/v1/dr/failovers/7:abort", NULL, 202);
    assert_string_equal(failovers_dr.by, "admin");
    assert_true(it_await(audited, NULL, 10000));
    assert_string_equal(api_sql("SELECT string_agg(DISTINCT action, ',') FROM audit WHERE "
                                "principal = 'standby-token'"),
                        "dr.failover.abort,dr.failover.execute,dr.failover.resume");
    assert_string_equal(api_sql("SELECT count(*) > 0 FROM audit WHERE action = "
                                "'dr.failover.abort' AND after->>'refused' LIKE '%%under way%%' "
                                "AND resource = 'dr/failovers/7' AND at < now()"),
                        "t");
}

static void the_history_is_read_from_there(void **state)
{
    (void)state;
    api_sql("INSERT INTO dr_failovers (id, from_site, to_site, by_whom, site_epoch, begun_at, "
            "claimed_at, verified_at, rpo_ms, rto_ms, attempts, report) SELECT i, 'east', 'west', "
            "'ops', i, '2026-11-21 10:05:00.25Z', '2026-11-21 10:05:01Z', "
            "'2026-11-21 10:06:01Z', 800, 41200, 1, '%s'::jsonb FROM generate_series(1, 3) i",
            FAILOVERS_DONE);
    call("viewer", "GET", "/v1/dr/failovers?pageSize=2", NULL, 200);
    const json_t *items = json_object_get(r.j, "items");
    assert_int_equal(json_array_size(items), 2);
    assert_non_null(json_object_get(r.j, "nextPageToken"));
    const json_t *one = json_array_get(items, 0);
    assert_int_equal(json_integer_value(json_object_get(one, "id")), 3);
    assert_string_equal(json_string_value(json_object_get(one, "state")), "done");
    assert_null(json_object_get(one, "number"));
    assert_null(json_object_get(one, "begunMs"));
    call("viewer", "GET", "/v1/dr/failovers/2", NULL, 200);
    assert_int_equal(api_int(&r, "id"), 2);
    assert_non_null(strstr(api_str(&r, "begunAt"), "10:05:00.25"));
    assert_int_equal(json_array_size(json_object_get(r.j, "steps")), 2);
    call("viewer", "GET", "/v1/dr/failovers/4", NULL, 404);
    failovers_dr_answers(false); /* the history needs no dr */
    call("viewer", "GET", "/v1/dr/failovers/2", NULL, 200);
    call("viewer", "GET", "/v1/dr/failovers", NULL, 200);
    call("viewer", "GET", "/v1/dr/failovers/latest", NULL, 503);
}

/* --- settings ------------------------------------------------------------------------------------
 */

static void a_hash_that_is_none_ends_the_start(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "abc\n",
                                       "0123456789012345678901234567890123456789012345678901234567"
                                       "89012g\n",
                                       "012345678901234567890123456789012345678901234567890123456"
                                       "78901234\n" };
    for (size_t i = 0; i < PR_COUNT(bad); i++) {
        char setting[160], away[IT_URI];
        struct it_service s;
        const char *extra[] = { setting, NULL };
        (void)snprintf(setting, sizeof setting, "PRISM_API_STANDBY_TOKEN_SHA256_PATH=%s",
                       file("bad", bad[i]));
        move_port(away, fx.uri, it_free_port());
        it_service_launch(&s, "metadata-api", away, extra, it_free_port());
        assert_int_equal(it_wait(s.pid, 20000), EXIT_FAILURE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_but_failovers_is_open_and_to_one_token_alone),
        cmocka_unit_test(there_is_none_at_first),
        cmocka_unit_test(a_plan_changes_nothing),
        cmocka_unit_test(an_order_is_carried_out_and_shown),
        cmocka_unit_test(one_that_stopped_is_resumed_or_taken_back),
        cmocka_unit_test(a_key_is_of_one_request_alone),
        cmocka_unit_test(what_is_wrong_never_reaches_dr),
        cmocka_unit_test(without_dr_the_answer_is_later),
        cmocka_unit_test(prismctl_does_it_in_one_command),
        cmocka_unit_test(then_the_tokens_there_count_and_the_trail_is_written),
        cmocka_unit_test(the_history_is_read_from_there),
        cmocka_unit_test(a_hash_that_is_none_ends_the_start),
    };
    const int rc = cmocka_run_group_tests_name("api failovers", tests, setup, teardown);
    api_reply_done(&r);
    return rc;
}
