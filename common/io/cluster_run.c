/* One batch over the whole cluster: every connection is written and read as it
 * gets ready, so no node waits for another and no pipeline can deadlock. */
#include "cluster_run.h"

#include "prism/io/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { PAUSE_MIN_US = 2000, PAUSE_MAX_US = 200000, RECONNECT_US = 50000 };

void run_say(struct run *r, size_t i, enum pr_code code, const char *where, const char *what)
{
    if (r->said)
        return;
    r->said = true;
    const struct pr_rcmd *k = &r->cmd[i];
    const int n = (int)(k->argc > 0 ? (k->argvlen[0] > 24 ? 24 : k->argvlen[0]) : 0);
    const int m = (int)(k->argc > 1 ? (k->argvlen[1] > 40 ? 40 : k->argvlen[1]) : 0);
    pr_fail(r->err, code, "redis %s: slot %u: %.*s %.*s: %.120s", where, k->slot, n,
            n > 0 ? k->argv[0] : "", m, m > 0 ? k->argv[1] : "", what);
}

void run_finish(struct run *r, size_t i, enum pr_code rc)
{
    struct pr_rcmd *k = &r->cmd[i];
    if (rc != PR_OK && k->reply != NULL) {
        freeReplyObject(k->reply);
        k->reply = NULL;
    }
    k->rc = rc;
    r->left--;
}

/* --- where a command waits ---------------------------------------------- */
static void push_todo(struct run *r, struct link *l, size_t i)
{
    r->st[i].next = -1;
    if (l->todo_head < 0)
        l->todo_head = (int32_t)i;
    else
        r->st[l->todo_tail].next = (int32_t)i;
    l->todo_tail = (int32_t)i;
}

/* Tried again later: the cluster is between two states. why: its rc if the
 * deadline comes first. */
void run_delay(struct run *r, size_t i, enum pr_code why)
{
    struct run_state *s = &r->st[i];
    int64_t pause = (int64_t)PAUSE_MIN_US << (s->pauses < 7 ? s->pauses : 7);
    s->pauses++;
    s->last = s->tries > 0 ? PR_ETIMEOUT : why; /* once lost, for ever unknown */
    s->due_us = r->now_us + (pause < PAUSE_MAX_US ? pause : PAUSE_MAX_US);
    if (r->delayed++ == 0 || s->due_us < r->due_us)
        r->due_us = s->due_us;
}

void run_want_refresh(struct run *r, bool elsewhere)
{
    r->want_refresh = true;
    r->elsewhere = r->elsewhere || elsewhere;
}

/* Puts the command on the connection of node, opening it when needed. */
void run_assign(struct run *r, size_t i, int node)
{
    struct pr_err one;
    struct link *l = cluster_link(r->c, (size_t)node);
    if (l == NULL) {
        run_finish(r, i, PR_ENOMEM);
        return;
    }
    if (l->conn == NULL || l->conn->broken) {
        int64_t left_ms = (r->deadline_us - r->now_us) / 1000;
        if (left_ms > r->c->timeout_ms)
            left_ms = r->c->timeout_ms;
        enum pr_code rc = PR_EUNAVAIL;
        if (r->now_us >= l->retry_at_us && left_ms > 0) {
            const int64_t began_us = pr_mono_us();
            rc = cluster_link_open(r->c, l, (int)left_ms, &one);
            r->now_us = pr_mono_us();
            /* A host that swallows packets costs the others this much at most. */
            l->retry_at_us = r->now_us + RECONNECT_US + 2 * (r->now_us - began_us);
            if (rc == PR_EDENIED) {
                run_say(r, i, rc, r->c->topology.node[node].host, one.text);
                run_finish(r, i, rc);
                return;
            }
        }
        if (rc != PR_OK) {
            run_want_refresh(r, true);
            run_delay(r, i, PR_EUNAVAIL);
            return;
        }
        l->progress_us = r->now_us;
    }
    push_todo(r, l, i);
}

static void route(struct run *r, size_t i)
{
    const int owner = r->c->topology.slot_owner[r->cmd[i].slot & 16383];
    r->st[i].asking = false;
    if (owner < 0) {
        run_want_refresh(r, false);
        run_delay(r, i, PR_EUNAVAIL);
        return;
    }
    run_assign(r, i, owner);
}

