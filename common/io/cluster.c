/* The cluster client: seeds, topology, one connection a node. */
#include "cluster_internal.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- seeds -------------------------------------------------------------- */
static enum pr_code parse_seed(const char *seed, size_t n, char host[PR_HOST], int *port,
                               struct pr_err *err)
{
    static const char plain[] = "redis://", tls[] = "rediss://";
    const int shown = (int)(n > 100 ? 100 : n);
    if (n >= sizeof tls - 1 && memcmp(seed, tls, sizeof tls - 1) == 0)
#if HIREDIS_MAJOR < 1
        return pr_fail(err, PR_EINVAL,
                       "redis seed '%.*s': TLS needs hiredis 1.0 or newer, this is %d.%d", shown,
                       seed, HIREDIS_MAJOR, HIREDIS_MINOR);
#else
        return pr_fail(err, PR_EINVAL, "redis seed '%.*s': built without TLS", shown, seed);
#endif
    const char *p = seed;
    size_t left = n;
    if (n >= sizeof plain - 1 && memcmp(seed, plain, sizeof plain - 1) == 0) {
        p += sizeof plain - 1;
        left -= sizeof plain - 1;
    }
    const char *colon = memrchr(p, ':', left);
    if (colon == NULL)
        return pr_fail(err, PR_EINVAL, "redis seed '%.*s': want host:port", shown, seed);
    size_t host_len = (size_t)(colon - p), digit = 0;
    long v = 0;
    for (const char *c = colon + 1; c < p + left && v <= 65535; c++, digit++) {
        if (*c < '0' || *c > '9')
            return pr_fail(err, PR_EINVAL, "redis seed '%.*s': port is not a number", shown, seed);
        v = v * 10 + (*c - '0');
    }
    if (digit == 0 || v < 1 || v > 65535)
        return pr_fail(err, PR_EINVAL, "redis seed '%.*s': port not in 1..65535", shown, seed);
    if (host_len >= 2 && p[0] == '[' && p[host_len - 1] == ']') { /* [IPv6] */
        p++;
        host_len -= 2;
    }
    if (host_len == 0 || host_len >= PR_HOST)
        return pr_fail(err, PR_EINVAL, "redis seed '%.*s': host of 1..%d bytes wanted", shown, seed,
                       PR_HOST - 1);
    memcpy(host, p, host_len);
    host[host_len] = '\0';
    *port = (int)v;
    return PR_OK;
}

/* Next seed of the list, PR_ENOTFOUND after the last. */
static enum pr_code next_seed(const char **list, char host[PR_HOST], int *port, struct pr_err *err)
{
    *list += strspn(*list, ", \t");
    if (**list == '\0')
        return PR_ENOTFOUND;
    const size_t n = strcspn(*list, ", \t");
    const char *seed = *list;
    *list += n;
    return parse_seed(seed, n, host, port, err);
}

static enum pr_code check_seeds(const char *seeds, struct pr_err *err)
{
    char host[PR_HOST];
    int port, count = 0;
    enum pr_code rc;
    while ((rc = next_seed(&seeds, host, &port, err)) == PR_OK)
        count++;
    if (rc != PR_ENOTFOUND)
        return rc;
    return count > 0 ? PR_OK : pr_fail(err, PR_EINVAL, "no redis seed: want host:port,host:port");
}

/* --- links -------------------------------------------------------------- */
int cluster_find_address(const struct pr_topology *t, const char *host, int port)
{
    for (size_t i = 0; i < t->nodes; i++)
        if (t->node[i].port == port && strcmp(t->node[i].host, host) == 0)
            return (int)i;
    return -1;
}

int cluster_find_id(const struct pr_topology *t, const char *id)
{
    size_t lo = 0, hi = t->nodes;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const int order = strcmp(t->node[mid].id, id);
        if (order == 0)
            return (int)mid;
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return -1;
}

