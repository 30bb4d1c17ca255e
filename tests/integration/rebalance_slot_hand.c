/* What tests of slots do by hand, as if an earlier executor, or a client, had. */
#include "rebalance_slot_stage.h"

#include "io/slot/pair.h"

#include <stdio.h>
#include <string.h>

void slot_hand_id(int port, char id[64])
{
    snprintf(id, 64, "%s", slot_stage_ask(port, "CLUSTER MYID"));
    assert_int_equal(strlen(id), 40);
}

void slot_hand_open(int slot, bool importing, bool migrating)
{
    char src[64], dst[64];
    slot_hand_id(stage.src_port, src);
    slot_hand_id(stage.dst_port, dst);
    if (importing)
        assert_string_equal(
            slot_stage_ask(stage.dst_port, "CLUSTER SETSLOT %d IMPORTING %s", slot, src), "OK");
    if (migrating)
        assert_string_equal(
            slot_stage_ask(stage.src_port, "CLUSTER SETSLOT %d MIGRATING %s", slot, dst), "OK");
}

void slot_hand_send(const char *key, const char *how)
{
    const char *const user = it_env("IT_REDIS_ADMIN_USER"), *const password =
                                                                it_env("IT_REDIS_ADMIN_PASSWORD");
    assert_string_equal(
        how[0] == '\0'
            ? slot_stage_ask(stage.src_port, "MIGRATE 127.0.0.1 %d %s 0 5000 AUTH2 %s %s",
                             stage.dst_port, key, user, password)
            : slot_stage_ask(stage.src_port, "MIGRATE 127.0.0.1 %d %s 0 5000 %s AUTH2 %s %s",
                             stage.dst_port, key, how, user, password),
        "OK");
}

void slot_hand_migrate(int slot, int key, const char *how)
{
    char name[64];
    snprintf(name, sizeof name, "k%d:{%u}", key, rebalance_tag_of_slot((unsigned)slot));
    slot_hand_send(name, how);
}

void slot_hand_over(int i, int keys, bool tell_source)
{
    char dst[64];
    slot_hand_id(stage.dst_port, dst);
    slot_hand_open(stage.slot[i], true, true);
    for (int k = 0; k < keys; k++)
        slot_hand_migrate(stage.slot[i], k, "");
    assert_string_equal(
        slot_stage_ask(stage.dst_port, "CLUSTER SETSLOT %d NODE %s", stage.slot[i], dst), "OK");
    if (tell_source)
        assert_string_equal(
            slot_stage_ask(stage.src_port, "CLUSTER SETSLOT %d NODE %s", stage.slot[i], dst), "OK");
}

static redisContext *asking(int port)
{
    redisContext *c = it_redis_admin(port);
    freeReplyObject(redisCommand(c, "ASKING"));
    return c;
}

static void answers(redisContext *c, redisReply *r)
{
    if (r == NULL || r->type == REDIS_REPLY_ERROR)
        fail_msg("port %d: %s", c->tcp.port, r == NULL ? c->errstr : r->str);
    freeReplyObject(r);
}

void slot_hand_at_target(const char *format, ...)
{
    va_list ap;
    redisContext *c = asking(stage.dst_port);
    va_start(ap, format);
    answers(c, redisvCommand(c, format, ap));
    va_end(ap);
    redisFree(c);
}

void slot_hand_leave(int port, int owner, int slot, const char *format, ...)
{
    char id[64];
    va_list ap;
    slot_hand_id(owner, id);
    redisContext *c = it_redis_admin(port);
    answers(c, redisCommand(c, "CLUSTER SETSLOT %d IMPORTING %s", slot, id));
    answers(c, redisCommand(c, "ASKING"));
    va_start(ap, format);
    answers(c, redisvCommand(c, format, ap));
    va_end(ap);
    answers(c, redisCommand(c, "CLUSTER SETSLOT %d STABLE", slot));
    redisFree(c);
}

void slot_hand_row(int i, const char *set)
{
    char sql[500], cell[8];
    snprintf(sql, sizeof sql, "UPDATE steps SET %s WHERE plan_id = %lld AND step = %d", set,
             (long long)stage.plan, i + 1);
    it_sql(stage.uri, sql, cell, sizeof cell);
}

void slot_hand_state(int i, const char *row_state)
{
    char set[40];
    snprintf(set, sizeof set, "state = '%s'", row_state);
    slot_hand_row(i, set);
}

void slot_hand_in_flight(int i, const char *key)
{
    char set[300];
    int n = snprintf(set, sizeof set, "in_flight = '\\x%02x000000", (unsigned)strlen(key));
    assert_true(strlen(key) < 64);
    for (size_t k = 0; key[k] != '\0'; k++)
        n += snprintf(set + n, sizeof set - (size_t)n, "%02x", (unsigned char)key[k]);
    snprintf(set + n, sizeof set - (size_t)n, "'");
    slot_hand_row(i, set);
}

/* By a slot that nobody imports. */
static bool is_promoted(void *port)
{
    *(int *)port = slot_stage_owner(stage.kept[0]);
    return *(int *)port != 0 && *(int *)port != stage.src_port;
}

/* A target never learns who owns a slot that it imports when its source has failed over: the
 * cluster is not healthy before a scheduler has cured that, so this is not waited for. */
int slot_hand_fail_over_source(void)
{
    int promoted = 0;
    assert_string_equal(slot_stage_ask(slot_stage_replica(stage.src_port), "CLUSTER FAILOVER"),
                        "OK");
    assert_true(it_await(slot_stage_is_replica, &stage.src_port, STAGE_AWAIT_MS));
    assert_true(it_await(is_promoted, &promoted, STAGE_AWAIT_MS));
    return promoted;
}
