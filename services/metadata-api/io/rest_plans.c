/* /v1/rebalance/plans: how to get from where vertices are to where they should be. */
#include "change.h"
#include "prism/io/outbox.h"
#include "prism/v1/rebalance.pb-c.h"

#include <inttypes.h>
#include <string.h>

#define PLAN_MEMBERS                                                                               \
    "'id', id, 'runId', run_id, 'operationId', operation_id, 'executeOperationId', "               \
    "execute_operation_id, 'state', state, 'params', params, 'summary', summary, 'result', "       \
    "result, 'error', error, 'createdBy', created_by, 'approvedBy', approved_by, 'createdAt', "    \
    "created_at, 'startedAt', started_at, 'finishedAt', finished_at, 'revision', revision"
#define PLAN_JSON "json_build_object(" PLAN_MEMBERS ")"

void api_plan_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const char *const filters[] = { "state", "runId" };
    static const struct api_list list = {
        "plans",
        "SELECT id::text, " PLAN_JSON " FROM plans "
        "WHERE ($1::text IS NULL OR id < $1::text::bigint) "
        "AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR run_id::text = $4) "
        "ORDER BY plans.id DESC LIMIT $2::bigint",
        filters, 2
    };
    api_list_rows(ctx, &list, req, res);
}

static bool plan_id(const struct pr_http_req *req, struct pr_http_res *res, int64_t *id)
{
    uint64_t v = 0;
    bool ok = api_number_parse(req->param[0], INT64_MAX, &v);
    if (!ok)
        pr_http_problem(res, 400, "Bad plan", "a plan's number", "id");
    *id = (int64_t)v;
    return ok;
}

void api_plan_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    int64_t id;
    if (!plan_id(req, res, &id))
        return;
    struct pr_arg arg = pr_i64(id);
    api_get_row(ctx,
                "SELECT json_build_object(" PLAN_MEMBERS ", 'moves', (SELECT "
                "coalesce(json_object_agg(m.state, json_build_object('batches', m.batches, "
                "'vertices', m.vertices, 'moved', m.moved, 'bytes', m.bytes)), '{}') FROM "
                "(SELECT state, count(*) AS batches, sum(vertices) AS vertices, "
                "sum(moved) AS moved, sum(bytes) AS bytes FROM moves WHERE plan_id = $1 "
                "GROUP BY state ORDER BY state) m)) FROM plans WHERE id = $1",
                &arg, pr_arena_printf(req->arena, "plan %" PRId64, id), req, res);
}

struct wanted_plan {
    struct api_plan_in plan;
    char *params; /* JSON to store */
};

static enum pr_code send_command(struct pr_db *db, struct api_change *c, const char *subject,
                                 int64_t plan, struct pr_err *err)
{
    /* RebalancePlanRequest has the same fields and numbers. */
    Prism__V1__RebalanceExecuteRequest m = PRISM__V1__REBALANCE_EXECUTE_REQUEST__INIT;
    m.plan_id = (uint64_t)plan;
    m.operation_id = c->operation;
    uint8_t packed[128];
    return pr_outbox_add(db, subject, packed,
                         prism__v1__rebalance_execute_request__pack(&m, packed), err);
}

static enum pr_code run_is_done(struct pr_db *db, struct api_change *c, int64_t run,
                                struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc = pr_db_exec(db, "SELECT state FROM placement_runs WHERE id = $1",
                                 PR_ARGS(pr_i64(run)), &row, err);
    if (rc == PR_OK && PQntuples(row) == 0)
        return api_change_fail(c, 404, err, PR_ENOTFOUND,
                               "placement run %" PRId64 " does not exist", run);
    if (rc == PR_OK && strcmp(pr_cell(row, 0, 0), "done") != 0)
        return api_change_fail(c, 409, err, PR_ECONFLICT,
                               "placement run %" PRId64 " is %s, a plan needs one that is done",
                               run, pr_cell(row, 0, 0));
    return rc;
}

static void took(struct api_change *c, const char *json)
{
    c->after = api_from_sql(json);
    c->etag = (uint64_t)json_integer_value(json_object_get(c->after, "revision"));
}

