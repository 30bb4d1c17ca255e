/* Standing orders: plans that the policy wants made, approved or begun without a
 * person. What they may do is decided by core/policy/approve.h. */
#include "io/fleet/standing.h"

#include "io/cluster_facts.h"
#include "io/executor_private.h"
#include "io/fleet/propose.h"
#include "io/fleet/returns.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_US = 5 * 1000 * 1000, COOLDOWN_MS = 60 * 60 * 1000 };

static const char WHO[] = "policy rebalance";
/* Autoscale's plans are policy too: what was decided there is approved, and begun at once. */
static const char AUTOSCALE[] = "policy autoscale";

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

static bool automatic(const struct rebalance_standing *s, const char *goal)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->automatic[i], goal) == 0)
            return true;
    return false;
}

/* --- rows --------------------------------------------------------------------------- */

struct start { /* of one plan */
    const struct pr_lease *lease;
    int64_t plan;
    const char *goal; /* of one to be made: JSON */
    bool returns;     /* its nodes came back: a try for each */
};

/* An approved plan gets the operation of its execution; the executor takes it. */
static enum pr_code begin(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct start *s = ctx;
    enum pr_code rc = pr_lease_check(db, s->lease, err);
    if (rc == PR_OK) /* the same lock as a person's execute takes: one plan at a time */
        rc = pr_db_exec(db, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
                        PR_ARGS(pr_text("prism.plan.execute")), NULL, err);
    if (rc != PR_OK)
        return rc;
    return pr_db_exec(
        db,
        "WITH p AS (SELECT id FROM plans WHERE id = $1 AND execute_operation_id IS NULL "
        "AND (state = 'approved' OR (state = 'proposed' AND created_by IN ($2, $3))) "
        "AND NOT EXISTS (SELECT FROM plans o WHERE o.id <> $1 AND (o.state IN ('running', "
        "'paused') "
        "OR (o.state = 'approved' AND o.execute_operation_id IS NOT NULL))) FOR UPDATE), "
        "o AS (INSERT INTO operations (kind, resource, created_by) SELECT 'rebalance.execute', "
        "'rebalance/plans/' || id, $2 FROM p RETURNING id) "
        "UPDATE plans SET state = 'approved', approved_by = coalesce(approved_by, CASE WHEN "
        "created_by = $3 THEN $3 ELSE $2 END), "
        "execute_operation_id = o.id FROM p, o WHERE plans.id = p.id",
        PR_ARGS(pr_i64(s->plan), pr_text(WHO), pr_text(AUTOSCALE)), NULL, err);
}

static enum pr_code make(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct start *s = ctx;
    enum pr_code rc = pr_lease_check(db, s->lease, err);
    if (rc != PR_OK)
        return rc;
    return pr_db_exec(db,
                      "WITH p AS (INSERT INTO plans (operation_id, kind, goal, created_by) VALUES "
                      "(gen_random_uuid(), 'fleet', $1::jsonb, $2) "
                      "RETURNING id, operation_id), "
                      "r AS (INSERT INTO node_returns (node_id, plan_id) SELECT node, p.id "
                      "FROM p, jsonb_array_elements_text($1::jsonb->'nodes') AS node WHERE $3), "
                      "old AS (DELETE FROM node_returns WHERE at < now() - interval '2 days') "
                      "INSERT INTO operations (id, kind, resource, created_by) "
                      "SELECT operation_id, 'rebalance.plan', 'rebalance/plans/' || id, $2 FROM p",
                      PR_ARGS(pr_text(s->goal), pr_text(WHO), pr_bool(s->returns)), NULL, err);
}

/* --- what there is to do ---------------------------------------------------------------- */

/* A person's word: only the window is still to come. Without one the plan waits for
 * `plan execute`. */
