#include "duty_stage.h"

#include "own_redis.h"

#include "core/topology.h"
#include "io/topology_rows.h"

#include "prism/dp/library.h"
#include "prism/io/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct duty_stage ds;

/* --- SQL ---------------------------------------------------------------------------- */

void ds_cell(char *out, size_t n, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    it_sql(ds.uri, text, out, n);
}

void ds_sql(const char *fmt, ...)
{
    char text[1024], cell[8];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    it_sql(ds.uri, text, cell, sizeof cell);
}

/* --- the watcher ---------------------------------------------------------------------- */

void ds_watch(void)
{
    struct pr_err err = { 0 };
    struct pr_arena arena;
    struct rebalance_registered reg;
    struct rebalance_image image;
    int rows = 0;
    pr_arena_init(&arena, 0);
    assert_ok(pr_cluster_refresh(ds.cluster, &err), &err);
    const struct pr_topology *t = pr_cluster_topology(ds.cluster);
    assert_ok(rebalance_registered_load(ds.db, &arena, &reg, &err), &err);
    assert_ok(rebalance_cluster_image(&reg, t, &arena, &image, &err), &err);
    assert_ok(pr_lease_hold(ds.db, &ds.watch_lease, &err), &err);
    assert_ok(rebalance_topology_write(ds.db, &ds.watch_lease, &reg, &image, &rows, &err), &err);
    pr_arena_done(&arena);
}

/* --- the stage -------------------------------------------------------------------------- */

static void register_stack(void)
{
    ds_sql("INSERT INTO zones (id) VALUES ('a'), ('b'), ('c')");
    for (size_t i = 0; i < ds.ports; i++)
        ds_sql("INSERT INTO nodes (id, host, port, zone_id) "
               "VALUES ('n%d', '127.0.0.1', %d, '%s')",
               ds.port[i], ds.port[i], it_redis_zone(ds.port[i]));
}

static int64_t lease_left(void *arg)
{
    struct pr_err err = { 0 };
    (void)arg; /* a test has no thread that renews it */
    return pr_lease_hold(ds.db, &ds.lease, &err) == PR_OK ? ds.lease.ttl_ms : 0;
}

static void renew(void *arg)
{
    static int calls;
    if (++calls % 50 == 0)
        (void)lease_left(arg);
}

static void open_service(void)
{
    struct pr_err err = { 0 };
    char role[IT_URI];
    it_role_uri(ds.uri, "rebalance", role);
    assert_ok(pr_db_open(&ds.db, role, "duty-test", &err), &err);
    ds.cfg = (struct rebalance_config){ .redis_timeout_ms = 2000 };
    ds.cfg.redis_user = (char *)(uintptr_t)it_env("IT_REBALANCE_REDIS_USER");
    ds.cfg.redis_password = (char *)(uintptr_t)it_env("IT_REBALANCE_REDIS_PASSWORD");
    const struct pr_redis_auth auth = { ds.cfg.redis_user, ds.cfg.redis_password };
    assert_ok(pr_cluster_open(&ds.cluster, it_env("IT_REDIS_SEEDS"), &auth, 2000, &err), &err);
    ds.lease = (struct pr_lease){ .name = "rebalance-executor", .holder = "t", .ttl_ms = 60000 };
    ds.watch_lease =
        (struct pr_lease){ .name = "rebalance-topology", .holder = "t", .ttl_ms = 60000 };
    assert_ok(pr_lease_hold(ds.db, &ds.lease, &err), &err);
    assert_ok(rebalance_user_init(&ds.user, REBALANCE_USER_FLEET, ds.lease.epoch, &err), &err);
    ds.ctx = (struct rebalance_duty_ctx){ .cfg = &ds.cfg,
                                          .db = ds.db,
                                          .cluster = ds.cluster,
                                          .user = &ds.user,
                                          .lease = &ds.lease,
                                          .plan_id = 1,
                                          .lease_left_ms = lease_left,
                                          .stop = &ds.stop,
                                          .tend = renew };
}

/* Users as the stack made them: those of other tests' epochs may be newer than ours. */
static void reset_users(void)
{
    for (size_t i = 0; i < ds.ports; i++)
        assert_string_equal(ds_ask(ds.port[i], "ACL LOAD"), "OK");
}

