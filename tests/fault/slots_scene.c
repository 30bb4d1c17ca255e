#include "slots_scene.h"

#include "slots_strike.h"

#include "t.h"

#include "prism/dp/library.h"
#include "prism/io/bus.h"
#include "prism/io/clock.h"
#include "prism/io/db.h"
#include "prism/slot.h"
#include "prism/v1/rebalance.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct slots_scene slots_scene;

static struct pr_db *db;
static struct pr_bus *bus;
static uint64_t clients_seed;
static struct {
    long verified, stuck, acked, lost;
} total; /* of the run, told at its end */

/* --- SQL --------------------------------------------------------------------------- */

static PR_PRINTF(3, 0) bool cell(char *out, size_t n, const char *format, va_list words)
{
    char sql[1024];
    struct pr_err err;
    PGresult *got = NULL;
    vsnprintf(sql, sizeof sql, format, words);
    out[0] = '\0';
    if (pr_db_exec(db, sql, NULL, 0, &got, &err) != PR_OK)
        return false;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 0 || PQnfields(res) == 0)
        return false;
    const char *v = pr_cell(res, 0, 0);
    snprintf(out, n, "%s", v == NULL ? "" : v);
    return true;
}

bool slots_cell(char *out, size_t n, const char *format, ...)
{
    va_list words;
    va_start(words, format);
    const bool ok = cell(out, n, format, words);
    va_end(words);
    return ok;
}

long slots_number(const char *format, ...)
{
    char text[64];
    va_list words;
    va_start(words, format);
    const bool ok = cell(text, sizeof text, format, words);
    va_end(words);
    return ok ? strtol(text, NULL, 10) : -1;
}

static void sql(const char *text)
{
    char out[8];
    it_sql(slots_scene.uri, text, out, sizeof out);
}

/* --- the service ---------------------------------------------------------------------- */

static bool watched(void *ctx)
{
    (void)ctx;
    return slots_number("SELECT count(*) FROM slots") == 16384 &&
           slots_number("SELECT count(*) FROM nodes WHERE state <> 'up'") == 0;
}

void slots_service_start(int i, const char *const *extra)
{
    static const char *const usual[] = { "PRISM_REBALANCE_LEASE_TTL_MS=2000",
                                         "PRISM_REBALANCE_COOLDOWN_S=0",
                                         "PRISM_REBALANCE_REVERSAL_S=0",
                                         "PRISM_REDIS_TIMEOUT_MS=1000",
                                         /* Our clients only SET them. */
                                         "PRISM_REBALANCE_STRINGS_ARE_SET=true" };
    const char *set[16] = { NULL };
    size_t n = 0;
    for (; extra != NULL && *extra != NULL; extra++)
        set[n++] = *extra; /* they win */
    for (size_t k = 0; k < PR_COUNT(usual); k++)
        set[n++] = usual[k];
    it_service(&slots_scene.service[i], "rebalance", slots_scene.uri, set);
    slots_scene.runs[i] = true;
}

void slots_service_kill(int i)
{
    it_kill(slots_scene.service[i].pid);
    slots_scene.runs[i] = false;
}

int slots_lease_holder(void)
{
    char holder[128];
    if (!slots_cell(holder, sizeof holder,
                    "SELECT holder FROM leases WHERE name = 'rebalance-executor' "
                    "AND expires_at > clock_timestamp()"))
        return -1;
    const char *dash = strrchr(holder, '-');
    for (int i = 0; i < SLOTS_SERVICES; i++)
        if (slots_scene.runs[i] && dash != NULL && atoi(dash + 1) == slots_scene.service[i].pid)
            return i;
    return -1;
}

/* --- opening and closing ------------------------------------------------------------------ */

static void register_nodes(void)
{
    int port[IT_MAX_NODES];
    char text[256];
    const size_t n = it_redis_ports(port);
    sql("INSERT INTO zones (id) VALUES ('a'), ('b'), ('c')");
    for (size_t i = 0; i < n; i++) {
        snprintf(text, sizeof text,
                 "INSERT INTO nodes (id, host, port, zone_id) VALUES ('n%d', '127.0.0.1', %d, "
                 "'%s')",
                 port[i], port[i], it_redis_zone(port[i]));
        sql(text);
    }
    snprintf(text, sizeof text, "INSERT INTO store (partitions) VALUES (%d)", SLOTS_PARTITIONS);
    sql(text);
}

