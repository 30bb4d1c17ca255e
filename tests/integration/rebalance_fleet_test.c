/* Plans of the fleet on a real cluster, from the goal to the end: refused with words,
 * begun, bound to what they were made from, paused, canceled, taken over. */
#include "rebalance_fleet_stage.h"

#include "prism/io/clock.h"
#include "prism/v1/rebalance.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Slow enough to be caught in the middle: some 40 keys, 40 KB, a slot. */
static const char *const slowly[] = { "PRISM_REBALANCE_COOLDOWN_S=0",
                                      "PRISM_REBALANCE_REVERSAL_S=0",
                                      "PRISM_REBALANCE_SLOT_NODE_BYTES_PER_S=30000",
                                      "PRISM_REBALANCE_SLOT_BATCH_KEYS=5", NULL };
/* A slot takes two seconds: one in its middle is held when told to pause, not finished. */
enum { SLOTS = 8, KEYS = 60, BYTES = 1000 };

/* --- goals that cannot be ---------------------------------------------------------- */

static void refused(const char *goal, const char *words)
{
    const long plan = fs_plan(goal, "{}");
    const char *state = fs_text("SELECT state FROM plans WHERE id = %ld", plan);
    if (strcmp(state, "failed") != 0)
        fail_msg("%.200s is %s", goal, state);
    const char *why = fs_text("SELECT error FROM plans WHERE id = %ld", plan);
    if (strstr(why, words) == NULL)
        fail_msg("%.200s: '%s', want '%s'", goal, why, words);
    assert_int_equal(fs_number("SELECT count(*) FROM operations o JOIN plans p ON p.operation_id = "
                               "o.id WHERE p.id = %ld AND o.state = 'failed' AND o.error = p.error "
                               "AND o.finished_at IS NOT NULL AND p.finished_at IS NOT NULL",
                               plan),
                     1);
    assert_int_equal(fs_number("SELECT count(*) FROM steps WHERE plan_id = %ld", plan), 0);
}

static void malformed_goals_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *goal, *words;
    } row[] = {
        { "{}", "the goal has no kind" },
        { "[]", "the goal has no kind" },
        { "{\"kind\": 7}", "the goal has no kind" },
        { "{\"kind\": \"shuffle\"}", "unknown goal shuffle" },
        { "{\"kind\": \"drain\"}", "the goal has no node" },
        { "{\"kind\": \"drain\", \"nodes\": []}", "names no node" },
        { "{\"kind\": \"drain\", \"nodes\": [4]}", "nodes[0] is no name" },
        { "{\"kind\": \"drain\", \"nodes\": [\"nowhere\"]}", "node nowhere is not registered" },
        { "{\"kind\": \"join\", \"node\": \"nowhere\"}", "node nowhere is not registered" },
        { "{\"kind\": \"replace\", \"node\": \"NODE\"}", "the goal has no with" },
        { "{\"kind\": \"replace\", \"node\": \"NODE\", \"with\": \"x\"}",
          "node x is not registered" },
        { "{\"kind\": \"move-replica\", \"node\": \"NODE\"}", "the goal has no shard" },
        { "{\"kind\": \"move-replica\", \"node\": \"NODE\", \"shard\": \"s\"}",
          "there is no shard s" },
        { "{\"kind\": \"join\", \"node\": \"NODE\", \"role\": \"king\"}",
          "role is auto, primary or replica" },
        { "{\"kind\": \"assign\"}", "0 groups of slots for 3 shards" },
        { "{\"kind\": \"assign\", \"groups\": [\"1\", \"2\", \"3\", \"4\"]}",
          "4 groups of slots for 3 shards" },
        { "{\"kind\": \"assign\", \"groups\": [\"0-9\", \"7-20\"]}",
          "slot 7 is in groups[0] and groups[1]" },
        { "{\"kind\": \"assign\", \"groups\": [\"5,5\"]}", "slot 5 is in groups[0] and groups[0]" },
        { "{\"kind\": \"assign\", \"groups\": [\"1\", \"16384\"]}", "groups[1]: '16384'" },
        { "{\"kind\": \"assign\", \"groups\": [\"9-3\"]}", "groups[0]: '9-3'" },
        { "{\"kind\": \"assign\", \"groups\": [\"3-\"]}", "groups[0]: '3-'" },
        { "{\"kind\": \"assign\", \"groups\": [\"one\"]}", "groups[0]: 'one'" },
        { "{\"kind\": \"assign\", \"groups\": [\"1;2\"]}", "groups[0]: '1;2'" },
        { "{\"kind\": \"assign\", \"groups\": [\"-4\"]}", "groups[0]: '-4'" },
        { "{\"kind\": \"assign\", \"groups\": [3]}", "groups[0] is no text" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char goal[256];
        const char *node = strstr(row[i].goal, "NODE");
        if (node == NULL)
            snprintf(goal, sizeof goal, "%s", row[i].goal);
        else
            snprintf(goal, sizeof goal, "%.*sn%d%s", (int)(node - row[i].goal), row[i].goal,
                     fs.shard[0].port[1], node + 4);
        refused(goal, row[i].words);
    }
}

