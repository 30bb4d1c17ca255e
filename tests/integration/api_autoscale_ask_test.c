/* /v1/autoscale: what is refused, and what only the autoscale service can answer. */
#include "api_autoscale_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct reply r;

static bool names(const char *field)
{
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(r.j, "errors"), i,
                       e) if (strcmp(json_string_value(json_object_get(e, "field")), field) ==
                              0) return true;
    return false;
}

static int setup(void **state)
{
    const int rc = scale_setup(state);
    scale_fleet("redis");
    scale_fleet("silent");
    return rc;
}

/* --- who may what ---------------------------------------------------------------------- */

static void roles_are_as_for_the_rest(void **state)
{
    (void)state;
    static const struct {
        const char *role, *method, *path;
        int status;
    } row[] = {
        { NULL, "GET", "/v1/autoscale/fleets", 401 },
        { NULL, "GET", "/v1/autoscale/decisions/1/explain", 401 },
        { NULL, "PUT", "/v1/autoscale/fleets/redis", 401 },
        { "viewer", "PUT", "/v1/autoscale/fleets/redis", 403 },
        { "operator", "PUT", "/v1/autoscale/fleets/redis", 403 },
        { "viewer", "POST", "/v1/autoscale/fleets/redis:enable", 403 },
        { "viewer", "POST", "/v1/autoscale/fleets/redis:disable", 403 },
        { "viewer", "POST", "/v1/autoscale/fleets/redis:simulate", 403 },
        { "viewer", "GET", "/v1/autoscale/fleets/redis", 200 },
        { "viewer", "GET", "/v1/autoscale/fleets/redis/samples", 200 },
        { "viewer", "GET", "/v1/autoscale/decisions", 200 },
        { "operator", "POST", "/v1/autoscale/fleets/redis:simulate", 200 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        api_call(&r, row[i].role, row[i].method, row[i].path, NULL, NULL);
        if (r.status != row[i].status)
            fail_msg("%s %s: status %ld: %s", row[i].method, row[i].path, r.status, r.text);
    }
}

/* --- settings -------------------------------------------------------------------------- */

static void put(const char *fleet, const char *body, const char *header, int status)
{
    char path[200];
    snprintf(path, sizeof path, "/v1/autoscale/fleets/%s", fleet);
    api_call(&r, "admin", "PUT", path, body, header);
    assert_status(&r, status);
    assert_string_equal(r.type, status < 300 ? "application/json" : "application/problem+json");
}

static void settings_that_are_not_fit_are_refused_by_their_member(void **state)
{
    (void)state;
    put("redis", "{\"settings\": {\"note\": \"refuse me\"}}", "If-Match: \"1\"", 400);
    assert_true(names("settings.policies[0].target_pct"));
    assert_non_null(strstr(api_str(&r, "detail"), "is 140, want 1 to 100"));
    put("other", "{\"settings\": {\"note\": \"refuse me\"}}", "If-None-Match: *", 400);
    assert_string_equal(api_sql("SELECT string_agg(name || version, ',' ORDER BY name) FROM "
                                "autoscale_fleets"),
                        "redis1,silent1");
    assert_string_equal(api_sql("SELECT count(*) FROM audit WHERE action LIKE 'autoscale%%'"), "0");
}

static void bad_bodies_are_named_before_anybody_is_asked(void **state)
{
    (void)state;
    static const struct {
        const char *body, *field;
    } row[] = {
        { "{}", "settings" },
        { "{\"settings\": null}", "settings" },
        { "{\"settings\": []}", "settings" },
        { "{\"settings\": \"{}\"}", "settings" },
        { "{\"settings\": {}, \"enabled\": \"yes\"}", "enabled" },
        { "{\"settings\": {}, \"fleet\": \"redis\"}", "fleet" },
        { "{\"settings\": {}, \"version\": 1}", "version" },
    };
    const int before = scale_asked.checks;
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        put("redis", row[i].body, "If-Match: \"1\"", 400);
        if (!names(row[i].field))
            fail_msg("%s: %s", row[i].body, r.text);
    }
    put("redis", "{\"settings\": {}, \"settings\": {}}", "If-Match: \"1\"", 400);
    put("redis", "{\"settings\": {", "If-Match: \"1\"", 400);
    put("redis", NULL, "If-Match: \"1\"", 400);
    put("Redis", "{\"settings\": {}}", "If-None-Match: *", 400);
    put("-redis", "{\"settings\": {}}", "If-None-Match: *", 400);
    put("redis%00x", "{\"settings\": {}}", "If-None-Match: *", 400);
    assert_int_equal(scale_asked.checks, before);
}

static void settings_have_a_size(void **state)
{
    (void)state;
    enum { SIZE = 600 * 1024 };
    char *big = malloc(SIZE + 100);
    assert_non_null(big);
    int n = sprintf(big, "{\"settings\": {\"note\": \"");
    memset(big + n, 'x', SIZE);
    strcpy(big + n + SIZE, "\"}}");
    put("redis", big, "If-Match: \"1\"", 413);
    free(big);
}

