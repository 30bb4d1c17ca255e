/* /v1/autoscale: fleets, their settings and versions, decisions and samples. Rows of the
 * autoscale service are made here, its answers by a stand-in. */
#include "api_autoscale_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct reply r;

static const json_t *member(const char *path)
{
    const json_t *o = r.j;
    char name[64];
    while (o != NULL && *path != '\0') {
        const size_t n = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)n, path);
        o = json_is_array(o) ? json_array_get(o, (size_t)atoi(name)) : json_object_get(o, name);
        path += n + (path[n] == '.');
    }
    return o;
}

static void assert_text(const char *path, const char *want)
{
    const char *got = json_string_value(member(path));
    if (got == NULL || strcmp(got, want) != 0)
        fail_msg("%s: %s in %s", path, got == NULL ? "no text" : got, r.text);
}

static void assert_whole(const char *path, long long want)
{
    if (!json_is_integer(member(path)) || json_integer_value(member(path)) != want)
        fail_msg("%s is not %lld in %s", path, want, r.text);
}

static void assert_real(const char *path, double want)
{
    const double got = json_number_value(member(path));
    if (!json_is_number(member(path)) || got < want - 1e-9 || got > want + 1e-9)
        fail_msg("%s is not %g in %s", path, want, r.text);
}

static void get(const char *path, int status)
{
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, status);
}

/* --- settings ------------------------------------------------------------------------ */

static void a_fleet_is_made_read_and_replaced(void **state)
{
    (void)state;
    api_call(&r, "admin", "PUT", "/v1/autoscale/fleets/redis",
             "{\"settings\": {\"mode\": \"act\", \"policies\": [{\"policy\": \"rules\"}], "
             "\"budget\": {\"ratio\": 0.1, \"flap_ms\": 1800000}, \"zone_loss_pct\": 1e2}}",
             "If-None-Match: *");
    assert_status(&r, 201);
    assert_string_equal(r.location, "/v1/autoscale/fleets/redis");
    assert_string_equal(r.etag, "\"1\"");
    assert_whole("version", 1);
    assert_true(json_is_true(member("enabled")));
    assert_text("mode", "act");
    assert_text("policy", "rules");
    assert_int_equal(scale_asked.checks, 1);
    assert_non_null(strstr(scale_asked.settings, "\"flap_ms\":1800000"));

    get("/v1/autoscale/fleets/redis", 200);
    assert_memory_equal(r.etag, "\"1-", 3);
    assert_text("changedBy", "admin");
    assert_non_null(strstr(r.text, "\"ratio\": 0.1,")); /* every digit, and no more */
    assert_non_null(strstr(r.text, "\"flap_ms\""));     /* the settings' own names */

    api_call(&r, "admin", "PUT", "/v1/autoscale/fleets/redis",
             "{\"settings\": {\"mode\": \"advise\"}, \"enabled\": false}", "If-Match: \"1\"");
    assert_status(&r, 200);
    assert_string_equal(r.etag, "\"2\"");
    get("/v1/autoscale/fleets/redis", 200);
    assert_false(json_is_true(member("enabled")));
    assert_text("mode", "advise");
    assert_text("policy", "adaptive");
    assert_string_equal(api_sql("SELECT string_agg(action || ' ' || principal || ' ' || "
                                "coalesce(before->>'version', '-') || (after->>'version'), ',' "
                                "ORDER BY id) FROM audit WHERE resource = "
                                "'autoscale/fleets/redis'"),
                        "autoscale.settings admin -1,autoscale.settings admin 12");
    assert_string_equal(api_sql("SELECT count(*) FROM outbox WHERE subject = "
                                "'prism.evt.metadata.changed'"),
                        "2");
}

static void the_same_settings_make_no_new_version(void **state)
{
    (void)state;
    api_call(&r, "admin", "PUT", "/v1/autoscale/fleets/redis",
             "{\"settings\": {\"mode\":   \"advise\"}}", "If-Match: \"2\"");
    assert_status(&r, 200);
    assert_string_equal(r.etag, "\"2\"");
    assert_false(json_is_true(member("enabled"))); /* as it was */
}

static void versions_are_kept_and_paged(void **state)
{
    (void)state;
    char path[600];
    api_call(&r, "admin", "PUT", "/v1/autoscale/fleets/redis",
             "{\"settings\": {\"mode\": \"act\"}, \"enabled\": true}", "If-Match: \"2\"");
    assert_status(&r, 200);
    get("/v1/autoscale/fleets/redis/versions?pageSize=2", 200);
    assert_whole("items.0.version", 3);
    assert_whole("items.1.version", 2);
    assert_null(member("items.0.settings"));
    snprintf(path, sizeof path, "/v1/autoscale/fleets/redis/versions?pageSize=2&pageToken=%s",
             api_str(&r, "nextPageToken"));
    get(path, 200);
    assert_whole("items.0.version", 1);
    assert_int_equal(json_array_size(member("items")), 1);
    get("/v1/autoscale/fleets/redis/versions/1", 200);
    assert_non_null(strstr(r.text, "\"ratio\": 0.1,"));
    get("/v1/autoscale/fleets/redis/versions/4", 404);
    get("/v1/autoscale/fleets/redis/versions/x", 400);
    get("/v1/autoscale/fleets/nobody/versions", 404);
    get("/v1/autoscale/fleets/nobody/versions/1", 404);
}

