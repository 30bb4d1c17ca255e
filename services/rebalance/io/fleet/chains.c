/* A replica that follows a replica is told to follow its shard's primary. */
#include "core/chains.h"

#include "io/executor_private.h"
#include "io/fleet/duties_links.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <string.h>

/* LASTS_US: after a fail-over every replica stands so for a moment. */
enum { LOOK_US = 2 * 1000 * 1000, LASTS_US = 5 * 1000 * 1000 };

static enum pr_code chained(const struct pr_topology *t, size_t *node, size_t *head,
                            struct pr_err *err)
{
    struct pr_arena arena;
    enum pr_code rc = PR_OK;
    pr_arena_init(&arena, 0);
    struct rebalance_follower *member = pr_arena_alloc(&arena, (t->nodes + 1) * sizeof *member);
    if (member == NULL)
        rc = pr_fail(err, PR_ENOMEM, "%zu nodes", t->nodes);
    for (size_t i = 0; i < t->nodes && rc == PR_OK; i++)
        member[i] = (struct rebalance_follower){ .id = t->node[i].id,
                                                 .follows = t->node[i].primary_id,
                                                 .primary = t->node[i].primary,
                                                 .failed = t->node[i].failed };
    for (size_t s = 0; s < PR_COUNT(t->slot_owner) && rc == PR_OK; s++)
        if (t->slot_owner[s] >= 0)
            member[t->slot_owner[s]].serves = true;
    if (rc == PR_OK)
        *node = rebalance_chained(member, t->nodes, head);
    pr_arena_done(&arena);
    return rc;
}

static enum pr_code halted(struct pr_db *db, bool *out, struct pr_err *err)
{
    PGresult *got = NULL;
    const enum pr_code rc = pr_db_exec(
        db, "SELECT FROM policies WHERE name = 'rebalance' AND halted", NULL, 0, &got, err);
    PR_AUTO(PGresult) *res = got;
    *out = rc == PR_OK && PQntuples(res) > 0;
    return rc;
}

static enum pr_code follow(struct rebalance_executor *e, const struct pr_node *node,
                           const struct pr_node *head, struct pr_err *err)
{
    const struct rebalance_duty_ctx ctx = { .cfg = e->o.cfg,
                                            .db = e->db,
                                            .cluster = e->cluster,
                                            .user = &e->user[REBALANCE_USER_FLEET],
                                            .lease = &e->lease,
                                            .lease_left_ms = rebalance_lease_left_ms,
                                            .lease_ctx = e };
    PR_AUTO(duty_conn) *conn = NULL;
    bool no = false;
    enum pr_code rc = halted(e->db, &no, err);
    if (rc != PR_OK || no)
        return rc;
    rc = duty_act(&ctx, node->host, node->port, &conn, err);
    if (rc == PR_OK)
        rc = DUTY_SEND(&ctx, conn, err, "CLUSTER", "REPLICATE", head->id);
    pr_info(PR_EV("node.chain_mended"), PR_S("node", node->id), PR_S("primary", head->id),
            PR_S("code", pr_code_name(rc)), PR_S("why", rc == PR_OK ? "" : err->text));
    return rc;
}

static enum pr_code look(struct rebalance_executor *e, struct pr_err *err)
{
    size_t node = 0, head = 0;
    enum pr_code rc = rebalance_connect(e, err);
    if (rc == PR_OK)
        rc = pr_cluster_refresh(e->cluster, err);
    if (rc != PR_OK)
        return rc;
    const struct pr_topology *t = pr_cluster_topology(e->cluster);
    rc = chained(t, &node, &head, err);
    const char *id = rc == PR_OK && node < t->nodes ? t->node[node].id : "";
    if (strcmp(id, e->chained) != 0) {
        snprintf(e->chained, sizeof e->chained, "%s", id);
        e->chained_since_us = pr_mono_us();
    }
    if (rc != PR_OK || id[0] == '\0' || pr_mono_us() - e->chained_since_us < LASTS_US)
        return rc;
    e->chained[0] = '\0'; /* once; it is looked at again */
    return follow(e, &t->node[node], &t->node[head], err);
}

void rebalance_chains_tend(struct rebalance_executor *e)
{
    struct pr_err err = { 0 };
    if (pr_mono_us() < e->next_chains_us || !rebalance_executor_lives(e))
        return;
    if (look(e, &err) != PR_OK)
        pr_debug(PR_EV("chains.not_looked_at"), PR_E(&err));
    e->next_chains_us = pr_mono_us() + LOOK_US;
}
