/* What holds for every route alike: masks, revalidation, dry runs, rates. */
#include "api_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct reply r;

static void a_mask_leaves_what_it_names(void **state)
{
    (void)state;
    api_call(&r, "viewer", "GET", "/v1/nodes/n1?readMask=id,zone", NULL, NULL);
    assert_status(&r, 200);
    assert_string_equal(r.text, "{\"id\":\"n1\",\"zone\":\"a\"}");
    api_call(&r, "viewer", "GET", "/v1/nodes?readMask=id&pageSize=2", NULL, NULL);
    assert_status(&r, 200);
    assert_non_null(
        strstr(r.text, "{\"items\":[{\"id\":\"n1\"},{\"id\":\"n2\"}],\"nextPageToken\""));
    api_call(&r, "viewer", "POST", "/v1/vertices:batchGet?readMask=id", "{\"ids\":[\"7\"]}", NULL);
    assert_status(&r, 200);
    static const char *const bad[] = { "", "id,", ",id", "a..b", "a b", "id;", "%00" };
    char path[100];
    for (size_t i = 0; i < PR_COUNT(bad); i++) {
        snprintf(path, sizeof path, "/v1/nodes?readMask=%s", i == 4 ? "a%20b" : bad[i]);
        api_call(&r, "viewer", "GET", path, NULL, NULL);
        assert_status(&r, 400);
    }
}

static void who_has_it_already_gets_304(void **state)
{
    (void)state;
    char header[200], etag[64];
    api_call(&r, "viewer", "GET", "/v1/zones/a", NULL, NULL);
    assert_status(&r, 200);
    snprintf(etag, sizeof etag, "%s", r.etag);
    static const char *const before[] = { "", "\"x\", ", "W/" };
    for (size_t i = 0; i < PR_COUNT(before); i++) {
        snprintf(header, sizeof header, "If-None-Match: %s%s", before[i], etag);
        api_call(&r, "viewer", "GET", "/v1/zones/a", NULL, header);
        assert_status(&r, 304);
        assert_string_equal(r.etag, etag);
        assert_true(r.text == NULL || r.text[0] == '\0');
    }
    api_call(&r, "viewer", "GET", "/v1/zones/a", NULL, "If-None-Match: \"1\"");
    assert_status(&r, 200);
}

static void every_change_can_be_tried(void **state)
{
    (void)state;
    char header[100];
    api_call(&r, "operator", "PUT", "/v1/rebalance/pins/slot/7", "{}", NULL);
    assert_status(&r, 201);
    snprintf(header, sizeof header, "If-Match: %s", r.etag);
    api_call(&r, "operator", "DELETE", "/v1/rebalance/pins/slot/7?dryRun=true", NULL, header);
    assert_status(&r, 200);
    assert_true(json_is_true(json_object_get(r.j, "dryRun")));
    assert_string_equal(api_sql("SELECT count(*) FROM pins"), "1");
    api_call(&r, "operator", "POST", "/v1/rebalance:stop?dryRun=true", NULL, NULL);
    assert_status(&r, 200);
    assert_string_equal(api_sql("SELECT halted FROM policies WHERE name = 'rebalance'"), "f");
    assert_string_equal(api_sql("SELECT count(*) FROM audit WHERE action = 'rebalance.stop'"), "0");
    api_call(&r, "operator", "POST", "/v1/rebalance:stop?dryRun=maybe", NULL, NULL);
    assert_status(&r, 400);
}

