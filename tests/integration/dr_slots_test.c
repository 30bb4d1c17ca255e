/* Slots migrate while the dr service ships the cluster, and the region is lost in the middle of it:
 * of every write that was said to be durable the value, or a later one, is on one of the restored
 * shards, and on one alone; though the shards' streams are in the bucket up to very different
 * moments, as the shipping of one of them is held back. */
#include "dr_slots_ledger.h"

#include "io/slot/pair.h"

#include "prism/io/clock.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { OUT = 65536 };

static struct it_proxy proxy;
static char scratch[64], out[OUT];
static unsigned groups = 2;
static struct it_service second; /* another replica of dr; pid 0: it does not run */

static bool all_promised(void *ctx)
{
    (void)ctx;
    for (int k = 0; k < KEYS; k++)
        if (ledger.promised[k] == 0)
            return false;
    return true;
}

/* --- the stage -----------------------------------------------------------------------------------
 */

static bool watched(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM slots") == 16384 &&
           dr_stage_number("SELECT count(*) FROM nodes WHERE state <> 'up'") == 0;
}

static void shard_of(const char *node, char shard[64])
{
    dr_stage_text(shard, 64, "SELECT shard_id FROM nodes WHERE id = '%s'", node);
}

static unsigned group_of(const char *node)
{
    char shard[64];
    shard_of(node, shard);
    return (unsigned)(XXH64(shard, strlen(shard), 0) % groups);
}

static int open_all(void **state)
{
    char count[16];
    it_bus_reset();
    (void)slot_stage_open(state);
    (void)slot_stage_begin(state);
    (void)snprintf(dr.uri, sizeof dr.uri, "%s", stage.uri);
    it_role_uri(stage.uri, "dr", dr.role);
    it_sql(dr.uri, "INSERT INTO store (partitions) VALUES (4096)", NULL, 0);
    it_service(&dr.rebalance, "rebalance", stage.role, NULL); /* for the topology alone */
    if (!it_await(watched, NULL, DR_AWAIT_MS))
        fail_msg("the topology was not written");
    while (group_of(stage.src) == group_of(stage.dst))
        groups++;
    dr_stage_settings(dr.rebalance.pid);
    (void)snprintf(count, sizeof count, "%u", groups);
    dr_stage_set("PRISM_DR_GROUPS", count);
    dr_stage_set("PRISM_DR_BEAT_MS", "1000");
    dr_stage_set("PRISM_DR_FLUSH_MS", "200");
    it_proxy(&proxy, atoi(strrchr(it_env("IT_S3_URL"), ':') + 1));
    dr_stage_set("PRISM_DR_S3_ENDPOINT", proxy.url);
    (void)snprintf(scratch, sizeof scratch, "/tmp/prism-dr-slots-XXXXXX");
    assert_non_null(mkdtemp(scratch));
    pr_rng_init(&ledger.rng, 1);
    for (int k = 0; k < KEYS; k++) {
        ledger.slot[k] = (uint16_t)stage.slot[k % STAGE_SLOTS];
        (void)snprintf(ledger.key[k], sizeof ledger.key[k], "k%d:{%u}", k,
                       rebalance_tag_of_slot(ledger.slot[k]));
    }
    dr_stage_start();
    return 0;
}

static int close_all(void **state)
{
    const char *rm[] = { "/bin/rm", "-rf", scratch, NULL };
    assert_int_equal(it_run(NULL, rm, NULL, 0, 20000), 0);
    return slot_stage_close(state);
}

/* So that src has the slots. */
static void turn_round(void)
{
    char node[16];
    const int port = stage.src_port;
    if (slot_stage_owner(stage.slot[0]) != stage.dst_port)
        return;
    memcpy(node, stage.src, sizeof node);
    memcpy(stage.src, stage.dst, sizeof node);
    memcpy(stage.dst, node, sizeof node);
    stage.src_port = stage.dst_port;
    stage.dst_port = port;
}