static enum pr_code create(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct wanted_plan *in = c->in;
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc = run_is_done(db, c, in->plan.run_id, err);
    if (rc == PR_OK)
        rc = pr_db_exec(
            db,
            "INSERT INTO plans (operation_id, run_id, params, created_by) VALUES "
            "(gen_random_uuid(), $1, $2::jsonb, $3) "
            "RETURNING id, operation_id, " PLAN_JSON,
            PR_ARGS(pr_i64(in->plan.run_id), pr_text(in->params), pr_text(api_who(c->req))), &row,
            err);
    if (rc != PR_OK)
        return rc;
    const int64_t id = pr_cell_i64(row, 0, 0);
    snprintf(c->resource, sizeof c->resource, "rebalance/plans/%" PRId64, id);
    took(c, pr_cell(row, 0, 2));
    c->status = 202;
    rc = api_change_operation(db, c, pr_cell(row, 0, 1), "rebalance.plan", err);
    return rc == PR_OK ? send_command(db, c, "prism.cmd.rebalance.plan", id, err) : rc;
}

static void read_plan(const json_t *body, struct api_plan_in *in, struct api_errors *errs)
{
    struct top {
        int64_t run_id;
        bool has_run_id;
        json_t *params;
    } top = { 0 };
    static const struct api_member members[] = {
        { "runId", API_INTEGER, API_REQUIRED, offsetof(struct top, run_id),
          offsetof(struct top, has_run_id) },
        { "params", API_OBJECT, 0, offsetof(struct top, params), 0 },
    };
    static const struct api_member params[] = {
        { "batchVertices", API_INTEGER, 0, offsetof(struct api_plan_in, batch_vertices),
          offsetof(struct api_plan_in, has_batch_vertices) },
        { "workers", API_INTEGER, 0, offsetof(struct api_plan_in, workers),
          offsetof(struct api_plan_in, has_workers) },
    };
    api_members(body, "", members, PR_COUNT(members), &top, errs);
    in->run_id = top.run_id;
    in->has_run_id = top.has_run_id;
    if (top.params != NULL)
        api_members(top.params, "params.", params, PR_COUNT(params), in, errs);
    if (errs->n == 0)
        api_check_plan(in, errs);
}

void api_plan_create(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct wanted_plan in = { 0 };
    struct api_errors errs = { 0 };
    struct api_change c = { .action = "rebalance.plan.create", .fn = create, .in = &in };
    PR_AUTO(json_t) *body = api_body(req, res);
    if (body == NULL || !api_dry_run(req, &c.dry, res))
        return;
    read_plan(body, &in.plan, &errs);
    if (errs.n > 0) {
        api_refuse(res, 400, "Bad request", &errs);
        return;
    }
    PR_AUTO(json_t) *params = json_object();
    if (in.plan.has_batch_vertices)
        json_object_set_new(params, "batch_vertices", json_integer(in.plan.batch_vertices));
    if (in.plan.has_workers)
        json_object_set_new(params, "workers", json_integer(in.plan.workers));
    in.params = json_dumps(params, JSON_COMPACT);
    api_change_run(ctx, &c, req, res);
    free(in.params);
}

/* --- what may be done to a plan ----------------------------------------- */

struct verb {
    enum api_verb verb;
    int64_t plan;
};

static const char *const verb_name[API_VERB_COUNT] = {
    [API_EXECUTE] = "execute",
    [API_PAUSE] = "pause",
    [API_RESUME] = "resume",
    [API_CANCEL] = "cancel",
};

/* Only one plan at a time moves vertices; the lock makes two executions of
 * different plans meet here. */
static enum pr_code none_active(struct pr_db *db, struct api_change *c, int64_t plan,
                                struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc = pr_db_exec(db, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
                                 PR_ARGS(pr_text("prism.plan.execute")), NULL, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "SELECT id, state FROM plans WHERE state IN ('approved', 'running', "
                        "'paused') AND id <> $1 LIMIT 1",
                        PR_ARGS(pr_i64(plan)), &row, err);
    if (rc == PR_OK && PQntuples(row) > 0)
        return api_change_fail(c, 409, err, PR_ECONFLICT,
                               "plan %" PRId64 " is %s: one plan at a time", pr_cell_i64(row, 0, 0),
                               pr_cell(row, 0, 1));
    return rc;
}

