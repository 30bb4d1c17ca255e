/* Taking a node into the cluster. */
#include "io/fleet/duties_private.h"

#include "prism/dp/library.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <string.h>

enum { MEET_MS = 90000, MEET_AGAIN_MS = 2000, MEET_AT_ONCE = 64 };

struct newcomer {
    const struct rebalance_duty_ctx *ctx;
    struct duty_node node;
    struct pr_redis *look, *act;
    char id[PR_NODE_ID];
    int bus_port;
    bool replica;
    struct pr_arena arena;
};

static bool in_topology(const struct pr_topology *t, const char *id)
{
    for (size_t i = 0; i < t->nodes; i++)
        if (strcmp(t->node[i].id, id) == 0)
            return true;
    return false;
}

/* Introducing a node that knows others would merge two clusters. */
static enum pr_code study(struct newcomer *n, struct pr_err *err)
{
    const struct pr_topology *t = pr_cluster_topology(n->ctx->cluster);
    struct rebalance_view *v = pr_arena_alloc(&n->arena, sizeof *v);
    if (v == NULL)
        return pr_fail(err, PR_ENOMEM, "a view");
    enum pr_code rc = duty_view(n->look, n->node.host, &n->arena, v, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "node %s", n->node.id);
    const struct rebalance_seen *me = &v->node[v->me];
    memcpy(n->id, me->id, sizeof n->id);
    n->bus_port = me->bus_port;
    n->replica = !me->primary;
    if (in_topology(t, n->id))
        return PR_OK;
    for (size_t i = 0; i < v->nodes; i++)
        if (!v->node[i].myself && !v->node[i].handshake && !in_topology(t, v->node[i].id))
            return pr_fail(err, PR_ECONFLICT,
                           "node %s belongs to another cluster: it knows %s:%d (CLUSTER RESET it "
                           "first)",
                           n->node.id, v->node[i].host, v->node[i].port);
    if (me->slots > 0)
        return pr_fail(err, PR_ECONFLICT, "node %s owns %d slots already", n->node.id, me->slots);
    PR_AUTO(redisReply) *info = NULL;
    rc = pr_redis_command(n->look, &info, err, "INFO keyspace");
    if (rc != PR_OK)
        return pr_wrap(err, rc, "node %s", n->node.id);
    if (info->str != NULL && strstr(info->str, "keys=") != NULL)
        return pr_fail(err, PR_ECONFLICT, "node %s holds keys already (%.40s)", n->node.id,
                       strchr(info->str, '\n') != NULL ? strchr(info->str, '\n') + 1 : info->str);
    return PR_OK;
}

static enum pr_code set(struct newcomer *n, const char *name, const char *value, struct pr_err *err)
{
    PR_AUTO(redisReply) *r = NULL;
    enum pr_code rc = pr_redis_command(n->act, &r, err, "CONFIG GET %s", name);
    if (rc == PR_OK && r->elements == 2 && strcmp(r->element[1]->str, value) == 0)
        return PR_OK;
    if (rc == PR_OK)
        rc = DUTY_SEND(n->ctx, n->act, err, "CONFIG", "SET", name, value);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "node %s: %s", n->node.id, name);
    /* So that it is so after a restart; a node without a file of its own cannot. */
    struct pr_err why = { .text = "" };
    rc = DUTY_SEND(n->ctx, n->act, &why, "CONFIG", "REWRITE");
    if (rc == PR_EFENCED || rc == PR_ECANCELED)
        return pr_fail(err, rc, "%s", why.text);
    if (rc != PR_OK)
        pr_warn(PR_EV("duty.setting_not_kept"), PR_S("node", n->node.id), PR_S("setting", name),
                PR_E(&why));
    return PR_OK;
}

static enum pr_code load_library(struct newcomer *n, struct pr_err *err)
{
    static const char *const list[] = { "FUNCTION", "LIST", "LIBRARYNAME", "prism", "WITHCODE" };
    if (n->replica)
        return PR_OK; /* it has its primary's */
    PR_AUTO(redisReply) *r = NULL;
    enum pr_code rc = duty_send(n->ctx, n->act, &r, err, 5, list);
    bool same = false;
    if (rc == PR_OK && r->elements == 1)
        for (size_t i = 0; i + 1 < r->element[0]->elements; i += 2)
            same = same || (strcmp(r->element[0]->element[i]->str, "library_code") == 0 &&
                            strcmp(r->element[0]->element[i + 1]->str, pr_library_code) == 0);
    if (rc == PR_OK && !same)
        rc = DUTY_SEND(n->ctx, n->act, err, "FUNCTION", "LOAD", "REPLACE", pr_library_code);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "node %s: library prism", n->node.id);
}

struct host {
    char name[PR_HOST], id[PR_NODE_ID];
    int port;
};

static enum pr_code introduce_at(struct newcomer *n, const struct host *member, struct pr_err *err)
{
    char port[16], bus[16];
    snprintf(port, sizeof port, "%d", n->node.port);
    snprintf(bus, sizeof bus, "%d", n->bus_port != 0 ? n->bus_port : n->node.port + 10000);
    PR_AUTO(duty_conn) *conn = NULL;
    enum pr_code rc = duty_act(n->ctx, member->name, member->port, &conn, err);
    if (rc == PR_OK)
        rc = DUTY_SEND(n->ctx, conn, err, "CLUSTER", "MEET", n->node.host, port, bus);
    return rc == PR_OK ? rc
                       : pr_wrap(err, rc, "MEET of node %s at %s:%d", n->node.id, member->name,
                                 member->port);
}

static bool knows(const struct rebalance_view *v, const void *arg);

