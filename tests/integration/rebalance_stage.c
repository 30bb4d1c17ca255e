#include "rebalance_stage.h"

#include "prism/buf.h"
#include "prism/dp/exec.h"
#include "prism/dp/library.h"
#include "prism/io/clock.h"
#include "prism/rng.h"
#include "prism/routes.h"
#include "prism/slot.h"
#include "prism/v1/rebalance.pb-c.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct stage stage;

static const struct pr_run_options RUN = { .wait_replicas = 1,
                                           .wait_ms = 5000,
                                           .deadline_ms = 20000 };

/* --- SQL ------------------------------------------------------------------------ */

void stage_text(const char *sql, char *out, size_t n)
{
    it_sql(stage.uri, sql, out, n);
}

long stage_number(const char *sql)
{
    char cell[64];
    it_sql(stage.uri, sql, cell, sizeof cell);
    return strtol(cell, NULL, 10);
}

void stage_sql(const char *sql)
{
    char cell[8];
    it_sql(stage.uri, sql, cell, sizeof cell);
}

/* --- the store ------------------------------------------------------------------- */

static void run_all(struct pr_rcmd *cmds, size_t n)
{
    const struct pr_run_options all = { .wait_replicas = 1,
                                        .wait_ms = 5000,
                                        .deadline_ms = STAGE_AWAIT_MS };
    struct pr_err err = { 0 };
    assert_ok(pr_cluster_run(stage.cluster, cmds, n, &all, &err), &err);
    for (size_t i = 0; i < n; i++)
        if (cmds[i].rc != PR_OK)
            fail_msg("command %zu (%s): %s %s", i, cmds[i].argv[1], pr_code_name(cmds[i].rc),
                     cmds[i].reply != NULL && cmds[i].reply->str != NULL ? cmds[i].reply->str : "");
}

static void load_vertices(void)
{
    enum { ARGS = 8 };
    static struct pr_rcmd cmds[STAGE_VERTICES];
    static const char *argv[STAGE_VERTICES][ARGS];
    static size_t len[STAGE_VERTICES][ARGS];
    static char key[STAGE_VERTICES][PR_MAX_KEY_BYTES];
    for (int i = 0; i < STAGE_VERTICES; i++) {
        struct stage_vertex *v = &stage.v[i];
        snprintf(v->id, sizeof v->id, "v%d", i * 7 + 3);
        v->hash = pr_vertex_hash(v->id, strlen(v->id));
        v->home = v->at = pr_home_partition(v->hash, STAGE_PARTITIONS);
        const size_t key_len = pr_key_vertex(key[i], v->home, v->id, strlen(v->id));
        const char *const all[ARGS] = { "FCALL", "prism_load", "1",    key[i],
                                        "p:n",   "0",          "p:id", v->id };
        for (int k = 0; k < ARGS; k++) {
            argv[i][k] = all[k];
            len[i][k] = k == 3 ? key_len : strlen(all[k]);
        }
        cmds[i] = (struct pr_rcmd){ .argc = ARGS,
                                    .argv = argv[i],
                                    .argvlen = len[i],
                                    .slot = pr_partition_slot(v->home),
                                    .wait = true };
    }
    run_all(cmds, STAGE_VERTICES);
    for (int i = 0; i < STAGE_VERTICES; i++)
        freeReplyObject(cmds[i].reply);
}

static void register_nodes(void)
{
    int port[IT_MAX_NODES];
    char text[256];
    const size_t n = it_redis_ports(port);
    stage_sql("INSERT INTO zones (id) VALUES ('a'), ('b'), ('c')");
    for (size_t i = 0; i < n; i++) {
        snprintf(
            text, sizeof text,
            "INSERT INTO nodes (id, host, port, zone_id) VALUES ('n%d', '127.0.0.1', %d, '%s')",
            port[i], port[i], it_redis_zone(port[i]));
        stage_sql(text);
    }
    snprintf(text, sizeof text, "INSERT INTO store (partitions) VALUES (%d)", STAGE_PARTITIONS);
    stage_sql(text);
}

static bool watched(void *ctx)
{
    (void)ctx;
    return stage_number("SELECT count(*) FROM slots") == 16384 &&
           stage_number("SELECT count(*) FROM nodes WHERE state <> 'up'") == 0;
}

