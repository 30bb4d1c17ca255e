/* The autoscale service on real PostgreSQL and NATS: a fleet of single nodes that follows the
 * lag of a JetStream consumer, on a provider that is a directory. */
#include "autoscale_service_stage.h"

#include "prism/io/clock.h"
#include "prism/v1/autoscale.pb-c.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct pr_bus *listener;
static struct it_service service, second;
static atomic_uint events, alarms;

static const char SETTINGS[] =
    "{\"kind\": \"single\", \"mode\": \"%s\", \"fleet\": {\"min\": 2, \"max\": 6, " STAGE_ZONES
    "}, " STAGE_POLICIES
    ", \"actuator\": {\"kind\": \"%s\"%s, \"drain_s\": 30, \"patience_s\": 240}}";

/* --- the stage ------------------------------------------------------------------------------ */

static enum pr_code on_decision(void *ctx, const struct pr_msg *msg, struct pr_err *err)
{
    (void)ctx;
    Prism__V1__AutoscaleDecisionEvent *e =
        prism__v1__autoscale_decision_event__unpack(NULL, msg->len, msg->data);
    if (e == NULL)
        return pr_fail(err, PR_EDATA, "not an AutoscaleDecisionEvent");
    atomic_fetch_add(&events, strcmp(e->fleet, "pool") == 0 && e->decision_id > 0);
    atomic_fetch_add(&alarms, e->alarm ? 1 : 0);
    prism__v1__autoscale_decision_event__free_unpacked(e, NULL);
    return PR_OK;
}

static void fleet(const char *mode, const char *actuator, const char *of)
{
    char settings[4096];
    snprintf(settings, sizeof settings, SETTINGS, mode, actuator, of);
    (void)text("INSERT INTO autoscale_fleets (name, settings, changed_by) VALUES ('pool', '%s', "
               "'test') ON CONFLICT (name) DO UPDATE SET settings = excluded.settings, enabled = "
               "true",
               settings);
}

static int open_stage(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    const struct pr_bus_options api = { .url = it_env("IT_NATS_URL"),
                                        .user = it_env("IT_METADATA_API_NATS_USER"),
                                        .password = it_env("IT_METADATA_API_NATS_PASSWORD"),
                                        .name = "autoscale-test-listener" };
    stage_open();
    put("node-7001", "a\n");
    put("node-7002", "b\n");
    put("last", "7002\n");
    assert_ok(pr_bus_open(&listener, &api, &err), &err);
    assert_ok(pr_bus_watch(listener, "PRISM_EVT", "prism.evt.autoscale.>", on_decision, NULL, &err),
              &err);
    start(&service);
    return 0;
}

static int close_stage(void **state)
{
    (void)state;
    const int status = it_stop(service.pid);
    pr_bus_close(listener);
    stage_close();
    return status;
}

static void *ask(const char *subject, const void *packed, size_t n, size_t *len)
{
    struct pr_err err = { 0 };
    void *reply = NULL;
    assert_ok(pr_bus_request(listener, subject, packed, n, 10000, &reply, len, &err), &err);
    return reply;
}

/* --- deciding ------------------------------------------------------------------------------- */

static bool some_events(void *ctx)
{
    (void)ctx;
    return atomic_load(&events) > 3;
}

static void advice_is_given_and_nobody_acts(void **state)
{
    (void)state;
    backlog(BACKLOG);
    fleet("advise", "local", "");
    await_sql("t", "SELECT count(*) > 2 FROM autoscale_decisions WHERE move = 'out' AND state = "
                   "'done' AND report IS NULL");
    assert_int_equal(number("SELECT count(*) FROM autoscale_actions"), 0);
    assert_int_equal(number("SELECT desired FROM autoscale_state"), 2);
    assert_int_equal(lines_of_log(""), 0);
    assert_int_equal(number("SELECT count(*) FROM autoscale_decisions WHERE from_instances <> 2"),
                     0);
    assert_true(it_await(some_events, NULL, 10000));
}

static void dry_run_says_what_it_would_do(void **state)
{
    (void)state;
    fleet("act", "dry-run", ", \"of\": \"local\"");
    const long seen = number("SELECT max(id) FROM autoscale_decisions");
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT count(*) > 2 FROM autoscale_decisions WHERE id > %ld AND move = 'out' AND "
             "settings_version = 2",
             seen);
    await_sql("t", sql);
    assert_int_equal(lines_of_log(""), 0);
    assert_int_equal(number("SELECT count(*) FROM autoscale_actions"), 0);
}