struct link *cluster_link(struct pr_cluster *c, size_t node)
{
    const struct pr_node *n = &c->topology.node[node];
    if (c->by_node[node] != NULL)
        return c->by_node[node];
    for (size_t i = 0; i < c->links; i++)
        if (strcmp(c->link[i]->id, n->id) == 0)
            return c->by_node[node] = c->link[i];
    if (c->links == c->links_cap) {
        const size_t cap = c->links_cap == 0 ? 16 : c->links_cap * 2;
        struct link **grown = realloc(c->link, cap * sizeof(struct link *));
        if (grown == NULL)
            return NULL;
        c->link = grown;
        c->links_cap = cap;
    }
    struct link *l = calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    memcpy(l->id, n->id, sizeof l->id);
    memcpy(l->host, n->host, sizeof l->host);
    l->port = n->port;
    l->todo_head = l->todo_tail = l->unacked_head = -1;
    return c->by_node[node] = c->link[c->links++] = l;
}

void cluster_link_close(struct link *l)
{
    pr_redis_close(l->conn);
    l->conn = NULL;
    l->sent_count = l->sent_first = 0;
    l->waits_out = 0;
    l->need_wait = false;
}

enum pr_code cluster_link_open(struct pr_cluster *c, struct link *l, int timeout_ms,
                               struct pr_err *err)
{
    if (l->conn != NULL && !l->conn->broken)
        return PR_OK;
    cluster_link_close(l);
    return pr_redis_open(&l->conn, l->host, l->port, &c->auth, timeout_ms, err);
}

enum pr_code pr_cluster_conn(struct pr_cluster *c, const char *node_id, struct pr_redis **conn,
                             struct pr_err *err)
{
    const int node = cluster_find_id(&c->topology, node_id);
    if (node < 0)
        return pr_fail(err, PR_ENOTFOUND, "redis node %s is not in the cluster", node_id);
    struct link *l = cluster_link(c, (size_t)node);
    if (l == NULL)
        return pr_fail(err, PR_ENOMEM, "redis node %s: no memory", node_id);
    if (l->sent_count > 0) /* the caller would take what is still to come for its own */
        cluster_link_close(l);
    const enum pr_code rc = cluster_link_open(c, l, c->timeout_ms, err);
    if (rc == PR_OK)
        *conn = l->conn;
    return rc;
}

void pr_cluster_drop(struct pr_cluster *c, const char *node_id)
{
    for (size_t i = 0; i < c->links; i++)
        if (strcmp(c->link[i]->id, node_id) == 0)
            cluster_link_close(c->link[i]);
}

/* --- topology ----------------------------------------------------------- */
static enum pr_code read_topology(const struct pr_redis *conn, const redisReply *reply,
                                  const char *host, struct pr_topology *out, struct pr_err *err)
{
    if (reply->type != REDIS_REPLY_STRING)
        return pr_fail(err, PR_EDATA, "redis %s: CLUSTER NODES answered no text", conn->name);
    const enum pr_code rc = pr_topology_parse(reply->str, host, out, err);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "redis %s", conn->name);
}

static enum pr_code ask_control(struct pr_cluster *c, struct pr_topology *out, struct pr_err *err)
{
    char host[PR_HOST];
    PR_AUTO(redisReply) *reply = NULL;
    (void)snprintf(host, sizeof host, "%.*s",
                   (int)(strrchr(c->control->name, ':') - c->control->name), c->control->name);
    const enum pr_code rc = pr_redis_command(c->control, &reply, err, "CLUSTER NODES");
    return rc == PR_OK ? read_topology(c->control, reply, host, out, err) : rc;
}

static size_t owned_slots(const struct pr_topology *t)
{
    size_t n = 0;
    for (size_t s = 0; s < PR_COUNT(t->slot_owner); s++)
        n += t->slot_owner[s] >= 0;
    return n;
}

/* Not of one that has not met the others (again) yet, and not of one whose view may be
 * stale: taken only while nothing better is known. */
