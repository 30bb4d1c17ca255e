/* The rebalance service against real PostgreSQL, NATS and Redis Cluster:
 * topology, plans, and moves of vertices that are being written to. */
#include "rebalance_stage.h"

#include "prism/rng.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed = 20261121; /* of the points at which something is killed; argv[1] */

static void assert_plan(long plan, const char *expression, const char *want)
{
    char text[512], got[512];
    snprintf(text, sizeof text, "SELECT %s FROM plans WHERE id = %ld", expression, plan);
    stage_text(text, got, sizeof got);
    if (strcmp(got, want) != 0)
        fail_msg("plan %ld: %s is \"%s\", want \"%s\"", plan, expression, got, want);
}

static void assert_plan_number(long plan, const char *expression, size_t want)
{
    char text[32];
    snprintf(text, sizeof text, "%zu", want);
    assert_plan(plan, expression, text);
}

static long proposed(long run, const char *params)
{
    const long plan = stage_plan(run, params);
    stage_await_plan(plan, "proposed");
    return plan;
}

/* --- tests -------------------------------------------------------------------- */

static void topology_is_written_with_zones_and_shards(void **state)
{
    (void)state;
    char text[256];
    assert_int_equal(stage_number("SELECT count(*) FROM slots WHERE zone_id IS NULL"), 0);
    assert_int_equal(stage_number("SELECT count(*) FROM slots s JOIN nodes n ON n.id = s.node_id "
                                  "WHERE n.zone_id <> s.zone_id OR n.role <> 'primary' "
                                  "OR n.shard_id <> s.shard_id"),
                     0);
    assert_int_equal(stage_number("SELECT count(*) FROM shards"), 6);
    assert_int_equal(stage_number("SELECT sum(slots) FROM shards"), 16384);
    assert_int_equal(stage_number("SELECT count(*) FROM shards h WHERE h.id <> "
                                  "(SELECT min(id) FROM nodes WHERE shard_id = h.id)"),
                     0);
    assert_int_equal(stage_number("SELECT count(*) FROM shards WHERE cardinality(replicas) <> 1"),
                     0);
    stage_text("SELECT count(*) FROM outbox WHERE subject = 'prism.evt.topology.changed'", text,
               sizeof text);
    assert_string_not_equal(text, "0");
}

static void plan_of_an_unfinished_run_is_refused(void **state)
{
    (void)state;
    stage_targets(1, 0);
    const long plan = stage_plan(stage_run("failed"), "{}");
    stage_await_plan(plan, "failed");
    assert_plan(plan, "error LIKE '%is failed, not done'", "t");
    assert_plan(plan,
                "(SELECT state || (error IS NOT NULL) FROM operations o "
                "WHERE o.id = plans.operation_id)",
                "failedtrue");
}

static void plan_with_nothing_to_move_is_done_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < STAGE_VERTICES; i++)
        stage.target[i] = stage.v[i].at;
    const long plan = proposed(stage_run("done"), "{}");
    assert_plan(plan, "summary ->> 'moves'", "0");
    stage_execute(plan);
    stage_await_plan(plan, "done");
    assert_plan(plan, "result ->> 'moved'", "0");
    assert_plan(plan, "(SELECT count(*) FROM moves m WHERE m.plan_id = plans.id)", "0");
    stage_verify();
}

static void plan_says_what_moves_and_whether_it_pays(void **state)
{
    (void)state;
    const size_t moves = stage_targets(20261121, 0.7);
    const long plan = proposed(stage_run("done"), "{}");
    assert_plan_number(plan, "summary ->> 'moves'", moves);
    assert_plan_number(plan,
                       "(SELECT sum(v::bigint) FROM jsonb_each_text(summary -> 'reasons') "
                       "AS r(k, v))",
                       moves);
    assert_plan_number(plan,
                       "(SELECT sum((x ->> 'vertices')::bigint) FROM "
                       "jsonb_array_elements(summary -> 'nodes') x)",
                       moves);
    assert_plan_number(plan,
                       "(SELECT sum(v::bigint) FROM jsonb_each(summary -> 'zones') AS z(k, row), "
                       "jsonb_each_text(z.row) AS c(k2, v))",
                       moves);
    assert_plan(plan, "(summary ->> 'bytes')::bigint > 0", "t");
    assert_plan(plan, "(summary ->> 'duration_s')::real > 0", "t");
    assert_plan(plan, "(summary #>> '{verdict,worth_it}')::bool", "t");
    assert_plan(plan, "summary #>> '{gain,cross_share_after}'", "0.05");
    assert_plan(plan, "(SELECT state FROM operations o WHERE o.id = plans.operation_id)", "done");
}

