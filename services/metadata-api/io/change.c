#include "change.h"

#include "api_check.h"
#include "prism/io/log.h"
#include "prism/io/outbox.h"
#include "prism/v1/common.pb-c.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct running {
    struct api_change *c;
    const char *key; /* Idempotency-Key or NULL */
    unsigned char digest[EVP_MAX_MD_SIZE];
    bool would; /* a dry run went through to its end */
};

static bool add_text(EVP_MD_CTX *md, const char *text)
{
    return EVP_DigestUpdate(md, text, strlen(text) + 1) == 1;
}

/* Same key, same request: method, path, query and body. */
static bool digest_request(const struct pr_http_req *req, unsigned char *out)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    const char *name;
    bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
              add_text(md, req->method) && add_text(md, req->path);
    for (size_t i = 0; ok && (name = pr_http_query_name(req, i)) != NULL; i++) {
        const char *value = pr_http_query(req, name);
        ok = add_text(md, name) && add_text(md, value == NULL ? "" : value);
    }
    ok = ok && add_text(md, "") && /* no name is empty: the query ends here */
         EVP_DigestUpdate(md, req->body, req->body_len) == 1 &&
         EVP_DigestFinal_ex(md, out, NULL) == 1;
    EVP_MD_CTX_free(md);
    return ok;
}

