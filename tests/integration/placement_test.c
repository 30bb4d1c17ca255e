/* The placement service against real PostgreSQL and NATS: commands in, targets,
 * hints, reports and events out. */
#include "t.h"

#include "it.h"

#include "prism/io/bus.h"
#include "prism/rng.h"
#include "prism/v1/placement.pb-c.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GROUP = 200, GROUPS = 3, AWAIT_MS = 20000 };

static char dir[64];        /* graph files, allowed to the service */
static char graph_path[96]; /* three groups of vertices, dense inside */
static char uri[IT_URI];
static struct pr_bus *bus;      /* as admin: may send everything */
static struct pr_bus *listener; /* as metadata-api: may watch events */
static struct it_service service;

/* The newest event. */
static struct {
    pthread_mutex_t mu;
    Prism__V1__PlacementFinishedEvent last;
    char state[16];
    unsigned finished;
} seen = { .mu = PTHREAD_MUTEX_INITIALIZER };

/* --- the stage ------------------------------------------------------------ */

static enum pr_code on_finished(void *ctx, const struct pr_msg *msg, struct pr_err *err)
{
    (void)ctx;
    Prism__V1__PlacementFinishedEvent *e =
        prism__v1__placement_finished_event__unpack(NULL, msg->len, msg->data);
    if (e == NULL)
        return pr_fail(err, PR_EDATA, "not a PlacementFinishedEvent");
    pthread_mutex_lock(&seen.mu);
    seen.last = *e;
    snprintf(seen.state, sizeof seen.state, "%s", e->state);
    seen.finished++;
    pthread_mutex_unlock(&seen.mu);
    prism__v1__placement_finished_event__free_unpacked(e, NULL);
    return PR_OK;
}

static void write_graph(void)
{
    struct pr_rng rng;
    FILE *f = fopen(graph_path, "w");
    assert_non_null(f);
    pr_rng_init(&rng, 20261121);
    fprintf(f, "# three groups\n");
    for (unsigned v = 0; v < GROUP * GROUPS; v++)
        for (unsigned i = 0; i < 8; i++) { /* one edge in eight leaves the group */
            const unsigned group = i == 0 ? (unsigned)pr_rng_below(&rng, GROUPS) : v / GROUP;
            fprintf(f, "%u\t%u\n", v, group * GROUP + (unsigned)pr_rng_below(&rng, GROUP));
        }
    assert_int_equal(fclose(f), 0);
}

static void sql(const char *text)
{
    char cell[8];
    it_sql(uri, text, cell, sizeof cell);
}

static void assert_sql(const char *text, const char *want)
{
    char cell[512];
    it_sql(uri, text, cell, sizeof cell);
    if (strcmp(cell, want) != 0)
        fail_msg("%s: \"%s\", want \"%s\"", text, cell, want);
}

static long number(const char *text)
{
    char cell[64];
    it_sql(uri, text, cell, sizeof cell);
    return strtol(cell, NULL, 10);
}

/* 64 partitions, three zones, slot n in zone n mod 3; no runs. */
static int fresh_store(void **state)
{
    (void)state;
    sql("TRUNCATE placement_runs, hints, route_bases, route_deltas, plans, operations, outbox, "
        "processed, store, slots, nodes, zones CASCADE");
    sql("INSERT INTO store (partitions) VALUES (64)");
    sql("INSERT INTO zones (id) VALUES ('a'), ('b'), ('c')");
    sql("INSERT INTO slots (slot, shard_id, node_id, zone_id) "
        "SELECT s, 'n', 'n', (ARRAY['a','b','c'])[s % 3 + 1] FROM generate_series(0, 16383) s");
    return 0;
}

static void start_service(void)
{
    char setting[600], role[IT_URI];
    snprintf(setting, sizeof setting, "PRISM_PLACEMENT_DATA_DIRS=/nowhere:%s:%s/tests/data", dir,
             PRISM_SOURCE_DIR);
    const char *const extra[] = { setting, "PRISM_PLACEMENT_HINT_REFRESH_MS=10", NULL };
    it_role_uri(uri, "placement", role);
    it_service(&service, "placement", role, extra);
}