static bool added(void *n)
{
    return lines_of_log("add") >= *(int *)n;
}

/* 2 -> 3 -> 5 -> 6, whoever is killed meanwhile: every start of a node is counted. It is killed
 * when there is something to carry out, when it has begun to, and while an order that has had its
 * effect is not answered yet. */
static void scaling_out_survives_kills_at_any_point(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        int added;
    } row[] = {
        { "SELECT count(*) > 0 FROM autoscale_decisions WHERE state IN ('decided', 'acting')", 0 },
        { "SELECT count(*) > 0 FROM autoscale_decisions WHERE state = 'acting' AND report ? "
          "'carry'",
          0 },
        { NULL, 2 },
        { NULL, 4 },
    };
    const long before = number("SELECT max(lease_epoch) FROM autoscale_decisions");
    put("slow", "");
    fleet("act", "local", "");
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        int adds = row[i].added;
        if (row[i].sql != NULL)
            await_sql("t", row[i].sql);
        else if (!it_await(added, &adds, AWAIT_MS))
            fail_msg("no %d nodes were added: %s", adds, last_decisions());
        it_kill(service.pid);
        start(&service);
        assert_true(it_await(leads, &service, 15000));
    }
    await_sql("6", "SELECT to_instances FROM autoscale_decisions WHERE move = 'out' AND state = "
                   "'done' AND report IS NOT NULL ORDER BY id DESC LIMIT 1");
    assert_int_equal(nodes(), 6);
    assert_int_equal(lines_of_log("add"), 4);
    assert_int_equal(lines_of_log("remove"), 0);
    away("slow");
    assert_int_equal(number("SELECT count(*) FROM autoscale_decisions WHERE state IN ('decided', "
                            "'acting', 'failed')"),
                     0);
    /* Two replicas never decide for one minute: the lease that a decision was made under only
     * grows. */
    assert_int_equal(number("SELECT count(*) FROM (SELECT lease_epoch, lag(lease_epoch) OVER "
                            "(ORDER BY at) AS before FROM autoscale_decisions WHERE report IS "
                            "NULL) d WHERE lease_epoch < before"),
                     0);
    assert_true(number("SELECT max(lease_epoch) FROM autoscale_decisions") >=
                before + (long)PR_COUNT(row));
}

static void scaling_in_closes_connections_first(void **state)
{
    (void)state;
    backlog(0);
    await_sql("2", "SELECT to_instances FROM autoscale_decisions WHERE move = 'in' AND state = "
                   "'done' ORDER BY id DESC LIMIT 1");
    assert_int_equal(nodes(), 2);
    assert_int_equal(lines_of_log("remove"), 4);
    /* Nobody was terminated less than 30 s after the intent: in the fleet's own time. */
    assert_int_equal(
        number("SELECT count(*) FROM autoscale_decisions d, jsonb_to_recordset(report #> "
               "'{carry,leavers}') AS l(out_ms bigint, told_ms bigint) WHERE l.told_ms < l.out_ms "
               "+ 30000"),
        0);
    assert_true(number("SELECT count(*) FROM autoscale_decisions d, jsonb_to_recordset(report #> "
                       "'{carry,leavers}') AS l(told_ms bigint) WHERE l.told_ms > 0") >= 4);
}

static void refused_order_fails_with_the_provider_s_words(void **state)
{
    (void)state;
    put("refuse", "");
    backlog(BACKLOG);
    await_sql("t", "SELECT count(*) > 0 FROM autoscale_decisions WHERE state = 'failed' AND "
                   "report->>'why' LIKE '%no capacity left in zone%' AND (report->>'alarm')::bool");
    assert_int_equal(nodes(), 2);
    /* What is there counts again, not what was wanted. */
    await_sql("t", "SELECT count(*) > 0 FROM autoscale_decisions d WHERE from_instances = 2 AND id "
                   "> (SELECT max(id) FROM autoscale_decisions WHERE state = 'failed')");
    away("refuse");
    await_sql("6", "SELECT to_instances FROM autoscale_decisions WHERE move = 'out' AND state = "
                   "'done' AND report IS NOT NULL AND id > (SELECT max(id) FROM "
                   "autoscale_decisions WHERE state = 'failed') ORDER BY id DESC LIMIT 1");
    assert_int_equal(nodes(), 6);
}

/* --- decisions that nobody shall carry out any more ------------------------------------------- */

