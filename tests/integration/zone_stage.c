#include "zone_stage.h"

#include "prism/dp/library.h"
#include "prism/slot.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct zone_stage zs;

/* --- SQL ------------------------------------------------------------------------------ */

static PR_PRINTF(1, 0) const char *cell(const char *format, va_list words)
{
    static char out[4096];
    char sql[4096];
    struct pr_err err = { 0 };
    PGresult *got = NULL;
    vsnprintf(sql, sizeof sql, format, words);
    if (pr_db_exec(zs.db, sql, NULL, 0, &got, &err) != PR_OK)
        fail_msg("%.300s: %s", sql, err.text);
    PR_AUTO(PGresult) *res = got;
    const char *v = PQntuples(res) > 0 && PQnfields(res) > 0 ? pr_cell(res, 0, 0) : NULL;
    snprintf(out, sizeof out, "%s", v == NULL ? "" : v);
    return out;
}

const char *zs_text(const char *format, ...)
{
    va_list words;
    va_start(words, format);
    const char *v = cell(format, words);
    va_end(words);
    return v;
}

long zs_number(const char *format, ...)
{
    va_list words;
    va_start(words, format);
    const long v = strtol(cell(format, words), NULL, 10);
    va_end(words);
    return v;
}

struct awaited {
    const char *sql, *want;
};

static bool says_so(void *ctx)
{
    const struct awaited *a = ctx;
    return strcmp(zs_text("%s", a->sql), a->want) == 0;
}

void zs_await(const char *want, const char *format, ...)
{
    char sql[2048];
    va_list words;
    va_start(words, format);
    vsnprintf(sql, sizeof sql, format, words);
    va_end(words);
    struct awaited a = { sql, want };
    if (it_await(says_so, &a, ZS_AWAIT_MS))
        return;
    print_message("%s\n", zs_text("SELECT string_agg(i::text, E'\\n') FROM zone_incidents i"));
    print_message("%s\n", zs_text("SELECT string_agg(p.goal::text || ' ' || p.state || ' ' || "
                                  "coalesce(p.error, ''), E'\\n') FROM plans p"));
    fail_msg("%s: want '%s', not '%s'", sql, want, zs_text("%s", sql));
}

/* --- the cluster ------------------------------------------------------------------------ */

static void learn(void)
{
    struct pr_err err = { 0 };
    assert_ok(pr_cluster_refresh(zs.cluster, &err), &err);
    const struct pr_topology *t = pr_cluster_topology(zs.cluster);
    for (int s = 0; s < PR_SLOTS; s++) {
        const int owner = t->slot_owner[s];
        int at = 0;
        assert_true(owner >= 0);
        while (at < zs.shards && zs.primary[at] != t->node[owner].port)
            at++;
        if (at < zs.shards)
            continue;
        assert_true(zs.shards < ZS_SHARDS);
        zs.slot[zs.shards] = s;
        zs.node[zs.nodes++] = (struct zs_node){ t->node[owner].port, zs.shards, "" };
        zs.primary[zs.shards] = t->node[owner].port;
        zs.replicas = 0;
        for (size_t i = 0; i < t->nodes; i++)
            if (!t->node[i].primary && strcmp(t->node[i].primary_id, t->node[owner].id) == 0) {
                zs.node[zs.nodes++] = (struct zs_node){ t->node[i].port, zs.shards, "" };
                zs.replicas++;
            }
        zs.shards++;
    }
}

bool zs_leads(int port)
{
    redisContext *c = it_redis_admin(port);
    redisReply *r = redisCommand(c, "INFO replication");
    const bool yes = r != NULL && r->str != NULL && strstr(r->str, "role:master") != NULL;
    if (r != NULL)
        freeReplyObject(r);
    redisFree(c);
    return yes;
}

static bool leads(void *ctx)
{
    return zs_leads(*(const int *)ctx);
}

static void go_home(void)
{
    for (int s = 0; s < zs.shards; s++)
        for (int i = 0; i < 6 && !zs_leads(zs.primary[s]); i++) {
            redisContext *c = it_redis_admin(zs.primary[s]);
            redisReply *r = redisCommand(c, "CLUSTER FAILOVER");
            if (r != NULL)
                freeReplyObject(r);
            redisFree(c);
            (void)it_await(leads, &zs.primary[s], 6000);
        }
    it_cluster_await(ZS_AWAIT_MS);
}

static void name_of(int port, char name[32])
{
    snprintf(name, 32, "redis-%d", port);
}

