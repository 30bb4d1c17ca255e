/* /v1/placement/runs: compute where every vertex should be; /v1/placement/report: what the newest
 * that is done found. */
#include "change.h"
#include "prism/io/outbox.h"
#include "prism/v1/placement.pb-c.h"

#include <inttypes.h>
#include <string.h>

/* In lists without the report, which may be long. */
#define RUN_MEMBERS                                                                                \
    "'id', id, 'operationId', operation_id, 'state', state, 'source', source, 'params', params, "  \
    "'error', error, 'createdBy', created_by, 'createdAt', created_at, 'startedAt', started_at, "  \
    "'finishedAt', finished_at, 'revision', revision"
#define RUN_JSON "json_build_object(" RUN_MEMBERS ", 'report', report)"

void api_run_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const char *const filters[] = { "state" };
    static const struct api_list list = {
        "runs",
        "SELECT id::text, json_build_object(" RUN_MEMBERS ") FROM placement_runs "
        "WHERE ($1::text IS NULL OR id < $1::text::bigint) "
        "AND ($3::text IS NULL OR state = $3) ORDER BY placement_runs.id DESC LIMIT $2::bigint",
        filters, 1
    };
    api_list_rows(ctx, &list, req, res);
}

void api_run_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    uint64_t id = 0;
    if (!api_number_parse(req->param[0], INT64_MAX, &id)) {
        pr_http_problem(res, 400, "Bad run", "a placement run's number", "id");
        return;
    }
    struct pr_arg arg = pr_i64((int64_t)id);
    api_get_row(ctx, "SELECT " RUN_JSON " FROM placement_runs WHERE id = $1", &arg,
                pr_arena_printf(req->arena, "placement run %" PRIu64, id), req, res);
}

void api_report_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    PR_AUTO(PGresult) *row =
        api_one_row(ctx, "SELECT " RUN_JSON " FROM placement_runs WHERE id = " API_NEWEST_RUN, NULL,
                    0, "a placement run that is done", res);
    if (row != NULL)
        api_reply_row(req, res, pr_cell(row, 0, 0));
}

struct wanted_run {
    struct api_run_in run;
    json_t *capacity, *fixed; /* of the body; borrowed */
    char *source, *params;    /* JSON to store */
};

static enum pr_code create(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct wanted_run *in = c->in;
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "INSERT INTO placement_runs (operation_id, source, params, created_by) "
        "VALUES (gen_random_uuid(), $1::jsonb, $2::jsonb, $3) RETURNING id, "
        "operation_id, " RUN_JSON,
        PR_ARGS(pr_text(in->source), pr_text(in->params), pr_text(api_who(c->req))), &row, err);
    if (rc != PR_OK)
        return rc;
    const int64_t id = pr_cell_i64(row, 0, 0);
    snprintf(c->resource, sizeof c->resource, "placement/runs/%" PRId64, id);
    c->after = api_from_sql(pr_cell(row, 0, 2));
    c->etag = (uint64_t)json_integer_value(json_object_get(c->after, "revision"));
    c->status = 202;
    rc = api_change_operation(db, c, pr_cell(row, 0, 1), "placement.run", err);
    if (rc != PR_OK)
        return rc;

    Prism__V1__PlacementRunRequest m = PRISM__V1__PLACEMENT_RUN_REQUEST__INIT;
    m.run_id = (uint64_t)id;
    m.operation_id = c->operation;
    uint8_t packed[128];
    return pr_outbox_add(db, "prism.cmd.placement.run", packed,
                         prism__v1__placement_run_request__pack(&m, packed), err);
}

static void check_objects(const struct wanted_run *w, struct api_errors *errs)
{
    const char *key;
    json_t *value;
    json_object_foreach(w->capacity, key, value)
        api_check_capacity(key, json_is_number(value) ? json_number_value(value) : -1, errs);
    if (json_object_size(w->fixed) > API_MAX_FIXED) {
        api_error(errs, "params.fixed", "at most %d vertices: give a file with fixedFile",
                  API_MAX_FIXED);
        return;
    }
    json_object_foreach(w->fixed, key, value) api_check_fixed(key, json_string_value(value), errs);
}

