#include "io/fleet/duties_links.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { IN_STEP_BYTES = 1 << 20, FAN_OUT = 64 };

/* --- who is who ------------------------------------------------------------------ */

static int find_topology(const struct pr_topology *t, const struct duty_node *n)
{
    int by_id = -1;
    for (size_t i = 0; i < t->nodes; i++) {
        if (t->node[i].port == n->port && strcmp(t->node[i].host, n->host) == 0)
            return (int)i;
        if (n->redis_id[0] != '\0' && strcmp(t->node[i].id, n->redis_id) == 0 &&
            t->node[i].host[0] == '\0')
            by_id = (int)i; /* noaddr */
    }
    return by_id;
}

static void join_topology(const struct pr_topology *t, int at, struct duty_node *n)
{
    n->member = at >= 0;
    if (at < 0)
        return;
    const struct pr_node *r = &t->node[at];
    snprintf(n->redis_id, sizeof n->redis_id, "%s", r->id);
    snprintf(n->primary_id, sizeof n->primary_id, "%s", r->primary_id);
    n->primary = r->primary;
    n->failed = r->failed;
    n->slots = 0;
    for (size_t s = 0; s < PR_COUNT(t->slot_owner); s++)
        n->slots += t->slot_owner[s] == at;
}

static void read_row(const PGresult *res, struct duty_node *n)
{
    *n = (struct duty_node){ .port = (int)pr_cell_i64(res, 0, 2) };
    snprintf(n->id, sizeof n->id, "%s", pr_cell(res, 0, 0));
    snprintf(n->host, sizeof n->host, "%s", pr_cell(res, 0, 1));
    snprintf(n->redis_id, sizeof n->redis_id, "%s", pr_cell(res, 0, 3));
    snprintf(n->shard, sizeof n->shard, "%s", pr_cell(res, 0, 4));
}

#define ROW "SELECT id, host, port, coalesce(redis_id, ''), coalesce(shard_id, '') FROM nodes "

enum pr_code duty_node(struct pr_db *db, struct pr_cluster *c, const char *id,
                       struct duty_node *out, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(db, ROW "WHERE id = $1", PR_ARGS(pr_text(id)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) != 1)
        return pr_fail(err, PR_ENOTFOUND, "node %s is not registered", id);
    read_row(res, out);
    join_topology(pr_cluster_topology(c), find_topology(pr_cluster_topology(c), out), out);
    return PR_OK;
}

