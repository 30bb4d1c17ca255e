#include "io/plan_rows.h"

#include "io/fleet/step_rows.h"
#include "io/plan_events.h"
#include "io/slot/rows.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/io/outbox.h"
#include "prism/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from == NULL ? "" : from);
}

enum pr_code rebalance_plan_load(struct pr_db *db, int64_t id, struct rebalance_plan *out,
                                 struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc =
        pr_db_exec(db,
                   "SELECT coalesce(p.run_id, 0), p.state, r.state, p.operation_id, "
                   "p.execute_operation_id, "
                   "coalesce(o.cancel_requested, false), "
                   "CASE WHEN jsonb_typeof(p.params->'batch_vertices') = 'number' "
                   "THEN (p.params->>'batch_vertices')::numeric::bigint ELSE 0 END, "
                   "CASE WHEN jsonb_typeof(p.params->'workers') = 'number' "
                   "THEN (p.params->>'workers')::numeric::bigint ELSE 0 END, "
                   "(SELECT coalesce(sum(moved), 0) FROM moves m WHERE m.plan_id = p.id), "
                   "(SELECT coalesce(max(batch), 0) + 1 FROM moves m WHERE m.plan_id = p.id), "
                   "p.active_s, p.kind = 'fleet', "
                   "(SELECT halted FROM policies WHERE name = 'rebalance') "
                   "FROM plans p LEFT JOIN placement_runs r ON r.id = p.run_id "
                   "LEFT JOIN operations o ON o.id = p.execute_operation_id WHERE p.id = $1",
                   PR_ARGS(pr_i64(id)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 0)
        return pr_fail(err, PR_ENOTFOUND, "plan %lld does not exist", (long long)id);
    *out = (struct rebalance_plan){ .id = id,
                                    .run_id = pr_cell_i64(res, 0, 0),
                                    .cancel_requested = pr_cell_bool(res, 0, 5),
                                    .batch_vertices = pr_cell_i64(res, 0, 6),
                                    .workers = pr_cell_i64(res, 0, 7),
                                    .moved = pr_cell_i64(res, 0, 8),
                                    .next_batch = pr_cell_i64(res, 0, 9),
                                    .active_s = pr_cell_real(res, 0, 10),
                                    .fleet = pr_cell_bool(res, 0, 11),
                                    .halted = pr_cell_bool(res, 0, 12) };
    copy(out->state, sizeof out->state, pr_cell(res, 0, 1));
    copy(out->run_state, sizeof out->run_state, pr_cell(res, 0, 2));
    copy(out->plan_operation, sizeof out->plan_operation, pr_cell(res, 0, 3));
    copy(out->execute_operation, sizeof out->execute_operation, pr_cell(res, 0, 4));
    return PR_OK;
}

/* Approved and asked for; running (here before, or by an executor that died);
 * canceled while nobody was at work on it; or paused with slots that may be open:
 * somebody has to watch those. */
enum pr_code rebalance_plan_next(struct pr_db *db, int64_t *id, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT p.id FROM plans p LEFT JOIN operations o ON o.id = p.execute_operation_id "
        "CROSS JOIN LATERAL (SELECT NOT halted AND (p.state = 'running' "
        "OR (p.state = 'approved' AND p.execute_operation_id IS NOT NULL) "
        "OR (p.state = 'paused' AND o.cancel_requested) "
        "OR (p.state = 'canceled' AND o.state IN ('pending', 'running'))) AS goes "
        "FROM policies WHERE name = 'rebalance') q "
        "WHERE q.goes OR (p.kind = 'fleet' AND p.state IN ('running', 'paused') AND EXISTS ("
        "SELECT FROM steps s WHERE s.plan_id = p.id AND s.kind = 'slot' "
        "AND s.state IN " REBALANCE_SLOT_OPEN_STATES ")) "
        "ORDER BY q.goes DESC, p.state = 'running' DESC, p.id LIMIT 1",
        NULL, 0, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    *id = PQntuples(res) == 0 ? 0 : pr_cell_i64(res, 0, 0);
    return PR_OK;
}

enum pr_code rebalance_plan_order(struct pr_db *db, int64_t id, enum rebalance_order *out,
                                  struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc =
        pr_db_exec(db,
                   "SELECT p.state, coalesce(o.cancel_requested, false), "
                   "(SELECT halted FROM policies WHERE name = 'rebalance') FROM plans p "
                   "LEFT JOIN operations o ON o.id = p.execute_operation_id WHERE p.id = $1",
                   PR_ARGS(pr_i64(id)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    *out = PQntuples(res) == 0 ? REBALANCE_LEAVE
                               : rebalance_order(pr_cell(res, 0, 0), pr_cell_bool(res, 0, 1),
                                                 pr_cell_bool(res, 0, 2));
    return PR_OK;
}

/* --- events ----------------------------------------------------------------- */

static enum pr_code tell(struct pr_db *db, const struct rebalance_plan *p, int64_t revision,
                         const char *state, const char *why, struct pr_err *err)
{
    struct rebalance_fleet_told told;
    struct rebalance_plan_news n = {
        .id = p->id, .revision = revision, .state = state, .at_ms = pr_now_ms()
    };
    if (p->told != NULL) {
        told = *p->told;
        rebalance_fleet_tell_state(&told, state, why);
        n.told = &told;
    }
    return rebalance_plan_changed(db, &n, p->execute_operation, err);
}

/* --- the executor's --------------------------------------------------------- */

struct change {
    const struct pr_lease *lease;
    const struct rebalance_plan *p;
    const char *state, *json, *error, *phase, *msg_id;
    const struct rebalance_fleet_proposal *fleet;
    const struct rebalance_plan_told *was;
    struct rebalance_plan_told *now;
    double ratio, eta_s;
};

static enum pr_code begin_plan(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct change *c = ctx;
    PGresult *got = NULL;
    enum pr_code rc = pr_lease_check(db, c->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(
            db,
            "UPDATE plans SET state = 'running', error = NULL, started_at = "
            "coalesce(started_at, now()) WHERE id = $1 AND (state IN ('approved', 'running') "
            "OR (state = 'paused' AND $2)) RETURNING revision",
            PR_ARGS(pr_i64(c->p->id), pr_bool(c->p->cancel_requested)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 0)
        return pr_fail(err, PR_ECONFLICT, "plan %lld is not approved", (long long)c->p->id);
    rc = tell(db, c->p, pr_cell_i64(res, 0, 0), "running", NULL, err);
    if (rc != PR_OK || c->p->execute_operation[0] == '\0')
        return rc;
    return pr_db_exec(db,
                      "UPDATE operations SET state = 'running', phase = 'starting', "
                      "updated_at = now() WHERE id = $1 AND state IN ('pending', 'running')",
                      PR_ARGS(pr_text(c->p->execute_operation)), NULL, err);
}

enum pr_code rebalance_plan_begin(struct pr_db *db, const struct pr_lease *lease,
                                  const struct rebalance_plan *p, struct pr_err *err)
{
    struct change c = { .lease = lease, .p = p };
    return pr_db_tx(db, begin_plan, &c, err);
}

static enum pr_code write_progress(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct change *c = ctx;
    PGresult *got = NULL;
    enum pr_code rc = pr_lease_check(db, c->lease, err);
    if (rc != PR_OK)
        return rc;
    const struct pr_arg eta = c->eta_s < 0 ? pr_text(NULL) : pr_real(c->eta_s);
    const struct pr_arg ratio = c->ratio < 0 ? pr_text(NULL) : pr_real(c->ratio);
    rc = pr_db_exec(db,
                    "UPDATE operations o SET progress_ratio = coalesce($2, o.progress_ratio), "
                    "eta_s = $3, phase = $4, progress = coalesce($5::jsonb, o.progress), "
                    "updated_at = now() FROM plans p WHERE o.id = $1 AND o.state = 'running' "
                    "AND p.id = $6 RETURNING p.state, p.revision",
                    PR_ARGS(pr_text(c->p->execute_operation), ratio, eta, pr_text(c->phase),
                            pr_text(c->json), pr_i64(c->p->id)),
                    &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (c->was == NULL || PQntuples(res) == 0)
        return PR_OK;
    copy(c->now->state, sizeof c->now->state, pr_cell(res, 0, 0));
    c->now->revision = pr_cell_i64(res, 0, 1);
    return strcmp(c->now->state, c->was->state) == 0
               ? PR_OK
               : tell(db, c->p, c->now->revision, c->now->state, NULL, err);
}

enum pr_code rebalance_plan_progress(struct pr_db *db, const struct pr_lease *lease,
                                     const struct rebalance_plan *p, double ratio, double eta_s,
                                     const char *phase, struct rebalance_plan_told *was,
                                     struct pr_err *err)
{
    struct rebalance_plan_told now = { .state = "" };
    struct change c = { .lease = lease,
                        .p = p,
                        .ratio = ratio,
                        .eta_s = eta_s,
                        .phase = phase,
                        .was = was,
                        .now = &now };
    if (p->execute_operation[0] == '\0')
        return PR_OK;
    char *json = p->told == NULL ? NULL : rebalance_told_json(p->told);
    c.json = json;
    enum pr_code rc = pr_db_tx(db, write_progress, &c, err);
    if (rc == PR_OK && was != NULL && now.state[0] != '\0')
        *was = now;
    free(json);
    return rc;
}

enum pr_code rebalance_plan_waits(struct pr_db *db, const struct pr_lease *lease,
                                  const struct rebalance_plan *p, const char *why)
{
    char text[sizeof((struct pr_err *)NULL)->text + 16];
    snprintf(text, sizeof text, "waiting: %s", why);
    pr_utf8_mend(text, strlen(text)); /* what servers say may be in it, cut anywhere */
    return rebalance_plan_progress(db, lease, p, -1, -1, text, NULL, NULL);
}

static enum pr_code end_operation(struct pr_db *db, const char *id, const char *state,
                                  const char *error, struct pr_err *err)
{
    if (id[0] == '\0')
        return PR_OK;
    return pr_db_exec(db,
                      "UPDATE operations SET state = $2, phase = $2, error = $3, eta_s = NULL, "
                      "progress_ratio = CASE WHEN $2 = 'done' THEN 1 ELSE progress_ratio END, "
                      "updated_at = now(), finished_at = now() "
                      "WHERE id = $1 AND state IN ('pending', 'running')",
                      PR_ARGS(pr_text(id), pr_text(state), pr_text(error)), NULL, err);
}

static enum pr_code end_plan(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct change *c = ctx;
    PGresult *got = NULL;
    enum pr_code rc = pr_lease_check(db, c->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(
            db,
            "UPDATE plans SET state = $2, result = coalesce($3::jsonb, result), "
            "error = $4, finished_at = now() WHERE id = $1 RETURNING revision",
            PR_ARGS(pr_i64(c->p->id), pr_text(c->state), pr_text(c->json), pr_text(c->error)), &got,
            err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 0)
        return PR_OK; /* somebody removed it */
    rc = end_operation(db, c->p->execute_operation, c->state, c->error, err);
    return rc == PR_OK ? tell(db, c->p, pr_cell_i64(res, 0, 0), c->state, c->error, err) : rc;
}

enum pr_code rebalance_plan_end(struct pr_db *db, const struct pr_lease *lease,
                                const struct rebalance_plan *p, const char *state,
                                const char *result, const char *error, struct pr_err *err)
{
    struct change c = { .lease = lease, .p = p, .state = state, .json = result, .error = error };
    return pr_db_tx(db, end_plan, &c, err);
}

static enum pr_code stick_plan(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct change *c = ctx;
    PGresult *got = NULL;
    enum pr_code rc = pr_lease_check(db, c->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(
            db,
            "UPDATE plans SET state = 'paused', error = 'stuck: ' || $2 "
            "WHERE id = $1 AND state IN ('running', 'paused') AND error IS DISTINCT FROM "
            "'stuck: ' || $2 RETURNING revision",
            PR_ARGS(pr_i64(c->p->id), pr_text(c->error)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 0)
        return PR_OK; /* paused or canceled meanwhile */
    rc = tell(db, c->p, pr_cell_i64(res, 0, 0), "paused", c->error, err);
    if (rc != PR_OK)
        return rc;
    return pr_db_exec(db,
                      "UPDATE operations SET phase = 'stuck: ' || $2, eta_s = NULL, "
                      "updated_at = now() WHERE id = $1 AND state IN ('pending', 'running')",
                      PR_ARGS(pr_text(c->p->execute_operation), pr_text(c->error)), NULL, err);
}

enum pr_code rebalance_plan_stuck(struct pr_db *db, const struct pr_lease *lease,
                                  const struct rebalance_plan *p, const char *why,
                                  struct pr_err *err)
{
    struct change c = { .lease = lease, .p = p, .error = why };
    return pr_db_tx(db, stick_plan, &c, err);
}

static enum pr_code add_active(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct change *c = ctx;
    enum pr_code rc = pr_lease_check(db, c->lease, err);
    return rc == PR_OK ? pr_db_exec(db, "UPDATE plans SET active_s = active_s + $2 WHERE id = $1",
                                    PR_ARGS(pr_i64(c->p->id), pr_real(c->eta_s)), NULL, err)
                       : rc;
}

void rebalance_plan_active(struct pr_db *db, const struct pr_lease *lease,
                           const struct rebalance_plan *p, double seconds)
{
    struct pr_err err = { 0 };
    struct change c = { .lease = lease, .p = p, .eta_s = seconds };
    if (pr_db_tx(db, add_active, &c, &err) != PR_OK) /* an ETA of later is a little off */
        pr_debug(PR_EV("plan.active_not_counted"), PR_E(&err));
}

/* --- the planner's ------------------------------------------------------------ */

static enum pr_code propose(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct change *c = ctx;
    bool fresh = false;
    PGresult *got = NULL;
    enum pr_code rc = pr_processed_once(db, "rebalance", c->msg_id, &fresh, err);
    if (rc != PR_OK || !fresh)
        return rc;
    rc =
        pr_db_exec(db,
                   "UPDATE plans SET state = CASE WHEN (SELECT cancel_requested FROM operations "
                   "WHERE id = plans.operation_id) THEN 'canceled' ELSE $2 END, "
                   "summary = $3::jsonb, error = $4, fingerprint = $5, "
                   "finished_at = CASE WHEN $2 = 'failed' THEN now() END "
                   "WHERE id = $1 AND state = 'pending' RETURNING revision, state",
                   PR_ARGS(pr_i64(c->p->id), pr_text(c->state), pr_text(c->json), pr_text(c->error),
                           pr_text(c->fleet == NULL ? NULL : c->fleet->fingerprint)),
                   &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 0)
        return PR_OK; /* canceled, or planned already */
    if (c->fleet != NULL)
        rc = rebalance_steps_insert(db, c->p->id, c->fleet->fleet, c->fleet->plan, err);
    if (rc != PR_OK)
        return rc;
    const char *state = pr_cell(res, 0, 1);
    rc = end_operation(db, c->p->plan_operation, strcmp(state, "proposed") == 0 ? "done" : state,
                       c->error, err);
    return rc == PR_OK ? tell(db, c->p, pr_cell_i64(res, 0, 0), state, c->error, err) : rc;
}

enum pr_code rebalance_plan_proposed(struct pr_db *db, const struct rebalance_plan *p,
                                     const char *summary,
                                     const struct rebalance_fleet_proposal *fleet,
                                     const char *error, const char *msg_id, struct pr_err *err)
{
    struct change c = { .p = p,
                        .json = summary,
                        .fleet = fleet,
                        .error = error,
                        .msg_id = msg_id,
                        .state = summary != NULL ? "proposed" : "failed" };
    return pr_db_tx(db, propose, &c, err);
}
