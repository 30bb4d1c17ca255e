#include "dr_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dr_stage dr;

long dr_stage_number(const char *format, ...)
{
    char sql[1024], cell[64];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(sql, sizeof sql, format, ap);
    va_end(ap);
    it_sql(dr.uri, sql, cell, sizeof cell);
    return strtol(cell, NULL, 10);
}

void dr_stage_text(char *out, size_t n, const char *format, ...)
{
    char sql[1024];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(sql, sizeof sql, format, ap);
    va_end(ap);
    it_sql(dr.uri, sql, out, n);
}

/* --- set-up ------------------------------------------------------------------------------- */

void dr_stage_set(const char *name, const char *value)
{
    size_t i = 0;
    while (dr.env[i] != NULL &&
           (strncmp(dr.env[i], name, strlen(name)) != 0 || dr.env[i][strlen(name)] != '='))
        i++;
    assert_true(i < DR_SETTINGS);
    (void)snprintf(dr.setting[i], sizeof dr.setting[i], "%s=%s", name, value);
    dr.env[i] = dr.setting[i];
}

static void register_nodes(void)
{
    int port[IT_MAX_NODES];
    const size_t n = it_redis_ports(port);
    it_sql(dr.uri, "INSERT INTO zones (id) VALUES ('a'), ('b'), ('c')", NULL, 0);
    it_sql(dr.uri, "INSERT INTO store (partitions) VALUES (4096)", NULL, 0);
    for (size_t i = 0; i < n; i++) {
        char sql[256];
        (void)snprintf(sql, sizeof sql,
                       "INSERT INTO nodes (id, host, port, zone_id) "
                       "VALUES ('n%d', '127.0.0.1', %d, '%s')",
                       port[i], port[i], it_redis_zone(port[i]));
        it_sql(dr.uri, sql, NULL, 0);
    }
}

static bool watched(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM slots") == 16384 &&
           dr_stage_number("SELECT count(*) FROM nodes WHERE state <> 'up'") == 0;
}

void dr_stage_settings(int number)
{
    (void)snprintf(dr.cluster, sizeof dr.cluster, "t%d", number);
    dr_stage_set("PRISM_DR_CLUSTER", dr.cluster);
    dr_stage_set("PRISM_DR_S3_ENDPOINT", it_env("IT_S3_URL"));
    dr_stage_set("PRISM_DR_S3_BUCKET", it_env("IT_S3_BUCKET"));
    dr_stage_set("PRISM_DR_S3_REGION", it_env("IT_S3_REGION"));
    dr_stage_set("PRISM_DR_S3_PATH_STYLE", "true");
    dr_stage_set("PRISM_DR_S3_ACCESS_KEY_ID", it_env("IT_S3_ACCESS"));
    dr_stage_set("PRISM_DR_S3_SECRET_ACCESS_KEY", it_env("IT_S3_SECRET"));
    dr_stage_set("PRISM_DR_FLUSH_MS", "100");
    dr_stage_set("PRISM_DR_LEASE_TTL_MS", "3000");
    dr_stage_set("PRISM_DR_BEAT_MS", "60000"); /* or primaries would differ from what is restored */
}

int dr_stage_open(void **state)
{
    (void)state;
    char role[IT_URI];
    it_cluster_await(DR_AWAIT_MS);
    it_redis_flush();
    it_bus_reset();
    it_database("dr", dr.uri);
    it_role_uri(dr.uri, "dr", dr.role);
    it_role_uri(dr.uri, "rebalance", role);
    register_nodes();
    it_service(&dr.rebalance, "rebalance", role, NULL);
    if (!it_await(watched, NULL, DR_AWAIT_MS))
        fail_msg("the topology was not written");
    dr_stage_settings(dr.rebalance.pid);
    return 0;
}

int dr_stage_close(void **state)
{
    (void)state;
    return 0;
}

static bool streams(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM dr_shards WHERE streaming AND "
                           "updated_at > now() - interval '3 s'") ==
           dr_stage_number("SELECT count(*) FROM shards WHERE slots > 0");
}

void dr_stage_await_streaming(void)
{
    if (!it_await(streams, NULL, DR_AWAIT_MS)) {
        char error[512];
        dr_stage_text(error, sizeof error,
                      "SELECT string_agg(shard_id || ': ' || error, '; ') FROM dr_shards");
        fail_msg("not every shard is followed: %s", error);
    }
}

void dr_stage_start(void)
{
    it_service(&dr.dr, "dr", dr.uri, dr.env);
    dr_stage_await_streaming();
}