static void a_change_says_which_version_it_saw(void **state)
{
    (void)state;
    static const char body[] = "{\"settings\": {\"mode\": \"advise\"}}";
    put("redis", body, NULL, 428);
    put("redis", body, "If-Match: \"7\"", 412);
    put("redis", body, "If-Match: seven", 400);
    put("redis", body, "If-None-Match: *", 412); /* it exists */
    put("redis", body, "If-None-Match: \"1\"", 400);
    put("redis", body, "If-None-Match: *\nIf-Match: \"1\"", 400);
    put("nobody", body, NULL, 428);
    assert_non_null(strstr(api_str(&r, "detail"), "If-None-Match: *"));
    put("nobody", body, "If-Match: \"1\"", 404);
    put("nobody", body, "If-Match: *", 404);
    assert_string_equal(api_sql("SELECT string_agg(name || version, ',' ORDER BY name) FROM "
                                "autoscale_fleets"),
                        "redis1,silent1");
    put("redis", body, "If-Match: *", 200);
    assert_string_equal(r.etag, "\"2\"");
    put("redis", "{\"settings\": {}}", "If-Match: \"1\"", 412); /* that was before */
}

/* --- lists and names --------------------------------------------------------------------- */

static void what_does_not_exist_or_cannot_be_is_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int status;
        const char *words;
    } row[] = {
        { "/v1/autoscale/fleets/nobody", 404, "fleet nobody does not exist" },
        { "/v1/autoscale/fleets/No", 400, "a-z" },
        { "/v1/autoscale/fleets/nobody/samples", 404, "fleet nobody" },
        { "/v1/autoscale/fleets/redis/samples?from=yesterday", 400, "from" },
        { "/v1/autoscale/fleets/redis/samples?from=2026-11-21T10:00:00Z&to=2026-11-21T09:00:00Z",
          400, "before" },
        { "/v1/autoscale/fleets/redis/samples?points=0", 400, "points" },
        { "/v1/autoscale/fleets?pageSize=0", 400, "pageSize" },
        { "/v1/autoscale/fleets?pageToken=bm9uc2Vuc2U", 400, "pageToken" },
        { "/v1/autoscale/decisions/999999", 404, "decision 999999 does not exist" },
        { "/v1/autoscale/decisions/one", 400, "number" },
        { "/v1/autoscale/decisions/999999/explain", 404, "decision 999999" },
        { "/v1/autoscale/decisions/999999/input", 404, "decision 999999" },
        { "/v1/autoscale/decisions/999999/replay", 404, "decision 999999" },
        { "/v1/autoscale/decisions/x/replay", 400, "number" },
        { "/v1/autoscale/decisions?move=sideways", 400, "hold, out, in and unknown" },
        { "/v1/autoscale/decisions?move=out,", 400, "move" },
        { "/v1/autoscale/decisions?state=running", 400, "superseded" },
        { "/v1/autoscale/decisions?alarm=maybe", 400, "true or false" },
        { "/v1/autoscale/decisions?since=1h", 400, "since" },
        { "/v1/autoscale/decisions?until=2026-02-30T00:00:00Z", 400, "until" },
        { "/v1/autoscale/nothing", 404, "" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        api_call(&r, "viewer", "GET", row[i].path, NULL, NULL);
        if (r.status != row[i].status || strstr(r.text, row[i].words) == NULL)
            fail_msg("%s: status %ld: %s", row[i].path, r.status, r.text);
        assert_string_equal(r.type, "application/problem+json");
    }
    api_call(&r, "admin", "DELETE", "/v1/autoscale/fleets/redis", NULL, NULL);
    assert_status(&r, 405); /* a fleet is disabled: decisions name it */
}

/* --- what if ------------------------------------------------------------------------------ */

static void simulate(const char *fleet, const char *body, int status)
{
    char path[200];
    snprintf(path, sizeof path, "/v1/autoscale/fleets/%s:simulate", fleet);
    api_call(&r, "operator", "POST", path, body, NULL);
    assert_status(&r, status);
}

static void a_simulation_is_asked_for_and_passed_on(void **state)
{
    (void)state;
    scale_asked.simulations = 0;
    simulate("redis", NULL, 200);
    assert_string_equal(scale_asked.settings, ""); /* those that hold */
    assert_true(scale_asked.from_ms == 0 && scale_asked.to_ms == 0);
    const json_t *rules = json_object_get(json_object_get(r.j, "policies"), "rules");
    assert_true(json_real_value(json_object_get(rules, "short_minutes_per_day")) == 20.9);
    simulate("redis",
             "{\"settings\": {\"policies\": [{\"policy\": \"queue\"}]}, "
             "\"from\": \"2026-11-20T00:00:00Z\", \"to\": \"2026-11-21T10:05:00Z\"}",
             200);
    assert_string_equal(scale_asked.settings, "{\"policies\":[{\"policy\":\"queue\"}]}");
    assert_true(scale_asked.from_ms == INT64_C(1795132800000));
    assert_true(scale_asked.to_ms == INT64_C(1795255500000));
    assert_int_equal(scale_asked.simulations, 2);
    assert_string_equal(api_sql("SELECT count(*) FROM audit WHERE principal = 'operator'"), "0");
}

