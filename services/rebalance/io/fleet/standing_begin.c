/* Plans that wait to be begun: which may now, and why the others may not. */
#include "io/fleet/standing_private.h"

#include "prism/cron.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <string.h>

struct start { /* of one plan */
    const struct pr_lease *lease;
    int64_t plan;
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
        PR_ARGS(pr_i64(s->plan), pr_text(REBALANCE_POLICY), pr_text(REBALANCE_AUTOSCALE)), NULL,
        err);
}

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
enum pr_code rebalance_begin_waiting(struct rebalance_executor *e,
                                     const struct rebalance_standing *s, int64_t local_min,
                                     struct pr_err *err)
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
        PR_ARGS(pr_text(REBALANCE_POLICY), pr_text(REBALANCE_AUTOSCALE)), &got, err);
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