static void operators_turn_a_fleet_off_and_on(void **state)
{
    (void)state;
    api_call(&r, "operator", "POST", "/v1/autoscale/fleets/redis:disable", NULL, NULL);
    assert_status(&r, 200);
    assert_string_equal(r.etag, "\"4\"");
    assert_false(json_is_true(member("enabled")));
    assert_text("mode", "act"); /* its settings stay */
    api_call(&r, "operator", "POST", "/v1/autoscale/fleets/redis:disable", NULL, NULL);
    assert_status(&r, 200);
    assert_string_equal(r.etag, "\"4\""); /* it was so already */
    api_call(&r, "operator", "POST", "/v1/autoscale/fleets/redis:enable", NULL, "If-Match: \"3\"");
    assert_status(&r, 412);
    api_call(&r, "operator", "POST", "/v1/autoscale/fleets/redis:enable", NULL, NULL);
    assert_status(&r, 428); /* by which settings? */
    api_call(&r, "operator", "POST", "/v1/autoscale/fleets/redis:enable", NULL, "If-Match: \"4\"");
    assert_status(&r, 200);
    assert_string_equal(r.etag, "\"5\"");
    api_call(&r, "operator", "POST", "/v1/autoscale/fleets/nobody:disable", NULL, NULL);
    assert_status(&r, 404);
    assert_string_equal(api_sql("SELECT string_agg(action, ',' ORDER BY id) FROM audit WHERE "
                                "principal = 'operator'"),
                        "autoscale.disable,autoscale.disable,autoscale.enable");
}

static void a_dry_run_stores_nothing_and_a_key_is_one_request(void **state)
{
    (void)state;
    static const char body[] = "{\"settings\": {\"mode\": \"advise\"}, \"enabled\": false}";
    api_call(&r, "admin", "PUT", "/v1/autoscale/fleets/proxies?dryRun=true", body,
             "If-None-Match: *");
    assert_status(&r, 200);
    assert_true(json_is_true(member("dryRun")));
    get("/v1/autoscale/fleets/proxies", 404);

    struct reply again = { 0 };
    static const char headers[] = "If-None-Match: *\nIdempotency-Key: scale-1";
    api_call(&r, "admin", "PUT", "/v1/autoscale/fleets/proxies", body, headers);
    api_call(&again, "admin", "PUT", "/v1/autoscale/fleets/proxies", body, headers);
    assert_status(&r, 201);
    assert_status(&again, 201);
    assert_string_equal(again.replayed, "true");
    assert_string_equal(again.etag, r.etag);
    assert_string_equal(again.location, r.location);
    assert_string_equal(again.text, r.text);
    api_reply_done(&again);
}

/* --- the list -------------------------------------------------------------------------- */

static void the_list_says_where_each_fleet_stands(void **state)
{
    (void)state;
    char path[600];
    api_sql("INSERT INTO autoscale_state VALUES ('redis', 54, '[]', now(), 1)");
    scale_sample("redis", "date_trunc('minute', now()) - interval '1 minute'", 61, 53);
    scale_sample("redis", "date_trunc('minute', now())", 62.5, 54);
    scale_decision("redis", 2, "hold", 54, 54, "done", "{}", "{}");
    const long long last = scale_decision("redis", 1, "unknown", 54, 54, "done", "{}", "{}");
    api_sql("UPDATE autoscale_decisions SET alarm = true, alarm_why = 'nobody reports' WHERE id = "
            "%lld",
            last);
    get("/v1/autoscale/fleets?pageSize=1", 200);
    assert_text("items.0.name", "proxies");
    assert_true(json_is_null(member("items.0.desired")));
    assert_true(json_is_null(member("items.0.sample")));
    assert_true(json_is_null(member("items.0.decision")));
    assert_null(member("items.0.settings"));
    snprintf(path, sizeof path, "/v1/autoscale/fleets?pageSize=1&pageToken=%s",
             api_str(&r, "nextPageToken"));
    get(path, 200);
    assert_text("items.0.name", "redis");
    assert_whole("items.0.desired", 54);
    assert_real("items.0.sample.cpuPct", 62.5);
    assert_whole("items.0.sample.serving", 54);
    assert_whole("items.0.decision.id", last);
    assert_text("items.0.decision.alarmWhy", "nobody reports");
    assert_null(member("nextPageToken"));
    get("/v1/autoscale/fleets/redis", 200); /* and so does one of them */
    assert_whole("decision.id", last);
    assert_true(json_is_object(member("settings")));
}

