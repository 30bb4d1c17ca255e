/* Autoscale is killed (-9) at every step of carrying decisions out, once before and once after what
 * it saves is saved, and within its orders to the provider, which go on without it. A fleet of the
 * Redis Cluster goes out by a shard and in again all the same: never two nodes for one, never is a
 * node told to end that is in the cluster, nothing is forgotten. Rebalance is played by the test.
 * The same with a fleet of single nodes, which then is left alone for long. Whoever takes over gets
 * no answer of the provider at first. */
#include "autoscale_service_stage.h"

#include "prism/io/clock.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    BEFORE = 6,
    AFTER = 8,
    FEW = 2,
    MORE = 4, /* two orders each way: who is killed before the one is not there after it */
    QUIET = 30,
    TURN_NS = 20000000,
    STEP_MS = 1500,
    GIVE_UP_S = 90
};

static struct it_service service;
static PGconn *gate;           /* holds the lock that a statement waits for at its point */
static int kills, least, most; /* nodes */

/* Connections get 8 s of this clock: whoever takes over from one that was killed at their closing,
 * on a busy machine, still finds them closing. */
static const char SETTINGS[] =
    "{\"kind\": \"redis\", \"mode\": \"act\", \"fleet\": {\"unit\": 2, \"min\": 6, \"max\": "
    "8, " STAGE_ZONES "}, " STAGE_POLICIES
    ", \"actuator\": {\"kind\": \"local\", \"drain_s\": 480, \"patience_s\": 6000}}";

static const char SINGLE[] =
    "{\"kind\": \"single\", \"mode\": \"act\", \"fleet\": {\"min\": 2, \"max\": 4, " STAGE_ZONES
    "}, " STAGE_POLICIES
    ", \"actuator\": {\"kind\": \"local\", \"drain_s\": 120, \"patience_s\": 6000}}";

/* A statement of the service's waits at a point at which it was not killed yet: as its
 * connection's name says. "before" is within the transaction, "after" while it is committed. */
static const char GATES[] =
    "CREATE TABLE fault_seen (point text PRIMARY KEY);"
    "CREATE FUNCTION fault_point() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ "
    "DECLARE what text := TG_ARGV[0]; BEGIN "
    "IF TG_TABLE_NAME = 'autoscale_decisions' THEN "
    "what := what || ' ' || NEW.move || ' ' || coalesce(NEW.report->>'phase', NEW.state); "
    "ELSIF TG_TABLE_NAME = 'plans' THEN what := what || ' plan ' || (NEW.goal->>'kind'); "
    "ELSE what := what || ' node ' || lower(TG_OP); END IF; "
    "IF session_user LIKE '%autoscale%' AND what !~ ' (hold|unknown) ' AND NOT EXISTS (SELECT "
    "FROM "
    "fault_seen s WHERE s.point = what) THEN "
    "PERFORM set_config('application_name', what, false); "
    "PERFORM pg_advisory_lock_shared(7001); PERFORM pg_advisory_unlock_shared(7001); END IF; "
    "RETURN coalesce(NEW, OLD); END $$;"
    "CREATE TRIGGER z_before BEFORE INSERT OR UPDATE ON autoscale_decisions FOR EACH ROW EXECUTE "
    "FUNCTION fault_point('before');"
    "CREATE TRIGGER z_before BEFORE INSERT ON plans FOR EACH ROW EXECUTE FUNCTION "
    "fault_point('before');"
    "CREATE TRIGGER z_before BEFORE INSERT OR DELETE ON nodes FOR EACH ROW EXECUTE FUNCTION "
    "fault_point('before');"
    "CREATE CONSTRAINT TRIGGER z_after AFTER INSERT OR UPDATE ON autoscale_decisions DEFERRABLE "
    "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fault_point('after');"
    "CREATE CONSTRAINT TRIGGER z_after AFTER INSERT ON plans DEFERRABLE INITIALLY DEFERRED FOR "
    "EACH "
    "ROW EXECUTE FUNCTION fault_point('after');"
    "CREATE CONSTRAINT TRIGGER z_after AFTER INSERT OR DELETE ON nodes DEFERRABLE INITIALLY "
    "DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION fault_point('after');";

