/* A replica takes its shard over without being elected, where core/takeover.h says so. */
#include "core/takeover.h"

#include "io/executor_private.h"
#include "io/fleet/duties_links.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_US = 2 * 1000 * 1000 };

struct look {
    struct rebalance_executor *e;
    struct rebalance_duty_ctx ctx;
    struct pr_arena arena;
    const struct pr_topology *t;
    bool *dead; /* [t->nodes] serves slots, and failed */
    int64_t newest_ms;
    struct rebalance_takeover_in in;
    struct rebalance_takeover_replica *replica; /* [in.replicas] */
};

/* --- what the cluster says ------------------------------------------------------------ */

static enum pr_code count_primaries(struct look *l, struct pr_err *err)
{
    const struct pr_topology *t = l->t;
    bool *serves = pr_arena_alloc(&l->arena, 2 * (t->nodes + 1));
    if (serves == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu nodes", t->nodes);
    memset(serves, 0, 2 * (t->nodes + 1));
    l->dead = serves + t->nodes + 1;
    for (size_t s = 0; s < PR_COUNT(t->slot_owner); s++)
        if (t->slot_owner[s] >= 0)
            serves[t->slot_owner[s]] = true;
    for (size_t i = 0; i < t->nodes; i++) {
        l->dead[i] = serves[i] && t->node[i].failed;
        l->in.primaries += serves[i];
        l->in.dead += l->dead[i];
        l->newest_ms = t->node[i].pong_ms > l->newest_ms ? t->node[i].pong_ms : l->newest_ms;
    }
    return PR_OK;
}

/* A node's own list says of the dead and of the slots what the one says that we began with. */
static bool agrees(const struct look *l, const struct rebalance_view *v)
{
    for (size_t i = 0; i < l->t->nodes; i++) {
        const struct rebalance_seen *s = rebalance_view_find(v, l->t->node[i].id);
        if (l->dead[i] && (s == NULL || !s->failed))
            return false;
    }
    for (size_t s = 0; s < PR_COUNT(l->t->slot_owner); s++) {
        const int16_t mine = l->t->slot_owner[s], other = v->owner[s];
        if ((mine < 0) != (other < 0) ||
            (mine >= 0 && strcmp(l->t->node[mine].id, v->node[other].id) != 0))
            return false;
    }
    return true;
}

static bool all_agree(struct look *l)
{
    for (size_t i = 0; i < l->t->nodes; i++) {
        redisReply *got = NULL;
        if (l->t->node[i].failed)
            continue;
        if (duty_ask(l->e->cluster, l->t->node[i].id, "CLUSTER NODES", &got, NULL) != PR_OK)
            return false;
        PR_AUTO(redisReply) *r = got;
        struct rebalance_view *v = pr_arena_alloc(&l->arena, sizeof *v);
        if (v == NULL ||
            rebalance_view_parse(r->str, l->t->node[i].host, &l->arena, v, NULL) != PR_OK ||
            !agrees(l, v))
            return false;
    }
    return true;
}

static enum pr_code node_timeout(struct look *l, struct pr_err *err)
{
    for (size_t i = 0; i < l->t->nodes; i++) {
        struct pr_redis *conn = NULL;
        redisReply *got = NULL;
        if (l->t->node[i].failed)
            continue;
        enum pr_code rc = pr_cluster_conn(l->e->cluster, l->t->node[i].id, &conn, err);
        if (rc == PR_OK)
            rc = pr_redis_command(conn, &got, err, "CONFIG GET cluster-node-timeout");
        if (rc != PR_OK)
            return rc;
        PR_AUTO(redisReply) *r = got;
        const int64_t ms = r->elements == 2 ? strtoll(r->element[1]->str, NULL, 10) : 0;
        if (ms <= 0)
            return pr_fail(err, PR_EDATA, "node %.8s tells no cluster-node-timeout",
                           l->t->node[i].id);
        l->in.node_timeout_ms = ms > l->in.node_timeout_ms ? ms : l->in.node_timeout_ms;
    }
    return PR_OK;
}

/* How long the primary of a shard has been known to have failed, all the time; -1: it is not. */
static enum pr_code known_for(const struct look *l, const char *shard, int64_t *ms,
                              struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(l->e->db,
                                 "SELECT (extract(epoch FROM clock_timestamp() - failed_at) * "
                                 "1000)::bigint FROM failovers WHERE shard_id = $1 AND ended_at IS "
                                 "NULL",
                                 PR_ARGS(pr_text(shard)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    *ms = PQntuples(res) > 0 ? pr_cell_i64(res, 0, 0) : -1;
    return PR_OK;
}

/* *sure_ms: for how long both clocks, the asked node's and PostgreSQL's, say that it is silent;
 * *gone_ms: since its last sign of life, which the asked node alone knows. */
static enum pr_code silence(struct look *l, size_t node, const char *shard, int64_t *sure_ms,
                            int64_t *gone_ms, struct pr_err *err)
{
    const int64_t pong_ms = l->t->node[node].pong_ms;
    enum pr_code rc = known_for(l, shard, sure_ms, err);
    *gone_ms = pong_ms > 0 ? l->newest_ms - pong_ms : 0;
    *sure_ms = *gone_ms < *sure_ms ? *gone_ms : *sure_ms;
    return rc;
}

static void hear(struct look *l, size_t node, struct rebalance_takeover_replica *r)
{
    redisReply *got = NULL;
    if (duty_ask(l->e->cluster, l->t->node[node].id, "INFO replication", &got, NULL) != PR_OK)
        return;
    PR_AUTO(redisReply) *info = got;
    const char *role = duty_info(info->str, "role"),
               *link = duty_info(info->str, "master_link_status");
    r->answers = role != NULL && strncmp(role, "slave", 5) == 0 && link != NULL;
    if (!r->answers)
        return;
    r->loading = duty_info_number(info->str, "master_sync_in_progress") != 0;
    r->offset = (uint64_t)duty_info_number(info->str, "slave_repl_offset");
    if (strncmp(link, "up", 2) != 0)
        r->link_down_ms =
            (int64_t)duty_info_number(info->str, "master_link_down_since_seconds") * 1000;
}

static enum pr_code list_replicas(struct look *l, struct pr_err *err)
{
    l->replica = pr_arena_alloc(&l->arena, (l->t->nodes + 1) * sizeof *l->replica);
    if (l->replica == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu nodes", l->t->nodes);
    l->in.replica = l->replica;
    l->in.silent_ms = INT64_MAX;
    for (size_t p = 0; p < l->t->nodes; p++) {
        struct duty_node primary, n;
        int64_t sure_ms = 0, gone_ms = 0;
        if (!l->dead[p])
            continue;
        enum pr_code rc = duty_member(l->e->db, l->e->cluster, l->t->node[p].id, &primary, err);
        if (rc == PR_OK)
            rc = silence(l, p, primary.shard, &sure_ms, &gone_ms, err);
        l->in.silent_ms = sure_ms < l->in.silent_ms ? sure_ms : l->in.silent_ms;
        for (size_t i = 0; i < l->t->nodes && rc == PR_OK; i++) {
            if (l->t->node[i].failed || strcmp(l->t->node[i].primary_id, l->t->node[p].id) != 0)
                continue;
            rc = duty_member(l->e->db, l->e->cluster, l->t->node[i].id, &n, err);
            if (rc != PR_OK)
                break;
            struct rebalance_takeover_replica *r = &l->replica[l->in.replicas++];
            *r = (struct rebalance_takeover_replica){ .node = pr_arena_strdup(&l->arena, n.id),
                                                      .shard =
                                                          pr_arena_strdup(&l->arena, primary.shard),
                                                      .silent_ms = gone_ms };
            if (r->node == NULL || r->shard == NULL)
                rc = pr_fail(err, PR_ENOMEM, "%zu nodes", l->t->nodes);
            else
                hear(l, i, r);
        }
        if (rc != PR_OK)
            return rc;
    }
    return PR_OK;
}

/* --- acting ------------------------------------------------------------------------------- */

static enum pr_code intend(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct look *l = ((void *const *)ctx)[0];
    const struct rebalance_takeover *v = ((void *const *)ctx)[1];
    PGresult *got = NULL;
    enum pr_code rc = pr_lease_check(db, &l->e->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "UPDATE failovers SET forced = true WHERE shard_id = $1 AND ended_at IS "
                        "NULL AND NOT EXISTS (SELECT FROM policies WHERE name = 'rebalance' AND "
                        "halted) RETURNING id",
                        PR_ARGS(pr_text(v->shard)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    return PQntuples(res) == 1 ? PR_OK
                               : pr_fail(err, PR_ECANCELED,
                                         "everything was told to stop, or shard "
                                         "%s has its primary again",
                                         v->shard);
}

static enum pr_code act(struct look *l, struct rebalance_takeover *v, struct pr_err *err)
{
    PR_AUTO(duty_conn) *conn = NULL;
    struct duty_node n;
    void *both[] = { l, v };
    enum pr_code rc = duty_node(l->e->db, l->e->cluster, v->node, &n, err);
    if (rc == PR_OK)
        rc = duty_act(&l->ctx, n.host, n.port, &conn, err);
    if (rc == PR_OK)
        rc = pr_db_tx(l->e->db, intend, both, err);
    if (rc != PR_OK)
        return rc;
    pr_warn(PR_EV("takeover.ordered"), PR_S("shard", v->shard), PR_S("node", v->node),
            PR_S("why", v->why));
    pr_metrics_add(l->e->o.metrics, M_TAKEOVERS, NULL, 1);
    return DUTY_SEND(&l->ctx, conn, err, "CLUSTER", "FAILOVER", "TAKEOVER");
}

static enum pr_code look(struct look *l, struct rebalance_takeover *v, struct pr_err *err)
{
    enum pr_code rc = rebalance_connect(l->e, err);
    if (rc == PR_OK)
        rc = pr_cluster_refresh(l->e->cluster, err);
    if (rc != PR_OK)
        return rc;
    l->ctx.cluster = l->e->cluster;
    l->t = pr_cluster_topology(l->e->cluster);
    rc = count_primaries(l, err);
    if (rc != PR_OK)
        return rc;
    rebalance_takeover_judge(&l->in, v);
    if (v->what == REBALANCE_TAKEOVER_NEEDLESS)
        return PR_OK;
    l->in.agreed = all_agree(l);
    rc = node_timeout(l, err);
    if (rc == PR_OK)
        rc = list_replicas(l, err);
    if (rc == PR_OK)
        rebalance_takeover_judge(&l->in, v);
    return rc == PR_OK && v->what == REBALANCE_TAKEOVER_NOW ? act(l, v, err) : rc;
}

void rebalance_takeover_tend(struct rebalance_executor *e)
{
    const int64_t now_us = pr_mono_us();
    struct rebalance_takeover v = { .what = REBALANCE_TAKEOVER_NEEDLESS };
    struct pr_err err = { .text = "" };
    if (!e->o.cfg->takeover || now_us < e->next_takeover_us || !rebalance_executor_lives(e))
        return;
    struct look l = { .e = e,
                      .ctx = { .cfg = e->o.cfg,
                               .db = e->db,
                               .user = &e->user[REBALANCE_USER_FLEET],
                               .lease = &e->lease,
                               .lease_left_ms = rebalance_lease_left_ms,
                               .lease_ctx = e } };
    pr_arena_init(&l.arena, 0);
    const enum pr_code rc = look(&l, &v, &err);
    const char *say = rc != PR_OK ? err.text : v.what == REBALANCE_TAKEOVER_NEEDLESS ? "" : v.why;
    if (strcmp(say, e->takeover_said) != 0 && say[0] != '\0')
        pr_warn(PR_EV("takeover.looked_at"), PR_S("why", say));
    snprintf(e->takeover_said, sizeof e->takeover_said, "%.199s", say);
    pr_arena_done(&l.arena);
    e->next_takeover_us = pr_mono_us() + LOOK_US;
}
