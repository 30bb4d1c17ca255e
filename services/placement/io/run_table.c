#include "io/run_table.h"

#include "io/targets_table.h"
#include "prism/io/outbox.h"
#include "prism/v1/placement.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- start ---------------------------------------------------------------- */

struct start {
    int64_t run_id;
    struct placement_run_row *row;
};

static enum pr_code read_row(const PGresult *res, struct placement_run_row *row, struct pr_err *err)
{
    const char *state = pr_cell(res, 0, 0), *operation = pr_cell(res, 0, 1);
    const char *op_state = pr_cell(res, 0, 4); /* NULL: the operation is gone */
    row->finished = strcmp(state, "pending") != 0 && strcmp(state, "running") != 0;
    row->cancel_requested =
        pr_cell_bool(res, 0, 5) || (op_state != NULL && strcmp(op_state, "canceled") == 0);
    (void)snprintf(row->operation_id, sizeof row->operation_id, "%s", operation);
    row->source = strdup(pr_cell(res, 0, 2));
    row->params = strdup(pr_cell(res, 0, 3));
    if (row->source == NULL || row->params == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory reading placement run %lld",
                       (long long)row->id);
    return PR_OK;
}

static enum pr_code mark_running(struct pr_db *db, const struct placement_run_row *row,
                                 struct pr_err *err)
{
    enum pr_code rc = pr_db_exec(db,
                                 "UPDATE placement_runs SET state = 'running', started_at = now() "
                                 "WHERE id = $1",
                                 PR_ARGS(pr_i64(row->id)), NULL, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "UPDATE operations SET state = 'running', phase = 'read', "
                        "progress_ratio = 0, eta_s = NULL, updated_at = now() "
                        "WHERE id = $1 AND state IN ('pending', 'running')",
                        PR_ARGS(pr_text(row->operation_id)), NULL, err);
    return rc;
}

static enum pr_code start(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct start *s = ctx;
    PGresult *res = NULL;
    placement_run_row_done(s->row); /* the transaction may be tried again */
    s->row->id = s->run_id;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT r.state, r.operation_id, r.source, r.params, o.state, "
        "coalesce(o.cancel_requested, false) FROM placement_runs r "
        "LEFT JOIN operations o ON o.id = r.operation_id WHERE r.id = $1 FOR UPDATE OF r",
        PR_ARGS(pr_i64(s->run_id)), &res, err);
    if (rc != PR_OK)
        return rc;
    if (PQntuples(res) == 0)
        rc = pr_fail(err, PR_ENOTFOUND, "placement run %lld does not exist", (long long)s->run_id);
    else
        rc = read_row(res, s->row, err);
    PQclear(res);
    if (rc == PR_OK && !s->row->finished && !s->row->cancel_requested)
        rc = mark_running(db, s->row, err);
    return rc;
}

enum pr_code placement_run_start(struct pr_db *db, int64_t run_id, struct placement_run_row *out,
                                 struct pr_err *err)
{
    struct start s = { .run_id = run_id, .row = out };
    *out = (struct placement_run_row){ 0 };
    enum pr_code rc = pr_db_tx(db, start, &s, err);
    if (rc != PR_OK)
        placement_run_row_done(out);
    return rc;
}

void placement_run_row_done(struct placement_run_row *r)
{
    free(r->source);
    free(r->params);
    *r = (struct placement_run_row){ 0 };
}

enum pr_code placement_run_reference(struct pr_db *db, const struct placement_run_row *r,
                                     double *ratio, struct pr_err *err)
{
    PGresult *res = NULL;
    enum pr_code rc =
        pr_db_exec(db,
                   "SELECT (report #>> '{after,cross_share}')::float8 FROM placement_runs "
                   "WHERE state = 'done' AND report ->> 'new_cut_weight' IS NOT NULL AND "
                   "source ->> 'file' = $1::jsonb ->> 'file' ORDER BY id DESC LIMIT 1",
                   PR_ARGS(pr_text(r->source)), &res, err);
    if (rc != PR_OK)
        return rc;
    *ratio = PQntuples(res) == 1 && pr_cell(res, 0, 0) != NULL ? pr_cell_real(res, 0, 0) : -1;
    PQclear(res);
    return PR_OK;
}

/* --- progress ------------------------------------------------------------- */

static enum pr_code read_cancel(enum pr_code rc, PGresult *res, bool *cancel)
{
    if (rc != PR_OK)
        return rc;
    if (PQntuples(res) == 1) /* else the operation is gone or ended: nobody to ask */
        *cancel = pr_cell_bool(res, 0, 0);
    PQclear(res);
    return PR_OK;
}

enum pr_code placement_run_progress(struct pr_db *db, const char *operation_id, const char *phase,
                                    double ratio, double eta_s, bool *cancel, struct pr_err *err)
{
    PGresult *res = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "UPDATE operations SET phase = $2, progress_ratio = $3, eta_s = $4, "
        "updated_at = now() WHERE id = $1 AND state = 'running' RETURNING cancel_requested",
        PR_ARGS(pr_text(operation_id), pr_text(phase), pr_real(ratio),
                eta_s < 0 ? pr_text(NULL) : pr_real(eta_s)),
        &res, err);
    return read_cancel(rc, res, cancel);
}

