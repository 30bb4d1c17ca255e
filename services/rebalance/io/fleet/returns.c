#include "io/fleet/returns.h"

#include "prism/io/log.h"

enum pr_code rebalance_returns_look(struct pr_db *db, int64_t most_a_day, const char *only,
                                    struct pr_arena *arena, struct rebalance_returned **out,
                                    size_t *n, struct pr_err *err)
{
    PGresult *got = NULL;
    *n = 0;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT n.id, s.id, count(r.at), "
        "count(r.at) FILTER (WHERE r.follows OR p.state = 'done'), "
        /* not below 0: the database's clock may have been set back since */
        "CASE WHEN count(r.at) = 0 THEN -1 "
        "ELSE greatest(extract(epoch FROM now() - max(r.at)), 0) * 1000 END, "
        "CASE WHEN count(r.at) FILTER (WHERE r.follows OR p.state = 'done') = 0 THEN -1 "
        "ELSE greatest(extract(epoch FROM now() - min(r.at) FILTER (WHERE r.follows OR "
        "p.state = 'done')), 0) * 1000 END "
        "FROM nodes n JOIN shards s ON s.id = n.shard_id "
        "LEFT JOIN node_returns r ON r.node_id = n.id AND r.at > now() - interval '1 day' "
        "LEFT JOIN plans p ON p.id = r.plan_id "
        "WHERE n.state = 'up' AND n.role = 'primary' AND n.slots = 0 AND s.primary_id <> n.id "
        "AND ($1::text IS NULL OR n.id = $1) GROUP BY n.id, s.id ORDER BY n.id",
        PR_ARGS(pr_text(only)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    const size_t rows = (size_t)PQntuples(res);
    *out = pr_arena_alloc(arena, (rows + 1) * sizeof **out);
    if (*out == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu nodes that came back", rows);
    for (; *n < rows; ++*n) {
        const int i = (int)*n;
        struct rebalance_returned *r = &(*out)[i];
        r->node = pr_arena_strdup(arena, pr_cell(res, i, 0));
        r->shard = pr_arena_strdup(arena, pr_cell(res, i, 1));
        if (r->node == NULL || r->shard == NULL)
            return pr_fail(err, PR_ENOMEM, "%zu nodes that came back", rows);
        const struct rebalance_return in = { .node = r->node,
                                             .tries = (unsigned)pr_cell_i64(res, i, 2),
                                             .returns = (unsigned)pr_cell_i64(res, i, 3),
                                             .last_try_ms = (int64_t)pr_cell_real(res, i, 4),
                                             .oldest_ms = (int64_t)pr_cell_real(res, i, 5) };
        rebalance_return_judge(&in, most_a_day, &r->may);
    }
    return PR_OK;
}

/* A try without a plan of its own. Old rows go. */
static void note(struct pr_db *db, const char *node, bool follows)
{
    struct pr_err err = { 0 };
    if (pr_db_exec(db,
                   "WITH old AS (DELETE FROM node_returns WHERE at < now() - interval '2 days') "
                   "INSERT INTO node_returns (node_id, follows) VALUES ($1, $2)",
                   PR_ARGS(pr_text(node), pr_bool(follows)), NULL, &err) != PR_OK)
        pr_warn(PR_EV("node.return_not_noted"), PR_S("node", node), PR_E(&err));
}

void rebalance_returns_take(const struct rebalance_duty_ctx *ctx)
{
    struct rebalance_returned *r = NULL;
    struct pr_arena arena;
    struct pr_err err = { 0 };
    size_t n = 0;
    pr_arena_init(&arena, 0);
    if (rebalance_returns_look(ctx->db, ctx->cfg->take_backs_a_day, NULL, &arena, &r, &n, &err) !=
        PR_OK)
        n = 0; /* again in a moment */
    for (size_t i = 0; i < n; i++) {
        if (r[i].may.what != REBALANCE_RETURN_NOW)
            continue;
        const enum pr_code rc = rebalance_duty_follow(ctx, r[i].node, r[i].shard, &err);
        pr_info(PR_EV("node.taken_back"), PR_S("node", r[i].node), PR_S("shard", r[i].shard),
                PR_S("code", pr_code_name(rc)), PR_S("why", rc == PR_OK ? "" : err.text));
        note(ctx->db, r[i].node, rc == PR_OK);
    }
    pr_arena_done(&arena);
}
