/* Slots move on a real cluster with two replicas a shard, while a writer keeps a
 * ledger of what was acknowledged. */
#include "rebalance_slot_stage.h"

#include "prism/dp/library.h"

#include "io/slot/pair.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_moved(void)
{
    char history[100];
    assert_int_equal(slot_stage_count("verified"), STAGE_SLOTS);
    for (int i = 0; i < STAGE_SLOTS; i++)
        slot_stage_await_owner(stage.slot[i], slot_stage_owner(stage.kept[1]));
    snprintf(history, sizeof history,
             "SELECT count(*) FROM slot_history WHERE plan_id = $ AND to_shard = 's%d'",
             stage.dst_port);
    assert_int_equal(slot_stage_number(history), STAGE_SLOTS);
    assert_int_equal(slot_stage_number("SELECT count(*) FROM steps WHERE plan_id = $ AND "
                                       "in_flight IS NOT NULL"),
                     0);
    /* The server offers no atomic slot migration: nothing was tried with it. */
    assert_int_equal(slot_stage_number("SELECT count(*) FROM steps WHERE plan_id = $ AND atomic"),
                     0);
    assert_int_equal((int)pr_metrics_get(stage.metrics, M_SLOTS_MOVED, "atomic"), 0);
    assert_true(pr_metrics_get(stage.metrics, M_SLOTS_MOVED, "migrate") >= STAGE_SLOTS);
    assert_int_equal((int)pr_metrics_get(stage.metrics, M_SLOT_JOBS, "started"), 0);
}

static void slots_move_while_they_are_written_to(void **state)
{
    (void)state;
    slot_stage_load(300, 200);
    slot_stage_plan("planned");
    slot_writer_start(false);
    slot_stage_move();
    assert_true(slot_writer_stop() > 0);
    assert_moved();
    assert_int_equal(atomic_load(&stage.run.interruptions), 0);
    assert_true(slot_stage_number("SELECT sum(moved_keys) FROM steps WHERE plan_id = $") >=
                STAGE_SLOTS * 300);
}

static void empty_slots_move(void **state)
{
    (void)state;
    slot_stage_plan("planned");
    slot_stage_move();
    assert_moved();
}

/* --- what an earlier executor left ---------------------------------------------------------- */

static void id_of(int port, char id[64])
{
    snprintf(id, 64, "%s", slot_stage_ask(port, "CLUSTER MYID"));
    assert_int_equal(strlen(id), 40);
}

static void open_slot(int slot, bool importing, bool migrating)
{
    char src[64], dst[64];
    id_of(stage.src_port, src);
    id_of(stage.dst_port, dst);
    if (importing)
        assert_string_equal(
            slot_stage_ask(stage.dst_port, "CLUSTER SETSLOT %d IMPORTING %s", slot, src), "OK");
    if (migrating)
        assert_string_equal(
            slot_stage_ask(stage.src_port, "CLUSTER SETSLOT %d MIGRATING %s", slot, dst), "OK");
}

/* One key by hand; how: COPY, REPLACE or "". */
static void migrate_key(int slot, int key, const char *how)
{
    char name[64];
    snprintf(name, sizeof name, "k%d:{%u}", key, rebalance_tag_of_slot((unsigned)slot));
    assert_string_equal(
        how[0] == '\0'
            ? slot_stage_ask(stage.src_port, "MIGRATE 127.0.0.1 %d %s 0 5000 AUTH2 %s %s",
                             stage.dst_port, name, it_env("IT_REDIS_ADMIN_USER"),
                             it_env("IT_REDIS_ADMIN_PASSWORD"))
            : slot_stage_ask(stage.src_port, "MIGRATE 127.0.0.1 %d %s 0 5000 %s AUTH2 %s %s",
                             stage.dst_port, name, how, it_env("IT_REDIS_ADMIN_USER"),
                             it_env("IT_REDIS_ADMIN_PASSWORD")),
        "OK");
}

static void set_state(int i, const char *row_state)
{
    char sql[200], cell[8];
    snprintf(sql, sizeof sql, "UPDATE steps SET state = '%s' WHERE plan_id = %lld AND step = %d",
             row_state, (long long)stage.plan, i + 1);
    it_sql(stage.uri, sql, cell, sizeof cell);
}