/* Slots that a test left open when it failed. */
static void close_slots(void)
{
    for (size_t i = 0; i < ds.ports; i++) {
        redisContext *c = it_redis_admin(ds.port[i]);
        redisReply *r = redisCommand(c, "CLUSTER NODES");
        for (const char *p = strchr(r->str, '['); p != NULL; p = strchr(p + 1, '['))
            freeReplyObject(
                redisCommand(c, "CLUSTER SETSLOT %d STABLE", (int)strtol(p + 1, NULL, 10)));
        freeReplyObject(r);
        redisFree(c);
    }
}

/* Nodes of a test that failed half way. */
static void forget_joiners(void)
{
    char id[64];
    for (size_t i = 0; i < ds.ports; i++) {
        redisContext *c = it_redis_admin(ds.port[i]);
        redisReply *r = redisCommand(c, "CLUSTER NODES");
        for (const char *line = r->str; line != NULL && line[0] != '\0';) {
            int port = 0;
            bool ours = false;
            if (sscanf(line, "%63s 127.0.0.1:%d@", id, &port) == 2)
                for (size_t k = 0; k < ds.ports; k++)
                    ours = ours || ds.port[k] == port;
            if (port != 0 && !ours)
                freeReplyObject(redisCommand(c, "CLUSTER FORGET %s", id));
            line = strchr(line, '\n');
            line = line == NULL ? NULL : line + 1;
        }
        freeReplyObject(r);
        redisFree(c);
    }
}

int duty_stage_open(void **state)
{
    (void)state;
    ds.ports = it_redis_ports(ds.port);
    it_cluster_revive();
    forget_joiners();
    close_slots();
    struct pr_err err = { 0 };
    const struct pr_redis_auth admin = { it_env("IT_REDIS_ADMIN_USER"),
                                         it_env("IT_REDIS_ADMIN_PASSWORD") };
    struct pr_cluster *c = NULL;
    it_redis_flush();
    it_database("duties", ds.uri);
    register_stack();
    reset_users();
    assert_ok(pr_cluster_open(&c, it_env("IT_REDIS_SEEDS"), &admin, 3000, &err), &err);
    assert_ok(pr_cluster_load_library(c, pr_library_code, &err), &err);
    pr_cluster_close(c);
    open_service();
    struct rebalance_users_ready ready = { .says = "" };
    const struct pr_redis_auth service = { ds.cfg.redis_user, ds.cfg.redis_password };
    assert_ok(rebalance_users_prepare(&ready, pr_cluster_topology(ds.cluster), &service, &ds.user,
                                      1, pr_mono_us() + 10000000, &err),
              &err);
    assert_string_equal(ready.says, "");
    rebalance_users_ready_done(&ready);
    ds_sql("INSERT INTO plans (operation_id, kind, goal, state, created_by) "
           "VALUES (gen_random_uuid(), 'fleet', '{\"kind\": \"balance\"}', 'running', 'test')");
    ds_watch();
    return 0;
}

int duty_stage_close(void **state)
{
    (void)state;
    forget_joiners();
    close_slots();
    it_redis_flush();
    reset_users();
    pr_cluster_close(ds.cluster);
    pr_db_close(ds.db);
    return 0;
}

/* --- nodes of the test's own -------------------------------------------------------------- */

/* The stack's own redis.conf with another place and other ports. */
static void write_conf(const struct joiner *j, int bus, const char *extra)
{
    char path[1024], line[1024];
    const char *stack = getenv("PRISM_IT_DIR");
    snprintf(path, sizeof path, "%s/redis/%d/redis.conf", stack, ds.port[0]);
    FILE *in = fopen(path, "re");
    snprintf(path, sizeof path, "%s/redis.conf", j->dir);
    FILE *out = fopen(path, "we");
    if (in == NULL || out == NULL)
        fail_msg("no %s", path);
    while (fgets(line, sizeof line, in) != NULL) {
        if (strncmp(line, "port ", 5) == 0)
            fprintf(out, "port %d\n", j->port);
        else if (strncmp(line, "cluster-port ", 13) == 0)
            fprintf(out, "cluster-port %d\n", bus);
        else if (strncmp(line, "dir ", 4) == 0)
            fprintf(out, "dir %s\n", j->dir);
        else if (strncmp(line, "aclfile ", 8) == 0)
            fprintf(out, "aclfile %s/redis/users.acl\n", stack);
        else
            fputs(line, out);
    }
    fprintf(out, "%s\n", extra == NULL ? "" : extra);
    fclose(in);
    fclose(out);
}

