/* /v1/rebalance/pins: slots, shards and nodes that plans leave where they are. */
#include "api_goal.h"
#include "rest_plans.h"

#include <string.h>

#define PIN_JSON                                                                                   \
    "json_build_object('kind', kind, 'value', value, 'why', why, 'createdBy', created_by, "        \
    "'createdAt', created_at, 'revision', revision)"
#define THIS_PIN "pins WHERE kind = $1 AND value = $2"

void api_pin_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const char *const filters[] = { "kind" };
    static const struct api_list list = {
        "pins",
        "SELECT kind || ',' || value, " PIN_JSON " FROM pins "
        "WHERE ($1::text IS NULL OR (kind COLLATE \"C\", value COLLATE \"C\") > "
        "(split_part($1::text, ',', 1), split_part($1::text, ',', 2))) "
        "AND ($3::text IS NULL OR kind = $3) "
        "ORDER BY pins.kind COLLATE \"C\", pins.value COLLATE \"C\" LIMIT $2::bigint",
        filters, 1
    };
    api_list_rows(ctx, &list, req, res);
}

struct wanted_pin {
    const char *kind, *value, *why; /* why NULL: none given */
};

/* The {kind}/{value} of the path; false after writing a problem. */
static bool read_path(const struct pr_http_req *req, struct wanted_pin *w, struct api_errors *errs,
                      struct pr_http_res *res)
{
    w->kind = req->param[0];
    w->value = req->param[1];
    api_check_pin(w->kind, w->value, w->why, errs);
    if (errs->n > 0)
        api_refuse(res, 400, "Bad request", errs);
    return errs->n == 0;
}

void api_pin_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct wanted_pin w = { 0 };
    struct api_errors errs = { 0 };
    if (!read_path(req, &w, &errs, res))
        return;
    PR_AUTO(PGresult) *row = api_one_row(
        ctx, "SELECT " PIN_JSON " FROM " THIS_PIN, PR_ARGS(pr_text(w.kind), pr_text(w.value)),
        pr_arena_printf(req->arena, "the pin of %s %s", w.kind, w.value), res);
    if (row != NULL)
        api_reply_row(req, res, pr_cell(row, 0, 0));
}

/* The pin as it is, locked; If-Match must know it when there is one. */
static enum pr_code was(struct pr_db *db, struct api_change *c, const struct wanted_pin *w,
                        struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    snprintf(c->resource, sizeof c->resource, "rebalance/pins/%s/%s", w->kind, w->value);
    enum pr_code rc = pr_db_exec(db, "SELECT " PIN_JSON " FROM " THIS_PIN " FOR UPDATE",
                                 PR_ARGS(pr_text(w->kind), pr_text(w->value)), &row, err);
    if (rc != PR_OK || PQntuples(row) == 0)
        return rc;
    c->before = api_from_sql(pr_cell(row, 0, 0));
    return api_change_precondition(c, api_generation(c->before), true, err);
}

static enum pr_code exists(struct pr_db *db, struct api_change *c, const struct wanted_pin *w,
                           struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    if (strcmp(w->kind, "slot") == 0)
        return PR_OK;
    const bool node = strcmp(w->kind, "node") == 0;
    enum pr_code rc = pr_db_exec(
        db, node ? "SELECT 1 FROM nodes WHERE id = $1" : "SELECT 1 FROM shards WHERE id = $1",
        PR_ARGS(pr_text(w->value)), &row, err);
    if (rc == PR_OK && PQntuples(row) == 0)
        return api_change_fail_at(c, 404, "value", err, PR_ENOTFOUND, "%s %s does not exist",
                                  w->kind, w->value);
    return rc;
}

static enum pr_code put(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct wanted_pin *w = c->in;
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc = was(db, c, w, err);
    if (rc == PR_OK && c->before == NULL && pr_http_header(c->req, "If-Match") != NULL)
        return api_change_fail(c, 412, err, PR_ECONFLICT, "%s %s is not pinned", w->kind, w->value);
    if (rc == PR_OK)
        rc = exists(db, c, w, err);
    if (rc == PR_OK)
        rc = pr_db_exec(
            db,
            "INSERT INTO pins (kind, value, why, created_by) "
            "VALUES ($1, $2, coalesce($3, ''), $4) ON CONFLICT (kind, value) DO UPDATE "
            "SET why = excluded.why RETURNING " PIN_JSON,
            PR_ARGS(pr_text(w->kind), pr_text(w->value), pr_text(w->why), pr_text(api_who(c->req))),
            &row, err);
    if (rc != PR_OK)
        return rc;
    c->created = c->before == NULL;
    c->status = c->created ? 201 : 200;
    rc = api_change_took(c, api_from_sql(pr_cell(row, 0, 0)), err);
    return rc == PR_OK ? api_change_event(db, c, c->revision, "pinned", err) : rc;
}

void api_pin_put(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const struct api_member members[] = {
        { "why", API_STRING, 0, offsetof(struct wanted_pin, why), 0 },
    };
    struct wanted_pin w = { 0 };
    struct api_errors errs = { 0 };
    struct api_change c = { .action = "rebalance.pin", .fn = put, .in = &w };
    PR_AUTO(json_t) *body = req->body_len == 0 ? json_object() : api_body(req, res);
    if (body == NULL)
        return;
    api_members(body, "", members, PR_COUNT(members), &w, &errs);
    if (read_path(req, &w, &errs, res))
        api_change_run(ctx, &c, req, res);
}

static enum pr_code delete_pin(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct wanted_pin *w = c->in;
    enum pr_code rc = was(db, c, w, err);
    if (rc == PR_OK && c->before == NULL)
        return api_change_fail(c, 404, err, PR_ENOTFOUND, "%s %s is not pinned", w->kind, w->value);
    if (rc == PR_OK)
        rc = pr_db_exec(db, "DELETE FROM " THIS_PIN, PR_ARGS(pr_text(w->kind), pr_text(w->value)),
                        NULL, err);
    if (rc != PR_OK)
        return rc;
    c->status = 204;
    return api_change_event(db, c, api_generation(c->before), "unpinned", err);
}

void api_pin_delete(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct wanted_pin w = { 0 };
    struct api_errors errs = { 0 };
    struct api_change c = { .action = "rebalance.unpin", .fn = delete_pin, .in = &w };
    if (read_path(req, &w, &errs, res))
        api_change_run(ctx, &c, req, res);
}
