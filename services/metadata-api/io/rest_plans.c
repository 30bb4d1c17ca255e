/* /v1/rebalance/plans: what is planned, and what may be done to a plan. */
#include "rest_plans.h"

#include "prism/io/outbox.h"
#include "prism/v1/rebalance.pb-c.h"

#include <inttypes.h>
#include <string.h>

void api_plan_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const char *const filters[] = { "state", "runId", "kind" };
    static const struct api_list list = {
        "plans",
        "SELECT id::text, " API_PLAN_JSON " FROM plans "
        "WHERE ($1::text IS NULL OR id < $1::text::bigint) "
        "AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR run_id::text = $4) "
        "AND ($5::text IS NULL OR kind = $5) ORDER BY plans.id DESC LIMIT $2::bigint",
        filters, 3
    };
    api_list_rows(ctx, &list, req, res);
}

bool api_plan_id(const struct pr_http_req *req, struct pr_http_res *res, int64_t *id)
{
    uint64_t v = 0;
    bool ok = api_number_parse(req->param[0], INT64_MAX, &v);
    if (!ok)
        pr_http_problem(res, 400, "Bad plan", "a plan's number", "id");
    *id = (int64_t)v;
    return ok;
}

/* moves: of a plan that moves vertices; steps, wave and waves: of a fleet plan.
 * wave: the first that is not over. */
#define PLAN_MOVES                                                                                 \
    "(SELECT coalesce(json_object_agg(m.state, json_build_object('batches', m.batches, "           \
    "'vertices', m.vertices, 'moved', m.moved, 'bytes', m.bytes)), '{}') FROM "                    \
    "(SELECT state, count(*) AS batches, sum(vertices) AS vertices, "                              \
    "sum(moved) AS moved, sum(bytes) AS bytes FROM moves WHERE plan_id = $1 "                      \
    "GROUP BY state ORDER BY state) m)"
#define PLAN_STEPS                                                                                 \
    "(SELECT coalesce(json_object_agg(k.kind, k.states), '{}') FROM (SELECT s.kind, "              \
    "json_object_agg(s.state, json_build_object('steps', s.n, 'bytes', s.bytes, 'movedKeys', "     \
    "s.moved_keys, 'movedBytes', s.moved_bytes) ORDER BY s.state) AS states FROM "                 \
    "(SELECT kind, state, count(*) AS n, sum(bytes) AS bytes, sum(moved_keys) AS moved_keys, "     \
    "sum(moved_bytes) AS moved_bytes FROM steps WHERE plan_id = $1 GROUP BY kind, state) s "       \
    "GROUP BY s.kind ORDER BY s.kind) k)"
/* As its events say it: while it is carried out, and what was told last. */
#define PLAN_PROGRESS "(SELECT progress FROM operations WHERE id = execute_operation_id)"
#define PLAN_WAVE                                                                                  \
    "(SELECT min(wave) FROM steps WHERE plan_id = $1 AND state NOT IN ('verified', "               \
    "'rolled_back'))"

void api_plan_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    int64_t id;
    if (!api_plan_id(req, res, &id))
        return;
    struct pr_arg arg = pr_i64(id);
    api_get_row(ctx,
                "SELECT json_build_object(" API_PLAN_MEMBERS ", 'moves', " PLAN_MOVES
                ", 'steps', " PLAN_STEPS ", 'wave', " PLAN_WAVE ", 'waves', "
                "(SELECT max(wave) FROM steps WHERE plan_id = $1), 'progress', " PLAN_PROGRESS
                ") FROM plans WHERE id = $1",
                &arg, pr_arena_printf(req->arena, "plan %" PRId64, id), req, res);
}

enum pr_code api_plan_command(struct pr_db *db, const struct api_change *c, const char *subject,
                              int64_t plan, struct pr_err *err)
{
    /* RebalancePlanRequest has the same fields and numbers. */
    Prism__V1__RebalanceExecuteRequest m = PRISM__V1__REBALANCE_EXECUTE_REQUEST__INIT;
    m.plan_id = (uint64_t)plan;
    m.operation_id = (char *)c->operation;
    uint8_t packed[128];
    return pr_outbox_add(db, subject, packed,
                         prism__v1__rebalance_execute_request__pack(&m, packed), err);
}

/* --- what may be done to a plan ----------------------------------------- */

struct allowance { /* the optional body */
    bool big_keys, no_replicas, has_big_keys, has_no_replicas;
};

