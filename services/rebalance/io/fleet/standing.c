/* Standing orders: plans that the policy wants made, approved or begun without a
 * person. What they may do is decided by core/policy/approve.h. */
#include "io/fleet/standing_private.h"

#include "io/fleet/propose.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <jansson.h>

enum { LOOK_US = 5 * 1000 * 1000, COOLDOWN_MS = 60 * 60 * 1000 };

/* --- the policy ------------------------------------------------------------------- */

static enum pr_code read_spec(const json_t *spec, struct pr_arena *arena,
                              struct rebalance_standing *out, struct pr_err *err)
{
    const json_t *list = json_object_get(spec, "auto"), *w = json_object_get(spec, "window");
    const char **goal = pr_arena_alloc(arena, (json_array_size(list) + 1) * sizeof *goal);
    if (goal == NULL)
        return pr_fail(err, PR_ENOMEM, "the standing orders");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        goal[out->n] = pr_arena_strdup(arena, name == NULL ? "" : name);
        out->n += goal[out->n] != NULL;
    }
    out->automatic = goal;
    out->max_bytes = json_number_value(json_object_get(spec, "maxBytes"));
    out->max_slots = (uint32_t)json_integer_value(json_object_get(spec, "maxSlots"));
    out->cooldown_ms = COOLDOWN_MS;
    out->has_window = json_is_object(w);
    if (!out->has_window)
        return PR_OK;
    const char *cron = json_string_value(json_object_get(w, "cron"));
    return rebalance_window_parse(cron == NULL ? "" : cron,
                                  json_integer_value(json_object_get(w, "minutes")), &out->window,
                                  err);
}

enum pr_code rebalance_standing_load(struct pr_db *db, struct pr_arena *arena,
                                     struct rebalance_standing *out, int64_t *local_min,
                                     struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc =
        pr_db_exec(db,
                   "SELECT halted, spec, floor(extract(epoch FROM now() AT TIME ZONE "
                   "coalesce(spec #>> '{window,timeZone}', 'UTC')) / 60)::bigint FROM policies "
                   "WHERE name = 'rebalance'",
                   NULL, 0, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    *out = (struct rebalance_standing){ 0 };
    if (PQntuples(res) == 0)
        return PR_OK;
    json_t *spec = json_loads(pr_cell(res, 0, 1), 0, NULL);
    out->halted = pr_cell_bool(res, 0, 0);
    *local_min = pr_cell_i64(res, 0, 2);
    rc = read_spec(spec, arena, out, err);
    json_decref(spec);
    return rc == PR_OK || rc == PR_ENOMEM ? rc : pr_wrap(err, PR_EDATA, "the standing orders");
}

/* --- every few seconds ------------------------------------------------------------------- */

/* A proposal of ours that has nothing to do has done it. */
static enum pr_code end_empty(struct rebalance_executor *e, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc =
        pr_db_exec(e->db,
                   "SELECT id FROM plans WHERE state = 'proposed' AND created_by IN ($1, $2) "
                   "AND (summary->>'steps')::bigint = 0 AND goal->>'kind' <> 'repair' ORDER BY id",
                   PR_ARGS(pr_text(REBALANCE_POLICY), pr_text(REBALANCE_AUTOSCALE)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    for (int i = 0; i < PQntuples(res) && rc == PR_OK; i++) {
        struct rebalance_plan plan;
        rc = rebalance_plan_load(e->db, pr_cell_i64(res, i, 0), &plan, err);
        if (rc == PR_OK)
            rc = rebalance_finish(e, &plan, "canceled", NULL, "there is nothing to do", err);
    }
    return rc;
}

/* Plans of ours that were made and not yet planned: also those of a holder that died. */
static enum pr_code propose_pending(struct rebalance_executor *e, struct pr_err *err)
{
    struct rebalance_planner planner = { .cfg = e->o.cfg, .db = e->db, .metrics = e->o.metrics };
    PGresult *got = NULL;
    enum pr_code rc =
        pr_db_exec(e->db,
                   "SELECT id FROM plans WHERE state = 'pending' AND created_by IN "
                   "($1, $2) ORDER BY id",
                   PR_ARGS(pr_text(REBALANCE_POLICY), pr_text(REBALANCE_AUTOSCALE)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    for (int i = 0; i < PQntuples(res) && rc == PR_OK; i++)
        rc = rebalance_plan_fleet(&planner, pr_cell_i64(res, i, 0), err);
    return rc;
}

/* What a person should look at: logged when it becomes others, shown for as long as it
 * is so. */
static void say_held(struct rebalance_executor *e, const struct rebalance_returned *r, size_t n)
{
    uint64_t who = 0;
    size_t held = 0;
    for (size_t i = 0; i < n; i++) {
        held += r[i].may.what == REBALANCE_RETURN_HELD;
        for (const char *c = r[i].node; r[i].may.what == REBALANCE_RETURN_HELD && *c != '\0'; c++)
            who = who * 31 + (unsigned char)*c;
    }
    for (size_t i = 0; i < n && who != e->held; i++)
        if (r[i].may.what == REBALANCE_RETURN_HELD)
            pr_warn(PR_EV("node.held_back"), PR_S("node", r[i].node), PR_S("shard", r[i].shard),
                    PR_S("why", r[i].may.why));
    e->held = who;
    pr_metrics_set(e->o.metrics, M_HELD_BACK, NULL, (double)held);
}

enum pr_code rebalance_standing_orders(struct rebalance_executor *e, struct pr_err *err)
{
    const int64_t now_us = pr_mono_us();
    if (now_us < e->next_standing_us)
        return PR_OK;
    e->next_standing_us = now_us + LOOK_US;
    struct pr_arena arena;
    struct rebalance_standing s;
    int64_t local_min = 0;
    pr_arena_init(&arena, 0);
    struct rebalance_back back = { NULL, 0 };
    enum pr_code rc = rebalance_standing_load(e->db, &arena, &s, &local_min, err);
    if (rc == PR_OK)
        rc = rebalance_returns_look(e->db, e->o.cfg->take_backs_a_day, NULL, &arena, &back.node,
                                    &back.n, err);
    if (rc == PR_OK) /* also while a plan is in hand, or all is halted */
        say_held(e, back.node, back.n);
    if (rc == PR_OK && !s.halted) {
        rc = rebalance_make_needed(e, &s, &back, &arena, err);
        if (rc == PR_OK)
            rc = propose_pending(e, err);
        if (rc == PR_OK)
            rc = end_empty(e, err);
        if (rc == PR_OK)
            rc = rebalance_begin_waiting(e, &s, local_min, err);
    }
    pr_arena_done(&arena);
    return rc;
}