static void vertices_move_while_they_are_written_to(void **state)
{
    (void)state;
    const size_t moves = stage_targets(7, 0.7);
    const long plan = proposed(stage_run("done"), "{}");
    stage_writer_start(11);
    stage_execute(plan);
    stage_await_plan(plan, "done");
    assert_true(stage_writer_stop() > 100);
    assert_plan_number(plan, "result ->> 'moved'", moves);
    assert_plan(plan,
                "(SELECT state || phase || progress_ratio FROM operations o "
                "WHERE o.id = plans.execute_operation_id)",
                "donedone1");
    assert_int_equal(stage_number("SELECT count(*) FROM outbox WHERE subject = "
                                  "'prism.evt.rebalance.routes'"),
                     stage_number("SELECT count(*) FROM moves WHERE moved > 0"));
    stage_verify();
}

static void vertices_move_onward_and_home(void **state)
{
    (void)state;
    for (uint64_t round = 1; round <= 2; round++) {
        stage_targets(round, 0.4);
        const long plan = proposed(stage_run("done"), "{\"batch_vertices\": 37, \"workers\": 2}");
        stage_execute(plan);
        stage_await_plan(plan, "done");
        stage_verify();
    }
    for (int i = 0; i < STAGE_VERTICES; i++)
        stage.target[i] = stage.v[i].home;
    const long plan = proposed(stage_run("done"), "{}");
    stage_execute(plan);
    stage_await_plan(plan, "done");
    stage_verify();
}

static bool some_moved(void *ctx)
{
    char text[128];
    snprintf(text, sizeof text, "SELECT coalesce(sum(moved), 0) FROM moves WHERE plan_id = %ld",
             *(long *)ctx);
    return stage_number(text) > 0;
}

static bool is_one(void *ctx)
{
    return stage_number(ctx) == 1;
}

static void paused_plan_resumes_and_canceled_one_stops(void **state)
{
    (void)state;
    char text[256];
    stage_targets(31, 0.9);
    long plan = proposed(stage_run("done"), "{\"batch_vertices\": 5, \"workers\": 1}");
    stage_execute(plan);
    assert_true(it_await(some_moved, &plan, STAGE_AWAIT_MS));
    snprintf(text, sizeof text, "UPDATE plans SET state = 'paused' WHERE id = %ld", plan);
    stage_sql(text);
    snprintf(text, sizeof text,
             "SELECT CASE WHEN phase = 'paused' THEN 1 ELSE 0 END FROM operations o JOIN plans p "
             "ON o.id = p.execute_operation_id WHERE p.id = %ld",
             plan);
    assert_true(it_await(is_one, text, STAGE_AWAIT_MS));
    assert_int_equal(stage_number("SELECT count(*) FROM moves WHERE state <> 'done'"), 0);
    snprintf(text, sizeof text, "UPDATE plans SET state = 'running' WHERE id = %ld", plan);
    stage_sql(text);
    snprintf(text, sizeof text,
             "UPDATE operations SET cancel_requested = true WHERE id = "
             "(SELECT execute_operation_id FROM plans WHERE id = %ld)",
             plan);
    stage_sql(text);
    stage_await_plan(plan, "canceled");
    assert_int_equal(stage_number("SELECT count(*) FROM moves WHERE state <> 'done'"), 0);

    plan = proposed(stage_run("done"), "{}"); /* the rest, by a new plan */
    stage_execute(plan);
    stage_await_plan(plan, "done");
    stage_verify();
}

/* kill -9 at seeded points of the plan: so many batches were seen in a state. */
static bool batches_seen(void *ctx)
{
    const long *want = ctx; /* { plan, batches } */
    char text[160];
    snprintf(text, sizeof text, "SELECT count(*) FROM moves WHERE plan_id = %ld", want[0]);
    return stage_number(text) >= want[1];
}

