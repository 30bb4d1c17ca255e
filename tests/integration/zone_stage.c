#include "zone_stage.h"

#include "prism/dp/library.h"
#include "prism/io/clock.h"
#include "prism/slot.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct zone_stage zs;

enum { WRITERS = 3, KEYS = 96, BATCH = 16 };

static struct {
    pthread_t thread[WRITERS];
    bool runs;
    atomic_bool stop;
    atomic_int need;
    atomic_long acked, failed;
    long newest[WRITERS][KEYS], kept[WRITERS][KEYS]; /* written last; acknowledged last */
} writers;

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

static const char *tag_of(int slot)
{
    static char tag[16];
    for (int i = 0; i < 1000000; i++) {
        const int n = snprintf(tag, sizeof tag, "t%d", i);
        if (pr_crc16(tag, (size_t)n) % PR_SLOTS == slot)
            return tag;
    }
    fail_msg("no tag for slot %d", slot);
    return NULL;
}

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

static void admin_cluster(struct pr_cluster **c, int timeout_ms)
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
    admin_cluster(&zs.cluster, 3000);
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
    atomic_store(&writers.stop, true);
    for (int w = 0; writers.runs && w < WRITERS; w++)
        pthread_join(writers.thread[w], NULL);
    writers.runs = false;
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

/* --- writers -----------------------------------------------------------------------------------
 */

static void key_of(int writer, int k, char out[48])
{
    snprintf(out, 48, "{t%d}zone:%d:%d", k * 97 + writer, writer, k);
}

struct command {
    char key[48], value[24];
    const char *argv[3];
    size_t len[3];
};

static void set(struct pr_rcmd *cmd, struct command *c, long value)
{
    snprintf(c->value, sizeof c->value, "%ld", value);
    c->argv[0] = "SET";
    c->argv[1] = c->key;
    c->argv[2] = c->value;
    for (int i = 0; i < 3; i++)
        c->len[i] = strlen(c->argv[i]);
    *cmd = (struct pr_rcmd){ .argc = 3,
                             .argv = c->argv,
                             .argvlen = c->len,
                             .slot = pr_slot_of_key(c->key, strlen(c->key)),
                             .wait = true };
}

static void *write_on(void *arg)
{
    const int w = (int)(intptr_t)arg;
    struct pr_cluster *c = NULL;
    struct pr_rcmd cmd[BATCH];
    struct command text[BATCH];
    admin_cluster(&c, 500);
    for (int at = 0; !atomic_load(&writers.stop); at = (at + BATCH) % KEYS) {
        /* Every replica is waited for; need is what counts. */
        const struct pr_run_options o = { .wait_replicas = zs.replicas,
                                          .wait_ms = 200,
                                          .deadline_ms = 1000 };
        const int need = atomic_load(&writers.need);
        for (int i = 0; i < BATCH; i++) {
            key_of(w, at + i, text[i].key);
            set(&cmd[i], &text[i], ++writers.newest[w][at + i]);
        }
        const enum pr_code rc = pr_cluster_run(c, cmd, BATCH, &o, NULL);
        for (int i = 0; rc == PR_OK && i < BATCH; i++) {
            const bool ok =
                cmd[i].rc == PR_OK && cmd[i].acked >= need && need == atomic_load(&writers.need);
            if (ok)
                writers.kept[w][at + i] = writers.newest[w][at + i];
            atomic_fetch_add(ok ? &writers.acked : &writers.failed, 1);
            if (cmd[i].reply != NULL)
                freeReplyObject(cmd[i].reply);
        }
        const struct timespec pause = { 0, 5000000 };
        nanosleep(&pause, NULL);
    }
    pr_cluster_close(c);
    return NULL;
}

void zs_writers_need(int need)
{
    atomic_store(&writers.need, need);
}

