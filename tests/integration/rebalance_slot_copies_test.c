/* Keys that a fail-over left on both sides: whose copy counts, by what was recorded of them before
 * their scheduler died. */
#include "rebalance_slot_stage.h"

#include "prism/dp/library.h"

#include "io/slot/pair.h"

#include <stdio.h>
#include <string.h>

/* --- a scheduler that dies ------------------------------------------------------------------ */

/* Milliseconds of its lease: none once so many rows are such. */
static int64_t until(const char *rows)
{
    return slot_stage_number(rows) > 0 ? 0 : 5000;
}

static int64_t until_it_is_known(void *ctx)
{
    (void)ctx;
    return until("SELECT count(*) FROM steps WHERE plan_id = $ AND served_on");
}

static int64_t until_it_is_recorded(void *ctx)
{
    (void)ctx;
    return until("SELECT count(*) FROM steps WHERE plan_id = $ AND in_flight IS NOT NULL");
}

static bool nothing_may_be_sent(void *ctx)
{
    return stage.lease_left_ms(ctx) == 0;
}

static void move_and_die(int64_t (*lease_left_ms)(void *ctx))
{
    stage.lease_left_ms = lease_left_ms;
    slot_stage_start();
    assert_true(it_await(nothing_may_be_sent, NULL, STAGE_AWAIT_MS));
    atomic_store(&stage.stop, REBALANCE_ABANDON);
    slot_stage_join();
    stage.lease_left_ms = NULL;
    atomic_store(&stage.stop, REBALANCE_RUN_ON);
}

/* One slot, and its row says this of that key. */
static void assert_stuck(const char *key, const char *words)
{
    char error[512];
    slot_stage_start();
    slot_stage_join();
    assert_int_equal(slot_stage_count("stuck"), 1);
    slot_stage_error(error);
    if (strstr(error, words) == NULL || strstr(error, key) == NULL) /* quotes are blanks there */
        fail_msg("%s: wants %s of %s", error, words, key);
    atomic_store(&stage.stop, REBALANCE_RUN_ON);
}

static void assert_all_moved(void)
{
    slot_stage_move();
    assert_int_equal(slot_stage_count("verified"), STAGE_SLOTS);
    slot_stage_await_owner(stage.slot[0], stage.dst_port);
    slot_verify();
}

/* --- without prints ------------------------------------------------------------------------- */

/* Of the first slot, and of keys that are loaded: 20. */
static const char *loaded_key(int k)
{
    static char key[64];
    snprintf(key, sizeof key, "k%d:{%u}", k, rebalance_tag_of_slot((unsigned)stage.slot[0]));
    return key;
}

/* A copy of the key is at the target, and then it was written at the source. */
static void break_off(int k, const char *value)
{
    slot_stage_load(20, 100);
    slot_stage_plan("planned");
    slot_hand_state(0, "draining");
    slot_hand_open(stage.slot[0], true, true);
    slot_hand_migrate(stage.slot[0], k, "COPY");
    assert_string_equal(slot_stage_ask(stage.src_port, "SET %s %s", loaded_key(k), value), "OK");
}

/* A person takes the source's copy, and the plan is resumed. */
static void decide_for_the_source(int k, const char *value)
{
    slot_hand_at_target("DEL %s", loaded_key(k));
    slot_hand_state(0, "draining");
    assert_all_moved();
    assert_string_equal(slot_stage_ask(stage.dst_port, "GET %s", loaded_key(k)), value);
}

/* A MIGRATE broke off after its target had the key, the source went on serving clients, the
 * scheduler died, the source failed over: the target's copy is not the later one. */
static void that_the_source_served_on_outlives_scheduler_and_source(void **state)
{
    (void)state;
    const char value[] = "999999999:newer";
    break_off(3, value);
    slot_hand_in_flight(0, loaded_key(3));
    move_and_die(until_it_is_known);
    assert_int_equal(slot_stage_count("draining"), 1);
    (void)slot_hand_fail_over_source();
    assert_stuck(loaded_key(3), "MIGRATE broke off");
    decide_for_the_source(3, value);
    assert_int_equal(
        slot_stage_number("SELECT count(*) FROM steps WHERE plan_id = $ AND served_on"), 0);
}

/* Nobody knows whether the key is named there. Were it not, then its deletion would have reached
 * the promoted source, and what is there be a new string. */
static void keys_are_in_flight_when_their_record_cannot_be_read(void **state)
{
    (void)state;
    const char value[] = "999999999:newer";
    break_off(3, value);
    slot_hand_row(0, "in_flight = '\\x0500000061', failed_over = true");
    assert_stuck(loaded_key(3), "in flight");
    decide_for_the_source(3, value);
}

/* --- prints ------------------------------------------------------------------------------------
 */

/* Keys with a print in the records of the plan, as the next scheduler reads them. */
static size_t printed_keys(void)
{
    struct pr_db *db;
    struct pr_err err = { 0 };
    struct rebalance_slot_step *steps;
    size_t n, found = 0, len;
    const char *key;
    assert_ok(pr_db_open(&db, stage.uri, "test", &err), &err);
    assert_ok(rebalance_slot_steps_load(db, stage.plan, 1, stage.src, stage.dst, &steps, &n, &err),
              &err);
    assert_int_equal(n, STAGE_SLOTS);
    for (size_t i = 0; i < n; i++) {
        struct rebalance_in_flight r;
        assert_ok(
            rebalance_in_flight_open(steps[i].in_flight.data, steps[i].in_flight.len, &r, &err),
            &err);
        while (rebalance_in_flight_next(&r, &key, &len))
            found += r.sent.print != 0;
    }
    rebalance_slot_steps_free(steps, n);
    pr_db_close(db);
    return found;
}