bool api_request_mark(const struct pr_http_req *req, const char *key, char hex[API_MARK])
{
    unsigned char md[EVP_MAX_MD_SIZE] = { 0 };
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const bool ok =
        ctx != NULL && digest_request(req, md) && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
        add_text(ctx, api_who(req)) && add_text(ctx, key) &&
        EVP_DigestUpdate(ctx, md, API_HASH_BYTES) == 1 && EVP_DigestFinal_ex(ctx, md, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    for (size_t i = 0; ok && i < API_HASH_BYTES; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", (unsigned)md[i]);
    return ok;
}

static void forget(struct api_change *c)
{
    json_decref(c->before);
    json_decref(c->after);
    free(c->stored);
    c->before = c->after = NULL;
    c->stored = NULL;
    c->status = 0;
    c->etag = c->revision = 0;
    c->operation[0] = c->resource[0] = c->field[0] = '\0';
    c->replayed = false;
}

/* The lock makes a second request with this key wait for the first. */
static enum pr_code find_stored(struct pr_db *db, struct running *r, struct pr_err *err)
{
    const char *who = api_who(r->c->req);
    enum pr_code rc =
        pr_db_exec(db, "SELECT pg_advisory_xact_lock(hashtextextended($1 || chr(10) || $2, 0))",
                   PR_ARGS(pr_text(who), pr_text(r->key)), NULL, err);
    PR_AUTO(PGresult) *row = NULL;
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "SELECT body_hash = $3, status, response FROM idempotency "
                        "WHERE principal = $1 AND key = $2",
                        PR_ARGS(pr_text(who), pr_text(r->key), pr_bytes(r->digest, API_HASH_BYTES)),
                        &row, err);
    if (rc != PR_OK || PQntuples(row) == 0)
        return rc;
    if (!pr_cell_bool(row, 0, 0))
        return api_change_fail(r->c, 409, err, PR_EEXISTS,
                               "this Idempotency-Key was used for another request");
    r->c->stored = strdup(pr_cell(row, 0, 2));
    if (r->c->stored == NULL)
        return pr_fail(err, PR_ENOMEM, "stored answer");
    r->c->stored_status = (int)pr_cell_i64(row, 0, 1);
    r->c->replayed = true;
    return PR_OK;
}

static char *dump(const json_t *j)
{
    return j == NULL ? NULL
                     : json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
}

static enum pr_code write_trail(struct pr_db *db, struct running *r, struct pr_err *err)
{
    struct api_change *c = r->c;
    char *before = dump(c->before), *after = dump(c->after);
    enum pr_code rc =
        pr_db_exec(db,
                   "INSERT INTO audit (principal, action, resource, before, after, trace) "
                   "VALUES ($1, $2, $3, $4::jsonb, $5::jsonb, $6)",
                   PR_ARGS(pr_text(api_who(c->req)), pr_text(c->action), pr_text(c->resource),
                           pr_text(before), pr_text(after), pr_text(pr_log_trace_get())),
                   NULL, err);
    if (rc == PR_OK && r->key != NULL)
        rc = pr_db_exec(db,
                        "INSERT INTO idempotency (principal, key, body_hash, status, response) "
                        "VALUES ($1, $2, $3, $4, $5)",
                        PR_ARGS(pr_text(api_who(c->req)), pr_text(r->key),
                                pr_bytes(r->digest, API_HASH_BYTES), pr_i64(c->status),
                                pr_text(after == NULL ? "" : after)),
                        NULL, err);
    free(before);
    free(after);
    return rc;
}

static const char over[] = "what opened this was revoked, or is over, before the request had come";

/* A snapshot may be some seconds old. The row stays as it is until this is done: whoever revokes it
 * waits, or this is refused. */
static enum pr_code look_surely(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct api_principal *who = c->req->principal;
    enum api_role role = API_NOBODY;
    PR_AUTO(PGresult) *row = NULL;
    if (who->by != API_BY_TOKEN)
        return PR_OK;
    const enum pr_code rc =
        pr_db_exec(db,
                   "SELECT role FROM api_tokens WHERE hash = $1 AND revoked_at IS NULL "
                   "AND expires_at > now() FOR SHARE",
                   PR_ARGS(pr_bytes(who->hash, API_HASH_BYTES)), &row, err);
    if (rc != PR_OK)
        return rc;
    if (PQntuples(row) == 1 && api_role_parse(pr_cell(row, 0, 0), &role) &&
        api_allowed(role, who->access))
        return PR_OK;
    return api_change_fail(c, 401, err, PR_EDENIED, "%s", over);
}

static enum pr_code body(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct running *r = ctx;
    struct api_change *c = r->c;
    forget(c);
    enum pr_code rc = c->surely ? look_surely(db, c, err) : PR_OK;
    if (rc != PR_OK)
        return rc;
    rc = r->key != NULL ? find_stored(db, r, err) : PR_OK;
    if (rc != PR_OK || c->replayed)
        return rc;
    rc = c->fn(db, c, err);
    if (rc == PR_OK && !c->dry)
        rc = write_trail(db, r, err);
    r->would = rc == PR_OK && c->dry;
    return r->would ? pr_fail(err, PR_ECANCELED, "dry run") : rc; /* rolls back */
}

static void locate(const struct api_change *c, const struct pr_http_req *req,
                   struct pr_http_res *res)
{
    if (c->operation[0] != '\0')
        api_header(res, "Location", pr_arena_printf(req->arena, "/v1/operations/%s", c->operation));
    else if (c->created)
        api_header(res, "Location", pr_arena_printf(req->arena, "/v1/%s", c->resource));
}

/* What happened is in the snapshot before the caller hears of it, so that the
 * next request to this replica sees it. */
static void answer(struct api *api, struct api_change *c, const struct pr_http_req *req,
                   struct pr_http_res *res)
{
    if (c->fresh_parts != 0 && !c->dry)
        (void)(api_refresher_wait(api->refresher, c->fresh_parts, 2000, NULL) == PR_OK);
    if (c->etag != 0)
        api_etag(req, res, c->etag);
    if (c->dry) {
        if (c->after == NULL) /* what would be deleted */
            c->after = c->before == NULL ? json_object() : json_incref(c->before);
        json_object_set_new(c->after, "dryRun", json_true());
        api_reply(res, 200, json_incref(c->after));
        return;
    }
    locate(c, req, res);
    if (c->after != NULL && c->once != NULL)
        (void)json_object_update(c->after, c->once); /* it is written by now */
    if (c->after == NULL)
        res->status = c->status;
    else
        api_reply(res, c->status, json_incref(c->after));
}

/* The first answer again; its Location follows from its body. */
static void replay(struct api_change *c, const struct pr_http_req *req, struct pr_http_res *res)
{
    PR_AUTO(json_t) *first = json_loads(c->stored, 0, NULL);
    const char *operation = json_string_value(json_object_get(first, "operationId"));
    const char *id = json_string_value(json_object_get(first, "id"));
    if (c->stored_status == 202 && operation != NULL)
        api_header(res, "Location", pr_arena_printf(req->arena, "/v1/operations/%s", operation));
    else if (c->stored_status == 201 && strcmp(req->method, "PUT") == 0)
        api_header(res, "Location", req->path);
    else if (c->stored_status == 201 && id != NULL)
        api_header(res, "Location", pr_arena_printf(req->arena, "%s/%s", req->path, id));
    const uint64_t generation = api_generation(first);
    if (generation > 0)
        api_etag(req, res, generation);
    api_header(res, "Idempotency-Replayed", "true");
    res->status = c->stored_status;
    pr_buf_str(&res->body, c->stored);
}

static void refuse(const struct api_change *c, enum pr_code rc, const struct pr_err *err,
                   struct pr_http_res *res)
{
    static const struct {
        int status;
        const char *title;
    } named[] = {
        { 401, "Not authenticated" },
        { 404, "Not found" },
        { 409, "Conflict" },
        { 412, "Changed meanwhile" },
        { 428, "If-Match is required" },
        { 400, "Bad request" },
    };
    for (size_t i = 0; i < PR_COUNT(named); i++)
        if (c->status == named[i].status) {
            pr_http_problem(res, c->status, named[i].title, err->text,
                            c->field[0] == '\0' ? NULL : c->field);
            return;
        }
    if (rc == PR_ETIMEOUT) {
        pr_http_problem(res, 504, "Outcome unknown",
                        "the connection to PostgreSQL was lost while committing; send the request "
                        "again with the same Idempotency-Key",
                        NULL);
        return;
    }
    pr_http_fail(res, rc, err);
}

/* Its body may have been long in coming. */
static bool still_good(struct api *api, const struct pr_http_req *req)
{
    const struct api_principal *who = req->principal;
    PR_AUTO(api_snapshot) *s = api_cell_get(api->cell);
    return s != NULL && api_still_good(api, s, who, who->access);
}

void api_change_run(struct api *api, struct api_change *c, const struct pr_http_req *req,
                    struct pr_http_res *res)
{
    struct pr_err err = { 0 };
    struct running r = { .c = c, .key = pr_http_header(req, "Idempotency-Key") };
    c->req = req;
    if (!still_good(api, req)) {
        pr_http_problem(res, 401, "Not authenticated", over, NULL);
        return;
    }
    if (!api_dry_run(req, &c->dry, res))
        return;
    if (r.key != NULL && !api_idempotency_key_valid(r.key)) {
        pr_http_problem(res, 400, "Bad Idempotency-Key", "1 to 255 printable characters",
                        "Idempotency-Key");
        return;
    }
    if (!digest_request(req, r.digest)) {
        pr_http_problem(res, 500, "Internal error", "SHA-256 is not available", NULL);
        return;
    }
    struct pr_db *db = NULL;
    enum pr_code rc = api_pool_take(api->pool, &db, &err);
    if (rc == PR_OK) {
        rc = pr_db_tx(db, body, &r, &err);
        api_pool_give(api->pool, db);
    }
    if (rc == PR_ECANCELED && r.would)
        rc = PR_OK;
    if (rc != PR_OK)
        refuse(c, rc, &err, res);
    else if (c->replayed)
        replay(c, req, res);
    else
        answer(api, c, req, res);
    forget(c);
}

enum pr_code api_change_operation(struct pr_db *db, struct api_change *c, const char *id,
                                  const char *kind, struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "INSERT INTO operations (id, kind, resource, created_by) "
        "VALUES (coalesce($1::uuid, gen_random_uuid()), $2, $3, $4) RETURNING id",
        PR_ARGS(pr_text(id), pr_text(kind), pr_text(c->resource), pr_text(api_who(c->req))), &row,
        err);
    if (rc == PR_OK)
        snprintf(c->operation, sizeof c->operation, "%s", pr_cell(row, 0, 0));
    return rc;
}

