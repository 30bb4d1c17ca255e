#include "prism/io/http.h"

#include "http_internal.h"
#include "http_peer.h"
#include "http_route.h"
#include "http_stream.h"
#include "http_trace.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/io/rest.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    HEADER_BYTES = 32 * 1024,         /* per connection; above: 431 from libmicrohttpd */
    URL_BYTES = 8 * 1024,             /* above: 414 */
    ARENA_BYTES = 256 * 1024 * 1024,  /* per request */
    DISCARD_BYTES = 16 * 1024 * 1024, /* of a refused body read so that the client hears why */
    SPARE_CONNECTIONS = 64,           /* above the limit, to say 503 and to answer probes */
    REQUEST_S = 30,                   /* from a request's first line to its last byte */
    SLOWEST_BYTES_PER_S = 16 * 1024,  /* at which answers are taken */
    STACK_BYTES = 1 << 20,            /* of a connection's thread */
    DRAIN_S = 10,                     /* what closing gives running requests to be answered */
};

struct pr_http {
    struct pr_http_options mount[PR_HTTP_MOUNTS];
    struct pr_route_table table[PR_HTTP_MOUNTS];
    size_t n_mounts;
    unsigned max_connections;
    int port;
    struct MHD_Daemon *daemon;
    struct pr_peers *peers;
    atomic_bool closing;
    atomic_bool held[PR_HTTP_MOUNTS];
    pthread_mutex_t lock;
    pthread_cond_t idle;
    size_t active; /* requests between their headers and the end of their response; lock */
};

/* One request, from its request line to the end of its response. */
struct conn {
    struct pr_http *h;
    struct MHD_Connection *mhd;
    struct pr_peer *peer;
    struct pr_arena arena;
    char *target;                        /* as sent; in the arena */
    const struct pr_http_options *mount; /* of the route; NULL: none */
    const struct pr_http_route *route;
    struct pr_http_req req;
    struct pr_http_res res;
    struct pr_buf body;
    struct pr_stream_body stream;
    size_t discarded;
    int64_t start_us;
    bool begun, refused /* res is final, the handler is not called */, sent, close;
    int status;
};

const char *pr_http_query(const struct pr_http_req *r, const char *name)
{
    const struct conn *c = r->conn_;
    return pr_target_query(c->target, name, r->arena);
}

const char *pr_http_query_name(const struct pr_http_req *r, size_t i)
{
    const struct conn *c = r->conn_;
    return pr_target_query_name(c->target, i, r->arena);
}

const char *pr_http_header(const struct pr_http_req *r, const char *name)
{
    const struct conn *c = r->conn_;
    return MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, name);
}

int pr_http_socket(const struct pr_http_req *r)
{
    const struct conn *c = r->conn_;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info == NULL ? -1 : info->connect_fd;
}

size_t pr_http_address(const struct pr_http_req *r, unsigned char out[16])
{
    const struct conn *c = r->conn_;
    return pr_peer_address(c->mhd, out);
}

const char *pr_http_client(const struct pr_http_req *r, size_t i)
{
    const struct conn *c = r->conn_;
    const struct pr_tls_peer *who = pr_peer_tls(c->peer, c->mhd, pr_now_ms());
    return who == NULL || i >= who->n ? NULL : who->name[i];
}

int pr_http_port(const struct pr_http *h)
{
    return h->port;
}

static void refuse(struct conn *c, int status, const char *title, const char *detail)
{
    c->refused = true;
    pr_buf_done(&c->body);
    if (status == 503) {
        c->res.header[0].name = "Retry-After";
        c->res.header[0].value = "1";
    }
    pr_http_problem(&c->res, status, title, detail, NULL);
}

/* ---- one request ---- */

static void start_trace(const struct conn *c)
{
    char trace[PR_TRACE_BYTES];
    pr_trace_continue(trace, pr_http_header(&c->req, "traceparent"));
    pr_log_trace(trace);
}

static void *on_request_line(void *cls, const char *target, struct MHD_Connection *mhd)
{
    struct conn *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->h = cls;
    c->mhd = mhd;
    c->peer = pr_peer_of(mhd);
    pr_peer_asks(c->peer);
    c->start_us = pr_mono_us();
    c->res.status = 200;
    c->res.content_type = "application/json";
    pr_arena_init(&c->arena, ARENA_BYTES);
    c->target = pr_arena_strdup(&c->arena, target);
    if (c->target == NULL) {
        pr_arena_done(&c->arena);
        free(c);
        return NULL;
    }
    return c;
}

