#include "http_peer.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/io/rest.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { LOOK_MS = 250, OVER_MS = 5000 /* what is above the limit gets to ask, and hear why not */ };

struct pr_peer {
    struct pr_peers *all;
    struct pr_peer *next, *prev; /* lock */
    int fd;
    bool over;
    _Atomic int64_t due_ms; /* monotonic; INT64_MAX: nothing is */
    struct pr_tls_peer *names;
    bool names_known; /* for this request: they stay where they are as long as it is answered */
    bool names_read;
    uint64_t version; /* of what names was verified with */
    void *held;
};

struct pr_peers {
    struct pr_peer_limits limits;
    struct pr_tls *tls;
    void (*look)(void *ctx);
    void *ctx;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct pr_peer *first; /* lock */
    unsigned n;            /* lock */
    bool stop;             /* lock */
    _Atomic uint64_t cut;
    pthread_t thread;
};

static int64_t mono_ms(void)
{
    return pr_mono_us() / 1000;
}

/* Its loop finds the socket shut, and ends the connection. */
static unsigned cut_late(struct pr_peers *all, int64_t now_ms)
{
    unsigned cut = 0;
    for (struct pr_peer *p = all->first; p != NULL; p = p->next) {
        if (now_ms < atomic_load(&p->due_ms))
            continue;
        atomic_store(&p->due_ms, INT64_MAX);
        atomic_fetch_add(&all->cut, 1); /* who sees that it is over finds it counted */
        (void)shutdown(p->fd, SHUT_RDWR);
        cut++;
    }
    return cut;
}

static void *watch(void *arg)
{
    struct pr_peers *all = arg;
    unsigned cut = 0;
    while (pr_rest(&all->lock, &all->wake, &all->stop, pr_mono_us() + LOOK_MS * 1000LL)) {
        pthread_mutex_lock(&all->lock);
        cut = cut_late(all, mono_ms());
        pthread_mutex_unlock(&all->lock);
        if (cut > 0)
            pr_info(PR_EV("http.too_slow"), PR_I("connections", cut));
        all->look(all->ctx);
    }
    return NULL;
}

enum pr_code pr_peers_open(struct pr_peers **out, const struct pr_peer_limits *limits,
                           struct pr_tls *tls, void (*look)(void *ctx), void *ctx,
                           struct pr_err *err)
{
    struct pr_peers *all = calloc(1, sizeof *all);
    if (all == NULL)
        return pr_fail(err, PR_ENOMEM, "HTTP server: out of memory");
    all->limits = *limits;
    all->tls = tls;
    all->look = look;
    all->ctx = ctx;
    pr_cond_init(&all->wake);
    (void)pthread_mutex_init(&all->lock, NULL);
    if (pthread_create(&all->thread, NULL, watch, all) != 0) {
        pthread_cond_destroy(&all->wake);
        pthread_mutex_destroy(&all->lock);
        free(all);
        return pr_fail(err, PR_EUNAVAIL, "HTTP server: no thread");
    }
    *out = all;
    return PR_OK;
}

void pr_peers_close(struct pr_peers *all)
{
    if (all == NULL)
        return;
    pthread_mutex_lock(&all->lock);
    all->stop = true;
    pthread_cond_broadcast(&all->wake);
    pthread_mutex_unlock(&all->lock);
    (void)pthread_join(all->thread, NULL);
    pthread_cond_destroy(&all->wake);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

uint64_t pr_peers_cut(struct pr_peers *all)
{
    return atomic_load(&all->cut);
}

struct pr_peer *pr_peer_new(struct pr_peers *all, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    const int fd = info == NULL ? -1 : info->connect_fd; /* what is asked next may lie there, too */
    const union MHD_ConnectionInfo *session =
        all->tls == NULL ? NULL : MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (session != NULL)
        pr_tls_begin(all->tls, session->tls_session);
    struct pr_peer *p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    p->all = all;
    p->fd = fd;
    pr_peer_rests(p);
    pthread_mutex_lock(&all->lock);
    p->over = all->n++ >= all->limits.connections;
    if (p->over)
        atomic_store(&p->due_ms, mono_ms() + OVER_MS);
    p->next = all->first;
    if (p->next != NULL)
        p->next->prev = p;
    all->first = p;
    pthread_mutex_unlock(&all->lock);
    return p;
}

void pr_peer_free(struct pr_peers *all, struct pr_peer *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&all->lock);
    all->n--;
    if (p->next != NULL)
        p->next->prev = p->prev;
    if (p->prev != NULL)
        p->prev->next = p->next;
    else
        all->first = p->next;
    pthread_mutex_unlock(&all->lock);
    free(p->names);
    free(p);
}

