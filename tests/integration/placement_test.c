/* The placement service against real PostgreSQL and NATS: commands in, targets,
 * hints, reports and events out. */
#include "placement_stage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static void a_second_run_starts_warm_and_says_so(void **state)
{
    (void)state;
    long run = carried_out(add_groups_run());
    assert_run(run, "(report ->> 'new_cut_weight')::int > 0", "t"); /* nothing to compare with */
    assert_run(run, "report ->> 'random_ratio' LIKE '0.66%'", "t");
    assert_run(run, "(report ->> 'times_less_than_random')::float8 > 5", "t");
    assert_run(run, "length(report ->> 'verdict') > 20", "t");
    carry_out_moves(run);
    run = carried_out(add_groups_run());
    assert_run(run, "report ->> 'mode'", "warm");
    assert_run(run, "report ->> 'why'", "locality holds against the last full run");
    assert_run(run, "report -> 'new_cut_weight'", "null");
    assert_run(run, "report ->> 'moved_ratio'", "0.0");
}

static void wishes_of_a_run_are_kept_to(void **state)
{
    (void)state;
    char source[400];
    snprintf(source, sizeof source, "{\"file\": \"%s\"}", graph_path);
    const long run = carried_out(
        add_run(source, "{\"capacity\": {\"c\": 0.5}, \"fixed\": {\"0\": \"c\", \"599\": \"a\"}, "
                        "\"move_cap\": 1000, \"move_price\": 0.001, \"parts\": \"locality\"}"));
    assert_run(run, "coalesce(error, state)", "done");
    assert_run(run, "report #>> '{capacity,c}'", "126"); /* a fifth of 600, and 5 % */
    assert_run(run, "(report #>> '{after,vertices,c}')::int <= 126", "t");
    assert_run(run, "report ->> 'move_cap'", "1000");
    assert_run(run, "report ->> 'parts'", "locality");
    assert_sql("SELECT sum(vertices) FROM hints", "600");
}

static void runs_that_only_measure_leave_nothing_behind(void **state)
{
    (void)state;
    char source[400];
    snprintf(source, sizeof source, "{\"file\": \"%s\"}", graph_path);
    long run = carried_out(add_run(source, "{\"kind\": \"communities\"}"));
    assert_run(run, "coalesce(error, state)", "done");
    assert_run(run, "(report #>> '{communities,count}')::int BETWEEN 3 AND 60", "t");
    assert_run(run, "(report #>> '{communities,modularity}')::real > 0.4", "t");
    run = carried_out(add_run(source, "{\"kind\": \"evaluate\"}"));
    assert_run(run, "coalesce(error, state)", "done");
    assert_run(run, "(report #>> '{before,cross_share}')::real BETWEEN 0.6 AND 0.72", "t");
    assert_run(run, "report ->> 'targets_kept'", "false");
    assert_sql("SELECT count(*) FROM hints", "0");
    assert_sql("SELECT count(*) FROM route_bases", "0");
    /* But what was seen of today's traffic, for plans of the fleet. */
    assert_sql("SELECT string_agg(kind || (run_id = (SELECT max(id) FROM placement_runs)), ' ') "
               "FROM slot_traffic",
               "beforetrue");
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
        { "SELECT 1", groups, "{\"mode\": \"magic\"}", "mode must be one of auto, warm and full" },
        { "SELECT 1", groups, "{\"move_price\": -1}", "move_price must be a number" },
        { "SELECT 1", groups, "{\"capacity\": {\"z\": 1}}", "zone z, which does not exist" },
        { "SELECT 1", groups, "{\"capacity\": {\"a\": 0, \"b\": 0, \"c\": 0}}",
          "none of 3 zones has capacity" },
        { "SELECT 1", groups, "{\"fixed\": {\"7\": \"z\"}}", "zone z, which does not exist" },
        { "SELECT 1", groups, "{\"fixed\": {\"600\": \"a\"}}", "vertex 600 is not in the graph" },
        { "SELECT 1", groups, "{\"fixed_file\": \"/etc/passwd\"}",
          "is outside PRISM_PLACEMENT_DATA_DIRS" },
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

/* A run of a few seconds, also under a sanitizer: a real graph, cut many times. */
static long add_long_run(void)
{
    return add_run("{\"file\": \"" PRISM_SOURCE_DIR "/tests/data/road-NY.txt.xz\"}",
                   T_SLOWER > 1 ? "{\"seeds\": 4}" : "{\"seeds\": 8}");
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
    assert_true(it_await(ended, &run, 4 * AWAIT_MS));
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
        snprintf(text, sizeof text, "SELECT count(*) = 2 FROM slot_traffic WHERE run_id = %ld",
                 run[i]);
        assert_sql(text, kept);
        assert_run(run[i], "(report ->> 'targets_kept')::boolean", kept);
    }
    assert_int_equal(number("SELECT count(DISTINCT run_id) FROM route_bases"), 4);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh_store)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_run_is_computed_stored_and_announced),
        TEST(a_command_that_comes_twice_has_one_effect),
        TEST(a_run_left_running_by_a_dead_service_is_computed),
        TEST(where_vertices_are_today_counts),
        TEST(a_second_run_starts_warm_and_says_so),
        TEST(wishes_of_a_run_are_kept_to),
        TEST(runs_that_only_measure_leave_nothing_behind),
        TEST(a_refused_run_fails_with_its_reason),
        TEST(a_canceled_run_writes_nothing),
        TEST(a_run_is_canceled_while_it_cuts),
        TEST(a_stopped_service_leaves_its_run_to_the_next),
        TEST(malformed_and_unknown_commands_are_dead_letters),
        TEST(old_targets_go_but_not_those_of_unfinished_plans),
    };
    return cmocka_run_group_tests(tests, open_stage, close_stage);
}
