/* Asking many nodes at once what the cluster looks like: the first useful answer wins. A
 * dead node, or a host that swallows packets, costs a moment, not a time-out. */
#include "cluster_internal.h"

#include "prism/io/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* The text of a large cluster is long, and most of the time whoever is asked first answers:
 * a few are given time, and only when they say nothing others follow in quick succession. */
enum { POLITE = 3, POLITE_US = 50000, NEXT_US = 5000, LEAST_US = 1000000, MOST_OPEN = 256 };

struct question {
    struct pr_redis *conn;
    const struct cluster_host *host;
    bool connected, authenticates;
    int64_t began_us, due_us;
};

struct asking {
    struct pr_cluster *c;
    struct question q[MOST_OPEN];
    struct pollfd fd[MOST_OPEN]; /* of q, while waiting */
    size_t open;
    struct pr_buf *tried;
    struct pr_err *one;
    bool taken, sure;
};

static void note(struct asking *a, const struct pr_err *why)
{
    if (a->tried->len > 0)
        pr_buf_str(a->tried, "; ");
    pr_buf_str(a->tried, why->text);
    /* Denied by all of them is the caller's mistake; by one, among others that are silent, is not.
     */
    if (a->one->code == PR_OK || a->one->code == PR_EDENIED)
        *a->one = *why;
}

static void drop(struct asking *a, size_t i)
{
    pr_redis_close(a->q[i].conn);
    a->q[i] = a->q[--a->open];
}

static void give_up(struct asking *a, size_t i, int64_t now_us)
{
    struct pr_err why;
    (void)pr_fail(&why, PR_ETIMEOUT, "redis %s: no answer in %lld ms", a->q[i].conn->name,
                  (long long)(now_us - a->q[i].began_us) / 1000);
    note(a, &why);
    drop(a, i);
}

/* When there are as many as may be: the one that has been asked longest makes room, once it had a
 * second. */
static bool make_room(struct asking *a, int64_t now_us)
{
    size_t oldest = 0;
    if (a->open < MOST_OPEN)
        return true;
    for (size_t i = 1; i < a->open; i++)
        oldest = a->q[i].began_us < a->q[oldest].began_us ? i : oldest;
    if (now_us - a->q[oldest].began_us < LEAST_US)
        return false;
    give_up(a, oldest, now_us);
    return true;
}

static bool begin(struct asking *a, const struct cluster_host *host, int64_t now_us)
{
    static const char *const words[] = { "CLUSTER", "NODES" };
    struct pr_err why;
    struct question q = { .host = host,
                          .began_us = now_us,
                          .due_us = now_us + (int64_t)a->c->timeout_ms * 1000 };
    enum pr_code rc = pr_redis_begin(&q.conn, host->host, host->port, &a->c->auth, a->c->timeout_ms,
                                     &q.authenticates, &why);
    if (rc == PR_OK)
        rc = pr_redis_append(q.conn, 2, words, NULL, &why);
    if (rc != PR_OK) {
        note(a, &why);
        pr_redis_close(q.conn);
        return false;
    }
    a->q[a->open++] = q;
    return true;
}

static enum pr_code hear(struct asking *a, struct question *q, const redisReply *reply,
                         struct pr_err *why)
{
    if (q->authenticates) {
        q->authenticates = false;
        return pr_redis_auth_code(q->conn, &a->c->auth, reply, why);
    }
    enum pr_code rc = pr_redis_reply_code(reply, why);
    if (rc != PR_OK)
        return pr_wrap(why, rc, "redis %s", q->conn->name);
    rc = cluster_take(a->c, &q->conn, reply, q->host, &a->sure, why);
    a->taken = a->taken || rc == PR_OK;
    return rc;
}

/* *over: it has said what it knows, or failed. */
static enum pr_code turn(struct asking *a, struct question *q, short events, int64_t now_us,
                         bool *over, struct pr_err *why)
{
    enum pr_code rc = PR_OK;
    bool got = false;
    if (!q->connected) {
        rc = pr_redis_connected(q->conn, why);
        q->connected = true;
        q->due_us = now_us + (int64_t)a->c->timeout_ms * 1000;
    }
    if (rc == PR_OK)
        rc = pr_redis_flush(q->conn, why);
    if (rc == PR_OK && (events & (POLLIN | POLLHUP | POLLERR)) != 0)
        rc = pr_redis_receive(q->conn, &got, why);
    while (rc == PR_OK && got && !*over) {
        PR_AUTO(redisReply) *reply = NULL;
        rc = pr_redis_take(q->conn, &reply, why);
        if (rc != PR_OK || reply == NULL)
            break;
        *over = !q->authenticates;
        rc = hear(a, q, reply, why);
    }
    *over = *over || rc != PR_OK;
    return rc;
}

/* Whether one of them came to an end: then another may be asked at once. */
static bool take_turns(struct asking *a, int64_t now_us)
{
    const size_t before = a->open;
    for (size_t i = a->open; i-- > 0 && !a->sure;) { /* a drop moves one that had its turn */
        struct pr_err why = { .code = PR_OK, .text = "" };
        bool over = false;
        if (a->fd[i].revents != 0 &&
            turn(a, &a->q[i], a->fd[i].revents, now_us, &over, &why) != PR_OK)
            note(a, &why);
        if (over)
            drop(a, i);
        else if (a->q[i].due_us <= now_us)
            give_up(a, i, now_us);
    }
    return a->open < before;
}

static void wait_for_any(struct asking *a, int64_t until_us)
{
    const int64_t now_us = pr_mono_us();
    for (size_t i = 0; i < a->open; i++) {
        const struct question *q = &a->q[i];
        const bool writes = !q->connected || pr_redis_unsent(q->conn) > 0;
        a->fd[i] = (struct pollfd){ .fd = pr_redis_fd(q->conn),
                                    .events = (short)(POLLIN | (writes ? POLLOUT : 0)) };
        until_us = q->due_us < until_us ? q->due_us : until_us;
    }
    const int64_t ms = until_us > now_us ? (until_us - now_us + 999) / 1000 : 0;
    if (poll(a->fd, a->open, (int)ms) < 0)
        for (size_t i = 0; i < a->open; i++)
            a->fd[i].revents = 0; /* interrupted */
}

static void ask(struct asking *a, const struct cluster_host *host, size_t n)
{
    size_t next = 0;
    int64_t now_us = pr_mono_us(), next_us = now_us;
    while (!a->sure && (a->open > 0 || next < n)) {
        for (; next < n && (a->open == 0 || next_us <= now_us); now_us = pr_mono_us())
            if (!make_room(a, now_us))
                next_us = now_us + NEXT_US;
            else if (begin(a, &host[next++], now_us))
                next_us = now_us + (next < POLITE ? POLITE_US : NEXT_US);
        wait_for_any(a, next < n ? next_us : INT64_MAX);
        now_us = pr_mono_us();
        if (take_turns(a, now_us))
            next_us = now_us;
    }
}

enum pr_code cluster_ask(struct pr_cluster *c, const struct cluster_host *host, size_t n,
                         struct pr_buf *tried, struct pr_err *one)
{
    struct asking *a = calloc(1, sizeof *a);
    if (a == NULL)
        return PR_ENOMEM;
    a->c = c;
    a->tried = tried;
    a->one = one;
    ask(a, host, n);
    while (a->open > 0)
        drop(a, a->open - 1);
    const bool taken = a->taken;
    free(a);
    return taken ? PR_OK : PR_EUNAVAIL;
}
