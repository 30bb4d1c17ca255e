/* Slots that a server moves itself, when somebody wants it otherwise: pauses, cancels, other jobs,
 * a limit, a target that is gone. */
#include "rebalance_job_stage.h"

#include "prism/io/clock.h"
#include "prism/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- somebody wants it otherwise ---------------------------------------------- */

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

static void a_job_that_somebody_cancels_is_left_to_a_person(void **state)
{
    enum fake_server s;
    char sql[200];
    EACH(s)
    {
        job_begin(s, s);
        job_load();
        job_start_and_await();
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
        job_sql(sql);
        fake_fault(FAKE_NO_FAULT, 0);
        slot_stage_move();
        job_assert_all("atomic", FAKE_TARGET);
        job_end(state);
    }
}

static void a_stuck_job_is_taken_back_with_its_plan(void **state)
{
    (void)state;
    job_begin(FAKE_VALKEY9, FAKE_VALKEY9);
    job_start_and_await();
    fake_cancel_by_hand();
    slot_stage_join();
    assert_int_equal(slot_stage_count("stuck"), STAGE_SLOTS);
    atomic_store(&stage.stop, REBALANCE_FINISH);
    atomic_store(&stage.roll_back, true);
    slot_stage_move();
    assert_int_equal(slot_stage_count("rolled_back"), STAGE_SLOTS);
    assert_int_equal(fake_started(), 1);
    job_end(state);
}

static void a_pause_cancels_the_job_within_a_second(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        job_begin(s, s);
        job_load();
        job_start_and_await();
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
        job_assert_all("atomic", FAKE_TARGET);
        job_end(state);
    }
}

static void a_canceled_plan_takes_its_job_back(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        job_begin(s, s);
        job_load();
        job_start_and_await();
        atomic_store(&stage.roll_back, true);
        atomic_store(&stage.stop, REBALANCE_FINISH);
        slot_stage_join();
        assert_int_equal(fake_canceled(), 1);
        assert_false(fake_runs());
        assert_int_equal(slot_stage_count("rolled_back"), STAGE_SLOTS);
        job_end(state);
    }
}

static void another_job_is_waited_for(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        job_begin(s, s);
        job_load();
        fake_fault(FAKE_HANGS, -1);
        fake_job_by_hand(5000, 5001);
        slot_stage_start();
        job_await_looks(4);
        assert_int_equal(fake_started(), 0);
        assert_int_equal(fake_setslots(), 0);
        fake_fault(FAKE_NO_FAULT, 0);
        slot_stage_join();
        job_assert_all("atomic", FAKE_TARGET);
        assert_int_equal(fake_owner(5001), FAKE_TARGET);
        assert_int_equal(fake_canceled(), 0);
        job_end(state);
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
            job_begin(s, s);
            stage.cfg.slot_atomic = false;
            fake_fault(FAKE_HANGS, -1);
            fake_job_by_hand(5000, 5001);
            fake_open(stage.slot[0]);
            snprintf(sql, sizeof sql,
                     "UPDATE steps SET state = 'draining' WHERE plan_id = %lld AND step = 1",
                     (long long)stage.plan);
            job_sql(sql);
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
            job_assert_all("migrate", failed ? FAKE_TARGET_REPLICA : FAKE_TARGET);
            job_end(state);
        }
}

static void a_canceled_plan_waits_for_nobodys_job(void **state)
{
    (void)state;
    job_begin(FAKE_VALKEY9, FAKE_VALKEY9);
    fake_fault(FAKE_HANGS, -1);
    fake_job_by_hand(5000, 5001);
    slot_stage_start();
    assert_says("a job that is not ours");
    atomic_store(&stage.roll_back, true);
    atomic_store(&stage.stop, REBALANCE_FINISH);
    slot_stage_join();
    assert_int_equal(slot_stage_count("planned"), STAGE_SLOTS);
    job_end(NULL);
}