static void killed_service_resumes_where_it_was(void **state)
{
    (void)state;
    struct pr_rng rng;
    print_message("seed %llu\n", (unsigned long long)seed);
    pr_rng_init(&rng, seed);
    const size_t moves = stage_targets(seed, 0.9);
    const long plan = proposed(stage_run("done"), "{\"batch_vertices\": 20, \"workers\": 3}");
    stage_writer_start(seed);
    stage_execute(plan);
    long kills = 0;
    for (long batches = 1; kills < 4; kills++) {
        batches += 1 + (long)pr_rng_below(&rng, 40);
        long want[2] = { plan, batches };
        if (!it_await(batches_seen, want, STAGE_AWAIT_MS))
            break;
        it_kill(stage.service.pid);
        stage_service();
    }
    assert_int_equal(kills, 4);
    stage_await_plan(plan, "done");
    assert_true(stage_writer_stop() > 100);
    assert_plan(plan, "(result ->> 'moved')::bigint >= 0", "t");
    char text[128];
    snprintf(text, sizeof text, "SELECT sum(moved) FROM moves WHERE plan_id = %ld", plan);
    assert_true(stage_number(text) >= (long)moves);
    stage_verify();
}

static bool lease_of_other(void *ctx)
{
    char holder[128], text[128];
    snprintf(text, sizeof text, "%%-%d", *(int *)ctx);
    stage_text("SELECT holder FROM leases WHERE name = 'rebalance-executor' "
               "AND expires_at > clock_timestamp()",
               holder, sizeof holder);
    const char *dash = strrchr(holder, '-');
    return dash != NULL && atoi(dash + 1) == *(int *)ctx;
}

static void second_replica_takes_over(void **state)
{
    (void)state;
    struct it_service first = stage.service;
    stage_targets(99, 0.9);
    const long plan = proposed(stage_run("done"), "{\"batch_vertices\": 20, \"workers\": 2}");
    stage_service(); /* the second */
    stage_execute(plan);
    long want[2] = { plan, 5 };
    assert_true(it_await(batches_seen, want, STAGE_AWAIT_MS));
    it_kill(first.pid);
    int second = (int)stage.service.pid;
    assert_true(it_await(lease_of_other, &second, STAGE_AWAIT_MS));
    stage_await_plan(plan, "done");
    stage_verify();
}

static bool waits(void *ctx)
{
    char text[256];
    snprintf(text, sizeof text,
             "SELECT count(*) FROM plans p JOIN operations o ON o.id = p.execute_operation_id "
             "WHERE p.id = %ld AND o.phase LIKE 'waiting: %%'",
             *(long *)ctx);
    return stage_number(text) == 1;
}

static bool failed_over(void *ctx)
{
    char text[256];
    snprintf(text, sizeof text,
             "SELECT count(*) FROM shards h JOIN nodes n ON n.shard_id = h.id WHERE n.port = %d "
             "AND h.primary_id <> n.id AND n.state = 'failed'",
             *(int *)ctx);
    return stage_number(text) == 1;
}

static bool stands_still(void *ctx)
{
    (void)ctx;
    return it_metric(stage.service.port, "prism_rebalance_plan_standstill_seconds") >= 1;
}

static bool goes_on(void *ctx)
{
    (void)ctx;
    return it_metric(stage.service.port, "prism_rebalance_plan_standstill_seconds") == 0;
}

/* Its replica takes over; with one replica a shard the batches then wait until
 * the killed node is back in step. */
static void killed_primary_delays_the_plan_and_loses_nothing(void **state)
{
    (void)state;
    struct pr_rng rng;
    char name[32], text[256];
    print_message("seed %llu\n", (unsigned long long)seed);
    pr_rng_init(&rng, seed + 1);
    stage_targets(seed + 1, 0.9);
    long plan = proposed(stage_run("done"), "{\"batch_vertices\": 20, \"workers\": 3}");
    stage_writer_start(seed);
    stage_execute(plan);
    long want[2] = { plan, 1 + (long)pr_rng_below(&rng, 40) };
    assert_true(it_await(batches_seen, want, STAGE_AWAIT_MS));

    snprintf(text, sizeof text,
             "SELECT port FROM nodes WHERE role = 'primary' ORDER BY id OFFSET %d LIMIT 1",
             (int)pr_rng_below(&rng, 6));
    int port = (int)stage_number(text);
    snprintf(name, sizeof name, "redis-%d", port);
    it_server_kill(name, true);
    assert_true(it_await(waits, &plan, STAGE_AWAIT_MS));
    assert_true(it_await(failed_over, &port, STAGE_AWAIT_MS));
    assert_true(it_await(stands_still, NULL, STAGE_AWAIT_MS));
    it_server_up(name);
    stage_await_plan(plan, "done");
    assert_true(stage_writer_stop() > 100);
    it_cluster_await(STAGE_AWAIT_MS);
    assert_true(it_await(goes_on, NULL, STAGE_AWAIT_MS));
    stage_verify();
}