struct pr_peer *pr_peer_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

void pr_peer_hold(struct pr_peer *p, void *what)
{
    if (p != NULL)
        p->held = what;
}

void *pr_peer_held(const struct pr_peer *p)
{
    return p == NULL ? NULL : p->held;
}

bool pr_peer_over(const struct pr_peer *p)
{
    return p == NULL || p->over;
}

/* What came above the limit has its time, whatever it says. */
static void due_in(struct pr_peer *p, int64_t ms)
{
    if (p != NULL && !p->over)
        atomic_store(&p->due_ms, ms == INT64_MAX ? ms : mono_ms() + ms);
}

void pr_peer_asks(struct pr_peer *p)
{
    if (p != NULL)
        p->names_known = false;
    pr_peer_goes_on(p);
}

void pr_peer_goes_on(struct pr_peer *p)
{
    due_in(p, p == NULL ? 0 : p->all->limits.request_ms);
}

void pr_peer_waits(struct pr_peer *p)
{
    due_in(p, INT64_MAX);
}

void pr_peer_takes(struct pr_peer *p, uint64_t bytes)
{
    if (p == NULL)
        return;
    const struct pr_peer_limits *l = &p->all->limits;
    due_in(p, l->request_ms + (int64_t)(bytes / (uint64_t)l->slowest_bytes_per_s) * 1000);
}

/* Silence is libmicrohttpd's to end; a first line that comes byte by byte is no silence. */
void pr_peer_rests(struct pr_peer *p)
{
    due_in(p, p == NULL ? 0 : p->all->limits.idle_ms + p->all->limits.request_ms);
}

const struct pr_tls_peer *pr_peer_tls(struct pr_peer *p, struct MHD_Connection *mhd, int64_t now_ms)
{
    if (p == NULL || p->all->tls == NULL)
        return NULL;
    const union MHD_ConnectionInfo *session =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    const uint64_t version = pr_tls_version(p->all->tls); /* before what it is of is looked at */
    if (session != NULL && !p->names_known && (!p->names_read || p->version != version)) {
        p->names_read = true;
        p->version = version;
        if (p->names == NULL)
            p->names = calloc(1, sizeof *p->names);
        if (p->names != NULL && !pr_tls_peer_read(p->all->tls, session->tls_session, p->names)) {
            free(p->names);
            p->names = NULL;
        }
    }
    p->names_known = true;
    return p->names != NULL && now_ms < p->names->expires_ms ? p->names : NULL;
}

size_t pr_sockaddr_address(const struct sockaddr *from, unsigned char out[16])
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a = { .any = { .sa_family = AF_UNSPEC } };
    memcpy(&a.any, from, sizeof a.any);
    if (a.any.sa_family == AF_INET) {
        memcpy(&a.v4, from, sizeof a.v4);
        memcpy(out, &a.v4.sin_addr, 4);
        return 4;
    }
    if (a.any.sa_family != AF_INET6)
        return 0;
    memcpy(&a.v6, from, sizeof a.v6);
    if (IN6_IS_ADDR_V4MAPPED(&a.v6.sin6_addr)) {
        memcpy(out, &a.v6.sin6_addr.s6_addr[12], 4);
        return 4;
    }
    memcpy(out, &a.v6.sin6_addr, 16);
    return 16;
}

size_t pr_peer_address(struct MHD_Connection *mhd, unsigned char out[16])
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info == NULL || info->client_addr == NULL ? 0
                                                     : pr_sockaddr_address(info->client_addr, out);
}
