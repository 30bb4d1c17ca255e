/* Slots that somebody left half moved on a real cluster are mended, and no key is
 * lost, overwritten or left where nobody looks for it. */
#include "duty_stage.h"

#include "own_redis.h"

#include "io/fleet/repair.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pair {
    int src, dst; /* ports */
    char src_id[64], dst_id[64];
};

static struct pair pair_of(int slot)
{
    struct pair p = { .src = ds_primary_of_slot(slot) };
    int other = (slot + 8000) % 16384; /* tests before may have moved slots about */
    do
        p.dst = ds_primary_of_slot(other = (other + 64) % 16384);
    while (p.dst == p.src);
    ds_redis_id(p.src, p.src_id);
    ds_redis_id(p.dst, p.dst_id);
    return p;
}

static void setslot(int port, int slot, const char *state, const char *id)
{
    const char *got = id == NULL ? ds_ask(port, "CLUSTER SETSLOT %d %s", slot, state)
                                 : ds_ask(port, "CLUSTER SETSLOT %d %s %s", slot, state, id);
    if (strcmp(got, "OK") != 0)
        fail_msg("SETSLOT %d %s at %d: %s", slot, state, port, got);
}

static void open_slot(const struct pair *p, int slot)
{
    setslot(p->dst, slot, "IMPORTING", p->src_id);
    setslot(p->src, slot, "MIGRATING", p->dst_id);
}

/* n of the slot's keys go to the other side. */
static void move_some(const struct pair *p, int slot, int n)
{
    redisContext *c = it_redis_admin(p->src);
    redisReply *keys = redisCommand(c, "CLUSTER GETKEYSINSLOT %d %d", slot, n);
    assert_int_equal(keys->elements, n);
    for (int i = 0; i < n; i++) {
        redisReply *r = redisCommand(c, "MIGRATE 127.0.0.1 %d %b 0 5000 AUTH2 admin %s", p->dst,
                                     keys->element[i]->str, keys->element[i]->len,
                                     it_env("IT_REDIS_ADMIN_PASSWORD"));
        assert_string_equal(reply_text(r), "OK");
        freeReplyObject(r);
    }
    freeReplyObject(keys);
    redisFree(c);
}