static bool trusted(const struct pr_topology *t)
{
    return owned_slots(t) > 0 && !t->idle;
}

/* Puts the new view in place; links follow their node's address. */
static enum pr_code adopt(struct pr_cluster *c, struct pr_topology *t, struct pr_err *err)
{
    struct link **by_node = calloc(t->nodes, sizeof(struct link *));
    if (by_node == NULL) {
        pr_topology_done(t);
        return pr_fail(err, PR_ENOMEM, "redis topology: no memory for %zu nodes", t->nodes);
    }
    free(c->by_node);
    pr_topology_done(&c->topology);
    c->by_node = by_node;
    c->topology = *t;
    c->refreshed_us = pr_mono_us();
    for (size_t i = 0; i < c->links; i++) {
        struct link *l = c->link[i];
        const int node = cluster_find_id(&c->topology, l->id);
        const struct pr_node *n = node >= 0 ? &c->topology.node[node] : NULL;
        const bool idle = l->sent_count == 0 && l->todo_head < 0 && l->unacked_head < 0;
        if (n != NULL && (n->port != l->port || strcmp(n->host, l->host) != 0) && n->port != 0) {
            memcpy(l->host, n->host, sizeof l->host);
            l->port = n->port;
            if (idle)
                cluster_link_close(l);
        } else if (n == NULL && idle) {
            cluster_link_close(l); /* forgotten by the cluster */
        }
    }
    return PR_OK;
}

enum pr_code cluster_take(struct pr_cluster *c, struct pr_redis **conn, const redisReply *reply,
                          const struct cluster_host *host, bool *sure, struct pr_err *err)
{
    struct pr_topology t;
    enum pr_code rc = read_topology(*conn, reply, host->host, &t, err);
    if (rc != PR_OK)
        return rc;
    const bool none = owned_slots(&t) == 0;
    *sure = trusted(&t);
    if (!*sure && c->topology.nodes > 0 &&
        (trusted(&c->topology) || (none && owned_slots(&c->topology) > 0))) {
        pr_topology_done(&t);
        return pr_fail(err, PR_EUNAVAIL, "redis %s: %s", (*conn)->name,
                       none ? "knows of no slot" : "serves no slot");
    }
    rc = adopt(c, &t, err);
    if (rc == PR_OK) {
        pr_redis_close(c->control);
        c->control = *conn;
        *conn = NULL;
    }
    return rc;
}

struct hosts { /* to be asked, in this order; each once */
    struct cluster_host *host;
    size_t n, cap;
};

static bool add_host(struct hosts *h, const char *host, int port)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->host[i].port == port && strcmp(h->host[i].host, host) == 0)
            return true;
    if (h->n == h->cap) {
        const size_t cap = h->cap == 0 ? 64 : h->cap * 2;
        struct cluster_host *grown = realloc(h->host, cap * sizeof *grown);
        if (grown == NULL)
            return false;
        h->host = grown;
        h->cap = cap;
    }
    (void)snprintf(h->host[h->n].host, PR_HOST, "%s", host);
    h->host[h->n++].port = port;
    return true;
}

/* Whoever was asked first before is asked last: its view may be the stale one. */
static bool add_known(struct pr_cluster *c, struct hosts *h)
{
    const size_t known = c->topology.nodes, first = c->next_ask++;
    bool ok = true;
    for (size_t i = 0; i < known && ok; i++) {
        const struct pr_node *n = &c->topology.node[(first + i) % known];
        ok = n->failed || n->port == 0 || add_host(h, n->host, n->port);
    }
    return ok;
}

static bool add_seeds(const struct pr_cluster *c, struct hosts *h)
{
    char host[PR_HOST];
    int port;
    bool ok = true;
    for (const char *list = c->seeds; ok && next_seed(&list, host, &port, NULL) == PR_OK;)
        ok = add_host(h, host, port);
    return ok;
}