/* A decision of the settings as they are, as if it had been made a minute ago; the
 * next one finds nothing to change. Its id. */
static long decided(const char *state)
{
    static int made;
    char sql[1024];
    snprintf(sql, sizeof sql,
             "INSERT INTO autoscale_decisions (fleet, at, settings_version, from_instances, "
             "to_instances, move, why, input, decision, state, lease_epoch, report) SELECT 'pool', "
             "d.at - interval '1 minute' - %d * interval '1 millisecond', f.version, 7, 6, 'in', "
             "'of old', d.input, d.decision, '%s', "
             "d.lease_epoch, CASE '%s' WHEN 'acting' THEN d.report || jsonb_build_object('carry', "
             "(d.report->'carry') || '{\"phase\": \"ordering\"}') END FROM autoscale_decisions d, "
             "autoscale_fleets f WHERE d.fleet = 'pool' AND f.name = 'pool' AND d.report ? 'carry' "
             "ORDER BY d.id DESC LIMIT 1 RETURNING id",
             ++made, state, state);
    return number(sql);
}

static void await_failed(long id, const char *why)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "SELECT state = 'failed' AND report->>'why' LIKE '%%%s%%' FROM autoscale_decisions "
             "WHERE id = %ld",
             why, id);
    await_sql("t", sql);
}

static void enabled(bool on)
{
    (void)text("UPDATE autoscale_fleets SET enabled = %s WHERE name = 'pool'",
               on ? "true" : "false");
}

static void open_decision_ends_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *state, *mode, *actuator, *why;
    } row[] = {
        { "decided", "act", "local", "settings were changed before it was begun" },
        { "acting", "act", "local", "groups were changed" },
        { "decided", "advise", "none", "does not act any more" },
        { "acting", "advise", "none", "does not act any more" },
    };
    const int before = lines_of_log("");
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        enabled(false);
        const long id = decided(row[i].state);
        if (i == 1) /* zones have changed places: what was begun is of others */
            (void)text("UPDATE autoscale_decisions SET report = jsonb_set(report, "
                       "'{carry,groups}', '17') WHERE id = %ld",
                       id);
        fleet(row[i].mode, row[i].actuator, "");
        await_failed(id, row[i].why);
    }
    assert_int_equal(lines_of_log(""), before);
    assert_int_equal(nodes(), 6);
    fleet("act", "local", "");
}

/* --- replicas ------------------------------------------------------------------------------- */

static bool second_leads(void *ctx)
{
    (void)ctx;
    return leads(&second);
}

static void second_replica_waits_and_takes_over(void **state)
{
    (void)state;
    start(&second);
    assert_true(leads(&service));
    assert_false(leads(&second));
    assert_int_equal(it_stop(service.pid), 0);
    assert_true(it_await(second_leads, NULL, 15000)); /* the lease was given back */
    service = second;
    const long seen = number("SELECT max(id) FROM autoscale_decisions");
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT max(id) > %ld FROM autoscale_decisions", seen + 1);
    await_sql("t", sql);
}

/* --- what members say ------------------------------------------------------------------------- */

static void members_tell_their_figures_by_nats(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    uint8_t packed[256];
    char fleet_name[] = "pool", member[] = "node-7001", zone[] = "a";
    Prism__V1__MemberMetricsEvent e = PRISM__V1__MEMBER_METRICS_EVENT__INIT;
    e.fleet = fleet_name;
    e.member_id = member;
    e.zone = zone;
    e.at_ms = pr_now_ms();
    e.cpu_case = PRISM__V1__MEMBER_METRICS_EVENT__CPU_CPU_PCT;
    e.cpu_pct = 42;
    const size_t n = prism__v1__member_metrics_event__pack(&e, packed);
    assert_ok(pr_bus_publish(bus, "prism.metrics.member", packed, n, NULL, NULL, &err), &err);
    await_sql("42", "SELECT cpu_pct FROM autoscale_readings WHERE member = 'node-7001'");
}

/* --- answers ---------------------------------------------------------------------------------- */

