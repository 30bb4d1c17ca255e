/* The running server against its own description, through a proxy that checks every request and
 * answer: prism-cli, from npm. Exits 77 when that cannot be had. */
#include "api.h"
#include "api_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct reply r;
static struct it_service server; /* fx.service speaks to the proxy from the set-up on */
static pid_t proxy;
static char tools[512];

/* A resource of each kind, in the states that lists show. */
static const char *const seed[] = {
    "INSERT INTO operations (id, kind, resource, created_by, state) VALUES "
    "('11111111-1111-1111-1111-111111111111', 'placement.run', 'placement/runs/1', 'x', 'done')",
    "INSERT INTO operations (id, kind, resource, created_by, state) VALUES "
    "('22222222-2222-2222-2222-222222222222', 'rebalance.plan', 'rebalance/plans/1', 'x', "
    "'running')",
    "INSERT INTO placement_runs (operation_id, source, created_by, state, report) VALUES "
    "('11111111-1111-1111-1111-111111111111', '{\"file\": \"/g.txt\", \"format\": \"snap\"}', 'x', "
    "'done', '{\"before\": {\"cross_share\": 0.6}, \"after\": {\"cross_share\": 0.1}}')",
    ("INSERT INTO plans (operation_id, run_id, created_by, state) VALUES "
     "('22222222-2222-2222-2222-222222222222', 1, 'x', 'proposed')"),
    "INSERT INTO autoscale_fleets (name, settings, changed_by) VALUES ('proxies', '{}', 'x')",
    "INSERT INTO pins (kind, value, why, created_by) VALUES ('slot', '1', 'why', 'x')",
    "INSERT INTO dr_drills (shard_id, asked_by) VALUES ('n1', 'x')",
    "INSERT INTO dr_drills (shard_id, asked_by, state, outcome, finished_at, generation, "
    "base_bytes, "
    "stream_bytes, keys, rto_ms, rpo_ms) VALUES ('n1', 'schedule', 'done', 'good', now(), "
    "'0000000000000012-0002', 10, 5, 3, 900, 100)",
    "INSERT INTO dr_cluster_restores (target, asked_by, state, outcome, until_at, started_at, "
    "finished_at, report) VALUES ('a:1', 'x', 'done', 'good', now(), now(), now(), '{\"keys\": "
    "1}')",
    "INSERT INTO dr_generations (shard_id, epoch, n, verified_at) VALUES ('n1', 18, 2, now())",
    "INSERT INTO hints VALUES (1, 5, 'b', 12)",
    ("INSERT INTO moves (plan_id, batch, src_node, dst_node, vertices, ids) "
     "VALUES (1, 1, 'n1', 'n2', 10, '')"),
    "INSERT INTO leases VALUES ('rebalance', 'r-1', 3, now())",
    "INSERT INTO outbox (service, subject, payload) VALUES ('nobody', 'x', '')",
};