static void find_route(struct conn *c, const char *method)
{
    struct pr_target t;
    if (strlen(c->target) > URL_BYTES) {
        refuse(c, 414, "URI Too Long", "the request target is longer than 8192 bytes");
        return;
    }
    if (pr_target_route(c->h->table, c->h->n_mounts, method, c->target, &c->arena, &t) != PR_OK) {
        refuse(c, 500, "Internal Server Error", "out of memory");
        return;
    }
    switch (t.kind) {
    case PR_TARGET_BAD:
        refuse(c, 400, "Bad Request", pr_arena_printf(&c->arena, "the URL has %s", t.why));
        return;
    case PR_TARGET_UNKNOWN:
        refuse(c, 404, "Not Found", pr_arena_printf(&c->arena, "no resource %.512s", c->req.path));
        return;
    case PR_TARGET_METHOD:
        refuse(
            c, 405, "Method Not Allowed",
            pr_arena_printf(&c->arena, "%.32s is not allowed here; allowed: %s", method, t.allow));
        c->res.header[0].name = "Allow";
        c->res.header[0].value = pr_arena_strdup(&c->arena, t.allow);
        return;
    case PR_TARGET_FOUND:
        break;
    }
    c->route = t.route;
    memcpy(c->req.param, t.param, sizeof c->req.param);
    for (size_t i = 0; i < c->h->n_mounts; i++)
        if (t.route >= c->h->table[i].routes && t.route < c->h->table[i].routes + c->h->table[i].n)
            c->mount = &c->h->mount[i];
    if (atomic_load(&c->h->held[c->mount - c->h->mount]))
        refuse(c, 503, "Service Unavailable", "starting; /readyz tells what is missing");
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct pr_http *h = cls;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED)
        pr_peer_free(h->peers, *context);
    else
        *context = pr_peer_new(h->peers, mhd);
}

static void check_connection(struct conn *c)
{
    if (!pr_peer_over(c->peer))
        return;
    c->close = true; /* makes room */
    if (c->route == NULL || c->route->access != PR_HTTP_PROBE)
        refuse(c, 503, "Service Unavailable",
               pr_arena_printf(&c->arena, "all %u connections are in use", c->h->max_connections));
}

static size_t max_body(const struct conn *c)
{
    return (c->mount == NULL ? &c->h->mount[0] : c->mount)->max_body_bytes;
}

/* 413 as soon as the headers tell; *early: answer now, before the body comes. */
static void check_length(struct conn *c, bool *early)
{
    const char *length = pr_http_header(&c->req, "Content-Length");
    const char *expect = pr_http_header(&c->req, "Expect");
    unsigned long long n = length == NULL ? 0 : strtoull(length, NULL, 10);
    if (!c->refused && n > max_body(c))
        refuse(c, 413, "Content Too Large",
               pr_arena_printf(&c->arena, "the body has %llu bytes, at most %zu are allowed", n,
                               max_body(c)));
    /* A client that sends before it listens would see a reset instead of the
     * answer, so a body of bearable size is read and dropped first. */
    *early = c->refused && (expect != NULL || n > DISCARD_BYTES);
}

/* Headers are complete, the body is not read yet. */
static void begin(struct conn *c, const char *method, bool *early)
{
    c->begun = true;
    pthread_mutex_lock(&c->h->lock);
    c->h->active++;
    pthread_mutex_unlock(&c->h->lock);
    c->req.conn_ = c;
    start_trace(c);

    c->req.method = pr_arena_strdup(&c->arena, method);
    c->req.path = pr_target_path(c->target, &c->arena);
    c->req.arena = &c->arena;
    if (c->req.method == NULL || c->req.path == NULL)
        refuse(c, 500, "Internal Server Error", "out of memory");
    else
        find_route(c, method);
    check_connection(c);
    if (!c->refused && c->route->access > 0 && c->mount->authorise != NULL) {
        int status = c->mount->authorise(c->mount->ctx, &c->req, c->route, &c->res);
        if (status != 0) {
            c->refused = true;
            c->res.status = status;
        }
    }
    check_length(c, early);
    pr_buf_init(&c->body, max_body(c));
}

/* False: drop the connection. */
static bool take_body(struct conn *c, const char *data, size_t n)
{
    if (!c->refused) {
        pr_buf_add(&c->body, data, n);
        if (!c->body.failed)
            return true;
        if (n > max_body(c) - c->body.len)
            refuse(c, 413, "Content Too Large",
                   pr_arena_printf(&c->arena, "the body has more than the allowed %zu bytes",
                                   max_body(c)));
        else
            refuse(c, 503, "Service Unavailable", "no memory for the body");
    }
    c->discarded += n;
    return c->discarded <= DISCARD_BYTES;
}

static void run_handler(struct conn *c)
{
    c->req.body = c->body.data == NULL ? "" : c->body.data;
    c->req.body_len = c->body.len;
    c->route->fn(c->mount->ctx, &c->req, &c->res);
    if (c->mount->finish != NULL)
        c->mount->finish(c->mount->ctx, &c->req, c->route, &c->res);
    if (c->res.body.failed)
        pr_http_problem(&c->res, 500, "Internal Server Error", "the response does not fit memory",
                        NULL);
}

