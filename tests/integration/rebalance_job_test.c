/* Slots that a server moves itself, with two shards that are stood in for: what Valkey 9
 * and Redis 8.4 answer, and what is done when they fail, lie, die or are told otherwise.
 * The worker, its rows and PostgreSQL are the real ones. */
#include "fake_pair.h"
#include "rebalance_slot_stage.h"

#include "core/slot/job.h"

#include "prism/io/clock.h"
#include "prism/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOT = 100, KEYS = 5 };

static char seeds[128];

static void set(const char *sql)
{
    char cell[8];
    it_sql(stage.uri, sql, cell, sizeof cell);
}

static void register_nodes(void)
{
    char sql[512];
    set("DELETE FROM nodes; DELETE FROM shards; INSERT INTO zones (id) VALUES ('a') ON CONFLICT DO "
        "NOTHING");
    for (int n = 0; n < FAKE_NODES; n++) {
        snprintf(sql, sizeof sql,
                 "INSERT INTO nodes (id, host, port, zone_id, redis_id, shard_id, role, state) "
                 "VALUES ('f%d', '127.0.0.1', %d, 'a', '%s', 's%d', '%s', 'up')",
                 n, fake_port(n), fake_id(n), n % 2, n < 2 ? "primary" : "replica");
        set(sql);
    }
}

static void begin(enum fake_server source, enum fake_server target)
{
    fake_pair_open(source, target);
    register_nodes();
    snprintf(seeds, sizeof seeds, "127.0.0.1:%d,127.0.0.1:%d", fake_port(0), fake_port(1));
    stage.seeds = seeds;
    snprintf(stage.src, sizeof stage.src, "f%d", FAKE_SOURCE);
    snprintf(stage.dst, sizeof stage.dst, "f%d", FAKE_TARGET);
    for (int i = 0; i < STAGE_SLOTS; i++)
        stage.slot[i] = FIRST_SLOT + (i < 6 ? i : 2 * i); /* a range, and single ones */
    stage.plan++;
    stage.cfg.slot_atomic = true;
    pr_metrics_free(stage.metrics);
    stage.metrics = pr_metrics_new(rebalance_metric_rows, REBALANCE_METRICS);
    atomic_store(&stage.stop, REBALANCE_RUN_ON);
    atomic_store(&stage.roll_back, false);
    slot_stage_plan("planned");
}

static int end(void **state)
{
    (void)state;
    assert_int_equal(fake_unknown(), 0);
    fake_pair_close();
    return 0;
}

static void load(void)
{
    for (int i = 0; i < STAGE_SLOTS; i++)
        fake_keys(stage.slot[i], KEYS);
}

static double moved(const char *path)
{
    return pr_metrics_get(stage.metrics, M_SLOTS_MOVED, path);
}

static void assert_all(const char *path, int owner)
{
    char sql[200];
    assert_int_equal(slot_stage_count("verified"), STAGE_SLOTS);
    assert_int_equal((int)moved(path), STAGE_SLOTS);
    for (int i = 0; i < STAGE_SLOTS; i++)
        assert_int_equal(fake_owner(stage.slot[i]), owner);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM steps WHERE plan_id = $ AND atomic = %s",
             strcmp(path, "atomic") == 0 ? "true" : "false");
    assert_int_equal(slot_stage_number(sql), STAGE_SLOTS);
    assert_int_equal(slot_stage_number("SELECT count(*) FROM slot_history WHERE plan_id = $ AND "
                                       "from_shard = 's0' AND to_shard = 's1'"),
                     STAGE_SLOTS);
    assert_true(fake_most_at_once() <= 1); /* never a second beside one that runs */
}

static bool job_runs(void *ctx)
{
    (void)ctx;
    return fake_runs();
}

static void start_and_await_job(void)
{
    fake_fault(FAKE_HANGS, -1);
    slot_stage_start();
    assert_true(it_await(job_runs, NULL, 10000));
}

static bool asked_more(void *ctx)
{
    return fake_asked() > *(unsigned *)ctx;
}

/* So many looks later: what was to be done wrongly would have been done. */
static void await_looks(unsigned n)
{
    unsigned until = fake_asked() + n;
    assert_true(it_await(asked_more, &until, 10000));
}

