/* /v1/operations: long work; /v1/audit: who did what. */
#include "change.h"

#include <string.h>

#define OPERATION_JSON                                                                             \
    "json_build_object('id', id, 'kind', kind, 'resource', resource, 'state', state, 'phase', "    \
    "phase, 'progressRatio', progress_ratio, 'etaS', eta_s, 'progress', progress, 'error', "       \
    "error, 'cancelRequested', cancel_requested, 'createdBy', created_by, 'createdAt', "           \
    "created_at, 'updatedAt', "                                                                    \
    "updated_at, 'finishedAt', finished_at, 'generation', generation, 'revision', revision)"

void api_operation_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const char *const filters[] = { "state", "kind" };
    static const struct api_list list = {
        "operations",
        "SELECT to_json(created_at)#>>'{}' || ',' || id, " OPERATION_JSON " FROM operations "
        "WHERE ($1::text IS NULL OR (created_at, id) < "
        "(split_part($1::text, ',', 1)::timestamptz, split_part($1::text, ',', 2)::uuid)) "
        "AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR kind = $4) "
        "ORDER BY created_at DESC, id DESC LIMIT $2::bigint",
        filters, 2
    };
    api_list_rows(ctx, &list, req, res);
}

static bool operation_id(const struct pr_http_req *req, struct pr_http_res *res)
{
    bool ok = api_uuid_valid(req->param[0]);
    if (!ok)
        pr_http_problem(res, 400, "Bad operation", "an operation's id is a UUID", "id");
    return ok;
}

void api_operation_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    if (!operation_id(req, res))
        return;
    struct pr_arg arg = pr_text(req->param[0]);
    api_get_row(ctx, "SELECT " OPERATION_JSON " FROM operations WHERE id = $1::uuid", &arg,
                pr_arena_printf(req->arena, "operation %s", req->param[0]), req, res);
}

/* Stopping is a request: whoever works on it sees it and ends in "canceled". An operation is one
 * piece of work and never becomes another, so no If-Match is asked for. */
static enum pr_code cancel(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const char *id = c->in;
    PR_AUTO(PGresult) *was = NULL;
    PR_AUTO(PGresult) *now = NULL;
    snprintf(c->resource, sizeof c->resource, "operations/%s", id);
    enum pr_code rc = pr_db_exec(
        db, "SELECT state, " OPERATION_JSON " FROM operations WHERE id = $1::uuid FOR UPDATE",
        PR_ARGS(pr_text(id)), &was, err);
    if (rc == PR_OK && PQntuples(was) == 0)
        return api_change_fail(c, 404, err, PR_ENOTFOUND, "operation %s does not exist", id);
    if (rc != PR_OK)
        return rc;
    const char *state = pr_cell(was, 0, 0);
    if (strcmp(state, "pending") != 0 && strcmp(state, "running") != 0)
        return api_change_fail(c, 409, err, PR_ECONFLICT, "operation %s is %s already", id, state);
    c->before = api_from_sql(pr_cell(was, 0, 1));
    rc = api_change_precondition(c, api_generation(c->before), false, err);
    if (rc != PR_OK)
        return rc;
    rc = pr_db_exec(db,
                    "UPDATE operations SET cancel_requested = true, updated_at = now() "
                    "WHERE id = $1::uuid RETURNING " OPERATION_JSON,
                    PR_ARGS(pr_text(id)), &now, err);
    if (rc == PR_OK)
        rc = api_change_took(c, api_from_sql(pr_cell(now, 0, 0)), err);
    c->status = rc == PR_OK ? 202 : c->status;
    return rc == PR_OK ? api_change_event(db, c, c->revision, "cancel_requested", err) : rc;
}

void api_operation_cancel(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct api_change c = { .action = "operation.cancel", .fn = cancel, .in = req->param[0] };
    if (operation_id(req, res))
        api_change_run(ctx, &c, req, res);
}

void api_audit_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const char *const filters[] = { "principal", "action", "resource" };
    static const struct api_list list = {
        "audit",
        "SELECT id::text, json_build_object('id', id, 'at', at, 'principal', principal, 'action', "
        "action, 'resource', resource, 'before', before, 'after', after, 'trace', trace) "
        "FROM audit WHERE ($1::text IS NULL OR id < $1::text::bigint) "
        "AND ($3::text IS NULL OR principal = $3) AND ($4::text IS NULL OR action = $4) "
        "AND ($5::text IS NULL OR resource = $5) ORDER BY audit.id DESC LIMIT $2::bigint",
        filters, 3
    };
    api_list_rows(ctx, &list, req, res);
}