static void check_names_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *settings, *path, *error;
    } row[] = {
        { "{}", "", "" },
        { "{\"mode\": \"acting\"}", "mode", "is none of" },
        { "{\"policies\": [{\"policy\": \"target\", \"target\": 1}]}", "policies[0].target",
          "no such setting" },
        { "{\"schedule\": [{\"name\": \"x\", \"cron\": \"61 * * * *\", \"min\": 3, \"lasts_ms\": "
          "60000}]}",
          "settings", "cron" },
        { "{\"sources\": [{\"kind\": \"bus\"}]}", "sources[0]", "CLOCK_RATE" },
        { "nonsense", "", "" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        uint8_t packed[1024];
        size_t len = 0;
        char name[] = "pool", settings[512];
        snprintf(settings, sizeof settings, "%s", row[i].settings);
        Prism__V1__AutoscaleCheckRequest r = PRISM__V1__AUTOSCALE_CHECK_REQUEST__INIT;
        r.fleet = name;
        r.settings = settings;
        void *reply = ask("prism.rpc.autoscale.check", packed,
                          prism__v1__autoscale_check_request__pack(&r, packed), &len);
        Prism__V1__AutoscaleCheckResponse *a =
            prism__v1__autoscale_check_response__unpack(NULL, len, reply);
        assert_non_null(a);
        if (i + 1 == PR_COUNT(row))
            assert_true(a->path[0] != '\0' && a->error[0] != '\0');
        else if (strcmp(a->path, row[i].path) != 0 || strstr(a->error, row[i].error) == NULL ||
                 (row[i].error[0] == '\0') != (a->error[0] == '\0'))
            fail_msg("%s: \"%s\": \"%s\"", row[i].settings, a->path, a->error);
        prism__v1__autoscale_check_response__free_unpacked(a, NULL);
        free(reply);
    }
}

static void simulation_runs_on_what_was_recorded(void **state)
{
    (void)state;
    uint8_t packed[4096];
    size_t len = 0;
    char name[] = "pool", settings[] =
                              "{\"fleet\": {\"min\": 2, \"max\": 50}, \"policies\": [{\"policy\": "
                              "\"target\"}, {\"policy\": \"rules\"}]}";
    (void)text("INSERT INTO autoscale_samples (fleet, at, cpu_pct, serving, silent, merged_at) "
               "SELECT 'pool', date_trunc('minute', now() - interval '5 hours') + i * interval '1 "
               "minute', 20 + i / 5.0, 10, 0, now() FROM generate_series(1, 240) i "
               "ON CONFLICT DO NOTHING");
    Prism__V1__AutoscaleSimulateRequest r = PRISM__V1__AUTOSCALE_SIMULATE_REQUEST__INIT;
    r.fleet = name;
    r.settings = settings;
    r.from_ms = pr_now_ms() - 6 * 3600000LL;
    r.to_ms = pr_now_ms() - 50 * 60000LL;
    void *reply = ask("prism.rpc.autoscale.simulate", packed,
                      prism__v1__autoscale_simulate_request__pack(&r, packed), &len);
    Prism__V1__AutoscaleSimulateResponse *a =
        prism__v1__autoscale_simulate_response__unpack(NULL, len, reply);
    assert_non_null(a);
    assert_string_equal(a->error, "");
    json_t *o = json_loads(a->result, 0, NULL);
    assert_non_null(o);
    const json_t *policies = json_object_get(o, "policies");
    assert_int_equal(json_object_size(policies), 3); /* as set, and each alone */
    assert_true(json_number_value(
                    json_object_get(json_object_get(policies, "settings"), "instance_hours")) > 0);
    assert_non_null(json_object_get(json_object_get(policies, "rules"), "short_minutes_per_day"));
    json_decref(o);
    prism__v1__autoscale_simulate_response__free_unpacked(a, NULL);
    free(reply);

    char unknown[] = "nobody";
    r.fleet = unknown;
    reply = ask("prism.rpc.autoscale.simulate", packed,
                prism__v1__autoscale_simulate_request__pack(&r, packed), &len);
    a = prism__v1__autoscale_simulate_response__unpack(NULL, len, reply);
    assert_non_null(strstr(a->error, "no fleet nobody"));
    prism__v1__autoscale_simulate_response__free_unpacked(a, NULL);
    free(reply);
}

static void replay(uint64_t id, const char *error, const char *difference)
{
    uint8_t packed[32];
    size_t len = 0;
    Prism__V1__AutoscaleReplayRequest r = PRISM__V1__AUTOSCALE_REPLAY_REQUEST__INIT;
    r.decision_id = id;
    void *reply = ask("prism.rpc.autoscale.replay", packed,
                      prism__v1__autoscale_replay_request__pack(&r, packed), &len);
    Prism__V1__AutoscaleReplayResponse *a =
        prism__v1__autoscale_replay_response__unpack(NULL, len, reply);
    assert_non_null(a);
    if ((error[0] == '\0') != (a->error[0] == '\0') || strstr(a->error, error) == NULL ||
        (difference[0] == '\0') != (a->difference[0] == '\0') ||
        strstr(a->difference, difference) == NULL)
        fail_msg("decision %llu: error \"%s\", difference \"%s\"", (unsigned long long)id, a->error,
                 a->difference);
    prism__v1__autoscale_replay_response__free_unpacked(a, NULL);
    free(reply);
}

