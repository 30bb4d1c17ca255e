/* Restores of a cluster over REST and by prismctl: metadata-api against real PostgreSQL. What the
 * dr service would write is made here; dr_orders_test has the service itself. */
#include "api_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct reply r;
static char out[1 << 16];
static const char ROUTE[] = "/v1/dr/cluster-restores";

static void ctl(int code, const char *const *args)
{
    char url[160];
    const char *env[] = { url, "PRISM_TOKEN=tok-admin", NULL };
    const char *argv[16] = { PRISM_BIN_DIR "/prismctl", "dr", "restore" };
    size_t n = 3;
    while (*args != NULL)
        argv[n++] = *args++;
    snprintf(url, sizeof url, "PRISM_API_URL=%s", fx.service.url);
    const int got = it_run(env, argv, out, sizeof out, 30000);
    if (got != code)
        fail_msg("%d, want %d: %s", got, code, out);
}

static void what_is_asked_for_is_an_order(void **state)
{
    (void)state;
    static const char body[] = "{\"target\":\"10.0.0.1:6379,r2:7000\",\"overExisting\":true,"
                               "\"until\":\"2030-01-31T12:00:00Z\"}";
    api_call(&r, "operator", "POST", ROUTE, body, NULL);
    assert_status(&r, 403);
    api_call(&r, "admin", "POST", "/v1/dr/cluster-restores?dryRun=true", body, NULL);
    assert_status(&r, 200);
    assert_string_equal(api_sql("SELECT count(*) FROM dr_cluster_restores"), "0");
    api_call(&r, "admin", "POST", ROUTE, body, NULL);
    assert_status(&r, 202);
    assert_string_equal(api_str(&r, "state"), "queued");
    assert_string_equal(
        api_sql("SELECT target || over_existing || accept_loss || write_routes || asked_by || "
                "extract(epoch FROM until_at)::bigint FROM dr_cluster_restores"),
        "10.0.0.1:6379,r2:7000truefalsefalseadmin1896091200");
    api_call(&r, "admin", "POST", ROUTE, "{\"target\":\"a:1\"}", NULL);
    assert_status(&r, 409); /* one at a time */
    assert_string_equal(api_sql("SELECT count(*) FROM audit WHERE action = 'dr.restore'"), "1");
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *body, *field;
    } row[] = {
        { "{}", "target" },
        { "{\"target\":\"a\"}", "target" },
        { "{\"target\":\"a:1\",\"until\":\"yesterday\"}", "until" },
        { "{\"target\":\"a:1\",\"overExisting\":1}", "overExisting" },
        { "{\"target\":\"a:1\",\"into\":\"b\"}", "into" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        api_call(&r, "admin", "POST", ROUTE, row[i].body, NULL);
        assert_status(&r, 400);
        if (strstr(r.text, row[i].field) == NULL)
            fail_msg("%s: %s", row[i].body, r.text);
    }
}

static void how_far_it_is_and_what_came_of_it_is_shown(void **state)
{
    (void)state;
    char path[96], id[24];
    snprintf(id, sizeof id, "%s", api_sql("SELECT max(id) FROM dr_cluster_restores"));
    snprintf(path, sizeof path, "%s/%s", ROUTE, id);
    (void)api_sql("UPDATE dr_cluster_restores SET state = 'running', step = 'copy', shards = 6, "
                  "fetched = 6, keys = 900, copied = 300, attempts = 1, started_at = now()");
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, 200);
    assert_string_equal(api_str(&r, "step"), "copy");
    assert_int_equal(api_int(&r, "fetchedShards"), 6);
    assert_int_equal(api_int(&r, "copiedKeys"), 300);
    api_call(&r, "viewer", "GET", "/v1/dr/cluster-restores?state=running", NULL, NULL);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 1);
    api_call(&r, "viewer", "GET", "/v1/dr/restores?kind=cluster", NULL, NULL);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 0); /* not yet */
    (void)api_sql("UPDATE dr_cluster_restores SET state = 'done', outcome = 'good', copied = 900, "
                  "finished_at = now(), step = 'unseal', report = '{\"copied_keys\": 900}'");
    api_call(&r, "viewer", "GET", "/v1/dr/restores?kind=cluster", NULL, NULL);
    assert_status(&r, 200);
    const json_t *one = json_array_get(json_object_get(r.j, "items"), 0);
    assert_int_equal(json_integer_value(json_object_get(one, "keys")), 900);
    assert_string_equal(json_string_value(json_object_get(one, "by")), "admin");
    ctl(0, (const char *const[]){ id, NULL });
    assert_non_null(strstr(out, "good"));
    api_call(&r, "viewer", "GET", "/v1/dr/cluster-restores/999", NULL, NULL);
    assert_status(&r, 404);
    api_call(&r, "viewer", "GET", "/v1/dr/cluster-restores/x", NULL, NULL);
    assert_status(&r, 400);
    snprintf(path, sizeof path, "%s/%s:cancel", ROUTE, id);
    api_call(&r, "admin", "POST", path, NULL, NULL);
    assert_status(&r, 409);
}

/* The service's part is played by a rule of the database: it ends what is asked for at once. */
static void prismctl_follows_it_to_its_end(void **state)
{
    (void)state;
    static const struct {
        const char *outcome;
        int code;
    } row[] = { { "good", 0 }, { "refused", 6 }, { "failed", 1 } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        (void)api_sql("CREATE OR REPLACE FUNCTION played() RETURNS trigger AS $$ BEGIN "
                      "NEW.state := 'done'; NEW.outcome := '%s'; NEW.reason := 'so it is played'; "
                      "RETURN NEW; END $$ LANGUAGE plpgsql",
                      row[i].outcome);
        if (i == 0)
            (void)api_sql("CREATE TRIGGER played BEFORE INSERT ON dr_cluster_restores FOR EACH ROW "
                          "EXECUTE FUNCTION played()");
        ctl(row[i].code, (const char *const[]){ "--into-cluster", "a:1", NULL });
        assert_non_null(strstr(out, "so it is played"));
    }
    (void)api_sql("DROP TRIGGER played ON dr_cluster_restores");
    ctl(2, (const char *const[]){ NULL });
    ctl(2, (const char *const[]){ "--into-cluster", "a:1", "--over-existing", NULL });
    /* nobody can be asked: nothing is */
    assert_string_equal(api_sql("SELECT count(*) FROM dr_cluster_restores WHERE target = 'a:1' "
                                "AND (over_existing OR state <> 'done')"),
                        "0");
}

static void it_is_canceled_by_who_wants_that(void **state)
{
    (void)state;
    char id[24];
    ctl(0, (const char *const[]){ "--into-cluster", "a:1", "--no-wait", NULL });
    snprintf(id, sizeof id, "%s", api_sql("SELECT max(id) FROM dr_cluster_restores"));
    ctl(0, (const char *const[]){ id, "--cancel", NULL });
    assert_string_equal(
        api_sql("SELECT canceled_by FROM dr_cluster_restores WHERE state = 'queued'"), "admin");
    assert_string_equal(
        api_sql("SELECT principal || resource FROM audit WHERE action = 'dr.restore.cancel'"),
        api_sql("SELECT 'admindr/cluster-restores/' || max(id) FROM dr_cluster_restores"));
    api_reply_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_for_is_an_order),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(how_far_it_is_and_what_came_of_it_is_shown),
        cmocka_unit_test(prismctl_follows_it_to_its_end),
        cmocka_unit_test(it_is_canceled_by_who_wants_that),
    };
    return cmocka_run_group_tests_name("api dr restores", tests, api_small_setup, api_teardown);
}
