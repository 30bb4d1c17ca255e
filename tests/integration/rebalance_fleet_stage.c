#include "rebalance_fleet_stage.h"

#include "prism/dp/library.h"
#include "prism/io/clock.h"
#include "prism/slot.h"
#include "prism/v1/rebalance.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fleet_stage fs;

/* --- SQL ------------------------------------------------------------------------ */

static PR_PRINTF(1, 0) const char *cell(const char *format, va_list words)
{
    static char out[4096];
    static char sql[FS_GOAL];
    struct pr_err err = { 0 };
    PGresult *got = NULL;
    vsnprintf(sql, sizeof sql, format, words);
    if (pr_db_exec(fs.db, sql, NULL, 0, &got, &err) != PR_OK)
        fail_msg("%.300s: %s", sql, err.text);
    PR_AUTO(PGresult) *res = got;
    const char *v = PQntuples(res) > 0 && PQnfields(res) > 0 ? pr_cell(res, 0, 0) : NULL;
    snprintf(out, sizeof out, "%s", v == NULL ? "" : v);
    return out;
}

const char *fs_text(const char *format, ...)
{
    va_list words;
    va_start(words, format);
    const char *v = cell(format, words);
    va_end(words);
    return v;
}

long fs_number(const char *format, ...)
{
    va_list words;
    va_start(words, format);
    const long v = strtol(cell(format, words), NULL, 10);
    va_end(words);
    return v;
}

void fs_sql(const char *format, ...)
{
    va_list words;
    va_start(words, format);
    (void)cell(format, words);
    va_end(words);
}

struct awaited {
    const char *sql, *want;
};

static bool says_so(void *ctx)
{
    const struct awaited *a = ctx;
    return strcmp(fs_text("%s", a->sql), a->want) == 0;
}

void fs_await_text(const char *want, const char *format, ...)
{
    char sql[1024];
    va_list words;
    va_start(words, format);
    vsnprintf(sql, sizeof sql, format, words);
    va_end(words);
    struct awaited a = { sql, want };
    if (!it_await(says_so, &a, FS_AWAIT_MS))
        fail_msg("%s: want '%s'; plans: %s", sql, want,
                 fs_text("SELECT string_agg(id || ' ' || (goal->>'kind') || ' ' || state || ' ' || "
                         "coalesce(error, ''), '; ' ORDER BY id) FROM plans"));
}

/* --- Redis ------------------------------------------------------------------------ */