static void wait_for_window(const struct rebalance_standing *s,
                            const struct rebalance_window_at *at, double eta_s,
                            struct rebalance_approval_out *out)
{
    char next[24] = "never";
    if (s->has_window && rebalance_window_may_start(at, eta_s)) {
        *out = (struct rebalance_approval_out){ .what = REBALANCE_AUTO_NOW,
                                                .why = "approved, and the window is open" };
        return;
    }
    out->what = REBALANCE_WAIT_FOR_WINDOW;
    if (at->next_min >= 0)
        pr_minute_text(at->next_min, next);
    if (!s->has_window)
        snprintf(out->why, sizeof out->why, "approved; there is no window: execute it");
    else if (eta_s > s->window.minutes * 60)
        snprintf(out->why, sizeof out->why,
                 "approved, but it takes %.0f min and a window lasts %d: execute it, or cap it",
                 eta_s / 60, s->window.minutes);
    else
        snprintf(out->why, sizeof out->why, "approved; waits for the window of %s", next);
}

/* What keeps a plan from beginning is shown as its error until it does. */
static enum pr_code say_why(struct rebalance_executor *e, int64_t plan, const char *why,
                            struct pr_err *err)
{
    return pr_db_exec(e->db,
                      "UPDATE plans SET error = $2 WHERE id = $1 AND state IN ('proposed', "
                      "'approved') AND error IS DISTINCT FROM $2",
                      PR_ARGS(pr_i64(plan), pr_text(why)), NULL, err);
}

