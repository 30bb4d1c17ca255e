/* /v1/autoscale/fleets: what is scaled, by which settings, in which versions. */
#include "rest_scale.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FLEET_MEMBERS                                                                              \
    "'name', f.name, 'version', f.version, 'enabled', f.enabled, 'mode', "                         \
    "coalesce(f.settings->>'mode', 'advise'), 'policy', "                                          \
    "coalesce(f.settings->'policies'->0->>'policy', 'adaptive'), 'changedBy', f.changed_by, "      \
    "'changedAt', f.changed_at"
/* Where it stands: what is wanted, measured and decided. */
#define FLEET_STATE                                                                                \
    "'desired', (SELECT s.desired FROM autoscale_state s WHERE s.fleet = f.name), "                \
    "'evaluatedAt', (SELECT s.evaluated_at FROM autoscale_state s WHERE s.fleet = f.name), "       \
    "'sample', (SELECT json_build_object('at', m.at, 'cpuPct', m.cpu_pct, 'memoryPct', "           \
    "m.memory_pct, 'networkBps', m.network_bps, 'backlog', m.backlog, 'load', m.load, "            \
    "'serving', nullif(m.serving, 0), 'silent', m.silent) FROM autoscale_samples m "               \
    "WHERE m.fleet = f.name ORDER BY m.at DESC LIMIT 1), "                                         \
    "'decision', (SELECT json_build_object(" API_DECISION_MEMBERS                                  \
    ") FROM autoscale_decisions d WHERE d.fleet = f.name ORDER BY d.id DESC LIMIT 1)"

bool api_fleet_name(const struct pr_http_req *req, struct pr_http_res *res)
{
    const bool ok = api_fleet_name_valid(req->param[0]);
    if (!ok)
        pr_http_problem(res, 400, "Bad fleet", "1 to 63 of a-z, 0-9 and '-', not starting with '-'",
                        "id");
    return ok;
}

bool api_fleet_exists(struct api *api, const char *fleet, struct pr_http_res *res)
{
    char what[80];
    snprintf(what, sizeof what, "fleet %.63s", fleet);
    PGresult *row = api_one_row(api, "SELECT 1 FROM autoscale_fleets WHERE name = $1",
                                PR_ARGS(pr_text(fleet)), what, res);
    PQclear(row);
    return row != NULL;
}

void api_reply_text(struct pr_http_res *res, const char *json)
{
    res->status = 200;
    pr_buf_str(&res->body, json);
    if (res->body.failed)
        pr_http_problem(res, 500, "Out of memory", "the answer could not be written", NULL);
}

/* --- reading ------------------------------------------------------------------- */

void api_fleet_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const struct api_list list = {
        "autoscale-fleets",
        "SELECT f.name, json_build_object(" FLEET_MEMBERS ", " FLEET_STATE
        ") FROM autoscale_fleets f "
        "WHERE ($1::text IS NULL OR f.name COLLATE \"C\" > $1::text) "
        "ORDER BY f.name COLLATE \"C\" LIMIT $2::bigint",
        NULL, 0
    };
    api_list_rows(ctx, &list, req, res);
}

void api_fleet_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    const char *name = req->param[0];
    if (!api_fleet_name(req, res))
        return;
    PR_AUTO(PGresult) *row =
        api_one_row(ctx,
                    "SELECT f.version, json_build_object(" FLEET_MEMBERS ", " FLEET_STATE
                    ", 'settings', f.settings) FROM autoscale_fleets f WHERE f.name = $1",
                    PR_ARGS(pr_text(name)), pr_arena_printf(req->arena, "fleet %s", name), res);
    if (row == NULL)
        return;
    api_etag(req, res, (uint64_t)pr_cell_i64(row, 0, 0));
    api_reply_text(res, pr_cell(row, 0, 1));
}

void api_fleet_versions(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const struct api_list list = {
        "autoscale-versions",
        "SELECT version::text, json_build_object('name', fleet, 'version', version, 'enabled', "
        "enabled, 'changedBy', changed_by, 'changedAt', changed_at) FROM autoscale_settings "
        "WHERE fleet = $3 AND ($1::text IS NULL OR version < $1::text::bigint) "
        "ORDER BY autoscale_settings.version DESC LIMIT $2::bigint",
        NULL, 0
    };
    if (api_fleet_name(req, res) && api_fleet_exists(ctx, req->param[0], res))
        api_list_rows_of(ctx, &list, req->param[0], req, res);
}

