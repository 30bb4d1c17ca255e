/* Probes and metrics. Everything here is answered from memory: by the thread that holds the
 * connection, whatever NATS and PostgreSQL are doing. */
#include "http_internal.h"
#include "prism/io/clock.h"
#include "prism/io/json_text.h"
#include "prism/io/log.h"
#include "service_internal.h"

#include <string.h>

static void add_check(struct pr_buf *b, bool *first, const char *name, const char *reason)
{
    pr_buf_str(b, *first ? "" : ",");
    *first = false;
    pr_json_add(b, name);
    pr_buf_printf(b, ":{\"ready\":%s", reason == NULL ? "true" : "false");
    if (reason != NULL) {
        pr_buf_str(b, ",\"reason\":");
        pr_json_add(b, reason);
    }
    pr_buf_str(b, "}");
}

/* What NATS is like now; true when it is ready, else *reason. */
static bool ask_bus(struct pr_shell *sh, struct pr_bus_stats *stats, struct pr_err *reason)
{
    bool ready = false;
    pthread_mutex_lock(&sh->bus_lock);
    if (sh->bus == NULL)
        pr_fail(reason, PR_EUNAVAIL, "not opened yet");
    else {
        pr_bus_stats(sh->bus, stats);
        ready = pr_bus_ready(sh->bus, reason) == PR_OK;
    }
    bool opened = sh->bus != NULL;
    pthread_mutex_unlock(&sh->bus_lock);

    pthread_mutex_lock(&sh->lock);
    if (!opened && sh->nats.reason[0] != '\0')
        pr_fail(reason, PR_EUNAVAIL, "%s", sh->nats.reason);
    pthread_mutex_unlock(&sh->lock);
    return ready;
}

/* Readiness of all parts as JSON members; returns whether all are ready. */
static bool add_checks(struct pr_shell *sh, struct pr_buf *b, struct pr_bus_stats *stats)
{
    struct pr_err reason = { 0 };
    bool nats_up = ask_bus(sh, stats, &reason), first = true;

    pthread_mutex_lock(&sh->lock);
    bool ready = nats_up && sh->db.up && sh->state == PR_RUNNING;
    add_check(b, &first, sh->db.name, sh->db.up ? NULL : sh->db.reason);
    add_check(b, &first, sh->nats.name, nats_up ? NULL : reason.text);
    for (size_t i = 0; i < sh->n_own; i++) {
        bool ok = sh->own[i].reason[0] == '\0';
        ready = ready && ok;
        add_check(b, &first, sh->own[i].name, ok ? NULL : sh->own[i].reason);
    }
    pthread_mutex_unlock(&sh->lock);
    return ready && !atomic_load(&sh->stopping);
}

static const char *state_name(struct pr_shell *sh)
{
    static const char *const name[] = { "starting", "running", "draining" };
    pthread_mutex_lock(&sh->lock);
    enum pr_service_state s = sh->state;
    pthread_mutex_unlock(&sh->lock);
    return atomic_load(&sh->stopping) ? name[PR_DRAINING] : name[s];
}

static void livez(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    (void)req;
    pr_buf_str(&res->body, "{\"alive\":true}\n");
}

static void readyz(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct pr_shell *sh = ctx;
    struct pr_bus_stats stats = { 0 };
    struct pr_buf checks;
    (void)req;
    pr_buf_init(&checks, 0);
    bool ready = add_checks(sh, &checks, &stats);
    res->status = ready ? 200 : 503;
    pr_buf_printf(&res->body,
                  "{\"ready\":%s,\"state\":\"%s\",\"service\":", ready ? "true" : "false",
                  state_name(sh));
    pr_json_add(&res->body, sh->svc->def.name);
    pr_buf_str(&res->body, ",\"instance\":");
    pr_json_add(&res->body, sh->svc->instance);
    pr_buf_printf(&res->body, ",\"version\":\"%s\",\"checks\":{", PRISM_VERSION);
    pr_buf_add(&res->body, checks.data, checks.len);
    pr_buf_str(&res->body, "}}\n");
    res->body.failed = res->body.failed || checks.failed;
    pr_buf_done(&checks);
}