/* --- the loop ----------------------------------------------------------- */
static bool busy(const struct link *l)
{
    return l->conn != NULL && (l->sent_count > 0 || l->todo_head >= 0 || l->need_wait);
}

static bool wants_out(const struct link *l)
{
    return l->todo_head >= 0 || pr_redis_unsent(l->conn) > 0;
}

static void remap_nodes(struct run *r)
{
    for (size_t i = 0; i < r->n; i++) { /* indexes refer to the topology of now */
        struct pr_rcmd *k = &r->cmd[i];
        char *colon;
        if (k->node < 0 || (colon = strrchr(k->node_host_port, ':')) == NULL)
            continue;
        *colon = '\0';
        k->node = cluster_find_address(&r->c->topology, k->node_host_port, atoi(colon + 1));
        *colon = ':';
    }
}

static void refresh_if_wanted(struct run *r)
{
    struct pr_err one;
    if (!r->want_refresh || r->now_us < r->refresh_at_us)
        return;
    const bool elsewhere = r->elsewhere;
    r->want_refresh = r->elsewhere = false;
    if (cluster_refresh_from(r->c, elsewhere, &one) == PR_OK)
        remap_nodes(r);
    else
        r->want_refresh = r->elsewhere = true;
    r->now_us = pr_mono_us();
    r->refresh_at_us = r->now_us + 100000;
}

/* Routes what is due, in the batch's order; returns when the next one is. */
static int64_t release_delayed(struct run *r)
{
    if (r->delayed > 0 && r->now_us >= r->due_us) {
        const int64_t now_us = r->now_us;
        int64_t next_us = INT64_MAX;
        for (size_t i = 0; i < r->n; i++) {
            if (r->st[i].due_us == 0)
                continue;
            if (r->st[i].due_us <= now_us) {
                r->st[i].due_us = 0;
                r->delayed--;
                route(r, i);
            }
            if (r->st[i].due_us != 0 && r->st[i].due_us < next_us)
                next_us = r->st[i].due_us;
        }
        r->due_us = next_us;
    }
    return r->delayed > 0 && r->due_us < r->deadline_us ? r->due_us : r->deadline_us;
}

static void check_stalled(struct run *r, struct link *l)
{
    const int64_t patience_ms = r->c->timeout_ms + (l->waits_out > 0 ? r->o->wait_ms : 0);
    if (busy(l) && r->now_us - l->progress_us > patience_ms * 1000)
        link_break(r, l, "no answer");
}

static void wait_for_sockets(struct run *r, int64_t until_us, struct pollfd *fd)
{
    size_t n = 0;
    for (size_t k = 0; k < r->c->links; k++) {
        const struct link *l = r->c->link[k];
        if (busy(l))
            fd[n++] = (struct pollfd){ l->conn->ctx->fd,
                                       (short)(POLLIN | (wants_out(l) ? POLLOUT : 0)), 0 };
    }
    int64_t ms = (until_us - r->now_us + 999) / 1000;
    if (ms > 100)
        ms = 100; /* stalled nodes are looked for ten times a second */
    (void)poll(fd, n, ms < 0 ? 0 : (int)ms);
    r->now_us = pr_mono_us();
    size_t at = 0;
    const size_t links = r->c->links; /* new ones come behind */
    for (size_t k = 0; k < links && at < n; k++) {
        struct link *l = r->c->link[k];
        if (l->conn == NULL || l->conn->ctx->fd != fd[at].fd)
            continue;
        const short got = fd[at++].revents;
        if ((got & (POLLIN | POLLHUP | POLLERR)) != 0)
            link_pump_in(r, l);
    }
}