struct unfit {
    int port, is; /* of a replica of rebalance; what it shall say */
};

static bool unfit_is(void *ctx)
{
    const struct unfit *u = ctx;
    return it_metric(u->port, "prism_rebalance_store_unfit") == u->is;
}

static bool watched_by(void *ctx)
{
    char text[160];
    snprintf(text, sizeof text,
             "SELECT count(*) FROM leases WHERE name = 'rebalance-topology' AND holder LIKE "
             "'%%-%d' AND expires_at > clock_timestamp()",
             *(const int *)ctx);
    return stage_number(text) == 1;
}

/* A node that came back with another setting is found without a change of members; who watched
 * when it was found says nothing when another does. */
static void an_unfit_store_is_named_until_it_is_mended(void **state)
{
    (void)state;
    const int port = (int)stage_number("SELECT min(port) FROM nodes WHERE role = 'primary'");
    struct it_service first = stage.service;
    struct unfit was = { first.port, 0 };
    redisContext *c = it_redis_admin(port);
    assert_true(it_await(unfit_is, &was, STAGE_AWAIT_MS));
    freeReplyObject(redisCommand(c, "CONFIG SET maxmemory-policy allkeys-lru"));
    was.is = 1;
    const bool found = it_await(unfit_is, &was, STAGE_AWAIT_MS);

    stage_service();
    assert_int_equal(kill(first.pid, SIGSTOP), 0);
    struct unfit now = { stage.service.port, 1 };
    int second = (int)stage.service.pid;
    const bool handed =
        it_await(watched_by, &second, STAGE_AWAIT_MS) && it_await(unfit_is, &now, STAGE_AWAIT_MS);
    assert_int_equal(kill(first.pid, SIGCONT), 0);
    was.is = 0;
    const bool silent = it_await(unfit_is, &was, STAGE_AWAIT_MS);

    freeReplyObject(redisCommand(c, "CONFIG SET maxmemory-policy noeviction"));
    redisFree(c);
    now.is = 0;
    const bool mended = it_await(unfit_is, &now, STAGE_AWAIT_MS);
    assert_int_equal(it_stop(first.pid), 0);
    assert_true(found && handed && silent && mended);
}

static bool dead_lettered(void *ctx)
{
    char text[65536];
    (void)ctx;
    assert_int_equal(it_http(stage.service.port, "GET", "/metrics", NULL, NULL, text, sizeof text),
                     200);
    const char *p = strstr(text, "\nprism_bus_dead_letters_total ");
    return p != NULL && strtod(strchr(p + 1, ' '), NULL) >= 1;
}

static void malformed_command_is_dead_lettered_and_the_next_one_served(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    assert_ok(pr_bus_publish(stage.bus, "prism.cmd.rebalance.plan", "\xff\xff\xff\xff", 4, "junk-1",
                             NULL, &err),
              &err);
    assert_true(it_await(dead_lettered, NULL, STAGE_AWAIT_MS));
    for (int i = 0; i < STAGE_VERTICES; i++)
        stage.target[i] = stage.v[i].at;
    const long plan = proposed(stage_run("done"), "{}");
    assert_plan(plan, "summary ->> 'moves'", "0");
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topology_is_written_with_zones_and_shards),
        cmocka_unit_test(plan_of_an_unfinished_run_is_refused),
        cmocka_unit_test(plan_with_nothing_to_move_is_done_at_once),
        cmocka_unit_test(plan_says_what_moves_and_whether_it_pays),
        cmocka_unit_test(vertices_move_while_they_are_written_to),
        cmocka_unit_test(vertices_move_onward_and_home),
        cmocka_unit_test(paused_plan_resumes_and_canceled_one_stops),
        cmocka_unit_test(killed_service_resumes_where_it_was),
        cmocka_unit_test(second_replica_takes_over),
        cmocka_unit_test(killed_primary_delays_the_plan_and_loses_nothing),
        cmocka_unit_test(an_unfit_store_is_named_until_it_is_mended),
        cmocka_unit_test(malformed_command_is_dead_lettered_and_the_next_one_served),
    };
    return cmocka_run_group_tests_name("rebalance", tests, stage_open, stage_close);
}