/* From whoever has the slots to the other. Returns once the worker runs. */
static void begin_moving(bool told)
{
    turn_round();
    stage.cfg.dr = told;
    stage.plan++;
    atomic_store(&stage.stop, REBALANCE_RUN_ON);
    slot_stage_plan("planned");
    slot_stage_start();
}

static void await_moved(void)
{
    slot_stage_join();
    if (stage.run.fatal.code != PR_OK)
        fail_msg("the wave failed: %s", stage.run.fatal.text);
    assert_int_equal(slot_stage_count("verified"), STAGE_SLOTS);
}

/* Containers of the shard that takes the slots stay away. */
static void hold_back_taker(void)
{
    char rule[64];
    (void)snprintf(rule, sizeof rule, "slowdown method=PUT path=/log/g%u/", group_of(stage.dst));
    it_proxy_rules(&proxy, rule);
}

struct seen {
    unsigned version, copies;
};

static void look_at_shard(const struct at *at, const char *dir, struct seen *seen)
{
    pid_t pid;
    const int port = dr_stage_serve(dir, at->shard, &pid);
    redisContext *c = redisConnect("127.0.0.1", port);
    assert_non_null(c);
    for (int k = 0; k < KEYS; k++)
        redisAppendCommand(c, "GET %s", ledger.key[k]);
    for (int k = 0; k < KEYS; k++) {
        void *reply = NULL;
        assert_int_equal(redisGetReply(c, &reply), REDIS_OK);
        const redisReply *r = reply;
        if (r->type == REDIS_REPLY_STRING) {
            seen[k].copies++;
            seen[k].version = (unsigned)strtoul(r->str, NULL, 10);
        }
        freeReplyObject(reply);
    }
    redisFree(c);
    (void)it_stop(pid);
}

/* What is restored, up to a time or all, of what was promised. Returns how many keys lack that. */
static unsigned restore_and_count(int64_t until_ms, const unsigned *want)
{
    static unsigned number;
    static struct seen seen[KEYS];
    char program[4096], dir[96], until[24];
    unsigned lost = 0, promised = 0, twice = 0;
    memset(seen, 0, sizeof seen);
    (void)snprintf(program, sizeof program, "%s/prism-dr", PRISM_BIN_DIR);
    (void)snprintf(dir, sizeof dir, "%s/%u", scratch, ++number);
    (void)snprintf(until, sizeof until, "%lld", (long long)until_ms);
    const char *argv[] = { program,
                           "restore-cluster",
                           "--into",
                           dir,
                           "--partitions",
                           "4096",
                           until_ms > 0 ? "--until" : NULL,
                           until,
                           NULL };
    if (it_run(dr.env, argv, out, sizeof out, DR_AWAIT_MS) != 0)
        fail_msg("restore-cluster: %s", out);
    for (size_t i = 0; i < ledger.primaries; i++)
        look_at_shard(&ledger.at[i], dir, seen);
    for (int k = 0; k < KEYS; k++) {
        promised += want[k] > 0;
        lost += seen[k].version < want[k];
        twice += seen[k].copies > 1;
    }
    print_message("  %u keys promised, %u lost, %u twice\n", promised, lost, twice);
    assert_int_equal(twice, 0);
    return lost;
}

static void lose_region(void)
{
    it_kill(dr.dr.pid);
    if (second.pid != 0)
        it_kill(second.pid);
    second.pid = 0;
    ledger_stop();
}

static void lease_sql(const char *set)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql, "UPDATE leases SET %s WHERE name = 'dr-g%u'", set,
                   group_of(stage.dst));
    it_sql(dr.uri, sql, NULL, 0);
}

static bool second_leads(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM leases WHERE name = 'dr-g%u' AND holder LIKE "
                           "'%%-%d'",
                           group_of(stage.dst), (int)second.pid) == 1;
}

/* So that giver and taker are led by two replicas. Somebody else has the lease for a moment; the
 * first replica sleeps when that one lets go. */
