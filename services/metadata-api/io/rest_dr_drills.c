/* /v1/dr/drills: restores to scratch, held by the dr service. A row that is inserted here is the
 * order; whoever holds the lease dr-life looks for one every second. */
#include "api_check.h"
#include "change.h"

#include <inttypes.h>
#include <string.h>

#define DRILL_JSON                                                                                 \
    "json_build_object('id', d.id, 'shard', d.shard_id, 'state', d.state, 'outcome', d.outcome, "  \
    "'reason', d.reason, 'askedBy', d.asked_by, 'createdAt', d.created_at, 'startedAt', "          \
    "d.started_at, 'finishedAt', d.finished_at, 'generation', d.generation, "                      \
    "'skippedGenerations', d.skipped, 'listMs', d.list_ms, 'fetchMs', d.fetch_ms, 'loadMs', "      \
    "d.load_ms, 'rtoMs', d.rto_ms, 'rpoMs', d.rpo_ms, 'heartbeatAt', d.beat_at, 'baseBytes', "     \
    "d.base_bytes, 'streamBytes', d.stream_bytes, 'keys', d.keys)"

void api_drill_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const char *const filters[] = { "shard", "state", "outcome" };
    static const struct api_list list = {
        "drills",
        "SELECT d.id::text, " DRILL_JSON " FROM dr_drills d "
        "WHERE ($1::text IS NULL OR d.id < $1::text::bigint) "
        "AND ($3::text IS NULL OR d.shard_id = $3) AND ($4::text IS NULL OR d.state = $4) "
        "AND ($5::text IS NULL OR d.outcome = $5) ORDER BY d.id DESC LIMIT $2::bigint",
        filters, PR_COUNT(filters)
    };
    api_list_rows(ctx, &list, req, res);
}

void api_drill_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    uint64_t id = 0;
    if (!api_number_parse(req->param[0], INT64_MAX, &id)) {
        pr_http_problem(res, 400, "Bad drill", "a drill's number", "id");
        return;
    }
    struct pr_arg arg = pr_i64((int64_t)id);
    api_get_row(ctx, "SELECT " DRILL_JSON " FROM dr_drills d WHERE id = $1", &arg,
                pr_arena_printf(req->arena, "drill %" PRIu64, id), req, res);
}

struct wanted_drill {
    const char *shard; /* NULL: all */
};

/* A shard that has an open drill gets no second one: that one is answered. */
static enum pr_code create(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct wanted_drill *in = c->in;
    PR_AUTO(PGresult) *row = NULL;
    const struct pr_arg shard = pr_text(in->shard);
    enum pr_code rc =
        pr_db_exec(db,
                   "INSERT INTO dr_drills (shard_id, asked_by) SELECT id, $2 FROM shards "
                   "WHERE slots > 0 AND ($1::text IS NULL OR id = $1) ORDER BY id "
                   "ON CONFLICT DO NOTHING",
                   PR_ARGS(shard, pr_text(api_who(c->req))), NULL, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "SELECT json_build_object('drills', json_agg(" DRILL_JSON
                        " ORDER BY d.id)) FROM dr_drills d WHERE d.state <> 'done' "
                        "AND ($1::text IS NULL OR d.shard_id = $1) HAVING count(*) > 0",
                        &shard, 1, &row, err);
    if (rc != PR_OK)
        return rc;
    if (PQntuples(row) == 0)
        return api_change_fail_at(c, 404, "shard", err, PR_ENOTFOUND,
                                  "no shard%s%.63s serves slots", in->shard != NULL ? " " : "",
                                  in->shard != NULL ? in->shard : "");
    snprintf(c->resource, sizeof c->resource, "dr/drills");
    c->after = api_from_sql(pr_cell(row, 0, 0));
    c->status = 202;
    return PR_OK;
}

void api_drill_create(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const struct api_member members[] = {
        { "shard", API_STRING, 0, offsetof(struct wanted_drill, shard), 0 },
    };
    struct wanted_drill w = { NULL };
    struct api_errors errs = { 0 };
    struct api_change c = { .action = "dr.drill", .fn = create, .in = &w };
    PR_AUTO(json_t) *body = req->body_len == 0 ? json_object() : api_body(req, res);
    if (body == NULL)
        return;
    api_members(body, "", members, PR_COUNT(members), &w, &errs);
    if (errs.n > 0)
        api_refuse(res, 400, "Bad request", &errs);
    else
        api_change_run(ctx, &c, req, res);
}