void stage_service(void)
{
    char role[IT_URI];
    it_role_uri(stage.uri, "rebalance", role);
    /* It does not wait for a machine that is slow to answer: other tests are about that. */
    static const char *const extra[] = { "PRISM_REBALANCE_LEASE_TTL_MS=2000",
                                         "PRISM_REBALANCE_BATCH_VERTICES=100",
                                         "PRISM_REBALANCE_PROBE_P99_MS=0", NULL };
    it_service(&stage.service, "rebalance", role, extra);
    if (!it_await(watched, NULL, STAGE_AWAIT_MS))
        fail_msg("the topology was not written");
}

int stage_open(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    const struct pr_bus_options admin = { .url = it_env("IT_NATS_URL"),
                                          .user = it_env("IT_NATS_ADMIN_USER"),
                                          .password = it_env("IT_NATS_ADMIN_PASSWORD"),
                                          .name = "rebalance-test" };
    const struct pr_redis_auth auth = { it_env("IT_REDIS_ADMIN_USER"),
                                        it_env("IT_REDIS_ADMIN_PASSWORD") };
    it_redis_flush();
    it_bus_reset();
    it_database("rebalance", stage.uri);
    assert_ok(pr_db_open(&stage.db, stage.uri, "rebalance-test", &err), &err);
    assert_ok(pr_bus_open(&stage.bus, &admin, &err), &err);
    assert_ok(pr_cluster_open(&stage.cluster, it_env("IT_REDIS_SEEDS"), &auth, 20000, &err), &err);
    assert_ok(pr_cluster_load_library(stage.cluster, pr_library_code, &err), &err);
    register_nodes();
    load_vertices();
    stage_service();
    return 0;
}

int stage_close(void **state)
{
    (void)state;
    const int status = it_stop(stage.service.pid);
    pr_cluster_close(stage.cluster);
    pr_bus_close(stage.bus);
    pr_db_close(stage.db);
    return status == 0 ? 0 : -1;
}

/* --- runs and plans ---------------------------------------------------------------- */

size_t stage_targets(uint64_t seed, double share)
{
    struct pr_rng rng;
    size_t moves = 0;
    pr_rng_init(&rng, seed);
    for (int i = 0; i < STAGE_VERTICES; i++) {
        stage.target[i] = stage.v[i].at;
        if (pr_rng_unit(&rng) < share)
            stage.target[i] = (uint32_t)pr_rng_below(&rng, STAGE_PARTITIONS);
        else if (pr_rng_unit(&rng) < 0.1)
            stage.target[i] = stage.v[i].home;
        moves += stage.target[i] != stage.v[i].at;
    }
    return moves;
}

long stage_run(const char *state)
{
    static struct pr_buf blob[STAGE_PARTITIONS];
    char text[512];
    struct pr_err err = { 0 };
    snprintf(
        text, sizeof text,
        "INSERT INTO placement_runs (operation_id, state, source, report, created_by) VALUES "
        "(gen_random_uuid(), '%s', '{}', '{\"before\": {\"cross_share\": 0.66, "
        "\"usd_per_month\": 1000}, \"after\": {\"cross_share\": 0.05, \"usd_per_month\": 50}}',"
        " 'test') RETURNING id",
        state);
    const long run = stage_number(text);
    for (int i = 0; i < STAGE_VERTICES; i++)
        if (stage.target[i] != stage.v[i].home)
            pr_routes_add(&blob[stage.v[i].home], stage.v[i].hash, stage.target[i]);
    for (int p = 0; p < STAGE_PARTITIONS; p++) {
        if (blob[p].len == 0)
            continue;
        assert_ok(pr_routes_sort(blob[p].data, blob[p].len, &blob[p].len), &err);
        assert_ok(pr_db_exec(stage.db,
                             "INSERT INTO route_bases (kind, run_id, home, entries, blob) "
                             "VALUES ('target', $1, $2, $3, $4)",
                             PR_ARGS(pr_i64(run), pr_i64(p),
                                     pr_i64((int64_t)pr_routes_count(blob[p].len)),
                                     pr_bytes(blob[p].data, blob[p].len)),
                             NULL, &err),
                  &err);
        pr_buf_done(&blob[p]);
        pr_buf_init(&blob[p], 0);
    }
    return run;
}

