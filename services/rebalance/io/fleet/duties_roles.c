/* Who replicates whom, and who leads a shard. */
#include "io/fleet/duties_private.h"

#include "prism/io/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FOLLOW_MS = 60000, FAILOVER_MS = 30000, MANUAL_MS = 6000, AGREE_MS = 30000 };

/* --- in step --------------------------------------------------------------------- */

struct following {
    const char *replica, *primary;
};

static bool follows(const struct rebalance_view *v, const void *arg)
{
    const struct following *f = arg;
    const struct rebalance_seen *s = rebalance_view_find(v, f->replica);
    return s != NULL && !s->primary && strcmp(s->primary_id, f->primary) == 0;
}

/* Copying a large shard takes its time: the deadline begins when it is over. */
enum pr_code duty_await_follows(const struct rebalance_duty_ctx *ctx,
                                const struct duty_node *replica, const struct duty_node *primary,
                                int deadline_ms, struct pr_err *err)
{
    const struct following f = { replica->redis_id, primary->redis_id };
    int64_t until_us = pr_mono_us() + (int64_t)deadline_ms * 1000;
    char why[200];
    enum pr_code rc = PR_OK;
    while (rc == PR_OK && !duty_in_step(ctx, f.primary, f.replica, why, sizeof why)) {
        if (strstr(why, "it copies") != NULL)
            until_us = pr_mono_us() + (int64_t)deadline_ms * 1000;
        if (pr_mono_us() > until_us)
            return pr_fail(err, PR_ETIMEOUT, "node %s does not follow %s: %s", replica->id,
                           primary->id, why);
        rc = duty_nap(ctx, 20, err);
    }
    return rc == PR_OK ? duty_everyone(ctx, NULL, follows, &f, AGREE_MS,
                                       "the replica follows its new primary", err)
                       : rc;
}

/* --- replicate --------------------------------------------------------------------- */

