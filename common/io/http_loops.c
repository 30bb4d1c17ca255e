#include "http_loops.h"

#include "http_addresses.h"
#include "http_peer.h"
#include "prism/io/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EACH_LOOP = 128, /* what a poll looks through in some 10 us */
    CLOSING = 4,     /* connections that have gone, and still count for libmicrohttpd */
    AT_ONCE = 64,    /* accepted before looking whether to stop */
    FULL_MS = 20,    /* until there may be room again */
};

struct pr_http_loop {
    struct pr_http_loops *all;
    struct MHD_Daemon *daemon; /* NULL: not started yet */
    atomic_uint n;             /* connections */
};

struct pr_http_loops {
    struct pr_http_loops_options o;
    pr_http_start_daemon *start;
    struct pr_http *h;
    struct pr_addresses *addresses; /* NULL: no limit */
    int stop;                       /* an eventfd */
    pthread_t thread;
    atomic_uint n; /* connections of all */
    bool failed;   /* to start the last one */
    unsigned loops;
    struct pr_http_loop loop[]; /* [loops] */
};

struct pr_http *pr_http_loop_server(const struct pr_http_loop *loop)
{
    return loop->all->h;
}

void pr_http_loop_left(struct pr_http_loop *loop, struct MHD_Connection *mhd)
{
    unsigned char address[16];
    const size_t bytes = pr_peer_address(mhd, address);
    if (loop->all->addresses != NULL && bytes > 0)
        pr_addresses_remove(loop->all->addresses, address, bytes);
    atomic_fetch_sub(&loop->n, 1);
    atomic_fetch_sub(&loop->all->n, 1);
}

static bool started(struct pr_http_loop *k)
{
    if (k->daemon == NULL)
        k->daemon = k->all->start(k->all->h, k, EACH_LOOP + CLOSING);
    const bool failed = k->daemon == NULL;
    if (failed && !k->all->failed) /* once, not at each try */
        pr_warn(PR_EV("http.no_loop"), PR_I("loops", k - k->all->loop));
    k->all->failed = failed;
    return !failed;
}

/* The emptiest of the first; one of the others when those are full; NULL: all are. */
static struct pr_http_loop *choose(struct pr_http_loops *l)
{
    struct pr_http_loop *best = &l->loop[0];
    if (atomic_load(&l->n) >= l->o.limit)
        return NULL;
    for (unsigned i = 1; i < l->o.first; i++)
        if (atomic_load(&l->loop[i].n) < atomic_load(&best->n))
            best = &l->loop[i];
    for (unsigned i = l->o.first; atomic_load(&best->n) >= EACH_LOOP; i++) {
        if (i >= l->loops)
            return NULL;
        best = &l->loop[i];
    }
    return started(best) ? best : NULL;
}

static bool admit(struct pr_http_loops *l, const struct sockaddr *from)
{
    unsigned char address[16];
    const size_t bytes = pr_sockaddr_address(from, address);
    return l->addresses == NULL || bytes == 0 || pr_addresses_add(l->addresses, address, bytes);
}

static void forget(struct pr_http_loops *l, const struct sockaddr *from)
{
    unsigned char address[16];
    const size_t bytes = pr_sockaddr_address(from, address);
    if (l->addresses != NULL && bytes > 0)
        pr_addresses_remove(l->addresses, address, bytes);
}

/* False: there is no room, or nothing to accept with, for now. */
static bool accept_one(struct pr_http_loops *l, bool *more)
{
    union {
        struct sockaddr any;
        struct sockaddr_storage room;
    } from;
    socklen_t bytes = sizeof from;
    struct pr_http_loop *k = choose(l);
    if (k == NULL)
        return false;
    const int s = accept4(l->o.fd, &from.any, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (s < 0) {
        *more = errno == EINTR || errno == ECONNABORTED;
        return errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM;
    }
    if (!admit(l, &from.any)) {
        (void)close(s);
        return true;
    }
    atomic_fetch_add(&k->n, 1);
    atomic_fetch_add(&l->n, 1);
    if (MHD_add_connection(k->daemon, s, &from.any, bytes) == MHD_YES)
        return true;
    forget(l, &from.any); /* and it has closed s */
    atomic_fetch_sub(&k->n, 1);
    atomic_fetch_sub(&l->n, 1);
    return true;
}

static void *take(void *arg)
{
    struct pr_http_loops *l = arg;
    bool room = true;
    for (;;) {
        struct pollfd p[] = { { .fd = l->stop, .events = POLLIN },
                              { .fd = room ? l->o.fd : -1, .events = POLLIN } };
        (void)poll(p, 2, room ? -1 : FULL_MS);
        if (p[0].revents != 0)
            return NULL;
        bool more = true;
        room = true;
        for (int i = 0; i < AT_ONCE && room && more; i++)
            room = accept_one(l, &more);
    }
}

enum pr_code pr_http_loops_open(struct pr_http_loops **out, const struct pr_http_loops_options *o,
                                pr_http_start_daemon *start, struct pr_http *h, struct pr_err *err)
{
    const unsigned need = (o->limit + EACH_LOOP - 1) / EACH_LOOP;
    const unsigned loops = need > o->first ? need : o->first;
    struct pr_http_loops *l = calloc(1, sizeof *l + loops * sizeof l->loop[0]);
    if (l == NULL)
        return pr_fail(err, PR_ENOMEM, "HTTP server: out of memory");
    *l = (struct pr_http_loops){ .o = *o, .start = start, .h = h, .loops = loops };
    for (unsigned i = 0; i < loops; i++)
        l->loop[i].all = l;
    bool ok = (l->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) >= 0 &&
              (o->each == 0 || (l->addresses = pr_addresses_new(o->each)) != NULL);
    for (unsigned i = 0; ok && i < o->first; i++)
        ok = started(&l->loop[i]);
    ok = ok && pthread_create(&l->thread, NULL, take, l) == 0;
    if (ok) {
        *out = l;
        return PR_OK;
    }
    pr_http_loops_close(l);
    return pr_fail(err, PR_EUNAVAIL, "HTTP server: its threads could not be started");
}

void pr_http_loops_quiet(struct pr_http_loops *l)
{
    const uint64_t one = 1;
    (void)!write(l->stop, &one, sizeof one);
    (void)pthread_join(l->thread, NULL);
    (void)close(l->o.fd);
}

void pr_http_loops_close(struct pr_http_loops *l)
{
    for (unsigned i = 0; i < l->loops; i++)
        MHD_stop_daemon(l->loop[i].daemon); /* NULL is fine */
    if (l->stop >= 0)
        (void)close(l->stop);
    pr_addresses_free(l->addresses);
    free(l);
}