static void add_headers(const struct conn *c, struct MHD_Response *r, bool has_body)
{
    static const struct {
        const char *name, *value;
    } standard[] = {
        { "X-Content-Type-Options", "nosniff" },
        { "Cache-Control", "no-store" },
        { "X-Frame-Options", "DENY" },
        { "Referrer-Policy", "no-referrer" },
        { "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'" },
    };
    for (size_t i = 0; i < PR_COUNT(c->res.header); i++) {
        const char *name = c->res.header[i].name, *value = c->res.header[i].value;
        if (name != NULL && value != NULL && MHD_add_response_header(r, name, value) != MHD_YES)
            pr_warn(PR_EV("http.bad_header"), PR_S("name", name), PR_S("path", c->req.path));
    }
    for (size_t i = 0; i < PR_COUNT(standard); i++)
        if (MHD_get_response_header(r, standard[i].name) == NULL)
            (void)MHD_add_response_header(r, standard[i].name, standard[i].value);
    if (has_body && c->res.content_type != NULL)
        (void)MHD_add_response_header(r, "Content-Type", c->res.content_type);
    if (c->h->mount[0].tls != NULL)
        (void)MHD_add_response_header(r, "Strict-Transport-Security", "max-age=31536000");
    if (c->close || atomic_load(&c->h->closing))
        (void)MHD_add_response_header(r, "Connection", "close");
}

static enum MHD_Result answer(struct conn *c)
{
    int status = c->res.status == 0 ? 200 : c->res.status;
    bool has_body = status >= 200 && status != 204 && status != 304;
    bool streams = has_body && c->res.stream.more != NULL;
    size_t n = has_body ? c->res.body.len : 0;
    struct MHD_Response *r;
    if (streams) {
        r = pr_stream_response(&c->stream, &c->res.stream, &c->h->closing);
    } else if (n > 0) {
        r = MHD_create_response_from_buffer(n, c->res.body.data, MHD_RESPMEM_MUST_FREE);
        if (r != NULL)
            c->res.body = (struct pr_buf){ 0 }; /* the response owns it now */
    } else
        r = MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    if (r == NULL)
        return MHD_NO;
    if (streams) /* for as long as it lasts */
        pr_peer_waits(c->peer);
    else
        pr_peer_takes(c->peer, n);
    /* Nothing of a kind is of that kind, too; no JSON is empty, though. */
    add_headers(c, r,
                streams || n > 0 ||
                    (has_body && strcmp(c->res.content_type, "application/json") != 0));
    c->status = status;
    c->sent = true;
    enum MHD_Result rc = MHD_queue_response(c->mhd, (unsigned)status, r);
    MHD_destroy_response(r);
    return rc;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *n, void **con_cls)
{
    struct conn *c = *con_cls;
    (void)cls;
    (void)mhd;
    (void)url;
    (void)version;
    if (c == NULL)
        return MHD_NO; /* no memory at the request line */
    if (!c->begun) {
        bool early = false;
        begin(c, method, &early);
        return early ? answer(c) : MHD_YES;
    }
    if (*n > 0) {
        size_t len = *n;
        *n = 0;
        return take_body(c, data, len) ? MHD_YES : MHD_NO;
    }
    pr_peer_waits(c->peer);
    if (!c->refused)
        run_handler(c);
    return answer(c);
}

static void call_done(struct conn *c)
{
    int64_t us = pr_mono_us() - c->start_us;
    for (size_t i = 0; i < c->h->n_mounts; i++) {
        const struct pr_http_options *m = &c->h->mount[i];
        if (m->done != NULL && (i == 0 || c->mount == NULL || c->mount == m))
            m->done(m->ctx, &c->req, c->route, c->status, us);
    }
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
                         enum MHD_RequestTerminationCode why)
{
    struct conn *c = *con_cls;
    (void)cls;
    (void)mhd;
    (void)why;
    if (c == NULL)
        return;
    *con_cls = NULL;
    pr_peer_rests(c->peer);
    struct pr_http *h = c->h;
    bool begun = c->begun;
    if (c->sent)
        call_done(c);
    pr_stream_end(&c->stream);
    pr_buf_done(&c->body);
    pr_buf_done(&c->res.body);
    pr_arena_done(&c->arena);
    free(c);
    pr_log_trace(NULL);
    if (!begun)
        return; /* libmicrohttpd refused it by itself */
    pthread_mutex_lock(&h->lock);
    if (--h->active == 0)
        pthread_cond_broadcast(&h->idle);
    pthread_mutex_unlock(&h->lock);
}

static void on_server_log(void *cls, const char *fmt, va_list ap) PR_PRINTF(2, 0);

