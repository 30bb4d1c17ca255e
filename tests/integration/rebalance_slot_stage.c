#include "rebalance_slot_stage.h"

#include "io/slot/pair.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slot_stage stage;

/* --- asking ------------------------------------------------------------------------- */

const char *slot_stage_ask(int port, const char *format, ...)
{
    static char text[65536];
    va_list ap;
    redisContext *c = it_redis_admin(port);
    va_start(ap, format);
    redisReply *r = redisvCommand(c, format, ap);
    va_end(ap);
    text[0] = '\0';
    if (r != NULL && r->type == REDIS_REPLY_INTEGER)
        snprintf(text, sizeof text, "%lld", r->integer);
    else if (r != NULL && r->str != NULL)
        snprintf(text, sizeof text, "%s", r->str);
    if (r != NULL)
        freeReplyObject(r);
    redisFree(c);
    return text;
}

long slot_stage_number(const char *sql)
{
    char text[1024], cell[64];
    const char *at = strchr(sql, '$');
    snprintf(text, sizeof text, "%.*s%lld%s", (int)(at == NULL ? 0 : at - sql), sql,
             (long long)stage.plan, at == NULL ? "" : at + 1);
    it_sql(stage.uri, at == NULL ? sql : text, cell, sizeof cell);
    return strtol(cell, NULL, 10);
}

long slot_stage_count(const char *row_state)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM steps WHERE plan_id = $ AND state = '%s'",
             row_state);
    return slot_stage_number(sql);
}

int slot_stage_owner(int slot)
{
    const struct pr_topology *t = pr_cluster_topology(stage.cluster);
    if (pr_cluster_refresh(stage.cluster, NULL) != PR_OK)
        return 0;
    t = pr_cluster_topology(stage.cluster);
    return t->slot_owner[slot] < 0 ? 0 : t->node[t->slot_owner[slot]].port;
}

void slot_stage_error(char error[512])
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT error FROM steps WHERE plan_id = %lld AND state = 'stuck'",
             (long long)stage.plan);
    it_sql(stage.uri, sql, error, 512);
}

static bool owns(void *ctx)
{
    const int *want = ctx;
    return slot_stage_owner(want[0]) == want[1];
}

void slot_stage_await_owner(int slot, int port)
{
    int want[2] = { slot, port };
    if (!it_await(owns, want, 10000))
        fail_msg("slot %d belongs to port %d, not to %d", slot, slot_stage_owner(slot), port);
}

int slot_stage_replica(int port)
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

bool slot_stage_is_replica(void *port)
{
    const char *nodes = slot_stage_ask(*(const int *)port, "CLUSTER NODES"),
               *self = strstr(nodes, "myself");
    return self != NULL && strncmp(self, "myself,slave", 12) == 0;
}

/* --- setting up --------------------------------------------------------------------- */

static void register_fleet(void)
{
    char sql[512], cell[8];
    it_sql(stage.uri, "DELETE FROM nodes; DELETE FROM shards", cell, sizeof cell);
    const struct pr_topology *t = pr_cluster_topology(stage.cluster);
    for (size_t i = 0; i < t->nodes; i++) {
        const struct pr_node *n = &t->node[i], *primary = n;
        for (size_t j = 0; !n->primary && j < t->nodes; j++)
            if (strcmp(t->node[j].id, n->primary_id) == 0)
                primary = &t->node[j];
        snprintf(sql, sizeof sql,
                 "INSERT INTO zones (id) VALUES ('%s') ON CONFLICT DO NOTHING; "
                 "INSERT INTO nodes (id, host, port, zone_id, redis_id, shard_id, role, state) "
                 "VALUES ('n%d', '127.0.0.1', %d, '%s', '%s', 's%d', '%s', 'up')",
                 it_redis_zone(n->port), n->port, n->port, it_redis_zone(n->port), n->id,
                 primary->port, n->primary ? "primary" : "replica");
        it_sql(stage.uri, sql, cell, sizeof cell);
    }
}

static char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

static int64_t lease_left(void *ctx)
{
    (void)ctx;
    return 5000;
}