const char *fs_ask(int port, const char *format, ...)
{
    static char text[32768];
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

const char *fs_tag(int slot)
{
    static char tag[PR_SLOTS][12];
    static int known;
    for (int i = 0; known < PR_SLOTS; i++) {
        char t[12];
        const int n = snprintf(t, sizeof t, "t%d", i);
        char *at = tag[pr_crc16(t, (size_t)n) % PR_SLOTS];
        if (at[0] == '\0') {
            memcpy(at, t, sizeof t);
            known++;
        }
    }
    return tag[slot];
}

static const struct pr_topology *topology(void)
{
    struct pr_err err = { 0 };
    assert_ok(pr_cluster_refresh(fs.cluster, &err), &err);
    return pr_cluster_topology(fs.cluster);
}

int fs_owner(int slot)
{
    const struct pr_topology *t = topology();
    return t->slot_owner[slot] < 0 ? 0 : t->node[t->slot_owner[slot]].port;
}

int fs_shard_of_port(int port)
{
    for (int s = 0; s < FS_SHARDS; s++)
        for (int m = 0; m < FS_MEMBERS; m++)
            if (fs.shard[s].port[m] == port)
                return s;
    fail_msg("port %d is in no shard", port);
    return -1;
}

int fs_primary(int shard)
{
    const struct pr_topology *t = topology();
    for (size_t i = 0; i < PR_SLOTS; i++)
        if (t->slot_owner[i] >= 0 && fs_shard_of_port(t->node[t->slot_owner[i]].port) == shard)
            return t->node[t->slot_owner[i]].port;
    return 0;
}

void fs_load(int slot, int n, int bytes)
{
    char value[4096];
    redisContext *c = it_redis_admin(fs_owner(slot));
    assert_true(bytes < (int)sizeof value);
    memset(value, 'v', sizeof value);
    for (int i = 0; i < n; i++)
        assert_int_equal(
            redisAppendCommand(c, "SET {%s}k%d %b", fs_tag(slot), i, value, (size_t)bytes),
            REDIS_OK);
    for (int i = 0; i < n; i++) {
        redisReply *r = NULL;
        assert_int_equal(redisGetReply(c, (void **)&r), REDIS_OK);
        if (r->type == REDIS_REPLY_ERROR)
            fail_msg("slot %d: %s", slot, r->str);
        freeReplyObject(r);
    }
    redisFree(c);
}

void fs_ballast(void)
{
    int first[FS_SHARDS] = { -1, -1, -1 };
    const struct pr_topology *t = topology();
    for (int slot = PR_SLOTS - 1; slot >= 0; slot--)
        first[fs_shard_of_port(t->node[t->slot_owner[slot]].port)] = slot;
    for (int s = 0; s < FS_SHARDS; s++)
        fs_load(first[s], 2000, 1000);
}

long fs_keys(int port, int slot)
{
    return strtol(fs_ask(port, "CLUSTER COUNTKEYSINSLOT %d", slot), NULL, 10);
}

int fs_open_marks(void)
{
    int n = 0;
    for (int i = 0; i < FS_SHARDS * FS_MEMBERS; i++) {
        const char *nodes = fs_ask(fs.shard[i / FS_MEMBERS].port[i % FS_MEMBERS], "CLUSTER NODES");
        for (const char *p = strchr(nodes, '['); p != NULL; p = strchr(p + 1, '['))
            n++;
    }
    return n;
}

/* What a node says of roles and owners, in an order of its own. */
static void summary_of(int port, char *out, size_t size)
{
    struct pr_err err = { 0 };
    struct pr_topology t;
    out[0] = '\0';
    redisContext *c = it_redis_admin(port);
    redisReply *r = redisCommand(c, "CLUSTER NODES");
    assert_non_null(r);
    if (pr_topology_parse(r->str, "127.0.0.1", &t, &err) == PR_OK) {
        size_t at = 0;
        for (int s = 0; s < FS_SHARDS; s++)
            for (int m = 0; m < FS_MEMBERS; m++)
                for (size_t i = 0; i < t.nodes; i++)
                    if (t.node[i].port == fs.shard[s].port[m])
                        at += (size_t)snprintf(out + at, size - at, "%d%c%d%.40s ", t.node[i].port,
                                               t.node[i].primary ? 'p' : 'r', t.node[i].failed,
                                               t.node[i].primary ? "" : t.node[i].primary_id);
        uint64_t hash = 14695981039346656037U;
        for (int s = 0; s < PR_SLOTS; s++) {
            const int p = t.slot_owner[s] < 0 ? 0 : t.node[t.slot_owner[s]].port;
            hash = (hash ^ (uint64_t)p) * 1099511628211U;
        }
        snprintf(out + at, size - at, "%llx", (unsigned long long)hash);
        pr_topology_done(&t);
    }
    freeReplyObject(r);
    redisFree(c);
}

static bool agree(void *ctx)
{
    (void)ctx;
    char first[2048] = "", other[2048] = "";
    for (int i = 0; i < FS_SHARDS * FS_MEMBERS; i++) {
        const int port = fs.shard[i / FS_MEMBERS].port[i % FS_MEMBERS];
        summary_of(port, i == 0 ? first : other, sizeof other);
        if (i > 0 && strcmp(first, other) != 0)
            return false;
    }
    return true;
}

/* The rows say of every node what the cluster says. */
static bool watched(void *ctx)
{
    (void)ctx;
    if (fs.service.pid == 0)
        return true;
    const struct pr_topology *t = topology();
    if (fs_number("SELECT count(*) FROM slots") != PR_SLOTS ||
        fs_number("SELECT count(*) FROM nodes WHERE state <> 'up'") != 0)
        return false;
    for (size_t i = 0; i < t->nodes; i++)
        if (strcmp(fs_text("SELECT role FROM nodes WHERE port = %d", t->node[i].port),
                   t->node[i].primary ? "primary" : "replica") != 0)
            return false;
    return true;
}

void fs_settle(void)
{
    it_cluster_await(FS_AWAIT_MS);
    if (!it_await(agree, NULL, FS_AWAIT_MS))
        fail_msg("the nodes do not agree");
    if (!it_await(watched, NULL, FS_AWAIT_MS))
        fail_msg("the topology was not written");
}

static bool leads(void *ctx)
{
    const int *port = ctx;
    return strstr(fs_ask(*port, "INFO replication"), "role:master") != NULL;
}

static void fail_over_once(int port)
{
    /* A primary votes for one shard once in two node time-outs, and an attempt ends
     * after five seconds: fail-overs that follow one another need several. */
    for (int i = 0; i < 6; i++) {
        if (leads(&port))
            break;
        assert_string_equal(fs_ask(port, "CLUSTER FAILOVER"), "OK");
        (void)it_await(leads, &port, 6000);
    }
    assert_true(leads(&port));
    fs_settle();
}

/* Until it stays: one that follows another too soon is taken back. */
void fs_fail_over(int port)
{
    fail_over_once(port);
    for (int i = 0; i < 4 && !leads(&port); i++)
        fail_over_once(port);
    assert_true(leads(&port));
}

/* --- the service ---------------------------------------------------------------- */

void fs_service_stop(void)
{
    if (fs.service.pid == 0)
        return;
    const int status = it_stop(fs.service.pid);
    fs.service.pid = 0;
    assert_int_equal(status, 0);
}

void fs_service(const char *const *extra)
{
    const char *set[16] = { "PRISM_REBALANCE_LEASE_TTL_MS=4000", "PRISM_REDIS_TIMEOUT_MS=1000" };
    size_t n = 2;
    for (; extra != NULL && *extra != NULL; extra++)
        set[n++] = *extra;
    fs_service_stop();
    it_service(&fs.service, "rebalance", fs.uri, set);
}

/* --- opening, closing -------------------------------------------------------------- */

static void close_slots(void)
{
    for (int i = 0; i < FS_SHARDS * FS_MEMBERS; i++) {
        redisContext *c = it_redis_admin(fs.shard[i / FS_MEMBERS].port[i % FS_MEMBERS]);
        redisReply *r = redisCommand(c, "CLUSTER NODES");
        for (const char *p = strchr(r->str, '['); p != NULL; p = strchr(p + 1, '['))
            freeReplyObject(
                redisCommand(c, "CLUSTER SETSLOT %d STABLE", (int)strtol(p + 1, NULL, 10)));
        freeReplyObject(r);
        redisFree(c);
    }
}

static void learn_shards(void)
{
    const struct pr_topology *t = topology();
    int s = 0;
    for (int slot = 0; slot < PR_SLOTS; slot++) { /* in the order of their first slots */
        const int owner = t->slot_owner[slot];
        assert_true(owner >= 0);
        int at = 0;
        while (at < s && fs.shard[at].port[0] != t->node[owner].port)
            at++;
        fs.slot_shard[slot] = (uint8_t)at;
        if (at < s)
            continue;
        assert_true(s < FS_SHARDS);
        int m = 0;
        fs.shard[s].port[m++] = t->node[owner].port;
        for (size_t i = 0; i < t->nodes; i++)
            if (!t->node[i].primary && strcmp(t->node[i].primary_id, t->node[owner].id) == 0) {
                assert_true(m < FS_MEMBERS);
                fs.shard[s].port[m++] = t->node[i].port;
            }
        assert_int_equal(m, FS_MEMBERS);
        s++;
    }
    assert_int_equal(s, FS_SHARDS);
}

static void register_nodes(void)
{
    static const char zone[FS_SHARDS][FS_MEMBERS + 1] = { "abc", "abc", "bca" };
    fs_sql("INSERT INTO zones (id) VALUES ('a'), ('b'), ('c')");
    for (int s = 0; s < FS_SHARDS; s++)
        for (int m = 0; m < FS_MEMBERS; m++)
            fs_sql("INSERT INTO nodes (id, host, port, zone_id) VALUES ('n%d', '127.0.0.1', %d, "
                   "'%c')",
                   fs.shard[s].port[m], fs.shard[s].port[m], zone[s][m]);
    fs_sql("INSERT INTO store (partitions) VALUES (4096)");
}

int fs_open(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    const struct pr_bus_options admin = { .url = it_env("IT_NATS_URL"),
                                          .user = it_env("IT_NATS_ADMIN_USER"),
                                          .password = it_env("IT_NATS_ADMIN_PASSWORD"),
                                          .name = "fleet-test" };
    const struct pr_redis_auth auth = { it_env("IT_REDIS_ADMIN_USER"),
                                        it_env("IT_REDIS_ADMIN_PASSWORD") };
    it_redis_flush();
    it_bus_reset();
    it_database("fleet", fs.uri);
    assert_ok(pr_db_open(&fs.db, fs.uri, "fleet-test", &err), &err);
    assert_ok(pr_bus_open(&fs.bus, &admin, &err), &err);
    assert_ok(pr_cluster_open(&fs.cluster, it_env("IT_REDIS_SEEDS"), &auth, 3000, &err), &err);
    assert_ok(pr_cluster_load_library(fs.cluster, pr_library_code, &err), &err);
    learn_shards();
    close_slots();
    register_nodes();
    return 0;
}

static const char *groups_of(const uint8_t shard[PR_SLOTS])
{
    static char goal[FS_GOAL];
    size_t at = (size_t)snprintf(goal, sizeof goal, "{\"kind\": \"assign\", \"groups\": [\"");
    for (int g = 0; g < FS_SHARDS; g++) {
        bool any = false;
        for (int s = 0; s < PR_SLOTS; s++) {
            if (shard[s] != g)
                continue;
            int last = s;
            while (last + 1 < PR_SLOTS && shard[last + 1] == g)
                last++;
            at += (size_t)snprintf(goal + at, sizeof goal - at, "%s%d-%d", any ? "," : "", s, last);
            assert_true(at < sizeof goal);
            any = true;
            s = last;
        }
        at += (size_t)snprintf(goal + at, sizeof goal - at, "%s",
                               g + 1 < FS_SHARDS ? "\", \"" : "\"]}");
    }
    assert_true(at < sizeof goal);
    return goal;
}

static void halt_everything(void)
{
    fs_sql("UPDATE plans SET state = 'canceled' WHERE state IN "
           "('pending', 'proposed', 'approved', 'running', 'paused')");
    fs_sql("UPDATE operations SET state = 'canceled' WHERE state IN ('pending', 'running')");
    fs_sql("UPDATE policies SET spec = '{}', halted = false");
}

int fs_begin(void **state)
{
    (void)state;
    static const char *const calm[] = { "PRISM_REBALANCE_COOLDOWN_S=0",
                                        "PRISM_REBALANCE_REVERSAL_S=0", NULL };
    halt_everything();
    fs_service(calm);
    fs_settle();
    return 0;
}

int fs_end(void **state)
{
    (void)state;
    halt_everything();
    fs_service_stop();
    close_slots();
    for (int s = 0; s < FS_SHARDS; s++)
        if (fs_primary(s) != fs.shard[s].port[0])
            fs_fail_over(fs.shard[s].port[0]);
    fs_settle();
    it_redis_flush();
    return 0;
}

int fs_close(void **state)
{
    (void)state;
    if (fs_begin(NULL) == 0)
        fs_run(fs_proposed(groups_of(fs.slot_shard), "{}"));
    (void)fs_end(NULL);
    pr_cluster_close(fs.cluster);
    pr_bus_close(fs.bus);
    pr_db_close(fs.db);
    return 0;
}

/* --- plans ------------------------------------------------------------------------ */

static void send(const char *subject, const void *data, size_t n)
{
    static unsigned sent;
    char msg_id[64];
    struct pr_err err = { 0 };
    snprintf(msg_id, sizeof msg_id, "fleet-test-%d-%u", (int)getpid(), sent++);
    assert_ok(pr_bus_publish(fs.bus, subject, data, n, msg_id, NULL, &err), &err);
}

static bool planned(void *ctx)
{
    return strcmp(fs_text("SELECT state FROM plans WHERE id = %ld", *(const long *)ctx),
                  "pending") != 0;
}

long fs_plan(const char *goal, const char *params)
{
    uint8_t packed[64];
    struct pr_err err = { 0 };
    PGresult *got = NULL;
    assert_ok(pr_db_exec(fs.db,
                         "WITH o AS (INSERT INTO operations (kind, resource, created_by) VALUES "
                         "('rebalance.plan', 'rebalance/plans', 'test') RETURNING id) "
                         "INSERT INTO plans (operation_id, kind, goal, params, created_by) "
                         "SELECT id, 'fleet', $1, $2, 'test' FROM o RETURNING id",
                         PR_ARGS(pr_text(goal), pr_text(params)), &got, &err),
              &err);
    long plan = (long)pr_cell_i64(got, 0, 0);
    PQclear(got);
    Prism__V1__RebalancePlanRequest r = PRISM__V1__REBALANCE_PLAN_REQUEST__INIT;
    r.plan_id = (uint64_t)plan;
    send("prism.cmd.rebalance.plan", packed, prism__v1__rebalance_plan_request__pack(&r, packed));
    if (!it_await(planned, &plan, FS_AWAIT_MS))
        fail_msg("plan %ld (%.200s) is still pending", plan, goal);
    return plan;
}

long fs_proposed(const char *goal, const char *params)
{
    const long plan = fs_plan(goal, params);
    if (strcmp(fs_text("SELECT state FROM plans WHERE id = %ld", plan), "proposed") != 0)
        fail_msg(
            "plan %ld (%.200s): %s", plan, goal,
            fs_text("SELECT state || ' ' || coalesce(error, '') FROM plans WHERE id = %ld", plan));
    return plan;
}

void fs_execute(long plan)
{
    uint8_t packed[64];
    assert_int_equal(
        fs_number("WITH o AS (INSERT INTO operations (kind, resource, created_by) VALUES "
                  "('rebalance.execute', 'rebalance/plans/%ld', 'test') RETURNING id) "
                  "UPDATE plans SET state = 'approved', approved_by = 'test', "
                  "execute_operation_id = o.id FROM o WHERE plans.id = %ld AND "
                  "state = 'proposed' RETURNING plans.id",
                  plan, plan),
        plan);
    Prism__V1__RebalanceExecuteRequest r = PRISM__V1__REBALANCE_EXECUTE_REQUEST__INIT;
    r.plan_id = (uint64_t)plan;
    send("prism.cmd.rebalance.execute", packed,
         prism__v1__rebalance_execute_request__pack(&r, packed));
}

struct over {
    long plan;
    const char *state;
};

static bool is_over(void *ctx)
{
    const struct over *o = ctx;
    const char *now = fs_text("SELECT state FROM plans WHERE id = %ld", o->plan);
    return strcmp(now, o->state) == 0 || strcmp(now, "failed") == 0 || strcmp(now, "done") == 0 ||
           strcmp(now, "canceled") == 0;
}

void fs_await_plan(long plan, const char *state)
{
    struct over o = { plan, state };
    if (it_await(is_over, &o, FS_AWAIT_MS) &&
        strcmp(fs_text("SELECT state FROM plans WHERE id = %ld", plan), state) == 0)
        return;
    fail_msg("plan %ld is not %s but %s", plan, state,
             fs_text("SELECT p.state || ': ' || coalesce(p.error, '') || ' | ' || "
                     "coalesce(o.phase, '') || ' | ' || coalesce((SELECT string_agg(x.state || ':' "
                     "|| n, ' ') FROM (SELECT state, count(*) AS n FROM steps WHERE plan_id = p.id "
                     "GROUP BY 1) x), '') FROM plans p LEFT JOIN operations o ON o.id = "
                     "p.execute_operation_id WHERE p.id = %ld",
                     plan));
}

void fs_run(long plan)
{
    fs_execute(plan);
    fs_await_plan(plan, "done");
}

void fs_cancel(long plan)
{
    fs_sql("UPDATE operations SET cancel_requested = true WHERE id IN (SELECT "
           "unnest(ARRAY[operation_id, execute_operation_id]) FROM plans WHERE id = %ld) AND state "
           "IN ('pending', 'running')",
           plan);
}

const char *fs_assign(int from, int to, size_t n, int *slot)
{
    static uint8_t shard[PR_SLOTS];
    const struct pr_topology *t = topology();
    for (int s = 0; s < PR_SLOTS; s++)
        shard[s] = (uint8_t)fs_shard_of_port(t->node[t->slot_owner[s]].port);
    size_t found = 0;
    for (int s = PR_SLOTS - 1; s >= 0 && found < n; s--)
        if (shard[s] == from) {
            shard[s] = (uint8_t)to;
            if (slot != NULL)
                slot[found] = s;
            found++;
        }
    assert_int_equal(found, n);
    return groups_of(shard);
}

void fs_check_done(long plan)
{
    assert_int_equal(fs_number("SELECT count(*) FROM steps WHERE plan_id = %ld AND state <> "
                               "'verified'",
                               plan),
                     0);
    struct pr_err err = { 0 };
    PGresult *got = NULL;
    assert_ok(pr_db_exec(fs.db,
                         "SELECT s.slot, n.port FROM steps s JOIN nodes n ON n.id = s.dst_node "
                         "WHERE s.plan_id = $1 AND s.kind = 'slot'",
                         PR_ARGS(pr_i64(plan)), &got, &err),
              &err);
    PR_AUTO(PGresult) *res = got;
    const struct pr_topology *t = topology();
    for (int i = 0; i < PQntuples(res); i++) {
        const int slot = (int)pr_cell_i64(res, i, 0);
        assert_true(t->slot_owner[slot] >= 0);
        if (t->node[t->slot_owner[slot]].port != (int)pr_cell_i64(res, i, 1))
            fail_msg("slot %d is not where the plan put it", slot);
    }
    assert_int_equal(fs_open_marks(), 0);
}
