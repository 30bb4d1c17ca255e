/* The Redis servers that are followed are promoted, killed, stopped, and close a slow reader. */
#include "dr_scene.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int port_of(const char *server)
{
    return atoi(server + strlen("redis-"));
}

struct promoting {
    const char *shard;
    int port; /* the primary so far */
};

static bool another_leads(void *ctx)
{
    const struct promoting *p = ctx;
    const long now =
        dr_stage_number("SELECT n.port FROM shards s JOIN nodes n ON n.id = s.primary_id "
                        "WHERE s.id = '%s'",
                        p->shard);
    return now > 0 && now != p->port;
}

static bool healthy(void *ctx)
{
    (void)ctx;
    return it_cluster_healthy();
}

static bool in_step(void *ctx)
{
    (void)ctx;
    return it_cluster_healthy() &&
           dr_stage_number("SELECT count(*) FROM dr_shards WHERE streaming") ==
               dr_stage_number("SELECT count(*) FROM shards WHERE slots > 0");
}

static const struct dr_shard_at *pick(struct pr_rng *rng, struct dr_shard_at *shard)
{
    const size_t n = dr_stage_shards(shard);
    return &shard[pr_rng_below(rng, n)];
}

/* The one that is followed, or another replica of the shard. */
static int replica_of(const struct dr_shard_at *s, const char *source, bool followed)
{
    return followed
               ? port_of(source)
               : (int)dr_stage_number("SELECT min(n.port) FROM nodes n WHERE n.shard_id = '%s' AND "
                                      "n.port NOT IN (%d, %d)",
                                      s->id, s->port, port_of(source));
}

void dr_source_is_promoted(void **state)
{
    (void)state;
    const long strikes = dr_strikes(10);
    dr_serve();
    dr_ledger_await_acked(10);
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("promoted", i);
        struct dr_shard_at shard[IT_MAX_NODES];
        char source[32];
        const struct dr_shard_at *s = pick(&rng, shard);
        dr_stage_source(s->id, source);
        const int port = replica_of(s, source, pr_rng_below(&rng, 2) == 0);
        struct promoting p = { s->id, s->port };
        bool promoted = false;
        for (int tries = 0; tries < 5 && !promoted; tries++) { /* Redis itself gives up at times */
            redisContext *c = it_redis_admin(port);
            redisReply *r = redisCommand(c, "CLUSTER FAILOVER");
            assert_true(r != NULL && r->type == REDIS_REPLY_STATUS);
            freeReplyObject(r);
            redisFree(c);
            promoted = it_await(another_leads, &p, 8000);
        }
        assert_true(promoted);
        assert_true(it_await(in_step, NULL, DR_AWAIT_MS));
        dr_ledger_await_acked(10);
        dr_check(i);
        dr_struck(DR_RESUMED);
    }
    dr_ends_well();
}

/* --- dead and silent ----------------------------------------------------------------------------
 */

void dr_source_is_killed(void **state)
{
    (void)state;
    const long strikes = dr_strikes(6);
    dr_serve();
    dr_ledger_await_acked(10);
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("source killed", i);
        struct dr_shard_at shard[IT_MAX_NODES];
        char source[32];
        const struct dr_shard_at *s = pick(&rng, shard);
        dr_stage_source(s->id, source);
        struct dr_stage_leaving l = { s->id, source };
        it_server_kill(source, true);
        const bool left = it_await(dr_stage_left, &l, 10000);
        dr_ledger_await_acked(5);
        it_server_up(source);
        assert_true(left);
        assert_true(it_await(in_step, NULL, DR_AWAIT_MS));
        dr_check(i);
        dr_struck(DR_RESUMED);
    }
    dr_ends_well();
}

static bool beats_come(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM dr_shards WHERE beat_at < now() - interval '2 s' "
                           "OR beat_at IS NULL") == 0;
}

