#include "prism/io/http.h"

#include "http_conn.h"
#include "http_peer.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    URL_BYTES = 8 * 1024,             /* above: 414 */
    ARENA_BYTES = 256 * 1024 * 1024,  /* per request */
    DISCARD_BYTES = 16 * 1024 * 1024, /* of a refused body read so that the client hears why */
};

const char *pr_http_query(const struct pr_http_req *r, const char *name)
{
    const struct pr_http_conn *c = r->conn_;
    return pr_target_query(c->target, name, r->arena);
}

const char *pr_http_query_name(const struct pr_http_req *r, size_t i)
{
    const struct pr_http_conn *c = r->conn_;
    return pr_target_query_name(c->target, i, r->arena);
}

const char *pr_http_header(const struct pr_http_req *r, const char *name)
{
    const struct pr_http_conn *c = r->conn_;
    return MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, name);
}

int pr_http_socket(const struct pr_http_req *r)
{
    const struct pr_http_conn *c = r->conn_;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info == NULL ? -1 : info->connect_fd;
}

size_t pr_http_address(const struct pr_http_req *r, unsigned char out[16])
{
    const struct pr_http_conn *c = r->conn_;
    return pr_peer_address(c->mhd, out);
}

const char *pr_http_client(const struct pr_http_req *r, size_t i)
{
    const struct pr_http_conn *c = r->conn_;
    const struct pr_tls_peer *who = pr_peer_tls(c->peer, c->mhd, pr_now_ms());
    return who == NULL || i >= who->n ? NULL : who->name[i];
}

int64_t pr_http_client_expires_ms(const struct pr_http_req *r)
{
    const struct pr_http_conn *c = r->conn_;
    const struct pr_tls_peer *who = pr_peer_tls(c->peer, c->mhd, pr_now_ms());
    return who == NULL ? 0 : who->expires_ms;
}

static void refuse(struct pr_http_conn *c, int status, const char *title, const char *detail)
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

/* As when nothing has been said. */
static void clear(struct pr_http_res *res)
{
    pr_buf_done(&res->body);
    *res = (struct pr_http_res){ .status = 200, .content_type = "application/json" };
}

/* When libmicrohttpd refuses a request by itself (its headers are wrong, or too long) it tells
 * nobody: what was made for the first line is kept with the connection until they are read. */
void pr_http_forget(struct pr_peer *peer)
{
    struct pr_http_conn *c = pr_peer_held(peer);
    if (c == NULL)
        return;
    pr_peer_hold(peer, NULL);
    pr_arena_done(&c->arena);
    free(c);
}