/* The run's words, until they hold `words`. */
static bool run_says(void *words)
{
    char says[300];
    rebalance_slot_run_says(&stage.run, says, sizeof says);
    for (size_t i = 0, n = strlen(says), k; i < n; i += k)
        if ((k = pr_utf8_length(says + i, n - i)) == 0)
            fail_msg("no text: %s", says);
    return strstr(says, words) != NULL;
}

static void assert_says(const char *words)
{
    if (!it_await(run_says, (void *)(uintptr_t)words, 10000))
        fail_msg("nobody says '%s'", words);
}

static bool one_is_done(void *ctx)
{
    (void)ctx;
    return atomic_load(&stage.run.verified) == 1;
}

static bool rate_fell(void *ctx)
{
    (void)ctx;
    const double rate = pr_metrics_get(stage.metrics, M_SLOT_RATE, NULL);
    return rate > 0 && rate < 0.6; /* 0: not measured yet */
}

static bool holds(void *ctx)
{
    (void)ctx;
    return atomic_load(&stage.run.holding) == 1;
}

/* --- all is well ---------------------------------------------------------- */

static const enum fake_server BOTH[] = { FAKE_VALKEY9, FAKE_REDIS84 };
#define EACH(s) for (size_t s_ = 0; s_ < PR_COUNT(BOTH) && ((s) = BOTH[s_], true); s_++)

static void slots_move_by_one_job(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        begin(s, s);
        load();
        slot_stage_move();
        assert_all("atomic", FAKE_TARGET);
        assert_int_equal(fake_started(), 1);
        assert_int_equal(fake_setslots(), 0);
        assert_int_equal(slot_stage_number("SELECT sum(moved_keys) FROM steps WHERE plan_id = $"),
                         STAGE_SLOTS * KEYS);
        end(state);
    }
}

static void three_to_a_gigabyte(void)
{
    char sql[200];
    snprintf(sql, sizeof sql, "UPDATE steps SET bytes = 300000000 WHERE plan_id = %lld",
             (long long)stage.plan);
    set(sql);
}

static void a_job_is_short(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        begin(s, s);
        three_to_a_gigabyte();
        slot_stage_move();
        assert_all("atomic", FAKE_TARGET);
        assert_int_equal(fake_started(), STAGE_SLOTS / 3);
        end(state);
    }
}

static void a_shard_gives_its_last_slots(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        begin(s, s);
        load();
        fake_own_only(stage.slot, STAGE_SLOTS);
        slot_stage_move();
        assert_all("atomic", FAKE_TARGET);
        assert_int_equal(fake_started(), 1);
        end(state);
    }
}

/* --- not offered ---------------------------------------------------------- */

static void migrate_goes_on_where_a_side_does_not_offer_it(void **state)
{
    static const enum fake_server row[][2] = { { FAKE_VALKEY9, FAKE_REDIS7 },
                                               { FAKE_REDIS7, FAKE_VALKEY9 },
                                               { FAKE_REDIS84, FAKE_REDIS7 },
                                               { FAKE_REDIS84, FAKE_VALKEY9 },
                                               { FAKE_REDIS7, FAKE_REDIS7 } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        begin(row[i][0], row[i][1]);
        slot_stage_move();
        assert_all("migrate", FAKE_TARGET);
        assert_int_equal(fake_started(), 0);
        assert_true(fake_setslots() >= 3 * STAGE_SLOTS);
        end(state);
    }
}

static void migrate_goes_on_where_the_setting_says_so(void **state)
{
    begin(FAKE_VALKEY9, FAKE_VALKEY9);
    stage.cfg.slot_atomic = false;
    slot_stage_move();
    assert_all("migrate", FAKE_TARGET);
    assert_int_equal(fake_started(), 0);
    end(state);
}

/* --- it fails ---------------------------------------------------------- */

