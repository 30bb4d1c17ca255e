/* CLUSTER NODES as text -> struct pr_topology. Pure. One line a node:
 *   <id> <ip:port@cport[,hostname[,key=value...]]> <flags> <primary id or -> <ping> <pong>
 *   <config epoch> <link state> <slot | first-last | [slot->-id] | [slot-<-id]>...
 * Source: Redis documentation, "CLUSTER NODES". */
#include "prism/io/redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct span { /* a word of the text */
    const char *p;
    size_t n;
};

static struct span next_word(struct span *line)
{
    while (line->n > 0 && *line->p == ' ') {
        line->p++;
        line->n--;
    }
    struct span w = { line->p, 0 };
    while (w.n < line->n && w.p[w.n] != ' ')
        w.n++;
    line->p += w.n;
    line->n -= w.n;
    return w;
}

static bool parse_number(struct span s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        const unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';
        if (digit > 9 || v > (max - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return v <= max;
}

/* True when word is one of the comma separated words of list. */
static bool has_flag(struct span list, const char *word)
{
    const size_t n = strlen(word);
    for (size_t i = 0; i < list.n;) {
        size_t end = i;
        while (end < list.n && list.p[end] != ',')
            end++;
        if (end - i == n && memcmp(list.p + i, word, n) == 0)
            return true;
        i = end + 1;
    }
    return false;
}

static bool copy_word(char *out, size_t cap, struct span s)
{
    if (s.n >= cap)
        return false;
    if (s.n > 0)
        memcpy(out, s.p, s.n);
    out[s.n] = '\0';
    return true;
}

static bool valid_id(struct span s)
{
    if (s.n != PR_NODE_ID - 1)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    return true;
}

/* "ip:port@cport,hostname": the ip, else the hostname, else asked (a node that
 * does not know its own address yet is the one that we are talking to). */
static bool parse_address(struct span word, const char *asked, bool myself, struct pr_node *out)
{
    struct span address = word, name = { NULL, 0 };
    const char *comma = memchr(word.p, ',', word.n);
    if (comma != NULL) {
        address.n = (size_t)(comma - word.p);
        name = (struct span){ comma + 1, word.n - address.n - 1 };
        const char *end = memchr(name.p, ',', name.n);
        if (end != NULL)
            name.n = (size_t)(end - name.p);
        if (memchr(name.p, '=', name.n) != NULL) /* no hostname, only key=value */
            name.n = 0;
    }
    const char *at = memchr(address.p, '@', address.n);
    if (at != NULL) {
        uint64_t bus;
        const struct span s = { at + 1, address.n - (size_t)(at + 1 - address.p) };
        if (!parse_number(s, 65535, &bus))
            return false;
        address.n = (size_t)(at - address.p);
    }
    const char *colon = memrchr(address.p, ':', address.n); /* IPv6 has several */
    if (colon == NULL)
        return false;
    uint64_t port;
    const struct span digits = { colon + 1, address.n - (size_t)(colon + 1 - address.p) };
    if (!parse_number(digits, 65535, &port))
        return false;
    out->port = (int)port;
    address.n = (size_t)(colon - address.p);
    if (address.n == 0 && myself && asked != NULL)
        address = (struct span){ asked, strlen(asked) };
    if (address.n == 0 || (address.n == 1 && address.p[0] == '?'))
        address = name;
    return copy_word(out->host, sizeof out->host, address);
}

struct parse {
    const char *asked;
    struct pr_topology *t;
    size_t cap, line; /* line: 1-based, for messages */
    struct pr_err *err;
};

static enum pr_code bad_line(const struct parse *p, const char *what, struct span word)
{
    return pr_fail(p->err, PR_EDATA, "CLUSTER NODES line %zu: %s '%.*s'", p->line, what,
                   (int)(word.n > 80 ? 80 : word.n), word.p);
}

static enum pr_code parse_slots(const struct parse *p, struct span word, int16_t node)
{
    uint64_t first, last;
    if (word.p[0] == '[') { /* [93->-id] migrating, [93-<-id] importing */
        const struct span in = { word.p + 1, word.n - 1 };
        const char *dash = memchr(in.p, '-', in.n);
        if (word.p[word.n - 1] != ']' || dash == NULL || dash + 2 >= in.p + in.n ||
            (memcmp(dash, "->-", 3) != 0 && memcmp(dash, "-<-", 3) != 0) ||
            !parse_number((struct span){ in.p, (size_t)(dash - in.p) }, 16383, &first))
            return bad_line(p, "bad open slot", word);
        p->t->open_slots = true;
        if (dash[1] == '<')
            p->t->imports[first / 8] = (uint8_t)(p->t->imports[first / 8] | 1u << (first % 8));
        return PR_OK;
    }
    const char *dash = memchr(word.p, '-', word.n);
    const size_t head = dash != NULL ? (size_t)(dash - word.p) : word.n;
    bool ok = parse_number((struct span){ word.p, head }, 16383, &first);
    last = first;
    if (ok && dash != NULL)
        ok = parse_number((struct span){ dash + 1, word.n - head - 1 }, 16383, &last);
    if (!ok || last < first)
        return bad_line(p, "bad slot range", word);
    for (uint64_t s = first; s <= last; s++)
        p->t->slot_owner[s] = node;
    return PR_OK;
}

static enum pr_code parse_node(struct parse *p, struct span line)
{
    struct pr_topology *t = p->t;
    const struct span id = next_word(&line), address = next_word(&line), flags = next_word(&line),
                      primary = next_word(&line);
    (void)next_word(&line); /* ping sent */
    const struct span pong = next_word(&line), epoch = next_word(&line), link = next_word(&line);
    struct pr_node n = { .failed = has_flag(flags, "fail") || has_flag(flags, "fail?") ||
                                   has_flag(flags, "noaddr"),
                         .dead = has_flag(flags, "fail") };
    const bool myself = has_flag(flags, "myself");

    if (has_flag(flags, "handshake"))
        return PR_OK; /* its id is made up until the handshake is over */
    if (!valid_id(id))
        return bad_line(p, "bad node id", id);
    if (link.n == 0)
        return bad_line(p, "too few fields for node", id);
    n.primary = has_flag(flags, "master");
    if (!n.primary && !has_flag(flags, "slave"))
        return bad_line(p, "neither master nor slave:", flags);
    if (!parse_address(address, p->asked, myself, &n) ||
        (!n.failed && (n.port == 0 || n.host[0] == '\0')))
        return bad_line(p, "bad address", address);
    if (!parse_number(epoch, INT64_MAX, &n.config_epoch))
        return bad_line(p, "bad config epoch", epoch);
    uint64_t pong_ms;
    if (!parse_number(pong, INT64_MAX, &pong_ms))
        return bad_line(p, "bad time of a pong", pong);
    n.pong_ms = (int64_t)pong_ms;
    (void)copy_word(n.id, sizeof n.id, id);
    if (!n.primary && !(primary.n == 1 && primary.p[0] == '-')) {
        if (!valid_id(primary))
            return bad_line(p, "bad primary id", primary);
        (void)copy_word(n.primary_id, sizeof n.primary_id, primary);
    }
    if (t->nodes == PR_MAX_NODES)
        return pr_fail(p->err, PR_EDATA, "CLUSTER NODES: more than %d nodes", PR_MAX_NODES);
    if (t->nodes == p->cap) {
        const size_t cap = p->cap == 0 ? 16 : p->cap * 2;
        struct pr_node *grown = realloc(t->node, cap * sizeof *grown);
        if (grown == NULL)
            return pr_fail(p->err, PR_ENOMEM, "CLUSTER NODES: no memory for %zu nodes", cap);
        t->node = grown;
        p->cap = cap;
    }
    t->node[t->nodes++] = n;
    for (bool serves = false;;) {
        const struct span word = next_word(&line);
        if (word.n == 0) {
            t->idle = t->idle || (myself && n.primary && !serves);
            return PR_OK;
        }
        serves = serves || word.p[0] != '[';
        const enum pr_code rc = parse_slots(p, word, (int16_t)(t->nodes - 1));
        if (rc != PR_OK)
            return rc;
    }
}

static int by_id(const void *a, const void *b)
{
    return memcmp(((const struct pr_node *)a)->id, ((const struct pr_node *)b)->id, PR_NODE_ID);
}

/* Sorts by id and carries slot_owner along. */
static enum pr_code sort_nodes(struct pr_topology *t, struct pr_err *err)
{
    if (t->nodes == 0)
        return PR_OK;
    struct pr_node *before = malloc(t->nodes * sizeof *before);
    int16_t *now = malloc(t->nodes * sizeof *now);
    enum pr_code rc = PR_OK;
    if (before == NULL || now == NULL) {
        rc = pr_fail(err, PR_ENOMEM, "CLUSTER NODES: no memory for %zu nodes", t->nodes);
        goto out;
    }
    memcpy(before, t->node, t->nodes * sizeof *before);
    qsort(t->node, t->nodes, sizeof *t->node, by_id);
    for (size_t i = 1; i < t->nodes; i++)
        if (by_id(&t->node[i - 1], &t->node[i]) == 0) {
            rc = pr_fail(err, PR_EDATA, "CLUSTER NODES: node %s twice", t->node[i].id);
            goto out;
        }
    for (size_t i = 0; i < t->nodes; i++) {
        const struct pr_node *at = bsearch(&before[i], t->node, t->nodes, sizeof *at, by_id);
        now[i] = (int16_t)(at - t->node);
    }
    for (size_t s = 0; s < PR_COUNT(t->slot_owner); s++)
        if (t->slot_owner[s] >= 0)
            t->slot_owner[s] = now[t->slot_owner[s]];
out:
    free(before);
    free(now);
    return rc;
}

static void count_replicas(struct pr_topology *t)
{
    struct pr_node key = { 0 };
    for (size_t i = 0; i < t->nodes; i++) {
        if (t->node[i].primary)
            continue;
        memcpy(key.id, t->node[i].primary_id, sizeof key.id);
        struct pr_node *primary = bsearch(&key, t->node, t->nodes, sizeof key, by_id);
        if (primary != NULL)
            primary->replicas++;
    }
}

enum pr_code pr_topology_parse(const char *cluster_nodes, const char *asked_host,
                               struct pr_topology *out, struct pr_err *err)
{
    struct pr_topology t = { .node = NULL };
    struct parse p = { .asked = asked_host, .t = &t, .err = err };
    enum pr_code rc = PR_OK;
    memset(t.slot_owner, 0xff, sizeof t.slot_owner); /* -1 */

    for (const char *c = cluster_nodes; *c != '\0' && rc == PR_OK;) {
        size_t n = strcspn(c, "\n");
        struct span line = { c, n > 0 && c[n - 1] == '\r' ? n - 1 : n };
        p.line++;
        if (line.n > 0)
            rc = parse_node(&p, line);
        c += n + (c[n] == '\n');
    }
    if (rc == PR_OK && t.nodes == 0)
        rc = pr_fail(err, PR_EDATA, "CLUSTER NODES: no node");
    if (rc == PR_OK)
        rc = sort_nodes(&t, err);
    if (rc == PR_OK)
        count_replicas(&t);
    if (rc != PR_OK)
        pr_topology_done(&t);
    else
        *out = t;
    return rc;
}

bool pr_topology_owns_slots(const struct pr_topology *t, size_t node)
{
    for (size_t s = 0; s < PR_COUNT(t->slot_owner); s++)
        if (t->slot_owner[s] == (int16_t)node)
            return true;
    return false;
}

void pr_topology_done(struct pr_topology *t)
{
    free(t->node);
    t->node = NULL;
    t->nodes = 0;
}