static void refresh_common(struct pr_shell *sh)
{
    struct pr_metrics *m = sh->common;
    struct pr_bus_stats stats = { 0 };
    struct pr_buf unused;
    pr_buf_init(&unused, 0);
    bool ready = add_checks(sh, &unused, &stats);
    pr_buf_done(&unused);
    pthread_mutex_lock(&sh->lock);
    bool db_up = sh->db.up;
    pthread_mutex_unlock(&sh->lock);

    pr_metrics_set(m, PR_M_BUILD_INFO, PRISM_VERSION, 1);
    pr_metrics_set(m, PR_M_UP, NULL, 1);
    pr_metrics_set(m, PR_M_READY, NULL, ready);
    pr_metrics_set(m, PR_M_UPTIME, NULL, (double)(pr_mono_us() - sh->start_us) / 1e6);
    pr_metrics_set(m, PR_M_DEPENDENCY, sh->db.name, db_up);
    pr_metrics_set(m, PR_M_DEPENDENCY, sh->nats.name, stats.connected);
    pr_metrics_set(m, PR_M_PUBLISHED, NULL, (double)stats.published);
    pr_metrics_set(m, PR_M_CONSUMED, NULL, (double)stats.consumed);
    pr_metrics_set(m, PR_M_DEAD, NULL, (double)stats.dead);
    pr_metrics_set(m, PR_M_RECONNECTS, NULL, (double)stats.reconnects);
    pr_metrics_set(m, PR_M_DENIED, NULL, (double)stats.denied);
}

static void metrics(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct pr_shell *sh = ctx;
    (void)req;
    refresh_common(sh);
    res->content_type = "text/plain; version=0.0.4; charset=utf-8";
    pr_metrics_text(sh->common, &res->body);
    pr_metrics_text(sh->svc->metrics, &res->body);
}

static void count_request(void *ctx, const struct pr_http_req *req,
                          const struct pr_http_route *route, int status, int64_t us)
{
    static const char *const class[] = { "1xx", "2xx", "3xx", "4xx", "5xx" };
    struct pr_shell *sh = ctx;
    if (status >= 100 && status < 600)
        pr_metrics_add(sh->common, PR_M_REQUESTS, class[status / 100 - 1], 1);
    pr_metrics_observe(sh->common, PR_M_REQUEST_TIME, route == NULL ? "none" : route->pattern,
                       (double)us / 1e6);
    pr_debug(PR_EV("http.request"), PR_S("method", req->method), PR_S("path", req->path),
             PR_I("status", status), PR_I("us", us));
}

enum pr_code pr_service_listen(struct pr_shell *sh, struct pr_err *err)
{
    static const struct pr_http_route own[] = {
        { "GET", "/livez", livez, PR_HTTP_PROBE },
        { "GET", "/readyz", readyz, PR_HTTP_PROBE },
        { "GET", "/metrics", metrics, PR_HTTP_PROBE },
    };
    static pr_http_fn *const at_once[] = { livez, readyz, metrics, NULL };
    struct pr_http_options o[PR_HTTP_MOUNTS] = {
        { .bind = sh->svc->common.http_bind,
          .port = (int)sh->svc->common.http_port,
          .max_body_bytes = 1024,
          .routes = own,
          .n_routes = PR_COUNT(own),
          .at_once = at_once,
          .workers = 1,
          .ctx = sh,
          .done = count_request },
    };
    const struct pr_http_options *more = sh->svc->def.http;
    if (more == NULL)
        return pr_http_open_mounts(&sh->svc->http, o, 1, err);
    if (more->tls != NULL) {
        const enum pr_code rc = pr_http_open_mounts(&sh->svc->http, o, 1, err);
        if (rc != PR_OK)
            return rc;
        o[0].bind = more->bind;
        o[0].port = more->port;
        o[0].n_routes = 0; /* what we measure is for those inside */
        o[0].tls = more->tls;
    }
    o[0].max_connections = more->max_connections;
    o[0].max_connections_each = more->max_connections_each;
    o[0].idle_timeout_s = more->idle_timeout_s;
    o[0].request_timeout_s = more->request_timeout_s;
    o[0].loops = more->loops;
    o[0].workers = more->workers;
    o[0].queue = more->queue;
    o[1] = *more;
    return pr_http_open_mounts(more->tls != NULL ? &sh->svc->https : &sh->svc->http, o, 2, err);
}
