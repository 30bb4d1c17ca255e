#include "rebalance_slot_stage.h"

#include "io/slot/pair.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slot_stage stage;

static struct {
    char key[STAGE_MAX_KEYS][48];
    int slot[STAGE_MAX_KEYS];
    unsigned long acked[STAGE_MAX_KEYS], tried[STAGE_MAX_KEYS];
    size_t n;
    int bytes;
    pthread_t thread;
    atomic_bool stop;
    bool runs;
    unsigned long writes, missed;
    bool may_miss;
    char wrong[200]; /* first thing that was wrong; "" nothing */
} ledger;

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

int slot_stage_begin(void **state)
{
    (void)state;
    it_cluster_await(STAGE_AWAIT_MS);
    assert_true(it_await(three_primaries, NULL, 10000));
    it_redis_flush();
    register_fleet();
    make_users();
    choose();
    memset(&ledger.acked, 0, sizeof ledger.acked);
    memset(&ledger.tried, 0, sizeof ledger.tried);
    ledger.n = 0;
    ledger.wrong[0] = '\0';
    stage.plan++;
    atomic_store(&stage.stop, REBALANCE_RUN_ON);
    atomic_store(&stage.roll_back, false);
    return 0;
}

static bool nothing_open(void *ctx)
{
    int port[IT_MAX_NODES];
    const size_t n = it_redis_ports(port);
    (void)ctx;
    for (size_t i = 0; i < n; i++) {
        const char *nodes = slot_stage_ask(port[i], "CLUSTER NODES");
        if (strstr(nodes, "->-") != NULL || strstr(nodes, "-<-") != NULL)
            return false;
    }
    return true;
}