void zs_writers_start(int need)
{
    memset(writers.newest, 0, sizeof writers.newest);
    memset(writers.kept, 0, sizeof writers.kept);
    atomic_store(&writers.acked, 0);
    atomic_store(&writers.failed, 0);
    atomic_store(&writers.stop, false);
    zs_writers_need(need);
    for (int w = 0; w < WRITERS; w++)
        assert_int_equal(pthread_create(&writers.thread[w], NULL, write_on, (void *)(intptr_t)w),
                         0);
    writers.runs = true;
}

static bool enough(void *ctx)
{
    return atomic_load(&writers.acked) >= *(const long *)ctx;
}

void zs_writers_await(long more)
{
    long want = atomic_load(&writers.acked) + more;
    if (!it_await(enough, &want, ZS_AWAIT_MS))
        fail_msg("%ld writes were acknowledged, %ld wanted", atomic_load(&writers.acked), want);
}

long zs_writers_check(void)
{
    struct pr_err err = { 0 };
    int lost = 0;
    atomic_store(&writers.stop, true);
    for (int w = 0; w < WRITERS; w++)
        pthread_join(writers.thread[w], NULL);
    writers.runs = false;
    assert_ok(pr_cluster_refresh(zs.cluster, &err), &err);
    for (int w = 0; w < WRITERS; w++)
        for (int k = 0; k < KEYS; k++) {
            char key[48];
            key_of(w, k, key);
            const char *argv[] = { "GET", key };
            const size_t len[] = { 3, strlen(key) };
            struct pr_rcmd cmd = {
                .argc = 2, .argv = argv, .argvlen = len, .slot = pr_slot_of_key(key, strlen(key))
            };
            const struct pr_run_options o = { .deadline_ms = 5000 };
            assert_ok(pr_cluster_run(zs.cluster, &cmd, 1, &o, &err), &err);
            assert_ok(cmd.rc, &err);
            const long has =
                cmd.reply->type == REDIS_REPLY_STRING ? strtol(cmd.reply->str, NULL, 10) : 0;
            freeReplyObject(cmd.reply);
            if (has >= writers.kept[w][k] && has <= writers.newest[w][k])
                continue;
            print_message("%s has %ld, %ld was acknowledged, %ld written last\n", key, has,
                          writers.kept[w][k], writers.newest[w][k]);
            lost++;
        }
    print_message("writes: %ld acknowledged, %ld not, keys with a lost one: %d of %d\n",
                  atomic_load(&writers.acked), atomic_load(&writers.failed), lost, WRITERS * KEYS);
    assert_int_equal(lost, 0);
    return atomic_load(&writers.acked);
}

int64_t zs_covered_ms(int64_t since_us, int64_t most_ms)
{
    struct pr_cluster *c = NULL;
    bool done[ZS_SHARDS] = { false };
    int left = zs.shards;
    admin_cluster(&c, 300);
    while (left > 0 && pr_mono_us() - since_us < most_ms * 1000) {
        for (int s = 0; s < zs.shards; s++) {
            struct command text;
            struct pr_rcmd cmd;
            const struct pr_run_options o = { .deadline_ms = 150 };
            if (done[s])
                continue;
            snprintf(text.key, sizeof text.key, "{%s}probe", tag_of(zs.slot[s]));
            set(&cmd, &text, 1);
            cmd.wait = false;
            if (pr_cluster_run(c, &cmd, 1, &o, NULL) != PR_OK)
                continue;
            done[s] = cmd.rc == PR_OK && cmd.reply->type != REDIS_REPLY_ERROR;
            left -= done[s];
            if (cmd.reply != NULL)
                freeReplyObject(cmd.reply);
        }
        const struct timespec pause = { 0, pr_cluster_refresh(c, NULL) == PR_OK ? 10000000
                                                                                : 50000000 };
        nanosleep(&pause, NULL);
    }
    pr_cluster_close(c);
    return left == 0 ? (pr_mono_us() - since_us) / 1000 : -1;
}
