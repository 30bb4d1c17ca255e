/* One batch over the whole cluster: every connection is written and read as it
 * gets ready, so no node waits for another and no pipeline can deadlock. */
#include "cluster_internal.h"

#include "prism/io/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    MAX_UNSENT = 256 * 1024, /* encoded but not written, per connection */
    MAX_LOST = 1,            /* a command lost with a connection is resent this often */
    PAUSE_MIN_US = 2000,
    PAUSE_MAX_US = 200000,
    MOVED_REFRESH_US = 1000000, /* MOVED patches the map itself; a full look this often */
    RECONNECT_US = 50000,
    MAX_REDIRECTS = 3 /* in a row; then nodes disagree: pause and look again */
};

struct run {
    struct pr_cluster *c;
    struct pr_rcmd *cmd;
    size_t n, left; /* left: without an rc yet */
    const struct pr_run_options *o;
    struct run_state *st;
    size_t delayed;                      /* commands with due_us > 0 */
    int64_t now_us, deadline_us, due_us; /* due_us: the earliest */
    bool want_refresh, elsewhere;
    int64_t refresh_at_us;
    struct pr_err *err; /* words of the first failure */
    bool said;
};

static void say(struct run *r, size_t i, enum pr_code code, const char *where, const char *what)
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

static void finish(struct run *r, size_t i, enum pr_code rc)
{
    struct pr_rcmd *k = &r->cmd[i];
    if (rc != PR_OK && k->reply != NULL) {
        freeReplyObject(k->reply);
        k->reply = NULL;
    }
    k->rc = rc;
    r->left--;
}

/* Reads may be repeated freely. */
static bool is_read(const struct pr_rcmd *k)
{
    static const char *const read[] = { "FCALL_RO", "GET",   "MGET",       "HGET",    "HMGET",
                                        "HGETALL",  "HSCAN", "HLEN",       "HEXISTS", "EXISTS",
                                        "DUMP",     "TYPE",  "STRLEN",     "TTL",     "PTTL",
                                        "SCAN",     "PING",  "HRANDFIELD", "MEMORY",  "OBJECT" };
    for (size_t i = 0; k->argc > 0 && i < PR_COUNT(read); i++)
        if (strlen(read[i]) == k->argvlen[0] &&
            strncasecmp(read[i], k->argv[0], k->argvlen[0]) == 0)
            return true;
    return false;
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
static void delay(struct run *r, size_t i, enum pr_code why)
{
    struct run_state *s = &r->st[i];
    int64_t pause = (int64_t)PAUSE_MIN_US << (s->pauses < 7 ? s->pauses : 7);
    s->pauses++;
    s->last = s->tries > 0 ? PR_ETIMEOUT : why; /* once lost, for ever unknown */
    s->due_us = r->now_us + (pause < PAUSE_MAX_US ? pause : PAUSE_MAX_US);
    if (r->delayed++ == 0 || s->due_us < r->due_us)
        r->due_us = s->due_us;
}

static void want_refresh(struct run *r, bool elsewhere)
{
    r->want_refresh = true;
    r->elsewhere = r->elsewhere || elsewhere;
}

static void break_link(struct run *r, struct link *l, const char *why);

/* Puts the command on the connection of node, opening it when needed. */
static void assign(struct run *r, size_t i, int node)
{
    struct pr_err one;
    struct link *l = cluster_link(r->c, (size_t)node);
    if (l == NULL) {
        finish(r, i, PR_ENOMEM);
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
                say(r, i, rc, r->c->topology.node[node].host, one.text);
                finish(r, i, rc);
                return;
            }
        }
        if (rc != PR_OK) {
            want_refresh(r, true);
            delay(r, i, PR_EUNAVAIL);
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
        want_refresh(r, false);
        delay(r, i, PR_EUNAVAIL);
        return;
    }
    assign(r, i, owner);
}