int slot_stage_end(void **state)
{
    (void)state;
    int port[IT_MAX_NODES];
    it_cluster_await(STAGE_AWAIT_MS);
    if (!it_await(nothing_open, NULL, 5000))
        fail_msg("a slot is open");
    const size_t n = it_redis_ports(port);
    for (size_t i = 0; i < n; i++) {
        assert_null(strstr(slot_stage_ask(port[i], "CLUSTER NODES"), "fail"));
        redisContext *c = it_redis_admin(port[i]);
        redisReply *r = redisCommand(c, "CONFIG GET rdbcompression");
        assert_string_equal(r->element[1]->str, "yes");
        freeReplyObject(r);
        r = redisCommand(c, "ACL USERS");
        for (size_t k = 0; k < r->elements; k++) /* the fleet's may stay; its carriers not */
            if (strncmp(r->element[k]->str, "prism-fl-", 9) == 0)
                assert_string_equal(r->element[k]->str, stage.user.name);
        freeReplyObject(r);
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

/* --- the ledger ---------------------------------------------------------------------------- */

enum { PER_RUN = 32, VALUE = 1100 };

struct op {
    const char *argv[3];
    size_t len[3];
    unsigned long acked; /* before: a writer may be at work beside a reader */
    char value[VALUE];
};

static void complain(const char *key, const char *what, unsigned long acked)
{
    if (ledger.wrong[0] == '\0')
        snprintf(ledger.wrong, sizeof ledger.wrong, "key %s: %.80s; acknowledged was write %lu",
                 key, what, acked);
}

static void complain_of_nothing(const struct pr_rcmd *cmd, const char *key, bool check,
                                unsigned long acked)
{
    char what[80];
    snprintf(what, sizeof what, "%s nothing (reply type %d) at %.30s, %u redirects",
             check ? "check" : "writer", cmd->reply->type, cmd->node_host_port,
             (unsigned)cmd->redirects);
    complain(key, what, acked);
}

/* Every third is read, the others are written. */
static void one_run(struct pr_cluster *c, const size_t *index, size_t n, bool read_only)
{
    static _Thread_local struct op op[PER_RUN];
    struct pr_rcmd cmd[PER_RUN] = { 0 };
    const struct pr_run_options o = { .wait_replicas = 2,
                                      .wait_ms = 2000,
                                      .deadline_ms = read_only ? 10000 : 30000 };
    struct pr_err err = { 0 };
    for (size_t i = 0; i < n; i++) {
        const size_t k = index[i];
        const bool write = !read_only && i % 3 != 0;
        op[i].acked = ledger.acked[k];
        if (write)
            ledger.tried[k]++;
        int len = snprintf(op[i].value, sizeof op[i].value, "%lu:", ledger.tried[k]);
        memset(op[i].value + len, 'a' + (int)(k % 26), (size_t)ledger.bytes);
        op[i].argv[0] = write ? "SET" : "GET";
        op[i].argv[1] = ledger.key[k];
        op[i].argv[2] = op[i].value;
        op[i].len[0] = 3;
        op[i].len[1] = strlen(ledger.key[k]);
        op[i].len[2] = (size_t)len + (size_t)ledger.bytes;
        cmd[i] = (struct pr_rcmd){ .argc = write ? 3 : 2,
                                   .argv = op[i].argv,
                                   .argvlen = op[i].len,
                                   .slot = (uint16_t)ledger.slot[k],
                                   .wait = write };
    }
    if (pr_cluster_run(c, cmd, n, &o, &err) != PR_OK) { /* no assertion: not cmocka's thread */
        complain("(any)", err.text, 0);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const size_t k = index[i];
        const redisReply *r = cmd[i].reply;
        if (cmd[i].rc == PR_OK && cmd[i].wait && cmd[i].acked >= 2) {
            ledger.acked[k] = ledger.tried[k];
            ledger.writes++;
        } else if (cmd[i].rc == PR_OK && !cmd[i].wait) {
            if (r->str == NULL && !read_only && ledger.may_miss)
                ledger.missed++;
            else if (r->str == NULL)
                complain_of_nothing(&cmd[i], ledger.key[k], read_only, op[i].acked);
            else if (strtoul(r->str, NULL, 10) < op[i].acked)
                complain(ledger.key[k], "read an older write", op[i].acked);
        } else if (read_only && !cmd[i].wait)
            complain(ledger.key[k], err.text, ledger.acked[k]);
        if (cmd[i].reply != NULL)
            freeReplyObject(cmd[i].reply);
    }
}

static struct pr_cluster *writers_cluster(void)
{
    struct pr_cluster *c = NULL;
    const struct pr_redis_auth admin = { it_env("IT_REDIS_ADMIN_USER"),
                                         it_env("IT_REDIS_ADMIN_PASSWORD") };
    if (pr_cluster_open(&c, it_env("IT_REDIS_SEEDS"), &admin, 1000, NULL) != PR_OK)
        fail_msg("no cluster for the writer");
    return c;
}

void slot_stage_load(int keys_per_slot, int bytes)
{
    struct pr_cluster *c = writers_cluster();
    size_t index[PER_RUN], n = 0;
    ledger.bytes = bytes;
    for (int s = 0; s < STAGE_SLOTS; s++)
        for (int i = 0; i < keys_per_slot; i++) {
            const size_t k = ledger.n++;
            assert_true(k < STAGE_MAX_KEYS);
            ledger.slot[k] = stage.slot[s];
            snprintf(ledger.key[k], sizeof ledger.key[k], "k%d:{%u}", i,
                     rebalance_tag_of_slot((unsigned)stage.slot[s]));
        }
    for (size_t k = 0; k < ledger.n; k++) { /* all are written: two in three of a run are */
        if (n % 3 == 0)
            index[n++] = k == 0 ? 0 : k - 1;
        index[n++] = k;
        if (n >= PER_RUN - 2 || k + 1 == ledger.n) {
            one_run(c, index, n, false);
            n = 0;
        }
    }
    ledger.wrong[0] = '\0'; /* the first reads found nothing yet */
    pr_cluster_close(c);
    for (size_t k = 0; k < ledger.n; k++)
        if (ledger.acked[k] == 0)
            fail_msg("key %s was not loaded", ledger.key[k]);
}

static void *write_on(void *arg)
{
    struct pr_cluster *c = arg;
    size_t index[PER_RUN], k = 0;
    while (!atomic_load(&ledger.stop)) {
        for (size_t i = 0; i < PER_RUN; i++) {
            index[i] = k;
            k = (k + 7919) % ledger.n;
        }
        one_run(c, index, PER_RUN, false);
    }
    pr_cluster_close(c);
    return NULL;
}

void slot_writer_start(bool may_miss)
{
    ledger.may_miss = may_miss;
    ledger.missed = 0;
    atomic_store(&ledger.stop, false);
    ledger.writes = 0;
    assert_int_equal(pthread_create(&ledger.thread, NULL, write_on, writers_cluster()), 0);
    ledger.runs = true;
}

void slot_verify(void)
{
    struct pr_cluster *c = writers_cluster();
    size_t index[PER_RUN];
    for (size_t k = 0; k < ledger.n && ledger.wrong[0] == '\0';) {
        size_t n = 0;
        while (n < PER_RUN && k < ledger.n)
            index[n++] = k++;
        one_run(c, index, n, true);
    }
    pr_cluster_close(c);
    if (ledger.wrong[0] != '\0')
        fail_msg("%s", ledger.wrong);
}

unsigned long slot_writer_stop(void)
{
    atomic_store(&ledger.stop, true);
    pthread_join(ledger.thread, NULL);
    ledger.runs = false;
    if (ledger.missed > 0)
        print_message("%lu reads found nothing for a moment\n", ledger.missed);
    slot_verify();
    return ledger.writes;
}
