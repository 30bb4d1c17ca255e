/* Slots move on a real cluster with two replicas a shard, while a writer keeps a
 * ledger of what was acknowledged. Beside this: what an earlier executor left (_resume), keys on
 * both sides of a fail-over (_copies), fail-overs and kills (_failover). */
#include "rebalance_slot_stage.h"

#include "io/slot/pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void slots_move_while_they_are_written_to(void **state)
{
    (void)state;
    slot_stage_load(300, 200);
    slot_stage_plan("planned");
    slot_writer_start(false);
    slot_stage_move();
    assert_true(slot_writer_stop() > 0);
    slot_stage_assert_moved();
    assert_int_equal(atomic_load(&stage.run.interruptions), 0);
    assert_true(slot_stage_number("SELECT sum(moved_keys) FROM steps WHERE plan_id = $") >=
                STAGE_SLOTS * 300);
}

static void empty_slots_move(void **state)
{
    (void)state;
    slot_stage_plan("planned");
    slot_stage_move();
    slot_stage_assert_moved();
}

static void big_key_is_named_and_its_slot_not_opened(void **state)
{
    (void)state;
    char error[512], key[64];
    const double budget_ms = stage.cfg.slot_block_budget_ms;
    stage.cfg.slot_block_budget_ms = 10;
    slot_stage_load(5, 100);
    snprintf(key, sizeof key, "big:{%u}", rebalance_tag_of_slot((unsigned)stage.slot[3]));
    assert_string_equal(slot_stage_ask(stage.src_port, "SETRANGE %s 3000000 x", key), "3000001");
    slot_stage_plan("planned");
    slot_stage_move();
    assert_int_equal(slot_stage_count("verified"), STAGE_SLOTS - 1);
    assert_int_equal(slot_stage_count("stuck"), 1);
    assert_int_equal(slot_stage_number("SELECT slot FROM steps WHERE plan_id = $ AND state = "
                                       "'stuck'"),
                     stage.slot[3]);
    slot_stage_error(error);
    assert_non_null(strstr(error, key));
    assert_non_null(strstr(error, "needs approval"));
    slot_stage_await_owner(stage.slot[3], stage.src_port);

    slot_hand_state(3, "planned"); /* somebody approved it */
    stage.allow_big_keys = true;
    slot_stage_move();
    stage.allow_big_keys = false;
    stage.cfg.slot_block_budget_ms = budget_ms;
    assert_int_equal(slot_stage_count("verified"), STAGE_SLOTS);
    slot_stage_await_owner(stage.slot[3], stage.dst_port);
    assert_string_equal(slot_stage_ask(stage.dst_port, "STRLEN %s", key), "3000001");
    slot_verify();
}

/* What would outlive the lease at its best is not waited for: it is said. */
static void key_that_no_lease_covers_is_named_and_its_slot_not_opened(void **state)
{
    (void)state;
    char error[512], key[64];
    const int64_t ttl_ms = stage.lease.ttl_ms;
    slot_stage_load(5, 100);
    snprintf(key, sizeof key, "big:{%u}", rebalance_tag_of_slot((unsigned)stage.slot[3]));
    assert_string_equal(slot_stage_ask(stage.src_port, "SETRANGE %s 30000000 x", key), "30000001");
    slot_stage_plan("planned");
    stage.lease.ttl_ms = 2000; /* the run's; the one in the table lasts */
    slot_stage_move();
    stage.lease.ttl_ms = ttl_ms;
    assert_int_equal(slot_stage_count("verified"), STAGE_SLOTS - 1);
    slot_stage_error(error);
    assert_non_null(strstr(error, key));
    assert_non_null(strstr(error, "needs PRISM_REBALANCE_LEASE_TTL_MS >="));
    slot_stage_await_owner(stage.slot[3], stage.src_port);
    slot_verify();
}

static void slot_goes_back_when_the_target_is_full(void **state)
{
    (void)state;
    slot_stage_load(200, 1000);
    slot_stage_plan("planned");
    stage.cfg.slot_batch_keys = 20;
    const long used = strtol(
        strstr(slot_stage_ask(stage.dst_port, "INFO memory"), "used_memory:") + 12, NULL, 10);
    assert_string_equal(slot_stage_ask(stage.dst_port, "CONFIG SET maxmemory %ld", used + 900000),
                        "OK");
    slot_writer_start(false);
    slot_stage_start();
    slot_stage_join();
    assert_true(slot_writer_stop() > 0);
    assert_string_equal(slot_stage_ask(stage.dst_port, "CONFIG SET maxmemory 0"), "OK");
    stage.cfg.slot_batch_keys = 200;
    assert_int_equal(stage.run.fatal.code, PR_EFULL);
    assert_non_null(strstr(stage.run.fatal.text, "OOM"));
    assert_int_equal(slot_stage_count("rolled_back"), 1);
    const long verified = slot_stage_count("verified");
    for (int i = 0; i < STAGE_SLOTS; i++)
        slot_stage_await_owner(stage.slot[i], i < verified ? stage.dst_port : stage.src_port);
}

