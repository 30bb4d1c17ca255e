/* One connection's part of a batch: commands out, replies in, and what becomes of
 * them when it breaks. */
#include "cluster_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_UNSENT = 256 * 1024,    /* encoded but not written, per connection */
    MOVED_REFRESH_US = 1000000, /* MOVED patches the map itself; a full look this often */
    MAX_REDIRECTS = 3           /* in a row; then nodes disagree: pause and look again */
};

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

static bool waits(const struct run *r)
{
    return r->o->wait_replicas > 0 || r->o->wait_all;
}

static bool send_wait(struct run *r, struct link *l)
{
    char replicas[16], ms[16];
    const int node = r->o->wait_all ? cluster_find_id(&r->c->topology, l->id) : -1;
    l->wait_wanted = r->o->wait_replicas;
    if (node >= 0 && r->c->topology.node[node].replicas > l->wait_wanted)
        l->wait_wanted = r->c->topology.node[node].replicas;
    const int a = snprintf(replicas, sizeof replicas, "%d", l->wait_wanted);
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
    if (k->wait && waits(r))
        l->need_wait = true;
    return true;
}

/* Encodes and writes as much as the socket takes now. */
void link_pump_out(struct run *r, struct link *l)
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
            link_break(r, l, ok ? one.text : "no memory");
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
        run_delay(r, i, PR_EUNAVAIL);
        return;
    }
    const bool again = is_read(k) || r->o->write_retry;
    if (again && r->st[i].tries < RUN_MAX_LOST) {
        r->st[i].tries++;
        run_delay(r, i, PR_ETIMEOUT);
        return;
    }
    run_say(r, i, PR_ETIMEOUT, where, why);
    run_finish(r, i, PR_ETIMEOUT);
}

void link_break(struct run *r, struct link *l, const char *why)
{
    char where[sizeof l->conn->name];
    const uint64_t written = l->conn->written;
    memcpy(where, l->conn->name, sizeof where);
    pr_redis_close(l->conn);
    l->conn = NULL;
    l->retry_at_us = 0; /* a restarted server answers at once */
    run_want_refresh(r, true);

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
            run_want_refresh(r, false);
            run_delay(r, i, PR_EUNAVAIL);
            return true;
        }
        if (moved) {
            if (r->cmd[i].redirects > MAX_REDIRECTS) { /* they point at each other */
                run_want_refresh(r, true);
                run_delay(r, i, PR_EUNAVAIL);
                return true;
            }
            r->c->topology.slot_owner[slot] = (int16_t)node;
            if (r->now_us - r->c->refreshed_us > MOVED_REFRESH_US)
                run_want_refresh(r, false);
        }
        r->st[i].asking = ask;
        run_assign(r, i, node);
        return true;
    }
    if (starts(reply, "TRYAGAIN")) {
        run_delay(r, i, PR_EUNAVAIL);
        return true;
    }
    if (starts(reply, "CLUSTERDOWN") || starts(reply, "LOADING") || starts(reply, "MASTERDOWN") ||
        starts(reply, "READONLY")) {
        run_want_refresh(r, true);
        run_delay(r, i, PR_EUNAVAIL);
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
            run_say(r, i, rc, l->conn->name, one.text);
            run_finish(r, i, rc);
        }
        freeReplyObject(reply);
        return;
    }
    k->node = cluster_find_id(&r->c->topology, l->id);
    memcpy(k->node_host_port, l->conn->name, sizeof k->node_host_port);
    k->reply = reply;
    k->latency_us = (uint32_t)(r->now_us - r->st[i].sent_us);
    if (!k->wait || !waits(r)) {
        run_finish(r, i, PR_OK);
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
            r->cmd[i].wanted = l->wait_wanted;
            run_finish(r, i, PR_OK);
        } else { /* executed, but nobody knows where */
            const char *text = reply->type == REDIS_REPLY_ERROR ? reply->str : "WAIT: no number";
            run_say(r, i, PR_ETIMEOUT, l->conn->name, text);
            run_finish(r, i, PR_ETIMEOUT);
        }
    }
}

static void take_replies(struct run *r, struct link *l)
{
    struct pr_err one;
    while (l->conn != NULL && l->sent_count > 0) {
        redisReply *reply;
        if (pr_redis_take(l->conn, &reply, &one) != PR_OK) {
            link_break(r, l, one.text);
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

void link_pump_in(struct run *r, struct link *l)
{
    struct pr_err one;
    bool got = true;
    /* Bounded, so that a fast node does not starve the others. */
    for (int turn = 0; turn < 16 && got && l->conn != NULL; turn++) {
        if (pr_redis_receive(l->conn, &got, &one) != PR_OK) {
            link_break(r, l, one.text);
            return;
        }
        if (got) {
            l->progress_us = r->now_us;
            take_replies(r, l);
        }
    }
}