struct verb {
    enum api_verb verb;
    int64_t plan;
    struct allowance allow;
};

static const char *const verb_name[API_VERB_COUNT] = {
    [API_EXECUTE] = "execute", [API_APPROVE] = "approve", [API_PAUSE] = "pause",
    [API_RESUME] = "resume",   [API_CANCEL] = "cancel",
};

/* Only one plan at a time is at work; the lock makes two executions of
 * different plans meet here. One that only waits for its window is not. */
static enum pr_code none_active(struct pr_db *db, struct api_change *c, int64_t plan,
                                struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc = pr_db_exec(db, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
                                 PR_ARGS(pr_text("prism.plan.execute")), NULL, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "SELECT id, state FROM plans WHERE (state IN ('running', 'paused') OR "
                        "(state = 'approved' AND execute_operation_id IS NOT NULL)) "
                        "AND id <> $1 LIMIT 1",
                        PR_ARGS(pr_i64(plan)), &row, err);
    if (rc == PR_OK && PQntuples(row) > 0)
        return api_change_fail(c, 409, err, PR_ECONFLICT,
                               "plan %" PRId64 " is %s: one plan at a time", pr_cell_i64(row, 0, 0),
                               pr_cell(row, 0, 1));
    return rc;
}

/* What only a run of the plan came upon (a key, a shard) is allowed to it here. */
static enum pr_code allow(struct pr_db *db, struct api_change *c, const struct verb *v,
                          struct pr_err *err)
{
    const struct allowance *a = &v->allow;
    const char *kind = json_string_value(json_object_get(c->before, "kind"));
    if (!a->has_big_keys && !a->has_no_replicas)
        return PR_OK;
    if (kind == NULL || strcmp(kind, "fleet") != 0)
        return api_change_fail_at(c, 400, a->has_big_keys ? "allowBigKeys" : "allowNoReplicas", err,
                                  PR_EINVAL, "plan %" PRId64 " moves vertices: nothing to allow",
                                  v->plan);
    return pr_db_exec(
        db,
        "UPDATE plans SET params = params || jsonb_strip_nulls(jsonb_build_object("
        "'allow_big_keys', $2::boolean, 'allow_no_replicas', $3::boolean)) WHERE id = $1",
        PR_ARGS(pr_i64(v->plan), a->has_big_keys ? pr_bool(a->big_keys) : pr_text(NULL),
                a->has_no_replicas ? pr_bool(a->no_replicas) : pr_text(NULL)),
        NULL, err);
}

static enum pr_code approve(struct pr_db *db, const struct api_change *c, int64_t plan,
                            struct pr_err *err)
{
    return pr_db_exec(db, "UPDATE plans SET approved_by = $2 WHERE id = $1",
                      PR_ARGS(pr_i64(plan), pr_text(api_who(c->req))), NULL, err);
}

/* Who approved it before stays the one who did. */
static enum pr_code execute(struct pr_db *db, struct api_change *c, int64_t plan,
                            struct pr_err *err)
{
    enum pr_code rc = none_active(db, c, plan, err);
    if (rc == PR_OK)
        rc = api_change_operation(db, c, NULL, "rebalance.execute", err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "UPDATE plans SET execute_operation_id = $3::uuid, "
                        "approved_by = coalesce(approved_by, $2) WHERE id = $1",
                        PR_ARGS(pr_i64(plan), pr_text(api_who(c->req)), pr_text(c->operation)),
                        NULL, err);
    return rc == PR_OK ? api_plan_command(db, c, "prism.cmd.rebalance.execute", plan, err) : rc;
}

static enum pr_code ask_stop(struct pr_db *db, int64_t plan, struct pr_err *err)
{
    return pr_db_exec(db,
                      "UPDATE operations SET cancel_requested = true, updated_at = now() "
                      "WHERE id IN (SELECT unnest(ARRAY[operation_id, execute_operation_id]) "
                      "FROM plans WHERE id = $1) AND state IN ('pending', 'running')",
                      PR_ARGS(pr_i64(plan)), NULL, err);
}

/* Locks the plan and asks the table whether its state allows the verb. A brake needs no
 * condition: pausing does no harm, whatever the plan has become since somebody looked. */