static bool held(void *ctx)
{
    (void)ctx;
    return atomic_load(&stage.run.holding) == 1;
}

/* A slot that would take longer is held open, and served from both sides, until the
 * order is taken back. */
static void pause_takes_effect_within_a_second(void **state)
{
    (void)state;
    slot_stage_begin_slowly(1500, 800, false);
    atomic_store(&stage.stop, REBALANCE_FINISH);
    assert_true(it_await(held, NULL, 1000));
    const unsigned long long moved = atomic_load(&stage.run.keys);
    assert_true(moved < (unsigned long long)STAGE_SLOTS * 1500);
    slot_verify();
    assert_int_equal(atomic_load(&stage.run.keys), moved);
    slot_stage_full_speed();
    atomic_store(&stage.stop, REBALANCE_RUN_ON);
    slot_stage_join();
    assert_int_equal(stage.run.fatal.code, PR_OK);
    assert_true(slot_writer_stop() > 0);
    slot_stage_assert_moved();
}

/* What a batch costs to replicate into other zones is paid for, and waiting for the
 * budget does not outlast an order. */
static void pause_ends_the_wait_for_a_budget(void **state)
{
    (void)state;
    unsigned long long some = 1;
    slot_stage_load(400, 1000);
    slot_stage_plan("planned");
    stage.cfg.slot_batch_keys = 100;
    stage.cfg.slot_zone_bytes_per_s = 5e4; /* a batch takes 2 s at least */
    slot_stage_start();
    assert_true(it_await(slot_stage_some_moved, &some, STAGE_AWAIT_MS));
    atomic_store(&stage.stop, REBALANCE_FINISH);
    assert_true(it_await(held, NULL, 1000));
    assert_true(atomic_load(&stage.run.keys) < (unsigned long long)STAGE_SLOTS * 400);
    slot_stage_full_speed();
    atomic_store(&stage.stop, REBALANCE_RUN_ON);
    slot_stage_join();
    assert_int_equal(stage.run.fatal.code, PR_OK);
    slot_verify();
    slot_stage_assert_moved();
}

static bool is_refused(void *ctx)
{
    char says[300];
    (void)ctx;
    rebalance_slot_run_says(&stage.run, says, sizeof says);
    return strstr(says, "NOPERM") != NULL;
}

/* Of one batch the target takes no mark while the next is out already: batches of a key take no
 * longer than their way there and back, so they are queued. */
static void refused_mark_leaves_the_next_batch_in_order(void **state)
{
    unsigned long long some = 50;
    (void)state;
    slot_stage_load(400, 20);
    slot_stage_plan("planned");
    stage.cfg.slot_batch_keys = 1;
    slot_stage_start();
    for (; some <= 550; some += 100) { /* not every strike finds one queued */
        if (!it_await(slot_stage_some_moved, &some, STAGE_AWAIT_MS))
            fail_msg("nothing moves: %s", stage.run.waits_for);
        assert_string_equal(slot_stage_ask(stage.dst_port, "ACL SETUSER %s -set", stage.user.name),
                            "OK");
        assert_true(it_await(is_refused, NULL, STAGE_AWAIT_MS));
        assert_string_equal(slot_stage_ask(stage.dst_port, "ACL SETUSER %s +set", stage.user.name),
                            "OK");
    }
    slot_stage_full_speed();
    slot_stage_join();
    assert_int_equal(stage.run.fatal.code, PR_OK);
    slot_verify();
    slot_stage_assert_moved();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, slot_stage_begin, slot_stage_end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(slots_move_while_they_are_written_to),
        CASE(empty_slots_move),
        CASE(big_key_is_named_and_its_slot_not_opened),
        CASE(key_that_no_lease_covers_is_named_and_its_slot_not_opened),
        CASE(slot_goes_back_when_the_target_is_full),
        CASE(pause_takes_effect_within_a_second),
        CASE(pause_ends_the_wait_for_a_budget),
        CASE(refused_mark_leaves_the_next_batch_in_order),
    };
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("rebalance_slot", tests, slot_stage_open, slot_stage_close);
}