void dr_stage_fresh(void)
{
    static unsigned times;
    static char first[sizeof dr.cluster];
    if (times == 0)
        memcpy(first, dr.cluster, sizeof first);
    (void)snprintf(dr.cluster, sizeof dr.cluster, "%.20s-%u", first, ++times);
    dr_stage_set("PRISM_DR_CLUSTER", dr.cluster);
    it_sql(dr.uri, "DELETE FROM dr_shards", NULL, 0);
    it_sql(dr.uri, "DELETE FROM dr_groups", NULL, 0);
    it_sql(dr.uri, "DELETE FROM dr_generations", NULL, 0);
    it_sql(dr.uri, "DELETE FROM dr_bases_wanted", NULL, 0);
    it_sql(dr.uri, "DELETE FROM dr_life", NULL, 0);
}

void dr_stage_end_leases(void)
{
    it_sql(dr.uri, "UPDATE leases SET expires_at = '-infinity' WHERE name LIKE 'dr-%'", NULL, 0);
}

void dr_stage_source(const char *shard, char server[32])
{
    char source[128];
    dr_stage_text(source, sizeof source, "SELECT source FROM dr_shards WHERE shard_id = '%s'",
                  shard);
    assert_non_null(strrchr(source, ':'));
    (void)snprintf(server, 32, "redis-%d", atoi(strrchr(source, ':') + 1));
}

bool dr_stage_left(void *left)
{
    const struct dr_stage_leaving *l = left;
    return dr_stage_number("SELECT count(*) FROM dr_shards WHERE shard_id = '%s' AND streaming AND "
                           "source NOT LIKE '%%:%s'",
                           l->shard, l->server + strlen("redis-")) == 1;
}

bool dr_stage_raised(void *alarm)
{
    return dr_stage_number("SELECT count(*) FROM dr_shards WHERE '%s' = ANY (alarms)",
                           (const char *)alarm) > 0;
}

bool dr_stage_not_raised(void *alarm)
{
    return !dr_stage_raised(alarm);
}

void dr_stage_config(const char *name, const char *value)
{
    int port[IT_MAX_NODES];
    const size_t n = it_redis_ports(port);
    for (size_t i = 0; i < n; i++) {
        redisContext *c = it_redis_admin(port[i]);
        redisReply *r = redisCommand(c, "CONFIG SET %s %s", name, value);
        assert_true(r != NULL && r->type == REDIS_REPLY_STATUS);
        freeReplyObject(r);
        redisFree(c);
    }
}

size_t dr_stage_shards(struct dr_shard_at out[IT_MAX_NODES])
{
    char list[4096], *save = NULL;
    size_t n = 0;
    dr_stage_text(list, sizeof list,
                  "SELECT string_agg(s.id || ' ' || n.port, ',' ORDER BY s.id) FROM shards s "
                  "JOIN nodes n ON n.id = s.primary_id WHERE s.slots > 0");
    for (char *each = strtok_r(list, ",", &save); each != NULL; each = strtok_r(NULL, ",", &save)) {
        assert_int_equal(sscanf(each, "%63s %d", out[n].id, &out[n].port), 2);
        n++;
    }
    assert_true(n > 0);
    return n;
}

/* --- writing -------------------------------------------------------------------------------- */

struct writer {
    redisContext *c;
    int slot; /* that it owns */
    int open; /* replies to come */
};

void dr_stage_tag(const struct dr_shard_at *s, char out[16])
{
    const long first = dr_stage_number("SELECT min(slot) FROM slots WHERE shard_id = '%s'", s->id);
    (void)snprintf(out, 16, "%s", it_slot_tag((int)first));
}

static void append_random(redisContext *c, struct pr_rng *rng, const char *tag)
{
    char value[4096];
    const int key = (int)pr_rng_below(rng, 500);
    const size_t n = 1 + pr_rng_below(rng, sizeof value);
    for (size_t i = 0; i < n; i++)
        value[i] = (char)pr_rng_below(rng, 256);
    switch (pr_rng_below(rng, 7)) {
    case 0:
        redisAppendCommand(c, "SET {%s}s%d %b", tag, key, value, n);
        break;
    case 1:
        redisAppendCommand(c, "HSET {%s}h%d f%d %b g x", tag, key, key % 7, value, n);
        break;
    case 2:
        redisAppendCommand(c, "SADD {%s}m%d %d a b", tag, key % 20, key);
        break;
    case 3:
        redisAppendCommand(c, "ZADD {%s}z%d %d %b", tag, key % 20, key, value, n % 64 + 1);
        break;
    case 4:
        redisAppendCommand(c, "DEL {%s}s%d {%s}h%d", tag, key, tag, key + 1);
        break;
    case 5:
        redisAppendCommand(c, "EVAL %s 2 {%s}c {%s}d%d",
                           "redis.call('INCR', KEYS[1]) return redis.call('APPEND', KEYS[2], "
                           "redis.call('GET', KEYS[1]))",
                           tag, tag, key % 50);
        break;
    default:
        redisAppendCommand(c, "RPUSH {%s}l%d %b", tag, key % 30, value, n % 200 + 1);
    }
}