static void hand_over(int i, bool tell_source)
{
    char dst[64];
    id_of(stage.dst_port, dst);
    open_slot(stage.slot[i], true, true);
    for (int k = 0; k < 20; k++)
        migrate_key(stage.slot[i], k, "");
    assert_string_equal(
        slot_stage_ask(stage.dst_port, "CLUSTER SETSLOT %d NODE %s", stage.slot[i], dst), "OK");
    if (tell_source)
        assert_string_equal(
            slot_stage_ask(stage.src_port, "CLUSTER SETSLOT %d NODE %s", stage.slot[i], dst), "OK");
}

static void moves_resume_from_every_recorded_state(void **state)
{
    (void)state;
    slot_stage_load(20, 100);
    slot_stage_plan("planned");
    set_state(0, "importing"); /* nothing was done yet */
    set_state(1, "importing");
    open_slot(stage.slot[1], true, false);
    set_state(2, "migrating");
    open_slot(stage.slot[2], true, false);
    set_state(3, "migrating");
    open_slot(stage.slot[3], true, true);
    set_state(4, "draining");
    open_slot(stage.slot[4], true, true);
    migrate_key(stage.slot[4], 3, "");
    migrate_key(stage.slot[4], 4, "");
    set_state(5, "draining"); /* MIGRATE was cut off: on both sides */
    open_slot(stage.slot[5], true, true);
    migrate_key(stage.slot[5], 7, "COPY");
    set_state(6, "handoff"); /* recorded ahead, never begun */
    set_state(7, "handoff");
    hand_over(7, false);
    set_state(8, "handoff");
    hand_over(8, true);
    set_state(9, "handoff"); /* the source knows nothing of it */
    open_slot(stage.slot[9], true, false);
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
    set_state(0, "migrating");
    open_slot(stage.slot[0], true, true);
    set_state(1, "importing");
    open_slot(stage.slot[1], true, false);
    set_state(2, "draining");
    open_slot(stage.slot[2], true, true);
    migrate_key(stage.slot[2], 5, "");
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

/* --- keys ---------------------------------------------------------------------------------------
 */

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
    snprintf(error, sizeof error,
             "SELECT error FROM steps WHERE plan_id = %lld AND state = 'stuck'",
             (long long)stage.plan);
    it_sql(stage.uri, error, error, sizeof error);
    assert_non_null(strstr(error, key));
    assert_non_null(strstr(error, "needs approval"));
    slot_stage_await_owner(stage.slot[3], stage.src_port);

    set_state(3, "planned"); /* somebody approved it */
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
    snprintf(error, sizeof error,
             "SELECT error FROM steps WHERE plan_id = %lld AND state = 'stuck'",
             (long long)stage.plan);
    it_sql(stage.uri, error, error, sizeof error);
    assert_non_null(strstr(error, key));
    assert_non_null(strstr(error, "needs PRISM_REBALANCE_LEASE_TTL_MS >="));
    slot_stage_await_owner(stage.slot[3], stage.src_port);
    slot_verify();
}

