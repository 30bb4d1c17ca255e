/* Replicas that were lost with a zone which stays away: who stands in for them. */
#include "core/zones.h"
#include "io/executor_private.h"
#include "io/topology_rows.h"

/* A plan for it may fail, and is not made again and again. */
static const char WANTED_SQL[] =
    "SELECT coalesce(bool_or(begun), false), count(*) FILTER (WHERE NOT begun), coalesce("
    "(extract(epoch FROM now() - max(created_at)) * 1000)::bigint, 0) FROM (SELECT created_at, "
    "started_at IS NOT NULL OR state <> 'failed' AS begun FROM plans WHERE created_by = 'policy "
    "rebalance' AND goal->>'kind' = 'join' AND created_at > now() - $2 * interval '1 ms') made "
    "HAVING EXISTS (SELECT FROM zone_incidents WHERE ended_at IS NULL AND back_at IS NULL AND "
    "failed_at < now() - $1 * interval '1 s')";

static enum pr_code is_wanted(struct rebalance_executor *e, bool *wanted, struct pr_err *err)
{
    PGresult *got = NULL;
    const enum pr_code rc = pr_db_exec(
        e->db, WANTED_SQL, PR_ARGS(pr_i64(e->o.cfg->zone_grace_s), pr_i64(REBALANCE_STAND_IN_MS)),
        &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    *wanted = false;
    if (PQntuples(res) == 0)
        return PR_OK;
    const struct rebalance_stand_ins made = { .begun = pr_cell_bool(res, 0, 0),
                                              .refused = (unsigned)pr_cell_i64(res, 0, 1),
                                              .refused_ago_ms = pr_cell_i64(res, 0, 2) };
    *wanted = rebalance_zones_may_stand_in(&made);
    return PR_OK;
}

static enum pr_code load_shards(struct pr_db *db, struct pr_arena *arena,
                                struct rebalance_image *image, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        db, "SELECT id, primary_id FROM shards WHERE slots > 0 ORDER BY id", NULL, 0, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    const size_t n = (size_t)PQntuples(res);
    image->shard = pr_arena_alloc(arena, (n + 1) * sizeof *image->shard);
    for (; image->shard != NULL && image->shards < n; image->shards++) {
        struct rebalance_shard *s = &image->shard[image->shards];
        *s = (struct rebalance_shard){
            .id = pr_arena_strdup(arena, pr_cell(res, (int)image->shards, 0)),
            .primary = pr_arena_strdup(arena, pr_cell(res, (int)image->shards, 1))
        };
        if (s->id == NULL || s->primary == NULL)
            break;
    }
    return image->shard == NULL || image->shards < n ? pr_fail(err, PR_ENOMEM, "%zu shards", n)
                                                     : PR_OK;
}

enum pr_code rebalance_spares(struct rebalance_executor *e, struct pr_arena *arena,
                              const char ***node, size_t *n, struct pr_err *err)
{
    struct rebalance_registered reg;
    bool wanted = false;
    *n = 0;
    if (e->o.cfg->zone_grace_s == 0)
        return PR_OK;
    enum pr_code rc = is_wanted(e, &wanted, err);
    if (rc != PR_OK || !wanted)
        return rc;
    rc = rebalance_registered_load(e->db, arena, &reg, err);
    if (rc != PR_OK)
        return rc;
    struct rebalance_image image = { .node = reg.node, .nodes = reg.nodes };
    rc = load_shards(e->db, arena, &image, err);
    return rc == PR_OK
               ? rebalance_zones_spares(&image, (int)e->o.cfg->replicas, arena, node, n, err)
               : rc;
}