static enum pr_code execute(struct pr_db *db, struct api_change *c, int64_t plan,
                            struct pr_err *err)
{
    enum pr_code rc = none_active(db, c, plan, err);
    if (rc == PR_OK)
        rc = api_change_operation(db, c, NULL, "rebalance.execute", err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "UPDATE plans SET approved_by = $2, execute_operation_id = $3::uuid "
                        "WHERE id = $1",
                        PR_ARGS(pr_i64(plan), pr_text(api_who(c->req)), pr_text(c->operation)),
                        NULL, err);
    return rc == PR_OK ? send_command(db, c, "prism.cmd.rebalance.execute", plan, err) : rc;
}

static enum pr_code ask_stop(struct pr_db *db, int64_t plan, struct pr_err *err)
{
    return pr_db_exec(db,
                      "UPDATE operations SET cancel_requested = true, updated_at = now() "
                      "WHERE id IN (SELECT unnest(ARRAY[operation_id, execute_operation_id]) "
                      "FROM plans WHERE id = $1) AND state IN ('pending', 'running')",
                      PR_ARGS(pr_i64(plan)), NULL, err);
}

/* Locks the plan and asks the table whether its state allows the verb. */
static enum pr_code judge(struct pr_db *db, struct api_change *c, const struct verb *v,
                          struct api_verdict *verdict, struct pr_err *err)
{
    char states[96];
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc =
        pr_db_exec(db, "SELECT state, revision, " PLAN_JSON " FROM plans WHERE id = $1 FOR UPDATE",
                   PR_ARGS(pr_i64(v->plan)), &row, err);
    if (rc == PR_OK && PQntuples(row) == 0)
        return api_change_fail(c, 404, err, PR_ENOTFOUND, "plan %" PRId64 " does not exist",
                               v->plan);
    if (rc != PR_OK)
        return rc;
    c->before = api_from_sql(pr_cell(row, 0, 2));
    rc = api_change_precondition(c, (uint64_t)pr_cell_i64(row, 0, 1), false, err);
    if (rc != PR_OK)
        return rc;
    *verdict = api_plan_verb(v->verb, pr_cell(row, 0, 0));
    if (verdict->effect != API_REFUSE)
        return PR_OK;
    api_plan_verb_states(v->verb, states, sizeof states);
    return api_change_fail(c, 409, err, PR_ECONFLICT,
                           "plan %" PRId64 " is %s; %s needs it to be %s", v->plan,
                           pr_cell(row, 0, 0), verb_name[v->verb], states);
}

static enum pr_code apply(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct verb *v = c->in;
    struct api_verdict verdict = { API_REFUSE, NULL };
    PR_AUTO(PGresult) *row = NULL;
    snprintf(c->resource, sizeof c->resource, "rebalance/plans/%" PRId64, v->plan);
    enum pr_code rc = judge(db, c, v, &verdict, err);
    if (rc == PR_OK && v->verb == API_EXECUTE)
        rc = execute(db, c, v->plan, err);
    if (rc == PR_OK && verdict.effect == API_SET_STATE)
        rc = pr_db_exec(db, "UPDATE plans SET state = $2 WHERE id = $1",
                        PR_ARGS(pr_i64(v->plan), pr_text(verdict.to)), NULL, err);
    if (rc == PR_OK && verdict.effect == API_ASK_STOP)
        rc = ask_stop(db, v->plan, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db, "SELECT state, " PLAN_JSON " FROM plans WHERE id = $1",
                        PR_ARGS(pr_i64(v->plan)), &row, err);
    if (rc != PR_OK)
        return rc;
    took(c, pr_cell(row, 0, 1));
    c->status = v->verb == API_EXECUTE || verdict.effect == API_ASK_STOP ? 202 : 200;
    return api_change_event(db, c, c->etag, pr_cell(row, 0, 0), err);
}

static void run_verb(void *ctx, const struct pr_http_req *req, struct pr_http_res *res,
                     enum api_verb verb, const char *action)
{
    struct verb v = { .verb = verb };
    struct api_change c = { .action = action, .fn = apply, .in = &v };
    if (plan_id(req, res, &v.plan))
        api_change_run(ctx, &c, req, res);
}

void api_plan_execute(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    run_verb(ctx, req, res, API_EXECUTE, "rebalance.plan.execute");
}

void api_plan_pause(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    run_verb(ctx, req, res, API_PAUSE, "rebalance.plan.pause");
}

void api_plan_resume(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    run_verb(ctx, req, res, API_RESUME, "rebalance.plan.resume");
}

void api_plan_cancel(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    run_verb(ctx, req, res, API_CANCEL, "rebalance.plan.cancel");
}