/* --- sending ------------------------------------------------------------ */
static bool push_sent(struct link *l, int32_t what, int32_t owner)
{
    if (l->sent_count == l->sent_cap) {
        const size_t cap = l->sent_cap == 0 ? 256 : l->sent_cap * 2;
        struct sent_entry *grown = malloc(cap * sizeof *grown);
        if (grown == NULL)
            return false;
        for (size_t i = 0; i < l->sent_count; i++)
            grown[i] = l->sent[(l->sent_first + i) & (l->sent_cap - 1)];
        free(l->sent);
        l->sent = grown;
        l->sent_cap = cap;
        l->sent_first = 0;
    }
    l->sent[(l->sent_first + l->sent_count++) & (l->sent_cap - 1)] =
        (struct sent_entry){ what, owner, l->conn->appended };
    return true;
}

static bool send_wait(struct run *r, struct link *l)
{
    char replicas[16], ms[16];
    const int a = snprintf(replicas, sizeof replicas, "%d", r->o->wait_replicas);
    const int b = snprintf(ms, sizeof ms, "%d", r->o->wait_ms);
    const char *argv[] = { "WAIT", replicas, ms };
    const size_t len[] = { 4, (size_t)a, (size_t)b };
    if (pr_redis_append(l->conn, 3, argv, len, NULL) != PR_OK || !push_sent(l, SENT_WAIT, -1))
        return false;
    l->need_wait = false;
    l->waits_out++;
    return true;
}

static bool send_command(struct run *r, struct link *l, size_t i)
{
    static const char *const asking[] = { "ASKING" };
    static const size_t asking_len[] = { 6 };
    struct pr_rcmd *k = &r->cmd[i];
    if (r->st[i].asking) {
        if (pr_redis_append(l->conn, 1, asking, asking_len, NULL) != PR_OK ||
            !push_sent(l, SENT_ASKING, (int32_t)i))
            return false;
        k->request_bytes += (uint32_t)pr_resp_command_bytes(1, asking_len);
    }
    const uint64_t before = l->conn->appended;
    if (pr_redis_append(l->conn, k->argc, k->argv, k->argvlen, NULL) != PR_OK ||
        !push_sent(l, (int32_t)i, -1))
        return false;
    k->request_bytes += (uint32_t)(l->conn->appended - before);
    r->st[i].sent_us = r->now_us;
    if (k->wait && r->o->wait_replicas > 0)
        l->need_wait = true;
    return true;
}

/* Encodes and writes as much as the socket takes now. */
static void pump_out(struct run *r, struct link *l)
{
    struct pr_err one;
    bool ok = true;
    if (l->conn == NULL)
        return;
    int turns = 0; /* bounded: replies are read in between */
    do {
        const uint64_t before = l->conn->written;
        while (ok && l->todo_head >= 0 && pr_redis_unsent(l->conn) < MAX_UNSENT) {
            const size_t i = (size_t)l->todo_head;
            const int32_t next = r->st[i].next;
            ok = send_command(r, l, i);
            if (ok)
                l->todo_head = next;
        }
        /* WAIT comes once, when everything for this node is on its way. */
        if (ok && l->todo_head < 0 && l->need_wait)
            ok = send_wait(r, l);
        if (!ok || pr_redis_flush(l->conn, &one) != PR_OK) {
            break_link(r, l, ok ? one.text : "no memory");
            return;
        }
        if (l->conn->written != before)
            l->progress_us = r->now_us;
    } while (++turns < 4 && l->todo_head >= 0 && pr_redis_unsent(l->conn) == 0);
}

/* --- a connection that broke -------------------------------------------- */
/* maybe_done: the server may have executed it. */
static void lost(struct run *r, size_t i, bool maybe_done, const char *where, const char *why)
{
    struct pr_rcmd *k = &r->cmd[i];
    if (k->reply != NULL) {
        freeReplyObject(k->reply);
        k->reply = NULL;
    }
    if (!maybe_done) {
        delay(r, i, PR_EUNAVAIL);
        return;
    }
    const bool again = is_read(k) || r->o->write_retry;
    if (again && r->st[i].tries < MAX_LOST) {
        r->st[i].tries++;
        delay(r, i, PR_ETIMEOUT);
        return;
    }
    say(r, i, PR_ETIMEOUT, where, why);
    finish(r, i, PR_ETIMEOUT);
}