static void open_cluster(void)
{
    struct pr_err err = { 0 };
    const struct pr_redis_auth admin = { it_env("IT_REDIS_ADMIN_USER"),
                                         it_env("IT_REDIS_ADMIN_PASSWORD") };
    assert_ok(pr_cluster_open(&stage.cluster, it_env("IT_REDIS_SEEDS"), &admin, 3000, &err), &err);
}

int slot_stage_open(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    struct pr_buf problems = { 0 };
    pr_log_init("slots", getenv("STAGE_VERBOSE") != NULL ? PR_DEBUG : PR_ERROR);
    it_database("slots", stage.uri);
    it_role_uri(stage.uri, "rebalance", stage.role);
    assert_ok(pr_config_load(rebalance_config_rows, rebalance_config_count, &stage.cfg, no_env,
                             &problems),
              &err);
    pr_buf_done(&problems);
    stage.cfg.strings_are_set = true; /* the ledger's are */
    stage.metrics = pr_metrics_new(rebalance_metric_rows, REBALANCE_METRICS);
    assert_non_null(stage.metrics);
    assert_ok(pr_db_open(&stage.db, stage.role, "slots", &err), &err);
    stage.lease =
        (struct pr_lease){ .name = "rebalance-executor", .holder = "test", .ttl_ms = 3600000 };
    assert_ok(pr_lease_hold(stage.db, &stage.lease, &err), &err);
    open_cluster();
    assert_ok(rebalance_user_init(&stage.user, REBALANCE_USER_FLEET, stage.lease.epoch, &err),
              &err);
    return 0;
}

int slot_stage_close(void **state)
{
    (void)state;
    pr_cluster_close(stage.cluster);
    pr_db_close(stage.db);
    pr_metrics_free(stage.metrics);
    pr_config_free(rebalance_config_rows, rebalance_config_count, &stage.cfg);
    return 0;
}

static void make_users(void)
{
    struct pr_err err = { 0 };
    struct pr_cluster *c = NULL;
    struct rebalance_users_ready ready = { .says = "" };
    const struct pr_redis_auth service = { it_env("IT_REBALANCE_REDIS_USER"),
                                           it_env("IT_REBALANCE_REDIS_PASSWORD") };
    assert_ok(pr_cluster_open(&c, it_env("IT_REDIS_SEEDS"), &service, 3000, &err), &err);
    if (rebalance_users_prepare(&ready, pr_cluster_topology(c), &service, &stage.user, 1,
                                pr_mono_us() + 10000000, &err) == PR_EDENIED) /* others: later */
        fail_msg("%s", err.text);
    rebalance_users_ready_done(&ready);
    pr_cluster_close(c);
}

static void choose(void)
{
    const struct pr_topology *t = pr_cluster_topology(stage.cluster);
    int first = -1, second = -1, n = 0;
    for (int s = 0; s < 16384 && n < STAGE_SLOTS; s++) {
        const int owner = t->slot_owner[s];
        assert_true(owner >= 0);
        first = first < 0 ? owner : first;
        if (owner == first)
            stage.slot[n++] = s;
    }
    for (int s = 0; s < 16384 && second < 0; s++)
        second = t->slot_owner[s] != first ? t->slot_owner[s] : -1;
    for (int s = 0; s < 16384; s++) {
        if (t->slot_owner[s] == first)
            stage.kept[0] = s;
        if (t->slot_owner[s] == second)
            stage.kept[1] = s;
    }
    assert_int_equal(n, STAGE_SLOTS);
    assert_true(second >= 0);
    stage.src_port = t->node[first].port;
    stage.dst_port = t->node[second].port;
    snprintf(stage.src, sizeof stage.src, "n%d", stage.src_port);
    snprintf(stage.dst, sizeof stage.dst, "n%d", stage.dst_port);
}