int slots_scene_open(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    const struct pr_bus_options admin = { .url = it_env("IT_NATS_URL"),
                                          .user = it_env("IT_NATS_ADMIN_USER"),
                                          .password = it_env("IT_NATS_ADMIN_PASSWORD"),
                                          .name = "slots-test" };
    const struct pr_redis_auth auth = { it_env("IT_REDIS_ADMIN_USER"),
                                        it_env("IT_REDIS_ADMIN_PASSWORD") };
    it_cluster_await(60000);
    it_bus_reset();
    it_database("slots", slots_scene.uri);
    assert_ok(pr_db_open(&db, slots_scene.uri, "slots-test", &err), &err);
    assert_ok(pr_bus_open(&bus, &admin, &err), &err);
    assert_ok(pr_cluster_open(&slots_scene.cluster, it_env("IT_REDIS_SEEDS"), &auth, 3000, &err),
              &err);
    assert_ok(pr_cluster_load_library(slots_scene.cluster, pr_library_code, &err), &err);
    register_nodes();
    slots_scene.spoilt = true;
    return 0;
}

int slots_scene_close(void **state)
{
    (void)state;
    print_message("%ld times verified, %ld plans stuck; %ld writes acknowledged, %ld lost\n",
                  total.verified, total.stuck, total.acked, total.lost);
    pr_cluster_close(slots_scene.cluster);
    pr_bus_close(bus);
    pr_db_close(db);
    return 0;
}

int slots_case_begin(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    it_cluster_await(60000);
    assert_ok(pr_cluster_refresh(slots_scene.cluster, &err), &err);
    if (slots_scene.spoilt) {
        slots_roles_home();
        slots_close_all();
        slots_agree();
        it_redis_flush();
        slots_keys_load(slots_scene.cluster);
    }
    slots_scene.spoilt = true; /* until it has ended well */
    /* What a case before left behind is none of this one's business. */
    sql("UPDATE plans SET state = 'canceled' WHERE state IN "
        "('pending', 'proposed', 'approved', 'running', 'paused')");
    slots_clients_start(++clients_seed);
    slots_service_start(0, NULL);
    assert_true(it_await(watched, NULL, SLOTS_AWAIT_MS));
    return 0;
}

int slots_case_end(void **state)
{
    (void)state;
    slots_mend();
    slots_clients_stop();
    int worst = 0;
    for (int i = 0; i < SLOTS_SERVICES; i++)
        if (slots_scene.runs[i]) {
            const int status = it_stop(slots_scene.service[i].pid);
            slots_scene.runs[i] = false;
            worst = status != 0 ? status : worst;
        }
    return worst == 0 ? 0 : -1;
}

/* --- plans ------------------------------------------------------------------------------------ */

struct command {
    const char *subject;
    const void *data;
    size_t n;
    char msg_id[64];
};

static bool sent(void *ctx)
{
    const struct command *c = ctx;
    return pr_bus_publish(bus, c->subject, c->data, c->n, c->msg_id, NULL, NULL) == PR_OK;
}

/* NATS may have been away a moment ago. */
static void send(const char *subject, const void *data, size_t n)
{
    static unsigned count;
    struct command c = { subject, data, n, "" };
    snprintf(c.msg_id, sizeof c.msg_id, "slots-test-%d-%u", (int)getpid(), count++);
    assert_true(it_await(sent, &c, SLOTS_AWAIT_MS));
}

static int owner_shard(const struct pr_topology *t, int slot)
{
    assert_true(t->slot_owner[slot] >= 0);
    return slots_shard_of(t->node[t->slot_owner[slot]].port);
}

/* The shard with the most hot slots, to another one. */
static void choose_shards(struct slots_plan *p, const int of_hot[SLOTS_HOT], struct pr_rng *rng)
{
    size_t n[SLOTS_SHARDS] = { 0 };
    for (int i = 0; i < SLOTS_HOT; i++)
        n[of_hot[i]]++;
    if (p->from < 0) {
        p->from = 0;
        for (int s = 1; s < SLOTS_SHARDS; s++)
            if (n[s] > n[p->from] && s != p->to)
                p->from = s;
    }
    while (p->to < 0 || p->to == p->from)
        p->to = (int)pr_rng_below(rng, SLOTS_SHARDS);
}

static size_t append_ranges(char *out, size_t n, const uint8_t shard[PR_SLOTS], int which)
{
    size_t at = 0;
    for (int s = 0; s < PR_SLOTS; s++) {
        if (shard[s] != which)
            continue;
        int last = s;
        while (last + 1 < PR_SLOTS && shard[last + 1] == which)
            last++;
        at += (size_t)snprintf(out + at, n - at, "%s%d-%d", at > 0 ? "," : "", s, last);
        assert_true(at < n);
        s = last;
    }
    return at;
}

