#include "common.h"
#include "prism/io/clock.h"

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

static int check(struct api *api, struct api_snapshot **s, const char *text,
                 struct pr_http_req *req, const struct pr_http_route *route,
                 struct pr_http_res *res)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    if (EVP_Digest(text, strlen(text), hash, NULL, api->sha256, NULL) != 1) {
        pr_http_problem(res, 500, "Internal error", "SHA-256 is not available", NULL);
        return 500;
    }
    const struct api_token *t = find_token(api, s, hash);
    static const char invalid[] = "Bearer realm=\"prism\", error=\"invalid_token\"";
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

    struct api_principal *who = pr_arena_alloc(req->arena, sizeof *who);
    char *name = pr_arena_strdup(req->arena, t->name);
    if (who == NULL || name == NULL) {
        pr_http_problem(res, 500, "Out of memory", "no memory for the request", NULL);
        return 500;
    }
    *who = (struct api_principal){ .name = name, .role = t->role };
    memcpy(who->token, t->hash, sizeof who->token);
    req->principal = who;
    return 0;
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
    if (s == NULL)
        return starting(res);
    if (pr_mono_us() / 1000 - s->tokens_at_ms > api->config.token_grace_s * 1000) {
        pr_http_problem(res, 503, "Tokens are stale", "PostgreSQL could not be read for too long",
                        NULL);
        return 503;
    }
    const char *text = bearer(req);
    if (text == NULL)
        return deny(api, res, 401, "no_token", "send Authorization: Bearer <token>",
                    "Bearer realm=\"prism\"");
    const int status = check(api, &s, text, req, route, res);
    return status != 0 ? status : api_admit(api, req, route, res);
}