/* What is asked of the server, and who moves the slots in the end; [0] Valkey, [1] Redis. */
static void a_job_that_fails_is_tried_again_and_then_left(void **state)
{
    enum { ALL = REBALANCE_JOB_ATTEMPTS };
    static const struct {
        enum fake_fault fault;
        int times;
        const char *path;
        unsigned starts[2], cancels[2];
    } row[] = {
        { FAKE_FORBIDS, -1, "migrate", { 0, 0 }, { 0, 0 } },
        { FAKE_FORBIDS, 3, "atomic", { 1, 1 }, { 0, 0 } }, /* our user was being made anew */
        { FAKE_MUTE, 1, "atomic", { 1, 1 }, { 0, 0 } },
        { FAKE_REFUSES, 1, "atomic", { 2, 2 }, { 0, 0 } },
        { FAKE_REFUSES, -1, "migrate", { ALL, ALL }, { 0, 0 } },
        { FAKE_FAILS, 1, "atomic", { 2, 1 }, { 0, 0 } },         /* Redis begins it anew itself, */
        { FAKE_FAILS, -1, "migrate", { ALL, ALL }, { 0, ALL } }, /* and would beside MIGRATE */
        { FAKE_LIES, 1, "atomic", { 2, 2 }, { 0, 0 } },
        { FAKE_LIES, -1, "migrate", { ALL, ALL }, { 0, 0 } },
        { FAKE_DEAF, 1, "atomic", { 1, 1 }, { 0, 0 } }, /* it had begun */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        for (size_t s = 0; s < PR_COUNT(BOTH); s++) {
            begin(BOTH[s], BOTH[s]);
            if (strcmp(row[i].path, "atomic") == 0)
                load();
            fake_fault(row[i].fault, row[i].times);
            slot_stage_move();
            assert_all(row[i].path, FAKE_TARGET);
            assert_int_equal(fake_started(), row[i].starts[s]);
            assert_int_equal(fake_canceled(), row[i].cancels[s]);
            assert_false(fake_runs());
            end(state);
        }
}

static void nothing_is_done_before_both_sides_say_so(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        begin(s, s);
        load();
        fake_gossip(false);
        slot_stage_start();
        await_looks(12); /* the target took over after four */
        assert_false(fake_runs());
        assert_int_equal(slot_stage_count("verified"), 0);
        fake_gossip(true);
        slot_stage_join();
        assert_all("atomic", FAKE_TARGET);
        assert_int_equal(fake_started(), 1);
        end(state);
    }
}

/* --- somebody dies ---------------------------------------------------------- */

static void fails_over(int node)
{
    enum fake_server s;
    EACH(s)
    {
        begin(s, s);
        load();
        start_and_await_job();
        fake_fail_over(node);
        fake_fault(FAKE_NO_FAULT, 0);
        await_looks(4);
        if (node == FAKE_TARGET) { /* what arrives would be on one node only */
            assert_int_equal(fake_started(), 1);
            assert_int_equal(slot_stage_count("verified"), 0);
        }
        fake_return(node);
        slot_stage_join();
        assert_int_equal(stage.run.fatal.code, PR_OK);
        assert_all("atomic", node == FAKE_TARGET ? FAKE_TARGET_REPLICA : FAKE_TARGET);
        assert_int_equal(fake_setslots(), 0);
        end(NULL);
    }
}

static void source_fails_over(void **state)
{
    (void)state;
    fails_over(FAKE_SOURCE);
}

static void target_fails_over(void **state)
{
    (void)state;
    fails_over(FAKE_TARGET);
}

static void who_takes_over_finds_the_job(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        begin(s, s);
        load();
        start_and_await_job();
        atomic_store(&stage.stop, REBALANCE_ABANDON); /* as when the lease is lost */
        slot_stage_join();
        assert_int_equal(slot_stage_count("handoff"), STAGE_SLOTS);
        assert_int_equal(
            slot_stage_number("SELECT count(*) FROM steps WHERE plan_id = $ AND atomic"),
            STAGE_SLOTS);
        assert_true(fake_runs());
        atomic_store(&stage.stop, REBALANCE_RUN_ON);
        slot_stage_start();
        await_looks(4);
        fake_fault(FAKE_NO_FAULT, 0);
        slot_stage_join();
        assert_all("atomic", FAKE_TARGET);
        assert_int_equal(fake_started(), 1);
        end(state);
    }
}

static void who_takes_over_begins_anew_what_came_to_nothing(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        begin(s, s);
        load();
        start_and_await_job();
        atomic_store(&stage.stop, REBALANCE_ABANDON);
        slot_stage_join();
        fake_cancel_by_hand(); /* nobody of ours saw it end */
        fake_fault(FAKE_NO_FAULT, 0);
        atomic_store(&stage.stop, REBALANCE_RUN_ON);
        slot_stage_move();
        assert_all("atomic", FAKE_TARGET);
        assert_int_equal(fake_started(), 2);
        end(state);
    }
}

