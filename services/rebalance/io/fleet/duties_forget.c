/* Taking a node out of the cluster. A node that was forgotten is banned for 60 s at
 * each member; whoever was not told within that time would bring it back by gossip. */
#include "io/fleet/duties_private.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdlib.h>
#include <string.h>

enum { FORGET_MS = 50000 };

static enum pr_code unused(const struct rebalance_duty_ctx *ctx, const struct duty_node *n,
                           struct pr_err *err)
{
    const struct pr_topology *t = pr_cluster_topology(ctx->cluster);
    if (n->slots > 0)
        return pr_fail(err, PR_ECONFLICT, "node %s still serves %d slots", n->id, n->slots);
    for (size_t i = 0; i < t->nodes; i++)
        if (strcmp(t->node[i].primary_id, n->redis_id) == 0 && !t->node[i].failed)
            return pr_fail(err, PR_ECONFLICT, "node %s still has a replica: %s:%d", n->id,
                           t->node[i].host, t->node[i].port);
    return PR_OK;
}

/* It forgets the others, so that it serves nobody stale data and does not call. A
 * primary that holds keys refuses: then nothing has been touched. */
static enum pr_code reset(const struct rebalance_duty_ctx *ctx, const struct duty_node *n,
                          struct pr_err *err)
{
    struct pr_err why = { .text = "" };
    struct pr_arena arena;
    PR_AUTO(duty_conn) *look = NULL;
    PR_AUTO(duty_conn) *act = NULL;
    if (duty_look(ctx->cfg, n->host, n->port, &look, &why) != PR_OK) {
        pr_warn(PR_EV("duty.forgets_unreachable"), PR_S("node", n->id), PR_E(&why));
        return PR_OK; /* when it is back it knows the others, and none knows it */
    }
    pr_arena_init(&arena, 0);
    struct rebalance_view *v = pr_arena_alloc(&arena, sizeof *v);
    enum pr_code rc =
        v == NULL ? pr_fail(err, PR_ENOMEM, "a view") : duty_view(look, n->host, &arena, v, err);
    if (rc == PR_OK && strcmp(v->node[v->me].id, n->redis_id) == 0 &&
        (v->nodes > 1 || v->node[v->me].slots > 0)) {
        rc = duty_act(ctx, n->host, n->port, &act, err);
        if (rc == PR_OK)
            rc = DUTY_SEND(ctx, act, err, "CLUSTER", "RESET", "SOFT");
        if (rc == PR_EINVAL)
            rc = PR_ECONFLICT;
    }
    pr_arena_done(&arena);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "node %s", n->id);
}

/* Nor is about to: a handshake that is under way ends in knowing it, forgotten or not. */
static bool knows_not(const struct rebalance_view *v, const void *arg)
{
    const struct duty_node *n = arg;
    for (size_t i = 0; i < v->nodes; i++)
        if (strcmp(v->node[i].id, n->redis_id) == 0 ||
            (v->node[i].handshake && v->node[i].port == n->port &&
             strcmp(v->node[i].host, n->host) == 0))
            return false;
    return true;
}

struct member {
    char id[PR_NODE_ID], host[PR_HOST];
    int port;
};

static enum pr_code tell(const struct rebalance_duty_ctx *ctx, const struct member *m,
                         const char *id, struct pr_err *err)
{
    PR_AUTO(duty_conn) *conn = NULL;
    enum pr_code rc = duty_act(ctx, m->host, m->port, &conn, err);
    if (rc == PR_OK)
        rc = DUTY_SEND(ctx, conn, err, "CLUSTER", "FORGET", id);
    return rc == PR_EINVAL && strstr(err->text, "nknown node") != NULL ? PR_OK : rc;
}

/* Every member alive, one after the other. Who does not answer is tried again by
 * the next round. */
static enum pr_code tell_all(const struct rebalance_duty_ctx *ctx, const char *id,
                             struct pr_err *err)
{
    const struct pr_topology *t = pr_cluster_topology(ctx->cluster);
    struct member *m = calloc(t->nodes + 1, sizeof *m);
    size_t n = 0;
    if (m == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu nodes", t->nodes);
    for (size_t i = 0; i < t->nodes; i++) {
        if (t->node[i].failed || strcmp(t->node[i].id, id) == 0)
            continue;
        memcpy(m[n].id, t->node[i].id, sizeof m[n].id);
        memcpy(m[n].host, t->node[i].host, sizeof m[n].host);
        m[n++].port = t->node[i].port;
    }
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < n && rc == PR_OK; i++) {
        if ((rc = duty_nap(ctx, 0, err)) != PR_OK)
            break;
        rc = tell(ctx, &m[i], id, err);
        if (rc == PR_EUNAVAIL || rc == PR_ETIMEOUT)
            rc = PR_OK;
        if (rc != PR_OK)
            rc = pr_wrap(err, rc, "FORGET at %s:%d", m[i].host, m[i].port);
    }
    free(m);
    return rc;
}

/* Who is down now and comes back knows the node, and may bring it back. */
static void note_absent(const struct rebalance_duty_ctx *ctx, const struct duty_node *n)
{
    const struct pr_topology *t = pr_cluster_topology(ctx->cluster);
    for (size_t i = 0; i < t->nodes; i++)
        if (t->node[i].failed && strcmp(t->node[i].id, n->redis_id) != 0)
            pr_warn(PR_EV("duty.absent_member_remembers"), PR_S("node", n->id),
                    PR_S("absent", t->node[i].host), PR_I("port", t->node[i].port));
}

enum pr_code duty_forget(const struct rebalance_duty_ctx *ctx, const char *node, struct pr_err *err)
{
    struct duty_node n;
    enum pr_code rc = duty_node(ctx->db, ctx->cluster, node, &n, err);
    if (rc != PR_OK || n.redis_id[0] == '\0')
        return rc; /* never was a member */
    rc = unused(ctx, &n, err);
    if (rc == PR_OK)
        rc = reset(ctx, &n, err);
    const int64_t until_us = pr_mono_us() + (int64_t)FORGET_MS * 1000;
    while (rc == PR_OK) {
        rc = tell_all(ctx, n.redis_id, err);
        if (rc == PR_OK)
            rc = duty_everyone(ctx, n.redis_id, knows_not, &n, 2000, "they have forgotten the node",
                               err);
        if (rc == PR_OK)
            break;
        if (rc == PR_ETIMEOUT && pr_mono_us() < until_us)
            rc = duty_nap(ctx, 20, err);
    }
    if (rc == PR_OK)
        note_absent(ctx, &n);
    return rc;
}
