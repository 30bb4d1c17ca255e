/* metadata-api with the real autoscale service behind it: settings are judged, recorded
 * samples simulated, stored decisions made again. */
#include "api_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct reply r;
static struct it_service autoscale;

static int setup(void **state)
{
    const int rc = api_empty_setup(state);
    it_service(&autoscale, "autoscale", fx.uri, NULL);
    return rc;
}

static int teardown(void **state)
{
    const int rc = autoscale.pid > 0 ? it_stop(autoscale.pid) : -1; /* 0 were all of us */
    return api_teardown(state) == 0 ? rc : -1;
}

static void put(const char *body, const char *header, int status)
{
    api_call(&r, "admin", "PUT", "/v1/autoscale/fleets/shop", body, header);
    assert_status(&r, status);
}

static void assert_field(const char *field, const char *words)
{
    const json_t *e = json_array_get(json_object_get(r.j, "errors"), 0);
    const char *got = json_string_value(json_object_get(e, "field"));
    if (got == NULL || strcmp(got, field) != 0 || strstr(r.text, words) == NULL)
        fail_msg("not %s (%s): %s", field, words, r.text);
}

static void the_service_judges_settings(void **state)
{
    (void)state;
    static const struct {
        const char *settings, *field, *words;
    } row[] = {
        { "{\"mood\": \"act\"}", "settings.mood", "" },
        { "{\"mode\": \"perhaps\"}", "settings.mode", "advise" },
        { "{\"mode\": \"act\"}", "settings.actuator", "mode is act" },
        { "{\"policies\": [{\"policy\": \"adaptive\"}, {\"policy\": \"magic\"}]}",
          "settings.policies[1].policy", "there are" },
        { "{\"policies\": [{\"policy\": \"adaptive\", \"target_pct\": \"much\"}]}",
          "settings.policies[0].target_pct", "number" },
        { "{\"fleet\": {\"min\": 10, \"max\": 3}}", "settings.fleet", "min" },
        { "{\"sources\": [{\"kind\": \"crystal ball\"}]}", "settings.sources[0]", "prometheus" },
        { "{\"sources\": [{\"kind\": \"prometheus\", \"metric\": \"cpu\", \"query\": \"up\"}]}",
          "settings.sources[0]", "PRISM_PROMETHEUS_URL" },
    };
    char body[400];
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        snprintf(body, sizeof body, "{\"settings\": %s}", row[i].settings);
        put(body, "If-None-Match: *", 400);
        assert_field(row[i].field, row[i].words);
    }
    put("{\"settings\": {\"fleet\": {\"min\": 3, \"max\": 30}, \"policies\": [{\"policy\": "
        "\"adaptive\"}, {\"policy\": \"rules\"}]}, \"enabled\": false}",
        "If-None-Match: *", 201);
}

/* A node of the cluster is of one fleet. */
static void a_second_fleet_of_the_same_nodes_is_refused(void **state)
{
    (void)state;
    static const char body[] = "{\"settings\": {\"kind\": \"redis\", \"fleet\": {\"zones\": "
                               "[{\"name\": \"a\"}, {\"name\": \"b\"}]}}}";
    api_call(&r, "admin", "PUT", "/v1/autoscale/fleets/hot", body, "If-None-Match: *");
    assert_status(&r, 201);
    api_call(&r, "admin", "PUT", "/v1/autoscale/fleets/warm", body, "If-None-Match: *");
    assert_status(&r, 400);
    assert_field("settings.fleet.zones[0].name", "fleet hot has the Redis nodes of zone a");
    api_call(&r, "admin", "PUT", "/v1/autoscale/fleets/hot", body, "If-Match: *");
    assert_status(&r, 200);
    api_call(&r, "operator", "POST", "/v1/autoscale/fleets/hot:disable", NULL, NULL);
    assert_status(&r, 200);
    api_call(&r, "admin", "PUT", "/v1/autoscale/fleets/warm", body, "If-None-Match: *");
    assert_status(&r, 201);
}

static double figure(const char *policy, const char *name)
{
    const json_t *v =
        json_object_get(json_object_get(json_object_get(r.j, "policies"), policy), name);
    if (!json_is_number(v))
        fail_msg("no %s of %s in %s", name, policy, r.text);
    return json_number_value(v);
}

static void simulate(const char *body, int status)
{
    api_call(&r, "operator", "POST", "/v1/autoscale/fleets/shop:simulate", body, NULL);
    assert_status(&r, status);
}