static void send(const char *subject, const void *data, size_t n)
{
    static unsigned sent;
    char msg_id[64];
    struct pr_err err = { 0 };
    snprintf(msg_id, sizeof msg_id, "rebalance-test-%d-%u", (int)getpid(), sent++);
    assert_ok(pr_bus_publish(stage.bus, subject, data, n, msg_id, NULL, &err), &err);
}

long stage_plan(long run, const char *params)
{
    char text[512];
    uint8_t packed[64];
    snprintf(text, sizeof text,
             "WITH o AS (INSERT INTO operations (kind, resource, created_by) VALUES "
             "('rebalance.plan', 'rebalance/plans', 'test') RETURNING id) "
             "INSERT INTO plans (operation_id, run_id, params, created_by) "
             "SELECT id, %ld, '%s', 'test' FROM o RETURNING id",
             run, params);
    const long plan = stage_number(text);
    Prism__V1__RebalancePlanRequest r = PRISM__V1__REBALANCE_PLAN_REQUEST__INIT;
    r.plan_id = (uint64_t)plan;
    send("prism.cmd.rebalance.plan", packed, prism__v1__rebalance_plan_request__pack(&r, packed));
    return plan;
}

void stage_execute(long plan)
{
    char text[512];
    uint8_t packed[64];
    snprintf(text, sizeof text,
             "WITH o AS (INSERT INTO operations (kind, resource, created_by) VALUES "
             "('rebalance.execute', 'rebalance/plans/%ld', 'test') RETURNING id) "
             "UPDATE plans SET state = 'approved', approved_by = 'test', "
             "execute_operation_id = o.id FROM o WHERE plans.id = %ld AND state = 'proposed' "
             "RETURNING plans.id",
             plan, plan);
    assert_int_equal(stage_number(text), plan);
    Prism__V1__RebalanceExecuteRequest r = PRISM__V1__REBALANCE_EXECUTE_REQUEST__INIT;
    r.plan_id = (uint64_t)plan;
    send("prism.cmd.rebalance.execute", packed,
         prism__v1__rebalance_execute_request__pack(&r, packed));
}

struct awaited {
    long plan;
    const char *state;
};

static bool reached(void *ctx)
{
    const struct awaited *a = ctx;
    char text[256], state[32];
    snprintf(text, sizeof text, "SELECT state FROM plans WHERE id = %ld", a->plan);
    stage_text(text, state, sizeof state);
    if (strcmp(state, a->state) != 0 && strcmp(state, "failed") == 0) {
        snprintf(text, sizeof text, "SELECT error FROM plans WHERE id = %ld", a->plan);
        char why[256];
        stage_text(text, why, sizeof why);
        fail_msg("plan %ld failed: %s", a->plan, why);
    }
    return strcmp(state, a->state) == 0;
}

/* How far it is: something else whenever it got on. */
static void plan_says(long plan, char out[512])
{
    char text[512];
    snprintf(text, sizeof text,
             "SELECT p.state || ': ' || coalesce(p.error, '') || ' ' || coalesce(o.phase, '') || "
             "(SELECT ', batches left: ' || count(*) FILTER (WHERE m.state <> 'done') || ', "
             "vertices moved: ' || coalesce(sum(m.moved), 0) FROM moves m WHERE m.plan_id = p.id) "
             "FROM plans p LEFT JOIN operations o ON o.id = p.execute_operation_id "
             "WHERE p.id = %ld",
             plan);
    stage_text(text, out, 512);
}

/* How long all of it takes is the machine's affair: it is given up when nothing goes on. */
static bool await_while_it_moves(bool (*predicate)(void *ctx), void *ctx, long plan, char now[512])
{
    char before[512];
    plan_says(plan, now);
    do {
        memcpy(before, now, sizeof before);
        if (it_await(predicate, ctx, STAGE_AWAIT_MS))
            return true;
        plan_says(plan, now);
    } while (strcmp(before, now) != 0);
    return false;
}

void stage_await_plan(long plan, const char *state)
{
    struct awaited a = { plan, state };
    char found[512];
    if (!await_while_it_moves(reached, &a, plan, found))
        fail_msg("plan %ld is not %s but %s", plan, state, found);
}