/* Seeds come last: one that knows of no slot may be a node that has left, or has yet to join,
 * and counts only when no other answers. It may know others, who know better. */
static enum pr_code ask_all(struct pr_cluster *c, struct pr_buf *tried, struct pr_err *one)
{
    struct hosts h = { NULL, 0, 0 };
    enum pr_code rc =
        add_known(c, &h) && add_seeds(c, &h) ? cluster_ask(c, h.host, h.n, tried, one) : PR_ENOMEM;
    const size_t asked = h.n;
    if (rc == PR_OK && !trusted(&c->topology) && add_known(c, &h) && h.n > asked) {
        struct pr_err unused = { .code = PR_OK };
        if (cluster_ask(c, h.host + asked, h.n - asked, tried, &unused) != PR_OK)
            rc = PR_OK; /* what a seed said is all there is */
    }
    free(h.host);
    return rc;
}

enum pr_code cluster_refresh_from(struct pr_cluster *c, bool elsewhere, struct pr_err *err)
{
    struct pr_err one = { .code = PR_OK, .text = "" };
    if (c->control != NULL && !c->control->broken && !elsewhere) {
        struct pr_topology t;
        if (ask_control(c, &t, &one) == PR_OK) {
            if (trusted(&t))
                return adopt(c, &t, err);
            pr_topology_done(&t);
        }
    }
    struct pr_buf tried;
    pr_buf_init(&tried, 0);
    enum pr_code rc = ask_all(c, &tried, &one);
    if (rc == PR_ENOMEM)
        rc = pr_fail(err, rc, "redis topology: no memory");
    else if (rc != PR_OK)
        rc = pr_fail(err, one.code == PR_EDENIED ? PR_EDENIED : PR_EUNAVAIL,
                     "no redis node answers: %s", tried.data != NULL ? tried.data : "none known");
    pr_buf_done(&tried);
    return rc;
}

enum pr_code pr_cluster_refresh(struct pr_cluster *c, struct pr_err *err)
{
    return cluster_refresh_from(c, false, err);
}

const struct pr_topology *pr_cluster_topology(const struct pr_cluster *c)
{
    return &c->topology;
}

/* --- open, close -------------------------------------------------------- */
enum pr_code pr_cluster_open(struct pr_cluster **out, const char *seeds,
                             const struct pr_redis_auth *auth, int timeout_ms, struct pr_err *err)
{
    enum pr_code rc = check_seeds(seeds, err);
    if (rc != PR_OK)
        return rc;
    struct pr_cluster *c = calloc(1, sizeof *c);
    if (c == NULL)
        return pr_fail(err, PR_ENOMEM, "redis cluster: no memory");
    c->timeout_ms = timeout_ms;
    c->seeds = strdup(seeds);
    bool ok = c->seeds != NULL;
    if (auth != NULL && auth->user != NULL) {
        c->user = strdup(auth->user);
        c->password = strdup(auth->password != NULL ? auth->password : "");
        ok = ok && c->user != NULL && c->password != NULL;
        c->auth = (struct pr_redis_auth){ c->user, c->password };
    }
    rc = ok ? cluster_refresh_from(c, false, err)
            : pr_fail(err, PR_ENOMEM, "redis cluster: no memory");
    if (rc != PR_OK) {
        pr_cluster_close(c);
        return rc;
    }
    *out = c;
    return PR_OK;
}

void pr_cluster_close(struct pr_cluster *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->links; i++) {
        pr_redis_close(c->link[i]->conn);
        free(c->link[i]->sent);
        free(c->link[i]);
    }
    pr_redis_close(c->control);
    pr_topology_done(&c->topology);
    if (c->password != NULL)
        explicit_bzero(c->password, strlen(c->password));
    free(c->link);
    free(c->by_node);
    free(c->state);
    free(c->seeds);
    free(c->user);
    free(c->password);
    free(c);
}