/* Groups as they are, but for the slots of the plan. */
static void write_goal(struct slots_plan *p, struct pr_rng *rng, char *goal, size_t n)
{
    static uint8_t shard[PR_SLOTS];
    struct pr_topology t;
    int of_hot[SLOTS_HOT];
    int port[IT_MAX_NODES];
    (void)it_redis_ports(port);
    assert_true(slots_topology(port[0], &t));
    for (int s = 0; s < PR_SLOTS; s++)
        shard[s] = (uint8_t)owner_shard(&t, s);
    pr_topology_done(&t);
    for (int i = 0; i < SLOTS_HOT; i++)
        of_hot[i] = shard[slots_hot[i]];
    choose_shards(p, of_hot, rng);
    p->slots = 0;
    const size_t first = (size_t)pr_rng_below(rng, SLOTS_HOT);
    for (size_t k = 0; k < SLOTS_HOT && p->slots < SLOTS_PLAN; k++) {
        const size_t i = (first + k) % SLOTS_HOT;
        if (of_hot[i] == p->from) {
            p->slot[p->slots++] = slots_hot[i];
            shard[slots_hot[i]] = (uint8_t)p->to;
        }
    }
    assert_true(p->slots > 0);
    size_t at = (size_t)snprintf(goal, n, "{\"kind\": \"assign\", \"groups\": [\"");
    for (int s = 0; s < SLOTS_SHARDS; s++) {
        at += append_ranges(goal + at, n - at, shard, s);
        at += (size_t)snprintf(goal + at, n - at, "%s", s + 1 < SLOTS_SHARDS ? "\", \"" : "\"]}");
    }
    assert_true(at < n);
}

static bool is_over(const char *state, const char *error)
{
    return strcmp(state, "done") == 0 || strcmp(state, "failed") == 0 ||
           strcmp(state, "canceled") == 0 || (strcmp(state, "paused") == 0 && error[0] != '\0');
}

bool slots_plan_over(struct slots_plan *p)
{
    return slots_cell(p->state, sizeof p->state, "SELECT state FROM plans WHERE id = %ld", p->id) &&
           slots_cell(p->error, sizeof p->error,
                      "SELECT coalesce(error, '') FROM plans WHERE id = %ld", p->id) &&
           is_over(p->state, p->error);
}

struct awaited_state {
    struct slots_plan *plan;
    const char *state;
};

/* A stuck plan that is to be canceled stays stuck for a moment. */
static bool ended(void *ctx)
{
    const struct awaited_state *a = ctx;
    return slots_plan_over(a->plan) &&
           (strcmp(a->plan->state, "paused") != 0 || strcmp(a->state, "canceled") != 0);
}

void slots_plan_await(struct slots_plan *p, const char *state)
{
    char phase[400];
    struct awaited_state a = { p, state };
    if (it_await(ended, &a, SLOTS_AWAIT_MS) && strcmp(p->state, state) == 0)
        return;
    (void)slots_cell(phase, sizeof phase,
                     "SELECT coalesce(o.phase, '') || ' | ' || (SELECT string_agg(state || ':' || "
                     "n, ' ') FROM (SELECT state, count(*) AS n FROM steps WHERE plan_id = p.id "
                     "GROUP BY 1) x) FROM plans p JOIN operations o ON o.id = "
                     "p.execute_operation_id WHERE p.id = %ld",
                     p->id);
    fail_msg("plan %ld is not %s but %s: %s (%s)", p->id, state, p->state, p->error, phase);
}

static bool reached(void *ctx)
{
    const struct awaited_state *a = ctx;
    return slots_plan_over(a->plan) || strcmp(a->plan->state, a->state) == 0;
}