static void split_leaders(void)
{
    it_service(&second, "dr", dr.uri, dr.env);
    lease_sql("holder = 'nobody', epoch = epoch + 1, "
              "expires_at = clock_timestamp() + interval '1200 ms'");
    (void)usleep(800000); /* it has asked once, and knows that it does not lead */
    assert_int_equal(kill(dr.dr.pid, SIGSTOP), 0);
    const bool leads = it_await(second_leads, NULL, 1800); /* its other leases last 2 s */
    assert_int_equal(kill(dr.dr.pid, SIGCONT), 0);
    assert_true(leads);
    dr_stage_await_streaming();
}

/* The slots must be all at one side for the next test. */
static void recover(void)
{
    it_proxy_rules(&proxy, "");
    dr_stage_start();
    if (stage.worker_runs)
        await_moved();
    dr_stage_await_durable();
}

static bool none_gives(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM dr_gives") == 0;
}

/* --- the tests -----------------------------------------------------------------------------------
 */

static bool giver_is_ahead(void *ctx)
{
    char shard[64];
    shard_of(ctx, shard);
    return dr_stage_number("SELECT (durable_offset >= seen_offset - 500)::int FROM dr_shards "
                           "WHERE shard_id = '%s'",
                           shard) == 1;
}

static void without_being_told_dr_loses_keys(void **state)
{
    (void)state;
    turn_round(); /* so that it is known who takes */
    ledger_start();
    assert_true(it_await(all_promised, NULL, DR_AWAIT_MS));
    hold_back_taker();
    const int64_t begun_us = pr_mono_us();
    begin_moving(false);
    await_moved();
    print_message("  %d keys moved in %lld ms\n", KEYS,
                  (long long)(pr_mono_us() - begun_us) / 1000);
    assert_true(it_await(giver_is_ahead, stage.src, DR_AWAIT_MS));
    lose_region();
    assert_true(restore_and_count(0, ledger.promised) > 0);
    memset(ledger.promised, 0, sizeof ledger.promised);
    recover();
}

static bool says_why(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM dr_shards WHERE 'taker' = ANY (alarms) AND "
                           "error LIKE 'waits until shard %%'") == 1;
}

static void a_giver_waits_for_its_taker(void **state)
{
    (void)state;
    turn_round(); /* so that it is known who takes */
    ledger_start();
    assert_true(it_await(all_promised, NULL, DR_AWAIT_MS));
    hold_back_taker();
    const int64_t begun_us = pr_mono_us();
    begin_moving(true);
    await_moved();
    print_message("  %d keys moved in %lld ms\n", KEYS,
                  (long long)(pr_mono_us() - begun_us) / 1000);
    assert_int_equal(dr_stage_number("SELECT count(*) FROM dr_gives"), 1); /* asked once a pair */
    assert_true(it_await(says_why, NULL, DR_AWAIT_MS));
    assert_false(none_gives(NULL)); /* it is over, but not durable */
    lose_region();
    assert_int_equal(restore_and_count(0, ledger.promised), 0);
    recover();
    if (!it_await(none_gives, NULL, DR_AWAIT_MS))
        fail_msg("a give is never forgotten");
    dr_stage_await_durable();
}