static bool answers(void *ctx)
{
    struct joiner *j = ctx;
    redisContext *c = redisConnectWithTimeout("127.0.0.1", j->port, (struct timeval){ 1, 0 });
    bool ok = c != NULL && c->err == 0;
    redisReply *r = ok ? redisCommand(c, "PING") : NULL;
    ok = r != NULL && strstr(r->str, "LOADING") == NULL; /* NOAUTH is an answer */
    if (r != NULL)
        freeReplyObject(r);
    if (c != NULL)
        redisFree(c);
    return ok;
}

void ds_joiner_again(struct joiner *j)
{
    char conf[600];
    snprintf(conf, sizeof conf, "%s/redis.conf", j->dir);
    const char *const argv[] = { "/usr/bin/redis-server", conf, NULL };
    j->pid = it_spawn(NULL, argv);
    if (!it_await(answers, j, 10000))
        fail_msg("redis-server on port %d does not answer", j->port);
}

void ds_joiner(struct joiner *j, const char *zone, const char *extra)
{
    *j = (struct joiner){ .port = it_free_port() };
    snprintf(j->id, sizeof j->id, "j%d", j->port);
    snprintf(j->dir, sizeof j->dir, "%s/redis/%s", getenv("PRISM_IT_DIR"), j->id);
    if (mkdir(j->dir, 0700) != 0)
        fail_msg("no directory %s", j->dir);
    write_conf(j, it_free_port(), extra);
    ds_joiner_again(j);
    if (extra == NULL)
        ds_redis_id(j->port, j->redis_id);
    if (zone != NULL)
        ds_sql("INSERT INTO nodes (id, host, port, zone_id) "
               "VALUES ('%s', '127.0.0.1', %d, nullif('%s', ''))",
               j->id, j->port, zone);
}

void ds_joiner_stop(struct joiner *j)
{
    char path[700];
    if (j->pid > 0 && it_alive(j->pid))
        it_kill(j->pid);
    snprintf(path, sizeof path, "%s", j->dir);
    const char *const argv[] = { "/bin/rm", "-r", path, NULL };
    assert_int_equal(it_run(NULL, argv, NULL, 0, 5000), 0);
    ds_sql("DELETE FROM nodes WHERE id = '%s'", j->id);
    j->pid = 0;
}

/* --- duties --------------------------------------------------------------------------------- */

const char *ds_duty(const char *kind, const char *shard, const char *src, const char *dst,
                    char *why, size_t size)
{
    static char state[32];
    struct pr_err err = { 0 };
    const int number = ++ds.steps;
    ds_sql("INSERT INTO steps (plan_id, step, wave, kind, shard, src_node, dst_node) "
           "VALUES (1, %d, 1, '%s', '%s', '%s', '%s')",
           number, kind, shard, src, dst);
    struct rebalance_duty_step step = { number, kind, shard, src, dst, "planned", false };
    enum pr_code rc = rebalance_duty(&ds.ctx, &step, &err);
    ds_cell(state, sizeof state, "SELECT state FROM steps WHERE step = %d", number);
    ds_cell(why, size, "SELECT coalesce(error, '') FROM steps WHERE step = %d", number);
    if (rc != PR_OK && strcmp(state, "acting") != 0)
        fail_msg("%s %s: %s, and the row says %s", kind, dst, err.text, state);
    assert_int_equal(step.stuck, strcmp(state, "stuck") == 0);
    assert_int_equal(rc == PR_OK, strcmp(state, "acting") != 0);
    return state;
}

void ds_duty_ok(const char *kind, const char *shard, const char *src, const char *dst)
{
    char why[256];
    const char *state = ds_duty(kind, shard, src, dst, why, sizeof why);
    if (strcmp(state, "verified") != 0)
        fail_msg("%s %s: %s (%s)", kind, dst, state, why);
}

/* --- Redis ------------------------------------------------------------------------------------ */