static const char *const POINTS[] = {
    "out decided", "out begun",      "out ordering", "out joining", "out done",
    "plan join",   "node insert",    "in decided",   "in begun",    "in draining",
    "in closing",  "in terminating", "in done",      "plan drain",  "node delete",
};
/* Who takes over does not know what runs at first: "ordering" inward, too. */
/* Nobody drains a single node: who terminates it is struck in the call itself (ORDERS). */
static const char *const SINGLE_POINTS[] = {
    "out decided", "out begun", "out ordering", "out done",
    "in decided",  "in begun",  "in ordering",  "in done",
};
static const char *const ORDERS[] = { "add-before", "add-after", "remove-before", "remove-after" };

/* --- rebalance ------------------------------------------------------------------------------ */

static void write_node(const char *id, bool member)
{
    char zone[64];
    snprintf(zone, sizeof zone, "%s%s\n", text("SELECT zone_id FROM nodes WHERE id = '%s'", id),
             member ? " member" : "");
    put(id, zone);
}

/* A shard of what the plan names, or none of it any more. */
static void carry_plan_out(long plan, bool drains)
{
    char ids[128], *rest = NULL;
    snprintf(ids, sizeof ids, "%s",
             text("SELECT string_agg(n, ' ' ORDER BY n) FROM plans, "
                  "jsonb_array_elements_text(goal->'nodes') n WHERE id = %ld",
                  plan));
    char *first = strtok_r(ids, " ", &rest), *second = strtok_r(NULL, " ", &rest);
    assert_non_null(second);
    assert_null(strtok_r(NULL, " ", &rest));
    if (drains)
        (void)text("DELETE FROM shards WHERE id = '%s'", first);
    else
        (void)text("INSERT INTO shards (id, primary_id, slots) VALUES ('%s', '%s', 4096)", first,
                   first);
    (void)text(
        "UPDATE nodes SET state = '%s', shard_id = %s%s%s, role = CASE WHEN %s THEN 'unknown' "
        "WHEN id = '%s' THEN 'primary' ELSE 'replica' END, slots = CASE WHEN id = '%s' AND NOT "
        "%s THEN 4096 ELSE 0 END WHERE id IN ('%s', '%s')",
        drains ? "registered" : "up", drains ? "NULL" : "'", drains ? "" : first, drains ? "" : "'",
        drains ? "true" : "false", first, first, drains ? "true" : "false", first, second);
    write_node(first, !drains);
    write_node(second, !drains);
    (void)text("UPDATE plans SET state = 'done' WHERE id = %ld", plan);
}

/* Each step takes a while: the service sees it, whenever it was killed. */
static void rebalance(void)
{
    static int64_t next_ms;
    const long plan =
        number("SELECT id FROM plans WHERE state IN ('pending', 'running') ORDER BY id "
               "LIMIT 1");
    if (plan == 0 || pr_now_ms() < next_ms)
        return;
    next_ms = pr_now_ms() + STEP_MS;
    if (strcmp(text("SELECT state FROM plans WHERE id = %ld", plan), "pending") == 0)
        (void)text("UPDATE plans SET state = 'running', execute_operation_id = gen_random_uuid() "
                   "WHERE id = %ld",
                   plan);
    else
        carry_plan_out(plan, strcmp(text("SELECT goal->>'kind' FROM plans WHERE id = %ld", plan),
                                    "drain") == 0);
}

/* --- strikes -------------------------------------------------------------------------------- */

static void at_the_gate(const char *sql)
{
    PGresult *r = PQexec(gate, sql);
    if (PQresultStatus(r) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(gate));
    PQclear(r);
}

static void launch(void)
{
    char pid[16];
    put("mute", "");
    start(&service);
    snprintf(pid, sizeof pid, "%d", (int)service.pid);
    put("service", pid);
}