void api_fleet_version(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    const char *name = req->param[0];
    uint64_t version = 0;
    if (!api_fleet_name(req, res))
        return;
    if (!api_number_parse(req->param[1], INT64_MAX, &version)) {
        pr_http_problem(res, 400, "Bad version", "a version's number", "version");
        return;
    }
    PR_AUTO(PGresult) *row = api_one_row(
        ctx,
        "SELECT json_build_object('name', fleet, 'version', version, 'enabled', enabled, "
        "'changedBy', changed_by, 'changedAt', changed_at, 'settings', settings) "
        "FROM autoscale_settings WHERE fleet = $1 AND version = $2",
        PR_ARGS(pr_text(name), pr_i64((int64_t)version)),
        pr_arena_printf(req->arena, "version %" PRIu64 " of fleet %s", version, name), res);
    if (row != NULL)
        api_reply_text(res, pr_cell(row, 0, 0));
}

/* --- changing ------------------------------------------------------------------ */

struct wanted_fleet {
    const char *name, *body; /* body: JSON as it came, for PostgreSQL to take apart: every digit */
    bool enabled, has_enabled;
    bool verb; /* :enable or :disable: there are no settings in it */
    json_t *settings;
};

/* The fleet as a change's before or after; NULL: there is none, or no memory (err). */
static enum pr_code look(struct pr_db *db, const char *name, bool lock, json_t **out,
                         uint64_t *version, uint64_t *revision, struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    static const char sql[] = "SELECT f.version, f.revision, json_build_object(" FLEET_MEMBERS
                              ", 'settings', f.settings) FROM autoscale_fleets f WHERE name = $1";
    static const char locked[] =
        "SELECT f.version, f.revision, json_build_object(" FLEET_MEMBERS
        ", 'settings', f.settings) FROM autoscale_fleets f WHERE name = $1 FOR UPDATE";
    enum pr_code rc = pr_db_exec(db, lock ? locked : sql, PR_ARGS(pr_text(name)), &row, err);
    *out = NULL;
    *version = *revision = 0;
    if (rc != PR_OK || PQntuples(row) == 0)
        return rc;
    *version = (uint64_t)pr_cell_i64(row, 0, 0);
    *revision = (uint64_t)pr_cell_i64(row, 0, 1);
    *out = json_loads(pr_cell(row, 0, 2), 0, NULL);
    return *out == NULL ? pr_fail(err, PR_ENOMEM, "fleet %s", name) : PR_OK;
}

static enum pr_code changed(struct pr_db *db, struct api_change *c, const char *what,
                            struct pr_err *err)
{
    const struct wanted_fleet *w = c->in;
    uint64_t revision;
    enum pr_code rc = look(db, w->name, false, &c->after, &c->etag, &revision, err);
    if (rc != PR_OK)
        return rc;
    c->status = c->created ? 201 : 200;
    return api_change_event(db, c, revision, what, err);
}

static enum pr_code make(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct wanted_fleet *w = c->in;
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc =
        pr_db_exec(db,
                   "INSERT INTO autoscale_fleets (name, settings, enabled, changed_by) "
                   "VALUES ($1, ($2::text)::jsonb->'settings', $3, $4) "
                   "ON CONFLICT (name) DO NOTHING RETURNING 1",
                   PR_ARGS(pr_text(w->name), pr_text(w->body),
                           pr_bool(!w->has_enabled || w->enabled), pr_text(api_who(c->req))),
                   &row, err);
    if (rc == PR_OK && PQntuples(row) == 0)
        return api_change_fail(c, 412, err, PR_ECONFLICT, "fleet %s was made meanwhile", w->name);
    c->created = true;
    return rc == PR_OK ? changed(db, c, "created", err) : rc;
}

/* Settings that are the same make no new version. */
static enum pr_code update(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct wanted_fleet *w = c->in;
    enum pr_code rc = pr_db_exec(
        db,
        "UPDATE autoscale_fleets SET settings = coalesce(($2::text)::jsonb->'settings', "
        "settings), enabled = coalesce($3::boolean, enabled), changed_by = $4 WHERE name = $1 AND "
        "(settings IS DISTINCT FROM coalesce(($2::text)::jsonb->'settings', settings) "
        "OR enabled IS DISTINCT FROM coalesce($3::boolean, enabled))",
        PR_ARGS(pr_text(w->name), pr_text(w->verb ? NULL : w->body),
                w->has_enabled ? pr_bool(w->enabled) : pr_text(NULL), pr_text(api_who(c->req))),
        NULL, err);
    return rc == PR_OK ? changed(db, c, "changed", err) : rc;
}

