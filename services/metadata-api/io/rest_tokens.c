/* /v1/tokens: who has a token of ours. Only hashes are kept; a token is shown once, to whoever
 * makes it. */
#include "change.h"
#include "prism/io/clock.h"
#include "prism/io/token.h"

#include <string.h>

enum { DAY_MS = 86400 * 1000 };

#define TOKEN_JSON                                                                                 \
    "json_build_object('id', name, 'role', role, 'created_at', created_at, 'created_by', "         \
    "created_by, 'expires_at', CASE WHEN isfinite(expires_at) THEN expires_at END, 'revoked_at', " \
    "revoked_at, 'revoked_by', revoked_by, 'state', CASE WHEN revoked_at IS NOT NULL THEN "        \
    "'revoked' WHEN expires_at <= now() THEN 'expired' ELSE 'active' END)"

void api_token_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const char *const filters[] = { "role", "state", "createdBy" };
    static const struct api_list list = {
        "tokens",
        "SELECT name, doc FROM (SELECT name, role, created_by, " TOKEN_JSON
        " AS doc FROM api_tokens) t "
        "WHERE ($1::text IS NULL OR name COLLATE \"C\" > $1) "
        "AND ($3::text IS NULL OR role = $3) AND ($4::text IS NULL OR doc->>'state' = $4) "
        "AND ($5::text IS NULL OR created_by = $5) "
        "ORDER BY name COLLATE \"C\" LIMIT $2::bigint",
        filters, 3
    };
    api_list_rows(ctx, &list, req, res);
}

void api_token_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    const struct pr_arg name = pr_text(req->param[0]);
    api_get_row(ctx, "SELECT " TOKEN_JSON " FROM api_tokens WHERE name = $1", &name,
                pr_arena_printf(req->arena, "token %.80s", req->param[0]), req, res);
}

struct wanted {
    const char *name, *role, *expires_at; /* expires_at NULL: never */
    unsigned char hash[PR_TOKEN_HASH];
};

static enum pr_code make(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct wanted *in = c->in;
    PR_AUTO(PGresult) *row = NULL;
    snprintf(c->resource, sizeof c->resource, "tokens/%s", in->name);
    enum pr_code rc =
        pr_db_exec(db,
                   "INSERT INTO api_tokens (name, hash, role, expires_at, created_by) "
                   "VALUES ($1, $2, $3, $4::timestamptz, $5) RETURNING " TOKEN_JSON,
                   PR_ARGS(pr_text(in->name), pr_bytes(in->hash, PR_TOKEN_HASH), pr_text(in->role),
                           pr_text(in->expires_at), pr_text(api_who(c->req))),
                   &row, err);
    if (rc == PR_EEXISTS)
        return api_change_fail_at(c, 409, "id", err, rc,
                                  "token %s exists, or did: a name is one token's for good",
                                  in->name);
    if (rc != PR_OK)
        return rc;
    c->after = api_from_sql(pr_cell(row, 0, 0));
    c->status = 201;
    c->created = true;
    return c->after == NULL ? pr_fail(err, PR_ENOMEM, "token %s", in->name) : PR_OK;
}

/* max_d: what an administrator's may last. Whoever is one by an identity provider or a certificate
 * is so for a while, and makes nobody one for good. */
static void check_wanted(const struct wanted *in, int64_t max_d, struct api_errors *errs)
{
    enum api_role role;
    int64_t expires_ms = 0;
    if (!pr_token_name_valid(in->name))
        api_error(errs, "id", "1 to %d letters, digits, '.', '_' or '-'", PR_TOKEN_NAME - 1);
    if (!api_role_parse(in->role, &role))
        api_error(errs, "role", "viewer, operator or admin");
    if (in->expires_at != NULL && !pr_time_parse(in->expires_at, &expires_ms))
        api_error(errs, "expiresAt", "a time as 2030-01-31T12:00:00Z");
    else if (in->expires_at != NULL && expires_ms <= pr_now_ms())
        api_error(errs, "expiresAt", "is over");
    if (errs->n == 0 && role == API_ADMIN &&
        (in->expires_at == NULL || expires_ms > pr_now_ms() + max_d * DAY_MS))
        api_error(errs, "expiresAt", "at most %lld days from now for an admin's token",
                  (long long)max_d);
}

void api_token_create(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    const struct api *api = ctx;
    static const struct api_member members[] = {
        { "id", API_STRING, API_REQUIRED, offsetof(struct wanted, name), 0 },
        { "role", API_STRING, API_REQUIRED, offsetof(struct wanted, role), 0 },
        { "expiresAt", API_STRING, API_NULLABLE, offsetof(struct wanted, expires_at), 0 },
    };
    struct wanted in = { 0 };
    struct api_errors errs = { 0 };
    struct pr_err err = { 0 };
    char text[PR_TOKEN_TEXT];
    PR_AUTO(json_t) *body = api_body(req, res);
    if (body == NULL)
        return;
    api_members(body, "", members, PR_COUNT(members), &in, &errs);
    if (errs.n == 0)
        check_wanted(&in, api->config.token_max_d, &errs);
    if (errs.n > 0) {
        api_refuse(res, 400, "Bad request", &errs);
        return;
    }
    const enum pr_code rc = pr_token_make(text, in.hash, &err);
    if (rc != PR_OK) {
        pr_http_fail(res, rc, &err);
        return;
    }
    PR_AUTO(json_t) *once = json_pack("{s:s}", "token", text);
    explicit_bzero(text, sizeof text);
    struct api_change c = { .action = "token.create",
                            .fn = make,
                            .in = &in,
                            .once = once,
                            .fresh_parts = API_TOKENS,
                            .surely = true };
    api_change_run(ctx, &c, req, res);
}

/* Twice is as once. */
static enum pr_code revoke(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const char *name = c->req->param[0];
    PR_AUTO(PGresult) *was = NULL;
    PR_AUTO(PGresult) *now = NULL;
    snprintf(c->resource, sizeof c->resource, "tokens/%.80s", name);
    enum pr_code rc =
        pr_db_exec(db, "SELECT " TOKEN_JSON " FROM api_tokens WHERE name = $1 FOR UPDATE",
                   PR_ARGS(pr_text(name)), &was, err);
    if (rc == PR_OK && PQntuples(was) == 0)
        return api_change_fail(c, 404, err, PR_ENOTFOUND, "token %.80s does not exist", name);
    if (rc != PR_OK)
        return rc;
    c->before = api_from_sql(pr_cell(was, 0, 0));
    rc = pr_db_exec(db,
                    "UPDATE api_tokens SET revoked_by = CASE WHEN revoked_at IS NULL THEN $2 ELSE "
                    "revoked_by END, revoked_at = coalesce(revoked_at, now()) WHERE name = $1 "
                    "RETURNING " TOKEN_JSON,
                    PR_ARGS(pr_text(name), pr_text(api_who(c->req))), &now, err);
    if (rc != PR_OK)
        return rc;
    c->after = api_from_sql(pr_cell(now, 0, 0));
    c->status = 200;
    if (c->after == NULL)
        return pr_fail(err, PR_ENOMEM, "token %.80s", name);
    return api_change_event(db, c, 0, "revoked", err);
}

void api_token_revoke(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct api_change c = {
        .action = "token.revoke", .fn = revoke, .fresh_parts = API_TOKENS, .surely = true
    };
    api_change_run(ctx, &c, req, res);
}