static int open_stage(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    const struct pr_bus_options admin = { .url = it_env("IT_NATS_URL"),
                                          .user = it_env("IT_NATS_ADMIN_USER"),
                                          .password = it_env("IT_NATS_ADMIN_PASSWORD"),
                                          .name = "placement-test" };
    const struct pr_bus_options api = { .url = it_env("IT_NATS_URL"),
                                        .user = it_env("IT_METADATA_API_NATS_USER"),
                                        .password = it_env("IT_METADATA_API_NATS_PASSWORD"),
                                        .name = "placement-test-listener" };
    snprintf(dir, sizeof dir, "/tmp/prism-placement-test.XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(graph_path, sizeof graph_path, "%s/groups.txt", dir);
    write_graph();
    it_bus_reset();
    it_database("placement", uri);
    fresh_store(NULL);
    assert_ok(pr_bus_open(&bus, &admin, &err), &err);
    assert_ok(pr_bus_open(&listener, &api, &err), &err);
    assert_ok(pr_bus_watch(listener, "PRISM_EVT", "prism.evt.placement.>", on_finished, NULL, &err),
              &err);
    start_service();
    return 0;
}

static int close_stage(void **state)
{
    (void)state;
    char path[600];
    const int status = it_stop(service.pid);
    pr_bus_close(bus);
    pr_bus_close(listener);
    static const char *const file[] = { "groups.txt", "bad.txt", "outside.txt" };
    for (size_t i = 0; i < PR_COUNT(file); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, file[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
    return status == 0 ? 0 : -1;
}

/* --- what a user does ------------------------------------------------------ */

static long add_run(const char *source, const char *params)
{
    char text[1024];
    snprintf(text, sizeof text,
             "WITH o AS (INSERT INTO operations (kind, resource, created_by) VALUES "
             "('placement.run', 'placement/runs', 'test') RETURNING id) "
             "INSERT INTO placement_runs (operation_id, source, params, created_by) "
             "SELECT id, '%s', '%s', 'test' FROM o RETURNING id",
             source, params);
    return number(text);
}

static long add_groups_run(void)
{
    char source[400];
    snprintf(source, sizeof source, "{\"file\": \"%s\", \"format\": \"snap\"}", graph_path);
    return add_run(source, "{\"seed\": 7}");
}

static void command(long run, const char *msg_id)
{
    uint8_t packed[64];
    struct pr_err err = { 0 };
    Prism__V1__PlacementRunRequest r = PRISM__V1__PLACEMENT_RUN_REQUEST__INIT;
    r.run_id = (uint64_t)run;
    const size_t n = prism__v1__placement_run_request__pack(&r, packed);
    assert_ok(pr_bus_publish(bus, "prism.cmd.placement.run", packed, n, msg_id, NULL, &err), &err);
}

static bool ended(void *ctx)
{
    char text[128];
    snprintf(text, sizeof text,
             "SELECT count(*) FROM placement_runs WHERE id = %ld AND finished_at IS NOT NULL",
             *(long *)ctx);
    return number(text) == 1;
}

/* Sends the command and waits until the run has ended; its id. */
static long carried_out(long run)
{
    char msg_id[64];
    snprintf(msg_id, sizeof msg_id, "test-%ld-%d", run, (int)getpid());
    command(run, msg_id);
    if (!it_await(ended, &run, AWAIT_MS))
        fail_msg("run %ld has not ended", run);
    return run;
}

static void assert_run(long run, const char *column, const char *want)
{
    char text[512];
    snprintf(text, sizeof text, "SELECT %s FROM placement_runs r WHERE id = %ld", column, run);
    assert_sql(text, want);
}

static bool announced(void *ctx)
{
    pthread_mutex_lock(&seen.mu);
    const bool is = seen.last.run_id == (uint64_t) * (long *)ctx;
    pthread_mutex_unlock(&seen.mu);
    return is;
}

/* --- tests ----------------------------------------------------------------- */

static void a_run_is_computed_stored_and_announced(void **state)
{
    (void)state;
    long run = carried_out(add_groups_run());
    assert_run(run, "coalesce(error, state)", "done");
    assert_run(run, "report ->> 'vertices'", "600");
    assert_run(run, "(report #>> '{before,cross_share}')::real BETWEEN 0.6 AND 0.72", "t");
    assert_run(run, "(report #>> '{after,cross_share}')::real BETWEEN 0.05 AND 0.11", "t");
    assert_run(run, "(report #>> '{after,imbalance}')::real <= 0.05", "t");
    assert_run(run, "(report #>> '{after,usd_per_month}')::real > 0", "t");
    assert_run(run, "(report #>> '{seconds,total}')::real > 0", "t");
    assert_run(run, "(report ->> 'peak_memory_bytes')::bigint > 1000000", "t");
    assert_run(run,
               "(report -> 'after' -> 'matrix' -> 'a' ->> 'b') = "
               "(report -> 'after' -> 'matrix' -> 'b' ->> 'a')",
               "t");
    assert_sql("SELECT state || phase || progress_ratio FROM operations", "donedone1");

    assert_sql("SELECT count(*) || ' ' || sum(vertices) FROM hints", "64 600");
    assert_sql("SELECT bool_and(zone_id IN ('a', 'b', 'c')) FROM hints", "t");
    assert_sql("SELECT bool_and(octet_length(blob) = 12 * entries AND entries > 0) "
               "FROM route_bases WHERE kind = 'target'",
               "t");
    char text[256];
    snprintf(text, sizeof text,
             "SELECT sum(entries) = (SELECT (report ->> 'moves')::bigint FROM placement_runs "
             "WHERE id = %ld) FROM route_bases WHERE run_id = %ld",
             run, run);
    assert_sql(text, "t"); /* from home, every move is an entry */

    assert_true(it_await(announced, &run, AWAIT_MS));
    assert_string_equal(seen.state, "done");
    assert_int_equal(seen.last.vertices, 600);
    snprintf(text, sizeof text, "report ->> 'moves' = '%" PRIu64 "' AND revision >= %" PRIu64,
             seen.last.moves, seen.last.revision);
    assert_run(run, text, "t");
}

static void a_command_that_comes_twice_has_one_effect(void **state)
{
    (void)state;
    const long run = carried_out(add_groups_run());
    char revision[32], text[128];
    snprintf(text, sizeof text, "SELECT revision FROM placement_runs WHERE id = %ld", run);
    it_sql(uri, text, revision, sizeof revision);
    command(run, "another-id-of-the-same-command");
    carried_out(add_groups_run()); /* one worker, in order: the copy is done with */
    assert_run(run, "revision", revision);
    snprintf(text, sizeof text, "SELECT count(*) FROM outbox");
    assert_sql(text, "2");
}

static void a_run_left_running_by_a_dead_service_is_computed(void **state)
{
    (void)state;
    const long run = add_groups_run();
    sql("UPDATE placement_runs SET state = 'running', started_at = now()");
    sql("UPDATE operations SET state = 'running'");
    carried_out(run);
    assert_run(run, "coalesce(error, state)", "done");
    assert_sql("SELECT state FROM operations", "done");
}

/* Carries out a run's targets as rebalance would: half folded into the bases,
 * the rest as one delta. */
static void carry_out_moves(long run)
{
    char text[512];
    snprintf(text, sizeof text,
             "INSERT INTO route_bases SELECT 'current', 0, home, entries, blob FROM route_bases "
             "WHERE kind = 'target' AND run_id = %ld AND home < 32",
             run);
    sql(text);
    snprintf(text, sizeof text,
             "INSERT INTO route_deltas (plan_id, batch, entries, blob) "
             "SELECT 1, home, entries, blob FROM route_bases "
             "WHERE kind = 'target' AND run_id = %ld AND home >= 32",
             run);
    sql(text);
}

static void where_vertices_are_today_counts(void **state)
{
    (void)state;
    long run = carried_out(add_groups_run());
    assert_run(run, "(report ->> 'moves')::int BETWEEN 300 AND 500", "t");
    carry_out_moves(run);
    run = carried_out(add_groups_run());
    assert_run(run, "report ->> 'moves'", "0");
    assert_run(run, "report #> '{before,cut_weight}' = report #> '{after,cut_weight}'", "t");
    assert_sql("SELECT count(DISTINCT n) FROM (SELECT sum(entries) AS n FROM route_bases "
               "WHERE kind = 'target' GROUP BY run_id) x",
               "1"); /* both runs want the same */
}

static void a_refused_run_fails_with_its_reason(void **state)
{
    (void)state;
    char groups[400], bad[400], outside[400], path[300];
    snprintf(path, sizeof path, "%s/bad.txt", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "1 2\n3 -4\n");
    assert_int_equal(fclose(f), 0);
    snprintf(path, sizeof path, "%s/outside.txt", dir);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(groups, sizeof groups, "{\"file\": \"%s\"}", graph_path);
    snprintf(bad, sizeof bad, "{\"file\": \"%s/bad.txt\"}", dir);
    snprintf(outside, sizeof outside, "{\"file\": \"%s/outside.txt\"}", dir);
    char missing[400];
    snprintf(missing, sizeof missing, "{\"file\": \"%s/none.txt\"}", dir);

    const struct {
        const char *setup, *source, *params, *why;
    } row[] = {
        { "SELECT 1", missing, "{}", "none.txt: No such file or directory" },
        { "SELECT 1", "{\"file\": \"/etc/passwd\"}", "{}", "is outside PRISM_PLACEMENT_DATA_DIRS" },
        { "SELECT 1", outside, "{}", "is outside PRISM_PLACEMENT_DATA_DIRS" },
        { "SELECT 1", "{\"file\": \"groups.txt\"}", "{}", "the path must be absolute" },
        { "SELECT 1", "{}", "{}", "names no file" },
        { "SELECT 1", bad, "{}", "2" },
        { "SELECT 1", groups, "{\"imbalance\": 0.2}", "imbalance 0.2 is outside 0.03..0.05" },
        { "SELECT 1", groups, "{\"seeds\": 0}", "seeds must be a whole number from 1 to 16" },
        { "UPDATE slots SET zone_id = NULL", groups, "{}", "nothing moves while the zone of slot" },
        { "DELETE FROM slots", groups, "{}", "no topology yet" },
        { "UPDATE zones SET capacity_ratio = 0", groups, "{}", "none of 3 zones has capacity" },
        { "UPDATE slots SET zone_id = 'a' WHERE zone_id = 'b'", groups, "{}",
          "zone b has capacity" },
        { "DELETE FROM store", groups, "{}", "number of partitions is not set" },
        { "INSERT INTO route_deltas (plan_id, batch, entries, blob) VALUES (1, 1, 1, 'x')", groups,
          "{}", "route delta" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char error[512];
        fresh_store(NULL);
        sql(row[i].setup);
        const long run = carried_out(add_run(row[i].source, row[i].params));
        assert_run(run, "state", "failed");
        it_sql(uri, "SELECT error FROM placement_runs", error, sizeof error);
        if (strstr(error, row[i].why) == NULL)
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, error, row[i].why);
        assert_sql("SELECT o.state = 'failed' AND o.error = r.error AND o.finished_at IS NOT NULL "
                   "FROM operations o JOIN placement_runs r ON r.operation_id = o.id",
                   "t");
        assert_sql("SELECT count(*) FROM hints", "0");
    }
}

static void a_canceled_run_writes_nothing(void **state)
{
    (void)state;
    long run = add_groups_run();
    sql("UPDATE operations SET cancel_requested = true");
    carried_out(run);
    assert_run(run, "state", "canceled");
    assert_sql("SELECT state FROM operations", "canceled");
    assert_sql("SELECT count(*) FROM route_bases", "0");
    assert_true(it_await(announced, &run, AWAIT_MS));
    assert_string_equal(seen.state, "canceled");
}

static unsigned dead_letters(void)
{
    static char page[65536];
    assert_int_equal(it_http(service.port, "GET", "/metrics", NULL, NULL, page, sizeof page), 200);
    const char *line = strstr(page, "\nprism_bus_dead_letters_total ");
    assert_non_null(line);
    return (unsigned)strtoul(strchr(line, ' '), NULL, 10);
}

static bool dead(void *ctx)
{
    return dead_letters() >= *(unsigned *)ctx;
}

static void malformed_and_unknown_commands_are_dead_letters(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    unsigned want = dead_letters() + 1;
    assert_ok(pr_bus_publish(bus, "prism.cmd.placement.run", "\xff\xff\xff", 3, "bad", NULL, &err),
              &err);
    assert_true(it_await(dead, &want, AWAIT_MS));
    want++;
    command(999999, "unknown-run");
    assert_true(it_await(dead, &want, AWAIT_MS));
    carried_out(add_groups_run()); /* and the service goes on */
}

/* A run of a few seconds: a real graph, cut 16 times. */
static long add_long_run(void)
{
    return add_run("{\"file\": \"" PRISM_SOURCE_DIR "/tests/data/road-NY.txt.xz\"}",
                   "{\"seeds\": 16}");
}

static bool cutting(void *ctx)
{
    (void)ctx;
    return number("SELECT count(*) FROM operations WHERE state = 'running' AND phase = 'cut' "
                  "AND progress_ratio > 0 AND eta_s > 0") == 1;
}

static void a_stopped_service_leaves_its_run_to_the_next(void **state)
{
    (void)state;
    long run = add_long_run();
    command(run, "interrupted");
    assert_true(it_await(cutting, NULL, AWAIT_MS));
    assert_int_equal(it_stop(service.pid), 0);
    assert_run(run, "state", "running");
    start_service();
    assert_true(it_await(ended, &run, 2 * AWAIT_MS));
    assert_run(run, "coalesce(error, state)", "done");
    assert_run(run, "report ->> 'edges'", "365050");
    assert_run(run, "(report #>> '{after,cut_weight}')::int < 200", "t");
    assert_sql("SELECT count(*) FROM outbox WHERE subject = 'prism.evt.placement.finished'", "1");
}

static void a_run_is_canceled_while_it_cuts(void **state)
{
    (void)state;
    long run = add_long_run();
    command(run, "canceled-on-the-way");
    assert_true(it_await(cutting, NULL, AWAIT_MS));
    sql("UPDATE operations SET cancel_requested = true");
    assert_true(it_await(ended, &run, AWAIT_MS));
    assert_run(run, "state", "canceled");
    assert_sql("SELECT count(*) FROM hints", "0");
}

static void old_targets_go_but_not_those_of_unfinished_plans(void **state)
{
    (void)state;
    long run[5];
    char text[256];
    for (size_t i = 0; i < PR_COUNT(run); i++) {
        run[i] = carried_out(add_groups_run());
        if (i == 0) {
            snprintf(text, sizeof text,
                     "INSERT INTO plans (operation_id, run_id, state, created_by) "
                     "SELECT gen_random_uuid(), %ld, 'approved', 'test'",
                     run[0]);
            sql(text);
        }
    }
    for (size_t i = 0; i < PR_COUNT(run); i++) {
        const char *kept = i == 1 ? "f" : "t";
        snprintf(text, sizeof text, "SELECT count(*) > 0 FROM hints WHERE run_id = %ld", run[i]);
        assert_sql(text, kept);
        snprintf(text, sizeof text, "SELECT count(*) > 0 FROM route_bases WHERE run_id = %ld",
                 run[i]);
        assert_sql(text, kept);
        assert_run(run[i], "(report ->> 'targets_kept')::boolean", kept);
    }
    assert_int_equal(number("SELECT count(DISTINCT run_id) FROM route_bases"), 4);
}

static enum pr_code hint(const char *vertex, char **neighbors, size_t n,
                         Prism__V1__PlacementHintResponse **out, struct pr_err *err)
{
    uint8_t packed[4096];
    void *reply = NULL;
    size_t len;
    char id[64];
    Prism__V1__PlacementHintRequest r = PRISM__V1__PLACEMENT_HINT_REQUEST__INIT;
    snprintf(id, sizeof id, "%s", vertex);
    r.vertex_id = id;
    r.neighbor_ids = neighbors;
    r.n_neighbor_ids = n;
    assert_true(prism__v1__placement_hint_request__get_packed_size(&r) <= sizeof packed);
    const size_t bytes = prism__v1__placement_hint_request__pack(&r, packed);
    enum pr_code rc =
        pr_bus_request(bus, "prism.rpc.placement.hint", packed, bytes, 5000, &reply, &len, err);
    *out = rc == PR_OK ? prism__v1__placement_hint_response__unpack(NULL, len, reply) : NULL;
    free(reply);
    if (rc == PR_OK)
        assert_non_null(*out);
    return rc;
}

static void a_new_vertex_is_hinted_to_its_neighbours(void **state)
{
    (void)state;
    Prism__V1__PlacementHintResponse *h;
    struct pr_err err = { 0 };
    char id[GROUPS][10][16], *neighbor[GROUPS][10], zones[GROUPS][32];
    for (unsigned g = 0; g < GROUPS; g++)
        for (unsigned i = 0; i < 10; i++) {
            snprintf(id[g][i], sizeof id[g][i], "%u", g * GROUP + i * 7);
            neighbor[g][i] = id[g][i];
        }
    assert_ok(hint("new", neighbor[0], 10, &h, &err), &err);
    assert_int_equal(h->run_id, 0); /* no run yet: its home */
    const uint32_t home = h->partition;
    prism__v1__placement_hint_response__free_unpacked(h, NULL);

    const long run = carried_out(add_groups_run());
    for (unsigned g = 0; g < GROUPS; g++) {
        do { /* the answer may be as old as the refresh setting, 10 ms */
            assert_ok(hint("new", neighbor[g], 10, &h, &err), &err);
            if (h->run_id == (uint64_t)run)
                break;
            prism__v1__placement_hint_response__free_unpacked(h, NULL);
        } while (true);
        char text[128];
        snprintf(text, sizeof text,
                 "SELECT zone_id FROM hints WHERE run_id = %ld AND partition = %u", run,
                 h->partition);
        assert_sql(text, h->zone);
        snprintf(zones[g], sizeof zones[g], "%s", h->zone);
        prism__v1__placement_hint_response__free_unpacked(h, NULL);
    }
    assert_string_not_equal(zones[0], zones[1]);
    assert_string_not_equal(zones[1], zones[2]);
    assert_string_not_equal(zones[0], zones[2]);

    assert_ok(hint("new", NULL, 0, &h, &err), &err);
    assert_int_equal(h->partition, home);
    prism__v1__placement_hint_response__free_unpacked(h, NULL);
    assert_int_equal(hint("no blanks", NULL, 0, &h, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "vertex_id"));
}

#define TEST(name) cmocka_unit_test_setup(name, fresh_store)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_run_is_computed_stored_and_announced),
        TEST(a_command_that_comes_twice_has_one_effect),
        TEST(a_run_left_running_by_a_dead_service_is_computed),
        TEST(where_vertices_are_today_counts),
        TEST(a_refused_run_fails_with_its_reason),
        TEST(a_canceled_run_writes_nothing),
        TEST(a_run_is_canceled_while_it_cuts),
        TEST(a_stopped_service_leaves_its_run_to_the_next),
        TEST(malformed_and_unknown_commands_are_dead_letters),
        TEST(old_targets_go_but_not_those_of_unfinished_plans),
        TEST(a_new_vertex_is_hinted_to_its_neighbours),
    };
    return cmocka_run_group_tests(tests, open_stage, close_stage);
}