void slots_plan_propose(struct slots_plan *p, struct pr_rng *rng, int from, int to,
                        const char *params, const char *state)
{
    static char goal[1 << 16];
    uint8_t packed[64];
    struct pr_err err = { 0 };
    PGresult *got = NULL;
    *p = (struct slots_plan){ .from = from, .to = to };
    write_goal(p, rng, goal, sizeof goal);
    assert_ok(pr_db_exec(db,
                         "WITH o AS (INSERT INTO operations (kind, resource, created_by) VALUES "
                         "('rebalance.plan', 'rebalance/plans', 'test') RETURNING id) "
                         "INSERT INTO plans (operation_id, kind, goal, params, created_by) "
                         "SELECT id, 'fleet', $1, $2, 'test' FROM o RETURNING id",
                         PR_ARGS(pr_text(goal), pr_text(params)), &got, &err),
              &err);
    p->id = (long)pr_cell_i64(got, 0, 0);
    PQclear(got);
    Prism__V1__RebalancePlanRequest r = PRISM__V1__REBALANCE_PLAN_REQUEST__INIT;
    r.plan_id = (uint64_t)p->id;
    send("prism.cmd.rebalance.plan", packed, prism__v1__rebalance_plan_request__pack(&r, packed));
    struct awaited_state a = { p, state };
    if (!it_await(reached, &a, SLOTS_AWAIT_MS) || strcmp(p->state, state) != 0)
        fail_msg("plan %ld is not %s but %s: %s", p->id, state, p->state, p->error);
}

void slots_plan_execute(struct slots_plan *p)
{
    uint8_t packed[64];
    p->began_us = pr_mono_us();
    slots_clients_aim(p->slot, p->slots);
    assert_int_equal(
        slots_number("WITH o AS (INSERT INTO operations (kind, resource, created_by) VALUES "
                     "('rebalance.execute', 'rebalance/plans/%ld', 'test') RETURNING id) "
                     "UPDATE plans SET state = 'approved', approved_by = 'test', "
                     "execute_operation_id = o.id FROM o WHERE plans.id = %ld AND "
                     "state = 'proposed' RETURNING plans.id",
                     p->id, p->id),
        p->id);
    Prism__V1__RebalanceExecuteRequest r = PRISM__V1__REBALANCE_EXECUTE_REQUEST__INIT;
    r.plan_id = (uint64_t)p->id;
    send("prism.cmd.rebalance.execute", packed,
         prism__v1__rebalance_execute_request__pack(&r, packed));
}

void slots_plan_start(struct slots_plan *p, struct pr_rng *rng, const char *params)
{
    slots_plan_propose(p, rng, -1, -1, params, "proposed");
    assert_int_equal(slots_number("SELECT count(*) FROM steps WHERE plan_id = %ld", p->id),
                     (long)p->slots);
    slots_plan_execute(p);
}

void slots_plan_order(const struct slots_plan *p, const char *state)
{
    assert_int_equal(slots_number("UPDATE plans SET state = '%s', error = NULL WHERE id = %ld "
                                  "RETURNING id",
                                  state, p->id),
                     p->id);
}

void slots_plan_cancel(const struct slots_plan *p)
{
    assert_int_equal(slots_number("UPDATE operations SET cancel_requested = true WHERE id = "
                                  "(SELECT execute_operation_id FROM plans WHERE id = %ld) "
                                  "RETURNING %ld",
                                  p->id, p->id),
                     p->id);
}

/* --- the end of every case ----------------------------------------------------------------------
 */

struct slots_traffic slots_verify(const char *label, const struct slots_plan *p)
{
    char what[512];
    struct slots_loss loss;
    struct slots_traffic t;
    struct pr_err err = { 0 };
    slots_clients_stop();
    slots_clients_count(&t);
    if (!slots_audit(what, sizeof what))
        fail_msg("%s: %s", label, what);
    assert_ok(pr_cluster_refresh(slots_scene.cluster, &err), &err);
    slots_keys_judge(slots_scene.cluster, &loss);
    print_message("%s: plan %ld %s after %.1f s; %ld writes acknowledged of %ld, %ld lost (%ld "
                  "that only some replicas had), %ld reads: %ld absent, %ld old, %ld back, %ld "
                  "failed\n",
                  label, p->id, p->state, (double)(pr_mono_us() - p->began_us) / 1e6, t.acked,
                  t.sent, loss.lost, loss.heard, t.reads, t.absent, t.old, t.back, t.failed);
    total.verified++;
    total.acked += t.acked;
    total.lost += loss.lost;
    total.stuck += strcmp(p->state, "paused") == 0;
    if (loss.lost > 0 || loss.strange > 0)
        fail_msg("%s: %ld lost, %ld strange; first: %s", label, loss.lost, loss.strange, loss.what);
    assert_true(t.acked > 0 && t.reads > 0);
    assert_int_equal(slots_number("SELECT count(*) FROM steps WHERE plan_id = %ld AND state NOT "
                                  "IN ('planned', 'verified', 'rolled_back', 'stuck')",
                                  p->id),
                     0);
    slots_scene.spoilt = false;
    slots_clients_start(++clients_seed);
    return t;
}
