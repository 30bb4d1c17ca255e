/* What a plan of the fleet does to the traffic between zones, on a real cluster and with
 * a real placement run as the witness: saved, added, unchanged, unknown. */
#include "rebalance_fleet_stage.h"

#include "prism/slot.h"
#include "prism/v1/placement.pb-c.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PARTITIONS = 4096, PER_SHARD = 60, IDS = 100000 };
static char dir[64];
static struct it_service placement;
static int vertex[FS_SHARDS][PER_SHARD]; /* whose home is a slot of the shard */
static const char failback[] = "{\"kind\": \"failback\"}";

static void find_vertices(void)
{
    int found[FS_SHARDS] = { 0 };
    for (int id = 0; id < IDS; id++) {
        char text[16];
        const int n = snprintf(text, sizeof text, "%d", id);
        const uint32_t p = pr_home_partition(pr_vertex_hash(text, (size_t)n), PARTITIONS);
        const int s = fs.slot_shard[pr_partition_slot(p)];
        if (found[s] < PER_SHARD)
            vertex[s][found[s]++] = id;
    }
    for (int s = 0; s < FS_SHARDS; s++)
        assert_int_equal(found[s], PER_SHARD);
}

static int open_all(void **state)
{
    char data[128];
    fs_open(state);
    find_vertices();
    snprintf(dir, sizeof dir, "/tmp/prism-gain-test.XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(data, sizeof data, "PRISM_PLACEMENT_DATA_DIRS=%s", dir);
    char role[IT_URI];
    it_role_uri(fs.uri, "placement", role);
    it_service(&placement, "placement", role,
               (const char *const[]){ data, "PRISM_REFERENCE_TRAFFIC_BYTES_PER_S=1e6", NULL });
    return 0;
}

static int close_all(void **state)
{
    char path[96];
    assert_int_equal(it_stop(placement.pid), 0);
    snprintf(path, sizeof path, "%s/graph", dir);
    (void)unlink(path);
    (void)rmdir(dir);
    return fs_close(state);
}

static int begin(void **state)
{
    fs_sql("DELETE FROM placement_runs WHERE id NOT IN (SELECT run_id FROM plans WHERE run_id IS "
           "NOT NULL)");
    fs_sql("DELETE FROM slot_traffic");
    return fs_begin(state);
}

/* A run of this kind looks at a graph in which the vertices of each pair of shards know
 * one another. */
static long looked(const char *kind, const int pair[][2], size_t pairs)
{
    char path[96], msg_id[64];
    uint8_t packed[64];
    struct pr_err err = { 0 };
    snprintf(path, sizeof path, "%s/graph", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (size_t k = 0; k < pairs; k++)
        for (int i = 0; i < PER_SHARD; i++)
            for (int n = 1; n <= 5; n++)
                fprintf(f, "%d\t%d\n", vertex[pair[k][0]][i],
                        vertex[pair[k][1]][(i + n) % PER_SHARD]);
    assert_int_equal(fclose(f), 0);
    /* A zone without a primary may hold nothing. */
    fs_sql("UPDATE zones z SET capacity_ratio = CASE WHEN EXISTS (SELECT FROM slots s WHERE "
           "s.zone_id = z.id) THEN 1 ELSE 0 END");
    const long run = fs_number(
        "WITH o AS (INSERT INTO operations (kind, resource, created_by) VALUES ('placement.run', "
        "'placement/runs', 'test') RETURNING id) INSERT INTO placement_runs (operation_id, source, "
        "params, created_by) SELECT id, '{\"file\": \"%s\"}', '{\"kind\": \"%s\"}', 'test' FROM o "
        "RETURNING id",
        path, kind);
    Prism__V1__PlacementRunRequest r = PRISM__V1__PLACEMENT_RUN_REQUEST__INIT;
    r.run_id = (uint64_t)run;
    snprintf(msg_id, sizeof msg_id, "gain-%ld-%d", run, (int)getpid());
    assert_ok(pr_bus_publish(fs.bus, "prism.cmd.placement.run", packed,
                             prism__v1__placement_run_request__pack(&r, packed), msg_id, NULL,
                             &err),
              &err);
    fs_await_text("1", "SELECT count(finished_at) FROM placement_runs WHERE id = %ld", run);
    assert_string_equal(
        fs_text("SELECT coalesce(error, state) FROM placement_runs WHERE id = %ld", run), "done");
    return run;
}

/* To the replica in that zone. */
static void fail_over_to(int shard, const char *zone)
{
    int port = 0;
    for (int m = 1; m < FS_MEMBERS; m++)
        if (strcmp(fs_text("SELECT zone_id FROM nodes WHERE port = %d", fs.shard[shard].port[m]),
                   zone) == 0)
            port = fs.shard[shard].port[m];
    if (fs_primary(shard) != port)
        fs_fail_over(port);
    assert_int_equal(fs_primary(shard), port);
}

static double gain(long plan, const char *name)
{
    const char *v = fs_text("SELECT summary #>> '{gain,%s}' FROM plans WHERE id = %ld", name, plan);
    if (v[0] == '\0')
        fail_msg("plan %ld: no %s: %s", plan, name,
                 fs_text("SELECT summary->>'gain' FROM plans WHERE id = %ld", plan));
    return strtod(v, NULL);
}

static void assert_near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-4 * fabs(want) + 1e-6))
        fail_msg("%.9g is not %.9g", got, want);
}