static void source_wins_for_a_key_on_both_sides(void **state)
{
    (void)state;
    char key[64], value[64];
    const int slot = stage.slot[0];
    slot_stage_load(20, 100);
    slot_stage_plan("planned");
    set_state(0, "draining");
    open_slot(slot, true, true);
    for (int i = 0; i < 20; i++)
        migrate_key(slot, i, "COPY");
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
    char src[64], dst[64], key[64], lost[64];
    const int slot = stage.slot[0];
    slot_stage_load(20, 100);
    slot_stage_plan("planned");
    set_state(0, "handoff");
    hand_over(0, true);
    id_of(stage.src_port, src);
    id_of(stage.dst_port, dst);
    snprintf(key, sizeof key, "k3:{%u}", rebalance_tag_of_slot((unsigned)slot));
    snprintf(lost, sizeof lost, "lost:{%u}", rebalance_tag_of_slot((unsigned)slot));
    /* Copies on the former owner: an old one, and one that only it has. */
    redisContext *c = it_redis_admin(stage.src_port);
    const char *const plain[] = { key, lost };
    redisReply *r = redisCommand(c, "CLUSTER SETSLOT %d IMPORTING %s", slot, dst);
    freeReplyObject(r);
    for (int i = 0; i < 2; i++) {
        freeReplyObject(redisCommand(c, "ASKING"));
        r = redisCommand(c, "SET %s old", plain[i]);
        assert_string_equal(r->str, "OK");
        freeReplyObject(r);
    }
    freeReplyObject(redisCommand(c, "CLUSTER SETSLOT %d STABLE", slot));
    redisFree(c);
    slot_stage_move();
    slot_verify(); /* key: the owner's */
    assert_string_equal(slot_stage_ask(stage.dst_port, "GET %s", lost), "old");
    assert_string_equal(slot_stage_ask(stage.src_port, "CLUSTER COUNTKEYSINSLOT %d", slot), "0");
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

static int replica_of(int port)
{
    const struct pr_topology *t = pr_cluster_topology(stage.cluster);
    const char *id = NULL;
    for (size_t i = 0; i < t->nodes; i++)
        if (t->node[i].port == port)
            id = t->node[i].id;
    for (size_t i = 0; i < t->nodes; i++)
        if (id != NULL && strcmp(t->node[i].primary_id, id) == 0)
            return t->node[i].port;
    fail_msg("port %d has no replica", port);
    return 0;
}

static bool knows_its_place(void *ctx)
{
    const char *nodes = slot_stage_ask(*(int *)ctx, "CLUSTER NODES"),
               *self = strstr(nodes, "myself");
    return self != NULL && strncmp(self, "myself,slave", 12) == 0;
}

/* --- what only its executor knew
 * ---------------------------------------------------------------- */

static int64_t until_it_is_known(void *ctx)
{
    (void)ctx;
    return slot_stage_number("SELECT count(*) FROM steps WHERE plan_id = $ AND served_on") > 0
               ? 0 /* nothing is sent any more */
               : 5000;
}

static bool nothing_may_be_sent(void *ctx)
{
    return until_it_is_known(ctx) == 0;
}

/* As recorded before a MIGRATE of one key. */
static void set_in_flight(int i, const char *key)
{
    char sql[400], cell[8], hex[160] = "";
    for (size_t k = 0; key[k] != '\0'; k++)
        snprintf(hex + 2 * k, sizeof hex - 2 * k, "%02x", (unsigned char)key[k]);
    snprintf(sql, sizeof sql,
             "UPDATE steps SET in_flight = '\\x%02x000000%s' WHERE plan_id = %lld AND step = %d",
             (unsigned)strlen(key), hex, (long long)stage.plan, i + 1);
    it_sql(stage.uri, sql, cell, sizeof cell);
}

/* A MIGRATE broke off after its target had the key, the source went on serving clients, the
 * scheduler died, the source failed over: the target's copy is not the later one. */
static void that_the_source_served_on_outlives_scheduler_and_source(void **state)
{
    (void)state;
    char key[64], error[512];
    const char value[] = "999999999:newer";
    const int slot = stage.slot[0];
    slot_stage_load(20, 100);
    slot_stage_plan("planned");
    set_state(0, "draining");
    open_slot(slot, true, true);
    migrate_key(slot, 3, "COPY");
    snprintf(key, sizeof key, "k3:{%u}", rebalance_tag_of_slot((unsigned)slot));
    set_in_flight(0, key);
    assert_string_equal(slot_stage_ask(stage.src_port, "SET %s %s", key, value), "OK");

    stage.lease_left_ms = until_it_is_known;
    slot_stage_start();
    assert_true(it_await(nothing_may_be_sent, NULL, STAGE_AWAIT_MS));
    atomic_store(&stage.stop, REBALANCE_ABANDON); /* as one that died */
    slot_stage_join();
    stage.lease_left_ms = NULL;
    atomic_store(&stage.stop, REBALANCE_RUN_ON);
    assert_int_equal(slot_stage_count("draining"), 1);
    assert_string_equal(slot_stage_ask(replica_of(stage.src_port), "CLUSTER FAILOVER"), "OK");
    assert_true(it_await(knows_its_place, &stage.src_port, STAGE_AWAIT_MS));
    it_cluster_await(STAGE_AWAIT_MS);

    slot_stage_start();
    slot_stage_join();
    assert_int_equal(slot_stage_count("stuck"), 1);
    snprintf(error, sizeof error,
             "SELECT error FROM steps WHERE plan_id = %lld AND state = 'stuck'",
             (long long)stage.plan);
    it_sql(stage.uri, error, error, sizeof error);
    assert_non_null(strstr(error, "MIGRATE broke off"));
    assert_non_null(strstr(error, key + 4)); /* the name; quotes are blanks in a row */

    /* A person decides, and the plan is resumed. */
    redisContext *c = it_redis_admin(stage.dst_port);
    freeReplyObject(redisCommand(c, "ASKING"));
    redisReply *r = redisCommand(c, "DEL %s", key);
    assert_int_equal(r->integer, 1);
    freeReplyObject(r);
    redisFree(c);
    set_state(0, "draining");
    atomic_store(&stage.stop, REBALANCE_RUN_ON);
    slot_stage_move();
    assert_int_equal(slot_stage_count("verified"), STAGE_SLOTS);
    slot_stage_await_owner(slot, stage.dst_port);
    assert_string_equal(slot_stage_ask(stage.dst_port, "GET %s", key), value);
    slot_verify();
    assert_int_equal(
        slot_stage_number("SELECT count(*) FROM steps WHERE plan_id = $ AND served_on"), 0);
}

static int64_t until_it_is_recorded(void *ctx)
{
    (void)ctx;
    return slot_stage_number("SELECT count(*) FROM steps WHERE plan_id = $ AND in_flight IS NOT "
                             "NULL") > 0
               ? 0
               : 5000;
}

static bool is_recorded(void *ctx)
{
    return until_it_is_recorded(ctx) == 0;
}

/* A write that a client was sent to the target for. */
static void write_at_target(const char *key, const char *field, const char *value)
{
    redisContext *c = it_redis_admin(stage.dst_port);
    freeReplyObject(redisCommand(c, "ASKING"));
    redisReply *r = redisCommand(c, "HSET %s %s %s", key, field, value);
    assert_int_equal(r->type, REDIS_REPLY_INTEGER);
    freeReplyObject(r);
    redisFree(c);
}

/* As the node says that is asked: it may hear of a promotion later than others. */
static bool is_not_at_the_source(void *slot)
{
    const int owner = slot_stage_owner(*(const int *)slot);
    return owner != 0 && owner != stage.src_port;
}

/* Of a slot that it does not import for long. */
static void leave_at_target(int slot, const char *format, const char *key)
{
    redisContext *c = it_redis_admin(stage.dst_port);
    open_slot(slot, true, false);
    freeReplyObject(redisCommand(c, "ASKING"));
    redisReply *r = redisCommand(c, format, key);
    assert_int_equal(r->type, REDIS_REPLY_INTEGER);
    freeReplyObject(r);
    r = redisCommand(c, "CLUSTER SETSLOT %d STABLE", slot);
    assert_int_equal(r->type, REDIS_REPLY_STATUS);
    freeReplyObject(r);
    redisFree(c);
}

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

/* Vertices that a scheduler found in a slot, and what is on both sides when the next one comes,
 * which saw nothing of it: the source failed over amid a MIGRATE. The third one is new: only what
 * was written at the source can tell. Of a slot with a left-over at the target there are no
 * prints: it would be taken for what was sent. */
static void prints_tell_who_was_not_there_which_copy_was_written(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    char at_target[64], at_source[64], young[64], stray[64], sql[120];
    const unsigned tag = rebalance_tag_of_slot((unsigned)stage.slot[0]);
    assert_ok(pr_cluster_load_library(stage.cluster, pr_library_code, &err), &err);
    slot_stage_load(20, 100);
    snprintf(at_target, sizeof at_target, "t:{%u}", tag);
    snprintf(at_source, sizeof at_source, "s:{%u}", tag);
    snprintf(young, sizeof young, "y:{%u}", tag);
    const char *const key[] = { at_target, at_source, young };
    for (int i = 0; i < 3; i++)
        assert_string_equal(
            slot_stage_ask(stage.src_port, "HSET %s _v 4 _e %d f 1 g 1", key[i], i < 2 ? 2 : 0),
            "4");
    snprintf(stray, sizeof stray, "x:{%u}", rebalance_tag_of_slot((unsigned)stage.slot[1]));
    assert_string_equal(slot_stage_ask(stage.src_port, "HSET %s _v 4 _e 2", stray), "2");
    leave_at_target(stage.slot[1], "HSET %s _v 5 _e 2", stray);
    slot_stage_plan("planned");
    stage.lease_left_ms = until_it_is_recorded;
    slot_stage_start();
    assert_true(it_await(is_recorded, NULL, STAGE_AWAIT_MS));
    atomic_store(&stage.stop, REBALANCE_ABANDON); /* as one that died */
    slot_stage_join();
    stage.lease_left_ms = NULL;
    atomic_store(&stage.stop, REBALANCE_RUN_ON);

    assert_int_equal(slot_stage_number("SELECT count(*) FROM steps WHERE plan_id = $ AND "
                                       "prints IS NOT NULL"),
                     1);
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM steps WHERE plan_id = $ AND slot = %d AND prints IS NOT NULL",
             stage.slot[0]);
    assert_int_equal(slot_stage_number(sql), 1);
    leave_at_target(stage.slot[1], "DEL %s", stray);
    assert_int_equal(printed_keys(), 3);
    swap_bytes_of_keys(); /* a release without prints has recorded others */
    assert_int_equal(printed_keys(), 0);
    swap_bytes_of_keys();
    open_slot(stage.slot[0], true, true);
    for (size_t i = 0; i < PR_COUNT(key); i++)
        assert_string_equal(slot_stage_ask(stage.src_port,
                                           "MIGRATE 127.0.0.1 %d %s 0 5000 COPY AUTH2 %s %s",
                                           stage.dst_port, key[i], it_env("IT_REDIS_ADMIN_USER"),
                                           it_env("IT_REDIS_ADMIN_PASSWORD")),
                            "OK");
    write_at_target(at_target, "f", "2");
    write_at_target(at_target, "_v", "5");
    assert_string_equal(slot_stage_ask(replica_of(stage.src_port), "CLUSTER FAILOVER"), "OK");
    assert_true(it_await(knows_its_place, &stage.src_port, STAGE_AWAIT_MS));
    it_cluster_await(STAGE_AWAIT_MS);
    assert_true(it_await(is_not_at_the_source, &stage.slot[0], STAGE_AWAIT_MS));
    const int promoted = slot_stage_owner(stage.slot[0]);
    assert_string_equal(slot_stage_ask(promoted, "HSET %s g 3 _v 5", at_source), "0");
    assert_string_equal(slot_stage_ask(promoted, "HSET %s h 3 _v 5", young), "1");

    slot_stage_move();
    assert_int_equal(slot_stage_count("verified"), STAGE_SLOTS);
    slot_stage_await_owner(stage.slot[0], stage.dst_port);
    static const char *const want[][2] = { { "2", "1" }, { "1", "3" }, { "1", "1" } };
    for (size_t i = 0; i < PR_COUNT(key); i++) {
        assert_string_equal(slot_stage_ask(stage.dst_port, "HGET %s f", key[i]), want[i][0]);
        assert_string_equal(slot_stage_ask(stage.dst_port, "HGET %s g", key[i]), want[i][1]);
    }
    assert_string_equal(slot_stage_ask(stage.dst_port, "HGET %s h", young), "3");
    slot_verify();
}

