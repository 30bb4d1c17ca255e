/* Who is it? A token of ours, one of the identity provider, or a client's certificate. */
#include "common.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { WAIT_MS = 1000, MIN_AGE_MS = 200, LOG_MS = 1000 };
/* Beside the statuses: a 503 to what may be garbage, which is counted; what tells who it is has to
 * be waited for, which a loop may not. */
enum { KEYS_AWAY = 1, MUST_WAIT = 2 };

static int deny(struct api *api, struct pr_http_res *res, int status, const char *why,
                const char *detail, const char *challenge)
{
    pr_metrics_add(api->svc->metrics, API_M_DENIED, why, 1);
    pr_http_problem(res, status,
                    status == 401   ? "Not authenticated"
                    : status == 429 ? "Too many requests"
                                    : "Not allowed",
                    detail, NULL);
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
    return *h == '\0' || strlen(h) >= API_JWT_BYTES ? NULL : h;
}

/* An unknown token may be newer than the snapshot: read again, but not more
 * than five times a second whoever asks, and never for an address that is refused too often. */
static bool may_be_newer(const struct api_snapshot *s)
{
    return pr_mono_us() / 1000 - s->tokens_at_ms >= MIN_AGE_MS;
}

static const struct api_token *find_newer(struct api *api, struct api_snapshot **s,
                                          const unsigned char hash[API_HASH_BYTES])
{
    if (api_refresher_wait(api->refresher, API_TOKENS, WAIT_MS, NULL) != PR_OK)
        return NULL;
    api_snapshot_unref(*s);
    *s = api_cell_get(api->cell);
    return api_token_find((*s)->tokens, hash);
}

static const char invalid[] = "Bearer realm=\"prism\", error=\"invalid_token\"";

static int no_memory(struct pr_http_res *res)
{
    pr_http_problem(res, 500, "Out of memory", "no memory for the request", NULL);
    return 500;
}

static struct api_principal *admit(struct pr_http_req *req, const struct pr_http_route *route,
                                   const char *name, enum api_role role, const unsigned char *hash)
{
    struct api_principal *who = pr_arena_alloc(req->arena, sizeof *who);
    if (who == NULL)
        return NULL;
    *who = (struct api_principal){ .role = role, .access = route->access };
    (void)snprintf(who->name, sizeof who->name, "%s", name);
    memcpy(who->hash, hash, sizeof who->hash);
    req->principal = who;
    return who;
}

/* Of whom another authority names: the same name is the same principal, whatever it came with. */
static int admit_named(struct api *api, struct pr_http_req *req, const struct pr_http_route *route,
                       const char *name, enum api_kind_of_principal by, enum api_role role,
                       int64_t expires_ms, uint64_t version, struct pr_http_res *res)
{
    unsigned char hash[EVP_MAX_MD_SIZE] = { 0 };
    struct api_principal *who = EVP_Digest(name, strlen(name), hash, NULL, api->sha256, NULL) == 1
                                    ? admit(req, route, name, role, hash)
                                    : NULL;
    if (who == NULL)
        return no_memory(res);
    who->by = by;
    who->expires_ms = expires_ms;
    who->version = version;
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
    return admit(req, route, "standby-token", API_ADMIN, hash) == NULL ? no_memory(res) : 0;
}

static int low_role(struct api *api, struct pr_http_req *req, const struct pr_http_route *route,
                    const char *what, enum api_role role, struct pr_http_res *res)
{
    return deny(api, res, 403, "role",
                pr_arena_printf(req->arena, "%s %s needs role %s; %s has role %s", req->method,
                                req->path, api_role_name(api_access_needs(route->access)), what,
                                api_role_name(role)),
                NULL);
}