/* One command about a key of a slot that the node does not serve. */
static void put_stray(int port, int slot, const char *owner_id, const char *command,
                      const char *name, const char *args)
{
    char text[512];
    setslot(port, slot, "IMPORTING", owner_id);
    redisContext *c = it_redis_admin(port);
    freeReplyObject(redisCommand(c, "ASKING"));
    snprintf(text, sizeof text, "%s {%s}%s %s", command, it_slot_tag(slot), name, args);
    redisReply *r = redisCommand(c, text);
    if (r->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", text, r->str);
    freeReplyObject(r);
    redisFree(c);
    setslot(port, slot, "STABLE", NULL);
}

static struct rebalance_repair_report repair(void)
{
    struct rebalance_repair_report got;
    struct pr_err err = { 0 };
    assert_ok(rebalance_repair(&ds.ctx, &got, &err), &err);
    return got;
}

static bool slots_are_whole(void *ctx)
{
    (void)ctx;
    for (size_t i = 0; i < ds.ports; i++) {
        redisContext *c = it_redis_admin(ds.port[i]);
        redisReply *nodes = redisCommand(c, "CLUSTER NODES");
        redisReply *info = redisCommand(c, "CLUSTER INFO");
        const bool ok = strstr(nodes->str, "->-") == NULL && strstr(nodes->str, "-<-") == NULL &&
                        strstr(info->str, "cluster_slots_ok:16384") != NULL;
        freeReplyObject(nodes);
        freeReplyObject(info);
        redisFree(c);
        if (!ok)
            return false;
    }
    return true;
}

static void everything_is_right(void)
{
    assert_true(it_await(slots_are_whole, NULL, DUTY_AWAIT_MS));
    const struct rebalance_repair_report again = repair();
    if (again.open_slots + again.owner_slots + again.stray_slots + again.left != 0)
        fail_msg("something is left: %s", again.first_left);
}

/* --- what other tools leave -------------------------------------------------------------- */

static bool half_way(void *ctx)
{
    const int *at = ctx; /* port, slot */
    return ds_keys(at[0], at[1]) > 2000;
}

static void reshard_that_was_killed_is_finished(void **state)
{
    (void)state;
    enum { KEYS = 60000 };
    const int slot = 0; /* the first of its node: redis-cli begins there */
    const struct pair p = pair_of(slot);
    int at[2];
    char entry[32];
    ds_load(slot, KEYS);
    snprintf(entry, sizeof entry, "127.0.0.1:%d", p.src);
    char password[160];
    snprintf(password, sizeof password, "REDISCLI_AUTH=%s", it_env("IT_REDIS_ADMIN_PASSWORD"));
    const char *const env[] = { password, NULL };
    const char *const argv[] = { "/usr/bin/redis-cli",
                                 "--user",
                                 "admin",
                                 "--cluster",
                                 "reshard",
                                 entry,
                                 "--cluster-from",
                                 p.src_id,
                                 "--cluster-to",
                                 p.dst_id,
                                 "--cluster-slots",
                                 "3",
                                 "--cluster-yes",
                                 "--cluster-pipeline",
                                 "10",
                                 NULL };
    const pid_t cli = it_spawn(env, argv);
    at[0] = p.dst;
    at[1] = slot;
    if (!it_await(half_way, at, DUTY_AWAIT_MS))
        fail_msg("redis-cli moves nothing");
    it_kill(cli);
    const long moved = ds_keys(p.dst, slot), left = ds_keys(p.src, slot);
    if (moved == 0 || left == 0)
        fail_msg("killed too late: %ld moved, %ld left", moved, left);

    const struct rebalance_repair_report got = repair();
    assert_int_equal(got.left, 0);
    assert_int_equal(got.open_slots, 1);
    assert_int_equal(got.closed_forward, 1);
    assert_true(got.moved_keys >= left - 10);
    assert_int_equal(ds_primary_of_slot(slot), p.dst);
    assert_int_equal(ds_keys(p.src, slot), 0);
    ds_check(slot, KEYS);
    everything_is_right();
    it_redis_flush();
}

static void slot_from_which_nothing_moved_is_closed(void **state)
{
    (void)state;
    static const struct {
        bool importing, migrating;
    } row[] = { { true, true }, { true, false }, { false, true } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const int slot = 10 + (int)i;
        const struct pair p = pair_of(slot);
        ds_load(slot, 40);
        if (row[i].importing)
            setslot(p.dst, slot, "IMPORTING", p.src_id);
        if (row[i].migrating)
            setslot(p.src, slot, "MIGRATING", p.dst_id);
        const struct rebalance_repair_report got = repair();
        assert_int_equal(got.open_slots, 1);
        assert_int_equal(got.closed_back, 1);
        assert_int_equal(got.moved_keys, 0);
        assert_int_equal(ds_primary_of_slot(slot), p.src);
        ds_check(slot, 40);
        everything_is_right();
    }
}

static void slot_that_two_nodes_give_to_each_other_gets_an_owner(void **state)
{
    (void)state;
    const int slot = 20;
    const struct pair p = pair_of(slot);
    ds_load(slot, 300);
    open_slot(&p, slot);
    move_some(&p, slot, 300);
    setslot(p.src, slot, "NODE", p.dst_id); /* the wrong end first, and then nothing */
    const struct rebalance_repair_report got = repair();
    assert_int_equal(got.owner_slots, 1);
    assert_int_equal(got.owners_set, 1);
    assert_int_equal(got.left, 0);
    assert_int_equal(ds_primary_of_slot(slot), p.dst);
    ds_check(slot, 300);
    everything_is_right();
}

static void several_slots_at_once_are_mended(void **state)
{
    (void)state;
    for (int slot = 30; slot < 40; slot++) {
        const struct pair p = pair_of(slot);
        ds_load(slot, 150);
        open_slot(&p, slot);
        if (slot % 2 == 0)
            move_some(&p, slot, 60);
    }
    const struct rebalance_repair_report got = repair();
    assert_int_equal(got.open_slots, 10);
    assert_int_equal(got.closed_forward, 5);
    assert_int_equal(got.closed_back, 5);
    assert_int_equal(got.moved_keys, 5 * 90);
    for (int slot = 30; slot < 40; slot++)
        ds_check(slot, 150);
    everything_is_right();
}

static void slot_of_a_plan_in_hand_is_left_to_it(void **state)
{
    (void)state;
    const struct pair p = pair_of(50);
    open_slot(&p, 50);
    ds_sql("INSERT INTO steps (plan_id, step, wave, kind, slot, state) "
           "VALUES (1, 9999, 1, 'slot', 50, 'draining')");
    const struct rebalance_repair_report got = repair();
    ds_sql("DELETE FROM steps WHERE step = 9999");
    assert_int_equal(got.ours, 1);
    assert_int_equal(got.closed_back, 0);
    assert_int_equal(got.left, 0);
    assert_false(slots_are_whole(NULL));
    assert_int_equal(repair().closed_back, 1);
    everything_is_right();
}

/* --- fail-overs in the middle --------------------------------------------------------------- */

static bool leads(void *ctx)
{
    return strncmp(ds_ask(*(int *)ctx, "ROLE"), "master", 6) == 0;
}

/* The node that ds.cluster asks has heard of it, too. */
static bool is_known_to_lead(void *ctx)
{
    struct pr_err err = { 0 };
    assert_ok(pr_cluster_refresh(ds.cluster, &err), &err);
    const struct pr_topology *t = pr_cluster_topology(ds.cluster);
    for (size_t i = 0; i < PR_COUNT(t->slot_owner); i++)
        if (t->node[t->slot_owner[i]].port == *(int *)ctx)
            return true;
    return false;
}

/* Primaries vote for a shard once in two node time-outs: until then it is in vain. */
static void fail_over_to(int port)
{
    for (int tries = 0; tries < 5; tries++) {
        (void)ds_ask(port, "CLUSTER FAILOVER");
        if (it_await(leads, &port, 6000))
            return;
    }
    fail_msg("%d does not take over", port);
}

static int gave_back[8];
static size_t given_back;

static void give_back(int port)
{
    fail_over_to(port);
    assert_true(it_await(is_known_to_lead, &port, DUTY_AWAIT_MS));
    it_cluster_await(DUTY_AWAIT_MS);
    gave_back[given_back++] = port;
}

/* Whose replicas were not promoted just now. One that was counts its old votes again for four
 * node time-outs (Redis 7.0), and leads at once, with an epoch that nobody takes. */
static int slot_of_a_quiet_shard(void)
{
    for (int slot = 62; slot < 16384; slot += 64) {
        const int primary = ds_primary_of_slot(slot);
        size_t i = 0;
        while (i < given_back && gave_back[i] != primary)
            i++;
        if (i == given_back)
            return slot;
    }
    fail_msg("every shard had a fail-over");
    return -1;
}

static void moved_keys_are_found_after_the_source_failed_over(void **state)
{
    (void)state;
    const int slot = 60;
    const struct pair p = pair_of(slot);
    int next = ds_replica_of(p.src, 0);
    ds_load(slot, 400);
    open_slot(&p, slot);
    move_some(&p, slot, 150);
    it_cluster_await(DUTY_AWAIT_MS);
    fail_over_to(next);
    const struct rebalance_repair_report got = repair();
    if (got.left != 0)
        fail_msg("%s", got.first_left);
    assert_int_equal(got.moved_keys, 150); /* back: nobody redirects to them any more */
    assert_int_equal(ds_primary_of_slot(slot), next);
    assert_int_equal(ds_keys(p.dst, slot), 0);
    ds_check(slot, 400);
    everything_is_right();
    it_cluster_await(DUTY_AWAIT_MS);
    give_back(p.src);
}

static void moved_keys_are_found_after_the_target_failed_over(void **state)
{
    (void)state;
    const int slot = 61;
    const struct pair p = pair_of(slot);
    int next = ds_replica_of(p.dst, 0);
    it_cluster_await(DUTY_AWAIT_MS);
    ds_load(slot, 400);
    open_slot(&p, slot);
    move_some(&p, slot, 150);
    it_cluster_await(DUTY_AWAIT_MS);
    fail_over_to(next);
    const struct rebalance_repair_report got = repair();
    if (got.left != 0)
        fail_msg("%s", got.first_left);
    assert_int_equal(got.closed_forward, 1);
    assert_int_equal(got.moved_keys, 250);
    assert_int_equal(ds_primary_of_slot(slot), next);
    ds_check(slot, 400);
    everything_is_right();
    it_cluster_await(DUTY_AWAIT_MS);
    give_back(p.dst);
}

static bool failed(void *ctx)
{
    return strstr(ds_ask(ds.port[0] == *(int *)ctx ? ds.port[1] : ds.port[0], "CLUSTER INFO"),
                  "cluster_slots_fail:0") == NULL;
}

/* Fact: a node never changes whom it believes to own a slot that it imports, so it
 * goes on naming the dead one. */
static void target_that_names_a_dead_owner_is_corrected(void **state)
{
    (void)state;
    const int slot = slot_of_a_quiet_shard();
    struct pair p = pair_of(slot);
    char server[32];
    it_cluster_await(DUTY_AWAIT_MS);
    ds_load(slot, 400);
    open_slot(&p, slot);
    move_some(&p, slot, 150);
    it_cluster_await(DUTY_AWAIT_MS); /* replicas have it all */
    snprintf(server, sizeof server, "redis-%d", p.src);
    it_server_kill(server, true);
    assert_true(it_await(failed, &p.src, DUTY_AWAIT_MS));
    const struct rebalance_repair_report got = repair(); /* waits for the election */
    if (got.left != 0)
        fail_msg("%s", got.first_left);
    assert_int_equal(got.moved_keys, 150);
    ds_check(slot, 400);
    it_server_up(server);
    it_cluster_await(DUTY_AWAIT_MS);
    everything_is_right();
    give_back(p.src);
}

/* --- stray keys
 * ----------------------------------------------------------------------------------- */

#define LONG "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void stray_keys_go_home_and_copies_go_away(void **state)
{
    (void)state;
    const int slot = 70;
    const struct pair p = pair_of(slot);
    char key[64];
    it_cluster_await(DUTY_AWAIT_MS);
    ds_load(slot, 10);
    snprintf(key, sizeof key, "{%s}", it_slot_tag(slot));
    put_stray(p.dst, slot, p.src_id, "SET", "only", "here");
    put_stray(p.dst, slot, p.src_id, "SET", "same", "value");
    put_stray(p.dst, slot, p.src_id, "HSET", "hash", "a 1 b 2 c 3");
    put_stray(p.dst, slot, p.src_id, "SET", "long", LONG);
    assert_string_equal(ds_ask(p.src, "SET %ssame value", key), "OK");
    assert_string_equal(ds_ask(p.src, "SET %slong " LONG, key), "OK");
    assert_string_equal(ds_ask(p.dst, "CONFIG SET rdbcompression no"), "OK"); /* other DUMPs */
    assert_string_equal(ds_ask(p.src, "HSET %shash c 3 b 2 a 1", key), "3");  /* another order */
    const struct rebalance_repair_report got = repair();
    assert_string_equal(ds_ask(p.dst, "CONFIG SET rdbcompression yes"), "OK");
    if (got.left != 0)
        fail_msg("%s", got.first_left);
    assert_int_equal(got.stray_slots, 1);
    assert_int_equal(got.moved_keys + got.deleted_copies, 4);
    assert_int_equal(got.deleted_copies, 3);
    assert_int_equal(ds_keys(p.dst, slot), 0);
    assert_string_equal(ds_ask(p.src, "GET %sonly", key), "here");
    assert_string_equal(ds_ask(p.src, "HLEN %shash", key), "3");
    ds_check(slot, 10);
    everything_is_right();
}

static void copies_that_differ_are_left_and_named(void **state)
{
    (void)state;
    const int slot = 71;
    const struct pair p = pair_of(slot);
    char key[64], json[600];
    snprintf(key, sizeof key, "{%s}", it_slot_tag(slot));
    put_stray(p.dst, slot, p.src_id, "SET", "x", "old");
    put_stray(p.dst, slot, p.src_id, "SADD", "y", "1 2 3");
    put_stray(p.dst, slot, p.src_id, "SET", "z", "only");
    assert_string_equal(ds_ask(p.src, "SET %sx new", key), "OK");
    assert_string_equal(ds_ask(p.src, "SET %sy string", key), "OK");
    struct rebalance_repair_report got = repair();
    assert_int_equal(got.left, 1);
    assert_int_equal(got.conflicts, 2);
    assert_int_equal(got.moved_keys, 1);
    assert_int_equal(got.deleted_copies, 0);
    assert_non_null(strstr(got.first_left, "slot 71"));
    assert_non_null(strstr(got.first_left, key));
    assert_non_null(strstr(got.first_left, "differ"));
    rebalance_repair_json(&got, json, sizeof json);
    assert_non_null(strstr(json, "\"conflicts\": 2"));
    assert_string_equal(ds_ask(p.src, "GET %sx", key), "new");
    assert_string_equal(ds_ask(p.src, "GET %sz", key), "only");
    assert_int_equal(ds_keys(p.dst, slot), 2);
    assert_true(it_await(slots_are_whole, NULL, DUTY_AWAIT_MS)); /* and it is not left open */

    assert_string_equal(ds_ask(p.src, "DEL %sx", key), "1"); /* a person decides */
    assert_string_equal(ds_ask(p.src, "DEL %sy", key), "1");
    got = repair();
    assert_int_equal(got.moved_keys, 2);
    assert_string_equal(ds_ask(p.src, "GET %sx", key), "old");
    everything_is_right();
}

static void move_with_a_key_on_both_sides_is_finished_only_when_they_agree(void **state)
{
    (void)state;
    const int slot = 72;
    const struct pair p = pair_of(slot);
    char key[64];
    snprintf(key, sizeof key, "{%s}", it_slot_tag(slot));
    put_stray(p.dst, slot, p.src_id, "SET", "same", "value");
    put_stray(p.dst, slot, p.src_id, "SET", "x", "old");
    assert_string_equal(ds_ask(p.src, "SET %ssame value", key), "OK");
    assert_string_equal(ds_ask(p.src, "SET %sx new", key), "OK");
    ds_load(slot, 300);
    open_slot(&p, slot);
    struct rebalance_repair_report got = repair();
    assert_int_equal(got.left, 1);
    assert_int_equal(got.deleted_copies, 1);
    assert_int_equal(got.moved_keys, 300);
    assert_int_equal(ds_primary_of_slot(slot), p.src);
    assert_string_equal(ds_ask(p.src, "GET %sx", key), "new"); /* as clients saw it all along */
    assert_string_equal(ds_ask(p.src, "DEL %sx", key), "1");
    got = repair();
    assert_int_equal(got.closed_forward, 1);
    assert_int_equal(ds_primary_of_slot(slot), p.dst);
    assert_string_equal(ds_ask(p.dst, "GET %sx", key), "old");
    ds_check(slot, 300);
    everything_is_right();
}

static void key_that_would_block_a_node_too_long_stays(void **state)
{
    (void)state;
    const int slot = 73;
    const struct pair p = pair_of(slot);
    char key[64];
    snprintf(key, sizeof key, "{%s}", it_slot_tag(slot));
    assert_string_equal(ds_ask(p.src, "SETRANGE %sbig 199999999 x", key), "200000000");
    open_slot(&p, slot);
    put_stray(p.dst, slot, p.src_id, "SET", "moved", "1");
    setslot(p.dst, slot, "IMPORTING", p.src_id);
    struct rebalance_repair_report got = repair();
    assert_int_equal(got.left, 1);
    assert_non_null(strstr(got.first_left, "big"));
    assert_string_equal(ds_ask(p.src, "STRLEN %sbig", key), "200000000");
    assert_string_equal(ds_ask(p.src, "DEL %sbig", key), "1");
    got = repair();
    assert_int_equal(got.left, 0);
    everything_is_right();
}

/* Members count, not bytes alone; and what a plan allows goes. */
static void set_of_many_members_needs_approval(void **state)
{
    (void)state;
    enum { MEMBERS = 200000 };
    const int slot = 74;
    const struct pair p = pair_of(slot);
    const char *tag = it_slot_tag(slot);
    redisContext *c = it_redis_admin(p.src);
    for (int i = 0; i < MEMBERS; i++)
        assert_int_equal(redisAppendCommand(c, "SADD {%s}set m%d", tag, i), REDIS_OK);
    for (int i = 0; i < MEMBERS; i++) {
        redisReply *r = NULL;
        assert_int_equal(redisGetReply(c, (void **)&r), REDIS_OK);
        freeReplyObject(r);
    }
    redisFree(c);
    put_stray(p.dst, slot, p.src_id, "SET", "moved", "1");
    open_slot(&p, slot);
    ds.cfg.slot_block_budget_ms = 60;
    struct rebalance_repair_report got = repair();
    assert_int_equal(got.left, 1);
    if (strstr(got.first_left, "set, 200000 elements") == NULL ||
        strstr(got.first_left, "needs approval") == NULL)
        fail_msg("%s", got.first_left);
    ds.ctx.allow_big_keys = true;
    got = repair();
    ds.ctx.allow_big_keys = false;
    ds.cfg.slot_block_budget_ms = 0;
    assert_int_equal(got.left, 0);
    assert_int_equal(ds_keys(p.src, slot), 0);
    everything_is_right();
}

/* No owner changes while a replica that is there lacks what was moved. */
static void slot_stays_open_until_replicas_have_its_keys(void **state)
{
    (void)state;
    const int slot = 75;
    const struct pair p = pair_of(slot);
    char server[2][32];
    it_cluster_await(DUTY_AWAIT_MS);
    ds_load(slot, 100);
    open_slot(&p, slot);
    move_some(&p, slot, 40);
    for (int i = 0; i < 2; i++) {
        snprintf(server[i], sizeof server[i], "redis-%d", ds_replica_of(p.dst, i));
        it_server_kill(server[i], true);
    }
    const struct rebalance_repair_report got = repair();
    assert_int_equal(got.left, 1);
    if (strstr(got.first_left, "no live replica") == NULL)
        fail_msg("%s", got.first_left);
    assert_int_equal(got.moved_keys, 0);
    assert_int_equal(ds_primary_of_slot(slot), p.src);
    for (int i = 0; i < 2; i++)
        it_server_up(server[i]);
    it_cluster_await(DUTY_AWAIT_MS);
    assert_int_equal(repair().moved_keys, 60);
    assert_int_equal(ds_primary_of_slot(slot), p.dst);
    ds_check(slot, 100);
    everything_is_right();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reshard_that_was_killed_is_finished),
        cmocka_unit_test(slot_from_which_nothing_moved_is_closed),
        cmocka_unit_test(slot_that_two_nodes_give_to_each_other_gets_an_owner),
        cmocka_unit_test(several_slots_at_once_are_mended),
        cmocka_unit_test(slot_of_a_plan_in_hand_is_left_to_it),
        cmocka_unit_test(moved_keys_are_found_after_the_source_failed_over),
        cmocka_unit_test(moved_keys_are_found_after_the_target_failed_over),
        cmocka_unit_test(target_that_names_a_dead_owner_is_corrected),
        cmocka_unit_test(stray_keys_go_home_and_copies_go_away),
        cmocka_unit_test(copies_that_differ_are_left_and_named),
        cmocka_unit_test(move_with_a_key_on_both_sides_is_finished_only_when_they_agree),
        cmocka_unit_test(key_that_would_block_a_node_too_long_stays),
        cmocka_unit_test(set_of_many_members_needs_approval),
        cmocka_unit_test(slot_stays_open_until_replicas_have_its_keys),
    };
    return cmocka_run_group_tests(tests, duty_stage_open, duty_stage_close);
}