void zs_strike(const char *zone, int signal)
{
    char name[32];
    for (size_t i = 0; i < zs.nodes; i++) {
        if (strcmp(zs.node[i].zone, zone) != 0)
            continue;
        name_of(zs.node[i].port, name);
        if (signal == SIGKILL)
            it_server_kill(name, true);
        else
            assert_int_equal(kill(it_server_pid(name), signal), 0);
    }
}

void zs_return(const char *zone, int signal)
{
    char name[32];
    for (size_t i = 0; i < zs.nodes; i++) {
        if (strcmp(zs.node[i].zone, zone) != 0)
            continue;
        name_of(zs.node[i].port, name);
        if (signal == SIGKILL)
            it_server_up(name);
        else
            assert_int_equal(kill(it_server_pid(name), SIGCONT), 0);
    }
}

/* --- opening, closing ---------------------------------------------------------------------- */

void zs_admin(struct pr_cluster **c, int timeout_ms)
{
    struct pr_err err = { 0 };
    const struct pr_redis_auth auth = { it_env("IT_REDIS_ADMIN_USER"),
                                        it_env("IT_REDIS_ADMIN_PASSWORD") };
    assert_ok(pr_cluster_open(c, it_env("IT_REDIS_SEEDS"), &auth, timeout_ms, &err), &err);
}

int zs_open(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    it_redis_flush();
    it_bus_reset();
    it_database("zones", zs.uri);
    assert_ok(pr_db_open(&zs.db, zs.uri, "zones-test", &err), &err);
    zs_admin(&zs.cluster, 3000);
    assert_ok(pr_cluster_load_library(zs.cluster, pr_library_code, &err), &err);
    learn();
    return 0;
}

int zs_close(void **state)
{
    (void)state;
    it_redis_flush();
    pr_cluster_close(zs.cluster);
    pr_db_close(zs.db);
    return 0;
}

static bool watched(void *ctx)
{
    (void)ctx;
    return zs_number("SELECT count(*) FROM slots") == PR_SLOTS &&
           zs_number("SELECT count(*) FROM zone_states WHERE failed = 0") ==
               zs_number("SELECT count(DISTINCT zone_id) FROM nodes");
}

void zs_service(const char *const *extra)
{
    const char *set[16] = { "PRISM_REBALANCE_LEASE_TTL_MS=4000", "PRISM_REDIS_TIMEOUT_MS=1000",
                            "PRISM_REBALANCE_ZONE_SETTLE_S=0" };
    size_t n = 3;
    for (; extra != NULL && *extra != NULL; extra++)
        set[n++] = *extra;
    if (zs.service.pid != 0)
        assert_int_equal(it_stop(zs.service.pid), 0);
    it_service(&zs.service, "rebalance", zs.uri, set);
}

void zs_begin(const char *zones, const char *const *extra)
{
    zs_text("DELETE FROM failovers");
    zs_text("DELETE FROM zone_incidents");
    zs_text("DELETE FROM outbox");
    zs_text("DELETE FROM plans");
    zs_text("DELETE FROM slots");
    zs_text("DELETE FROM shards");
    zs_text("DELETE FROM nodes");
    zs_text("DELETE FROM zones");
    zs_text("UPDATE policies SET spec = '{}', halted = false");
    for (size_t i = 0; i < zs.nodes; i++) {
        struct zs_node *o = &zs.node[i];
        const int member = (int)i % (zs.replicas + 1);
        o->zone[0] = zones == NULL ? "abc"[(o->shard + member) % 3] : zones[i];
        zs_text("INSERT INTO zones (id) VALUES ('%s') ON CONFLICT DO NOTHING", o->zone);
        zs_text("INSERT INTO nodes (id, host, port, zone_id) VALUES ('n%d', '127.0.0.1', %d, '%s')",
                o->port, o->port, o->zone);
    }
    it_cluster_await(ZS_AWAIT_MS);
    zs_service(extra);
    if (!it_await(watched, NULL, ZS_AWAIT_MS))
        fail_msg("the topology was not written");
}

int zs_end(void **state)
{
    (void)state;
    zs_writers_stop();
    for (size_t i = 0; i < zs.nodes; i++) { /* of a test that failed */
        char name[32];
        name_of(zs.node[i].port, name);
        it_server_up(name);
        (void)kill(it_server_pid(name), SIGCONT);
    }
    if (zs.service.pid != 0 && it_alive(zs.service.pid))
        assert_int_equal(it_stop(zs.service.pid), 0);
    zs.service.pid = 0;
    it_cluster_await(ZS_AWAIT_MS);
    go_home();
    it_redis_flush();
    return 0;
}