/* It closes nothing, and is silent: heartbeats would come every 500 ms. */
void dr_source_is_stopped(void **state)
{
    (void)state;
    const long strikes = dr_strikes(4);
    dr_serve();
    dr_ledger_await_acked(10);
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("source stopped", i);
        struct dr_shard_at shard[IT_MAX_NODES];
        char source[32];
        const struct dr_shard_at *s = pick(&rng, shard);
        dr_stage_source(s->id, source);
        struct dr_stage_leaving l = { s->id, source };
        const pid_t pid = it_server_pid(source);
        assert_true(it_await(beats_come, NULL, DR_AWAIT_MS));
        assert_int_equal(kill(pid, SIGSTOP), 0);
        const bool left = it_await(dr_stage_left, &l, 15000);
        assert_int_equal(kill(pid, SIGCONT), 0);
        assert_true(left);
        assert_true(it_await(in_step, NULL, DR_AWAIT_MS));
        dr_ledger_await_acked(5);
        dr_check(i);
        dr_struck(DR_RESUMED);
    }
}

void dr_primary_is_killed(void **state)
{
    (void)state;
    const long strikes = dr_strikes(3);
    dr_serve();
    dr_ledger_await_acked(10);
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("primary killed", i);
        struct dr_shard_at shard[IT_MAX_NODES];
        char server[32];
        const struct dr_shard_at *s = pick(&rng, shard);
        struct promoting p = { s->id, s->port };
        (void)snprintf(server, sizeof server, "redis-%d", s->port);
        it_server_kill(server, true);
        const bool promoted = it_await(another_leads, &p, DR_AWAIT_MS);
        it_server_up(server);
        assert_true(promoted);
        assert_true(it_await(healthy, NULL, DR_AWAIT_MS));
        assert_true(it_await(in_step, NULL, DR_AWAIT_MS));
        dr_ledger_await_acked(10);
        dr_check(i);
        dr_struck(DR_RESUMED);
    }
    dr_ends_well();
}

/* --- slow ---------------------------------------------------------------------------------------
 */

static void say(int port, const char *name, const char *value)
{
    redisContext *c = it_redis_admin(port);
    redisReply *r = redisCommand(c, "CONFIG SET %s %s", name, value);
    assert_true(r != NULL && r->type == REDIS_REPLY_STATUS);
    freeReplyObject(r);
    redisFree(c);
}

static bool has_no_reader(void *ctx)
{
    redisContext *c = it_redis_admin(*(const int *)ctx);
    redisReply *r = redisCommand(c, "INFO replication");
    const bool none = r != NULL && r->str != NULL && strstr(r->str, "connected_slaves:0") != NULL;
    freeReplyObject(r);
    redisFree(c);
    return none;
}

/* More than the sockets between take. */
static void write_much(const struct dr_shard_at *s)
{
    enum { MB = 1 << 20, TIMES = 8, SIZE = 4 * MB };
    char tag[16], *big = malloc(SIZE);
    redisContext *c = it_redis_admin(s->port);
    assert_non_null(big);
    memset(big, 'x', SIZE);
    dr_stage_tag(s, tag);
    for (int i = 0; i < TIMES; i++) {
        redisReply *r = redisCommand(c, "SET {%s}big %b", tag, big, (size_t)SIZE);
        assert_true(r != NULL && r->type == REDIS_REPLY_STATUS);
        freeReplyObject(r);
    }
    freeReplyObject(redisCommand(c, "DEL {%s}big", tag));
    redisFree(c);
    free(big);
}

/* The service stands still; its source keeps what it cannot send up to its limit, and hangs up.
 * Then it goes on, from the backlog or with a new base, as the backlog is. */
void dr_source_closes_a_slow_reader(void **state)
{
    (void)state;
    const long strikes = dr_strikes(6);
    dr_serve();
    dr_ledger_await_acked(10);
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("slow reader", i);
        struct dr_shard_at shard[IT_MAX_NODES];
        char source[32];
        const struct dr_shard_at *s = pick(&rng, shard);
        dr_stage_source(s->id, source);
        int port = port_of(source);
        say(port, "repl-backlog-size", pr_rng_below(&rng, 2) == 0 ? "64mb" : "1mb");
        say(port, "client-output-buffer-limit", "replica 1mb 1mb 1");
        assert_int_equal(kill(dr.dr.pid, SIGSTOP), 0);
        write_much(s);
        const bool closed = it_await(has_no_reader, &port, 20000);
        assert_int_equal(kill(dr.dr.pid, SIGCONT), 0);
        say(port, "client-output-buffer-limit", "replica 256mb 64mb 60");
        assert_true(closed);
        assert_true(it_await(in_step, NULL, DR_AWAIT_MS));
        dr_ledger_await_acked(10);
        dr_check(i);
        dr_struck(DR_RESUMED);
    }
    dr_ends_well();
}