const char *ds_ask(int port, const char *fmt, ...)
{
    redisContext *c = it_redis_admin(port);
    va_list ap;
    va_start(ap, fmt);
    redisReply *r = redisvCommand(c, fmt, ap);
    va_end(ap);
    if (r == NULL)
        fail_msg("%d: %s: %s", port, fmt, c->errstr);
    const char *text = reply_text(r);
    freeReplyObject(r);
    redisFree(c);
    return text;
}

void ds_redis_id(int port, char out[64])
{
    snprintf(out, 64, "%s", ds_ask(port, "CLUSTER MYID"));
}

bool ds_knows(int port, const char *redis_id)
{
    redisContext *c = it_redis_admin(port);
    redisReply *r = redisCommand(c, "CLUSTER NODES");
    const bool yes = r != NULL && r->str != NULL && strstr(r->str, redis_id) != NULL;
    if (r != NULL)
        freeReplyObject(r);
    redisFree(c);
    return yes;
}

struct meeting {
    int port;
    const char *redis_id;
};

static bool have_met(void *ctx)
{
    const struct meeting *m = ctx;
    return ds_knows(m->port, m->redis_id);
}

void ds_meet(const struct joiner *a, const struct joiner *b)
{
    char bus[16];
    struct meeting m = { a->port, b->redis_id };
    snprintf(bus, sizeof bus, "%s", ds_ask(b->port, "CONFIG GET cluster-port") + 13);
    assert_string_equal(ds_ask(a->port, "CLUSTER MEET 127.0.0.1 %d %s", b->port, bus), "OK");
    if (!it_await(have_met, &m, DUTY_AWAIT_MS))
        fail_msg("port %d does not get to know %s", a->port, b->id);
}

int ds_primary_of_slot(int slot)
{
    struct pr_err err = { 0 };
    assert_ok(pr_cluster_refresh(ds.cluster, &err), &err);
    const struct pr_topology *t = pr_cluster_topology(ds.cluster);
    assert_true(t->slot_owner[slot] >= 0);
    return t->node[t->slot_owner[slot]].port;
}

int ds_replica_of(int primary_port, int which)
{
    char id[64];
    struct pr_err err = { 0 };
    ds_redis_id(primary_port, id);
    assert_ok(pr_cluster_refresh(ds.cluster, &err), &err);
    const struct pr_topology *t = pr_cluster_topology(ds.cluster);
    for (size_t i = 0; i < t->nodes; i++)
        if (strcmp(t->node[i].primary_id, id) == 0 && which-- == 0)
            return t->node[i].port;
    fail_msg("%d has too few replicas", primary_port);
    return 0;
}

void ds_load(int slot, int n)
{
    redisContext *c = it_redis_admin(ds_primary_of_slot(slot));
    const char *tag = it_slot_tag(slot);
    for (int i = 0; i < n; i++)
        assert_int_equal(redisAppendCommand(c, "SET {%s}k%d %0100d", tag, i, i), REDIS_OK);
    for (int i = 0; i < n; i++) {
        redisReply *r = NULL;
        assert_int_equal(redisGetReply(c, (void **)&r), REDIS_OK);
        if (r->type == REDIS_REPLY_ERROR)
            fail_msg("slot %d: %s", slot, r->str);
        freeReplyObject(r);
    }
    redisFree(c);
}

void ds_check(int slot, int n)
{
    redisContext *c = it_redis_admin(ds_primary_of_slot(slot));
    const char *tag = it_slot_tag(slot);
    for (int i = 0; i < n; i++)
        assert_int_equal(redisAppendCommand(c, "GET {%s}k%d", tag, i), REDIS_OK);
    for (int i = 0; i < n; i++) {
        redisReply *r = NULL;
        assert_int_equal(redisGetReply(c, (void **)&r), REDIS_OK);
        if (r->type != REDIS_REPLY_STRING || strtol(r->str, NULL, 10) != i)
            fail_msg("slot %d, key %d: %s", slot, i, r->str != NULL ? r->str : "(nothing)");
        freeReplyObject(r);
    }
    redisFree(c);
}

long ds_keys(int port, int slot)
{
    return strtol(ds_ask(port, "CLUSTER COUNTKEYSINSLOT %d", slot), NULL, 10);
}