/* --- somebody wants it otherwise ---------------------------------------------- */

static void a_job_that_somebody_cancels_is_left_to_a_person(void **state)
{
    enum fake_server s;
    char sql[200];
    EACH(s)
    {
        begin(s, s);
        load();
        start_and_await_job();
        fake_cancel_by_hand();
        slot_stage_join();
        assert_int_equal(slot_stage_count("stuck"), STAGE_SLOTS);
        assert_int_equal(fake_started(), 1);
        assert_int_equal(fake_setslots(), 0);
        assert_non_null(strstr(stage.run.stuck_why, "somebody canceled"));
        /* As the plan's resumption does. */
        snprintf(sql, sizeof sql,
                 "UPDATE steps SET state = 'draining', error = NULL WHERE plan_id = %lld",
                 (long long)stage.plan);
        set(sql);
        fake_fault(FAKE_NO_FAULT, 0);
        slot_stage_move();
        assert_all("atomic", FAKE_TARGET);
        end(state);
    }
}

static void a_stuck_job_is_taken_back_with_its_plan(void **state)
{
    (void)state;
    begin(FAKE_VALKEY9, FAKE_VALKEY9);
    start_and_await_job();
    fake_cancel_by_hand();
    slot_stage_join();
    assert_int_equal(slot_stage_count("stuck"), STAGE_SLOTS);
    atomic_store(&stage.stop, REBALANCE_FINISH);
    atomic_store(&stage.roll_back, true);
    slot_stage_move();
    assert_int_equal(slot_stage_count("rolled_back"), STAGE_SLOTS);
    assert_int_equal(fake_started(), 1);
    end(state);
}

static void a_pause_cancels_the_job_within_a_second(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        begin(s, s);
        load();
        start_and_await_job();
        const int64_t told_us = pr_mono_us();
        atomic_store(&stage.stop, REBALANCE_FINISH);
        slot_stage_join();
        assert_true(pr_mono_us() - told_us < 1000000);
        assert_int_equal(fake_canceled(), 1);
        assert_false(fake_runs());
        assert_int_equal(slot_stage_count("planned"), STAGE_SLOTS);
        assert_int_equal(fake_owner(stage.slot[0]), FAKE_SOURCE);
        fake_fault(FAKE_NO_FAULT, 0);
        atomic_store(&stage.stop, REBALANCE_RUN_ON);
        slot_stage_move();
        assert_all("atomic", FAKE_TARGET);
        end(state);
    }
}

static void a_canceled_plan_takes_its_job_back(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        begin(s, s);
        load();
        start_and_await_job();
        atomic_store(&stage.roll_back, true);
        atomic_store(&stage.stop, REBALANCE_FINISH);
        slot_stage_join();
        assert_int_equal(fake_canceled(), 1);
        assert_false(fake_runs());
        assert_int_equal(slot_stage_count("rolled_back"), STAGE_SLOTS);
        end(state);
    }
}

static void another_job_is_waited_for(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        begin(s, s);
        load();
        fake_fault(FAKE_HANGS, -1);
        fake_job_by_hand(5000, 5001);
        slot_stage_start();
        await_looks(4);
        assert_int_equal(fake_started(), 0);
        assert_int_equal(fake_setslots(), 0);
        fake_fault(FAKE_NO_FAULT, 0);
        slot_stage_join();
        assert_all("atomic", FAKE_TARGET);
        assert_int_equal(fake_owner(5001), FAKE_TARGET);
        assert_int_equal(fake_canceled(), 0);
        end(state);
    }
}

/* Its state is on two nodes only, and dies with either. */
static void an_open_slot_waits_for_no_job(void **state)
{
    enum fake_server s;
    char sql[200];
    for (int failed = 0; failed < 2; failed++)
        EACH(s)
        {
            begin(s, s);
            stage.cfg.slot_atomic = false;
            fake_fault(FAKE_HANGS, -1);
            fake_job_by_hand(5000, 5001);
            fake_open(stage.slot[0]);
            snprintf(sql, sizeof sql,
                     "UPDATE steps SET state = 'draining' WHERE plan_id = %lld AND step = 1",
                     (long long)stage.plan);
            set(sql);
            if (failed) {
                fake_fail_over(FAKE_TARGET);
                fake_return(FAKE_TARGET);
                fake_job_by_hand(5000, 5001);
            }
            slot_stage_start();
            assert_true(it_await(one_is_done, NULL, 10000));
            assert_says("a job that is not ours");
            assert_int_equal(slot_stage_count("verified"), 1);
            assert_int_equal(slot_stage_count("planned"), STAGE_SLOTS - 1);
            assert_true(fake_runs());
            fake_fault(FAKE_NO_FAULT, 0);
            slot_stage_join();
            assert_all("migrate", failed ? FAKE_TARGET_REPLICA : FAKE_TARGET);
            end(state);
        }
}