enum pr_code duty_member(struct pr_db *db, struct pr_cluster *c, const char *redis_id,
                         struct duty_node *out, struct pr_err *err)
{
    const struct pr_topology *t = pr_cluster_topology(c);
    size_t at = 0;
    while (at < t->nodes && strcmp(t->node[at].id, redis_id) != 0)
        at++;
    if (at == t->nodes)
        return pr_fail(err, PR_ENOTFOUND, "redis node %.8s is not in the cluster", redis_id);
    PGresult *got = NULL;
    enum pr_code rc =
        pr_db_exec(db, ROW "WHERE host = $1 AND port = $2",
                   PR_ARGS(pr_text(t->node[at].host), pr_i64(t->node[at].port)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 1)
        read_row(res, out);
    else {
        *out = (struct duty_node){ .port = t->node[at].port };
        snprintf(out->host, sizeof out->host, "%s", t->node[at].host);
        snprintf(out->id, sizeof out->id, "%.50s:%d", out->host, out->port);
    }
    join_topology(t, (int)at, out);
    return PR_OK;
}

/* --- connections ------------------------------------------------------------------ */

enum pr_code duty_look(const struct rebalance_config *cfg, const char *host, int port,
                       struct pr_redis **conn, struct pr_err *err)
{
    const struct pr_redis_auth auth = { cfg->redis_user[0] == '\0' ? NULL : cfg->redis_user,
                                        cfg->redis_password };
    return pr_redis_open(conn, host, port, &auth, (int)cfg->redis_timeout_ms, err);
}

/* Commands of duties are quick: with a short lease they are given less time, so that
 * there is always enough of it left at some moment between two renewals. */
static int fitting_timeout_ms(const struct rebalance_duty_ctx *ctx)
{
    const int64_t fits = ctx->lease->ttl_ms * 3 / 4 - 1100; /* renewed every quarter */
    const int64_t wanted = ctx->cfg->redis_timeout_ms;
    if (ctx->lease_left_ms == NULL || fits >= wanted)
        return (int)wanted;
    return fits > 100 ? (int)fits : 100;
}

enum pr_code duty_act(const struct rebalance_duty_ctx *ctx, const char *host, int port,
                      struct pr_redis **conn, struct pr_err *err)
{
    const struct pr_redis_auth auth = { ctx->user->name, ctx->user->password };
    const int timeout_ms = fitting_timeout_ms(ctx);
    enum pr_code rc = pr_redis_open(conn, host, port, &auth, timeout_ms, err);
    if (rc != PR_EDENIED)
        return rc;
    PR_AUTO(duty_conn) *own = NULL;
    if ((rc = duty_lease(ctx, timeout_ms, err)) == PR_OK)
        rc = duty_look(ctx->cfg, host, port, &own, err);
    if (rc == PR_OK)
        rc = rebalance_user_make(own, ctx->user, err);
    return rc == PR_OK ? pr_redis_open(conn, host, port, &auth, timeout_ms, err) : rc;
}

enum pr_code duty_ask(struct pr_cluster *c, const char *redis_id, const char *command,
                      redisReply **reply, struct pr_err *err)
{
    enum pr_code rc = PR_EUNAVAIL;
    for (int tries = 0; tries < 2 && rc == PR_EUNAVAIL; tries++) {
        struct pr_redis *conn = NULL;
        rc = pr_cluster_conn(c, redis_id, &conn, err);
        if (rc == PR_OK)
            rc = pr_redis_command(conn, reply, err, command);
        if (rc != PR_OK)
            pr_cluster_drop(c, redis_id);
    }
    if (rc == PR_OK && (*reply)->str == NULL) {
        freeReplyObject(*reply);
        *reply = NULL;
        rc = pr_fail(err, PR_EDATA, "%s answered no text", command);
    }
    return rc == PR_OK ? rc : pr_wrap(err, rc, "node %.8s", redis_id);
}

/* --- waiting and sending ------------------------------------------------------------ */

enum pr_code duty_nap(const struct rebalance_duty_ctx *ctx, int ms, struct pr_err *err)
{
    const int64_t until_us = pr_mono_us() + (int64_t)ms * 1000;
    do {
        if (ctx->stop != NULL && atomic_load(ctx->stop) != 0)
            return pr_fail(err, PR_ECANCELED, "asked to stop");
        if (ctx->tend != NULL)
            ctx->tend(ctx->tend_ctx);
        const struct timespec ts = { 0, (ms < 20 ? ms : 20) * 1000000L };
        (void)nanosleep(&ts, NULL);
    } while (pr_mono_us() < until_us);
    return PR_OK;
}

enum pr_code duty_lease(const struct rebalance_duty_ctx *ctx, int64_t timeout_ms,
                        struct pr_err *err)
{
    while (ctx->lease_left_ms != NULL) {
        const int64_t left_ms = ctx->lease_left_ms(ctx->lease_ctx);
        if (left_ms > timeout_ms)
            break;
        if (left_ms <= 0)
            return pr_fail(err, PR_EFENCED, "lease %s: lost", ctx->lease->name);
        const enum pr_code rc = duty_nap(ctx, 10, err);
        if (rc != PR_OK)
            return rc;
    }
    return PR_OK;
}

enum pr_code duty_send(const struct rebalance_duty_ctx *ctx, struct pr_redis *conn,
                       redisReply **reply, struct pr_err *err, int argc, const char *const *argv)
{
    redisReply *got = NULL;
    const int timeout_ms = fitting_timeout_ms(ctx);
    enum pr_code rc = duty_lease(ctx, timeout_ms, err);
    pr_redis_set_timeout(conn, timeout_ms);
    if (rc == PR_OK)
        rc = pr_redis_append(conn, argc, argv, NULL, err);
    if (rc == PR_OK)
        rc = pr_redis_reply(conn, &got, err);
    if (rc == PR_OK)
        rc = pr_redis_reply_code(got, err);
    if (rc == PR_OK && reply != NULL)
        *reply = got;
    else if (got != NULL)
        freeReplyObject(got);
    return rc;
}

/* --- views --------------------------------------------------------------------------- */

static enum pr_code parse_view(redisReply *got, const char *host, struct pr_arena *arena,
                               struct rebalance_view *out, struct pr_err *err)
{
    PR_AUTO(redisReply) *r = got;
    enum pr_code rc = pr_redis_reply_code(r, err);
    if (rc == PR_OK && r->str == NULL)
        rc = pr_fail(err, PR_EDATA, "CLUSTER NODES answered no text");
    return rc == PR_OK ? rebalance_view_parse(r->str, host, arena, out, err) : rc;
}

enum pr_code duty_view(struct pr_redis *conn, const char *host, struct pr_arena *arena,
                       struct rebalance_view *out, struct pr_err *err)
{
    redisReply *got = NULL;
    const enum pr_code rc = pr_redis_command(conn, &got, err, "CLUSTER NODES");
    return rc == PR_OK ? parse_view(got, host, arena, out, err) : rc;
}

struct asked { /* a member that has not agreed yet */
    char id[PR_NODE_ID], host[PR_HOST];
    int port;
    bool out; /* a question is on its way */
};

struct poll {
    const struct rebalance_duty_ctx *ctx;
    bool (*agrees)(const struct rebalance_view *v, const void *arg);
    const void *arg;
    struct asked *left; /* [n] */
    size_t n;
    struct pr_arena arena;
    struct pr_err last;
};

static enum pr_code list_members(struct poll *p, const char *but, struct pr_err *err)
{
    const struct pr_topology *t = pr_cluster_topology(p->ctx->cluster);
    p->left = calloc(t->nodes + 1, sizeof *p->left);
    if (p->left == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu nodes", t->nodes);
    for (size_t i = 0; i < t->nodes; i++) {
        if (t->node[i].failed || (but != NULL && strcmp(t->node[i].id, but) == 0))
            continue;
        struct asked *a = &p->left[p->n++];
        memcpy(a->id, t->node[i].id, sizeof a->id);
        memcpy(a->host, t->node[i].host, sizeof a->host);
        a->port = t->node[i].port;
    }
    return PR_OK;
}

/* Whom the cluster has called failed since, or has dropped, need not agree. */
static bool excused(const struct poll *p, const struct asked *a)
{
    const struct pr_topology *t = pr_cluster_topology(p->ctx->cluster);
    for (size_t i = 0; i < t->nodes; i++)
        if (strcmp(t->node[i].id, a->id) == 0)
            return t->node[i].failed;
    return true;
}

static void question(struct poll *p, struct asked *a)
{
    static const char *const argv[] = { "CLUSTER", "NODES" };
    struct pr_redis *conn = NULL;
    enum pr_code rc = pr_cluster_conn(p->ctx->cluster, a->id, &conn, &p->last);
    if (rc == PR_OK)
        rc = pr_redis_append(conn, 2, argv, NULL, &p->last);
    if (rc == PR_OK)
        rc = pr_redis_flush(conn, &p->last);
    if (rc != PR_OK)
        pr_cluster_drop(p->ctx->cluster, a->id);
    a->out = rc == PR_OK;
}

static bool answer(struct poll *p, struct asked *a)
{
    struct pr_redis *conn = NULL;
    redisReply *got = NULL;
    if (!a->out)
        return false;
    enum pr_code rc = pr_cluster_conn(p->ctx->cluster, a->id, &conn, &p->last);
    if (rc == PR_OK)
        rc = pr_redis_reply(conn, &got, &p->last);
    if (rc != PR_OK) {
        pr_cluster_drop(p->ctx->cluster, a->id);
        return false;
    }
    pr_arena_reset(&p->arena);
    struct rebalance_view *v = pr_arena_alloc(&p->arena, sizeof *v);
    if (v == NULL) {
        freeReplyObject(got);
        return false;
    }
    return parse_view(got, a->host, &p->arena, v, &p->last) == PR_OK && p->agrees(v, p->arg);
}

/* Asks everybody who has not agreed, many at once; keeps those who do not. Tends to the
 * rest only while no answer is under way: that uses the same connections. */
static enum pr_code ask_round(struct poll *p, struct pr_err *err)
{
    size_t kept = 0;
    for (size_t from = 0; from < p->n; from += FAN_OUT) {
        const enum pr_code rc = duty_nap(p->ctx, 0, err);
        if (rc != PR_OK)
            return rc;
        const size_t to = from + FAN_OUT < p->n ? from + FAN_OUT : p->n;
        for (size_t i = from; i < to; i++)
            question(p, &p->left[i]);
        for (size_t i = from; i < to; i++)
            if (!answer(p, &p->left[i]) && !excused(p, &p->left[i]))
                p->left[kept++] = p->left[i];
    }
    p->n = kept;
    return PR_OK;
}

enum pr_code duty_everyone(const struct rebalance_duty_ctx *ctx, const char *but,
                           bool (*agrees)(const struct rebalance_view *v, const void *arg),
                           const void *arg, int deadline_ms, const char *what, struct pr_err *err)
{
    struct poll p = { .ctx = ctx, .agrees = agrees, .arg = arg };
    const int64_t until_us = pr_mono_us() + (int64_t)deadline_ms * 1000;
    pr_arena_init(&p.arena, 0);
    enum pr_code rc = pr_cluster_refresh(ctx->cluster, err);
    if (rc == PR_OK)
        rc = list_members(&p, but, err);
    for (int round = 0; rc == PR_OK; round++) {
        rc = ask_round(&p, err);
        if (rc != PR_OK || p.n == 0)
            break;
        if (pr_mono_us() > until_us)
            rc = pr_fail(err, PR_ETIMEOUT, "%zu nodes, %s:%d first, do not say yet that %s", p.n,
                         p.left[0].host, p.left[0].port, what);
        else
            rc = duty_nap(ctx, round < 10 ? 20 : 200, err);
        if (rc == PR_OK && round % 10 == 9) /* who has failed meanwhile is excused */
            rc = pr_cluster_refresh(ctx->cluster, err);
    }
    free(p.left);
    pr_arena_done(&p.arena);
    return rc;
}

/* --- replication ---------------------------------------------------------------------- */

const char *duty_info(const char *info, const char *name)
{
    const size_t n = strlen(name);
    for (const char *p = strstr(info, name); p != NULL; p = strstr(p + 1, name))
        if ((p == info || p[-1] == '\n') && p[n] == ':')
            return p + n + 1;
    return NULL;
}

double duty_info_number(const char *info, const char *name)
{
    const char *p = duty_info(info, name);
    return p == NULL ? 0 : strtod(p, NULL);
}

/* "slave0:ip=10.0.0.1,port=7001,state=online,offset=123,lag=0". Behind an address
 * translation the ip is another one, so the port decides. */
static bool listed(const char *info, int port, double *offset)
{
    char want[32];
    snprintf(want, sizeof want, ",port=%d,state=online,", port);
    const char *p = strstr(info, want);
    const char *at = p == NULL ? NULL : strstr(p, "offset=");
    *offset = at == NULL ? 0 : strtod(at + 7, NULL);
    return at != NULL;
}

bool duty_in_step(const struct rebalance_duty_ctx *ctx, const char *primary_id,
                  const char *replica_id, char *why, size_t size)
{
    struct pr_err err = { .text = "" };
    double offset = 0;
    int port = 0;
    const struct pr_topology *t = pr_cluster_topology(ctx->cluster);
    for (size_t i = 0; i < t->nodes; i++)
        if (strcmp(t->node[i].id, replica_id) == 0)
            port = t->node[i].port;
    PR_AUTO(redisReply) *r = NULL;
    PR_AUTO(redisReply) *p = NULL;
    enum pr_code rc = duty_ask(ctx->cluster, replica_id, "INFO replication", &r, &err);
    if (rc == PR_OK)
        rc = duty_ask(ctx->cluster, primary_id, "INFO replication", &p, &err);
    if (rc != PR_OK) {
        snprintf(why, size, "%s", err.text);
        return false;
    }
    const char *role = duty_info(r->str, "role"), *link = duty_info(r->str, "master_link_status");
    if (role == NULL || strncmp(role, "slave", 5) != 0 || link == NULL ||
        strncmp(link, "up", 2) != 0 || duty_info_number(r->str, "master_sync_in_progress") != 0) {
        snprintf(why, size, "the replica's link to its primary is not up%s",
                 duty_info_number(r->str, "master_sync_in_progress") != 0 ? " yet: it copies" : "");
        return false;
    }
    if (!listed(p->str, port, &offset)) {
        snprintf(why, size, "the primary does not list the replica as online");
        return false;
    }
    const double behind = duty_info_number(p->str, "master_repl_offset") - offset;
    snprintf(why, size, "the replica is %.0f bytes behind", behind);
    return behind <= IN_STEP_BYTES;
}