static bool has_met(struct newcomer *n, const struct host *h)
{
    struct pr_redis *conn = NULL;
    struct rebalance_view *v = pr_arena_alloc(&n->arena, sizeof *v);
    return v != NULL && pr_cluster_conn(n->ctx->cluster, h->id, &conn, NULL) == PR_OK &&
           duty_view(conn, h->name, &n->arena, v, NULL) == PR_OK && knows(v, n->id);
}

/* At first by one primary: gossip does the rest. Then by everybody who has not met it
 * yet: who forgot it within the last minute takes no gossip about it. */
static enum pr_code introduce(struct newcomer *n, bool first, struct pr_err *err)
{
    const struct pr_topology *t = pr_cluster_topology(n->ctx->cluster);
    struct host *h = pr_arena_alloc(&n->arena, (t->nodes + 1) * sizeof *h);
    size_t alive = 0, told = 0;
    if (h == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu nodes", t->nodes);
    for (size_t i = 0; i < t->nodes; i++) {
        if (t->node[i].failed || (first && !t->node[i].primary) ||
            strcmp(t->node[i].id, n->id) == 0)
            continue;
        memcpy(h[alive].name, t->node[i].host, sizeof h[alive].name);
        memcpy(h[alive].id, t->node[i].id, sizeof h[alive].id);
        h[alive++].port = t->node[i].port;
    }
    enum pr_code rc = alive > 0 ? PR_OK : pr_fail(err, PR_EUNAVAIL, "no primary is alive");
    for (size_t i = 0; i < alive && rc == PR_OK && told < (first ? 1 : MEET_AT_ONCE); i++) {
        if ((rc = duty_nap(n->ctx, 0, err)) != PR_OK)
            break;
        if (!first && has_met(n, &h[i]))
            continue;
        told++;
        rc = introduce_at(n, &h[i], err);
    }
    return rc;
}

static bool knows(const struct rebalance_view *v, const void *arg)
{
    const struct rebalance_seen *s = rebalance_view_find(v, arg);
    return s != NULL && !s->handshake && s->host[0] != '\0';
}

/* The newcomer has to know everybody, too, and who serves what: until then it
 * answers that the cluster is down. */
static enum pr_code knows_all(struct newcomer *n, bool *all, struct pr_err *err)
{
    const struct pr_topology *t = pr_cluster_topology(n->ctx->cluster);
    struct rebalance_view *v = pr_arena_alloc(&n->arena, sizeof *v);
    if (v == NULL)
        return pr_fail(err, PR_ENOMEM, "a view");
    enum pr_code rc = duty_view(n->look, n->node.host, &n->arena, v, err);
    *all = true;
    for (size_t i = 0; rc == PR_OK && i < t->nodes; i++)
        if (!t->node[i].failed && !knows(v, t->node[i].id))
            *all = false;
    for (int s = 0; rc == PR_OK && s < REBALANCE_SLOTS; s++)
        if (t->slot_owner[s] >= 0 && v->owner[s] < 0)
            *all = false;
    return rc;
}

static enum pr_code meet(struct newcomer *n, struct pr_err *err)
{
    const int64_t until_us = pr_mono_us() + (int64_t)MEET_MS * 1000;
    enum pr_code rc = PR_OK;
    for (int turn = 0; rc == PR_OK; turn++) {
        bool all = false;
        rc = pr_cluster_refresh(n->ctx->cluster, err);
        if (rc == PR_OK)
            rc = knows_all(n, &all, err);
        if (rc != PR_OK)
            break;
        if (turn > 0 || !all || !in_topology(pr_cluster_topology(n->ctx->cluster), n->id))
            rc = introduce(n, turn == 0, err);
        if (rc == PR_OK)
            rc = duty_everyone(n->ctx, n->id, knows, n->id, MEET_AGAIN_MS, "they know the new node",
                               err);
        if (rc == PR_OK && (rc = knows_all(n, &all, err)) == PR_OK && all)
            return PR_OK;
        if (rc == PR_ETIMEOUT && pr_mono_us() < until_us)
            rc = PR_OK;
        if (rc == PR_OK)
            rc = duty_nap(n->ctx, 50, err);
        pr_arena_reset(&n->arena);
        if (rc == PR_OK && pr_mono_us() > until_us)
            rc = pr_fail(err, PR_ETIMEOUT, "node %s does not know every member after %d s",
                         n->node.id, MEET_MS / 1000);
    }
    return rc;
}

enum pr_code duty_meet(const struct rebalance_duty_ctx *ctx, const char *node, struct pr_err *err)
{
    struct newcomer n = { .ctx = ctx };
    pr_arena_init(&n.arena, 0);
    enum pr_code rc = duty_node(ctx->db, ctx->cluster, node, &n.node, err);
    if (rc == PR_OK)
        rc = duty_look(ctx->cfg, n.node.host, n.node.port, &n.look, err);
    if (rc == PR_OK)
        rc = study(&n, err);
    if (rc == PR_OK)
        rc = duty_lease(ctx, ctx->cfg->redis_timeout_ms, err);
    if (rc == PR_OK) /* also one of an older epoch goes */
        rc = rebalance_user_make(n.look, ctx->user, err);
    if (rc == PR_OK)
        rc = duty_act(ctx, n.node.host, n.node.port, &n.act, err);
    if (rc == PR_OK)
        rc = set(&n, "cluster-require-full-coverage", "no", err);
    if (rc == PR_OK)
        rc = set(&n, "cluster-allow-replica-migration", "no", err);
    if (rc == PR_OK)
        rc = load_library(&n, err);
    if (rc == PR_OK)
        rc = meet(&n, err);
    pr_redis_close(n.look);
    pr_redis_close(n.act);
    pr_arena_done(&n.arena);
    return rc;
}
