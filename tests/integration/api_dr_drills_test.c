/* Drills over REST and by prismctl: metadata-api against real PostgreSQL. What the dr service would
 * write is made here; dr_life_test has the service itself. */
#include "api_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct reply r;

static size_t asked_for(void)
{
    return json_array_size(json_object_get(r.j, "drills"));
}

static void a_drill_of_a_shard_is_an_order(void **state)
{
    (void)state;
    api_call(&r, "viewer", "POST", "/v1/dr/drills", "{\"shard\":\"n1\"}", NULL);
    assert_status(&r, 403);
    api_call(&r, "operator", "POST", "/v1/dr/drills?dryRun=true", "{\"shard\":\"n1\"}", NULL);
    assert_status(&r, 200);
    assert_string_equal(api_sql("SELECT count(*) FROM dr_drills"), "0");
    api_call(&r, "operator", "POST", "/v1/dr/drills", "{\"shard\":\"n1\"}", NULL);
    assert_status(&r, 202);
    assert_int_equal(asked_for(), 1);
    assert_string_equal(api_sql("SELECT shard_id || state || asked_by FROM dr_drills"),
                        "n1queuedoperator");
    assert_string_equal(
        api_sql("SELECT principal || resource FROM audit WHERE action = 'dr.drill'"),
        "operatordr/drills");
}

static void an_open_one_is_not_asked_for_twice(void **state)
{
    (void)state;
    api_call(&r, "operator", "POST", "/v1/dr/drills", "{\"shard\":\"n1\"}", NULL);
    assert_status(&r, 202);
    assert_int_equal(asked_for(), 1);
    api_call(&r, "operator", "POST", "/v1/dr/drills", NULL, NULL); /* all */
    assert_status(&r, 202);
    assert_int_equal(asked_for(), 3);
    assert_string_equal(api_sql("SELECT count(*) FROM dr_drills"), "3");
}

static void what_came_of_it_is_shown(void **state)
{
    (void)state;
    char path[64];
    (void)api_sql("UPDATE dr_drills SET state = 'done', outcome = 'damaged', reason = "
                  "'c/base/n1/1: part 0', finished_at = now(), rto_ms = 1234, rpo_ms = 950, "
                  "skipped = 1, keys = 77 WHERE shard_id = 'n1'");
    (void)api_sql("UPDATE dr_drills SET state = 'done', outcome = 'good', finished_at = now(), "
                  "rto_ms = 5 WHERE shard_id = 'n2'");
    (void)snprintf(path, sizeof path, "/v1/dr/drills/%s",
                   api_sql("SELECT id FROM dr_drills WHERE shard_id = 'n1'"));
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, 200);
    assert_string_equal(api_str(&r, "outcome"), "damaged");
    assert_string_equal(api_str(&r, "reason"), "c/base/n1/1: part 0");
    assert_int_equal(api_int(&r, "rtoMs"), 1234);
    assert_int_equal(api_int(&r, "rpoMs"), 950);
    assert_int_equal(api_int(&r, "skippedGenerations"), 1);
    assert_int_equal(api_int(&r, "keys"), 77);
    static const struct {
        const char *query;
        size_t n;
    } row[] = {
        { "", 3 },
        { "?shard=n1", 1 },
        { "?state=queued", 1 },
        { "?outcome=good", 1 },
        { "?outcome=good&shard=n1", 0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        (void)snprintf(path, sizeof path, "/v1/dr/drills%s", row[i].query);
        api_call(&r, "viewer", "GET", path, NULL, NULL);
        assert_status(&r, 200);
        assert_int_equal(json_array_size(json_object_get(r.j, "items")), row[i].n);
    }
    api_call(&r, "viewer", "GET", "/v1/dr/drills?pageSize=2", NULL, NULL);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 2);
    assert_non_null(json_object_get(r.j, "nextPageToken"));
}

static void what_is_wrong_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *body;
        int status;
    } row[] = {
        { "POST", "/v1/dr/drills", "{\"shard\":\"n9\"}", 404 },
        { "POST", "/v1/dr/drills", "{\"shard\":7}", 400 },
        { "POST", "/v1/dr/drills", "{\"all\":true}", 400 },
        { "POST", "/v1/dr/drills", "[]", 400 },
        { "GET", "/v1/dr/drills/0x1", NULL, 400 },
        { "GET", "/v1/dr/drills/999999", NULL, 404 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        api_call(&r, "operator", row[i].method, row[i].path, row[i].body, NULL);
        if (r.status != row[i].status)
            fail_msg("row %zu: %ld: %s", i, r.status, r.text);
    }
}

static int ctl(const char *role, const char *a, const char *b, const char *c, char *out, size_t n)
{
    char url[160], token[64];
    const char *env[] = { url, token, NULL };
    const char *argv[] = {
        "/bin/sh", "-c", "exec \"$0\" dr \"$@\" 2>&1", PRISM_BIN_DIR "/prismctl", a, b, c, NULL
    };
    (void)snprintf(url, sizeof url, "PRISM_API_URL=%s", fx.service.url);
    (void)snprintf(token, sizeof token, "PRISM_TOKEN=tok-%s", role);
    return it_run(env, argv, out, n, 30000);
}

static void prismctl_asks_and_shows(void **state)
{
    (void)state;
    static char out[65536];
    assert_int_equal(ctl("viewer", "drills", "--outcome", "damaged", out, sizeof out), 0);
    assert_non_null(strstr(out, "c/base/n1/1: part 0"));
    assert_null(strstr(out, "good"));
    assert_int_equal(ctl("operator", "drill", NULL, NULL, out, sizeof out), 2);
    assert_int_equal(ctl("operator", "drill", "--shard", "n9", out, sizeof out), 5);
    assert_int_equal(ctl("viewer", "drill", "--all", "--no-wait", out, sizeof out), 4);
    assert_int_equal(ctl("operator", "drill", "--all", "--no-wait", out, sizeof out), 0);
    assert_non_null(strstr(out, "queued"));
    assert_string_equal(api_sql("SELECT count(*) FROM dr_drills WHERE state = 'queued'"), "3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_drill_of_a_shard_is_an_order),
        cmocka_unit_test(an_open_one_is_not_asked_for_twice),
        cmocka_unit_test(what_came_of_it_is_shown),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(prismctl_asks_and_shows),
    };
    const int rc =
        cmocka_run_group_tests_name("api dr drills", tests, api_small_setup, api_teardown);
    api_reply_done(&r);
    return rc;
}