static int check(struct api *api, struct api_snapshot **s, const unsigned char *hash, bool cheap,
                 struct pr_http_req *req, const struct pr_http_route *route,
                 struct pr_http_res *res)
{
    const struct api_token *t = api_token_find((*s)->tokens, hash);
    if (t == NULL && !cheap && may_be_newer(*s)) {
        if (!req->may_wait)
            return MUST_WAIT;
        t = find_newer(api, s, hash);
    }
    if (t == NULL)
        return deny(api, res, 401, "bad_token", "this token is not known", invalid);
    if (t->revoked)
        return deny(api, res, 401, "revoked", "this token was revoked", invalid);
    if (pr_now_ms() >= t->expires_ms)
        return deny(api, res, 401, "expired", "this token has expired", invalid);
    if (!api_allowed(t->role, route->access))
        return low_role(api, req, route, "this token", t->role, res);
    return admit(req, route, t->name, t->role, hash) == NULL ? no_memory(res) : 0;
}

/* Why, for whoever runs this; once a second, for anybody may bring garbage. */
static void log_refusal(enum api_jwt_why why)
{
    static _Atomic int64_t told_ms;
    int64_t before = atomic_load(&told_ms);
    const int64_t now_ms = pr_mono_us() / 1000;
    if (now_ms - before >= LOG_MS && atomic_compare_exchange_strong(&told_ms, &before, now_ms))
        pr_info(PR_EV("api.jwt_refused"), PR_S("why", api_jwt_label(why)));
}

static int check_jwt(struct api *api, const char *text, const unsigned char *hash, bool cheap,
                     struct pr_http_req *req, const struct pr_http_route *route,
                     struct pr_http_res *res)
{
    struct api_jwt_who who;
    const uint64_t version = api_jwt_version(api->jwt); /* before it is judged by that */
    enum api_jwt_why why = API_JWT_SHAPE;
    switch (api_jwt_check(api->jwt, text, hash, cheap || !req->may_wait, pr_now_ms(), &who, &why)) {
    case PR_OK:
        break;
    case PR_EDENIED:
        log_refusal(why);
        return deny(api, res, 401, api_jwt_label(why), api_jwt_words(why), invalid);
    case PR_EFULL: /* not known already */
        if (!cheap)
            return MUST_WAIT;
        /* becomes 429 */
        return deny(api, res, 401, "bad_token", "this token is not known", invalid);
    default:
        pr_metrics_add(api->svc->metrics, API_M_DENIED, "jwt_keys", 1);
        pr_http_problem(
            res, 503, "Service Unavailable",
            "the keys of the identity provider could not be read yet, or not for too long", NULL);
        api_header(res, "Retry-After", "5");
        return KEYS_AWAY;
    }
    if (!api_allowed(who.role, route->access))
        return low_role(api, req, route, "this token", who.role, res);
    return admit_named(api, req, route, who.name, API_BY_JWT, who.role, who.expires_ms, version,
                       res);
}

/* The first of its names that has a role; NULL: none has. */
static const char *certified(struct api *api, const struct pr_http_req *req, enum api_role *role)
{
    const char *name;
    for (size_t i = 0; (name = pr_http_client(req, i)) != NULL; i++)
        if ((*role = api_role_of_name(api->roles, name)) != API_NOBODY)
            return name;
    return NULL;
}

