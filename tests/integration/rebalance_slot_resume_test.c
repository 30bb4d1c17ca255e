/* What an earlier executor left of slots: every recorded state, a cancel, keys by hand. */
#include "rebalance_slot_stage.h"

#include "io/slot/pair.h"

#include <stdio.h>
#include <string.h>

static void moves_resume_from_every_recorded_state(void **state)
{
    (void)state;
    slot_stage_load(20, 100);
    slot_stage_plan("planned");
    slot_hand_state(0, "importing"); /* nothing was done yet */
    slot_hand_state(1, "importing");
    slot_hand_open(stage.slot[1], true, false);
    slot_hand_state(2, "migrating");
    slot_hand_open(stage.slot[2], true, false);
    slot_hand_state(3, "migrating");
    slot_hand_open(stage.slot[3], true, true);
    slot_hand_state(4, "draining");
    slot_hand_open(stage.slot[4], true, true);
    slot_hand_migrate(stage.slot[4], 3, "");
    slot_hand_migrate(stage.slot[4], 4, "");
    slot_hand_state(5, "draining"); /* MIGRATE was cut off: on both sides */
    slot_hand_open(stage.slot[5], true, true);
    slot_hand_migrate(stage.slot[5], 7, "COPY");
    slot_hand_state(6, "handoff"); /* recorded ahead, never begun */
    slot_hand_state(7, "handoff");
    slot_hand_over(7, 20, false);
    slot_hand_state(8, "handoff");
    slot_hand_over(8, 20, true);
    slot_hand_state(9, "handoff"); /* the source knows nothing of it */
    slot_hand_open(stage.slot[9], true, false);
    slot_writer_start(false);
    slot_stage_move();
    assert_true(slot_writer_stop() > 0);
    assert_int_equal(slot_stage_count("verified"), STAGE_SLOTS);
    for (int i = 0; i < STAGE_SLOTS; i++)
        slot_stage_await_owner(stage.slot[i], stage.dst_port);
}

static void canceled_slot_is_closed_and_one_with_moved_keys_finished(void **state)
{
    (void)state;
    slot_stage_load(20, 100);
    slot_stage_plan("planned");
    slot_hand_state(0, "migrating");
    slot_hand_open(stage.slot[0], true, true);
    slot_hand_state(1, "importing");
    slot_hand_open(stage.slot[1], true, false);
    slot_hand_state(2, "draining");
    slot_hand_open(stage.slot[2], true, true);
    slot_hand_migrate(stage.slot[2], 5, "");
    atomic_store(&stage.roll_back, true);
    atomic_store(&stage.stop, REBALANCE_FINISH);
    slot_stage_move();
    slot_verify();
    assert_int_equal(slot_stage_count("rolled_back"), 2);
    assert_int_equal(slot_stage_count("verified"), 1);
    assert_int_equal(slot_stage_count("planned"), STAGE_SLOTS - 3);
    slot_stage_await_owner(stage.slot[0], stage.src_port);
    slot_stage_await_owner(stage.slot[1], stage.src_port);
    slot_stage_await_owner(stage.slot[2], stage.dst_port);
}

/* Told so while it goes on with fresh slots: before any key of the first. */
static void canceled_slot_without_a_moved_key_is_undone(void **state)
{
    (void)state;
    slot_stage_load(20, 100);
    slot_stage_plan("planned");
    atomic_store(&stage.roll_back, true);
    slot_stage_move();
    slot_verify();
    assert_true(slot_stage_count("rolled_back") > 0);
    assert_int_equal(slot_stage_count("rolled_back") + slot_stage_count("planned"), STAGE_SLOTS);
    for (int i = 0; i < STAGE_SLOTS; i++)
        slot_stage_await_owner(stage.slot[i], stage.src_port);
}

static void source_wins_for_a_key_on_both_sides(void **state)
{
    (void)state;
    char key[64], value[64];
    const int slot = stage.slot[0];
    slot_stage_load(20, 100);
    slot_stage_plan("planned");
    slot_hand_state(0, "draining");
    slot_hand_open(slot, true, true);
    for (int i = 0; i < 20; i++)
        slot_hand_migrate(slot, i, "COPY");
    /* The source serves clients: what they wrote after the copy counts. */
    snprintf(key, sizeof key, "k3:{%u}", rebalance_tag_of_slot((unsigned)slot));
    snprintf(value, sizeof value, "999999999:newer");
    assert_string_equal(slot_stage_ask(stage.src_port, "SET %s %s", key, value), "OK");
    slot_stage_move();
    slot_stage_await_owner(slot, stage.dst_port);
    assert_string_equal(slot_stage_ask(stage.dst_port, "GET %s", key), value);
    slot_verify();
    assert_int_equal(slot_stage_count("verified"), STAGE_SLOTS);
}

static void keys_left_behind_are_brought_along(void **state)
{
    (void)state;
    char key[64], lost[64];
    const int slot = stage.slot[0];
    slot_stage_load(20, 100);
    slot_stage_plan("planned");
    slot_hand_state(0, "handoff");
    slot_hand_over(0, 20, true);
    snprintf(key, sizeof key, "k3:{%u}", rebalance_tag_of_slot((unsigned)slot));
    snprintf(lost, sizeof lost, "lost:{%u}", rebalance_tag_of_slot((unsigned)slot));
    /* Copies on the former owner: an old one, and one that only it has. */
    slot_hand_leave(stage.src_port, stage.dst_port, slot, "SET %s old", key);
    slot_hand_leave(stage.src_port, stage.dst_port, slot, "SET %s old", lost);
    slot_stage_move();
    slot_verify(); /* key: the owner's */
    assert_string_equal(slot_stage_ask(stage.dst_port, "GET %s", lost), "old");
    assert_string_equal(slot_stage_ask(stage.src_port, "CLUSTER COUNTKEYSINSLOT %d", slot), "0");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, slot_stage_begin, slot_stage_end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(moves_resume_from_every_recorded_state),
        CASE(canceled_slot_is_closed_and_one_with_moved_keys_finished),
        CASE(canceled_slot_without_a_moved_key_is_undone),
        CASE(source_wins_for_a_key_on_both_sides),
        CASE(keys_left_behind_are_brought_along),
    };
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("rebalance_slot_resume", tests, slot_stage_open,
                                       slot_stage_close);
}