static void plans_that_would_break_the_cluster_are_refused(void **state)
{
    (void)state;
    char goal[256];
    const struct fs_shard *s = fs.shard;
    snprintf(goal, sizeof goal, "{\"kind\": \"drain\", \"nodes\": [\"n%d\"]}", s[2].port[0]);
    refused(goal, ""); /* a primary of its own zone: nobody there takes its slots */
    print_message("  drain of zone b's primary: %s\n",
                  fs_text("SELECT error FROM plans ORDER BY id DESC LIMIT 1"));
    snprintf(goal, sizeof goal, "{\"kind\": \"drain\", \"nodes\": [\"n%d\"]}", s[0].port[1]);
    refused(goal, "replica");
    print_message("  drain of a replica that is needed: %s\n",
                  fs_text("SELECT error FROM plans ORDER BY id DESC LIMIT 1"));
    snprintf(goal, sizeof goal, "{\"kind\": \"join\", \"nodes\": [\"n%d\"]}", s[0].port[0]);
    refused(goal, "");
    print_message("  join of a primary: %s\n",
                  fs_text("SELECT error FROM plans ORDER BY id DESC LIMIT 1"));
    snprintf(goal, sizeof goal, "{\"kind\": \"replace\", \"node\": \"n%d\", \"with\": \"n%d\"}",
             s[0].port[0], s[0].port[0]);
    refused(goal, "");
    print_message("  replace by itself: %s\n",
                  fs_text("SELECT error FROM plans ORDER BY id DESC LIMIT 1"));
}

/* --- from the goal to the end -------------------------------------------------------- */

static void check_summary(long plan)
{
    assert_string_equal(
        fs_text("SELECT string_agg(DISTINCT jsonb_typeof(summary->k), ' ') FROM plans, "
                "unnest(ARRAY['bytes', 'bound_bytes', 'duration_s', 'slots', 'steps', 'waves']) "
                "AS k WHERE id = %ld",
                plan),
        "number");
    assert_string_equal(fs_text("SELECT jsonb_typeof(summary->'notes') || ' ' || "
                                "jsonb_typeof(summary #> '{verdict,worth_it}') || ' ' || "
                                "jsonb_typeof(summary #> '{verdict,why}') FROM plans WHERE id = "
                                "%ld",
                                plan),
                        "array boolean string");
    assert_int_equal(fs_number("SELECT count(*) FROM plans p WHERE id = %ld AND "
                               "(summary->>'steps')::int = (SELECT count(*) FROM steps WHERE "
                               "plan_id = p.id)",
                               plan),
                     1);
    assert_int_equal(fs_number("SELECT count(*) FROM plans WHERE id = %ld AND "
                               "(summary->>'bytes')::float8 <= "
                               "1.05 * (summary->>'bound_bytes')::float8 + (SELECT max(bytes) "
                               "FROM steps WHERE plan_id = %ld)",
                               plan, plan),
                     1);
}

