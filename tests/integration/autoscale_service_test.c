/* The autoscale service on real PostgreSQL and NATS: a fleet of single nodes that follows the
 * lag of a JetStream consumer, on a provider that is a directory. Sixty times as fast as life:
 * a minute of its policies is a second. */
#include "t.h"

#include "it.h"

#include "prism/io/bus.h"
#include "prism/io/clock.h"
#include "prism/v1/autoscale.pb-c.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { AWAIT_MS = 60000, BACKLOG = 200 };

static char uri[IT_URI], dir[64], nodes_setting[96], command_setting[4200];
static struct pr_bus *bus; /* as admin */
static struct pr_bus *listener;
static struct it_service service, second;
static atomic_uint events, alarms;

static const char SETTINGS[] =
    "{\"kind\": \"single\", \"mode\": \"%s\", \"fleet\": {\"min\": 2, \"max\": 6, \"zones\": "
    "[{\"name\": \"a\"}, {\"name\": \"b\"}], \"zone_loss_pct\": 0, \"boot_ms\": 60000, "
    "\"move_ms\": 0}, \"policies\": [{\"policy\": \"rules\", \"rules\": [{\"metric\": \"backlog\", "
    "\"threshold\": 50, \"step_pct\": 50, \"sustained_ms\": 120000, \"cooldown_ms\": 120000}, "
    "{\"metric\": \"backlog\", \"threshold\": 10, \"step_pct\": -50, \"sustained_ms\": 180000, "
    "\"cooldown_ms\": 180000}]}], \"budget\": {\"actions_per_day\": 0, \"flaps_per_day\": 0}, "
    "\"sources\": [{\"kind\": \"jetstream\", \"stream\": \"PRISM_CMD\", \"consumer\": "
    "\"placement\"}], \"actuator\": {\"kind\": \"%s\"%s, \"drain_s\": 30, \"patience_s\": 600}}";

/* --- the stage ------------------------------------------------------------------------------ */

static const char *text(const char *format, ...)
{
    static char out[8192];
    char sql[8192];
    va_list ap;
    va_start(ap, format);
    vsnprintf(sql, sizeof sql, format, ap);
    va_end(ap);
    it_sql(uri, sql, out, sizeof out);
    return out;
}

static long number(const char *sql)
{
    return strtol(text("%s", sql), NULL, 10);
}

struct awaited {
    const char *sql, *want;
};

static bool says_so(void *ctx)
{
    const struct awaited *a = ctx;
    return strcmp(text("%s", a->sql), a->want) == 0;
}

static void await_sql(const char *want, const char *sql)
{
    struct awaited a = { sql, want };
    if (!it_await(says_so, &a, AWAIT_MS))
        fail_msg("%s: %s, want %s; decisions: %s", sql, text("%s", sql), want,
                 text("SELECT string_agg(id || ' ' || move || ' ' || to_instances || ' ' || state "
                      "|| ' ' || coalesce(report->>'why', why), '; ' ORDER BY id DESC) FROM "
                      "(SELECT * FROM autoscale_decisions ORDER BY move IN ('out', 'in') DESC, id "
                      "DESC LIMIT 6) d"));
}

static void touch(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(strncmp(name, "node-", 5) != 0 ? "" : name[8] == '1' ? "a\n" : "b\n", f);
    fclose(f);
}

static void away(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    (void)unlink(path);
}

static int lines_of_log(const char *begin)
{
    char path[128], line[128];
    int n = 0;
    snprintf(path, sizeof path, "%s/log", dir);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        n += strncmp(line, begin, strlen(begin)) == 0;
    if (f != NULL)
        fclose(f);
    return n;
}

static int nodes(void)
{
    int n = 0;
    char path[128];
    for (int i = 7001; i < 7100; i++) {
        snprintf(path, sizeof path, "%s/node-%d", dir, i);
        n += access(path, F_OK) == 0;
    }
    return n;
}

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