static void swap_bytes_of_keys(void)
{
    (void)slot_stage_number("WITH u AS (UPDATE steps SET in_flight = set_byte(in_flight, 4, "
                            "get_byte(in_flight, 4) # 1) WHERE plan_id = $ AND in_flight IS NOT "
                            "NULL RETURNING 1) SELECT count(*) FROM u");
}

/* Strings of the ledger, and a vertex with four writes. */
static void load_vertex(const char *key, int epoch)
{
    struct pr_err err = { 0 };
    assert_ok(pr_cluster_load_library(stage.cluster, pr_library_code, &err), &err);
    assert_string_equal(slot_stage_ask(stage.src_port, "HSET %s _v 4 _e %d f 1 g 1", key, epoch),
                        "4");
}

/* Vertices that a scheduler found in a slot, and what is on both sides when the next one comes,
 * which saw nothing of it: the source failed over amid a MIGRATE. The third one is new: only what
 * was written at the source can tell. Of a slot with a left-over at the target there are no
 * prints: it would be taken for what was sent. */
static void prints_tell_who_was_not_there_which_copy_was_written(void **state)
{
    (void)state;
    char at_target[64], at_source[64], young[64], stray[64], sql[120];
    const unsigned tag = rebalance_tag_of_slot((unsigned)stage.slot[0]);
    slot_stage_load(20, 100);
    snprintf(at_target, sizeof at_target, "t:{%u}", tag);
    snprintf(at_source, sizeof at_source, "s:{%u}", tag);
    snprintf(young, sizeof young, "y:{%u}", tag);
    const char *const key[] = { at_target, at_source, young };
    for (int i = 0; i < 3; i++)
        load_vertex(key[i], i < 2 ? 2 : 0);
    snprintf(stray, sizeof stray, "x:{%u}", rebalance_tag_of_slot((unsigned)stage.slot[1]));
    load_vertex(stray, 2);
    slot_hand_leave(stage.dst_port, stage.src_port, stage.slot[1], "HSET %s _v 5 _e 2", stray);
    slot_stage_plan("planned");
    move_and_die(until_it_is_recorded);

    assert_int_equal(slot_stage_number("SELECT count(*) FROM steps WHERE plan_id = $ AND "
                                       "prints IS NOT NULL"),
                     1);
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM steps WHERE plan_id = $ AND slot = %d AND prints IS NOT NULL",
             stage.slot[0]);
    assert_int_equal(slot_stage_number(sql), 1);
    slot_hand_leave(stage.dst_port, stage.src_port, stage.slot[1], "DEL %s", stray);
    assert_int_equal(printed_keys(), 3);
    swap_bytes_of_keys(); /* a release without prints has recorded others */
    assert_int_equal(printed_keys(), 0);
    swap_bytes_of_keys();
    slot_hand_open(stage.slot[0], true, true);
    for (size_t i = 0; i < PR_COUNT(key); i++)
        slot_hand_send(key[i], "COPY");
    slot_hand_at_target("HSET %s f 2 _v 5", at_target);
    const int promoted = slot_hand_fail_over_source();
    assert_string_equal(slot_stage_ask(promoted, "HSET %s g 3 _v 5", at_source), "0");
    assert_string_equal(slot_stage_ask(promoted, "HSET %s h 3 _v 5", young), "1");

    assert_all_moved();
    static const char *const want[][2] = { { "2", "1" }, { "1", "3" }, { "1", "1" } };
    for (size_t i = 0; i < PR_COUNT(key); i++) {
        assert_string_equal(slot_stage_ask(stage.dst_port, "HGET %s f", key[i]), want[i][0]);
        assert_string_equal(slot_stage_ask(stage.dst_port, "HGET %s g", key[i]), want[i][1]);
    }
    assert_string_equal(slot_stage_ask(stage.dst_port, "HGET %s h", young), "3");
}

/* The target's copy is as it was sent, and the source's has one write more. But clients write to
 * the target's by now: it would be overwritten under their hands. */
static void prints_say_nothing_where_the_target_owns_the_slot(void **state)
{
    (void)state;
    char key[64];
    const int slot = stage.slot[0];
    snprintf(key, sizeof key, "t:{%u}", rebalance_tag_of_slot((unsigned)slot));
    slot_stage_load(20, 100);
    load_vertex(key, 2);
    slot_stage_plan("planned");
    move_and_die(until_it_is_recorded);
    assert_int_equal(printed_keys(), 1);
    slot_hand_open(slot, true, true);
    slot_hand_send(key, "");
    slot_hand_over(0, 20, true);
    slot_hand_leave(stage.src_port, stage.dst_port, slot, "HSET %s _v 5 _e 2 f 1 g 3", key);
    const int promoted = slot_hand_fail_over_source();
    slot_hand_row(0, "failed_over = true");

    assert_stuck(key, "in flight");
    assert_string_equal(slot_stage_ask(stage.dst_port, "HGET %s g", key), "1");
    slot_hand_leave(promoted, stage.dst_port, slot, "DEL %s", key);
    slot_hand_state(0, "handoff");
    assert_all_moved();
    assert_string_equal(slot_stage_ask(stage.dst_port, "HGET %s _v", key), "4");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, slot_stage_begin, slot_stage_end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(that_the_source_served_on_outlives_scheduler_and_source),
        CASE(keys_are_in_flight_when_their_record_cannot_be_read),
        CASE(prints_tell_who_was_not_there_which_copy_was_written),
        CASE(prints_say_nothing_where_the_target_owns_the_slot),
    };
    if (argc > 1) /* some of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("rebalance_slot_copies", tests, slot_stage_open,
                                       slot_stage_close);
}