static void a_pin_is_changed_by_who_knows_it(void **state)
{
    (void)state;
    char header[100];
    api_call(&r, "operator", "PUT", "/v1/rebalance/pins/slot/9", "{\"why\":\"a\"}",
             "If-Match: \"1\"");
    assert_status(&r, 412); /* there is none */
    api_call(&r, "operator", "PUT", "/v1/rebalance/pins/slot/9", "{\"why\":\"a\"}", NULL);
    assert_status(&r, 201);
    snprintf(header, sizeof header, "If-Match: %s", r.etag);
    api_call(&r, "operator", "PUT", "/v1/rebalance/pins/slot/9", "{\"why\":\"b\"}", NULL);
    assert_status(&r, 428);
    api_call(&r, "operator", "PUT", "/v1/rebalance/pins/slot/9", "{\"why\":\"b\"}", header);
    assert_status(&r, 200);
    api_call(&r, "operator", "PUT", "/v1/rebalance/pins/slot/9", "{\"why\":\"c\"}", header);
    assert_status(&r, 412); /* stale */
    api_call(&r, "operator", "DELETE", "/v1/rebalance/pins/slot/9", NULL, NULL);
    assert_status(&r, 428);
    api_call(&r, "operator", "DELETE", "/v1/rebalance/pins/slot/9", NULL, header);
    assert_status(&r, 412);
    api_call(&r, "operator", "DELETE", "/v1/rebalance/pins/slot/9", NULL, "If-Match: *");
    assert_status(&r, 204);
}

static void the_description_can_be_read_without_anything_from_elsewhere(void **state)
{
    (void)state;
    static const struct {
        const char *path, *type;
    } rows[] = { { "/docs", "text/html; charset=utf-8" },
                 { "/docs.css", "text/css; charset=utf-8" },
                 { "/docs.js", "text/javascript; charset=utf-8" } };
    for (size_t i = 0; i < PR_COUNT(rows); i++) {
        api_call(&r, NULL, "GET", rows[i].path, NULL, NULL);
        assert_status(&r, 200);
        assert_string_equal(r.type, rows[i].type);
        assert_null(strstr(r.text, "http:"));
        assert_null(strstr(r.text, "https:"));
        assert_null(strstr(r.text, "innerHTML")); /* text of the description is text */
    }
}

static bool is_cold(void *ctx)
{
    (void)ctx;
    api_call(&r, "viewer", "GET", "/v1/partitions?temperature=cold", NULL, NULL);
    assert_status(&r, 200);
    const json_t *items = json_object_get(r.j, "items");
    return json_array_size(items) == 1 &&
           json_integer_value(json_object_get(json_array_get(items, 0), "id")) == 5;
}

static void partitions_are_found_by_temperature(void **state)
{
    (void)state;
    api_sql("UPDATE partitions SET temperature = 'cold' WHERE id = 5");
    assert_true(it_await(is_cold, NULL, 10000)); /* with the next full look */
}

/* 20 a second, a second's worth at once: of 40 in a row some are refused, and another token is not.
 */
static void who_changes_too_fast_is_told_when_to_come_back(void **state)
{
    (void)state;
    int refused = 0;
    for (int i = 0; i < 40; i++) {
        api_call(&r, "admin", "PATCH", "/v1/zones/a?dryRun=true", "{}", "If-Match: *");
        if (r.status == 429) {
            refused++;
            assert_string_equal(r.retry_after, "1");
        }
    }
    if (refused < 10)
        fail_msg("%d of 40 refused", refused);
    api_call(&r, "operator", "PUT", "/v1/rebalance/pins/slot/8?dryRun=true", "{}", NULL);
    assert_status(&r, 200);
    api_call(&r, "admin", "GET", "/v1/zones/a", NULL, NULL); /* reads have a rate of their own */
    assert_status(&r, 200);
}

int main(void)
{
    static const char *const settings[] = { "PRISM_API_CHANGES_PER_S=20", "PRISM_API_BURST_MS=1000",
                                            "PRISM_API_FULL_REFRESH_S=1", NULL };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mask_leaves_what_it_names),
        cmocka_unit_test(who_has_it_already_gets_304),
        cmocka_unit_test(every_change_can_be_tried),
        cmocka_unit_test(a_pin_is_changed_by_who_knows_it),
        cmocka_unit_test(the_description_can_be_read_without_anything_from_elsewhere),
        cmocka_unit_test(partitions_are_found_by_temperature),
        cmocka_unit_test(who_changes_too_fast_is_told_when_to_come_back),
    };
    api_settings = settings;
    int failed = cmocka_run_group_tests(tests, api_small_setup, api_teardown);
    api_reply_done(&r);
    return failed;
}