/* --- decisions --------------------------------------------------------------------------- */

static size_t count(const char *query)
{
    char path[600];
    snprintf(path, sizeof path, "/v1/autoscale/decisions?%s", query);
    get(path, 200);
    return json_array_size(member("items"));
}

static void decisions_are_filtered_and_paged(void **state)
{
    (void)state;
    static const char *const moves[] = { "out", "in", "hold", "unknown" };
    static const char *const states[] = { "done", "superseded", "failed", "acting", "decided" };
    char path[800];
    scale_fleet("many");
    for (int i = 0; i < 20; i++)
        scale_decision("many", 1000 - i, moves[i % 4], 48, 48 + i, states[i % 5], "{}", "{}");
    assert_int_equal(count("fleet=many"), 20);
    assert_int_equal(count("fleet=nobody"), 0);
    assert_int_equal(count("fleet=many&move=out"), 5);
    assert_int_equal(count("fleet=many&move=out,in"), 10);
    assert_int_equal(count("fleet=many&state=done,failed"), 8);
    assert_int_equal(count("fleet=many&move=out&state=done"), 1);
    assert_int_equal(count("fleet=many&alarm=true"), 0);
    assert_int_equal(count("alarm=true"), 1);
    char query[100];
    snprintf(query, sizeof query, "fleet=many&since=%.60s",
             api_sql("SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') "
                     "FROM autoscale_decisions WHERE fleet = 'many' AND to_instances = 61"));
    assert_int_equal(count(query), 7); /* itself and those after it */
    memcpy(query + strlen("fleet=many&"), "until", 5);
    assert_int_equal(count(query), 13);

    long long last = 1LL << 62;
    size_t seen = 0;
    snprintf(path, sizeof path, "/v1/autoscale/decisions?fleet=many&pageSize=7");
    for (;;) {
        size_t i;
        json_t *d;
        get(path, 200);
        json_array_foreach(member("items"), i, d)
        {
            assert_true(json_integer_value(json_object_get(d, "id")) < last);
            assert_null(json_object_get(d, "input"));
            last = json_integer_value(json_object_get(d, "id"));
            seen++;
        }
        if (member("nextPageToken") == NULL)
            break;
        snprintf(path, sizeof path, "/v1/autoscale/decisions?fleet=many&pageSize=7&pageToken=%s",
                 api_str(&r, "nextPageToken"));
    }
    assert_int_equal(seen, 20);
}

static void a_decision_has_its_documents_to_the_byte(void **state)
{
    (void)state;
    char path[100];
    const long long id = scale_inward("redis", 600, "done");
    snprintf(path, sizeof path, "/v1/autoscale/decisions/%lld", id);
    get(path, 200);
    assert_whole("settingsVersion", 1);
    assert_true(json_is_null(member("report")));
    assert_non_null(strstr(r.text, "\"threshold\": 56.0,")); /* not 56, and not camelCase: */
    assert_non_null(strstr(r.text, "\"cost_month_before\": 39735.36,"));
    assert_true(strlen(r.etag) > 2);
    snprintf(path, sizeof path, "/v1/autoscale/decisions/%lld/input", id);
    get(path, 200);
    assert_string_equal(r.text,
                        api_sql("SELECT input FROM autoscale_decisions WHERE id = %lld", id));
    assert_non_null(strstr(r.text, "-0.0"));
}

static void an_explanation_has_reasons_and_what_came_of_it(void **state)
{
    (void)state;
    char path[100];
    api_sql("INSERT INTO plans (id, operation_id, kind, goal, state, created_by) OVERRIDING SYSTEM "
            "VALUE VALUES (77, gen_random_uuid(), 'fleet', '{}', 'running', 'autoscale')");
    const long long id = scale_inward("redis", 500, "acting");
    api_sql("UPDATE autoscale_decisions SET plan_id = 77, report = '{\"outcome\": \"waiting\", "
            "\"wanted\": 51, \"has\": 54}' WHERE id = %lld",
            id);
    api_sql("INSERT INTO autoscale_actions SELECT fleet, at, 54, 51, id FROM autoscale_decisions "
            "WHERE id = %lld",
            id);
    snprintf(path, sizeof path, "/v1/autoscale/decisions/%lld/explain", id);
    get(path, 200);
    assert_text("why.policy", "adaptive");
    assert_real("why.observed", 37.1);
    assert_non_null(strstr(r.text, "37.1,")); /* and not 37.100000000000001 */
    assert_text("votes.0.policy", "adaptive");
    assert_whole("votes.0.wanted", 45);
    assert_text("leaves.nodes.0.shard", "s3");
    assert_text("outcome.plan.state", "running");
    assert_false(json_is_true(member("outcome.advice")));
    assert_text("outcome.report.outcome", "waiting");
    assert_non_null(strstr(api_str(&r, "text"), "plan 77 (its slots) is running"));
    assert_non_null(strstr(api_str(&r, "text"), "wanted 51, has 54\n           waiting\n"));

    const long long next = scale_inward("redis", 400, "done");
    api_sql("UPDATE autoscale_decisions SET state = 'superseded' WHERE id = %lld", id);
    get(path, 200);
    assert_whole("outcome.supersededBy", next);
    snprintf(path, sizeof path, "/v1/autoscale/decisions/%lld", next);
    get(path, 200);
    assert_true(json_is_true(member("advice"))); /* it is no order of the fleet */
}