static enum pr_code judge(struct pr_db *db, struct api_change *c, const struct verb *v,
                          struct api_verdict *verdict, struct pr_err *err)
{
    char states[96];
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT CASE WHEN state = 'approved' AND execute_operation_id IS NULL THEN $2 "
        "ELSE state END, generation, " API_PLAN_JSON " FROM plans WHERE id = $1 FOR UPDATE",
        PR_ARGS(pr_i64(v->plan), pr_text(API_WAITING)), &row, err);
    if (rc == PR_OK && PQntuples(row) == 0)
        return api_change_fail(c, 404, err, PR_ENOTFOUND, "plan %" PRId64 " does not exist",
                               v->plan);
    if (rc != PR_OK)
        return rc;
    c->before = api_from_sql(pr_cell(row, 0, 2));
    rc = api_change_precondition(c, (uint64_t)pr_cell_i64(row, 0, 1), v->verb != API_PAUSE, err);
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

static enum pr_code carry_out(struct pr_db *db, struct api_change *c, const struct verb *v,
                              const struct api_verdict *verdict, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    if (v->verb == API_EXECUTE || v->verb == API_RESUME)
        rc = api_not_halted(db, c, err);
    if (rc == PR_OK)
        rc = allow(db, c, v, err);
    if (rc == PR_OK && v->verb == API_EXECUTE)
        rc = execute(db, c, v->plan, err);
    if (rc == PR_OK && v->verb == API_APPROVE)
        rc = approve(db, c, v->plan, err);
    if (rc == PR_OK && verdict->effect == API_SET_STATE)
        rc = pr_db_exec(db, "UPDATE plans SET state = $2 WHERE id = $1",
                        PR_ARGS(pr_i64(v->plan), pr_text(verdict->to)), NULL, err);
    if (rc == PR_OK && verdict->effect == API_ASK_STOP)
        rc = ask_stop(db, v->plan, err);
    return rc;
}

static enum pr_code apply(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct verb *v = c->in;
    struct api_verdict verdict = { API_REFUSE, NULL };
    PR_AUTO(PGresult) *row = NULL;
    snprintf(c->resource, sizeof c->resource, "rebalance/plans/%" PRId64, v->plan);
    enum pr_code rc = judge(db, c, v, &verdict, err);
    if (rc == PR_OK)
        rc = carry_out(db, c, v, &verdict, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db, "SELECT state, " API_PLAN_JSON " FROM plans WHERE id = $1",
                        PR_ARGS(pr_i64(v->plan)), &row, err);
    if (rc == PR_OK)
        rc = api_change_took(c, api_from_sql(pr_cell(row, 0, 1)), err);
    if (rc != PR_OK)
        return rc;
    c->status = v->verb == API_EXECUTE || verdict.effect == API_ASK_STOP ? 202 : 200;
    return api_change_event(db, c, c->revision, pr_cell(row, 0, 0), err);
}

/* The body may be absent. False after writing a problem. */
static bool read_allow(const struct pr_http_req *req, struct allowance *in, struct pr_http_res *res)
{
    static const struct api_member members[] = {
        { "allowBigKeys", API_BOOLEAN, 0, offsetof(struct allowance, big_keys),
          offsetof(struct allowance, has_big_keys) },
        { "allowNoReplicas", API_BOOLEAN, 0, offsetof(struct allowance, no_replicas),
          offsetof(struct allowance, has_no_replicas) },
    };
    struct api_errors errs = { 0 };
    if (req->body_len == 0)
        return true;
    PR_AUTO(json_t) *body = api_body(req, res);
    if (body == NULL)
        return false;
    api_members(body, "", members, PR_COUNT(members), in, &errs);
    if (errs.n > 0)
        api_refuse(res, 400, "Bad request", &errs);
    return errs.n == 0;
}

static void run_verb(void *ctx, const struct pr_http_req *req, struct pr_http_res *res,
                     enum api_verb verb, const char *action)
{
    struct verb v = { .verb = verb };
    struct api_change c = { .action = action, .fn = apply, .in = &v };
    const bool allows = verb == API_EXECUTE || verb == API_APPROVE || verb == API_RESUME;
    if (api_plan_id(req, res, &v.plan) && (!allows || read_allow(req, &v.allow, res)))
        api_change_run(ctx, &c, req, res);
}

void api_plan_execute(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    run_verb(ctx, req, res, API_EXECUTE, "rebalance.plan.execute");
}

void api_plan_approve(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    run_verb(ctx, req, res, API_APPROVE, "rebalance.plan.approve");
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
