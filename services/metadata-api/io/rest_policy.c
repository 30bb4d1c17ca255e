/* /v1/rebalance/policy: what may run by itself, and when; /v1/rebalance:stop and
 * :start: whether anything may run at all. */
#include "api_goal.h"
#include "rest_plans.h"

#include <string.h>

#define POLICY_JSON                                                                                \
    "(json_build_object('auto', coalesce(spec->'auto', '[]'), 'window', spec->'window', "          \
    "'maxBytes', spec->'maxBytes', 'maxSlots', spec->'maxSlots', 'halted', halted, 'changedBy', "  \
    "changed_by, 'changedAt', changed_at, 'revision', revision))"
#define OF_REBALANCE "policies WHERE name = 'rebalance'"

void api_policy_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct pr_arg name = pr_text("rebalance");
    api_get_row(ctx, "SELECT " POLICY_JSON " FROM policies WHERE name = $1", &name,
                "the policy of rebalance", req, res);
}

enum pr_code api_not_halted(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT coalesce(a.principal, changed_by), to_char(coalesce(a.at, changed_at) "
        "AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM policies LEFT JOIN LATERAL "
        "(SELECT principal, at FROM audit WHERE action = 'rebalance.stop' ORDER BY id DESC "
        "LIMIT 1) a ON true WHERE name = 'rebalance' AND halted",
        NULL, 0, &row, err);
    if (rc == PR_OK && PQntuples(row) > 0)
        return api_change_fail(c, 409, err, PR_ECONFLICT,
                               "everything was stopped by %s at %s UTC: start it first "
                               "(POST /v1/rebalance:start, prismctl rebalance start)",
                               pr_cell(row, 0, 0), pr_cell(row, 0, 1));
    return rc;
}

/* The row, locked, as it was before the change. */
static enum pr_code lock(struct pr_db *db, struct api_change *c, bool required, struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    snprintf(c->resource, sizeof c->resource, "rebalance/policy");
    enum pr_code rc =
        pr_db_exec(db, "SELECT revision, " POLICY_JSON " FROM " OF_REBALANCE " FOR UPDATE", NULL, 0,
                   &row, err);
    if (rc == PR_OK && PQntuples(row) == 0)
        return pr_fail(err, PR_EDATA, "table policies has no row for rebalance");
    if (rc != PR_OK)
        return rc;
    c->before = api_from_sql(pr_cell(row, 0, 1));
    return api_change_precondition(c, (uint64_t)pr_cell_i64(row, 0, 0), required, err);
}

static enum pr_code changed(struct pr_db *db, struct api_change *c, const char *what,
                            struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc =
        pr_db_exec(db, "SELECT " POLICY_JSON " FROM " OF_REBALANCE, NULL, 0, &row, err);
    if (rc == PR_OK)
        rc = api_change_took(c, api_from_sql(pr_cell(row, 0, 0)), err);
    c->status = rc == PR_OK ? 200 : c->status;
    return rc == PR_OK ? api_change_event(db, c, c->revision, what, err) : rc;
}

/* --- stop and start ---------------------------------------------------------- */

/* Asking again for what is so already changes nothing, not even its revision. Stopping is the
 * brake and has no condition; who starts must have seen who stopped last. */
static enum pr_code halt(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const bool stop = *(const bool *)c->in;
    enum pr_code rc = lock(db, c, !stop, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "UPDATE policies SET halted = $1, changed_by = $2, changed_at = now() "
                        "WHERE name = 'rebalance' AND halted <> $1",
                        PR_ARGS(pr_bool(stop), pr_text(api_who(c->req))), NULL, err);
    return rc == PR_OK ? changed(db, c, stop ? "stopped" : "started", err) : rc;
}

void api_rebalance_stop(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const bool stop = true;
    struct api_change c = { .action = "rebalance.stop", .fn = halt, .in = &stop };
    api_change_run(ctx, &c, req, res);
}

void api_rebalance_start(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const bool stop = false;
    struct api_change c = { .action = "rebalance.start", .fn = halt, .in = &stop };
    api_change_run(ctx, &c, req, res);
}

/* --- the policy ---------------------------------------------------------------- */

struct wanted_policy {
    struct api_policy_in in;
    char *spec; /* JSON to store */
};