struct awaited_batches {
    long plan, more_than;
};

static bool moved(void *ctx)
{
    const struct awaited_batches *a = ctx;
    char text[128];
    snprintf(text, sizeof text, "SELECT count(*) FROM moves WHERE plan_id = %ld AND state = 'done'",
             a->plan);
    return stage_number(text) > a->more_than;
}

void stage_await_batches(long plan, long more_than)
{
    struct awaited_batches a = { plan, more_than };
    char found[512];
    if (!await_while_it_moves(moved, &a, plan, found))
        fail_msg("plan %ld has not made %ld batches: %s", plan, more_than + 1, found);
}

/* --- looking at the data ---------------------------------------------------------------- */

struct look {
    struct pr_rcmd cmd;
    const char *argv[6];
    size_t len[6];
    char key[PR_MAX_KEY_BYTES];
};

static void look_at(struct look *l, uint32_t partition, const struct stage_vertex *v)
{
    static const char *const words[] = { "HMGET", NULL, "_m", "_v", "p:n", "p:id" };
    for (int k = 0; k < 6; k++) {
        l->argv[k] = k == 1 ? l->key : words[k];
        l->len[k] =
            k == 1 ? pr_key_vertex(l->key, partition, v->id, strlen(v->id)) : strlen(words[k]);
    }
    l->cmd = (struct pr_rcmd){
        .argc = 6, .argv = l->argv, .argvlen = l->len, .slot = pr_partition_slot(partition)
    };
}

static const char *text_of(const redisReply *r, size_t i)
{
    return r->element[i]->str == NULL ? "" : r->element[i]->str;
}

static void look_everywhere(bool at_home)
{
    static struct look look[STAGE_VERTICES];
    static struct pr_rcmd cmds[STAGE_VERTICES];
    for (int i = 0; i < STAGE_VERTICES; i++) {
        look_at(&look[i], at_home ? stage.v[i].home : stage.target[i], &stage.v[i]);
        cmds[i] = look[i].cmd;
    }
    run_all(cmds, STAGE_VERTICES);
    for (int i = 0; i < STAGE_VERTICES; i++) {
        const struct stage_vertex *v = &stage.v[i];
        const redisReply *r = cmds[i].reply;
        const char *stub = text_of(r, 0);
        const long n = strtol(text_of(r, 2), NULL, 10);
        if (at_home && stage.target[i] != v->home) {
            if (strtoul(stub, NULL, 10) != stage.target[i] || text_of(r, 1)[0] != '\0')
                fail_msg("%s: home %u says \"%s\", want partition %u", v->id, v->home, stub,
                         stage.target[i]);
        } else if (stub[0] != '\0' || strcmp(text_of(r, 3), v->id) != 0)
            fail_msg("%s is not in partition %u: stub \"%s\", id \"%s\"", v->id, stage.target[i],
                     stub, text_of(r, 3));
        else if (n < v->acked || n > v->attempted)
            fail_msg("%s: p:n is %ld, acknowledged %ld, attempted %ld", v->id, n, v->acked,
                     v->attempted);
        freeReplyObject(cmds[i].reply);
    }
}

static long count_staging(redisContext *c)
{
    long n = 0;
    char cursor[32] = "0";
    do {
        redisReply *r = redisCommand(c, "SCAN %s COUNT 5000 MATCH %s", cursor, "*}g:*");
        assert_non_null(r);
        assert_int_equal(r->type, REDIS_REPLY_ARRAY);
        snprintf(cursor, sizeof cursor, "%s", r->element[0]->str);
        n += (long)r->element[1]->elements;
        freeReplyObject(r);
    } while (strcmp(cursor, "0") != 0);
    return n;
}

void stage_verify(void)
{
    int port[IT_MAX_NODES];
    size_t away = 0;
    look_everywhere(false);
    look_everywhere(true);
    const size_t n = it_redis_ports(port);
    for (size_t i = 0; i < n; i++) {
        redisContext *c = it_redis_admin(port[i]);
        assert_int_equal(count_staging(c), 0);
        redisFree(c);
    }
    for (int i = 0; i < STAGE_VERTICES; i++) {
        stage.v[i].at = stage.target[i];
        away += stage.target[i] != stage.v[i].home;
    }
    assert_int_equal(stage_number("SELECT count(*) FROM route_deltas"), 0);
    assert_int_equal(stage_number("SELECT sum(entries) FROM route_bases WHERE kind = 'current'"),
                     away);
    assert_int_equal(stage_number("SELECT count(*) FROM moves WHERE state <> 'done'"), 0);
}