static void break_link(struct run *r, struct link *l, const char *why)
{
    char where[sizeof l->conn->name];
    const uint64_t written = l->conn->written;
    memcpy(where, l->conn->name, sizeof where);
    pr_redis_close(l->conn);
    l->conn = NULL;
    l->retry_at_us = 0; /* a restarted server answers at once */
    want_refresh(r, true);

    for (; l->sent_count > 0; l->sent_count--, l->sent_first++) {
        const struct sent_entry e = l->sent[l->sent_first & (l->sent_cap - 1)];
        if (e.what >= 0)
            lost(r, (size_t)e.what, e.end <= written, where, why);
    }
    l->sent_first = 0;
    while (l->unacked_head >= 0) {
        const size_t i = (size_t)l->unacked_head;
        l->unacked_head = r->st[i].next;
        lost(r, i, true, where, why);
    }
    while (l->todo_head >= 0) {
        const size_t i = (size_t)l->todo_head;
        l->todo_head = r->st[i].next;
        lost(r, i, false, where, why);
    }
    l->need_wait = false;
    l->waits_out = 0;
}

/* --- replies ------------------------------------------------------------ */
/* "MOVED 3999 host:port"; an empty host is the one that answered. */
static bool parse_redirect(const char *text, const struct link *from, unsigned *slot,
                           char host[PR_HOST], int *port)
{
    char address[PR_HOST + 8];
    if (sscanf(text, "%*s %u %71s", slot, address) != 2 || *slot >= 16384)
        return false;
    char *colon = strrchr(address, ':');
    if (colon == NULL)
        return false;
    *colon = '\0';
    *port = atoi(colon + 1);
    const char *name = address[0] == '\0' || strcmp(address, "?") == 0 ? from->host : address;
    if (strlen(name) >= PR_HOST || *port < 1 || *port > 65535)
        return false;
    memcpy(host, name, strlen(name) + 1);
    return true;
}

static bool starts(const redisReply *reply, const char *word)
{
    return strncmp(reply->str, word, strlen(word)) == 0;
}

/* True when the error only says where or when to try again. */
static bool redirected(struct run *r, struct link *l, size_t i, const redisReply *reply)
{
    char host[PR_HOST];
    unsigned slot;
    int port;
    const bool moved = starts(reply, "MOVED "), ask = starts(reply, "ASK ");
    if (moved || ask) {
        r->cmd[i].redirects++;
        if (!parse_redirect(reply->str, l, &slot, host, &port))
            return false;
        const int node = cluster_find_address(&r->c->topology, host, port);
        if (node < 0) { /* a node that joined since */
            want_refresh(r, false);
            delay(r, i, PR_EUNAVAIL);
            return true;
        }
        if (moved) {
            if (r->cmd[i].redirects > MAX_REDIRECTS) { /* they point at each other */
                want_refresh(r, true);
                delay(r, i, PR_EUNAVAIL);
                return true;
            }
            r->c->topology.slot_owner[slot] = (int16_t)node;
            if (r->now_us - r->c->refreshed_us > MOVED_REFRESH_US)
                want_refresh(r, false);
        }
        r->st[i].asking = ask;
        assign(r, i, node);
        return true;
    }
    if (starts(reply, "TRYAGAIN")) {
        delay(r, i, PR_EUNAVAIL);
        return true;
    }
    if (starts(reply, "CLUSTERDOWN") || starts(reply, "LOADING") || starts(reply, "MASTERDOWN") ||
        starts(reply, "READONLY")) {
        want_refresh(r, true);
        delay(r, i, PR_EUNAVAIL);
        return true;
    }
    return false;
}

static void on_command(struct run *r, struct link *l, size_t i, redisReply *reply)
{
    struct pr_rcmd *k = &r->cmd[i];
    struct pr_err one = { .text = "" };
    k->reply_bytes += (uint32_t)pr_resp_reply_bytes(reply);
    if (reply->type == REDIS_REPLY_ERROR) {
        if (!redirected(r, l, i, reply)) {
            const enum pr_code rc = pr_redis_reply_code(reply, &one);
            k->node = cluster_find_id(&r->c->topology, l->id);
            memcpy(k->node_host_port, l->conn->name, sizeof k->node_host_port);
            say(r, i, rc, l->conn->name, one.text);
            finish(r, i, rc);
        }
        freeReplyObject(reply);
        return;
    }
    k->node = cluster_find_id(&r->c->topology, l->id);
    memcpy(k->node_host_port, l->conn->name, sizeof k->node_host_port);
    k->reply = reply;
    k->latency_us = (uint32_t)(r->now_us - r->st[i].sent_us);
    if (!k->wait || r->o->wait_replicas <= 0) {
        finish(r, i, PR_OK);
        return;
    }
    r->st[i].next = l->unacked_head;
    l->unacked_head = (int32_t)i;
}

