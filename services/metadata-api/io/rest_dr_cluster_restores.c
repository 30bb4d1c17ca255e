/* /v1/dr/cluster-restores: every shard brought back into a Redis Cluster by the dr service. A row
 * that is inserted here is the order; whoever holds the lease dr-life looks for one every second.
 */
#include "api_check.h"
#include "change.h"

#include "prism/io/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RESTORE_JSON                                                                               \
    "json_build_object('id', r.id, 'target', r.target, 'until', r.until_at, 'overExisting', "      \
    "r.over_existing, 'acceptLoss', r.accept_loss, 'writeRoutes', r.write_routes, 'askedBy', "     \
    "r.asked_by, 'canceledBy', r.canceled_by, 'state', r.state, 'outcome', r.outcome, 'reason', "  \
    "r.reason, 'step', r.step, 'shards', r.shards, 'fetchedShards', r.fetched, 'keys', r.keys, "   \
    "'copiedKeys', r.copied, 'attempts', r.attempts, 'createdAt', r.created_at, 'startedAt', "     \
    "r.started_at, 'finishedAt', r.finished_at, 'report', r.report)"

void api_cluster_restore_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const char *const filters[] = { "state" };
    static const struct api_list list = {
        "cluster-restores",
        "SELECT r.id::text, " RESTORE_JSON " FROM dr_cluster_restores r "
        "WHERE ($1::text IS NULL OR r.id < $1::text::bigint) "
        "AND ($3::text IS NULL OR r.state = $3) ORDER BY r.id DESC LIMIT $2::bigint",
        filters, PR_COUNT(filters)
    };
    api_list_rows(ctx, &list, req, res);
}

static bool restore_id(const struct pr_http_req *req, uint64_t *id, struct pr_http_res *res)
{
    if (api_number_parse(req->param[0], INT64_MAX, id))
        return true;
    pr_http_problem(res, 400, "Bad restore", "a restore's number", "id");
    return false;
}

void api_cluster_restore_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    uint64_t id;
    if (!restore_id(req, &id, res))
        return;
    const struct pr_arg arg = pr_i64((int64_t)id);
    api_get_row(ctx, "SELECT " RESTORE_JSON " FROM dr_cluster_restores r WHERE r.id = $1", &arg,
                pr_arena_printf(req->arena, "cluster restore %" PRIu64, id), req, res);
}

/* --- doing -------------------------------------------------------------------------------------
 */

struct wanted_restore {
    const char *target, *until;
    bool over_existing, accept_loss, write_routes;
    int64_t until_ms;
};

/* One at a time: a second one waits for nobody, it is refused. */
static enum pr_code create(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct wanted_restore *w = c->in;
    PR_AUTO(PGresult) *open = NULL, *row = NULL;
    enum pr_code rc = pr_db_exec(db, "SELECT id FROM dr_cluster_restores WHERE state <> 'done'",
                                 NULL, 0, &open, err);
    if (rc == PR_OK && PQntuples(open) > 0)
        return api_change_fail(c, 409, err, PR_ECONFLICT, "cluster restore %s is under way",
                               pr_cell(open, 0, 0));
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "INSERT INTO dr_cluster_restores AS r (target, until_at, over_existing, "
                        "accept_loss, write_routes, asked_by) VALUES ($1, "
                        "to_timestamp(nullif($2::bigint, 0) / 1000.0), $3, $4, $5, $6) "
                        "RETURNING r.id, " RESTORE_JSON,
                        PR_ARGS(pr_text(w->target), pr_i64(w->until_ms), pr_bool(w->over_existing),
                                pr_bool(w->accept_loss), pr_bool(w->write_routes),
                                pr_text(api_who(c->req))),
                        &row, err);
    if (rc != PR_OK)
        return rc;
    (void)snprintf(c->resource, sizeof c->resource, "dr/cluster-restores/%s", pr_cell(row, 0, 0));
    c->created = true;
    c->status = 202;
    return api_change_took(c, api_from_sql(pr_cell(row, 0, 1)), err);
}

void api_cluster_restore_create(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const struct api_member members[] = {
        { "target", API_STRING, API_REQUIRED, offsetof(struct wanted_restore, target), 0 },
        { "until", API_STRING, 0, offsetof(struct wanted_restore, until), 0 },
        { "overExisting", API_BOOLEAN, 0, offsetof(struct wanted_restore, over_existing), 0 },
        { "acceptLoss", API_BOOLEAN, 0, offsetof(struct wanted_restore, accept_loss), 0 },
        { "writeRoutes", API_BOOLEAN, 0, offsetof(struct wanted_restore, write_routes), 0 },
    };
    struct wanted_restore w = { .target = NULL };
    struct api_errors errs = { 0 };
    struct api_change c = { .action = "dr.restore", .fn = create, .in = &w };
    PR_AUTO(json_t) *body = api_body(req, res);
    if (body == NULL)
        return;
    api_members(body, "", members, PR_COUNT(members), &w, &errs);
    if (w.target != NULL)
        api_check_seeds("target", w.target, &errs);
    if (w.until != NULL && (!pr_time_parse(w.until, &w.until_ms) || w.until_ms <= 0))
        api_error(&errs, "until", "a time such as 2030-01-31T12:00:00Z");
    if (errs.n > 0)
        api_refuse(res, 400, "Bad request", &errs);
    else
        api_change_run(ctx, &c, req, res);
}

/* Whoever carries it out ends it within a second or two; the target then stays sealed. */
static enum pr_code cancel(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct pr_arg id = pr_i64(*(const int64_t *)c->in);
    PR_AUTO(PGresult) *was = NULL, *now = NULL;
    (void)snprintf(c->resource, sizeof c->resource, "dr/cluster-restores/%" PRId64,
                   *(const int64_t *)c->in);
    enum pr_code rc = pr_db_exec(db,
                                 "SELECT r.state, " RESTORE_JSON
                                 " FROM dr_cluster_restores r WHERE r.id = $1 FOR UPDATE",
                                 &id, 1, &was, err);
    if (rc == PR_OK && PQntuples(was) == 0)
        return api_change_fail(c, 404, err, PR_ENOTFOUND, "there is no cluster restore %s",
                               c->resource + sizeof "dr/cluster-restores");
    if (rc != PR_OK)
        return rc;
    if (strcmp(pr_cell(was, 0, 0), "done") == 0)
        return api_change_fail(c, 409, err, PR_ECONFLICT, "it has ended already");
    c->before = api_from_sql(pr_cell(was, 0, 1));
    rc = pr_db_exec(db,
                    "UPDATE dr_cluster_restores r SET canceled_by = $2 WHERE r.id = $1 "
                    "RETURNING " RESTORE_JSON,
                    PR_ARGS(id, pr_text(api_who(c->req))), &now, err);
    if (rc != PR_OK)
        return rc;
    c->status = 202;
    return api_change_took(c, api_from_sql(pr_cell(now, 0, 0)), err);
}

void api_cluster_restore_cancel(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    uint64_t id;
    int64_t number;
    struct api_change c = { .action = "dr.restore.cancel", .fn = cancel, .in = &number };
    if (!restore_id(req, &id, res))
        return;
    number = (int64_t)id;
    api_change_run(ctx, &c, req, res);
}