/* Whoever waits with rows that say that a job may run stays with it, as with an open slot. */
static void a_paused_job_is_held(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        job_begin(s, s);
        job_load();
        fake_gossip(false);
        slot_stage_start();
        job_await_looks(8); /* it landed, and the source has not heard */
        atomic_store(&stage.stop, REBALANCE_FINISH);
        assert_true(it_await(holds, NULL, 5000));
        job_await_looks(3);
        assert_int_equal(atomic_load(&stage.run.workers_left), 1);
        assert_int_equal(slot_stage_count("handoff"), STAGE_SLOTS);
        fake_gossip(true); /* what needs no command of ours goes on */
        slot_stage_join();
        assert_int_equal(atomic_load(&stage.run.holding), 0);
        job_assert_all("atomic", FAKE_TARGET);
        job_end(state);
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
            job_begin(s, s);
            job_load();
            job_start_and_await();
            fake_next_cancel(how[i]);
            atomic_store(&stage.stop, REBALANCE_FINISH);
            slot_stage_join();
            assert_int_equal(slot_stage_count("planned"), STAGE_SLOTS);
            assert_int_equal(fake_canceled(), how[i] >= FAKE_IGNORES ? 2 : 1);
            fake_fault(FAKE_REFUSES, 1); /* the newest entry is still the canceled one */
            atomic_store(&stage.stop, REBALANCE_RUN_ON);
            slot_stage_move();
            job_assert_all("atomic", FAKE_TARGET);
            assert_int_equal(fake_started(), 3);
            job_end(state);
        }
}

/* Valkey takes all of a node's jobs back, or none. */
static void nobody_elses_job_is_canceled_with_ours(void **state)
{
    job_begin(FAKE_VALKEY9, FAKE_VALKEY9);
    job_load();
    job_start_and_await();
    fake_job_by_hand(5000, 5001);
    atomic_store(&stage.stop, REBALANCE_FINISH);
    assert_says("somebody else's job would be canceled with it");
    assert_true(it_await(holds, NULL, 5000));
    assert_int_equal(fake_canceled(), 0);
    fake_fault(FAKE_NO_FAULT, 0);
    slot_stage_join();
    assert_int_equal(slot_stage_count("verified"), STAGE_SLOTS);
    assert_int_equal(fake_canceled(), 0);
    job_end(state);
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
        job_begin(s, s);
        job_load();
        job_start_and_await();
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
        job_assert_all("atomic", FAKE_TARGET);
        assert_int_equal(fake_canceled(), 1);
        job_end(state);
    }
}

static void a_target_that_is_no_more_needs_a_person(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        job_begin(s, s);
        job_load();
        job_start_and_await();
        fake_dissolve(FAKE_TARGET);
        slot_stage_join();
        assert_int_equal(slot_stage_count("stuck"), STAGE_SLOTS);
        assert_non_null(strstr(stage.run.stuck_why, "is no more"));
        job_end(state);
    }
}

static void jobs_of_a_busy_shard_are_further_apart(void **state)
{
    (void)state;
    job_begin(FAKE_VALKEY9, FAKE_VALKEY9);
    job_three_to_a_gigabyte();
    fake_busy(true);
    job_start_and_await();
    assert_true(it_await(rate_fell, NULL, 10000));
    fake_fault(FAKE_NO_FAULT, 0);
    assert_says("slowed down: cpu");
    fake_busy(false);
    slot_stage_join();
    job_assert_all("atomic", FAKE_TARGET);
    char says[300];
    rebalance_slot_run_says(&stage.run, says, sizeof says);
    assert_string_equal(says, "");
    job_end(NULL);
}

/* Only what is well-formed gets into messages and rows. */
static void what_a_server_says_is_mended(void **state)
{
    job_begin(FAKE_VALKEY9, FAKE_VALKEY9);
    job_load();
    fake_fault(FAKE_FAILS, 1);
    slot_stage_start();
    assert_says("Ran out of memory (OOM) ? during"); /* it is tried again in a second */
    slot_stage_join();
    job_assert_all("atomic", FAKE_TARGET);
    job_end(state);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
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
    return cmocka_run_group_tests_name("rebalance_job_told", tests, slot_stage_open,
                                       slot_stage_close);
}
