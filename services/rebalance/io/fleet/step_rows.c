#include "io/fleet/step_rows.h"
#include "io/slot/rows.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const char *name_of(const struct rebalance_fleet *f, int16_t node)
{
    return node < 0 || (size_t)node >= f->nodes ? "" : f->node[node].id;
}

static const char *shard_of(const struct rebalance_fleet *f, int16_t shard)
{
    return shard < 0 || (size_t)shard >= f->shards ? "" : f->shard[shard].id;
}

static json_t *step_json(const struct rebalance_fleet *f, const struct rebalance_fleet_step *s,
                         size_t number)
{
    json_t *slot = s->kind == REBALANCE_SLOT ? json_integer(s->slot) : json_null();
    return json_pack("{s:i, s:i, s:s, s:o, s:s, s:s, s:s, s:I, s:I, s:s}", "step", (int)number,
                     "wave", s->wave, "kind", rebalance_fleet_step_name(s->kind), "slot", slot,
                     "shard", shard_of(f, s->shard), "src_node", name_of(f, s->src), "dst_node",
                     name_of(f, s->dst), "bytes", (json_int_t)s->bytes, "keys", (json_int_t)s->keys,
                     "why", s->why == NULL ? "" : s->why);
}

enum pr_code rebalance_steps_insert(struct pr_db *db, int64_t plan_id,
                                    const struct rebalance_fleet *fleet,
                                    const struct rebalance_fleet_plan *plan, struct pr_err *err)
{
    json_t *list = json_array();
    for (size_t i = 0; i < plan->steps; i++)
        if (json_array_append_new(list, step_json(fleet, &plan->step[i], i + 1)) != 0)
            break;
    char *text = json_array_size(list) == plan->steps ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    if (text == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu steps of plan %lld", plan->steps, (long long)plan_id);
    enum pr_code rc = pr_db_exec(
        db,
        "INSERT INTO steps (plan_id, step, wave, kind, slot, shard, src_node, dst_node, bytes, "
        "keys, why) SELECT $1, s.* FROM jsonb_to_recordset($2::jsonb) AS s(step int, wave int, "
        "kind text, slot int, shard text, src_node text, dst_node text, bytes bigint, keys bigint, "
        "why text)",
        PR_ARGS(pr_i64(plan_id), pr_text(text)), NULL, err);
    free(text);
    return rc;
}

enum pr_code rebalance_steps_see(struct pr_db *db, int64_t plan_id,
                                 struct rebalance_steps_seen *out, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT coalesce(min(wave) FILTER (WHERE state IN " REBALANCE_SLOT_OPEN_STATES
        "), min(wave) FILTER (WHERE state NOT IN ('verified', 'rolled_back')), 0), "
        "coalesce(max(wave), 0), count(*), count(*) FILTER (WHERE state = 'verified'), "
        "count(*) FILTER (WHERE state = 'stuck'), count(*) FILTER (WHERE kind = 'slot'), "
        "count(*) FILTER (WHERE kind = 'slot' AND state = 'verified'), "
        "coalesce(sum(bytes) FILTER (WHERE kind = 'slot'), 0), "
        "coalesce(sum(bytes) FILTER (WHERE kind = 'slot' AND state = 'verified'), 0), "
        "coalesce(sum(moved_keys), 0), coalesce(sum(moved_bytes), 0), "
        "count(*) FILTER (WHERE state = 'acting'), "
        "count(*) FILTER (WHERE state IN " REBALANCE_SLOT_OPEN_STATES "), "
        "(SELECT kind || coalesce(' ' || slot, '') || ' (step ' || step || '): ' || "
        "coalesce(error, '') FROM steps WHERE plan_id = $1 AND state = 'stuck' ORDER BY step LIMIT "
        "1) FROM steps WHERE plan_id = $1",
        PR_ARGS(pr_i64(plan_id)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    *out = (struct rebalance_steps_seen){ .wave = (int)pr_cell_i64(res, 0, 0),
                                          .waves = (int)pr_cell_i64(res, 0, 1),
                                          .steps = pr_cell_i64(res, 0, 2),
                                          .verified = pr_cell_i64(res, 0, 3),
                                          .stuck = pr_cell_i64(res, 0, 4),
                                          .slots = pr_cell_i64(res, 0, 5),
                                          .slots_verified = pr_cell_i64(res, 0, 6),
                                          .bytes = pr_cell_real(res, 0, 7),
                                          .bytes_verified = pr_cell_real(res, 0, 8),
                                          .moved_keys = pr_cell_i64(res, 0, 9),
                                          .moved_bytes = pr_cell_i64(res, 0, 10),
                                          .slots_open = pr_cell_i64(res, 0, 12) };
    out->running = pr_cell_i64(res, 0, 11) + out->slots_open;
    const char *why = pr_cell(res, 0, 13);
    snprintf(out->stuck_why, sizeof out->stuck_why, "%s", why == NULL ? "" : why);
    return PR_OK;
}

enum pr_code rebalance_steps_duties(struct pr_db *db, int64_t plan_id, int wave, PGresult **rows,
                                    struct pr_err *err)
{
    return pr_db_exec(db,
                      "SELECT step, kind, shard, src_node, dst_node, state FROM steps "
                      "WHERE plan_id = $1 AND wave = $2 AND kind <> 'slot' "
                      "AND state NOT IN ('verified', 'rolled_back') ORDER BY step",
                      PR_ARGS(pr_i64(plan_id), pr_i64(wave)), rows, err);
}

enum pr_code rebalance_steps_pairs(struct pr_db *db, int64_t plan_id, int wave, PGresult **rows,
                                   struct pr_err *err)
{
    return pr_db_exec(db,
                      "SELECT src_node, dst_node FROM steps WHERE plan_id = $1 AND wave = $2 "
                      "AND kind = 'slot' AND state NOT IN ('verified', 'rolled_back') "
                      "GROUP BY src_node, dst_node ORDER BY sum(bytes) DESC, src_node, dst_node",
                      PR_ARGS(pr_i64(plan_id), pr_i64(wave)), rows, err);
}

/* --- one statement under the lease ----------------------------------------------- */

struct change {
    const struct pr_lease *lease;
    int64_t plan_id;
    const char *sql;
};

static enum pr_code apply(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct change *c = ctx;
    enum pr_code rc = pr_lease_check(db, c->lease, err);
    return rc == PR_OK ? pr_db_exec(db, c->sql, PR_ARGS(pr_i64(c->plan_id)), NULL, err) : rc;
}

enum pr_code rebalance_steps_unstick(struct pr_db *db, const struct pr_lease *lease,
                                     int64_t plan_id, struct pr_err *err)
{
    /* The furthest intent that it may have had: where it really is, the cluster says. */
    struct change c = { lease, plan_id,
                        "UPDATE steps SET state = CASE WHEN state = 'rolled_back' THEN 'planned' "
                        "WHEN kind = 'slot' THEN 'draining' ELSE 'acting' END, "
                        "back = back AND state = 'stuck', error = NULL, updated_at = now() "
                        "WHERE plan_id = $1 AND (state = 'stuck' "
                        "OR (state = 'rolled_back' AND error IS NOT NULL))" };
    return pr_db_tx(db, apply, &c, err);
}

enum pr_code rebalance_steps_cancel(struct pr_db *db, const struct pr_lease *lease, int64_t plan_id,
                                    struct pr_err *err)
{
    struct change c = { lease, plan_id,
                        "UPDATE steps SET state = 'rolled_back', updated_at = now() "
                        "WHERE plan_id = $1 AND state = 'planned'" };
    return pr_db_tx(db, apply, &c, err);
}
