/* Slots that a server moves itself: what Valkey 9 and Redis 8.4 answer, and what is done when they
 * fail, lie or die. */
#include "rebalance_job_stage.h"

#include "prism/io/clock.h"
#include "prism/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- all is well ---------------------------------------------------------- */

static void slots_move_by_one_job(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        job_begin(s, s);
        job_load();
        slot_stage_move();
        job_assert_all("atomic", FAKE_TARGET);
        assert_int_equal(fake_started(), 1);
        assert_int_equal(fake_setslots(), 0);
        assert_int_equal(slot_stage_number("SELECT sum(moved_keys) FROM steps WHERE plan_id = $"),
                         STAGE_SLOTS * JOB_KEYS);
        job_end(state);
    }
}

static void a_job_is_short(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        job_begin(s, s);
        job_three_to_a_gigabyte();
        slot_stage_move();
        job_assert_all("atomic", FAKE_TARGET);
        assert_int_equal(fake_started(), STAGE_SLOTS / 3);
        job_end(state);
    }
}

static void a_shard_gives_its_last_slots(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        job_begin(s, s);
        job_load();
        fake_own_only(stage.slot, STAGE_SLOTS);
        slot_stage_move();
        job_assert_all("atomic", FAKE_TARGET);
        assert_int_equal(fake_started(), 1);
        job_end(state);
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
        job_begin(row[i][0], row[i][1]);
        slot_stage_move();
        job_assert_all("migrate", FAKE_TARGET);
        assert_int_equal(fake_started(), 0);
        assert_true(fake_setslots() >= 3 * STAGE_SLOTS);
        job_end(state);
    }
}

static void migrate_goes_on_where_the_setting_says_so(void **state)
{
    job_begin(FAKE_VALKEY9, FAKE_VALKEY9);
    stage.cfg.slot_atomic = false;
    slot_stage_move();
    job_assert_all("migrate", FAKE_TARGET);
    assert_int_equal(fake_started(), 0);
    job_end(state);
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
        for (size_t s = 0; s < PR_COUNT(job_servers); s++) {
            job_begin(job_servers[s], job_servers[s]);
            if (strcmp(row[i].path, "atomic") == 0)
                job_load();
            fake_fault(row[i].fault, row[i].times);
            slot_stage_move();
            job_assert_all(row[i].path, FAKE_TARGET);
            assert_int_equal(fake_started(), row[i].starts[s]);
            assert_int_equal(fake_canceled(), row[i].cancels[s]);
            assert_false(fake_runs());
            job_end(state);
        }
}

static void nothing_is_done_before_both_sides_say_so(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        job_begin(s, s);
        job_load();
        fake_gossip(false);
        slot_stage_start();
        job_await_looks(12); /* the target took over after four */
        assert_false(fake_runs());
        assert_int_equal(slot_stage_count("verified"), 0);
        fake_gossip(true);
        slot_stage_join();
        job_assert_all("atomic", FAKE_TARGET);
        assert_int_equal(fake_started(), 1);
        job_end(state);
    }
}

/* --- somebody dies ---------------------------------------------------------- */

static void fails_over(int node)
{
    enum fake_server s;
    EACH(s)
    {
        job_begin(s, s);
        job_load();
        job_start_and_await();
        fake_fail_over(node);
        fake_fault(FAKE_NO_FAULT, 0);
        job_await_looks(4);
        if (node == FAKE_TARGET) { /* what arrives would be on one node only */
            assert_int_equal(fake_started(), 1);
            assert_int_equal(slot_stage_count("verified"), 0);
        }
        fake_return(node);
        slot_stage_join();
        assert_int_equal(stage.run.fatal.code, PR_OK);
        job_assert_all("atomic", node == FAKE_TARGET ? FAKE_TARGET_REPLICA : FAKE_TARGET);
        assert_int_equal(fake_setslots(), 0);
        job_end(NULL);
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
        job_begin(s, s);
        job_load();
        job_start_and_await();
        atomic_store(&stage.stop, REBALANCE_ABANDON); /* as when the lease is lost */
        slot_stage_join();
        assert_int_equal(slot_stage_count("handoff"), STAGE_SLOTS);
        assert_int_equal(
            slot_stage_number("SELECT count(*) FROM steps WHERE plan_id = $ AND atomic"),
            STAGE_SLOTS);
        assert_true(fake_runs());
        atomic_store(&stage.stop, REBALANCE_RUN_ON);
        slot_stage_start();
        job_await_looks(4);
        fake_fault(FAKE_NO_FAULT, 0);
        slot_stage_join();
        job_assert_all("atomic", FAKE_TARGET);
        assert_int_equal(fake_started(), 1);
        job_end(state);
    }
}

static void who_takes_over_begins_anew_what_came_to_nothing(void **state)
{
    enum fake_server s;
    EACH(s)
    {
        job_begin(s, s);
        job_load();
        job_start_and_await();
        atomic_store(&stage.stop, REBALANCE_ABANDON);
        slot_stage_join();
        fake_cancel_by_hand(); /* nobody of ours saw it end */
        fake_fault(FAKE_NO_FAULT, 0);
        atomic_store(&stage.stop, REBALANCE_RUN_ON);
        slot_stage_move();
        job_assert_all("atomic", FAKE_TARGET);
        assert_int_equal(fake_started(), 2);
        job_end(state);
    }
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
    };
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("rebalance_job", tests, slot_stage_open, slot_stage_close);
}