static void assert_why(long plan, bool worth, const char *words)
{
    const char *why = fs_text("SELECT summary #>> '{verdict,why}' FROM plans WHERE id = %ld", plan);
    print_message("  %s\n", why);
    if (strstr(why, words) == NULL)
        fail_msg("'%s' says nothing of '%s'", why, words);
    assert_string_equal(
        fs_text("SELECT summary #>> '{verdict,worth_it}' FROM plans WHERE id = %ld", plan),
        worth ? "true" : "false");
}

static void assert_unknown(long plan, const char *words)
{
    assert_string_equal(fs_text("SELECT string_agg(DISTINCT jsonb_typeof(summary->'gain'->k), ' ') "
                                "FROM plans, unnest(ARRAY['saved_usd', 'saved_usd_per_month', "
                                "'cross_share_before', 'cross_share_after', 'run_id']) AS k "
                                "WHERE id = %ld",
                                plan),
                        "null");
    assert_true(gain(plan, "rezoned_slots") > 1000);
    assert_string_equal(
        fs_text("SELECT summary #>> '{gain,unknown}' FROM plans WHERE id = %ld", plan), words);
    assert_why(plan, true, words);
}

/* A GB of 10^9 bytes at a cent, both sides billed, 30 days of 1 MB/s. */
static const double month_usd = 2592000 * 1e6 / 1e9 * 0.02;

/* ------------------------------------------------------------------------------------ */

/* Two of three primaries are in zone a at home already, so a plan may leave it so. */
static void failback_brings_traffic_home(void **state)
{
    (void)state;
    static const int pair[][2] = { { 0, 1 } }; /* both at home in zone a */
    fail_over_to(0, "b");
    fail_over_to(2, "a");
    const long run = looked("evaluate", pair, 1);
    assert_string_equal(fs_text("SELECT report #>> '{before,cross_share}' FROM placement_runs "
                                "WHERE id = %ld",
                                run),
                        "1.0");
    const long plan = fs_proposed(failback, "{}");
    assert_near(gain(plan, "cross_share_before"), 1);
    assert_near(gain(plan, "cross_share_after"), 0);
    assert_near(gain(plan, "usd_per_month_before"), month_usd);
    assert_near(gain(plan, "saved_usd_per_month"), month_usd);
    assert_near(gain(plan, "saved_usd"), month_usd); /* over 30 days */
    assert_near(gain(plan, "run_id"), (double)run);
    assert_why(plan, true, "; saves $51.84 over 30 days");
    fs_run(plan);
    fs_settle();
    const long none = fs_proposed(failback, "{}"); /* nothing to do: stays local */
    assert_near(gain(none, "cross_share_before"), 0);
    assert_near(gain(none, "rezoned_slots"), 0);
    assert_near(gain(none, "saved_usd"), 0);
}

static void failback_that_makes_traffic_cross_is_a_cost_and_done(void **state)
{
    (void)state;
    static const int pair[][2] = { { 2, 2 }, { 2, 0 } }; /* at home in b, b; b, a */
    fail_over_to(2, "a");
    (void)looked("evaluate", pair, 2);
    const long plan = fs_proposed(failback, "{}");
    assert_near(gain(plan, "cross_share_before"), 0);
    assert_near(gain(plan, "cross_share_after"), 0.5);
    assert_near(gain(plan, "saved_usd"), -month_usd / 2);
    assert_why(plan, true, "failback is needed whatever it costs");
    assert_why(plan, true, "; adds cross-zone traffic of $25.92 over 30 days");
}