static void check_history(long plan)
{
    assert_int_equal(
        fs_number("SELECT count(*) FROM slot_history WHERE plan_id = %ld", plan),
        fs_number("SELECT count(*) FROM steps WHERE plan_id = %ld AND kind = 'slot'", plan));
    assert_int_equal(fs_number("SELECT count(*) FROM slot_history h JOIN steps s ON s.plan_id = "
                               "h.plan_id AND s.slot = h.slot JOIN nodes a ON a.id = s.src_node "
                               "JOIN nodes b ON b.id = s.dst_node WHERE h.plan_id = %ld AND "
                               "(a.shard_id <> h.from_shard OR b.shard_id <> h.to_shard)",
                               plan),
                     0);
}

static long steps_of_balance(long *plan)
{
    *plan = fs_proposed("{\"kind\": \"balance\"}", "{}");
    return fs_number("SELECT count(*) FROM steps WHERE plan_id = %ld", *plan);
}

/* Slots of the first shard that have not just moved: those rest. */
static void load_what_may_move(void)
{
    int loaded = 0;
    const char *list = fs_text("SELECT string_agg(slot::text, ' ') FROM (SELECT slot FROM slots "
                               "WHERE node_id = 'n%d' AND slot NOT IN (SELECT slot FROM "
                               "slot_history) ORDER BY slot LIMIT 20) s",
                               fs.shard[0].port[0]);
    char slots[20 * 6 + 1];
    snprintf(slots, sizeof slots, "%s", list);
    for (char *at = slots, *end = slots; *at != '\0'; at = end, loaded++) {
        const long slot = strtol(at, &end, 10);
        assert_true(end > at);
        fs_load((int)slot, 1000, 500); /* much beside what a node's memory wavers by */
    }
    assert_int_equal(loaded, 20);
}

static void uneven_zone_is_balanced_once_and_nothing_goes_back(void **state)
{
    (void)state;
    static const char *const resting[] = { NULL }; /* an hour, a week */
    long plan = 0;
    const int from = fs.shard[1].port[0];
    fs_service(resting);
    fs_settle();

    /* 8 %: below what balancing begins at. */
    const long little = fs_proposed(fs_assign(1, 0, 400, NULL), "{}");
    fs_run(little);
    fs_check_done(little);
    check_history(little);
    assert_int_equal(steps_of_balance(&plan), 0);

    const long more = fs_proposed(fs_assign(1, 0, 600, NULL), "{}");
    fs_run(more);
    fs_settle();
    load_what_may_move();
    const long n = steps_of_balance(&plan);
    print_message("  balance: %ld steps, %s\n", n,
                  fs_text("SELECT summary->>'uneven_before' || ' -> ' || "
                          "(summary->>'uneven_after') || ', ' || (summary->>'bytes') || "
                          "' bytes, bound ' || (summary->>'bound_bytes') FROM plans WHERE id = %ld",
                          plan));
    assert_true(n > 0);
    check_summary(plan);
    assert_int_equal(fs_number("SELECT count(*) FROM steps a JOIN steps b ON a.slot = b.slot WHERE "
                               "a.plan_id = %ld AND b.plan_id IN (%ld, %ld)",
                               plan, little, more),
                     0); /* those rest, and would go back */
    assert_int_equal(fs_number("SELECT count(*) FROM steps WHERE plan_id = %ld AND dst_node <> "
                               "'n%d'",
                               plan, from),
                     0);
    fs_run(plan);
    fs_check_done(plan);
    check_history(plan);
    assert_int_equal(fs_number("SELECT count(*) FROM plans p JOIN operations o ON o.id = "
                               "p.execute_operation_id WHERE p.id = %ld AND o.state = 'done' AND "
                               "o.progress_ratio = 1 AND (p.result->>'slots')::int = %ld",
                               plan, n),
                     1);
    fs_settle();
    const long again = steps_of_balance(&plan);
    if (again != 0)
        fail_msg("%ld steps more: %s", again,
                 fs_text("SELECT (summary)::text || ' ' || (SELECT string_agg(kind || ' ' || "
                         "coalesce(slot::text, '') || ' ' || bytes || ' ' || why, '; ') FROM "
                         "(SELECT * FROM steps WHERE plan_id = %ld LIMIT 5) s) FROM plans WHERE "
                         "id = %ld",
                         plan, plan));
}

/* --- bound to what it was made from ------------------------------------------------------- */