/* --- orders
 * ---------------------------------------------------------------------------------------- */

static bool some_moved(void *ctx)
{
    return atomic_load(&stage.run.keys) >= *(unsigned long long *)ctx;
}

static void begin_slowly(int keys_per_slot, int bytes, bool may_miss)
{
    unsigned long long want = 300;
    slot_stage_load(keys_per_slot, bytes);
    slot_stage_plan("planned");
    stage.cfg.slot_batch_keys = 20;
    stage.cfg.slot_node_bytes_per_s = 1e6;
    slot_writer_start(may_miss);
    slot_stage_start();
    if (!it_await(some_moved, &want, STAGE_AWAIT_MS))
        fail_msg("nothing moves: %s", stage.run.waits_for);
}

static void full_speed(void)
{
    stage.cfg.slot_batch_keys = 200;
    stage.cfg.slot_node_bytes_per_s = stage.cfg.slot_zone_bytes_per_s = 0;
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
    begin_slowly(1500, 800, false);
    atomic_store(&stage.stop, REBALANCE_FINISH);
    assert_true(it_await(held, NULL, 1000));
    const unsigned long long moved = atomic_load(&stage.run.keys);
    assert_true(moved < (unsigned long long)STAGE_SLOTS * 1500);
    slot_verify();
    assert_int_equal(atomic_load(&stage.run.keys), moved);
    full_speed();
    atomic_store(&stage.stop, REBALANCE_RUN_ON);
    slot_stage_join();
    assert_int_equal(stage.run.fatal.code, PR_OK);
    assert_true(slot_writer_stop() > 0);
    assert_moved();
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
    assert_true(it_await(some_moved, &some, STAGE_AWAIT_MS));
    atomic_store(&stage.stop, REBALANCE_FINISH);
    assert_true(it_await(held, NULL, 1000));
    assert_true(atomic_load(&stage.run.keys) < (unsigned long long)STAGE_SLOTS * 400);
    full_speed();
    atomic_store(&stage.stop, REBALANCE_RUN_ON);
    slot_stage_join();
    assert_int_equal(stage.run.fatal.code, PR_OK);
    slot_verify();
    assert_moved();
}

