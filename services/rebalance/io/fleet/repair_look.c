#include "io/fleet/facts_counts.h"
#include "io/fleet/repair_private.h"
#include "io/slot/rows.h"

#include <string.h>

static void close_all(struct repair *r)
{
    for (size_t i = 0; i < r->n; i++)
        pr_redis_close(r->p[i].act);
    r->n = 0;
}

void repair_done(struct repair *r)
{
    close_all(r);
    pr_arena_done(&r->arena);
}

static enum pr_code allocate(struct repair *r, size_t nodes, struct pr_err *err)
{
    r->p = pr_arena_alloc(&r->arena, (nodes + 1) * sizeof *r->p);
    r->w = pr_arena_alloc(&r->arena, (nodes + 1) * sizeof *r->w);
    r->side = pr_arena_alloc(&r->arena, (nodes + 1) * sizeof *r->side);
    if (r->p == NULL || r->w == NULL || r->side == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu nodes", nodes);
    return PR_OK;
}

static enum pr_code add(struct repair *r, const struct pr_node *n, struct pr_err *err)
{
    struct repair_primary *p = &r->p[r->n];
    struct pr_redis *conn = NULL;
    *p = (struct repair_primary){ .port = n->port };
    memcpy(p->id, n->id, sizeof p->id);
    memcpy(p->host, n->host, sizeof p->host);
    p->view = pr_arena_alloc(&r->arena, sizeof *p->view);
    p->keys = pr_arena_alloc(&r->arena, REBALANCE_SLOTS * sizeof *p->keys);
    if (p->view == NULL || p->keys == NULL)
        return pr_fail(err, PR_ENOMEM, "the view of a node");
    enum pr_code rc = pr_cluster_conn(r->ctx->cluster, p->id, &conn, err);
    if (rc == PR_OK)
        rc = duty_view(conn, p->host, &r->arena, p->view, err);
    if (rc != PR_OK) {
        pr_cluster_drop(r->ctx->cluster, n->id);
        return pr_wrap(err, rc, "node %s:%d", n->host, n->port);
    }
    if (p->view->node[p->view->me].primary) /* by its own word */
        r->n++;
    return PR_OK;
}

enum pr_code repair_look(struct repair *r, const uint8_t *slots, struct pr_err *err)
{
    close_all(r);
    pr_arena_reset(&r->arena);
    enum pr_code rc = pr_cluster_refresh(r->ctx->cluster, err);
    if (rc != PR_OK)
        return rc;
    const struct pr_topology *t = pr_cluster_topology(r->ctx->cluster);
    if ((rc = allocate(r, t->nodes, err)) != PR_OK)
        return rc;
    for (size_t i = 0; i < t->nodes && rc == PR_OK; i++)
        if (t->node[i].primary && !t->node[i].failed)
            rc = add(r, &t->node[i], err);
    if (rc != PR_OK)
        return rc;
    struct counted *k = pr_arena_alloc(&r->arena, (r->n + 1) * sizeof *k);
    if (k == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu nodes", r->n);
    for (size_t i = 0; i < r->n; i++) {
        k[i] = (struct counted){ r->p[i].id, slots, r->p[i].keys };
        r->w[i] = (struct rebalance_witness){ r->p[i].view, r->p[i].keys };
    }
    return facts_count_keys(r->ctx->cluster, k, r->n, err);
}

enum pr_code repair_busy(const struct repair *r, uint8_t busy[2048], struct pr_err *err)
{
    PGresult *got = NULL;
    memset(busy, 0, 2048);
    enum pr_code rc =
        pr_db_exec(r->ctx->db,
                   "SELECT DISTINCT s.slot FROM steps s JOIN plans p ON p.id = s.plan_id "
                   "WHERE s.kind = 'slot' AND s.state IN " REBALANCE_SLOT_OPEN_STATES " "
                   "AND p.state NOT IN ('done', 'failed', 'canceled')",
                   NULL, 0, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    for (int i = 0; i < PQntuples(res); i++) {
        const unsigned s = (unsigned)pr_cell_i64(res, i, 0);
        busy[s / 8] = (uint8_t)(busy[s / 8] | 1u << (s % 8));
    }
    return PR_OK;
}

void repair_cut(struct repair_primary *p)
{
    pr_redis_close(p->act);
    p->act = NULL;
}

enum pr_code repair_conn(struct repair *r, struct repair_primary *p, struct pr_redis **conn,
                         struct pr_err *err)
{
    if (p->act != NULL && pr_redis_broken(p->act))
        repair_cut(p);
    enum pr_code rc = p->act != NULL ? PR_OK : duty_act(r->ctx, p->host, p->port, &p->act, err);
    *conn = p->act;
    return rc == PR_OK ? rc : pr_wrap(err, rc, "node %s:%d", p->host, p->port);
}