/* What is still out at the deadline: sent writes have an unknown effect. */
static void expire(struct run *r)
{
    for (size_t k = 0; k < r->c->links; k++) {
        struct link *l = r->c->link[k];
        if (!busy(l) && l->unacked_head < 0)
            continue;
        for (size_t e = 0; e < l->sent_count; e++) { /* no more retries */
            const int32_t what = l->sent[(l->sent_first + e) & (l->sent_cap - 1)].what;
            if (what >= 0)
                r->st[what].tries = RUN_MAX_LOST;
        }
        for (int32_t i = l->unacked_head; i >= 0; i = r->st[i].next)
            r->st[i].tries = RUN_MAX_LOST;
        link_break(r, l, "the batch's deadline passed");
    }
    for (size_t i = 0; r->delayed > 0 && i < r->n; i++) {
        if (r->st[i].due_us == 0)
            continue;
        r->st[i].due_us = 0;
        r->delayed--;
        run_say(r, i, r->st[i].last, "cluster", "the batch's deadline passed");
        run_finish(r, i, r->st[i].last);
    }
}

/* A connection that the server closed while it was idle is not counted as lost
 * with commands in flight: nothing has been sent yet. One that still owes an answer, to
 * the WAIT behind a write that went elsewhere, would keep this batch waiting. */
static void drop_closed(struct pr_cluster *c)
{
    char byte;
    for (size_t k = 0; k < c->links; k++) {
        struct link *l = c->link[k];
        if (l->conn == NULL)
            continue;
        const ssize_t n = recv(l->conn->ctx->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        if (l->sent_count == 0 && n < 0 &&
            (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            continue;
        cluster_link_close(l);
    }
}

static enum pr_code prepare(struct run *r, struct pr_err *err)
{
    if (r->n > INT32_MAX)
        return pr_fail(err, PR_EINVAL, "redis: batch of %zu commands", r->n);
    if (r->n > r->c->state_cap) {
        struct run_state *grown = realloc(r->c->state, r->n * sizeof *grown);
        if (grown == NULL)
            return pr_fail(err, PR_ENOMEM, "redis: batch of %zu commands", r->n);
        r->c->state = grown;
        r->c->state_cap = r->n;
    }
    r->st = r->c->state;
    for (size_t i = 0; i < r->n; i++) {
        struct pr_rcmd *k = &r->cmd[i];
        k->reply = NULL;
        k->rc = PR_EINTERNAL;
        k->node = -1;
        k->node_host_port[0] = '\0';
        k->request_bytes = k->reply_bytes = k->redirects = k->latency_us = 0;
        k->acked = k->wanted = 0;
        r->st[i] = (struct run_state){ .next = -1, .last = PR_EUNAVAIL };
    }
    return PR_OK;
}

enum pr_code pr_cluster_run(struct pr_cluster *c, struct pr_rcmd *cmds, size_t n,
                            const struct pr_run_options *o, struct pr_err *err)
{
    const int64_t now_us = pr_mono_us();
    struct run r = { .c = c,
                     .cmd = cmds,
                     .n = n,
                     .left = n,
                     .o = o,
                     .err = err,
                     .now_us = now_us,
                     .deadline_us = now_us + (int64_t)o->deadline_ms * 1000 };
    enum pr_code rc = prepare(&r, err);
    if (rc != PR_OK)
        return rc;
    struct pollfd *fd = NULL;
    size_t fds = 0;

    drop_closed(c);
    for (size_t k = 0; k < c->links; k++)
        c->link[k]->progress_us = now_us;
    for (size_t i = 0; i < n; i++)
        route(&r, i);
    while (r.left > 0) {
        if (r.now_us >= r.deadline_us) {
            expire(&r);
            break;
        }
        refresh_if_wanted(&r);
        const int64_t next_us = release_delayed(&r);
        for (size_t k = 0; k < c->links; k++)
            link_pump_out(&r, c->link[k]);
        if (c->links > fds) {
            struct pollfd *grown = realloc(fd, c->links_cap * sizeof *grown);
            if (grown == NULL) {
                expire(&r);
                break;
            }
            fd = grown;
            fds = c->links_cap;
        }
        if (r.left > 0)
            wait_for_sockets(&r, next_us, fd);
        /* Only now: whatever came while we were busy elsewhere has been read. */
        for (size_t k = 0; k < c->links; k++)
            check_stalled(&r, c->link[k]);
    }
    free(fd);
    return PR_OK;
}