static void stale_plan_is_refused_and_nothing_moves(void **state)
{
    (void)state;
    int slot[5];
    const long plan = fs_proposed(fs_assign(1, 0, 5, slot), "{}");
    fs_fail_over(fs.shard[2].port[1]); /* of a shard that the plan does not touch */
    fs_execute(plan);
    fs_await_text("failed", "SELECT state FROM plans WHERE id = %ld", plan);
    assert_non_null(
        strstr(fs_text("SELECT error FROM plans WHERE id = %ld", plan), "no longer as it was"));
    assert_int_equal(fs_number("SELECT count(*) FROM plans p JOIN operations o ON o.id = "
                               "p.execute_operation_id WHERE p.id = %ld AND o.state = 'failed' "
                               "AND o.error = p.error",
                               plan),
                     1);
    assert_int_equal(fs_number("SELECT count(*) FROM steps WHERE plan_id = %ld AND state <> "
                               "'planned'",
                               plan),
                     0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(fs_owner(slot[i]), fs.shard[1].port[0]);
    fs_fail_over(fs.shard[2].port[0]);
    fs_run(fs_proposed(fs_assign(1, 0, 5, NULL), "{}")); /* and a new one runs */
}

/* --- orders in the middle -------------------------------------------------------------- */

static long start_slowly(int slot[SLOTS])
{
    const char *goal = fs_assign(1, 0, SLOTS, slot);
    fs_ballast();
    for (int i = 0; i < SLOTS; i++)
        fs_load(slot[i], KEYS, BYTES);
    fs_service(slowly);
    fs_settle();
    const long plan = fs_proposed(goal, "{}");
    fs_execute(plan);
    return plan;
}

static long keys_gone(const int slot[SLOTS])
{
    long n = 0;
    redisContext *c = it_redis_admin(fs.shard[0].port[0]);
    for (int i = 0; i < SLOTS; i++)
        assert_int_equal(redisAppendCommand(c, "CLUSTER COUNTKEYSINSLOT %d", slot[i]), REDIS_OK);
    for (int i = 0; i < SLOTS; i++) {
        redisReply *r = NULL;
        assert_int_equal(redisGetReply(c, (void **)&r), REDIS_OK);
        n += (long)r->integer;
        freeReplyObject(r);
    }
    redisFree(c);
    return n;
}

struct gone {
    const int *slot;
    long n;
};

static bool more_gone(void *ctx)
{
    const struct gone *g = ctx;
    return keys_gone(g->slot) > g->n;
}

/* In the middle of a slot, one at least being through. */
static void await_middle(const int slot[SLOTS])
{
    struct gone g = { slot, KEYS + KEYS / 4 };
    assert_true(it_await(more_gone, &g, FS_AWAIT_MS));
}

static void nothing_more_goes(const int slot[SLOTS])
{
    struct gone g = { slot, keys_gone(slot) };
    assert_false(it_await(more_gone, &g, 1000));
}

/* How long after from_us the last key went; it took a second to be sure of it. */
static double stillness_s(const int slot[SLOTS], int64_t from_us)
{
    int64_t last_us = from_us;
    for (;;) {
        struct gone g = { slot, keys_gone(slot) };
        if (!it_await(more_gone, &g, 1000))
            return (double)(last_us - from_us) / 1e6;
        last_us = pr_mono_us();
    }
}

static bool all_there(const int slot[SLOTS])
{
    for (int i = 0; i < SLOTS; i++)
        if (fs_keys(fs_owner(slot[i]), slot[i]) != KEYS)
            return false;
    return true;
}

static void pause_takes_a_second_and_the_rest_follows(void **state)
{
    (void)state;
    int slot[SLOTS];
    const long plan = start_slowly(slot);
    await_middle(slot);
    const int64_t from_us = pr_mono_us();
    fs_sql("UPDATE plans SET state = 'paused' WHERE id = %ld AND state = 'running'", plan);
    const double took_s = stillness_s(slot, from_us);
    const long gone = keys_gone(slot);
    print_message("  paused after %.2f s, %ld of %d keys moved, %d marks open: %s\n", took_s, gone,
                  SLOTS * KEYS, fs_open_marks(),
                  fs_text("SELECT o.phase FROM operations o JOIN plans p ON p.execute_operation_id "
                          "= o.id WHERE p.id = %ld",
                          plan));
    assert_true(took_s <= 1.0);
    assert_true(gone < SLOTS * KEYS);
    fs_service((const char *const[]){ "PRISM_REBALANCE_COOLDOWN_S=0", NULL }); /* quickly */
    fs_sql("UPDATE plans SET state = 'running' WHERE id = %ld AND state = 'paused'", plan);
    fs_await_plan(plan, "done");
    fs_check_done(plan);
    assert_true(all_there(slot));
}

static void canceled_plan_leaves_no_slot_open(void **state)
{
    (void)state;
    int slot[SLOTS];
    const long plan = start_slowly(slot);
    await_middle(slot);
    const int64_t from_us = pr_mono_us();
    fs_cancel(plan);
    fs_await_plan(plan, "canceled");
    print_message("  canceled after %.2f s: %s\n", (double)(pr_mono_us() - from_us) / 1e6,
                  fs_text("SELECT string_agg(state || ' ' || n, ', ') FROM (SELECT state, count(*) "
                          "AS n FROM steps WHERE plan_id = %ld GROUP BY 1) x",
                          plan));
    assert_int_equal(fs_number("SELECT count(*) FROM steps WHERE plan_id = %ld AND state NOT IN "
                               "('verified', 'rolled_back')",
                               plan),
                     0);
    assert_true(fs_number("SELECT count(*) FROM steps WHERE plan_id = %ld AND state = "
                          "'rolled_back'",
                          plan) > 0);
    assert_string_equal(fs_text("SELECT o.state FROM operations o JOIN plans p ON "
                                "p.execute_operation_id = o.id WHERE p.id = %ld",
                                plan),
                        "canceled");
    assert_int_equal(fs_open_marks(), 0);
    assert_true(all_there(slot));
    for (int i = 0; i < SLOTS; i++) {
        const bool moved = fs_number("SELECT count(*) FROM steps WHERE plan_id = %ld AND slot = %d "
                                     "AND state = 'verified'",
                                     plan, slot[i]) == 1;
        assert_int_equal(fs_owner(slot[i]), fs.shard[moved ? 0 : 1].port[0]);
    }
}

static void paused_plan_with_an_open_slot_is_canceled(void **state)
{
    (void)state;
    int slot[SLOTS];
    const long plan = start_slowly(slot);
    await_middle(slot);
    const int64_t from_us = pr_mono_us();
    fs_sql("UPDATE plans SET state = 'paused' WHERE id = %ld AND state = 'running'", plan);
    (void)stillness_s(slot, from_us);
    assert_int_equal(fs_open_marks(), 2); /* the slot is served from both sides */
    fs_cancel(plan);
    fs_await_plan(plan, "canceled");
    assert_string_equal(fs_text("SELECT o.state FROM operations o JOIN plans p ON "
                                "p.execute_operation_id = o.id WHERE p.id = %ld",
                                plan),
                        "canceled");
    assert_int_equal(fs_number("SELECT count(*) FROM steps WHERE plan_id = %ld AND state NOT IN "
                               "('verified', 'rolled_back')",
                               plan),
                     0);
    assert_int_equal(fs_open_marks(), 0);
    assert_true(all_there(slot));
}

static void stop_holds_everything_until_start(void **state)
{
    (void)state;
    int slot[SLOTS];
    const long plan = start_slowly(slot);
    await_middle(slot);
    const int64_t from_us = pr_mono_us();
    fs_sql("UPDATE policies SET halted = true WHERE name = 'rebalance'");
    const double took_s = stillness_s(slot, from_us);
    print_message("  stopped after %.2f s\n", took_s);
    assert_true(took_s <= 1.0);
    /* No other begins either. */
    const long repair = fs_proposed("{\"kind\": \"repair\"}", "{}");
    fs_execute(repair);
    nothing_more_goes(slot);
    assert_string_equal(fs_text("SELECT state FROM plans WHERE id = %ld", repair), "approved");
    assert_string_equal(fs_text("SELECT state FROM plans WHERE id = %ld", plan), "running");
    fs_sql("UPDATE policies SET halted = false WHERE name = 'rebalance'");
    struct gone g = { slot, keys_gone(slot) };
    assert_true(it_await(more_gone, &g, 5000));
    fs_await_plan(plan, "done");
    fs_await_plan(repair, "done");
    assert_true(all_there(slot));
}

/* --- who executes -------------------------------------------------------------------------- */

static void other_replica_finishes_what_a_killed_one_began(void **state)
{
    (void)state;
    int slot[SLOTS];
    struct it_service second;
    const long plan = start_slowly(slot);
    await_middle(slot);
    it_service(&second, "rebalance", fs.uri,
               (const char *const[]){ "PRISM_REBALANCE_LEASE_TTL_MS=4000",
                                      "PRISM_REDIS_TIMEOUT_MS=1000", NULL });
    assert_string_equal(fs_text("SELECT state FROM plans WHERE id = %ld", plan), "running");
    const long epoch = fs_number("SELECT epoch FROM leases WHERE name = 'rebalance-executor'");
    it_kill(fs.service.pid);
    fs.service = second;
    const int64_t from_us = pr_mono_us();
    fs_await_plan(plan, "done");
    print_message("  finished %.2f s after the kill\n", (double)(pr_mono_us() - from_us) / 1e6);
    assert_true(fs_number("SELECT epoch FROM leases WHERE name = 'rebalance-executor'") > epoch);
    fs_check_done(plan);
    assert_true(all_there(slot));
}

static void plans_run_one_at_a_time(void **state)
{
    (void)state;
    int slot[SLOTS];
    const long fleet = start_slowly(slot);
    await_middle(slot);
    /* A plan of vertices that approved itself into the queue, with nothing to move. */
    const long run = fs_number("INSERT INTO placement_runs (operation_id, state, source, report, "
                               "created_by) VALUES (gen_random_uuid(), 'done', '{}', '{}', 'test') "
                               "RETURNING id");
    const long vertices = fs_number(
        "WITH o AS (INSERT INTO operations (kind, resource, created_by) VALUES "
        "('rebalance.execute', 'rebalance/plans', 'test') RETURNING id) INSERT INTO plans "
        "(operation_id, execute_operation_id, run_id, state, created_by) SELECT gen_random_uuid(), "
        "id, %ld, 'approved', 'test' FROM o RETURNING id",
        run);
    const long after = fs_proposed("{\"kind\": \"repair\"}", "{}");
    fs_execute(after);
    fs_await_plan(fleet, "done");
    fs_await_plan(vertices, "done");
    fs_await_plan(after, "done");
    assert_int_equal(fs_number("SELECT count(*) FROM plans a JOIN plans b ON a.id <> b.id AND "
                               "a.started_at < b.finished_at AND b.started_at < a.finished_at "
                               "WHERE a.id IN (%ld, %ld, %ld) AND b.id IN (%ld, %ld, %ld)",
                               fleet, vertices, after, fleet, vertices, after),
                     0);
    assert_int_equal(fs_number("SELECT count(*) FROM plans WHERE id IN (%ld, %ld, %ld) AND "
                               "started_at IS NOT NULL",
                               fleet, vertices, after),
                     3);
    fs_settle();
    fs_run(fs_proposed(fs_assign(0, 1, 3, NULL), "{}")); /* fleet after vertices */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fs_begin, fs_end)

int main(int argc, char **argv)
{
    if (argc > 1) /* a pattern of names */
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        TEST(malformed_goals_are_refused_by_name),
        TEST(plans_that_would_break_the_cluster_are_refused),
        TEST(uneven_zone_is_balanced_once_and_nothing_goes_back),
        TEST(stale_plan_is_refused_and_nothing_moves),
        TEST(pause_takes_a_second_and_the_rest_follows),
        TEST(canceled_plan_leaves_no_slot_open),
        TEST(paused_plan_with_an_open_slot_is_canceled),
        TEST(stop_holds_everything_until_start),
        TEST(other_replica_finishes_what_a_killed_one_began),
        TEST(plans_run_one_at_a_time),
    };
    return cmocka_run_group_tests(tests, fs_open, fs_close);
}
