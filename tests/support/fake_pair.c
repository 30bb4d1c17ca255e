/* The nodes: their sockets, and what tests do to them. */
#include "fake_pair_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct fake_state fake;

enum { MOST = 256 };
struct link {
    int fd, node;
    struct pr_buf in, out;
};
static struct {
    struct link link[MOST];
    size_t n;
    pthread_t thread;
    int wake[2];
    bool ends; /* under fake.lock */
} sockets;

/* --- sockets -----------------------------------------------------------------------------------
 */

/* One command at the beginning of in, in place. Its length; 0: not whole yet. */
static size_t parse(char *in, size_t len, int *argc, char **argv)
{
    char *p = in, *const end = in + len, *line;
    *argc = 0;
    if (len == 0 || (line = memchr(p, '\n', len)) == NULL)
        return 0;
    const int n = atoi(p + 1);
    p = line + 1;
    char *stop[FAKE_ARGS];
    for (int i = 0; i < n && i < FAKE_ARGS; i++) {
        line = memchr(p, '\n', (size_t)(end - p));
        if (line == NULL)
            return 0;
        const long bytes = strtol(p + 1, NULL, 10);
        p = line + 1;
        if (end - p < bytes + 2)
            return 0;
        argv[(*argc)++] = p;
        stop[i] = p + bytes;
        p += bytes + 2;
    }
    for (int i = 0; i < *argc; i++)
        *stop[i] = '\0';
    return (size_t)(p - in);
}

static bool answer(struct link *l)
{
    for (size_t sent = 0; sent < l->out.len;) { /* small answers: the socket takes them */
        const ssize_t m = send(l->fd, l->out.data + sent, l->out.len - sent, MSG_NOSIGNAL);
        if (m <= 0)
            return false;
        sent += (size_t)m;
    }
    pr_buf_reset(&l->out);
    return true;
}