static void what_nobody_has_seen_is_unknown(void **state)
{
    (void)state;
    fail_over_to(2, "a");
    assert_unknown(fs_proposed(failback, "{}"), "no placement run has seen the traffic");

    static const int pair[][2] = { { 0, 1 } };
    const long run = looked("placement", pair, 1);
    assert_near(gain(fs_proposed(failback, "{}"), "run_id"), (double)run);

    /* A plan that moved some of that run's vertices, and ended. */
    const long plan = fs_number("INSERT INTO plans (operation_id, run_id, state, created_by, "
                                "started_at, finished_at) VALUES (gen_random_uuid(), %ld, "
                                "'canceled', 'test', now(), now()) RETURNING id",
                                run);
    char words[128];
    snprintf(words, sizeof words,
             "plan %ld moved some of its vertices and no placement run has looked since", plan);
    assert_unknown(fs_proposed(failback, "{}"), words);

    /* Had it moved all of them, they were where the run wanted them. */
    fs_sql("UPDATE plans SET state = 'done' WHERE id = %ld", plan);
    assert_near(gain(fs_proposed(failback, "{}"), "run_id"), (double)run);
    fs_sql("UPDATE slot_traffic SET blob = 'x'");
    snprintf(words, sizeof words, "placement run %ld: 1 bytes are no traffic between slots", run);
    assert_unknown(fs_proposed(failback, "{}"), words);
    fs_sql("DELETE FROM slot_traffic");
    snprintf(words, sizeof words, "placement run %ld left no record of the traffic between slots",
             run);
    assert_unknown(fs_proposed(failback, "{}"), words);

    const long again = looked("evaluate", pair, 1);
    assert_near(gain(fs_proposed(failback, "{}"), "run_id"), (double)again);
}

static void slots_that_stay_in_their_zone_change_nothing(void **state)
{
    (void)state;
    static const int pair[][2] = { { 0, 1 }, { 1, 2 } };
    fs_ballast();
    /* Shards 0 and 1 are both in zone a: known even when nobody looked. */
    long plan = fs_proposed(fs_assign(1, 0, 50, NULL), "{}");
    assert_near(gain(plan, "rezoned_slots"), 0);
    assert_near(gain(plan, "saved_usd"), 0);
    assert_string_equal(
        fs_text("SELECT jsonb_typeof(summary #> '{gain,cross_share_before}') || "
                "jsonb_typeof(summary #> '{gain,unknown}') FROM plans WHERE id = %ld",
                plan),
        "nullnull");
    assert_why(plan, false, "no slot changes its zone, cross-zone traffic stays");
    (void)looked("evaluate", pair, 2);
    plan = fs_proposed(fs_assign(1, 0, 50, NULL), "{}");
    assert_near(gain(plan, "cross_share_before"), 0.5);
    assert_near(gain(plan, "cross_share_after"), 0.5);
    assert_near(gain(plan, "saved_usd"), 0);

    /* All but the ballast of shard 2 to zone a, where its neighbours are. */
    plan = fs_proposed(fs_assign(2, 0, 5000, NULL), "{}");
    assert_near(gain(plan, "rezoned_slots"), 5000);
    assert_true(gain(plan, "cross_share_after") < 0.1);
    assert_true(gain(plan, "saved_usd") > 0.4 * month_usd);
    assert_why(plan, true, "half of what it saves exceeds its price");
    assert_string_equal(fs_text("SELECT jsonb_typeof(summary->'hot_before') FROM plans WHERE id = "
                                "%ld",
                                plan),
                        "null"); /* Redis 7 tells no load of a slot */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, fs_end)

int main(int argc, char **argv)
{
    if (argc > 1) /* a pattern of names */
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        TEST(failback_brings_traffic_home),
        TEST(failback_that_makes_traffic_cross_is_a_cost_and_done),
        TEST(what_nobody_has_seen_is_unknown),
        TEST(slots_that_stay_in_their_zone_change_nothing),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