static void a_canceled_plan_waits_for_nobodys_job(void **state)
{
    (void)state;
    begin(FAKE_VALKEY9, FAKE_VALKEY9);
    fake_fault(FAKE_HANGS, -1);
    fake_job_by_hand(5000, 5001);
    slot_stage_start();
    assert_says("a job that is not ours");
    atomic_store(&stage.roll_back, true);
    atomic_store(&stage.stop, REBALANCE_FINISH);
    slot_stage_join();
    assert_int_equal(slot_stage_count("planned"), STAGE_SLOTS);
    end(NULL);
}

/* Whoever waits with rows that say that a job may run stays with it, as with an open slot. */
static void a_paused_job_is_held(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        begin(s, s);
        load();
        fake_gossip(false);
        slot_stage_start();
        await_looks(8); /* it landed, and the source has not heard */
        atomic_store(&stage.stop, REBALANCE_FINISH);
        assert_true(it_await(holds, NULL, 5000));
        await_looks(3);
        assert_int_equal(atomic_load(&stage.run.workers_left), 1);
        assert_int_equal(slot_stage_count("handoff"), STAGE_SLOTS);
        fake_gossip(true); /* what needs no command of ours goes on */
        slot_stage_join();
        assert_int_equal(atomic_load(&stage.run.holding), 0);
        assert_all("atomic", FAKE_TARGET);
        end(state);
    }
}

/* That it was canceled is told of an earlier job, or of one that we told to end. */
static void our_own_cancel_is_nobody_elses(void **state)
{
    static const enum fake_cancels how[] = { FAKE_OBEYS, FAKE_HANGS_UP, FAKE_IGNORES,
                                             FAKE_FORGETS };
    enum fake_server s;
    for (size_t i = 0; i < PR_COUNT(how); i++)
        EACH(s)
        {
            begin(s, s);
            load();
            start_and_await_job();
            fake_next_cancel(how[i]);
            atomic_store(&stage.stop, REBALANCE_FINISH);
            slot_stage_join();
            assert_int_equal(slot_stage_count("planned"), STAGE_SLOTS);
            assert_int_equal(fake_canceled(), how[i] >= FAKE_IGNORES ? 2 : 1);
            fake_fault(FAKE_REFUSES, 1); /* the newest entry is still the canceled one */
            atomic_store(&stage.stop, REBALANCE_RUN_ON);
            slot_stage_move();
            assert_all("atomic", FAKE_TARGET);
            assert_int_equal(fake_started(), 3);
            end(state);
        }
}

/* Valkey takes all of a node's jobs back, or none. */
static void nobody_elses_job_is_canceled_with_ours(void **state)
{
    begin(FAKE_VALKEY9, FAKE_VALKEY9);
    load();
    start_and_await_job();
    fake_job_by_hand(5000, 5001);
    atomic_store(&stage.stop, REBALANCE_FINISH);
    assert_says("somebody else's job would be canceled with it");
    assert_true(it_await(holds, NULL, 5000));
    assert_int_equal(fake_canceled(), 0);
    fake_fault(FAKE_NO_FAULT, 0);
    slot_stage_join();
    assert_int_equal(slot_stage_count("verified"), STAGE_SLOTS);
    assert_int_equal(fake_canceled(), 0);
    end(state);
}

static bool a_write_waits(void *ctx)
{
    (void)ctx;
    return slot_stage_number("SELECT count(*) FROM pg_locks WHERE NOT granted") > 0;
}

