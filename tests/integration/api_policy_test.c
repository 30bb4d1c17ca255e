/* Standing orders and pins: metadata-api against real PostgreSQL and NATS. */
#include "api_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct reply r;

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_policy_is_replaced_as_it_was_read),
        cmocka_unit_test(a_policy_that_cannot_be_is_refused_by_its_field),
        cmocka_unit_test(pins_are_made_read_and_taken_away),
    };
    int failed = cmocka_run_group_tests(tests, api_small_setup, api_teardown);
    api_reply_done(&r);
    return failed;
}