void *pr_http_on_line(void *cls, const char *target, struct MHD_Connection *mhd)
{
    struct pr_peer *peer = pr_peer_of(mhd);
    struct pr_http_conn *c = peer == NULL ? NULL : calloc(1, sizeof *c);
    pr_http_forget(peer);
    if (c == NULL)
        return NULL;
    c->h = cls;
    c->mhd = mhd;
    c->peer = peer;
    pr_peer_asks(c->peer);
    c->start_us = pr_mono_us();
    clear(&c->res);
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

static void find_route(struct pr_http_conn *c, const char *method)
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

static void check_connection(struct pr_http_conn *c)
{
    if (!pr_peer_over(c->peer))
        return;
    c->close = true; /* makes room */
    if (c->route == NULL || c->route->access != PR_HTTP_PROBE)
        refuse(c, 503, "Service Unavailable",
               pr_arena_printf(&c->arena, "all %u connections are in use", c->h->max_connections));
}

static size_t max_body(const struct pr_http_conn *c)
{
    return (c->mount == NULL ? &c->h->mount[0] : c->mount)->max_body_bytes;
}

/* 413 as soon as the headers tell; *early: answer now, before the body comes. */
static void check_length(struct pr_http_conn *c, bool *early)
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
static void begin(struct pr_http_conn *c, const char *method)
{
    c->begun = true;
    pr_peer_hold(c->peer, NULL);
    pthread_mutex_lock(&c->h->lock);
    c->h->active++;
    pthread_mutex_unlock(&c->h->lock);
    c->req.conn_ = c;
    pr_trace_continue(c->trace, pr_http_header(&c->req, "traceparent"));
    pr_log_trace(c->trace);

    c->req.method = pr_arena_strdup(&c->arena, method);
    c->req.path = pr_target_path(c->target, &c->arena);
    c->req.arena = &c->arena;
    if (c->req.method == NULL || c->req.path == NULL)
        refuse(c, 500, "Internal Server Error", "out of memory");
    else
        find_route(c, method);
    check_connection(c);
}

/* False: it would have had to wait, so nothing came of it. */
static bool authorise(struct pr_http_conn *c, bool may_wait)
{
    if (c->refused || c->route->access <= 0 || c->mount->authorise == NULL)
        return true;
    c->req.may_wait = may_wait;
    int status = c->mount->authorise(c->mount->ctx, &c->req, c->route, &c->res);
    if (c->res.again) {
        clear(&c->res);
        return false;
    }
    if (status != 0) {
        c->refused = true;
        c->res.status = status;
    }
    return true;
}

/* What a GET brings means nothing, so that nobody fills our memory who has not said who he is. */
static bool is_read(const struct pr_http_conn *c)
{
    return strcmp(c->req.method, "GET") == 0 || strcmp(c->req.method, "HEAD") == 0;
}

/* False: drop the connection. */
static bool take_body(struct pr_http_conn *c, const char *data, size_t n)
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

static bool is_at_once(const struct pr_http_conn *c)
{
    pr_http_fn *const *fn = c->mount->at_once;
    while (fn != NULL && *fn != NULL && *fn != c->route->fn)
        fn++;
    return fn != NULL && *fn != NULL;
}

/* False: it would have had to wait, so nothing came of it. */
static bool handle(struct pr_http_conn *c, bool may_wait)
{
    c->req.may_wait = may_wait;
    c->req.body = c->body.data == NULL ? "" : c->body.data;
    c->req.body_len = c->body.len;
    c->route->fn(c->mount->ctx, &c->req, &c->res);
    if (c->res.again) {
        clear(&c->res);
        return false;
    }
    if (c->mount->finish != NULL)
        c->mount->finish(c->mount->ctx, &c->req, c->route, &c->res);
    if (c->res.body.failed)
        pr_http_problem(&c->res, 500, "Internal Server Error", "the response does not fit memory",
                        NULL);
    return true;
}

/* ---- by the loop's thread, and by a worker's ---- */

/* libmicrohttpd will not answer it either, once it goes on. */
static bool client_has_gone(const struct pr_http_conn *c)
{
    struct pollfd p = { .fd = pr_http_socket(&c->req), .events = POLLRDHUP };
    return p.fd >= 0 && poll(&p, 1, 0) == 1 && p.revents != 0;
}

static bool work(struct pr_http_job *job)
{
    struct pr_http_conn *c =
        (struct pr_http_conn *)((char *)job - offsetof(struct pr_http_conn, job));
    pr_log_trace(c->trace);
    if (client_has_gone(c))
        refuse(c, 499, "Client Closed Request", "nobody waits for the answer");
    else if (!(c->stage == PR_HTTP_AUTHORISED ? authorise(c, true) : handle(c, true)))
        refuse(c, 500, "Internal Server Error", "it may wait, and would not");
    pr_log_trace(NULL);
    return true;
}

/* What leads to this stage may wait. False: no worker will do it, which is answered. */
static bool leave_to_worker(struct pr_http_conn *c, enum pr_http_stage stage)
{
    c->stage = stage;
    c->job =
        (struct pr_http_job){ .mhd = c->mhd, .run = work, .stranger = stage == PR_HTTP_AUTHORISED };
    pr_peer_waits(c->peer);
    if (pr_http_pool_add(c->h->pool, &c->job))
        return true;
    refuse(c, 503, "Service Unavailable", "too many requests wait for a thread that answers them");
    return false;
}

static void take_back(struct pr_http_conn *c)
{
    if (c->job.dropped)
        refuse(c, 503, "Service Unavailable", "stopping");
}

static enum MHD_Result expect_body(struct pr_http_conn *c)
{
    bool early = false;
    check_length(c, &early);
    pr_buf_init(&c->body, max_body(c));
    c->stage = PR_HTTP_BODY;
    return early ? pr_http_answer(c) : MHD_YES;
}

static enum MHD_Result go_on(struct pr_http_conn *c, const char *method, const char *data,
                             size_t *n)
{
    switch (c->stage) {
    case PR_HTTP_HEADERS:
        begin(c, method);
        if (!authorise(c, false) && leave_to_worker(c, PR_HTTP_AUTHORISED))
            return MHD_YES;
        return expect_body(c);
    case PR_HTTP_AUTHORISED:
        take_back(c);
        pr_peer_goes_on(c->peer);
        return expect_body(c);
    case PR_HTTP_BODY:
        if (*n > 0) {
            const size_t len = *n;
            *n = 0;
            return take_body(c, data, len) ? MHD_YES : MHD_NO;
        }
        pr_peer_waits(c->peer);
        if (!c->refused && !(is_at_once(c) && handle(c, false)) &&
            leave_to_worker(c, PR_HTTP_HANDLED))
            return MHD_YES;
        return pr_http_answer(c);
    case PR_HTTP_HANDLED:
        take_back(c);
        break;
    }
    return pr_http_answer(c);
}

enum MHD_Result pr_http_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *n, void **con_cls)
{
    struct pr_http_conn *c = *con_cls;
    (void)cls;
    (void)mhd;
    (void)url;
    (void)version;
    if (c == NULL)
        return MHD_NO; /* no memory at the request line */
    if (c->begun)
        pr_log_trace(c->trace);
    const enum MHD_Result rc = go_on(c, method, data, n);
    pr_log_trace(NULL);
    return rc;
}