/* --- samples ------------------------------------------------------------------------------ */

static void samples_are_drawn_in_steps_with_their_gaps(void **state)
{
    (void)state;
    static const int minutes[] = { 1, 2, 3, 4, 5, 11, 15, 16 }; /* after 10:00 */
    scale_fleet("chart");
    api_sql("SELECT autoscale_partitions('autoscale_samples', '2026-11-21', 1, interval '600 "
            "days')");
    for (size_t i = 0; i < PR_COUNT(minutes); i++) {
        char at[64];
        snprintf(at, sizeof at, "timestamptz '2026-11-21 10:%02d:00Z'", minutes[i]);
        scale_sample("chart", at, 50 + minutes[i], 48 - minutes[i]);
    }
    api_sql("UPDATE autoscale_samples SET silent = 3, serving = 0 WHERE fleet = 'chart' AND "
            "at = '2026-11-21 10:03:00Z'");
    api_sql("INSERT INTO autoscale_actions VALUES ('chart', '2026-11-21 08:00Z', 40, 42, NULL), "
            "('chart', '2026-11-21 09:00Z', 42, 48, 7), ('chart', '2026-11-21 10:06Z', 48, 54, 8), "
            "('chart', '2026-11-21 11:00Z', 54, 60, 9)");
    get("/v1/autoscale/fleets/chart/samples?from=2026-11-21T10:00:00Z&to=2026-11-21T10:20:00Z"
        "&points=4",
        200);
    assert_whole("stepS", 300);
    assert_int_equal(json_array_size(member("items")), 3); /* (10:05, 10:10] is a gap */
    assert_whole("items.0.minutes", 5);
    assert_real("items.0.cpuPct", 53);
    assert_real("items.0.cpuPctMost", 55);
    assert_whole("items.0.serving", 43);
    assert_whole("items.0.silent", 3);
    assert_true(json_is_null(member("items.0.memoryPct")));
    assert_non_null(strstr(json_string_value(member("items.0.at")), "10:05:00"));
    assert_non_null(strstr(json_string_value(member("items.1.at")), "10:15:00"));
    assert_whole("items.1.minutes", 2);
    assert_whole("items.2.minutes", 1);
    assert_int_equal(json_array_size(member("actions")), 2);
    assert_whole("actions.0.to", 48); /* what held when the range began */
    assert_whole("actions.0.decisionId", 7);
    assert_whole("actions.1.to", 54);

    get("/v1/autoscale/fleets/chart/samples?from=2026-11-21T10:00:00Z&to=2026-11-21T10:20:00Z",
        200);
    assert_whole("stepS", 60);
    assert_int_equal(json_array_size(member("items")), 8);
    get("/v1/autoscale/fleets/proxies/samples", 200); /* nothing was measured */
    assert_int_equal(json_array_size(member("items")), 0);
    assert_int_equal(json_array_size(member("actions")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fleet_is_made_read_and_replaced),
        cmocka_unit_test(the_same_settings_make_no_new_version),
        cmocka_unit_test(versions_are_kept_and_paged),
        cmocka_unit_test(operators_turn_a_fleet_off_and_on),
        cmocka_unit_test(a_dry_run_stores_nothing_and_a_key_is_one_request),
        cmocka_unit_test(the_list_says_where_each_fleet_stands),
        cmocka_unit_test(decisions_are_filtered_and_paged),
        cmocka_unit_test(a_decision_has_its_documents_to_the_byte),
        cmocka_unit_test(an_explanation_has_reasons_and_what_came_of_it),
        cmocka_unit_test(samples_are_drawn_in_steps_with_their_gaps),
    };
    int failed = cmocka_run_group_tests(tests, scale_setup, scale_teardown);
    api_reply_done(&r);
    return failed;
}
