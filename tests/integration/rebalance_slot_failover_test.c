/* One side fails over, or is killed, while slots move. */
#include "rebalance_slot_stage.h"

#include <stdio.h>
#include <string.h>

static void fails_over(int port)
{
    slot_stage_begin_slowly(600, 400, port == stage.src_port);
    assert_string_equal(slot_stage_ask(slot_stage_replica(port), "CLUSTER FAILOVER"), "OK");
    slot_stage_join();
    slot_stage_full_speed();
    if (stage.run.fatal.code != PR_OK)
        fail_msg("the wave failed: %s", stage.run.fatal.text);
    assert_true(slot_writer_stop() > 0);
    slot_stage_assert_moved();
}

static void source_fails_over_in_mid_slot(void **state)
{
    (void)state;
    fails_over(stage.src_port);
}

static void target_fails_over_in_mid_slot(void **state)
{
    (void)state;
    fails_over(stage.dst_port);
}

static bool is_flushed(void *ctx) /* not while it loads */
{
    return strcmp(slot_stage_ask(*(const int *)ctx, "FLUSHALL"), "OK") == 0;
}

/* A primary that comes back after its successor took slots from elsewhere does not
 * become its replica by itself (cluster-allow-replica-migration no): somebody says so. */
static void rejoin(int port)
{
    char id[64];
    if (it_await(slot_stage_is_replica, &port, 5000))
        return;
    slot_hand_id(slot_stage_owner(stage.kept[port == stage.dst_port]), id);
    /* What it held of the open slot is nobody's any more. */
    assert_true(it_await(is_flushed, &port, 20000));
    assert_string_equal(slot_stage_ask(port, "CLUSTER REPLICATE %s", id), "OK");
}

static void is_killed(int port)
{
    char name[32];
    slot_stage_begin_slowly(600, 400, port == stage.src_port);
    snprintf(name, sizeof name, "redis-%d", port);
    it_server_kill(name, true);
    slot_stage_join();
    slot_stage_full_speed();
    it_server_up(name);
    rejoin(port);
    if (stage.run.fatal.code != PR_OK)
        fail_msg("the wave failed: %s", stage.run.fatal.text);
    it_cluster_await(STAGE_AWAIT_MS);
    assert_true(slot_writer_stop() > 0);
    slot_stage_assert_moved();
    slot_stage_ask(port, "CONFIG SET rdbcompression yes");
}

static void source_is_killed_in_mid_slot(void **state)
{
    (void)state;
    is_killed(stage.src_port);
}

static void target_is_killed_in_mid_slot(void **state)
{
    (void)state;
    is_killed(stage.dst_port);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, slot_stage_begin, slot_stage_end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(source_fails_over_in_mid_slot),
        CASE(target_fails_over_in_mid_slot),
        CASE(source_is_killed_in_mid_slot),
        CASE(target_is_killed_in_mid_slot),
    };
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("rebalance_slot_failover", tests, slot_stage_open,
                                       slot_stage_close);
}