/* Back and forth; the other way round has to wait until this one is durable. */
static void lose_it_anywhere(uint64_t seed)
{
    struct pr_rng rng;
    pr_rng_init(&rng, seed);
    if (seed % 2 == 0) {
        turn_round();
        split_leaders();
    }
    ledger_start();
    const unsigned long promises = ledger.promises;
    const int64_t lost_us = pr_mono_us() + 300000 + (int64_t)pr_rng_below(&rng, 7000000);
    const int64_t note_us = pr_mono_us() + (int64_t)pr_rng_below(&rng, 3000000);
    const int64_t held_us = pr_mono_us() + (int64_t)pr_rng_below(&rng, 3000000);
    const int64_t freed_us = held_us + (int64_t)pr_rng_below(&rng, 2000000);
    bool held = false, freed = false, noted = false;
    unsigned waves = 0;
    begin_moving(true);
    while (pr_mono_us() < lost_us) {
        if (!noted && pr_mono_us() >= note_us) {
            atomic_store(&ledger.note, true);
            noted = true;
        } else if (!held && pr_mono_us() >= held_us) {
            hold_back_taker();
            held = true;
        } else if (!freed && pr_mono_us() >= freed_us) {
            it_proxy_rules(&proxy, "");
            freed = true;
        } else if (atomic_load(&stage.run.workers_left) == 0) {
            await_moved();
            waves++;
            begin_moving(true);
        }
        (void)usleep(5000); /* as long as this takes is random anyway */
    }
    lose_region();
    print_message("  seed %llu: %s, %u waves, %lu writes, %lu promises\n", (unsigned long long)seed,
                  seed % 2 == 0 ? "two leaders" : "one leader", waves, ledger.writes,
                  ledger.promises - promises);
    const unsigned lost = restore_and_count(0, ledger.promised);
    if (lost > 0)
        fail_msg("seed %llu: %u keys lack what was said to be durable", (unsigned long long)seed,
                 lost);
    if (ledger.then_ms > 0 && restore_and_count(ledger.then_ms, ledger.then) > 0)
        fail_msg("seed %llu: at %lld something was durable that is not there for that time",
                 (unsigned long long)seed, (long long)ledger.then_ms);
    recover();
}

static void the_region_is_lost_at_any_moment(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++)
        lose_it_anywhere(seed);
    if (!it_await(none_gives, NULL, DR_AWAIT_MS))
        fail_msg("a give is never forgotten");
}

static long long stale_row(const char *state)
{
    char sql[400], id[24];
    (void)snprintf(sql, sizeof sql,
                   "WITH p AS (INSERT INTO plans (operation_id, kind, goal, state, created_by) "
                   "VALUES (gen_random_uuid(), 'fleet', '{\"kind\": \"balance\"}', '%s', 'it') "
                   "RETURNING id) INSERT INTO dr_gives (plan_id, giver, taker, slots) "
                   "SELECT id, '%s', '%s', decode(repeat('00', 2048), 'hex') FROM p RETURNING id",
                   state, stage.src, stage.dst);
    it_sql(dr.uri, sql, id, sizeof id);
    return strtoll(id, NULL, 10);
}

static long long open_rows(long long id)
{
    return dr_stage_number("SELECT count(*) FROM dr_gives WHERE id = %lld AND NOT ended", id);
}

static void sweep(void)
{
    struct pr_err err;
    if (rebalance_gives_sweep(stage.db, &err) != PR_OK)
        fail_msg("%s", err.text);
}

/* Whoever moved was killed before it said that it is over. */
static void a_plan_that_is_over_ties_nobody(void **state)
{
    (void)state;
    const long long done = stale_row("failed"), runs = stale_row("running");
    sweep();
    assert_int_equal(dr_stage_number("SELECT count(*) FROM dr_gives WHERE id = %lld", runs), 1);
    assert_int_equal(open_rows(done), 0);
    assert_int_equal(open_rows(runs), 1);
    it_sql(dr.uri, "UPDATE plans SET state = 'canceled' WHERE state = 'running'", NULL, 0);
    sweep();
    assert_int_equal(open_rows(runs), 0);
    if (!it_await(none_gives, NULL, DR_AWAIT_MS))
        fail_msg("a give of a plan that is over is never forgotten");
}

int main(int argc, char **argv)
{
    if (argc > 1) /* a pattern: those alone */
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_being_told_dr_loses_keys),
        cmocka_unit_test(a_giver_waits_for_its_taker),
        cmocka_unit_test(a_plan_that_is_over_ties_nobody),
        cmocka_unit_test(the_region_is_lost_at_any_moment),
    };
    return cmocka_run_group_tests_name("dr slots", tests, open_all, close_all);
}
