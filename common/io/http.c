#include "prism/io/http.h"

#include "http_peer.h"
#include "http_server.h"
#include "http_stream.h"
#include "http_trace.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    URL_BYTES = 8 * 1024,             /* above: 414 */
    ARENA_BYTES = 256 * 1024 * 1024,  /* per request */
    DISCARD_BYTES = 16 * 1024 * 1024, /* of a refused body read so that the client hears why */
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

int64_t pr_http_client_expires_ms(const struct pr_http_req *r)
{
    const struct conn *c = r->conn_;
    const struct pr_tls_peer *who = pr_peer_tls(c->peer, c->mhd, pr_now_ms());
    return who == NULL ? 0 : who->expires_ms;
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

/* When libmicrohttpd refuses a request by itself (its headers are wrong, or too long) it tells
 * nobody: what was made for the first line is kept with the connection until they are read. */
void pr_http_forget(struct pr_peer *peer)
{
    struct conn *c = pr_peer_held(peer);
    if (c == NULL)
        return;
    pr_peer_hold(peer, NULL);
    pr_arena_done(&c->arena);
    free(c);
}

void *pr_http_on_line(void *cls, const char *target, struct MHD_Connection *mhd)
{
    struct pr_peer *peer = pr_peer_of(mhd);
    struct conn *c = peer == NULL ? NULL : calloc(1, sizeof *c);
    pr_http_forget(peer);
    if (c == NULL)
        return NULL;
    c->h = cls;
    c->mhd = mhd;
    c->peer = peer;
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
    pr_peer_hold(peer, c);
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
    pr_peer_hold(c->peer, NULL);
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

/* What a GET brings means nothing, so that nobody fills our memory who has not said who he is. */
static bool is_read(const struct conn *c)
{
    return strcmp(c->req.method, "GET") == 0 || strcmp(c->req.method, "HEAD") == 0;
}

/* False: drop the connection. */
static bool take_body(struct conn *c, const char *data, size_t n)
{
    if (!c->refused && !is_read(c)) {
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

enum MHD_Result pr_http_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
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

void pr_http_on_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
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
    pr_peer_hold(c->peer, NULL);
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