static void start(struct it_service *s)
{
    char port[16];
    const char *const extra[] = { nodes_setting,
                                  command_setting,
                                  "PRISM_AUTOSCALE_CLOCK_RATE=60",
                                  "PRISM_AUTOSCALE_LEASE_TTL_MS=6000",
                                  "PRISM_AUTOSCALE_CALL_MS=3500",
                                  "PRISM_AUTOSCALE_REQUEST_MS=2000",
                                  NULL };
    (void)port;
    it_service(s, "autoscale", uri, extra);
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

static void backlog(int messages)
{
    struct pr_err err = { 0 };
    void *reply = NULL;
    size_t n = 0;
    assert_ok(pr_bus_request(bus, "$JS.API.STREAM.PURGE.PRISM_CMD", "", 0, 5000, &reply, &n, &err),
              &err);
    free(reply);
    for (int i = 0; i < messages; i++)
        assert_ok(pr_bus_publish(bus, "prism.cmd.placement.nobody", "x", 1, NULL, NULL, &err),
                  &err);
}

static int open_stage(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    const struct pr_bus_options admin = { .url = it_env("IT_NATS_URL"),
                                          .user = it_env("IT_NATS_ADMIN_USER"),
                                          .password = it_env("IT_NATS_ADMIN_PASSWORD"),
                                          .name = "autoscale-test" };
    const struct pr_bus_options api = { .url = it_env("IT_NATS_URL"),
                                        .user = it_env("IT_METADATA_API_NATS_USER"),
                                        .password = it_env("IT_METADATA_API_NATS_PASSWORD"),
                                        .name = "autoscale-test-listener" };
    snprintf(dir, sizeof dir, "/tmp/prism-autoscale.XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(nodes_setting, sizeof nodes_setting, "FAKE_NODES=%s", dir);
    snprintf(command_setting, sizeof command_setting,
             "PRISM_AUTOSCALE_LOCAL_COMMAND=%s/tests/integration/autoscale_service_nodes.sh",
             PRISM_SOURCE_DIR);
    touch("node-7001");
    touch("node-7002");
    char path[128];
    snprintf(path, sizeof path, "%s/last", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("7002\n", f);
    fclose(f);
    it_bus_reset();
    it_database("autoscale", uri);
    assert_ok(pr_bus_open(&bus, &admin, &err), &err);
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
    pr_bus_close(bus);
    pr_bus_close(listener);
    char rm[128];
    snprintf(rm, sizeof rm, "rm -rf '%s'", dir);
    return status == 0 && system(rm) == 0 ? 0 : -1;
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

/* 2 -> 3 -> 5 -> 6, whoever is killed meanwhile: every start of a node is counted. */
static void scaling_out_survives_kills_at_any_point(void **state)
{
    (void)state;
    touch("slow");
    fleet("act", "local", "");
    for (int kills = 0; kills < 6; kills++) {
        char sql[128];
        snprintf(sql, sizeof sql,
                 "SELECT count(*) > %ld FROM autoscale_decisions WHERE move IN ('out', 'in') AND "
                 "report IS NOT NULL",
                 kills < 3 ? 0L : 1L);
        if (kills == 0 || kills == 3)
            await_sql("t", sql);
        const struct timespec a_while = { 0, (70 + 90 * kills) * 1000000L };
        nanosleep(&a_while, NULL);
        it_kill(service.pid);
        start(&service);
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
    assert_true(number("SELECT max(lease_epoch) FROM autoscale_decisions") >= 5);
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
    touch("refuse");
    backlog(BACKLOG);
    await_sql("t", "SELECT count(*) > 0 FROM autoscale_decisions WHERE state = 'failed' AND "
                   "report->>'why' LIKE '%no capacity left in zone%' AND (report->>'alarm')::bool");
    assert_int_equal(nodes(), 2);
    /* What is there counts again, not what was wanted. */
    await_sql("t", "SELECT count(*) > 0 FROM autoscale_decisions d WHERE from_instances = 2 AND id "
                   "> (SELECT max(id) FROM autoscale_decisions WHERE state = 'failed')");
    away("refuse");
    await_sql("6", "SELECT to_instances FROM autoscale_decisions WHERE move = 'out' AND state = "
                   "'done' AND report IS NOT NULL ORDER BY id DESC LIMIT 1");
    assert_int_equal(nodes(), 6);
}

/* --- replicas ------------------------------------------------------------------------------- */

static bool leads(const struct it_service *s)
{
    static char metrics[1 << 18];
    assert_int_equal(it_http(s->port, "GET", "/metrics", NULL, NULL, metrics, sizeof metrics), 200);
    return strstr(metrics, "\nprism_autoscale_lease_held 1") != NULL;
}

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
    const long seen = number("SELECT max(id) FROM autoscale_decisions");
    const struct timespec t = { 3, 0 };
    nanosleep(&t, NULL);
    assert_int_equal(number("SELECT max(id) FROM autoscale_decisions"), seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(advice_is_given_and_nobody_acts),
        cmocka_unit_test(dry_run_says_what_it_would_do),
        cmocka_unit_test(scaling_out_survives_kills_at_any_point),
        cmocka_unit_test(scaling_in_closes_connections_first),
        cmocka_unit_test(refused_order_fails_with_the_provider_s_words),
        cmocka_unit_test(second_replica_waits_and_takes_over),
        cmocka_unit_test(members_tell_their_figures_by_nats),
        cmocka_unit_test(check_names_what_is_wrong),
        cmocka_unit_test(simulation_runs_on_what_was_recorded),
        cmocka_unit_test(every_decision_is_made_again_bit_for_bit),
        cmocka_unit_test(fleet_with_unfit_settings_is_left_alone),
    };
    return cmocka_run_group_tests(tests, open_stage, close_stage);
}