static void a_simulation_that_cannot_be_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *fleet, *body;
        int status;
        const char *words;
    } row[] = {
        { "silent", "{}", 409, "fleet silent has no sample in that time" },
        { "nobody", "{}", 404, "fleet nobody does not exist" },
        { "redis", "{\"settings\": {\"note\": \"refuse me\"}}", 400,
          "settings.policies[0].target_pct" },
        { "redis", "{\"settings\": 7}", 400, "settings" },
        { "redis", "{\"policy\": \"rules\"}", 400, "unknown field" },
        { "redis", "{\"from\": \"1h\"}", 400, "from" },
        { "redis", "{\"from\": \"2026-11-21T10:00:00Z\", \"to\": \"2026-11-21T10:00:00Z\"}", 400,
          "before" },
    };
    scale_asked.simulations = 0;
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        simulate(row[i].fleet, row[i].body, row[i].status);
        if (strstr(r.text, row[i].words) == NULL)
            fail_msg("row %zu: %s", i, r.text);
    }
    assert_int_equal(scale_asked.simulations, 1);
}

/* --- again -------------------------------------------------------------------------------- */

static void replay(long long id, int status)
{
    char path[100];
    snprintf(path, sizeof path, "/v1/autoscale/decisions/%lld/replay", id);
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, status);
}

static long long decision_with_parity(int parity)
{
    long long id;
    static int minutes = 5000;
    do
        id = scale_inward("redis", minutes--, "done");
    while (id % 2 != parity);
    return id;
}

static void a_replay_is_equal_or_says_what_differs(void **state)
{
    (void)state;
    const long long equal = decision_with_parity(0), different = decision_with_parity(1);
    replay(equal, 200);
    assert_true(json_is_true(json_object_get(r.j, "equal")));
    assert_int_equal(json_array_size(json_object_get(r.j, "difference")), 0);
    replay(different, 200);
    assert_int_equal(api_int(&r, "id"), different);
    assert_true(json_is_false(json_object_get(r.j, "equal")));
    const json_t *lines = json_object_get(r.j, "difference");
    assert_int_equal(json_array_size(lines), 2);
    assert_string_equal(json_string_value(json_array_get(lines, 1)),
                        "votes[0].desired: stored 51, now 48");
    api_sql("INSERT INTO autoscale_decisions (id, fleet, at, settings_version, from_instances, "
            "to_instances, move, why, input, decision, lease_epoch) OVERRIDING SYSTEM VALUE VALUES "
            "(404404, 'redis', now(), 1, 1, 1, 'hold', '', '{}', '{}', 1)");
    replay(404404, 409);
    assert_non_null(strstr(r.text, "another version"));
}

/* --- nobody there ---------------------------------------------------------------------------- */

static void without_the_service_what_is_stored_can_still_be_read(void **state)
{
    (void)state;
    static const char body[] = "{\"settings\": {\"mode\": \"act\"}}";
    const long long id = decision_with_parity(0);
    char path[100];
    scale_answerer(false);
    put("redis", body, "If-Match: *", 503);
    assert_non_null(strstr(r.text, "checked by the autoscale service alone"));
    put("fresh", body, "If-None-Match: *", 503);
    simulate("redis", NULL, 503);
    replay(id, 503);
    api_call(&r, "viewer", "GET", "/v1/autoscale/fleets/redis", NULL, NULL);
    assert_status(&r, 200);
    snprintf(path, sizeof path, "/v1/autoscale/decisions/%lld/explain", id);
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, 200);
    /* Above all a fleet can be turned off. */
    api_call(&r, "operator", "POST", "/v1/autoscale/fleets/redis:disable", NULL, NULL);
    assert_status(&r, 200);
    scale_answerer(true);
    put("redis", body, "If-Match: *", 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_are_as_for_the_rest),
        cmocka_unit_test(settings_that_are_not_fit_are_refused_by_their_member),
        cmocka_unit_test(bad_bodies_are_named_before_anybody_is_asked),
        cmocka_unit_test(settings_have_a_size),
        cmocka_unit_test(a_change_says_which_version_it_saw),
        cmocka_unit_test(what_does_not_exist_or_cannot_be_is_told_apart),
        cmocka_unit_test(a_simulation_is_asked_for_and_passed_on),
        cmocka_unit_test(a_simulation_that_cannot_be_says_why),
        cmocka_unit_test(a_replay_is_equal_or_says_what_differs),
        cmocka_unit_test(without_the_service_what_is_stored_can_still_be_read),
    };
    int failed = cmocka_run_group_tests(tests, setup, scale_teardown);
    api_reply_done(&r);
    return failed;
}