/* Plans that wait to be begun: approved by a person, or proposed by us or by autoscale. */
static enum pr_code begin_waiting(struct rebalance_executor *e, const struct rebalance_standing *s,
                                  int64_t local_min, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        e->db,
        "SELECT id, state, coalesce(goal->>'kind', 'vertices'), "
        "coalesce((summary->>'copied_bytes')::float8, (summary->>'bytes')::float8, 0), "
        "coalesce((summary->>'slots')::bigint, 0), coalesce((summary->>'duration_s')::float8, -1), "
        "coalesce((summary #>> '{verdict,worth_it}')::boolean, true), "
        "coalesce(summary #>> '{verdict,why}', ''), "
        "(SELECT extract(epoch FROM now() - max(f.finished_at)) * 1000 FROM plans f WHERE "
        "f.created_by = $1 AND f.goal->>'kind' = p.goal->>'kind' AND f.started_at IS NOT NULL "
        "AND f.finished_at IS NOT NULL), "
        "(SELECT count(*) FROM plans f WHERE f.created_by = $1 AND f.goal->>'kind' = "
        "p.goal->>'kind' AND f.started_at > now() - interval '1 day'), "
        "coalesce((summary->>'steps')::bigint, 1), created_by = $2 "
        "FROM plans p WHERE execute_operation_id IS NULL AND (state = 'approved' OR "
        "(state = 'proposed' AND created_by IN ($1, $2))) ORDER BY id",
        PR_ARGS(pr_text(WHO), pr_text(AUTOSCALE)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    for (int i = 0; i < PQntuples(res) && rc == PR_OK; i++) {
        const bool approved = strcmp(pr_cell(res, i, 1), "approved") == 0;
        const struct rebalance_plan_facts f = {
            .goal = pr_cell(res, i, 2),
            .bytes = pr_cell_real(res, i, 3),
            .slots = (uint32_t)pr_cell_i64(res, i, 4),
            .eta_s = pr_cell_real(res, i, 5),
            .worth = pr_cell_bool(res, i, 6),
            .worth_why = pr_cell(res, i, 7),
            .last_auto_ms = pr_cell(res, i, 8) == NULL ? -1 : (int64_t)pr_cell_real(res, i, 8),
            .autos_last_day = (unsigned)pr_cell_i64(res, i, 9)
        };
        struct start start = { .lease = &e->lease, .plan = pr_cell_i64(res, i, 0) };
        struct rebalance_approval_out may = { 0 };
        const struct rebalance_window_at at = s->has_window
                                                  ? rebalance_window_look(&s->window, local_min)
                                                  : (struct rebalance_window_at){ .next_min = -1 };
        if (!approved && pr_cell_bool(res, i, 11))
            may = (struct rebalance_approval_out){ .what = REBALANCE_AUTO_NOW,
                                                   .why = "decided by autoscale" };
        else if (strcmp(f.goal, "join") == 0 && !approved) /* of ours: take_back */
            may.what = REBALANCE_AUTO_NOW;
        else if (approved) /* a person's word: only the window is still to come */
            wait_for_window(s, &at, f.eta_s, &may);
        else
            rebalance_approve(s, &f, local_min, &may);
        if (may.what != REBALANCE_AUTO_NOW) {
            rc = say_why(e, start.plan, may.why, err);
            continue;
        }
        pr_info(PR_EV("plan.begun_by_policy"), PR_I("plan", start.plan), PR_S("why", may.why));
        rc = pr_db_tx(e->db, begin, &start, err);
    }
    return rc;
}

/* A proposal of ours that has nothing to do has done it. */
static enum pr_code end_empty(struct rebalance_executor *e, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc =
        pr_db_exec(e->db,
                   "SELECT id FROM plans WHERE state = 'proposed' AND created_by IN ($1, $2) "
                   "AND (summary->>'steps')::bigint = 0 AND goal->>'kind' <> 'repair' ORDER BY id",
                   PR_ARGS(pr_text(WHO), pr_text(AUTOSCALE)), &got, err);
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
    enum pr_code rc = pr_db_exec(e->db,
                                 "SELECT id FROM plans WHERE state = 'pending' AND created_by IN "
                                 "($1, $2) ORDER BY id",
                                 PR_ARGS(pr_text(WHO), pr_text(AUTOSCALE)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    for (int i = 0; i < PQntuples(res) && rc == PR_OK; i++)
        rc = rebalance_plan_fleet(&planner, pr_cell_i64(res, i, 0), err);
    return rc;
}

struct need {
    const char *goal;
    bool (*is)(struct rebalance_executor *e);
};

static bool has_rows(struct rebalance_executor *e, const char *sql)
{
    PGresult *got = NULL;
    if (pr_db_exec(e->db, sql, NULL, 0, &got, NULL) != PR_OK)
        return false;
    PR_AUTO(PGresult) *res = got;
    return PQntuples(res) > 0;
}

/* Not to a zone that has only just come back, or not wholly. */
static bool primaries_are_away(struct rebalance_executor *e)
{
    PGresult *got = NULL;
    if (pr_db_exec(e->db,
                   "SELECT FROM shards s JOIN nodes p ON p.id = s.primary_id "
                   "WHERE p.zone_id <> s.home_zone AND EXISTS (SELECT FROM nodes r WHERE "
                   "r.shard_id = s.id AND r.zone_id = s.home_zone AND r.state = 'up') AND NOT "
                   "EXISTS (SELECT FROM zone_incidents i WHERE i.zone_id = s.home_zone AND "
                   "(i.ended_at IS NULL OR i.ended_at > now() - $1 * interval '1 s')) LIMIT 1",
                   PR_ARGS(pr_i64(e->o.cfg->zone_settle_s)), &got, NULL) != PR_OK)
        return false;
    PR_AUTO(PGresult) *res = got;
    return PQntuples(res) > 0;
}

static bool slots_are_open(struct rebalance_executor *e)
{
    uint8_t open[REBALANCE_SLOTS / 8];
    if (rebalance_connect(e, NULL) != PR_OK || pr_cluster_refresh(e->cluster, NULL) != PR_OK ||
        rebalance_cluster_open_slots(e->db, e->cluster, open, NULL) != PR_OK)
        return false;
    for (size_t i = 0; i < sizeof open; i++)
        if (open[i] != 0)
            return true;
    return false;
}

static bool always(struct rebalance_executor *e) /* the planner says whether it is uneven */
{
    (void)e;
    return true;
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

struct returned {
    struct rebalance_returned *node; /* [n] */
    size_t n;
};

/* A plan that takes nodes in as replicas; returns: they came back from a failure. */
static enum pr_code take_in(struct rebalance_executor *e, const char *const *node, size_t n,
                            bool returns, struct pr_err *err)
{
    json_t *nodes = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(nodes, json_string(node[i]));
    json_t *goal = json_pack("{s:s, s:s, s:o}", "kind", "join", "role", "replica", "nodes", nodes);
    char *text = goal == NULL ? NULL : json_dumps(goal, JSON_COMPACT);
    json_decref(goal);
    if (text == NULL)
        return pr_fail(err, PR_ENOMEM, "a plan for %zu nodes", n);
    struct start start = { .lease = &e->lease, .goal = text, .returns = returns };
    pr_info(PR_EV("plan.made_by_policy"), PR_S("goal", start.goal));
    const enum pr_code rc = pr_db_tx(e->db, make, &start, err);
    free(text);
    return rc;
}

/* Nodes that came back from a failure as primaries without slots: their shards lack
 * them. And those that stand in for what was lost with a zone. Taking one in only adds a
 * replica, so nobody is asked. */
static enum pr_code take_back(struct rebalance_executor *e, const struct returned *back, bool *made,
                              struct pr_arena *arena, struct pr_err *err)
{
    const char **node = pr_arena_alloc(arena, (back->n + 1) * sizeof *node);
    size_t n = 0;
    if (node == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu nodes that came back", back->n);
    for (size_t i = 0; i < back->n; i++)
        if (back->node[i].may.what == REBALANCE_RETURN_NOW)
            node[n++] = back->node[i].node;
    const bool returns = n > 0;
    enum pr_code rc = returns ? PR_OK : rebalance_spares(e, arena, &node, &n, err);
    *made = rc == PR_OK && n > 0;
    return *made ? take_in(e, node, n, returns, err) : rc;
}

/* What keeps coming back is not made again before it has cooled down, whatever
 * became of it; and never while another plan is in hand. */
static enum pr_code make_needed(struct rebalance_executor *e, const struct rebalance_standing *s,
                                const struct returned *back, struct pr_arena *arena,
                                struct pr_err *err)
{
    static const struct need need[] = { { "repair", slots_are_open },
                                        { "failback", primaries_are_away },
                                        { "balance", always } };
    if (has_rows(e, "SELECT FROM plans WHERE state IN ('pending', 'approved', 'running', 'paused') "
                    "OR (state = 'proposed' AND created_by IN ('policy rebalance', 'policy "
                    "autoscale')) LIMIT 1"))
        return PR_OK;
    bool made = false;
    enum pr_code rc = take_back(e, back, &made, arena, err);
    if (rc != PR_OK || made)
        return rc;
    for (size_t i = 0; i < PR_COUNT(need); i++) {
        if (!automatic(s, need[i].goal))
            continue;
        PGresult *got = NULL;
        rc = pr_db_exec(
            e->db,
            "SELECT count(*) FILTER (WHERE created_at > now() - interval '1 day'), "
            "coalesce(extract(epoch FROM now() - max(created_at)) * 1000, -1) FROM plans "
            "WHERE created_by = $1 AND goal->>'kind' = $2",
            PR_ARGS(pr_text(WHO), pr_text(need[i].goal)), &got, err);
        if (rc != PR_OK)
            return rc;
        PR_AUTO(PGresult) *res = got;
        const double ago_ms = pr_cell_real(res, 0, 1);
        const int64_t rest_ms =
            rebalance_cooldown_ms(s->cooldown_ms, (unsigned)pr_cell_i64(res, 0, 0));
        if ((ago_ms >= 0 && ago_ms < (double)rest_ms) || !need[i].is(e))
            continue;
        char goal[64];
        struct start start = { .lease = &e->lease, .goal = goal };
        snprintf(goal, sizeof goal, "{\"kind\": \"%s\"}", need[i].goal);
        pr_info(PR_EV("plan.made_by_policy"), PR_S("goal", need[i].goal));
        return pr_db_tx(e->db, make, &start, err);
    }
    return PR_OK;
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
    struct returned back = { NULL, 0 };
    enum pr_code rc = rebalance_standing_load(e->db, &arena, &s, &local_min, err);
    if (rc == PR_OK)
        rc = rebalance_returns_look(e->db, e->o.cfg->take_backs_a_day, NULL, &arena, &back.node,
                                    &back.n, err);
    if (rc == PR_OK) /* also while a plan is in hand, or all is halted */
        say_held(e, back.node, back.n);
    if (rc == PR_OK && !s.halted) {
        rc = make_needed(e, &s, &back, &arena, err);
        if (rc == PR_OK)
            rc = propose_pending(e, err);
        if (rc == PR_OK)
            rc = end_empty(e, err);
        if (rc == PR_OK)
            rc = begin_waiting(e, &s, local_min, err);
    }
    pr_arena_done(&arena);
    return rc;
}