static void recorded_samples_are_simulated(void **state)
{
    (void)state;
    simulate(NULL, 409);
    assert_non_null(strstr(r.text, "no sample"));
    api_sql("SELECT autoscale_partitions('autoscale_samples', '2026-11-21', 1, '600 days')");
    api_sql("INSERT INTO autoscale_samples (fleet, at, cpu_pct, serving, silent, merged_at) "
            "SELECT 'shop', timestamptz '2026-11-20 00:00Z' + i * interval '1 minute', "
            "50 + 30 * sin(i / 230.0), 10, 0, now() FROM generate_series(1, 1440) i");
    simulate(NULL, 200);
    assert_true(figure("adaptive", "instance_hours") > 24 * 3);
    assert_true(figure("rules", "hours_ratio") > 0.5);
    const double wide = figure("adaptive", "instance_hours");
    simulate("{\"settings\": {\"fleet\": {\"min\": 3, \"max\": 30}, \"policies\": [{\"policy\": "
             "\"adaptive\", \"target_pct\": 30}]}}",
             200);
    assert_true(figure("adaptive", "instance_hours") > wide); /* more room costs more */
    simulate("{\"from\": \"2026-11-20T12:00:00Z\", \"to\": \"2026-11-20T18:00:00Z\"}", 200);
    assert_true(figure("adaptive", "instance_hours") < wide / 2);
    simulate("{\"from\": \"2026-01-01T00:00:00Z\", \"to\": \"2026-01-02T00:00:00Z\"}", 409);
}

static void a_simulation_takes_so_long_and_no_longer(void **state)
{
    (void)state;
    static const char *const extra[] = { "PRISM_AUTOSCALE_SIMULATE_MS=1", NULL };
    assert_int_equal(it_stop(autoscale.pid), 0);
    it_service(&autoscale, "autoscale", fx.uri, extra);
    simulate(NULL, 504);
    assert_non_null(strstr(r.text, "takes longer than 1 ms"));
    assert_int_equal(it_stop(autoscale.pid), 0);
    it_service(&autoscale, "autoscale", fx.uri, NULL);
    simulate(NULL, 200);
}

/* A decision as the command line makes it, stored. */
static long long store_decision(void)
{
    static char whole[1 << 20];
    char path[] = "/tmp/prism-whole-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    dprintf(fd, "{\"fleet\": {\"name\": \"shop\", \"min\": 3}, \"view\": {\"desired\": 10, "
                "\"samples\": [{\"at_ms\": 1795255440000, \"cpu_pct\": 71.3, \"serving\": 10}, "
                "{\"at_ms\": 1795255500000, \"cpu_pct\": 72.7, \"serving\": 10}]}}");
    const char *argv[] = { PRISM_BIN_DIR "/prism-autoscale", "decide", "--whole", path, NULL };
    assert_int_equal(it_run(NULL, argv, whole, sizeof whole, 10000), 0);
    unlink(path);
    json_t *j = json_loads(whole, 0, NULL);
    assert_non_null(j);
    char *input = json_dumps(json_object_get(j, "input"), JSON_COMPACT);
    char *decision = json_dumps(json_object_get(j, "decision"), JSON_COMPACT);
    static char sql[1 << 20];
    snprintf(sql, sizeof sql,
             "INSERT INTO autoscale_decisions (fleet, at, settings_version, from_instances, "
             "to_instances, move, why, input, decision, lease_epoch) VALUES ('shop', "
             "'2026-11-21 10:05Z', 1, 10, %d, '%s', '', $i$%s$i$, $d$%s$d$, 1) RETURNING id",
             (int)json_integer_value(json_object_get(json_object_get(j, "decision"), "to")),
             json_string_value(json_object_get(json_object_get(j, "decision"), "move")), input,
             decision);
    char cell[32];
    it_sql(fx.uri, sql, cell, sizeof cell);
    free(input);
    free(decision);
    json_decref(j);
    return atoll(cell);
}

static void a_stored_decision_is_made_again(void **state)
{
    (void)state;
    char path[100];
    const long long id = store_decision();
    snprintf(path, sizeof path, "/v1/autoscale/decisions/%lld/replay", id);
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, 200);
    if (!json_is_true(json_object_get(r.j, "equal")))
        fail_msg("%s", r.text);

    api_sql("UPDATE autoscale_decisions SET decision = replace(decision::text, '\"from\":10', "
            "'\"from\":11')::json WHERE id = %lld",
            id);
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, 200);
    assert_false(json_is_true(json_object_get(r.j, "equal")));
    assert_string_equal(json_string_value(json_array_get(json_object_get(r.j, "difference"), 0)),
                        "from: stored 11, now 10");

    snprintf(path, sizeof path, "/v1/autoscale/decisions/%lld/explain", id);
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, 200);
    assert_non_null(strstr(api_str(&r, "text"), "CPU 72.7 %"));
    assert_non_null(strstr(api_str(&r, "text"), "* adaptive out"));

    api_sql("UPDATE autoscale_decisions SET input = '{\"version\": 99}' WHERE id = %lld", id);
    snprintf(path, sizeof path, "/v1/autoscale/decisions/%lld/replay", id);
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, 409);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_service_judges_settings),
        cmocka_unit_test(a_second_fleet_of_the_same_nodes_is_refused),
        cmocka_unit_test(recorded_samples_are_simulated),
        cmocka_unit_test(a_simulation_takes_so_long_and_no_longer),
        cmocka_unit_test(a_stored_decision_is_made_again),
    };
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    api_reply_done(&r);
    return failed;
}