static bool serve(struct link *l)
{
    char *argv[FAKE_ARGS];
    int argc;
    size_t used;
    char chunk[16384];
    const ssize_t n = recv(l->fd, chunk, sizeof chunk, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        return false;
    pr_buf_add(&l->in, chunk, n > 0 ? (size_t)n : 0);
    while ((used = parse(l->in.data, l->in.len, &argc, argv)) > 0) {
        if (argc > 0 && (!fake_command(l->node, argc, argv, &l->out) || !answer(l)))
            return false;
        memmove(l->in.data, l->in.data + used, l->in.len - used);
        l->in.len -= used;
    }
    return true;
}

static void hang_up(size_t i)
{
    close(sockets.link[i].fd);
    pr_buf_done(&sockets.link[i].in);
    pr_buf_done(&sockets.link[i].out);
    sockets.link[i] = sockets.link[--sockets.n];
}

static void *serve_all(void *arg)
{
    (void)arg;
    for (;;) {
        struct pollfd fd[MOST + FAKE_NODES + 1];
        size_t n = 0;
        fd[n++] = (struct pollfd){ sockets.wake[0], POLLIN, 0 };
        for (int i = 0; i < FAKE_NODES; i++)
            fd[n++] = (struct pollfd){ fake.node[i].listener, POLLIN, 0 };
        for (size_t i = 0; i < sockets.n; i++)
            fd[n++] = (struct pollfd){ sockets.link[i].fd, POLLIN, 0 };
        const size_t links = sockets.n;
        if (poll(fd, (nfds_t)n, -1) < 0 && errno != EINTR)
            abort();
        pthread_mutex_lock(&fake.lock);
        const bool ends = sockets.ends;
        char byte;
        if ((fd[0].revents & POLLIN) != 0 && read(sockets.wake[0], &byte, 1) != 1)
            abort();
        for (size_t i = links; i-- > 0;) {
            const bool dead = !fake.node[sockets.link[i].node].alive;
            if (dead || ((fd[1 + FAKE_NODES + i].revents & (POLLIN | POLLHUP)) != 0 &&
                         !serve(&sockets.link[i])))
                hang_up(i);
        }
        for (int i = 0; i < FAKE_NODES; i++) {
            if ((fd[1 + i].revents & POLLIN) == 0)
                continue;
            const int c = accept(fake.node[i].listener, NULL, NULL);
            if (c >= 0 && (sockets.n == MOST || !fake.node[i].alive))
                close(c);
            else if (c >= 0)
                sockets.link[sockets.n++] = (struct link){ .fd = c, .node = i };
        }
        pthread_mutex_unlock(&fake.lock);
        if (ends)
            return NULL;
    }
}

static int listen_at(int *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        abort();
    *port = ntohs(a.sin_port);
    return fd;
}

static void wake(void)
{
    if (write(sockets.wake[1], "", 1) != 1)
        abort();
}

void fake_pair_open(enum fake_server source, enum fake_server target)
{
    memset(&fake, 0, sizeof fake);
    memset(&sockets, 0, sizeof sockets);
    pthread_mutex_init(&fake.lock, NULL);
    fake.gossip = true;
    for (int n = 0; n < FAKE_NODES; n++) {
        struct fake_node *o = &fake.node[n];
        snprintf(o->id, sizeof o->id, "%040x", 0xf00d + n);
        o->listener = listen_at(&o->port);
        o->alive = true;
        o->primary = n == FAKE_SOURCE || n == FAKE_TARGET;
        o->primary_of = n - 2;
        o->server = n == FAKE_SOURCE || n == FAKE_SOURCE_REPLICA ? source : target;
        o->epoch = o->primary ? (unsigned)n + 1 : 0;
        for (int s = 0; s < FAKE_SLOTS; s++)
            o->owner[s] = s < FAKE_SLOTS / 2 ? FAKE_SOURCE : FAKE_TARGET;
    }
    if (pipe(sockets.wake) != 0 || pthread_create(&sockets.thread, NULL, serve_all, NULL) != 0)
        abort();
}

void fake_pair_close(void)
{
    pthread_mutex_lock(&fake.lock);
    sockets.ends = true;
    pthread_mutex_unlock(&fake.lock);
    wake();
    pthread_join(sockets.thread, NULL);
    while (sockets.n > 0)
        hang_up(sockets.n - 1);
    for (int n = 0; n < FAKE_NODES; n++)
        close(fake.node[n].listener);
    close(sockets.wake[0]);
    close(sockets.wake[1]);
    pthread_mutex_destroy(&fake.lock);
}

/* --- for tests
 * ------------------------------------------------------------------------------------ */

int fake_port(int node)
{
    return fake.node[node].port;
}

const char *fake_id(int node)
{
    return fake.node[node].id;
}

int fake_owner(int slot)
{
    int owner = -2;
    pthread_mutex_lock(&fake.lock);
    for (int n = 0; n < FAKE_NODES; n++)
        if (fake.node[n].alive && fake.node[n].primary)
            owner =
                owner == -2 || owner == fake.node[n].owner[slot] ? fake.node[n].owner[slot] : -1;
    pthread_mutex_unlock(&fake.lock);
    return owner;
}

void fake_keys(int slot, int n)
{
    pthread_mutex_lock(&fake.lock);
    fake.node[FAKE_SOURCE].keys[slot] = n;
    pthread_mutex_unlock(&fake.lock);
}

void fake_own_only(const int *slot, int n)
{
    pthread_mutex_lock(&fake.lock);
    for (int s = 0; s < FAKE_SLOTS; s++)
        fake_give(s, FAKE_TARGET);
    for (int i = 0; i < n; i++)
        fake_give(slot[i], FAKE_SOURCE);
    pthread_mutex_unlock(&fake.lock);
}

void fake_fault(enum fake_fault f, int times)
{
    pthread_mutex_lock(&fake.lock);
    fake.fault = f;
    fake.times = times;
    pthread_mutex_unlock(&fake.lock);
}

void fake_gossip(bool flows)
{
    pthread_mutex_lock(&fake.lock);
    fake.gossip = flows;
    for (int s = 0; s < FAKE_SLOTS && flows; s++)
        if (fake.node[FAKE_SOURCE].owner[s] != fake.node[FAKE_TARGET].owner[s]) {
            fake_give(s, fake.node[FAKE_TARGET].owner[s]);
            fake.node[FAKE_SOURCE].keys[s] = 0;
        }
    pthread_mutex_unlock(&fake.lock);
}

void fake_next_cancel(enum fake_cancels how)
{
    pthread_mutex_lock(&fake.lock);
    fake.cancels = how;
    pthread_mutex_unlock(&fake.lock);
}

void fake_open(int slot)
{
    pthread_mutex_lock(&fake.lock);
    fake.node[FAKE_SOURCE].mark[slot] = '>';
    fake.node[FAKE_SOURCE].towards[slot] = FAKE_TARGET;
    fake.node[FAKE_TARGET].mark[slot] = '<';
    fake.node[FAKE_TARGET].towards[slot] = FAKE_SOURCE;
    pthread_mutex_unlock(&fake.lock);
}

void fake_dissolve(int node)
{
    const int other = node == FAKE_SOURCE ? FAKE_TARGET : FAKE_SOURCE;
    pthread_mutex_lock(&fake.lock);
    for (int n = node; n < FAKE_NODES; n += 2) {
        fake.node[n].primary = false;
        fake.node[n].primary_of = other;
    }
    pthread_mutex_unlock(&fake.lock);
}

void fake_busy(bool busy)
{
    pthread_mutex_lock(&fake.lock);
    fake.busy = busy;
    pthread_mutex_unlock(&fake.lock);
}

void fake_say_prints(struct fake_prints how)
{
    pthread_mutex_lock(&fake.lock);
    fake.prints = how;
    fake.printed = 0;
    pthread_mutex_unlock(&fake.lock);
}

void fake_fail_over(int node)
{
    const int heir = node + 2;
    pthread_mutex_lock(&fake.lock);
    fake.node[node].alive = fake.node[node].primary = false;
    fake.node[node].primary_of = heir;
    fake.node[heir].primary = true;
    fake.node[heir].epoch = 100;
    memcpy(fake.node[heir].keys, fake.node[node].keys, sizeof fake.node[node].keys);
    for (int n = 0; n < FAKE_NODES; n++)
        for (int s = 0; s < FAKE_SLOTS; s++)
            if (fake.node[n].owner[s] == node)
                fake.node[n].owner[s] = (signed char)heir;
    for (int i = 0; i < fake.jobs; i++) { /* jobs die with the node, and are not inherited */
        struct fake_job *j = &fake.job[i];
        if (j->end == FAKE_RUNS && (j->source == node || j->target == node)) {
            j->end = FAKE_FAILED;
            j->error = "Connection lost to target";
            j->redis = j->redis && j->target != node;
        }
    }
    pthread_mutex_unlock(&fake.lock);
    wake();
}

void fake_return(int node)
{
    pthread_mutex_lock(&fake.lock);
    fake.node[node].alive = true;
    pthread_mutex_unlock(&fake.lock);
}

static unsigned read_counter(const unsigned *at)
{
    pthread_mutex_lock(&fake.lock);
    const unsigned n = *at;
    pthread_mutex_unlock(&fake.lock);
    return n;
}

unsigned fake_started(void)
{
    return read_counter(&fake.started);
}
unsigned fake_canceled(void)
{
    return read_counter(&fake.canceled);
}
unsigned fake_setslots(void)
{
    return read_counter(&fake.setslots);
}
unsigned fake_asked(void)
{
    return read_counter(&fake.asked);
}
unsigned fake_most_at_once(void)
{
    return read_counter(&fake.most_at_once);
}
unsigned fake_printed(void)
{
    return read_counter(&fake.printed);
}
unsigned fake_unknown(void)
{
    return read_counter(&fake.unknown);
}