/* --- fail-overs
 * --------------------------------------------------------------------------------------- */

static void fails_over(int port)
{
    begin_slowly(600, 400, port == stage.src_port);
    assert_string_equal(slot_stage_ask(replica_of(port), "CLUSTER FAILOVER"), "OK");
    slot_stage_join();
    full_speed();
    if (stage.run.fatal.code != PR_OK)
        fail_msg("the wave failed: %s", stage.run.fatal.text);
    assert_true(slot_writer_stop() > 0);
    assert_moved();
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

/* A primary that comes back after its successor took slots from elsewhere does not
 * become its replica by itself (cluster-allow-replica-migration no): somebody says so. */
static void rejoin(int port)
{
    char id[64];
    if (it_await(knows_its_place, &port, 5000))
        return;
    id_of(slot_stage_owner(stage.kept[port == stage.dst_port]), id);
    /* What it held of the open slot is nobody's any more. */
    assert_string_equal(slot_stage_ask(port, "FLUSHALL"), "OK");
    assert_string_equal(slot_stage_ask(port, "CLUSTER REPLICATE %s", id), "OK");
}

static void is_killed(int port)
{
    char name[32];
    begin_slowly(600, 400, port == stage.src_port);
    snprintf(name, sizeof name, "redis-%d", port);
    it_server_kill(name, true);
    slot_stage_join();
    full_speed();
    it_server_up(name);
    rejoin(port);
    if (stage.run.fatal.code != PR_OK)
        fail_msg("the wave failed: %s", stage.run.fatal.text);
    it_cluster_await(STAGE_AWAIT_MS);
    assert_true(slot_writer_stop() > 0);
    assert_moved();
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
        CASE(slots_move_while_they_are_written_to),
        CASE(empty_slots_move),
        CASE(moves_resume_from_every_recorded_state),
        CASE(canceled_slot_is_closed_and_one_with_moved_keys_finished),
        CASE(big_key_is_named_and_its_slot_not_opened),
        CASE(key_that_no_lease_covers_is_named_and_its_slot_not_opened),
        CASE(source_wins_for_a_key_on_both_sides),
        CASE(keys_left_behind_are_brought_along),
        CASE(slot_goes_back_when_the_target_is_full),
        CASE(that_the_source_served_on_outlives_scheduler_and_source),
        CASE(prints_tell_who_was_not_there_which_copy_was_written),
        CASE(pause_takes_effect_within_a_second),
        CASE(pause_ends_the_wait_for_a_budget),
        CASE(source_fails_over_in_mid_slot),
        CASE(target_fails_over_in_mid_slot),
        CASE(source_is_killed_in_mid_slot),
        CASE(target_is_killed_in_mid_slot),
    };
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("rebalance_slot", tests, slot_stage_open, slot_stage_close);
}