static void write_shard(const struct dr_shard_at *s, uint64_t seed, int n)
{
    enum { PIPE = 100 };
    struct pr_rng rng;
    char tag[16];
    redisContext *c = it_redis_admin(s->port);
    pr_rng_init(&rng, seed);
    dr_stage_tag(s, tag);
    for (int done = 0; done < n;) {
        int sent = 0;
        for (; sent < PIPE && done < n; sent++, done++)
            append_random(c, &rng, tag);
        while (sent-- > 0) {
            void *r = NULL;
            if (redisGetReply(c, &r) != REDIS_OK)
                fail_msg("redis on port %d: %s", s->port, c->errstr);
            assert_int_not_equal(((redisReply *)r)->type, REDIS_REPLY_ERROR);
            freeReplyObject(r);
        }
    }
    redisFree(c);
}

void dr_stage_write(uint64_t seed, int n)
{
    struct dr_shard_at shard[IT_MAX_NODES];
    const size_t shards = dr_stage_shards(shard);
    for (size_t i = 0; i < shards; i++)
        write_shard(&shard[i], seed + i, n);
}

static long long offset_of(int port)
{
    redisContext *c = it_redis_admin(port);
    redisReply *r = redisCommand(c, "INFO replication");
    const char *at = r != NULL && r->str != NULL ? strstr(r->str, "master_repl_offset:") : NULL;
    assert_non_null(at);
    const long long offset = strtoll(at + strlen("master_repl_offset:"), NULL, 10);
    freeReplyObject(r);
    redisFree(c);
    return offset;
}

struct wanted {
    const char *shard;
    long long offset;
};

static bool durable(void *ctx)
{
    const struct wanted *w = ctx;
    return dr_stage_number("SELECT count(*) FROM dr_shards WHERE shard_id = '%s' AND "
                           "generation_epoch > 0 AND durable_offset >= %lld",
                           w->shard, w->offset) == 1;
}

void dr_stage_await_durable(void)
{
    struct dr_shard_at shard[IT_MAX_NODES];
    const size_t n = dr_stage_shards(shard);
    for (size_t i = 0; i < n; i++) {
        struct wanted w = { shard[i].id, offset_of(shard[i].port) };
        if (!it_await(durable, &w, DR_AWAIT_MS)) {
            char row[512];
            dr_stage_text(row, sizeof row, "SELECT d::text FROM dr_shards d WHERE shard_id = '%s'",
                          shard[i].id);
            fail_msg("shard %s: offset %lld is not durable: %s", shard[i].id, w.offset, row);
        }
    }
}

/* --- restoring ------------------------------------------------------------------------------- */

int dr_stage_restore(const char *shard, const char *dir, const char *until, char *out, size_t n)
{
    char program[4096], to[512];
    (void)snprintf(program, sizeof program, "%s/prism-dr", PRISM_BIN_DIR);
    (void)snprintf(to, sizeof to, "%s/%s", dir, shard);
    const char *argv[] = {
        program, "restore", "--shard", shard, "--dir", to, until != NULL ? "--until" : NULL,
        until,   NULL
    };
    return it_run(dr.env, argv, out, n, DR_AWAIT_MS);
}

static bool loaded(void *ctx)
{
    const int *port = ctx;
    redisContext *c = redisConnect("127.0.0.1", *port);
    redisReply *r = c != NULL && c->err == 0 ? redisCommand(c, "PING") : NULL;
    const bool ok = r != NULL && r->type == REDIS_REPLY_STATUS;
    freeReplyObject(r);
    if (c != NULL)
        redisFree(c);
    return ok;
}

int dr_stage_serve(const char *dir, const char *shard, pid_t *pid)
{
    char to[512], text[16];
    int port = it_free_port();
    (void)snprintf(to, sizeof to, "%s/%s", dir, shard);
    (void)snprintf(text, sizeof text, "%d", port);
    const char *argv[] = { "/usr/bin/redis-server",
                           "--port",
                           text,
                           "--bind",
                           "127.0.0.1",
                           "--dir",
                           to,
                           "--appendonly",
                           "yes",
                           "--aof-load-truncated",
                           "no",
                           "--save",
                           "",
                           "--enable-debug-command",
                           "local",
                           NULL };
    *pid = it_spawn(NULL, argv);
    if (!it_await(loaded, &port, DR_AWAIT_MS))
        fail_msg("the redis-server on %s does not answer: %s", to,
                 it_alive(*pid) ? "it loads" : "it ended");
    return port;
}

void dr_stage_digest(int port, bool restored, char out[64])
{
    redisContext *c = restored ? redisConnect("127.0.0.1", port) : it_redis_admin(port);
    redisReply *r = redisCommand(c, "DEBUG DIGEST");
    if (r == NULL || r->type != REDIS_REPLY_STATUS)
        fail_msg("DEBUG DIGEST on port %d: %s", port, r == NULL ? c->errstr : r->str);
    (void)snprintf(out, 64, "%s", r->str);
    freeReplyObject(r);
    redisFree(c);
}