static void every_decision_is_made_again_bit_for_bit(void **state)
{
    (void)state;
    const long last = number("SELECT max(id) FROM autoscale_decisions");
    for (long id = last; id > 0 && id > last - 60; id--)
        if (strcmp(text("SELECT count(*) FROM autoscale_decisions WHERE id = %ld", id), "1") == 0)
            replay((uint64_t)id, "", "");
    replay((uint64_t)last + 1000, "no decision", "");
    (void)text("UPDATE autoscale_decisions SET decision = replace(decision::text, '\"move\":', "
               "'\"moved\":')::json WHERE id = %ld",
               last);
    replay((uint64_t)last, "", "moved: stored");
    char uri_setting[IT_URI + 32], out[4096], id[32];
    snprintf(uri_setting, sizeof uri_setting, "PRISM_DB_URI=%s", uri);
    const char *const env[] = { uri_setting, NULL };
    snprintf(id, sizeof id, "%ld", last);
    const char *argv[] = { PRISM_BIN_DIR "/prism-autoscale", "replay", id, NULL };
    assert_int_equal(it_run(env, argv, out, sizeof out, 20000), 1);
    assert_non_null(strstr(out, "moved: stored"));
    snprintf(id, sizeof id, "%ld", last - 1);
    assert_int_equal(it_run(env, argv, out, sizeof out, 20000), 0);
    assert_string_equal(out, "equal\n");
    argv[2] = "seven";
    assert_int_equal(it_run(env, argv, out, sizeof out, 20000), 2);
}

/* --- settings --------------------------------------------------------------------------------- */

static bool is_unfit(void *ctx)
{
    (void)ctx;
    static char metrics[1 << 18];
    return it_http(service.port, "GET", "/metrics", NULL, NULL, metrics, sizeof metrics) == 200 &&
           strstr(metrics, "prism_autoscale_fleets{state=\"unfit\"} 1") != NULL;
}

static void fleet_with_unfit_settings_is_left_alone(void **state)
{
    (void)state;
    (void)text(
        "UPDATE autoscale_fleets SET settings = '{\"mode\": \"acting\"}' WHERE name = 'pool'");
    assert_true(it_await(is_unfit, NULL, 15000));
    assert_int_equal(it_http(service.port, "GET", "/readyz", NULL, NULL, NULL, 0), 200);
    static const char of_pool[] = "SELECT max(id) FROM autoscale_decisions WHERE fleet = 'pool'";
    const long seen = number(of_pool);
    /* Minutes go by: another fleet is decided for. */
    (void)text("INSERT INTO autoscale_fleets (name, settings, changed_by) VALUES ('other', "
               "'{\"fleet\": {\"min\": 2, \"max\": 9, \"zone_loss_pct\": 0}}', 'test')");
    (void)text("INSERT INTO autoscale_samples (fleet, at, cpu_pct, serving, silent, merged_at) "
               "SELECT 'other', date_trunc('minute', now()), 50, 5, 0, now()");
    await_sql("t", "SELECT count(*) > 2 FROM autoscale_decisions WHERE fleet = 'other'");
    assert_int_equal(number(of_pool), seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(advice_is_given_and_nobody_acts),
        cmocka_unit_test(dry_run_says_what_it_would_do),
        cmocka_unit_test(scaling_out_survives_kills_at_any_point),
        cmocka_unit_test(scaling_in_closes_connections_first),
        cmocka_unit_test(refused_order_fails_with_the_provider_s_words),
        cmocka_unit_test(open_decision_ends_with_a_reason),
        cmocka_unit_test(second_replica_waits_and_takes_over),
        cmocka_unit_test(members_tell_their_figures_by_nats),
        cmocka_unit_test(check_names_what_is_wrong),
        cmocka_unit_test(simulation_runs_on_what_was_recorded),
        cmocka_unit_test(every_decision_is_made_again_bit_for_bit),
        cmocka_unit_test(fleet_with_unfit_settings_is_left_alone),
    };
    return cmocka_run_group_tests(tests, open_stage, close_stage);
}