static void on_server_log(void *cls, const char *fmt, va_list ap)
{
    struct pr_err text;
    (void)cls;
    (void)pr_vfail(&text, PR_OK, fmt, ap); /* one line of it */
    pr_debug(PR_EV("http.server"), PR_E(&text));
}

/* ---- the server ---- */

static enum pr_code start(struct pr_http *h, int fd, struct pr_err *err)
{
    const struct pr_http_options *o = &h->mount[0];
    const unsigned idle_s = o->idle_timeout_s > 0 ? (unsigned)o->idle_timeout_s : 30;
    h->max_connections = o->max_connections > 0 ? (unsigned)o->max_connections : 512;
    h->port = pr_http_bound_port(fd);
    const struct pr_peer_limits limits = {
        .connections = h->max_connections,
        .idle_ms = idle_s * 1000LL,
        .request_ms = (o->request_timeout_s > 0 ? o->request_timeout_s : REQUEST_S) * 1000LL,
        .slowest_bytes_per_s =
            o->slowest_bytes_per_s > 0 ? o->slowest_bytes_per_s : SLOWEST_BYTES_PER_S,
    };
    enum pr_code rc = pr_peers_open(&h->peers, &limits, o->tls, err);
    if (rc != PR_OK)
        return rc;
    h->daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
            MHD_USE_ITC | MHD_USE_ERROR_LOG | (o->tls == NULL ? 0u : (unsigned)MHD_USE_TLS),
        0, NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, on_server_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        h->max_connections + SPARE_CONNECTIONS, MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_CONNECTION_TIMEOUT, idle_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)STACK_BYTES, MHD_OPTION_URI_LOG_CALLBACK, on_request_line, h,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
        o->tls == NULL ? MHD_OPTION_END : MHD_OPTION_HTTPS_PRIORITIES,
        o->tls == NULL ? NULL : pr_tls_priorities(o->tls), MHD_OPTION_HTTPS_CERT_CALLBACK2,
        pr_tls_retrieve, MHD_OPTION_END);
    if (h->daemon != NULL)
        return PR_OK;
    pr_peers_close(h->peers); /* libmicrohttpd may have closed fd: leave it alone */
    return pr_fail(err, PR_EUNAVAIL, "cannot start the HTTP server on port %d", h->port);
}

static void free_server(struct pr_http *h)
{
    pthread_cond_destroy(&h->idle);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

enum pr_code pr_http_open_mounts(struct pr_http **out, const struct pr_http_options *o, size_t n,
                                 struct pr_err *err)
{
    struct pr_http *h = calloc(1, sizeof *h);
    int fd = -1;
    if (h == NULL)
        return pr_fail(err, PR_ENOMEM, "HTTP server: out of memory");
    pr_cond_init(&h->idle);
    (void)pthread_mutex_init(&h->lock, NULL);
    h->n_mounts = n;
    for (size_t i = 1; i < n; i++)
        atomic_store(&h->held[i], true);
    for (size_t i = 0; i < n; i++) {
        h->mount[i] = o[i];
        h->table[i] = (struct pr_route_table){ o[i].routes, o[i].n_routes };
        if (h->mount[i].max_body_bytes == 0)
            h->mount[i].max_body_bytes = 1024 * 1024;
    }
    enum pr_code rc = pr_routes_valid(h->table, n, err);
    if (rc == PR_OK)
        rc = pr_http_listen(o[0].bind, o[0].port, &fd, err);
    if (rc == PR_OK)
        rc = start(h, fd, err);
    if (rc != PR_OK) {
        free_server(h);
        return rc;
    }
    *out = h;
    return PR_OK;
}

enum pr_code pr_http_open(struct pr_http **h, const struct pr_http_options *o, struct pr_err *err)
{
    return pr_http_open_mounts(h, o, 1, err);
}

uint64_t pr_http_too_slow(const struct pr_http *h)
{
    return pr_peers_cut(h->peers);
}

void pr_http_hold(struct pr_http *h, size_t mount, bool on)
{
    atomic_store(&h->held[mount], on);
}

void pr_http_close(struct pr_http *h)
{
    if (h == NULL)
        return;
    atomic_store(&h->closing, true);
    int fd = MHD_quiesce_daemon(h->daemon); /* nobody new from here on */
    if (fd >= 0)
        (void)close(fd);

    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += DRAIN_S;
    int rc = 0;
    pthread_mutex_lock(&h->lock);
    while (h->active > 0 && rc == 0)
        rc = pthread_cond_timedwait(&h->idle, &h->lock, &until);
    if (h->active > 0)
        pr_warn(PR_EV("http.drain_late"), PR_I("running", h->active));
    pthread_mutex_unlock(&h->lock);

    MHD_stop_daemon(h->daemon); /* joins every thread, so every handler */
    pr_peers_close(h->peers);
    free_server(h);
}