enum pr_code api_change_event(struct pr_db *db, const struct api_change *c, uint64_t revision,
                              const char *state, struct pr_err *err)
{
    Prism__V1__Changed m = PRISM__V1__CHANGED__INIT;
    m.resource = (char *)c->resource;
    m.revision = revision;
    m.state = (char *)state;
    uint8_t packed[512]; /* resource is at most 160 bytes, state a word */
    size_t n = prism__v1__changed__pack(&m, packed);
    return pr_outbox_add(db, "prism.evt.metadata.changed", packed, n, err);
}

uint64_t api_generation(const json_t *resource)
{
    static const char *const names[] = { "generation", "version", "revision" };
    json_int_t v = 0;
    for (size_t i = 0; i < PR_COUNT(names) && v <= 0; i++)
        v = json_integer_value(json_object_get(resource, names[i]));
    return v <= 0 ? 0 : (uint64_t)v;
}

enum pr_code api_change_took(struct api_change *c, json_t *after, struct pr_err *err)
{
    json_decref(c->after);
    c->after = after;
    c->etag = api_generation(after);
    c->revision = (uint64_t)json_integer_value(json_object_get(after, "revision"));
    return after == NULL ? pr_fail(err, PR_ENOMEM, "%s", c->resource) : PR_OK;
}

enum pr_code api_change_precondition(struct api_change *c, uint64_t generation, bool required,
                                     struct pr_err *err)
{
    const char *if_match = pr_http_header(c->req, "If-Match");
    bool well_formed;
    if (if_match == NULL && !required)
        return PR_OK;
    if (if_match == NULL)
        return api_change_fail(c, 428, err, PR_EINVAL,
                               "send If-Match with the ETag of the %s you mean to change",
                               c->resource);
    if (api_etag_matches(if_match, generation, &well_formed))
        return PR_OK;
    if (!well_formed)
        return api_change_fail(c, 400, err, PR_EINVAL, "If-Match is not an entity tag: %.60s",
                               if_match);
    return api_change_fail(c, 412, err, PR_ECONFLICT, "%s is at %llu, If-Match says %.60s",
                           c->resource, (unsigned long long)generation, if_match);
}

bool api_dry_run(const struct pr_http_req *req, bool *dry, struct pr_http_res *res)
{
    const char *v = pr_http_query(req, "dryRun");
    *dry = v != NULL && strcmp(v, "true") == 0;
    if (v == NULL || *dry || strcmp(v, "false") == 0)
        return true;
    pr_http_problem(res, 400, "Bad dryRun", "true or false", "dryRun");
    return false;
}