/* A node that was killed is a replica again, for every node's eyes. */
static bool three_primaries(void *ctx)
{
    int port[IT_MAX_NODES];
    const size_t n = it_redis_ports(port);
    (void)ctx;
    for (size_t i = 0; i < n; i++) {
        int primaries = 0;
        for (const char *p = slot_stage_ask(port[i], "CLUSTER NODES");
             (p = strstr(p, "master")) != NULL; p++)
            primaries++;
        if (primaries != 3)
            return false;
    }
    return pr_cluster_refresh(stage.cluster, NULL) == PR_OK;
}

struct mark { /* the first that was found */
    int port;
    char says[80];
};

static bool nothing_open(void *ctx)
{
    struct mark *m = ctx;
    int port[IT_MAX_NODES];
    const size_t n = it_redis_ports(port);
    for (size_t i = 0; i < n; i++) {
        const char *nodes = slot_stage_ask(port[i], "CLUSTER NODES"), *at = strstr(nodes, "->-");
        at = at != NULL ? at : strstr(nodes, "-<-");
        if (at == NULL)
            continue;
        while (at > nodes && *at != ' ')
            at--;
        *m = (struct mark){ .port = port[i] };
        snprintf(m->says, sizeof m->says, "%.*s", (int)strcspn(at + 1, " \n"), at + 1);
        return false;
    }
    return true;
}

/* What a run before this one left, which failed: its slots would never be served, and the end of a
 * case would find it. */
static void close_slots(void)
{
    struct mark open;
    int slot;
    for (int i = 0; i < 100 && !nothing_open(&open); i++)
        if (sscanf(open.says, "[%d-", &slot) == 1)
            (void)slot_stage_ask(open.port, "CLUSTER SETSLOT %d STABLE", slot);
}

/* A user that a worker made for its MIGRATEs; the fleet's own may stay. */
static bool find_carrier(int port, char name[64])
{
    redisContext *c = it_redis_admin(port);
    redisReply *r = redisCommand(c, "ACL USERS");
    bool found = false;
    for (size_t k = 0; k < r->elements && !found; k++) {
        snprintf(name, 64, "%s", r->element[k]->str);
        found = strncmp(name, "prism-fl-", 9) == 0 && strcmp(name, stage.user.name) != 0;
    }
    freeReplyObject(r);
    redisFree(c);
    return found;
}

static void drop_carriers(void)
{
    int port[IT_MAX_NODES];
    char name[64];
    const size_t n = it_redis_ports(port);
    for (size_t i = 0; i < n; i++)
        while (find_carrier(port[i], name))
            assert_string_equal(slot_stage_ask(port[i], "ACL DELUSER %s", name), "1");
}

int slot_stage_begin(void **state)
{
    (void)state;
    it_cluster_revive();
    close_slots();
    drop_carriers();
    it_cluster_await(STAGE_AWAIT_MS);
    assert_true(it_await(three_primaries, NULL, 10000));
    it_redis_flush();
    register_fleet();
    make_users();
    choose();
    slot_ledger_forget();
    stage.plan++;
    atomic_store(&stage.stop, REBALANCE_RUN_ON);
    atomic_store(&stage.roll_back, false);
    return 0;
}

/* A test that failed amid a move must not take the next ones along. */
static void end_of_test(void)
{
    stage.lease_left_ms = NULL;
    slot_writer_abandon();
    if (!stage.worker_runs)
        return;
    atomic_store(&stage.stop, REBALANCE_ABANDON);
    slot_stage_join();
}

int slot_stage_end(void **state)
{
    (void)state;
    int port[IT_MAX_NODES];
    char carrier[64];
    struct mark open;
    end_of_test();
    it_cluster_await(STAGE_AWAIT_MS);
    if (!it_await(nothing_open, &open, 5000))
        fail_msg("a slot is open at port %d: %s", open.port, open.says);
    const size_t n = it_redis_ports(port);
    for (size_t i = 0; i < n; i++) {
        assert_null(strstr(slot_stage_ask(port[i], "CLUSTER NODES"), "fail"));
        redisContext *c = it_redis_admin(port[i]);
        redisReply *r = redisCommand(c, "CONFIG GET rdbcompression");
        assert_string_equal(r->element[1]->str, "yes");
        freeReplyObject(r);
        if (find_carrier(port[i], carrier))
            fail_msg("port %d still has the user %s", port[i], carrier);
        r = redisCommand(c, "KEYS prism-mark:*");
        assert_int_equal(r->elements, 0);
        freeReplyObject(r);
        redisFree(c);
    }
    return 0;
}

