/* What lets people in, from the settings: TLS, the table of roles, the identity provider. */
#include "api.h"
#include "prism/io/log.h"

#include <string.h>
#include <sys/resource.h>

enum {
    DAY_MS = 86400 * 1000,
    OWN_FILES = 256 /* of PostgreSQL, NATS, files that are read, and what is above the limit */
};

static enum pr_code need(const char *value, const char *name, const char *because,
                         struct pr_err *err)
{
    return value[0] != '\0' ? PR_OK
                            : pr_fail(err, PR_EINVAL, "%s is not set, and %s is", name, because);
}

/* Half a configuration is a mistake, not a wish for less. */
static enum pr_code check_tls(const struct api_config *c, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    if (strcmp(c->client_cert, "optional") != 0 && strcmp(c->client_cert, "require") != 0)
        return pr_fail(err, PR_EINVAL,
                       "PRISM_API_TLS_CLIENT_CERT: \"%s\" is neither optional nor require",
                       c->client_cert);
    if (c->tls_key[0] != '\0')
        rc = need(c->tls_cert, "PRISM_API_TLS_CERT_PATH", "PRISM_API_TLS_KEY_PATH", err);
    if (rc == PR_OK && c->client_ca[0] != '\0')
        rc = need(c->tls_cert, "PRISM_API_TLS_CERT_PATH", "PRISM_API_TLS_CLIENT_CA_PATH", err);
    if (rc == PR_OK && c->tls_cert[0] != '\0')
        rc = need(c->tls_key, "PRISM_API_TLS_KEY_PATH", "PRISM_API_TLS_CERT_PATH", err);
    if (rc == PR_OK && strcmp(c->client_cert, "require") == 0)
        rc = need(c->client_ca, "PRISM_API_TLS_CLIENT_CA_PATH", "PRISM_API_TLS_CLIENT_CERT=require",
                  err);
    return rc;
}

static enum pr_code open_tls(struct api *api, const struct pr_common_config *common,
                             struct pr_err *err)
{
    const struct api_config *c = &api->config;
    enum pr_code rc = check_tls(c, err);
    if (rc != PR_OK || c->tls_cert[0] == '\0')
        return rc;
    const struct pr_tls_options o = {
        .cert = { "PRISM_API_TLS_CERT_PATH", c->tls_cert },
        .key = { "PRISM_API_TLS_KEY_PATH", c->tls_key },
        .client_ca = { "PRISM_API_TLS_CLIENT_CA_PATH", c->client_ca },
        .client_required = strcmp(c->client_cert, "require") == 0,
        .priorities = c->tls_priorities,
        .priorities_setting = "PRISM_API_TLS_PRIORITIES",
    };
    rc = pr_tls_open(&api->tls, &o, err);
    api->http.tls = api->tls;
    api->http.bind = c->tls_bind[0] == '\0' ? common->http_bind : c->tls_bind;
    api->http.port = (int)c->tls_port;
    return rc;
}

static enum pr_code open_jwt(struct api *api, struct pr_err *err)
{
    const struct api_config *c = &api->config;
    enum pr_code rc = PR_OK;
    if (c->jwt_jwks[0] != '\0')
        rc = need(c->jwt_issuer, "PRISM_API_JWT_ISSUER", "PRISM_API_JWT_JWKS", err);
    if (rc != PR_OK || c->jwt_issuer[0] == '\0')
        return rc;
    rc = need(c->jwt_audience, "PRISM_API_JWT_AUDIENCE", "PRISM_API_JWT_ISSUER", err);
    if (rc == PR_OK)
        rc = need(c->jwt_jwks, "PRISM_API_JWT_JWKS", "PRISM_API_JWT_ISSUER", err);
    if (rc == PR_OK && c->jwt_keys_grace_s < c->jwt_refresh_s)
        rc = pr_fail(err, PR_EINVAL,
                     "PRISM_API_JWT_KEYS_GRACE_S is less than PRISM_API_JWT_REFRESH_S: keys would "
                     "be forgotten before they are read again");
    if (rc == PR_OK && (rc = api_jwt_algs_check(c->jwt_algs, err)) != PR_OK)
        rc = pr_wrap(err, rc, "PRISM_API_JWT_ALGS");
    if (rc != PR_OK)
        return rc;
    const struct api_jwt_options o = {
        .rules = { .issuer = c->jwt_issuer,
                   .audience = c->jwt_audience,
                   .typ = c->jwt_typ,
                   .skew_s = c->jwt_skew_s },
        .keys = { .setting = "PRISM_API_JWT_JWKS",
                  .source = c->jwt_jwks,
                  .ca_file = c->jwt_ca,
                  .refresh_ms = c->jwt_refresh_s * 1000,
                  .retry_ms = c->jwt_retry_s * 1000,
                  .grace_ms = c->jwt_keys_grace_s * 1000 },
        .algs = c->jwt_algs,
        .role_claim = c->jwt_role_claim,
        .roles = api->roles,
    };
    return api_jwt_open(&api->jwt, &o, err);
}

