#include "common.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

enum { WAIT_MS = 1000, MIN_AGE_MS = 200, MAX_TOKEN = 512 };

static int deny(struct api *api, struct pr_http_res *res, int status, const char *why,
                const char *detail, const char *challenge)
{
    pr_metrics_add(api->svc->metrics, API_M_DENIED, why, 1);
    pr_http_problem(res, status, status == 401 ? "Not authenticated" : "Not allowed", detail, NULL);
    if (challenge != NULL)
        api_header(res, "WWW-Authenticate", challenge);
    return status;
}

static int starting(struct pr_http_res *res)
{
    pr_http_problem(res, 503, "Starting", "PostgreSQL has not been read yet", NULL);
    api_header(res, "Retry-After", "1");
    return 503;
}

static const char *bearer(const struct pr_http_req *req)
{
    const char *h = pr_http_header(req, "Authorization");
    if (h == NULL || strncasecmp(h, "Bearer ", 7) != 0)
        return NULL;
    h += 7 + strspn(h + 7, " ");
    return *h == '\0' || strlen(h) > MAX_TOKEN ? NULL : h;
}

/* An unknown token may be newer than the snapshot: read again, but not more
 * than five times a second whoever asks. */
static const struct api_token *find_token(struct api *api, struct api_snapshot **s,
                                          const unsigned char hash[API_HASH_BYTES])
{
    const struct api_token *t = api_token_find((*s)->tokens, hash);
    if (t != NULL || pr_mono_us() / 1000 - (*s)->tokens_at_ms < MIN_AGE_MS ||
        api_refresher_wait(api->refresher, API_TOKENS, WAIT_MS, NULL) != PR_OK)
        return t;
    api_snapshot_unref(*s);
    *s = api_cell_get(api->cell);
    return api_token_find((*s)->tokens, hash);
}

static const char invalid[] = "Bearer realm=\"prism\", error=\"invalid_token\"";

static int admit(struct pr_http_req *req, const char *name, enum api_role role,
                 const unsigned char *hash, struct pr_http_res *res)
{
    struct api_principal *who = pr_arena_alloc(req->arena, sizeof *who);
    char *copy = pr_arena_strdup(req->arena, name);
    if (who == NULL || copy == NULL) {
        pr_http_problem(res, 500, "Out of memory", "no memory for the request", NULL);
        return 500;
    }
    *who = (struct api_principal){ .name = copy, .role = role };
    memcpy(who->token, hash, sizeof who->token);
    req->principal = who;
    return 0;
}

/* Each use leaves a line; what was done by it is audited besides. */
static int check_standby(struct api *api, const struct api_snapshot *s, const unsigned char *hash,
                         struct pr_http_req *req, const struct pr_http_route *route,
                         struct pr_http_res *res)
{
    const int64_t now_ms = pr_mono_us() / 1000;
    const enum api_standby is = api_standby_judge(
        route->access, api_standby_up_ms(api->standby, now_ms),
        s == NULL ? -1 : now_ms - s->tokens_at_ms, api_standby_away_age_ms(api->standby, now_ms));
    pr_log(
        is == API_STANDBY_ALLOWED ? PR_INFO : PR_WARN,
        PR_EV(is == API_STANDBY_ALLOWED ? "api.standby_token_used" : "api.standby_token_refused"),
        PR_S("method", req->method), PR_S("path", req->path));
    if (is == API_STANDBY_ELSEWHERE)
        return deny(api, res, 403, "role", "the standby token is for /v1/dr/failovers alone", NULL);
    if (is == API_STANDBY_EARLY)
        return starting(res);
    if (is == API_STANDBY_OVER)
        return deny(api, res, 401, "standby_over",
                    "the standby token counts only while PostgreSQL cannot be read; it can: use a "
                    "token of an administrator",
                    invalid);
    pr_metrics_add(api->svc->metrics, API_M_STANDBY, NULL, 1);
    return admit(req, "standby-token", API_ADMIN, hash, res);
}

static int check(struct api *api, struct api_snapshot **s, const unsigned char *hash,
                 struct pr_http_req *req, const struct pr_http_route *route,
                 struct pr_http_res *res)
{
    const struct api_token *t = find_token(api, s, hash);
    if (t == NULL)
        return deny(api, res, 401, "bad_token", "this token is not known", invalid);
    if (t->revoked)
        return deny(api, res, 401, "revoked", "this token was revoked", invalid);
    if (pr_now_ms() >= t->expires_ms)
        return deny(api, res, 401, "expired", "this token has expired", invalid);
    if (!api_allowed(t->role, route->access))
        return deny(api, res, 403, "role",
                    pr_arena_printf(req->arena, "%s %s needs role %s; this token has role %s",
                                    req->method, req->path,
                                    api_role_name(api_access_needs(route->access)),
                                    api_role_name(t->role)),
                    NULL);
    return admit(req, t->name, t->role, hash, res);
}

static int no_token(struct api *api, struct pr_http_res *res)
{
    return deny(api, res, 401, "no_token", "send Authorization: Bearer <token>",
                "Bearer realm=\"prism\"");
}

/* Before PostgreSQL was read there is one token at most, and one thing to do with it. */
static int unknown_yet(struct api *api, const char *text, const struct pr_http_route *route,
                       struct pr_http_res *res)
{
    if (!api_standby_has_token(api->standby) ||
        (route->access != API_FAILOVER && route->access != API_FAILOVER_READ))
        return starting(res);
    return text == NULL ? no_token(api, res)
                        : deny(api, res, 401, "bad_token",
                               "PostgreSQL cannot be read: no token but the standby token is known",
                               invalid);
}

bool api_token_good(struct api *api, const struct api_snapshot *s,
                    const unsigned char hash[API_HASH_BYTES], int access)
{
    const struct api_token *t = api_token_find(s->tokens, hash);
    return t != NULL && !t->revoked && pr_now_ms() < t->expires_ms &&
           api_allowed(t->role, access) &&
           pr_mono_us() / 1000 - s->tokens_at_ms <= api->config.token_grace_s * 1000;
}

int api_authorise(void *ctx, struct pr_http_req *req, const struct pr_http_route *route,
                  struct pr_http_res *res)
{
    struct api *api = ctx;
    if (route->access == API_OPEN)
        return 0;
    PR_AUTO(api_snapshot) *s = api_cell_get(api->cell);
    const char *text = bearer(req);
    unsigned char hash[EVP_MAX_MD_SIZE] = { 0 };
    if (text != NULL && EVP_Digest(text, strlen(text), hash, NULL, api->sha256, NULL) != 1) {
        pr_http_problem(res, 500, "Internal error", "SHA-256 is not available", NULL);
        return 500;
    }
    if (text != NULL && api_standby_is(api->standby, hash))
        return check_standby(api, s, hash, req, route, res);
    if (s == NULL)
        return unknown_yet(api, text, route, res);
    if (pr_mono_us() / 1000 - s->tokens_at_ms > api->config.token_grace_s * 1000) {
        pr_http_problem(res, 503, "Tokens are stale", "PostgreSQL could not be read for too long",
                        NULL);
        return 503;
    }
    if (text == NULL)
        return no_token(api, res);
    const int status = check(api, &s, hash, req, route, res);
    return status != 0 ? status : api_admit(api, req, route, res);
}