/* --- plans and workers --------------------------------------------------------------- */

void slot_stage_plan(const char *row_state)
{
    char sql[512], cell[8];
    for (int i = 0; i < STAGE_SLOTS; i++) {
        snprintf(sql, sizeof sql,
                 "INSERT INTO steps (plan_id, step, wave, kind, slot, src_node, dst_node, state) "
                 "VALUES (%lld, %d, 1, 'slot', %d, '%s', '%s', '%s')",
                 (long long)stage.plan, i + 1, stage.slot[i], stage.src, stage.dst, row_state);
        it_sql(stage.uri, sql, cell, sizeof cell);
    }
}

void slot_stage_start(void)
{
    snprintf(stage.pair.src, sizeof stage.pair.src, "%s", stage.src);
    snprintf(stage.pair.dst, sizeof stage.pair.dst, "%s", stage.dst);
    stage.run = (struct rebalance_slot_run){
        .cfg = &stage.cfg,
        .db_uri = stage.role,
        .metrics = stage.metrics,
        .seeds = stage.seeds != NULL ? stage.seeds : it_env("IT_REDIS_SEEDS"),
        .service = { it_env("IT_REBALANCE_REDIS_USER"), it_env("IT_REBALANCE_REDIS_PASSWORD") },
        .mover = { stage.user.name, stage.user.password },
        .lease = stage.lease,
        .lease_left_ms = stage.lease_left_ms != NULL ? stage.lease_left_ms : lease_left,
        .plan_id = stage.plan,
        .wave = 1,
        .pair = &stage.pair,
        .pairs = 1,
        .stop = &stage.stop,
        .roll_back = &stage.roll_back,
        .allow_big_keys = stage.allow_big_keys,
        .workers_left = 1,
    };
    pthread_mutex_init(&stage.run.lock, NULL);
    assert_int_equal(pthread_create(&stage.worker, NULL, rebalance_slot_worker_main, &stage.run),
                     0);
    stage.worker_runs = true;
}

/* Does what the supervisor does for a node that was restarted and lost our user. */
static bool worker_gone(void *ctx)
{
    (void)ctx;
    if (atomic_exchange(&stage.run.users_missing, false))
        make_users();
    return atomic_load(&stage.run.workers_left) == 0;
}

void slot_stage_join(void)
{
    char says[300];
    if (!it_await(worker_gone, NULL, STAGE_AWAIT_MS)) {
        rebalance_slot_run_says(&stage.run, says, sizeof says);
        fail_msg("the worker does not end: %s", says);
    }
    pthread_join(stage.worker, NULL);
    stage.worker_runs = false;
    pthread_mutex_destroy(&stage.run.lock);
}

void slot_stage_move(void)
{
    slot_stage_start();
    slot_stage_join();
    if (stage.run.fatal.code != PR_OK)
        fail_msg("the wave failed: %s", stage.run.fatal.text);
}

void slot_stage_assert_moved(void)
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

bool slot_stage_some_moved(void *ctx)
{
    return atomic_load(&stage.run.keys) >= *(unsigned long long *)ctx;
}

void slot_stage_begin_slowly(int keys_per_slot, int bytes, bool may_miss)
{
    unsigned long long want = 300;
    slot_stage_load(keys_per_slot, bytes);
    slot_stage_plan("planned");
    stage.cfg.slot_batch_keys = 20;
    stage.cfg.slot_node_bytes_per_s = 1e6;
    slot_writer_start(may_miss);
    slot_stage_start();
    if (!it_await(slot_stage_some_moved, &want, STAGE_AWAIT_MS))
        fail_msg("nothing moves: %s", stage.run.waits_for);
}

void slot_stage_full_speed(void)
{
    stage.cfg.slot_batch_keys = 200;
    stage.cfg.slot_node_bytes_per_s = stage.cfg.slot_zone_bytes_per_s = 0;
}