/* --- the writer ---------------------------------------------------------------------------- */

static struct {
    pthread_t thread;
    atomic_bool stop;
    uint64_t seed;
    long pace_us; /* between two rounds of writes */
    long acked;
} writer;

static void write_some(struct dp_exec *exec, struct pr_rng *rng)
{
    enum { OPS = 32, ARGS = 3 };
    struct dp_op ops[OPS];
    struct dp_vertex vertex[OPS];
    int at[OPS];
    const char *arg[OPS][ARGS];
    size_t len[OPS][ARGS];
    char value[OPS][24];
    bool used[STAGE_VERTICES] = { false };
    size_t n = 0;
    struct pr_err err = { 0 };
    while (n < OPS) { /* a few hot vertices, so that fences are refused */
        const int i = (int)pr_rng_below(rng, pr_rng_below(rng, 4) == 0 ? 20 : STAGE_VERTICES);
        if (used[i])
            break;
        used[i] = true;
        at[n] = i;
        struct stage_vertex *v = &stage.v[i];
        vertex[n] = (struct dp_vertex){ .id_len = (uint8_t)strlen(v->id), .hash = v->hash };
        memcpy(vertex[n].id, v->id, sizeof v->id);
        snprintf(value[n], sizeof value[n], "%ld", ++v->attempted);
        arg[n][0] = "1";
        arg[n][1] = "p:n";
        arg[n][2] = value[n];
        for (int k = 0; k < ARGS; k++)
            len[n][k] = strlen(arg[n][k]);
        ops[n] = (struct dp_op){ .vertex = &vertex[n],
                                 .op = CLIENT_WRITE,
                                 .function = "prism_write",
                                 .arg = arg[n],
                                 .arg_len = len[n],
                                 .n_args = ARGS,
                                 .cached = v->home,
                                 .wait = true };
        n++;
    }
    const bool ran = dp_exec(exec, ops, n, &err) == PR_OK;
    for (size_t k = 0; k < n; k++) {
        if (ran && ops[k].rc == PR_OK && ops[k].outcome == CLIENT_DONE && ops[k].acked >= 1) {
            stage.v[at[k]].acked = stage.v[at[k]].attempted;
            writer.acked++;
        }
        if (ops[k].reply != NULL)
            freeReplyObject(ops[k].reply);
    }
}

static void *write_on(void *arg)
{
    (void)arg;
    struct pr_rng rng;
    struct pr_err err = { 0 };
    struct dp_exec exec = {
        .partitions = STAGE_PARTITIONS, .run = RUN, .deadline_ms = 20000, .max_backoffs = 1000
    };
    const struct pr_redis_auth auth = { it_env("IT_CLIENT_REDIS_USER"),
                                        it_env("IT_CLIENT_REDIS_PASSWORD") };
    pr_rng_init(&rng, writer.seed);
    while (pr_cluster_open(&exec.cluster, it_env("IT_REDIS_SEEDS"), &auth, 3000, &err) != PR_OK) {
        fprintf(stderr, "writer: %s\n", err.text);
        if (atomic_load(&writer.stop))
            return NULL;
    }
    while (!atomic_load(&writer.stop)) {
        const struct timespec pace = { 0, writer.pace_us * 1000L };
        write_some(&exec, &rng);
        if (writer.pace_us > 0)
            (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pace, NULL);
    }
    dp_exec_done(&exec);
    pr_cluster_close(exec.cluster);
    return NULL;
}

void stage_writer_pace(long us)
{
    writer.pace_us = us;
}

void stage_writer_start(uint64_t seed)
{
    writer.seed = seed;
    writer.acked = 0;
    atomic_store(&writer.stop, false);
    assert_int_equal(pthread_create(&writer.thread, NULL, write_on, NULL), 0);
}

long stage_writer_stop(void)
{
    atomic_store(&writer.stop, true);
    pthread_join(writer.thread, NULL);
    return writer.acked;
}