static enum pr_code put(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct wanted_fleet *w = c->in;
    const bool anew = pr_http_header(c->req, "If-None-Match") != NULL;
    uint64_t version, revision;
    c->created = false; /* of an earlier try of the transaction */
    snprintf(c->resource, sizeof c->resource, "autoscale/fleets/%s", w->name);
    enum pr_code rc = look(db, w->name, true, &c->before, &version, &revision, err);
    if (rc != PR_OK)
        return rc;
    if (c->before == NULL && anew)
        return make(db, c, err);
    if (c->before == NULL && !w->verb && pr_http_header(c->req, "If-Match") == NULL)
        return api_change_fail(c, 428, err, PR_EINVAL,
                               "fleet %s does not exist: send If-None-Match: * to make it",
                               w->name);
    if (c->before == NULL)
        return api_change_fail(c, 404, err, PR_ENOTFOUND, "fleet %s does not exist", w->name);
    if (anew)
        return api_change_fail(c, 412, err, PR_ECONFLICT, "fleet %s exists, with version %" PRIu64,
                               w->name, version);
    /* Who lets it be scaled must have seen by what; disabling is the brake. */
    rc = api_change_precondition(c, version, !w->verb || w->enabled, err);
    return rc == PR_OK ? update(db, c, err) : rc;
}

/* Creating says If-None-Match: *, replacing says If-Match; both at once is nonsense. */
static bool conditions_fit(const struct pr_http_req *req, struct pr_http_res *res)
{
    const char *none = pr_http_header(req, "If-None-Match");
    if (none == NULL)
        return true;
    const bool fit = strcmp(none, "*") == 0 && pr_http_header(req, "If-Match") == NULL;
    if (!fit)
        pr_http_problem(res, 400, "Bad request", "If-None-Match is *, and not beside If-Match",
                        "If-None-Match");
    return fit;
}

static bool read_fleet(const struct pr_http_req *req, const json_t *body, struct wanted_fleet *w,
                       struct pr_http_res *res)
{
    static const struct api_member members[] = {
        { "settings", API_OBJECT, API_REQUIRED, offsetof(struct wanted_fleet, settings), 0 },
        { "enabled", API_BOOLEAN, 0, offsetof(struct wanted_fleet, enabled),
          offsetof(struct wanted_fleet, has_enabled) },
    };
    struct api_errors errs = { 0 };
    api_members(body, "", members, PR_COUNT(members), w, &errs);
    w->name = req->param[0];
    w->body = pr_arena_strndup(req->arena, req->body, req->body_len);
    if (errs.n > 0)
        api_refuse(res, 400, "Bad request", &errs);
    else if (w->body == NULL)
        pr_http_problem(res, 500, "Out of memory", "no memory for the request", NULL);
    return errs.n == 0 && w->body != NULL;
}

void api_fleet_put(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct wanted_fleet w = { 0 };
    struct api_change c = { .action = "autoscale.settings", .fn = put, .in = &w };
    if (!api_fleet_name(req, res) || !conditions_fit(req, res))
        return;
    PR_AUTO(json_t) *body = api_body(req, res);
    if (body == NULL || !api_dry_run(req, &c.dry, res) || !read_fleet(req, body, &w, res))
        return;
    char *settings = json_dumps(w.settings, JSON_COMPACT);
    if (settings == NULL)
        pr_http_problem(res, 500, "Out of memory", "no memory for the request", NULL);
    else if (api_settings_fit(ctx, w.name, settings, res))
        api_change_run(ctx, &c, req, res);
    free(settings);
}

static void turn(struct api *api, bool on, const struct pr_http_req *req, struct pr_http_res *res)
{
    const struct wanted_fleet w = {
        .name = req->param[0], .enabled = on, .has_enabled = true, .verb = true
    };
    struct api_change c = { .action = on ? "autoscale.enable" : "autoscale.disable",
                            .fn = put,
                            .in = &w };
    if (api_fleet_name(req, res))
        api_change_run(api, &c, req, res);
}

void api_fleet_enable(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    turn(ctx, true, req, res);
}

void api_fleet_disable(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    turn(ctx, false, req, res);
}