static int check_certificate(struct api *api, const char *name, enum api_role role,
                             uint64_t version, struct pr_http_req *req,
                             const struct pr_http_route *route, struct pr_http_res *res)
{
    if (!api_allowed(role, route->access))
        return low_role(api, req, route, "this certificate", role, res);
    return admit_named(api, req, route, name, API_BY_CERTIFICATE, role,
                       pr_http_client_expires_ms(req), version, res);
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

bool api_still_good(struct api *api, const struct api_snapshot *s, const struct api_principal *who,
                    int access)
{
    if (who->by != API_BY_TOKEN) {
        const enum api_role role =
            who->by == API_BY_CERTIFICATE ? api_role_of_name(api->roles, who->name) : who->role;
        const uint64_t version =
            who->by == API_BY_CERTIFICATE ? pr_tls_version(api->tls) : api_jwt_version(api->jwt);
        return version == who->version && pr_now_ms() < who->expires_ms &&
               api_allowed(role, access);
    }
    const struct api_token *t = api_token_find(s->tokens, who->hash);
    return t != NULL && !t->revoked && pr_now_ms() < t->expires_ms &&
           api_allowed(t->role, access) &&
           pr_mono_us() / 1000 - s->tokens_at_ms <= api->config.token_grace_s * 1000;
}

static bool is_stale(const struct api *api, const struct api_snapshot *s)
{
    return pr_mono_us() / 1000 - s->tokens_at_ms > api->config.token_grace_s * 1000;
}

/* 0, a status, KEYS_AWAY or MUST_WAIT. cheap: nothing that costs more than looking it up. */
static int identify(struct api *api, bool cheap, struct pr_http_req *req,
                    const struct pr_http_route *route, struct pr_http_res *res)
{
    PR_AUTO(api_snapshot) *s = api_cell_get(api->cell);
    const char *text = bearer(req);
    unsigned char hash[EVP_MAX_MD_SIZE] = { 0 };
    enum api_role role = API_NOBODY;
    if (text != NULL && EVP_Digest(text, strlen(text), hash, NULL, api->sha256, NULL) != 1) {
        pr_http_problem(res, 500, "Internal error", "SHA-256 is not available", NULL);
        return 500;
    }
    if (text != NULL && api_standby_is(api->standby, hash))
        return check_standby(api, s, hash, req, route, res);
    if (s == NULL)
        return unknown_yet(api, text, route, res);
    /* These two know themselves how long they count. */
    if (text != NULL && api->jwt != NULL && api_jwt_like(text))
        return check_jwt(api, text, hash, cheap, req, route, res);
    const uint64_t version = api->tls == NULL ? 0 : pr_tls_version(api->tls);
    const char *name =
        pr_http_header(req, "Authorization") == NULL ? certified(api, req, &role) : NULL;
    if (name != NULL)
        return check_certificate(api, name, role, version, req, route, res);
    if (is_stale(api, s)) {
        pr_http_problem(res, 503, "Tokens are stale", "PostgreSQL could not be read for too long",
                        NULL);
        return 503;
    }
    return text == NULL ? no_token(api, res) : check(api, &s, hash, cheap, req, route, res);
}

static int too_many_refusals(struct api *api, const struct pr_http_req *req, int64_t wait_us,
                             struct pr_http_res *res)
{
    memset(res->header, 0, sizeof res->header);
    deny(api, res, 429, "address",
         "too many requests from this address were refused; what has been let in before goes on",
         NULL);
    api_header(res, "Retry-After",
               pr_arena_printf(req->arena, "%" PRId64, (wait_us + 999999) / 1000000));
    return 429;
}

int api_authorise(void *ctx, struct pr_http_req *req, const struct pr_http_route *route,
                  struct pr_http_res *res)
{
    struct api *api = ctx;
    if (route->access == API_OPEN)
        return 0;
    unsigned char address[16];
    const uint64_t key = api_rate_address(address, pr_http_address(req, address));
    const struct api_rate rate = { api->config.refusals_per_s,
                                   api->config.refusals_burst_ms * 1000 };
    const int64_t wait_us = api_rates_wait(&api->refusals, &rate, key, pr_mono_us());
    const int status = identify(api, wait_us > 0, req, route, res);
    if (status == MUST_WAIT) {
        res->again = true;
        return 0;
    }
    if (status == 401 && wait_us > 0)
        return too_many_refusals(api, req, wait_us, res);
    if (status == 401 || status == KEYS_AWAY)
        (void)api_rates_take(&api->refusals, &rate, key, pr_mono_us());
    return status == KEYS_AWAY ? 503 : status != 0 ? status : api_admit(api, req, route, res);
}