static enum pr_code time_zone_exists(struct pr_db *db, struct api_change *c, const char *name,
                                     struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    if (name == NULL)
        return PR_OK;
    enum pr_code rc = pr_db_exec(db, "SELECT 1 FROM pg_timezone_names WHERE name = $1",
                                 PR_ARGS(pr_text(name)), &row, err);
    if (rc == PR_OK && PQntuples(row) == 0)
        return api_change_fail_at(c, 400, "window.timeZone", err, PR_EINVAL,
                                  "there is no time zone %.60s", name);
    return rc;
}

static enum pr_code put(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct wanted_policy *w = c->in;
    enum pr_code rc = lock(db, c, true, err);
    if (rc == PR_OK)
        rc = time_zone_exists(db, c, w->in.time_zone, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "UPDATE policies SET spec = $1::jsonb, changed_by = $2, "
                        "changed_at = now() WHERE name = 'rebalance'",
                        PR_ARGS(pr_text(w->spec), pr_text(api_who(c->req))), NULL, err);
    return rc == PR_OK ? changed(db, c, "changed", err) : rc;
}

static void read_policy(const json_t *body, struct pr_arena *arena, struct api_policy_in *in,
                        struct api_errors *errs)
{
    struct top {
        struct api_policy_in in;
        json_t *automatic, *window;
    } top = { 0 };
    static const struct api_member members[] = {
        { "auto", API_ARRAY, API_NULLABLE, offsetof(struct top, automatic), 0 },
        { "window", API_OBJECT, API_NULLABLE, offsetof(struct top, window), 0 },
        { "maxBytes", API_NUMBER, API_NULLABLE, offsetof(struct top, in.max_bytes), 0 },
        { "maxSlots", API_INTEGER, API_NULLABLE, offsetof(struct top, in.max_slots), 0 },
    };
    static const struct api_member window[] = {
        { "cron", API_STRING, API_REQUIRED, offsetof(struct api_policy_in, cron), 0 },
        { "timeZone", API_STRING, API_REQUIRED, offsetof(struct api_policy_in, time_zone), 0 },
        { "minutes", API_INTEGER, API_REQUIRED, offsetof(struct api_policy_in, minutes), 0 },
    };
    api_members(body, "", members, PR_COUNT(members), &top, errs);
    *in = top.in;
    in->has_window = top.window != NULL;
    in->has_max_bytes = json_is_number(json_object_get(body, "maxBytes"));
    in->has_max_slots = json_is_integer(json_object_get(body, "maxSlots"));
    if (top.window != NULL)
        api_members(top.window, "window.", window, PR_COUNT(window), in, errs);
    in->n_automatic = json_array_size(top.automatic);
    const char **names = pr_arena_alloc(arena, (in->n_automatic + 1) * sizeof *names);
    for (size_t i = 0; names != NULL && i < in->n_automatic; i++)
        names[i] = json_string_value(json_array_get(top.automatic, i));
    in->automatic = names;
    in->n_automatic = names == NULL ? 0 : in->n_automatic;
    if (errs->n == 0)
        api_check_policy(in, errs);
}

/* Without what was null. */
static char *spec_of(const json_t *body)
{
    const char *name;
    json_t *value;
    PR_AUTO(json_t) *spec = json_object();
    json_object_foreach((json_t *)body, name, value) if (!json_is_null(value))
        json_object_set(spec, name, value);
    return spec == NULL ? NULL : json_dumps(spec, JSON_COMPACT);
}

void api_policy_put(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct wanted_policy w = { 0 };
    struct api_errors errs = { 0 };
    struct api_change c = { .action = "rebalance.policy", .fn = put, .in = &w };
    PR_AUTO(json_t) *body = api_body(req, res);
    if (body == NULL)
        return;
    read_policy(body, req->arena, &w.in, &errs);
    if (errs.n > 0) {
        api_refuse(res, 400, "Bad request", &errs);
        return;
    }
    w.spec = spec_of(body);
    if (w.spec == NULL)
        pr_http_problem(res, 500, "Out of memory", "no memory for the request", NULL);
    else
        api_change_run(ctx, &c, req, res);
    free(w.spec);
}