static void read_run(const json_t *body, struct wanted_run *w, struct api_errors *errs)
{
    struct top {
        json_t *source, *params;
    } top = { NULL, NULL };
    static const struct api_member members[] = {
        { "source", API_OBJECT, API_REQUIRED, offsetof(struct top, source), 0 },
        { "params", API_OBJECT, 0, offsetof(struct top, params), 0 },
    };
    static const struct api_member source[] = {
        { "file", API_STRING, API_REQUIRED, offsetof(struct wanted_run, run.file), 0 },
        { "format", API_STRING, 0, offsetof(struct wanted_run, run.format), 0 },
    };
#define NUMBER(name, kind, field)                                                                  \
    {                                                                                              \
        name, kind, 0, offsetof(struct wanted_run, run.field),                                     \
            offsetof(struct wanted_run, run.has_##field)                                           \
    }
    static const struct api_member params[] = {
        { "kind", API_STRING, 0, offsetof(struct wanted_run, run.kind), 0 },
        { "mode", API_STRING, 0, offsetof(struct wanted_run, run.mode), 0 },
        { "parts", API_STRING, 0, offsetof(struct wanted_run, run.parts), 0 },
        NUMBER("seed", API_INTEGER, seed),
        NUMBER("seeds", API_INTEGER, seeds),
        NUMBER("imbalance", API_NUMBER, imbalance),
        NUMBER("movePrice", API_NUMBER, move_price),
        NUMBER("moveCap", API_INTEGER, move_cap),
        { "capacity", API_OBJECT, 0, offsetof(struct wanted_run, capacity), 0 },
        { "fixed", API_OBJECT, 0, offsetof(struct wanted_run, fixed), 0 },
        { "fixedFile", API_STRING, 0, offsetof(struct wanted_run, run.fixed_file), 0 },
    };
#undef NUMBER
    api_members(body, "", members, PR_COUNT(members), &top, errs);
    if (top.source != NULL)
        api_members(top.source, "source.", source, PR_COUNT(source), w, errs);
    if (top.params != NULL)
        api_members(top.params, "params.", params, PR_COUNT(params), w, errs);
    if (errs->n == 0)
        api_check_run(&w->run, errs);
    if (errs->n == 0)
        check_objects(w, errs);
}

static void set_text(json_t *o, const char *name, const char *text)
{
    if (text != NULL)
        json_object_set_new(o, name, json_string(text));
}

static bool write_run(struct wanted_run *w)
{
    const struct api_run_in *in = &w->run;
    PR_AUTO(json_t) *source = json_pack("{s:s}", "file", in->file);
    PR_AUTO(json_t) *params = json_object();
    set_text(source, "format", in->format);
    set_text(params, "kind", in->kind);
    set_text(params, "mode", in->mode);
    set_text(params, "parts", in->parts);
    set_text(params, "fixed_file", in->fixed_file);
    if (in->has_seed)
        json_object_set_new(params, "seed", json_integer(in->seed));
    if (in->has_seeds)
        json_object_set_new(params, "seeds", json_integer(in->seeds));
    if (in->has_imbalance)
        json_object_set_new(params, "imbalance", json_real(in->imbalance));
    if (in->has_move_price)
        json_object_set_new(params, "move_price", json_real(in->move_price));
    if (in->has_move_cap)
        json_object_set_new(params, "move_cap", json_integer(in->move_cap));
    if (w->capacity != NULL)
        json_object_set(params, "capacity", w->capacity);
    if (w->fixed != NULL)
        json_object_set(params, "fixed", w->fixed);
    w->source = json_dumps(source, JSON_COMPACT);
    w->params = json_dumps(params, JSON_COMPACT);
    return w->source != NULL && w->params != NULL;
}

void api_run_create(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct wanted_run in = { 0 };
    struct api_errors errs = { 0 };
    struct api_change c = { .action = "placement.run.create", .fn = create, .in = &in };
    PR_AUTO(json_t) *body = api_body(req, res);
    if (body == NULL)
        return;
    read_run(body, &in, &errs);
    if (errs.n > 0)
        api_refuse(res, 400, "Bad request", &errs);
    else if (!write_run(&in))
        pr_http_problem(res, 500, "Out of memory", "no memory for the request", NULL);
    else
        api_change_run(ctx, &c, req, res);
    free(in.source);
    free(in.params);
}
