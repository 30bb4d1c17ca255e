/* /v1/autoscale/decisions: what was decided, from what, why, and what came of it. */
#include "rest_scale.h"

#include <inttypes.h>
#include <string.h>

enum { MOVE, STATE, ALARM, SINCE, UNTIL, FLEET, FILTERS };
static const char *const filters[FILTERS] = { "move", "state", "alarm", "since", "until", "fleet" };

static void check_time(const char *field, const char *text, struct api_errors *errs)
{
    int64_t ms;
    if (text != NULL && !api_time_parse(text, &ms))
        api_error(errs, field, "a time such as 2026-11-21T10:05:00Z");
}

static bool filters_fit(const struct pr_http_req *req, struct pr_http_res *res)
{
    struct api_errors errs = { 0 };
    const char *alarm = pr_http_query(req, filters[ALARM]);
    api_check_words(filters[MOVE], pr_http_query(req, filters[MOVE]), API_MOVES, &errs);
    api_check_words(filters[STATE], pr_http_query(req, filters[STATE]), API_DECISION_STATES, &errs);
    if (alarm != NULL && strcmp(alarm, "true") != 0 && strcmp(alarm, "false") != 0)
        api_error(&errs, filters[ALARM], "true or false");
    check_time(filters[SINCE], pr_http_query(req, filters[SINCE]), &errs);
    check_time(filters[UNTIL], pr_http_query(req, filters[UNTIL]), &errs);
    if (errs.n > 0)
        api_refuse(res, 400, "Bad request", &errs);
    return errs.n == 0;
}

void api_decision_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const struct api_list list = {
        "autoscale-decisions",
        "SELECT d.id::text, json_build_object(" API_DECISION_MEMBERS ") FROM autoscale_decisions d "
        "WHERE ($1::text IS NULL OR d.id < $1::text::bigint) "
        "AND ($3::text IS NULL OR d.move = ANY (string_to_array($3, ','))) "
        "AND ($4::text IS NULL OR d.state = ANY (string_to_array($4, ','))) "
        "AND ($5::text IS NULL OR d.alarm = $5::text::boolean) "
        "AND ($6::text IS NULL OR d.at >= $6::text::timestamptz) "
        "AND ($7::text IS NULL OR d.at < $7::text::timestamptz) "
        "AND ($8::text IS NULL OR d.fleet = $8) ORDER BY d.id DESC LIMIT $2::bigint",
        filters, FILTERS
    };
    if (filters_fit(req, res))
        api_list_rows(ctx, &list, req, res);
}

bool api_decision_id(const struct pr_http_req *req, struct pr_http_res *res, int64_t *id)
{
    uint64_t v = 0;
    const bool ok = api_number_parse(req->param[0], INT64_MAX, &v);
    if (!ok)
        pr_http_problem(res, 400, "Bad decision", "a decision's number", "id");
    *id = (int64_t)v;
    return ok;
}

/* The row of `sql` for the {id} of the path; NULL after writing a problem. */
static PGresult *row_of(struct api *api, const char *sql, const struct pr_http_req *req,
                        struct pr_http_res *res)
{
    int64_t id;
    if (!api_decision_id(req, res, &id))
        return NULL;
    return api_one_row(api, sql, PR_ARGS(pr_i64(id)),
                       pr_arena_printf(req->arena, "decision %" PRId64, id), res);
}

bool api_decision_exists(struct api *api, int64_t id, struct pr_http_res *res)
{
    char what[40];
    snprintf(what, sizeof what, "decision %" PRId64, id);
    PGresult *row = api_one_row(api, "SELECT 1 FROM autoscale_decisions WHERE id = $1",
                                PR_ARGS(pr_i64(id)), what, res);
    PQclear(row);
    return row != NULL;
}

void api_decision_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    PR_AUTO(PGresult) *row =
        row_of(ctx,
               "SELECT d.revision, json_build_object(" API_DECISION_MEMBERS
               ", 'report', d.report, 'decision', d.decision) FROM autoscale_decisions d "
               "WHERE d.id = $1",
               req, res);
    if (row == NULL)
        return;
    api_etag(req, res, (uint64_t)pr_cell_i64(row, 0, 0));
    api_reply_text(res, pr_cell(row, 0, 1));
}

/* As `prism-autoscale decide` reads it, to the byte. */
void api_decision_input(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    PR_AUTO(PGresult) *row =
        row_of(ctx, "SELECT input FROM autoscale_decisions WHERE id = $1", req, res);
    if (row != NULL)
        api_reply_text(res, pr_cell(row, 0, 0));
}

/* --- why ----------------------------------------------------------------------- */

/* supersededBy: the next one that moves. */
static const char FACTS[] =
    "SELECT json_build_object('row', json_build_object(" API_DECISION_MEMBERS
    "), 'report', d.report, 'decision', d.decision, 'input', d.input, "
    "'plan', (SELECT json_build_object('id', p.id, 'state', p.state, 'error', p.error) "
    "FROM plans p WHERE p.id = d.plan_id), 'supersededBy', (SELECT l.id "
    "FROM autoscale_decisions l WHERE d.state = 'superseded' AND l.fleet = d.fleet "
    "AND l.id > d.id AND l.move IN ('out', 'in') ORDER BY l.id LIMIT 1)) "
    "FROM autoscale_decisions d WHERE d.id = $1";

static bool add_note(json_t *explained)
{
    struct pr_buf text;
    pr_buf_init(&text, 0);
    api_decision_note(explained, &text);
    const bool ok =
        !text.failed && json_object_set_new(explained, "text",
                                            json_string(text.data == NULL ? "" : text.data)) == 0;
    pr_buf_done(&text);
    return ok;
}

void api_decision_explain(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    PR_AUTO(PGresult) *row = row_of(ctx, FACTS, req, res);
    if (row == NULL)
        return;
    PR_AUTO(json_t) *facts = json_loads(pr_cell(row, 0, 0), 0, NULL);
    json_t *explained = facts == NULL ? NULL : api_decision_explained(facts);
    if (explained != NULL && !add_note(explained)) {
        json_decref(explained);
        explained = NULL;
    }
    api_reply(res, 200, explained);
}
