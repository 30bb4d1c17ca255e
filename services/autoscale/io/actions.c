/* What was done of decisions, and what a fleet's policies carry on (io/decisions.h). */
#include "io/decisions.h"

#define AT(ms)  "timestamptz 'epoch' + " ms " * interval '1 millisecond'"
#define MS(col) "(extract(epoch FROM " col ") * 1000)::bigint"

struct write { /* one row, under the lease */
    const struct pr_lease *lease;
    const char *sql;
    const struct pr_arg *arg;
    size_t args;
};

static enum pr_code write_row(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct write *w = ctx;
    enum pr_code rc = pr_lease_check(db, w->lease, err);
    return rc != PR_OK ? rc : pr_db_exec(db, w->sql, w->arg, w->args, NULL, err);
}

typedef enum pr_code run_fn(struct pr_db *db, pr_tx_fn *body, void *ctx, struct pr_err *err);

static enum pr_code run_in(struct pr_db *db, pr_tx_fn *body, void *ctx, struct pr_err *err)
{
    return body(db, ctx, err);
}

static enum pr_code put_action(struct pr_db *db, const struct pr_lease *lease, const char *fleet,
                               const struct autoscale_action *action, int64_t decision_id,
                               run_fn *run, struct pr_err *err)
{
    const struct pr_arg arg[] = { pr_text(fleet), pr_i64(action->at_ms), pr_i64(action->from),
                                  pr_i64(action->to), pr_i64(decision_id) };
    struct write w = {
        lease,
        "INSERT INTO autoscale_actions (fleet, at, from_instances, to_instances, "
        "decision_id) VALUES ($1, " AT(
            "$2::bigint") ", $3, $4, "
                          "nullif($5::bigint, 0)) ON CONFLICT (fleet, at) DO NOTHING",
        arg, PR_COUNT(arg)
    };
    enum pr_code rc = run(db, write_row, &w, err);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "action of fleet %s", fleet);
}

enum pr_code autoscale_action_put(struct pr_db *db, const struct pr_lease *lease, const char *fleet,
                                  const struct autoscale_action *action, int64_t decision_id,
                                  struct pr_err *err)
{
    return put_action(db, lease, fleet, action, decision_id, pr_db_tx, err);
}

enum pr_code autoscale_action_put_in(struct pr_db *db, const struct pr_lease *lease,
                                     const char *fleet, const struct autoscale_action *action,
                                     int64_t decision_id, struct pr_err *err)
{
    return put_action(db, lease, fleet, action, decision_id, run_in, err);
}

enum pr_code autoscale_actions_load(struct pr_db *db, struct pr_arena *arena, const char *fleet,
                                    int64_t from_ms, int64_t to_ms,
                                    struct autoscale_action **action, size_t *n, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT " MS("at") ", from_instances, to_instances FROM autoscale_actions "
                           "WHERE fleet = $1 AND at > " AT("$2::bigint") " AND at <= " AT(
                               "$3::bigint") " "
                                             "ORDER BY at",
        PR_ARGS(pr_text(fleet), pr_i64(from_ms), pr_i64(to_ms)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "actions of fleet %s", fleet);
    PR_AUTO(PGresult) *res = got;
    const int rows = PQntuples(res);
    struct autoscale_action *list = pr_arena_alloc(arena, ((size_t)rows + 1) * sizeof *list);
    if (list == NULL)
        return pr_fail(err, PR_ENOMEM, "%d actions of fleet %s", rows, fleet);
    for (int i = 0; i < rows; i++)
        list[i] = (struct autoscale_action){ .at_ms = pr_cell_i64(res, i, 0),
                                             .from = (int)pr_cell_i64(res, i, 1),
                                             .to = (int)pr_cell_i64(res, i, 2) };
    *action = list;
    *n = (size_t)rows;
    return PR_OK;
}

static enum pr_code put_state(struct pr_db *db, const struct pr_lease *lease, const char *fleet,
                              const struct autoscale_state *state, run_fn *run, struct pr_err *err)
{
    const struct pr_arg arg[] = { pr_text(fleet),
                                  pr_i64(state->desired),
                                  pr_text(state->memory),
                                  pr_i64(state->evaluated_ms),
                                  pr_i64((int64_t)lease->epoch),
                                  pr_text(state->members) };
    struct write w = {
        lease,
        "INSERT INTO autoscale_state AS s (fleet, desired, memory, evaluated_at, "
        "lease_epoch, members) VALUES ($1, $2, $3::json, " AT(
            "$4::bigint") ", $5, $6::json) "
                          "ON CONFLICT (fleet) DO UPDATE SET desired = excluded.desired, "
                          "memory = excluded.memory, evaluated_at = excluded.evaluated_at, "
                          "lease_epoch = excluded.lease_epoch, members = excluded.members "
                          "WHERE s.evaluated_at <= excluded.evaluated_at",
        arg, PR_COUNT(arg)
    };
    enum pr_code rc = run(db, write_row, &w, err);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "state of fleet %s", fleet);
}

enum pr_code autoscale_state_put(struct pr_db *db, const struct pr_lease *lease, const char *fleet,
                                 const struct autoscale_state *state, struct pr_err *err)
{
    return put_state(db, lease, fleet, state, pr_db_tx, err);
}

enum pr_code autoscale_state_put_in(struct pr_db *db, const struct pr_lease *lease,
                                    const char *fleet, const struct autoscale_state *state,
                                    struct pr_err *err)
{
    return put_state(db, lease, fleet, state, run_in, err);
}

enum pr_code autoscale_state_load(struct pr_db *db, struct pr_arena *arena, const char *fleet,
                                  struct autoscale_state *out, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc =
        pr_db_exec(db,
                   "SELECT desired, memory, " MS(
                       "evaluated_at") ", members FROM autoscale_state WHERE fleet = $1",
                   PR_ARGS(pr_text(fleet)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "state of fleet %s", fleet);
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 0)
        return pr_fail(err, PR_ENOTFOUND, "fleet %s was never evaluated", fleet);
    *out = (struct autoscale_state){ .desired = (int)pr_cell_i64(res, 0, 0),
                                     .memory = pr_arena_strdup(arena, pr_cell(res, 0, 1)),
                                     .evaluated_ms = pr_cell_i64(res, 0, 2) };
    const char *members = pr_cell(res, 0, 3);
    out->members = members == NULL ? NULL : pr_arena_strdup(arena, members);
    return out->memory != NULL && (members == NULL || out->members != NULL)
               ? PR_OK
               : pr_fail(err, PR_ENOMEM, "state of fleet %s", fleet);
}