static bool nobody_waits(void *ctx)
{
    (void)ctx;
    return number("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                  "application_name ~ '^(before|after) '") == 0;
}

/* Whoever was killed at the database has told nobody anything: its lease need not run out. */
static void strike_at_the_database(void)
{
    char point[64];
    snprintf(
        point, sizeof point, "%s",
        text("SELECT application_name FROM pg_stat_activity WHERE datname = current_database() "
             "AND wait_event = 'advisory' AND application_name ~ '^(before|after) ' LIMIT 1"));
    if (point[0] == '\0')
        return;
    it_kill(service.pid);
    kills++;
    (void)text("INSERT INTO fault_seen VALUES ('%s')", point);
    at_the_gate("SELECT pg_advisory_unlock(7001)");
    assert_true(it_await(nobody_waits, NULL, 10000));
    at_the_gate("SELECT pg_advisory_lock(7001)");
    (void)text("UPDATE leases SET expires_at = now() WHERE name = 'autoscale'");
    launch();
}

/* Whoever was killed within an order may be followed by its effect: the lease is waited for. */
static void strike_at_the_provider(void)
{
    if (it_alive(service.pid))
        return;
    assert_int_equal(it_wait(service.pid, 1000), -9);
    kills++;
    launch();
}

static void play_until(const char *sql)
{
    const struct timespec turn = { 0, TURN_NS };
    const time_t until = time(NULL) + GIVE_UP_S;
    while (number(sql) == 0) {
        if (time(NULL) >= until)
            fail_msg("%s: not in %d s; killed %d times; decisions: %s", sql, GIVE_UP_S, kills,
                     last_decisions());
        strike_at_the_database();
        strike_at_the_provider();
        rebalance();
        assert_in_range(nodes(), least, most);
        assert_int_equal(lines_of_log("violation"), 0);
        nanosleep(&turn, NULL);
    }
}

/* --- the fleet ------------------------------------------------------------------------------ */

static void open_gates(const char *settings)
{
    (void)text("%s", GATES);
    gate = PQconnectdb(uri);
    at_the_gate("SELECT pg_advisory_lock(7001)");
    backlog(BACKLOG);
    (void)text(
        "INSERT INTO autoscale_fleets (name, settings, changed_by) VALUES ('hot', '%s', 'test')",
        settings);
    launch();
}

static int open_stage(void **state)
{
    (void)state;
    least = BEFORE;
    most = AFTER;
    stage_open();
    (void)text("INSERT INTO zones (id) VALUES ('a'), ('b')");
    for (int i = 0; i < BEFORE; i++) { /* primaries in turn in either zone */
        char id[16], shard[16];
        const bool primary = i % 2 == i / 2 % 2;
        snprintf(id, sizeof id, "node-%d", 7001 + i);
        snprintf(shard, sizeof shard, "node-%d", 7001 + i / 2 * 2);
        (void)text(
            "INSERT INTO nodes (id, host, port, zone_id, role, shard_id, state, slots) VALUES "
            "('%s', '127.0.0.1', %d, '%c', '%s', '%s', 'up', %d)",
            id, 7001 + i, "ab"[i % 2], primary ? "primary" : "replica", shard, primary ? 4096 : 0);
        if (primary)
            (void)text("INSERT INTO shards (id, primary_id, slots) VALUES ('%s', '%s', 4096)",
                       shard, id);
        write_node(id, true);
    }
    put("last", "7006\n");
    open_gates(SETTINGS);
    return 0;
}

static int open_single(void **state)
{
    (void)state;
    least = FEW;
    most = MORE;
    stage_open();
    put("node-7001", "a\n");
    put("node-7002", "b\n");
    put("last", "7002\n");
    open_gates(SINGLE);
    return 0;
}

static int close_stage(void **state)
{
    (void)state;
    const int status = it_stop(service.pid);
    PQfinish(gate);
    stage_close();
    return status;
}

static void a_shard_comes_and_goes_whenever_the_service_is_killed(void **state)
{
    (void)state;
    play_until("SELECT count(*) FROM autoscale_decisions WHERE move = 'out' AND state = 'done'");
    assert_int_equal(nodes(), AFTER);
    assert_int_equal(lines_of_log("add"), AFTER - BEFORE);
    assert_int_equal(lines_of_log("remove"), 0);
    assert_int_equal(number("SELECT count(*) FROM nodes WHERE state = 'up'"), AFTER);
    backlog(0);
    play_until("SELECT count(*) FROM autoscale_decisions WHERE move = 'in' AND state = 'done'");
    play_until("SELECT (SELECT count(*) FROM fault_seen WHERE point = 'after in done')");
    assert_int_equal(nodes(), BEFORE);
    assert_int_equal(lines_of_log("add"), AFTER - BEFORE);
    assert_int_equal(lines_of_log("remove"), AFTER - BEFORE);
    assert_int_equal(number("SELECT count(*) FROM nodes"), BEFORE);
    assert_int_equal(number("SELECT count(*) FROM nodes WHERE state = 'up'"), BEFORE);
    assert_int_equal(number("SELECT count(*) FROM plans"), 2);
    assert_int_equal(number("SELECT count(*) FROM autoscale_decisions WHERE state NOT IN ('done')"),
                     0);
}

static void single_nodes_come_and_go_whenever_the_service_is_killed(void **state)
{
    (void)state;
    play_until("SELECT count(*) FROM autoscale_decisions WHERE move = 'out' AND state = 'done' "
               "AND to_instances = 4");
    assert_int_equal(nodes(), MORE);
    backlog(0);
    play_until("SELECT count(*) FROM autoscale_decisions WHERE move = 'in' AND state = 'done'");
    play_until("SELECT (SELECT count(*) FROM fault_seen WHERE point = 'after in done')");
    assert_int_equal(nodes(), FEW);
    assert_int_equal(lines_of_log("add"), MORE - FEW);
    assert_int_equal(lines_of_log("remove"), MORE - FEW);
}

/* Its record is a fortnight old when somebody looks at it again: what it was for may be over. */
static void after_an_outage_nobody_is_ordered(void **state)
{
    (void)state;
    put("refuse", "");
    backlog(BACKLOG);
    play_until("SELECT count(*) FROM autoscale_decisions WHERE state = 'acting' AND "
               "report->>'phase' = 'ordering'");
    it_kill(service.pid);
    assert_true(it_await(nobody_waits, NULL, 10000));
    (void)text("UPDATE autoscale_decisions SET report = jsonb_set(report, '{carry}', "
               "report->'carry' || (SELECT jsonb_object_agg(t, (report->'carry'->>t)::bigint - "
               "14 * 86400000::bigint) FROM unnest(ARRAY['begun_ms', 'phase_ms', 'looked_ms']) t)) "
               "WHERE state = 'acting'");
    (void)text("UPDATE leases SET expires_at = now() WHERE name = 'autoscale'");
    away("refuse");
    backlog(QUIET);
    launch();
    play_until("SELECT count(*) FROM autoscale_decisions WHERE state = 'failed' AND report->>'why' "
               "LIKE 'nobody looked at it for%'");
    assert_int_equal(nodes(), FEW);
    assert_int_equal(lines_of_log("add"), MORE - FEW);
    assert_int_equal(lines_of_log("remove"), MORE - FEW);
}

struct points {
    const char *const *point;
    size_t n;
};

static void every_point_was_struck(void **state)
{
    const struct points *p = *state;
    for (size_t i = 0; i < 2 * p->n; i++) {
        const char *when = i % 2 == 0 ? "before" : "after", *point = p->point[i / 2];
        if (strcmp(text("SELECT count(*) FROM fault_seen WHERE point = '%s %s'", when, point),
                   "1") != 0)
            fail_msg("never killed %s %s", when, point);
    }
    for (size_t i = 0; i < PR_COUNT(ORDERS); i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/struck-%s", dir, ORDERS[i]);
        if (access(path, F_OK) != 0)
            fail_msg("never killed at %s", ORDERS[i]);
    }
    assert_true(lines_of_log("mute") > (int)p->n);
    print_message("killed %d times\n", kills);
}

int main(void)
{
    static struct points cluster = { POINTS, PR_COUNT(POINTS) };
    static struct points single = { SINGLE_POINTS, PR_COUNT(SINGLE_POINTS) };
    const struct CMUnitTest of_a_cluster[] = {
        cmocka_unit_test(a_shard_comes_and_goes_whenever_the_service_is_killed),
        cmocka_unit_test_prestate(every_point_was_struck, &cluster),
    };
    const struct CMUnitTest of_single_nodes[] = {
        cmocka_unit_test(single_nodes_come_and_go_whenever_the_service_is_killed),
        cmocka_unit_test_prestate(every_point_was_struck, &single),
        cmocka_unit_test(after_an_outage_nobody_is_ordered),
    };
    const int failed = cmocka_run_group_tests(of_a_cluster, open_stage, close_stage);
    return failed + cmocka_run_group_tests(of_single_nodes, open_single, close_stage);
}
