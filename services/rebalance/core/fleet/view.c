#include "core/fleet/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_FIELDS = 8 }; /* id address flags primary ping pong epoch link; then slots */

struct parse {
    const char *asked;
    struct pr_arena *arena;
    struct rebalance_view *v;
    size_t line, opens_cap;
    struct pr_err *err;
};

static enum pr_code bad(const struct parse *p, const char *what, const char *word)
{
    return pr_fail(p->err, PR_EDATA, "CLUSTER NODES line %zu: %s '%.60s'", p->line, what, word);
}

static bool has_flag(const char *list, const char *flag)
{
    const size_t n = strlen(flag);
    for (const char *at = list; *at != '\0'; at += strcspn(at, ","), at += *at == ',')
        if (strncmp(at, flag, n) == 0 && (at[n] == ',' || at[n] == '\0'))
            return true;
    return false;
}

static bool is_id(const char *s)
{
    return strlen(s) == REBALANCE_REDIS_ID - 1 &&
           strspn(s, "0123456789abcdef") == REBALANCE_REDIS_ID - 1;
}

/* "ip:port@bus[,hostname[,key=value]]": the ip, else the hostname, else, for the
 * node that was asked, the name it was asked by. */
static bool parse_address(struct rebalance_seen *n, char *word, const char *asked)
{
    char *comma = strchr(word, ','), *name = NULL;
    if (comma != NULL) {
        *comma = '\0';
        name = comma + 1;
        name[strcspn(name, ",")] = '\0';
        if (strchr(name, '=') != NULL)
            name = NULL;
    }
    char *at = strchr(word, '@');
    if (at != NULL) {
        *at = '\0';
        n->bus_port = (int)strtol(at + 1, NULL, 10);
    }
    char *colon = strrchr(word, ':'); /* IPv6 has several */
    if (colon == NULL)
        return false;
    *colon = '\0';
    n->port = (int)strtol(colon + 1, NULL, 10);
    const char *host = word;
    if (host[0] == '\0' || host[0] == '?')
        host = n->myself ? asked : name != NULL ? name : "";
    return snprintf(n->host, sizeof n->host, "%s", host) < (int)sizeof n->host && n->port >= 0 &&
           n->port < 65536;
}

static enum pr_code add_open(struct parse *p, const char *word)
{
    struct rebalance_view *v = p->v;
    char *end;
    const long slot = strtol(word + 1, &end, 10);
    const bool importing = strncmp(end, "-<-", 3) == 0;
    if (slot < 0 || slot >= REBALANCE_SLOTS || (!importing && strncmp(end, "->-", 3) != 0))
        return bad(p, "bad open slot", word);
    if (v->opens == p->opens_cap) {
        const size_t cap = p->opens_cap == 0 ? 8 : p->opens_cap * 2;
        struct rebalance_open_slot *grown = pr_arena_alloc(p->arena, cap * sizeof *grown);
        if (grown == NULL)
            return pr_fail(p->err, PR_ENOMEM, "%zu open slots", cap);
        if (v->opens > 0)
            memcpy(grown, v->open, v->opens * sizeof *grown);
        v->open = grown;
        p->opens_cap = cap;
    }
    struct rebalance_open_slot *o = &v->open[v->opens++];
    *o = (struct rebalance_open_slot){ .slot = (int16_t)slot, .importing = importing };
    snprintf(o->other, sizeof o->other, "%.*s", (int)strcspn(end + 3, "]"), end + 3);
    return PR_OK;
}

static enum pr_code add_slots(struct parse *p, struct rebalance_seen *n, const char *word)
{
    if (word[0] == '[')
        return add_open(p, word);
    char *end;
    const long first = strtol(word, &end, 10);
    const long last = *end == '-' ? strtol(end + 1, &end, 10) : first;
    if (end == word || *end != '\0' || first < 0 || last < first || last >= REBALANCE_SLOTS)
        return bad(p, "bad slot range", word);
    for (long s = first; s <= last; s++)
        p->v->owner[s] = (int16_t)(n - p->v->node);
    n->slots += (int)(last - first + 1);
    return PR_OK;
}

static enum pr_code parse_line(struct parse *p, char *line)
{
    struct rebalance_seen *n = &p->v->node[p->v->nodes];
    char *field[LINE_FIELDS], *save = NULL;
    for (int i = 0; i < LINE_FIELDS; i++) {
        field[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
        if (field[i] == NULL)
            return bad(p, "too few fields:", i == 0 ? "" : field[0]);
    }
    *n = (struct rebalance_seen){ .myself = has_flag(field[2], "myself"),
                                  .primary = has_flag(field[2], "master"),
                                  .failed = has_flag(field[2], "fail") ||
                                            has_flag(field[2], "fail?") ||
                                            has_flag(field[2], "noaddr"),
                                  .handshake = has_flag(field[2], "handshake"),
                                  .config_epoch = strtoull(field[6], NULL, 10) };
    if (!is_id(field[0]))
        return bad(p, "bad node id", field[0]);
    memcpy(n->id, field[0], sizeof n->id);
    if (strcmp(field[3], "-") != 0 && !is_id(field[3]))
        return bad(p, "bad primary id", field[3]);
    if (field[3][0] != '-')
        memcpy(n->primary_id, field[3], sizeof n->primary_id);
    if (!parse_address(n, field[1], p->asked))
        return bad(p, "bad address of", n->id);
    if (n->myself)
        p->v->me = (int16_t)p->v->nodes;
    p->v->nodes++;
    for (char *word; (word = strtok_r(NULL, " ", &save)) != NULL;) {
        const enum pr_code rc = add_slots(p, n, word);
        if (rc != PR_OK)
            return rc;
    }
    return PR_OK;
}

enum pr_code rebalance_view_parse(const char *cluster_nodes, const char *asked,
                                  struct pr_arena *arena, struct rebalance_view *out,
                                  struct pr_err *err)
{
    struct parse p = { .asked = asked, .arena = arena, .v = out, .err = err };
    size_t lines = 1;
    for (const char *c = cluster_nodes; *c != '\0'; c++)
        lines += *c == '\n';
    *out = (struct rebalance_view){ .me = REBALANCE_NONE };
    memset(out->owner, 0xff, sizeof out->owner); /* NONE */
    char *text = pr_arena_strdup(arena, cluster_nodes), *save = NULL;
    out->node = pr_arena_alloc(arena, lines * sizeof *out->node);
    if (text == NULL || out->node == NULL || lines > INT16_MAX)
        return pr_fail(err, PR_ENOMEM, "CLUSTER NODES of %zu lines", lines);
    for (char *line = strtok_r(text, "\r\n", &save); line != NULL;
         line = strtok_r(NULL, "\r\n", &save)) {
        p.line++;
        const enum pr_code rc = parse_line(&p, line);
        if (rc != PR_OK)
            return rc;
    }
    if (out->me < 0)
        return pr_fail(err, PR_EDATA, "CLUSTER NODES: no line of the node itself");
    return PR_OK;
}

const struct rebalance_seen *rebalance_view_find(const struct rebalance_view *v, const char *id)
{
    for (size_t i = 0; i < v->nodes; i++)
        if (strcmp(v->node[i].id, id) == 0)
            return &v->node[i];
    return NULL;
}

const struct rebalance_seen *rebalance_view_at(const struct rebalance_view *v, const char *host,
                                               int port)
{
    for (size_t i = 0; i < v->nodes; i++)
        if (v->node[i].port == port && strcmp(v->node[i].host, host) == 0)
            return &v->node[i];
    return NULL;
}