/* Every command in the unacked list was answered, so sent, before this WAIT. */
static void on_wait(struct run *r, struct link *l, const redisReply *reply)
{
    static const size_t len[] = { 4, 1, 4 };
    l->waits_out--;
    if (l->unacked_head >= 0) {
        struct pr_rcmd *payer = &r->cmd[l->unacked_head];
        payer->request_bytes += (uint32_t)pr_resp_command_bytes(3, len);
        payer->reply_bytes += (uint32_t)pr_resp_reply_bytes(reply);
    }
    while (l->unacked_head >= 0) {
        const size_t i = (size_t)l->unacked_head;
        l->unacked_head = r->st[i].next;
        if (reply->type == REDIS_REPLY_INTEGER) {
            r->cmd[i].acked = (int)reply->integer;
            finish(r, i, PR_OK);
        } else { /* executed, but nobody knows where */
            const char *text = reply->type == REDIS_REPLY_ERROR ? reply->str : "WAIT: no number";
            say(r, i, PR_ETIMEOUT, l->conn->name, text);
            finish(r, i, PR_ETIMEOUT);
        }
    }
}

static void take_replies(struct run *r, struct link *l)
{
    struct pr_err one;
    while (l->conn != NULL && l->sent_count > 0) {
        redisReply *reply;
        if (pr_redis_take(l->conn, &reply, &one) != PR_OK) {
            break_link(r, l, one.text);
            return;
        }
        if (reply == NULL)
            return;
        const struct sent_entry e = l->sent[l->sent_first & (l->sent_cap - 1)];
        l->sent_first++;
        l->sent_count--;
        if (e.what >= 0) {
            on_command(r, l, (size_t)e.what, reply);
            continue;
        }
        if (e.what == SENT_WAIT)
            on_wait(r, l, reply);
        else
            r->cmd[e.owner].reply_bytes += (uint32_t)pr_resp_reply_bytes(reply);
        freeReplyObject(reply);
    }
}

static void pump_in(struct run *r, struct link *l)
{
    struct pr_err one;
    bool got = true;
    /* Bounded, so that a fast node does not starve the others. */
    for (int turn = 0; turn < 16 && got && l->conn != NULL; turn++) {
        if (pr_redis_receive(l->conn, &got, &one) != PR_OK) {
            break_link(r, l, one.text);
            return;
        }
        if (got) {
            l->progress_us = r->now_us;
            take_replies(r, l);
        }
    }
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
        break_link(r, l, "no answer");
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
            pump_in(r, l);
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
                r->st[what].tries = MAX_LOST;
        }
        for (int32_t i = l->unacked_head; i >= 0; i = r->st[i].next)
            r->st[i].tries = MAX_LOST;
        break_link(r, l, "the batch's deadline passed");
    }
    for (size_t i = 0; r->delayed > 0 && i < r->n; i++) {
        if (r->st[i].due_us == 0)
            continue;
        r->st[i].due_us = 0;
        r->delayed--;
        say(r, i, r->st[i].last, "cluster", "the batch's deadline passed");
        finish(r, i, r->st[i].last);
    }
}

/* A connection that the server closed while it was idle is not counted as lost
 * with commands in flight: nothing has been sent yet. */
static void drop_closed(struct pr_cluster *c)
{
    char byte;
    for (size_t k = 0; k < c->links; k++) {
        struct link *l = c->link[k];
        if (l->conn == NULL)
            continue;
        const ssize_t n = recv(l->conn->ctx->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        if (n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
            pr_redis_close(l->conn);
            l->conn = NULL;
        }
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
        k->acked = 0;
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
            pump_out(&r, c->link[k]);
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