enum pr_code placement_run_canceling(struct pr_db *db, const char *operation_id, bool *cancel,
                                     struct pr_err *err)
{
    PGresult *res = NULL;
    enum pr_code rc = pr_db_exec(
        db, "SELECT cancel_requested OR state = 'canceled' FROM operations WHERE id = $1",
        PR_ARGS(pr_text(operation_id)), &res, err);
    return read_cancel(rc, res, cancel);
}

/* --- end ------------------------------------------------------------------ */

struct end {
    const struct placement_ending *e;
    bool *ended;
};

/* Locks the run; *open is false when somebody ended it meanwhile. */
static enum pr_code lock_run(struct pr_db *db, int64_t run_id, bool *open, struct pr_err *err)
{
    PGresult *res = NULL;
    enum pr_code rc = pr_db_exec(db, "SELECT state FROM placement_runs WHERE id = $1 FOR UPDATE",
                                 PR_ARGS(pr_i64(run_id)), &res, err);
    if (rc != PR_OK)
        return rc;
    if (PQntuples(res) == 0)
        rc = pr_fail(err, PR_ENOTFOUND, "placement run %lld does not exist", (long long)run_id);
    else
        *open = strcmp(pr_cell(res, 0, 0), "pending") == 0 ||
                strcmp(pr_cell(res, 0, 0), "running") == 0;
    PQclear(res);
    return rc;
}

static enum pr_code end_run(struct pr_db *db, const struct placement_ending *e, int64_t *revision,
                            struct pr_err *err)
{
    PGresult *res = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "UPDATE placement_runs SET state = $2, report = $3::jsonb, "
        "error = $4, finished_at = now() WHERE id = $1 RETURNING revision",
        PR_ARGS(pr_i64(e->row->id), pr_text(e->state), pr_text(e->report), pr_text(e->error)), &res,
        err);
    if (rc != PR_OK)
        return rc;
    *revision = pr_cell_i64(res, 0, 0);
    PQclear(res);
    const bool done = strcmp(e->state, "done") == 0;
    return pr_db_exec(
        db,
        "UPDATE operations SET state = $2, error = $3, phase = $2, eta_s = NULL, "
        "progress_ratio = CASE WHEN $4 THEN 1 ELSE progress_ratio END, "
        "updated_at = now(), finished_at = now() "
        "WHERE id = $1 AND state IN ('pending', 'running')",
        PR_ARGS(pr_text(e->row->operation_id), pr_text(e->state), pr_text(e->error), pr_bool(done)),
        NULL, err);
}

static enum pr_code write_traffic(struct pr_db *db, const struct placement_ending *e,
                                  struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    if (e->traffic_before != NULL)
        rc = placement_traffic_write(db, e->row->id, "before", e->traffic_before, err);
    if (rc == PR_OK && e->traffic_after != NULL)
        rc = placement_traffic_write(db, e->row->id, "after", e->traffic_after, err);
    return rc == PR_OK && e->traffic_before != NULL ? placement_traffic_prune(db, e->keep_runs, err)
                                                    : rc;
}

static enum pr_code publish(struct pr_db *db, const struct placement_ending *e, int64_t revision,
                            struct pr_err *err)
{
    char state[16];
    (void)snprintf(state, sizeof state, "%s", e->state);
    Prism__V1__PlacementFinishedEvent event = PRISM__V1__PLACEMENT_FINISHED_EVENT__INIT;
    event.run_id = (uint64_t)e->row->id;
    event.revision = (uint64_t)revision;
    event.state = state;
    event.vertices = e->vertices;
    event.moves = e->result == NULL ? 0 : e->result->moves;
    uint8_t *packed = malloc(prism__v1__placement_finished_event__get_packed_size(&event));
    if (packed == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for the event of run %lld",
                       (long long)e->row->id);
    const size_t n = prism__v1__placement_finished_event__pack(&event, packed);
    enum pr_code rc = pr_outbox_add(db, "prism.evt.placement.finished", packed, n, err);
    free(packed);
    return rc;
}

static enum pr_code end(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct end *x = ctx;
    const struct placement_ending *e = x->e;
    bool fresh = false, open = false;
    int64_t revision = 0;
    *x->ended = false;
    enum pr_code rc = pr_processed_once(db, "placement", e->event_id, &fresh, err);
    if (rc == PR_OK)
        rc = lock_run(db, e->row->id, &open, err);
    if (rc != PR_OK || !fresh || !open)
        return rc;
    if (e->result != NULL)
        rc = placement_targets_write(db, e->row->id, e->store, e->result, err);
    if (rc == PR_OK)
        rc = end_run(db, e, &revision, err);
    if (rc == PR_OK && e->result != NULL)
        rc = placement_targets_prune(db, e->keep_runs, err);
    if (rc == PR_OK)
        rc = write_traffic(db, e, err);
    if (rc == PR_OK)
        rc = publish(db, e, revision, err);
    if (rc == PR_OK)
        *x->ended = true;
    return rc;
}

enum pr_code placement_run_end(struct pr_db *db, const struct placement_ending *e, bool *ended,
                               struct pr_err *err)
{
    struct end x = { .e = e, .ended = ended };
    return pr_db_tx(db, end, &x, err);
}