/* The shard's registered member that leads it now. */
static enum pr_code leader(const struct rebalance_duty_ctx *ctx, const char *shard,
                           struct duty_node *out, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc =
        pr_db_exec(ctx->db, "SELECT id FROM nodes WHERE shard_id = $1 AND state = 'up' ORDER BY id",
                   PR_ARGS(pr_text(shard)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    for (int i = 0; i < PQntuples(res) && rc == PR_OK; i++) {
        rc = duty_node(ctx->db, ctx->cluster, pr_cell(res, i, 0), out, err);
        if (rc == PR_OK && out->member && out->primary && out->slots > 0 && !out->failed)
            return PR_OK;
    }
    return rc == PR_OK ? pr_fail(err, PR_EUNAVAIL, "shard %s has no primary at the moment", shard)
                       : rc;
}

static enum pr_code empty_node(const struct rebalance_duty_ctx *ctx, const struct duty_node *n,
                               struct pr_err *err)
{
    PR_AUTO(redisReply) *info = NULL;
    if (n->slots > 0)
        return pr_fail(err, PR_ECONFLICT, "node %s still serves %d slots", n->id, n->slots);
    enum pr_code rc = duty_ask(ctx->cluster, n->redis_id, "INFO keyspace", &info, err);
    if (rc != PR_OK)
        return rc;
    if (info->str != NULL && strstr(info->str, "keys=") != NULL)
        return pr_fail(
            err, PR_ECONFLICT,
            "node %s holds %ld keys, which nobody serves: a repair plan brings them home", n->id,
            strtol(strstr(info->str, "keys=") + 5, NULL, 10));
    return PR_OK;
}

/* Back from a failure as a primary without slots, because more than one node took
 * over its slots: Redis then lets it follow nobody. So it seems to the node that we
 * asked, which may be cut off from the others: nothing is deleted on its word alone. */
static enum pr_code came_back(const struct rebalance_duty_ctx *ctx, const struct duty_node *n,
                              const struct duty_node *primary, bool *yes, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        ctx->db,
        "SELECT FROM nodes a JOIN nodes b ON a.shard_id = b.shard_id WHERE a.id = $1 AND b.id = $2",
        PR_ARGS(pr_text(n->id), pr_text(primary->id)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    *yes = n->primary && n->slots == 0 && PQntuples(res) > 0;
    return PR_OK;
}

/* Its own word: it serves nothing, and knows who serves instead of it since. Marks of
 * slots that were open when it died are the past too; following closes them. */
static enum pr_code is_replaced(const struct rebalance_view *v, const struct duty_node *n,
                                const struct duty_node *primary, struct pr_err *err)
{
    const struct rebalance_seen *me = &v->node[v->me];
    const struct rebalance_seen *now = rebalance_view_find(v, primary->redis_id);
    if (strcmp(me->id, n->redis_id) != 0)
        return pr_fail(err, PR_EUNAVAIL, "at %s:%d there is another node: %.8s", n->host, n->port,
                       me->id);
    if (!me->primary)
        return pr_fail(err, PR_EUNAVAIL, "it follows somebody already");
    if (me->slots > 0)
        return pr_fail(err, PR_ECONFLICT,
                       "it says that it serves %d slots, the cluster that it serves none: its "
                       "keys are not deleted",
                       me->slots);
    if (now == NULL || now->failed || !now->primary || now->slots == 0)
        return pr_fail(err, PR_EUNAVAIL, "it does not know yet that %s leads its shard",
                       primary->id);
    if (now->config_epoch <= me->config_epoch)
        return pr_fail(err, PR_ECONFLICT,
                       "its epoch %" PRIu64 " is no older than %" PRIu64
                       " of %s: its keys are not deleted",
                       me->config_epoch, now->config_epoch, primary->id);
    return PR_OK;
}

/* The word of the shard's primary: it serves, and not for the other. */
static enum pr_code replaces(const struct rebalance_view *v, const struct duty_node *n,
                             const struct duty_node *primary, struct pr_err *err)
{
    const struct rebalance_seen *me = &v->node[v->me];
    const struct rebalance_seen *other = rebalance_view_find(v, n->redis_id);
    if (strcmp(me->id, primary->redis_id) != 0 || !me->primary || me->slots == 0)
        return pr_fail(err, PR_EUNAVAIL, "primary %s says that it leads no shard", primary->id);
    if (other == NULL)
        return pr_fail(err, PR_EUNAVAIL, "primary %s does not know it", primary->id);
    if (other->slots > 0)
        return pr_fail(err, PR_ECONFLICT,
                       "primary %s says that it serves %d slots: its keys are not deleted",
                       primary->id, other->slots);
    return PR_OK;
}

/* Asks both, the node over the connection that FLUSHALL then takes. */
static enum pr_code may_flush(const struct rebalance_duty_ctx *ctx, struct pr_redis *conn,
                              const struct duty_node *n, const struct duty_node *primary,
                              struct pr_err *err)
{
    PR_AUTO(duty_conn) *there = NULL;
    struct pr_arena arena;
    pr_arena_init(&arena, 0);
    struct rebalance_view *v = pr_arena_alloc(&arena, 2 * sizeof *v);
    enum pr_code rc = v != NULL ? PR_OK : pr_fail(err, PR_ENOMEM, "two views");
    if (rc == PR_OK)
        rc = duty_look(ctx->cfg, primary->host, primary->port, &there, err);
    if (rc == PR_OK)
        rc = duty_view(there, primary->host, &arena, &v[0], err);
    if (rc == PR_OK)
        rc = replaces(&v[0], n, primary, err);
    if (rc == PR_OK)
        rc = duty_view(conn, n->host, &arena, &v[1], err);
    if (rc == PR_OK)
        rc = is_replaced(&v[1], n, primary, err);
    pr_arena_done(&arena);
    return rc;
}

static enum pr_code send_replicate(const struct rebalance_duty_ctx *ctx, const struct duty_node *n,
                                   const struct duty_node *primary, struct pr_err *err)
{
    PR_AUTO(duty_conn) *conn = NULL;
    bool back = false;
    enum pr_code rc = came_back(ctx, n, primary, &back, err);
    if (rc == PR_OK && n->primary) {
        rc = empty_node(ctx, n, err);
        back = back && rc == PR_ECONFLICT; /* it has keys */
        rc = back ? PR_OK : rc;
    }
    if (rc == PR_OK)
        rc = duty_act(ctx, n->host, n->port, &conn, err);
    if (rc == PR_OK && back)
        rc = may_flush(ctx, conn, n, primary, err);
    if (rc == PR_OK && back) /* its keys are the past of its shard's, as a resync sees them */
        rc = DUTY_SEND(ctx, conn, err, "FLUSHALL");
    if (rc == PR_OK)
        rc = DUTY_SEND(ctx, conn, err, "CLUSTER", "REPLICATE", primary->redis_id);
    if (rc == PR_EINVAL && strstr(err->text, "nknown node") != NULL)
        rc = PR_EUNAVAIL; /* it has not heard of it yet */
    return rc == PR_OK ? rc : pr_wrap(err, rc, "node %s", n->id);
}

enum pr_code duty_replicate(const struct rebalance_duty_ctx *ctx, const char *node,
                            const char *shard, const char *src, struct pr_err *err)
{
    struct duty_node n, primary;
    enum pr_code rc = duty_node(ctx->db, ctx->cluster, node, &n, err);
    if (rc == PR_OK)
        rc = shard[0] != '\0' ? leader(ctx, shard, &primary, err)
                              : duty_node(ctx->db, ctx->cluster, src, &primary, err);
    if (rc != PR_OK)
        return rc;
    if (!n.member || n.failed)
        return pr_fail(err, PR_EUNAVAIL, "node %s is not in the cluster, or down", n.id);
    if (!primary.member || primary.failed)
        return pr_fail(err, PR_EUNAVAIL, "primary %s is not in the cluster, or down", primary.id);
    if (!primary.primary)
        return pr_fail(err, PR_ECONFLICT, "node %s is a replica: it can have none", primary.id);
    if (strcmp(n.redis_id, primary.redis_id) == 0)
        return pr_fail(err, PR_ECONFLICT, "node %s is the primary of shard %s", n.id, shard);
    if (n.primary || strcmp(n.primary_id, primary.redis_id) != 0)
        rc = send_replicate(ctx, &n, &primary, err);
    return rc == PR_OK ? duty_await_follows(ctx, &n, &primary, FOLLOW_MS, err) : rc;
}

/* --- failover ------------------------------------------------------------------------- */

struct open_at {
    const char *id;
    int slot; /* out; -1 none */
};

/* Asked of every node: true always, the slot is what it is about. */
static bool note_open(const struct rebalance_view *v, const void *arg)
{
    struct open_at *const *o = arg;
    const bool self = strcmp(v->node[v->me].id, (*o)->id) == 0;
    for (size_t i = 0; i < v->opens; i++)
        if (self || strcmp(v->open[i].other, (*o)->id) == 0)
            (*o)->slot = v->open[i].slot;
    return true;
}

/* A primary that leads with an open slot: its replica knows nothing of it. */
static enum pr_code no_open_slot(const struct rebalance_duty_ctx *ctx,
                                 const struct duty_node *primary, struct pr_err *err)
{
    struct open_at o = { primary->redis_id, -1 }, *p = &o;
    enum pr_code rc =
        duty_everyone(ctx, NULL, note_open, &p, AGREE_MS, "their slots are closed", err);
    if (rc == PR_OK && o.slot >= 0)
        rc = pr_fail(err, PR_ECONFLICT,
                     "slot %d of primary %s is open: no fail-over until it is closed", o.slot,
                     primary->id);
    return rc;
}

/* What the cluster says of it now. Ready: it may take over from *primary. */
static enum pr_code standing(const struct rebalance_duty_ctx *ctx, const char *node,
                             struct duty_node *n, struct duty_node *primary, bool *leads,
                             struct pr_err *err)
{
    enum pr_code rc = pr_cluster_refresh(ctx->cluster, err);
    if (rc == PR_OK)
        rc = duty_node(ctx->db, ctx->cluster, node, n, err);
    if (rc != PR_OK)
        return rc;
    if (!n->member || n->failed)
        return pr_fail(err, PR_EUNAVAIL, "node %s is not in the cluster, or down", n->id);
    *leads = n->primary && n->slots > 0;
    if (*leads)
        return PR_OK;
    if (n->primary) /* or so it seems to a node that has not heard of the latest fail-over */
        return pr_fail(err, PR_EUNAVAIL, "node %s is a primary without slots, not a replica",
                       n->id);
    rc = duty_member(ctx->db, ctx->cluster, n->primary_id, primary, err);
    if (rc == PR_OK && primary->failed)
        rc = pr_fail(err, PR_EUNAVAIL,
                     "primary %s is down: the cluster elects a replica by itself, then we go on",
                     primary->id);
    return rc;
}

static enum pr_code take_over(const struct rebalance_duty_ctx *ctx, const struct duty_node *n,
                              const struct duty_node *primary, struct pr_err *err)
{
    char why[200];
    enum pr_code rc = no_open_slot(ctx, primary, err);
    if (rc != PR_OK)
        return rc;
    if (!duty_in_step(ctx, primary->redis_id, n->redis_id, why, sizeof why))
        return pr_fail(err, PR_EUNAVAIL, "node %s cannot take over yet: %s", n->id, why);
    PR_AUTO(duty_conn) *conn = NULL;
    rc = duty_act(ctx, n->host, n->port, &conn, err);
    if (rc == PR_OK)
        rc = DUTY_SEND(ctx, conn, err, "CLUSTER", "FAILOVER");
    if (rc == PR_EINVAL) /* "You should send CLUSTER FAILOVER to a replica": the next look tells */
        rc = PR_EUNAVAIL;
    if (rc != PR_OK)
        return pr_wrap(err, rc, "node %s", n->id);
    const int64_t until_us = pr_mono_us() + (int64_t)MANUAL_MS * 1000;
    struct duty_node now = { .primary = false };
    while (rc == PR_OK && !(now.primary && now.slots > 0) && pr_mono_us() < until_us) {
        rc = duty_nap(ctx, 20, err);
        if (rc == PR_OK)
            rc = pr_cluster_refresh(ctx->cluster, err);
        if (rc == PR_OK)
            rc = duty_node(ctx->db, ctx->cluster, n->id, &now, err);
    }
    return rc;
}

static bool leads(const struct rebalance_view *v, const void *arg)
{
    const struct rebalance_seen *s = rebalance_view_find(v, arg);
    return s != NULL && s->primary && s->slots > 0;
}

/* The one it took over from belongs to the shard: it follows, in step. */
static enum pr_code settled(const struct rebalance_duty_ctx *ctx, const struct duty_node *n,
                            const struct duty_node *former, struct pr_err *err)
{
    enum pr_code rc =
        duty_everyone(ctx, NULL, leads, n->redis_id, AGREE_MS, "the replica has taken over", err);
    if (rc != PR_OK || former->redis_id[0] == '\0')
        return rc;
    struct duty_node now;
    rc = duty_member(ctx->db, ctx->cluster, former->redis_id, &now, err);
    if (rc == PR_OK && now.failed)
        return PR_OK; /* died meanwhile: it will follow when it is back */
    return rc == PR_OK ? duty_await_follows(ctx, &now, n, FOLLOW_MS, err) : rc;
}

/* Somebody may only not have heard of its role yet: what it says itself does not pass. */
static enum pr_code by_its_own_word(const struct rebalance_duty_ctx *ctx, const struct duty_node *n,
                                    enum pr_code rc, struct pr_err *err)
{
    PR_AUTO(redisReply) *info = NULL;
    if (duty_ask(ctx->cluster, n->redis_id, "INFO replication", &info, NULL) != PR_OK ||
        strstr(info->str, "role:master") == NULL)
        return rc;
    return pr_fail(err, PR_ECONFLICT,
                   "node %s says itself that it is a primary, and it serves no slot: it cannot "
                   "take over before it follows the shard's primary",
                   n->id);
}

enum pr_code duty_failover(const struct rebalance_duty_ctx *ctx, const char *node,
                           const char *shard, struct pr_err *err)
{
    const int64_t until_us = pr_mono_us() + (int64_t)FAILOVER_MS * 1000;
    struct duty_node n = { .id = "" }, primary = { .id = "" };
    for (;;) {
        bool done = false;
        enum pr_code rc = standing(ctx, node, &n, &primary, &done, err);
        if (rc == PR_OK && shard[0] != '\0' && n.shard[0] != '\0' && strcmp(n.shard, shard) != 0)
            return pr_fail(err, PR_ECONFLICT, "node %s belongs to shard %s, not %s", n.id, n.shard,
                           shard);
        if (rc == PR_OK && done)
            return settled(ctx, &n, &primary, err);
        if (rc == PR_OK)
            rc = take_over(ctx, &n, &primary, err);
        if (rc != PR_OK && pr_mono_us() > until_us)
            return n.primary ? by_its_own_word(ctx, &n, rc, err) : rc;
        if (rc != PR_OK && rc != PR_EUNAVAIL && rc != PR_ETIMEOUT)
            return rc;
        if (rc == PR_OK && pr_mono_us() > until_us)
            return pr_fail(err, PR_ETIMEOUT, "node %s did not take over in %d s", n.id,
                           FAILOVER_MS / 1000);
        if ((rc = duty_nap(ctx, 50, err)) != PR_OK)
            return rc;
    }
}
