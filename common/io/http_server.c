/* The server's life: listening, connections, closing. */
#include "http_server.h"

#include "http_loops.h"
#include "http_peer.h"
#include "http_pool.h"
#include "prism/io/log.h"
#include "prism/io/rest.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    HEADER_BYTES = 32 * 1024,        /* per connection; above: 431 from libmicrohttpd */
    SPARE_CONNECTIONS = 64,          /* above the limit, to say 503 and to answer probes */
    REQUEST_S = 30,                  /* from a request's first line to its last byte */
    SLOWEST_BYTES_PER_S = 16 * 1024, /* at which answers are taken */
    STACK_BYTES = 1 << 20,           /* of a loop's thread */
    WORKERS = 16,
    QUEUE = 1024,
    DRAIN_S = 10, /* what closing gives running requests to be answered */
    LAST_S = 1,   /* and those that then are told that it is over */
};

int pr_http_port(const struct pr_http *h)
{
    return h->port;
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct pr_http_loop *loop = cls;
    const struct pr_http *h = pr_http_loop_server(loop);
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        pr_http_forget(*context);
        pr_peer_free(h->peers, *context);
        pr_http_loop_left(loop, mhd);
    } else
        *context = pr_peer_new(h->peers, mhd);
}

static void on_server_log(void *cls, const char *fmt, va_list ap) PR_PRINTF(2, 0);

static void on_server_log(void *cls, const char *fmt, va_list ap)
{
    struct pr_err text;
    (void)cls;
    (void)pr_vfail(&text, PR_OK, fmt, ap); /* one line of it */
    pr_debug(PR_EV("http.server"), PR_E(&text));
}

static unsigned or_else(int wanted, unsigned usual)
{
    return wanted > 0 ? (unsigned)wanted : usual;
}

static void look(void *ctx)
{
    const struct pr_http *h = ctx;
    pr_http_pool_tell(h->pool);
}

static struct MHD_Daemon *start_daemon(struct pr_http *h, struct pr_http_loop *loop,
                                       unsigned connections)
{
    const struct pr_tls *tls = h->mount[0].tls;
    return MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC |
            MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
            (tls == NULL ? 0u : (unsigned)MHD_USE_TLS),
        0, NULL, NULL, pr_http_on_request, h, MHD_OPTION_EXTERNAL_LOGGER, on_server_log, NULL,
        MHD_OPTION_CONNECTION_LIMIT, connections, MHD_OPTION_NOTIFY_CONNECTION, on_connection, loop,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_CONNECTION_TIMEOUT, h->idle_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)STACK_BYTES, MHD_OPTION_URI_LOG_CALLBACK, pr_http_on_line, h,
        MHD_OPTION_NOTIFY_COMPLETED, pr_http_on_completed, h,
        tls == NULL ? MHD_OPTION_END : MHD_OPTION_HTTPS_PRIORITIES,
        tls == NULL ? NULL : pr_tls_priorities(tls), MHD_OPTION_HTTPS_CERT_CALLBACK2,
        pr_tls_retrieve, MHD_OPTION_END);
}

static enum pr_code start(struct pr_http *h, int fd, struct pr_err *err)
{
    const struct pr_http_options *o = &h->mount[0];
    h->idle_s = or_else(o->idle_timeout_s, 30);
    h->max_connections = or_else(o->max_connections, 512);
    h->port = pr_http_bound_port(fd);
    const struct pr_peer_limits limits = {
        .connections = h->max_connections,
        .idle_ms = h->idle_s * 1000LL,
        .request_ms = or_else(o->request_timeout_s, REQUEST_S) * 1000LL,
        .slowest_bytes_per_s = or_else(o->slowest_bytes_per_s, SLOWEST_BYTES_PER_S),
    };
    const struct pr_http_loops_options loops = {
        .fd = fd,
        .first = or_else(o->loops, 1),
        .limit = h->max_connections + SPARE_CONNECTIONS,
        .each = o->max_connections_each > 0 ? (unsigned)o->max_connections_each : 0,
    };
    enum pr_code rc =
        pr_http_pool_open(&h->pool, or_else(o->workers, WORKERS), or_else(o->queue, QUEUE), err);
    if (rc == PR_OK)
        rc = pr_peers_open(&h->peers, &limits, o->tls, look, h, err);
    if (rc == PR_OK)
        rc = pr_http_loops_open(&h->loops, &loops, start_daemon, h, err);
    return rc;
}

/* The bells, so that nobody comes while it closes. */
static void hear(struct pr_http *h, bool on)
{
    for (size_t i = 0; i < h->n_mounts; i++) {
        struct pr_http_bell *b = h->mount[i].bell;
        if (b == NULL)
            continue;
        pthread_mutex_lock(&b->lock);
        b->server = on ? h : NULL;
        pthread_mutex_unlock(&b->lock);
    }
}

void pr_http_bell_init(struct pr_http_bell *b)
{
    b->server = NULL;
    (void)pthread_mutex_init(&b->lock, NULL);
}

void pr_http_bell_done(struct pr_http_bell *b)
{
    pthread_mutex_destroy(&b->lock);
}

void pr_http_ring(struct pr_http_bell *b)
{
    pthread_mutex_lock(&b->lock);
    if (b->server != NULL)
        pr_http_pool_tell(b->server->pool);
    pthread_mutex_unlock(&b->lock);
}

static void free_server(struct pr_http *h)
{
    if (h->pool != NULL)
        pr_http_pool_stop(h->pool);
    pr_peers_close(h->peers);
    pr_http_pool_close(h->pool);
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
        if (fd >= 0)
            (void)close(fd);
        free_server(h);
        return rc;
    }
    hear(h, true);
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

/* How many requests are not answered then. */
static size_t await_idle(struct pr_http *h, int seconds)
{
    struct timespec until;
    int rc = 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&h->lock);
    while (h->active > 0 && rc == 0)
        rc = pthread_cond_timedwait(&h->idle, &h->lock, &until);
    const size_t running = h->active;
    pthread_mutex_unlock(&h->lock);
    return running;
}

void pr_http_close(struct pr_http *h)
{
    if (h == NULL)
        return;
    hear(h, false);
    atomic_store(&h->closing, true);
    pr_http_pool_tell(h->pool); /* so streams end */
    pr_http_loops_quiet(h->loops);

    const size_t running = await_idle(h, DRAIN_S);
    if (running > 0)
        pr_warn(PR_EV("http.drain_late"), PR_I("running", running));
    pr_http_pool_stop(h->pool);  /* libmicrohttpd aborts when a connection is suspended */
    (void)await_idle(h, LAST_S); /* their answers */
    pr_http_loops_close(h->loops);
    free_server(h);
}