/* The service has raised its limit of open files as far as it may. */
static int connections_fit(const struct api_config *c)
{
    struct rlimit files;
    /* Each loop has two, and about a hundred connections. */
    const int64_t own = OWN_FILES + c->db_pool + 2 * (c->connections / 100 + c->loops);
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY ||
        (int64_t)files.rlim_cur - own >= c->connections)
        return (int)c->connections;
    const int64_t fit = (int64_t)files.rlim_cur - own;
    pr_warn(PR_EV("api.connections_limited"), PR_I("wanted", c->connections),
            PR_I("files", files.rlim_cur), PR_I("connections", fit > 16 ? fit : 16));
    return (int)(fit > 16 ? fit : 16);
}

enum pr_code api_configured(void *ctx, const struct pr_common_config *common, struct pr_err *err)
{
    struct api *api = ctx;
    api->http.request_timeout_s = (int)api->config.request_s;
    api->http.max_connections = connections_fit(&api->config);
    api->http.max_connections_each = (int)api->config.connections_each;
    api->http.loops = (int)api->config.loops;
    api->http.workers = (int)api->config.workers;
    api->http.queue = (int)api->config.queue;
    enum pr_code rc =
        api_roles_open(&api->roles, "PRISM_API_ROLES_PATH", api->config.roles_file, err);
    if (rc == PR_OK)
        rc = open_tls(api, common, err);
    if (rc == PR_OK)
        rc = open_jwt(api, err);
    return rc;
}

void api_edge_close(struct api *api)
{
    api_jwt_close(api->jwt);
    api_roles_close(api->roles);
    pr_tls_close(api->tls);
}

/* What was there goes on when what is there now is no good. */
static void took(struct api *api, int metric, const char *what, enum pr_code rc, bool fresh,
                 const struct pr_err *err)
{
    if (rc != PR_OK)
        pr_error(PR_EV("api.reload_refused"), PR_S("what", what), PR_E(err));
    else if (fresh)
        pr_info(PR_EV("api.reloaded"), PR_S("what", what));
    if (rc != PR_OK || fresh)
        pr_metrics_add(api->svc->metrics, metric, rc == PR_OK ? "taken" : "refused", 1);
}

static void warn_of_end(struct api *api, int64_t now_ms)
{
    const int64_t ends_ms = pr_tls_expires_ms(api->tls);
    pr_metrics_set(api->svc->metrics, API_M_TLS_EXPIRES, NULL, (double)ends_ms / 1e3);
    if (ends_ms - now_ms >= api->config.tls_warn_d * DAY_MS ||
        (api->tls_warned_ms != 0 && now_ms - api->tls_warned_ms < DAY_MS))
        return;
    api->tls_warned_ms = now_ms;
    pr_warn(PR_EV(now_ms < ends_ms ? "api.certificate_ends" : "api.certificate_ended"),
            PR_S("file", api->config.tls_cert), PR_I("hours", (ends_ms - now_ms) / 3600000));
}

static void look_at_tls(struct api *api, int64_t now_ms)
{
    struct pr_err err = { 0 };
    bool fresh = false;
    const enum pr_code rc = pr_tls_look(api->tls, &fresh, &err);
    took(api, API_M_TLS_READS, "certificate", rc, fresh, &err);
    if (fresh)
        api->tls_warned_ms = 0;
    warn_of_end(api, now_ms);
}

void api_edge_tick(struct api *api, int64_t now_ms)
{
    struct pr_metrics *m = api->svc->metrics;
    struct pr_err err = { 0 };
    bool fresh = false;
    if (api->tls != NULL)
        look_at_tls(api, now_ms);
    const enum pr_code rc = api_roles_look(api->roles, &fresh, &err);
    took(api, API_M_ROLES_READS, "roles", rc, fresh, &err);
    api_count_to(m, API_M_TOO_SLOW, NULL,
                 pr_http_too_slow(api->tls != NULL ? api->svc->https : api->svc->http));
    if (api->jwt == NULL)
        return;
    struct api_jwks_stats keys;
    api_jwt_stats(api->jwt, &keys);
    pr_metrics_set(m, API_M_JWKS_AGE, NULL, keys.age_ms < 0 ? -1 : (double)keys.age_ms / 1e3);
    pr_metrics_set(m, API_M_JWKS_KEYS, NULL, (double)keys.keys);
    api_count_to(m, API_M_JWKS_READS, "all", keys.reads);
    api_count_to(m, API_M_JWKS_READS, "failed", keys.failed);
}