/* The plan is resumed between the end of a job and the word of it in the rows. */
static void a_short_pause_changes_no_path(void **state)
{
    enum fake_server s;
    char sql[200];
    EACH(s)
    {
        struct pr_db *db = NULL;
        struct pr_err err = { 0 };
        begin(s, s);
        load();
        start_and_await_job();
        snprintf(sql, sizeof sql, "SELECT FROM steps WHERE plan_id = %lld FOR UPDATE",
                 (long long)stage.plan);
        assert_ok(pr_db_open(&db, stage.uri, "test", &err), &err);
        assert_ok(pr_db_exec(db, "BEGIN", NULL, 0, NULL, &err), &err);
        assert_ok(pr_db_exec(db, sql, NULL, 0, NULL, &err), &err);
        atomic_store(&stage.stop, REBALANCE_FINISH);
        assert_true(it_await(a_write_waits, NULL, 10000));
        fake_fault(FAKE_NO_FAULT, 0);
        atomic_store(&stage.stop, REBALANCE_RUN_ON);
        assert_ok(pr_db_exec(db, "COMMIT", NULL, 0, NULL, &err), &err);
        pr_db_close(db);
        slot_stage_join();
        assert_all("atomic", FAKE_TARGET);
        assert_int_equal(fake_canceled(), 1);
        end(state);
    }
}

static void a_target_that_is_no_more_needs_a_person(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        begin(s, s);
        load();
        start_and_await_job();
        fake_dissolve(FAKE_TARGET);
        slot_stage_join();
        assert_int_equal(slot_stage_count("stuck"), STAGE_SLOTS);
        assert_non_null(strstr(stage.run.stuck_why, "is no more"));
        end(state);
    }
}

static void jobs_of_a_busy_shard_are_further_apart(void **state)
{
    (void)state;
    begin(FAKE_VALKEY9, FAKE_VALKEY9);
    three_to_a_gigabyte();
    fake_busy(true);
    start_and_await_job();
    assert_true(it_await(rate_fell, NULL, 10000));
    fake_fault(FAKE_NO_FAULT, 0);
    assert_says("slowed down: cpu");
    fake_busy(false);
    slot_stage_join();
    assert_all("atomic", FAKE_TARGET);
    char says[300];
    rebalance_slot_run_says(&stage.run, says, sizeof says);
    assert_string_equal(says, "");
    end(NULL);
}

/* Only what is well-formed gets into messages and rows. */
static void what_a_server_says_is_mended(void **state)
{
    begin(FAKE_VALKEY9, FAKE_VALKEY9);
    load();
    fake_fault(FAKE_FAILS, 1);
    slot_stage_start();
    assert_says("Ran out of memory (OOM) ? during"); /* it is tried again in a second */
    slot_stage_join();
    assert_all("atomic", FAKE_TARGET);
    end(state);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_move_by_one_job),
        cmocka_unit_test(a_job_is_short),
        cmocka_unit_test(a_shard_gives_its_last_slots),
        cmocka_unit_test(migrate_goes_on_where_a_side_does_not_offer_it),
        cmocka_unit_test(migrate_goes_on_where_the_setting_says_so),
        cmocka_unit_test(a_job_that_fails_is_tried_again_and_then_left),
        cmocka_unit_test(nothing_is_done_before_both_sides_say_so),
        cmocka_unit_test(source_fails_over),
        cmocka_unit_test(target_fails_over),
        cmocka_unit_test(who_takes_over_finds_the_job),
        cmocka_unit_test(who_takes_over_begins_anew_what_came_to_nothing),
        cmocka_unit_test(a_job_that_somebody_cancels_is_left_to_a_person),
        cmocka_unit_test(a_stuck_job_is_taken_back_with_its_plan),
        cmocka_unit_test(a_pause_cancels_the_job_within_a_second),
        cmocka_unit_test(a_canceled_plan_takes_its_job_back),
        cmocka_unit_test(another_job_is_waited_for),
        cmocka_unit_test(an_open_slot_waits_for_no_job),
        cmocka_unit_test(a_canceled_plan_waits_for_nobodys_job),
        cmocka_unit_test(a_paused_job_is_held),
        cmocka_unit_test(our_own_cancel_is_nobody_elses),
        cmocka_unit_test(nobody_elses_job_is_canceled_with_ours),
        cmocka_unit_test(a_short_pause_changes_no_path),
        cmocka_unit_test(a_target_that_is_no_more_needs_a_person),
        cmocka_unit_test(jobs_of_a_busy_shard_are_further_apart),
        cmocka_unit_test(what_a_server_says_is_mended),
    };
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("rebalance_job", tests, slot_stage_open, slot_stage_close);
}