/* What stands for {id} and the like under a path. */
static const char *value_of(const char *pattern)
{
    static const struct {
        const char *prefix, *value;
    } row[] = {
        { "/v1/nodes/", "n1" },
        { "/v1/zones/", "a" },
        { "/v1/operations/", "22222222-2222-2222-2222-222222222222" },
        { "/v1/autoscale/fleets/", "proxies" },
        { "/v1/tokens/", "viewer" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (strncmp(pattern, row[i].prefix, strlen(row[i].prefix)) == 0)
            return row[i].value;
    return "1";
}

static void fill(const char *pattern, char *out, size_t cap)
{
    size_t n = 0;
    for (const char *p = pattern; *p != '\0' && n < cap; p++)
        if (*p == '{') {
            const char *value = strncmp(p, "{kind}", 6) == 0 ? "slot" : value_of(pattern);
            if (strncmp(p, "{version}", 9) == 0)
                value = "1";
            if (strncmp(p, "{shard}", 7) == 0)
                value = "n1";
            if (strncmp(p, "{generation}", 12) == 0)
                value = "0000000000000012-0002";
            n += (size_t)snprintf(out + n, cap - n, "%s", value);
            p += strcspn(p, "}");
        } else
            out[n++] = *p;
    out[n] = '\0';
}

/* The proxy answers in the server's place when one of both breaks the description. */
static void judged(const char *method, const char *path)
{
    if (r.text != NULL && strstr(r.text, "stoplight.io/prism/errors") != NULL)
        fail_msg("%s %s: %s", method, path, r.text);
}

static void call(const char *role, const char *method, const char *path, const char *body,
                 const char *header)
{
    char headers[300];
    snprintf(headers, sizeof headers, "Content-Type: application/json%s%s",
             header == NULL ? "" : "\n", header == NULL ? "" : header);
    api_call(&r, role, method, path, body, body == NULL ? header : headers);
    judged(method, path);
}

static void every_read_answers_as_described(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_route_count; i++) {
        char path[256];
        if (strcmp(api_routes[i].method, "GET") != 0 ||
            strncmp(api_routes[i].pattern, "/v1/", 4) != 0)
            continue;
        fill(api_routes[i].pattern, path, sizeof path - 20);
        if (strcmp(path, "/v1/rebalance/explain") == 0)
            strcat(path, "?slot=1");
        call("admin", "GET", path, NULL, NULL);
        print_message("%ld GET %s\n", r.status, path);
        if (r.status >= 500 && r.status != 503) /* 503: services that are not there */
            fail_msg("GET %s: %ld %s", path, r.status, r.text);
    }
}

static void errors_are_described_too(void **state)
{
    (void)state;
    static const struct {
        const char *role, *method, *path;
        int status;
    } row[] = {
        { "viewer", "GET", "/v1/nodes/none", 404 },
        { "viewer", "GET", "/v1/audit", 403 },
        { "nobody", "GET", "/v1/nodes", 401 },
        { "viewer", "GET", "/v1/nodes?pageToken=x", 400 },
        { "viewer", "GET", "/v1/events?after=x", 400 },
        { "viewer", "GET", "/v1/events?after=9.9.9", 410 },
        { "viewer", "GET", "/v1/placement/runs/77", 404 },
        { "viewer", "GET", "/v1/nodes?readMask=,", 400 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        call(row[i].role, row[i].method, row[i].path, NULL, NULL);
        assert_status(&r, row[i].status);
    }
}

static int trail(void)
{
    return atoi(api_sql("SELECT count(*) FROM audit"));
}

/* And each leaves one row of the trail: what was refused, tried or sent again leaves none. */
static void changes_answer_as_described(void **state)
{
    (void)state;
    static const struct {
        const char *role, *method, *path, *body, *header;
        int status;
    } row[] = {
        { "admin", "POST", "/v1/zones", "{\"id\":\"d\"}", NULL, 201 },
        { "admin", "POST", "/v1/zones", "{\"id\":\"d\"}", NULL, 409 },
        { "admin", "PATCH", "/v1/zones/d", "{\"capacityRatio\":2}", "If-Match: *", 200 },
        { "admin", "PATCH", "/v1/zones/d", "{\"capacityRatio\":3}", "If-Match: \"1\"", 412 },
        { "admin", "POST", "/v1/nodes?dryRun=true", "{\"id\":\"m1\",\"host\":\"h\",\"port\":1}",
          NULL, 200 },
        { "admin", "POST", "/v1/nodes", "{\"id\":\"m1\",\"host\":\"h\",\"port\":1}",
          "Idempotency-Key: k", 201 },
        { "admin", "POST", "/v1/nodes", "{\"id\":\"m1\",\"host\":\"h\",\"port\":1}",
          "Idempotency-Key: k", 201 },
        { "admin", "POST", "/v1/nodes", "{\"id\":\"m2\",\"host\":\"h\",\"port\":2}",
          "Idempotency-Key: k", 409 },
        { "admin", "PATCH", "/v1/nodes/m1", "{\"zone\":\"d\"}", "If-Match: *", 200 },
        { "admin", "DELETE", "/v1/nodes/m1?dryRun=true", NULL, "If-Match: *", 200 },
        { "admin", "DELETE", "/v1/nodes/m1", NULL, "If-Match: *", 204 },
        { "operator", "PUT", "/v1/rebalance/pins/slot/5", "{\"why\":\"x\"}", NULL, 201 },
        { "operator", "PUT", "/v1/rebalance/pins/slot/5", "{\"why\":\"y\"}", NULL, 428 },
        { "operator", "DELETE", "/v1/rebalance/pins/slot/5", NULL, "If-Match: *", 204 },
        { "operator", "POST", "/v1/vertices:batchGet", "{\"ids\":[\"1\",\"2\"]}", NULL, 200 },
        { "operator", "POST", "/v1/placement/runs",
          "{\"source\":{\"file\":\"/data/g.txt\"},\"params\":{\"seed\":1}}", NULL, 202 },
        { "operator", "POST", "/v1/rebalance/plans/1:approve", "{}", "If-Match: *", 200 },
        { "operator", "POST", "/v1/rebalance/plans/1:cancel", NULL, "If-Match: *", 200 },
        { "operator", "POST", "/v1/rebalance:stop", NULL, NULL, 200 },
        { "operator", "POST", "/v1/rebalance:start?dryRun=true", NULL, "If-Match: *", 200 },
        { "operator", "POST", "/v1/rebalance:start", NULL, "If-Match: *", 200 },
        { "admin", "PUT", "/v1/rebalance/policy", "{\"auto\":[\"failback\"]}", "If-Match: *", 200 },
        { "operator", "POST", "/v1/autoscale/fleets/proxies:disable", NULL, NULL, 200 },
        { "operator", "POST", "/v1/autoscale/fleets/proxies:enable", NULL, "If-Match: *", 200 },
        { "operator", "POST", "/v1/dr/drills", "{\"shard\":\"n2\"}", NULL, 202 },
        { "admin", "POST", "/v1/dr/cluster-restores", "{\"target\":\"a:1\"}", NULL, 202 },
        { "admin", "POST", "/v1/dr/cluster-restores", "{\"target\":\"a:1\"}", NULL, 409 },
        { "admin", "POST", "/v1/dr/cluster-restores/2:cancel", NULL, NULL, 202 },
        { "admin", "POST", "/v1/dr/cluster-restores/1:cancel", NULL, NULL, 409 },
        { "operator", "POST", "/v1/operations/22222222-2222-2222-2222-222222222222:cancel", NULL,
          NULL, 202 },
        { "admin", "POST", "/v1/tokens", "{\"id\":\"ci\",\"role\":\"viewer\"}",
          "Idempotency-Key: t", 201 },
        { "admin", "POST", "/v1/tokens", "{\"id\":\"ci\",\"role\":\"viewer\"}",
          "Idempotency-Key: t", 201 },
        { "admin", "POST", "/v1/tokens", "{\"id\":\"ci\",\"role\":\"viewer\"}", NULL, 409 },
        { "admin", "POST", "/v1/tokens?dryRun=true",
          "{\"id\":\"cd\",\"role\":\"viewer\",\"expiresAt\":\"2130-01-01T00:00:00Z\"}", NULL, 200 },
        { "admin", "GET", "/v1/tokens/ci", NULL, NULL, 200 },
        { "admin", "GET", "/v1/tokens?createdBy=admin", NULL, NULL, 200 },
        { "admin", "POST", "/v1/tokens/ci:revoke?dryRun=true", NULL, NULL, 200 },
        { "admin", "POST", "/v1/tokens/ci:revoke", NULL, NULL, 200 },
        { "admin", "POST", "/v1/tokens/ci:revoke", NULL, NULL, 200 },
        { "admin", "GET", "/v1/tokens/ci", NULL, NULL, 200 },
        { "admin", "GET", "/v1/tokens/nobody", NULL, NULL, 404 },
        { "admin", "POST", "/v1/tokens", "{\"id\":\"ce\",\"role\":\"admin\"}", NULL, 400 },
        { "operator", "GET", "/v1/tokens/ci", NULL, NULL, 403 },
        { "operator", "POST", "/v1/tokens", "{\"id\":\"ce\",\"role\":\"viewer\"}", NULL, 403 },
        { "operator", "POST", "/v1/tokens/ci:revoke", NULL, NULL, 403 },
        { "admin", "POST", "/v1/tokens/nobody:revoke", NULL, NULL, 404 },
        { "viewer", "POST", "/v1/placement/hints:suggest", "{\"id\":\"1\",\"neighbors\":[\"2\"]}",
          NULL, 503 },
        { "viewer", "POST", "/v1/zones", "{\"id\":\"e\"}", NULL, 403 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const int before = trail();
        call(row[i].role, row[i].method, row[i].path, row[i].body, row[i].header);
        if (r.status != row[i].status)
            fail_msg("%s %s: %ld, want %d: %s", row[i].method, row[i].path, r.status, row[i].status,
                     r.text);
        const bool asks = strcmp(row[i].method, "GET") == 0 ||
                          strstr(row[i].path, ":batchGet") != NULL ||
                          strstr(row[i].path, "dryRun=true") != NULL || r.replayed[0] != '\0';
        const int want = r.status / 100 == 2 && !asks ? 1 : 0;
        if (trail() - before != want)
            fail_msg("%s %s: %d rows of the trail, want %d", row[i].method, row[i].path,
                     trail() - before, want);
    }
    assert_string_equal(api_sql("SELECT count(*) FROM audit WHERE before IS NULL AND after IS NULL "
                                "OR principal = '' OR action = '' OR resource = ''"),
                        "0");
}

/* Else a proxy that checks nothing would pass. */
static void the_proxy_sees_what_is_not_described(void **state)
{
    (void)state;
    api_call(&r, "admin", "POST", "/v1/zones", "{\"id\":7}", "Content-Type: application/json");
    assert_status(&r, 422);
    assert_non_null(strstr(r.text, "stoplight.io/prism/errors"));
    api_call(&r, "admin", "GET", "/v1/nowhere", NULL, NULL);
    assert_non_null(strstr(r.text, "stoplight.io/prism/errors"));
}

static bool proxy_answers(void *ctx)
{
    char reply[256];
    (void)ctx;
    return it_http(fx.service.port, "GET", "/livez", NULL, NULL, reply, sizeof reply) == 200;
}

static int setup(void **state)
{
    char program[600], port[8], upstream[80];
    api_small_setup(state);
    for (size_t i = 0; i < PR_COUNT(seed); i++)
        api_sql("%s", seed[i]);
    server = fx.service;
    fx.service.port = it_free_port();
    snprintf(program, sizeof program, "%s/prism", tools);
    snprintf(port, sizeof port, "%d", fx.service.port);
    snprintf(upstream, sizeof upstream, "%s", server.url);
    snprintf(fx.service.url, sizeof fx.service.url, "http://127.0.0.1:%d", fx.service.port);
    const char *argv[] = { program,     "proxy",
                           "--errors",  "-h",
                           "127.0.0.1", "-p",
                           port,        PRISM_SOURCE_DIR "/services/metadata-api/openapi.json",
                           upstream,    NULL };
    proxy = it_spawn(NULL, argv);
    if (!it_await(proxy_answers, NULL, 60000))
        fail_msg("the proxy does not answer: see its log");
    return 0;
}

static int teardown(void **state)
{
    it_kill(proxy);
    fx.service = server;
    return api_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_read_answers_as_described),
        cmocka_unit_test(errors_are_described_too),
        cmocka_unit_test(changes_answer_as_described),
        cmocka_unit_test(the_proxy_sees_what_is_not_described),
    };
    const char *install[] = { PRISM_SOURCE_DIR "/tools/openapi/install.sh", NULL };
    int status = it_run(NULL, install, tools, sizeof tools, 540000);
    if (status == 77)
        return 77;
    assert_int_equal(status, 0);
    tools[strcspn(tools, "\n")] = '\0';
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    api_reply_done(&r);
    return failed;
}
