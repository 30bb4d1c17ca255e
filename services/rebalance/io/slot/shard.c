#include "io/slot/shard.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLIND_US = 400000, MAX_LAG_S = 3 };

/* --- members ------------------------------------------------------------------------ */

static struct rebalance_shard_member *add_member(struct rebalance_shard *s, const char *host,
                                                 int port)
{
    for (size_t i = 0; i < s->members; i++)
        if (s->member[i].port == port && strcmp(s->member[i].host, host) == 0)
            return &s->member[i];
    if (s->members == REBALANCE_SHARD_MEMBERS)
        return NULL;
    struct rebalance_shard_member *m = &s->member[s->members++];
    *m = (struct rebalance_shard_member){ .port = port, .keys = -1 };
    snprintf(m->host, sizeof m->host, "%s", host);
    snprintf(m->name, sizeof m->name, "%s:%d", host, port);
    return m;
}

enum pr_code rebalance_shard_load(struct rebalance_shard *s, struct pr_db *db, const char *node,
                                  struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT m.id, m.host, m.port, coalesce(m.redis_id, ''), coalesce(m.zone_id, ''), "
        "coalesce(n.shard_id, n.id) FROM nodes n JOIN nodes m ON m.id = n.id OR "
        "(m.shard_id = n.shard_id AND m.state <> 'gone') WHERE n.id = $1 ORDER BY m.id <> n.id",
        PR_ARGS(pr_text(node)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 0)
        return pr_fail(err, PR_ENOTFOUND, "node %s is not registered", node);
    s->members = 0;
    s->primary = -1;
    s->promoted_us = 0;
    s->restarted = false;
    snprintf(s->id, sizeof s->id, "%s", pr_cell(res, 0, 5));
    for (int i = 0; i < PQntuples(res); i++) {
        struct rebalance_shard_member *m =
            add_member(s, pr_cell(res, i, 1), (int)pr_cell_i64(res, i, 2));
        if (m == NULL)
            break;
        snprintf(m->name, sizeof m->name, "%s", pr_cell(res, i, 0));
        snprintf(m->id, sizeof m->id, "%s", pr_cell(res, i, 3));
        snprintf(m->zone, sizeof m->zone, "%s", pr_cell(res, i, 4));
    }
    return PR_OK;
}

void rebalance_shard_learn(struct rebalance_shard *s, const char *info)
{
    for (const char *p = strstr(info, ":ip="); p != NULL; p = strstr(p + 1, ":ip=")) {
        char host[PR_HOST];
        const size_t n = strcspn(p + 4, ",\r\n");
        if (n >= sizeof host || strncmp(p + 4 + n, ",port=", 6) != 0)
            continue;
        snprintf(host, sizeof host, "%.*s", (int)n, p + 4);
        (void)add_member(s, host, atoi(p + 4 + n + 6));
    }
}

static void blind(struct rebalance_shard_member *m, int64_t now_us)
{
    pr_redis_close(m->eye);
    m->eye = NULL;
    m->blind_until_us = now_us + BLIND_US;
    m->there = m->primary = false;
}

void rebalance_shard_close(struct rebalance_shard *s)
{
    for (size_t i = 0; i < s->members; i++) {
        pr_redis_close(s->member[i].eye);
        s->member[i].eye = NULL;
    }
    s->members = 0;
}

bool rebalance_shard_has(const struct rebalance_shard *s, const char *id)
{
    for (size_t i = 0; i < s->members; i++)
        if (id[0] != '\0' && strcmp(s->member[i].id, id) == 0)
            return true;
    return false;
}

/* --- reading what they say ------------------------------------------------------------ */

char rebalance_slot_mark(const char *nodes, unsigned slot, char id[PR_NODE_ID])
{
    char want[16];
    const int n = snprintf(want, sizeof want, "[%u-", slot);
    id[0] = '\0';
    for (const char *p = strstr(nodes, want); p != NULL; p = strstr(p + 1, want)) {
        const char *mark = p + n; /* ">-id]" or "<-id]" */
        if ((*mark != '>' && *mark != '<') || mark[1] != '-' || strlen(mark) < PR_NODE_ID + 1)
            continue;
        snprintf(id, PR_NODE_ID, "%.40s", mark + 2);
        return *mark;
    }
    return 0;
}

int rebalance_replicas_in_step(const char *info)
{
    if (strstr(info, "role:master") == NULL)
        return -1;
    int n = 0;
    for (const char *p = strstr(info, "state=online"); p != NULL;
         p = strstr(p + 1, "state=online")) {
        const char *lag = strstr(p, "lag="), *end = strchr(p, '\n');
        if (lag == NULL || (end != NULL && lag > end) || atoi(lag + 4) <= MAX_LAG_S)
            n++;
    }
    return n;
}

/* "id" of the node that answered: its line carries the flag myself. */
static bool read_self(const char *nodes, char id[PR_NODE_ID])
{
    const char *at = strstr(nodes, "myself");
    if (at == NULL)
        return false;
    while (at > nodes && at[-1] != '\n')
        at--;
    snprintf(id, PR_NODE_ID, "%.40s", at);
    return strlen(id) == PR_NODE_ID - 1;
}

static const struct pr_node *find(const struct pr_topology *t, const char *id)
{
    for (size_t i = 0; i < t->nodes; i++)
        if (strcmp(t->node[i].id, id) == 0)
            return &t->node[i];
    return NULL;
}

static void learn_replicas(struct rebalance_shard *s, const struct pr_topology *t, const char *self)
{
    for (size_t i = 0; i < t->nodes; i++)
        if (!t->node[i].primary && strcmp(t->node[i].primary_id, self) == 0 && t->node[i].port != 0)
            (void)add_member(s, t->node[i].host, t->node[i].port);
}

static bool read_nodes(struct rebalance_shard *s, struct rebalance_shard_member *m,
                       const char *peer, const char *nodes, unsigned slot)
{
    struct pr_topology t;
    if (!read_self(nodes, m->id) || pr_topology_parse(nodes, m->host, &t, NULL) != PR_OK)
        return false;
    const struct pr_node *self = find(&t, m->id);
    const int owner = t.slot_owner[slot];
    m->there = self != NULL;
    m->primary = m->there && self->primary;
    m->elsewhere = m->there && !self->primary && !rebalance_shard_has(s, self->primary_id);
    m->epoch = m->there ? self->config_epoch : 0;
    const struct pr_node *other = find(&t, peer);
    m->peer_epoch = other == NULL ? UINT64_MAX : other->config_epoch;
    m->owner[0] = '\0';
    if (owner >= 0) {
        snprintf(m->owner, sizeof m->owner, "%s", t.node[owner].id);
        snprintf(m->owner_host, sizeof m->owner_host, "%s", t.node[owner].host);
        m->owner_port = t.node[owner].port;
    }
    m->mark = rebalance_slot_mark(nodes, slot, m->mark_id);
    if (m->primary)
        learn_replicas(s, &t, m->id); /* may add members, at the end: m stays where it is */
    pr_topology_done(&t);
    return m->there;
}

/* --- looking ----------------------------------------------------------------------- */

enum { ASKED = 3 };

static bool ask(struct rebalance_shard *s, struct rebalance_shard_member *m, unsigned slot)
{
    char number[8];
    const int64_t now_us = pr_mono_us();
    if (now_us < m->blind_until_us)
        return false;
    if (m->eye != NULL && pr_redis_broken(m->eye)) {
        pr_redis_close(m->eye);
        m->eye = NULL;
    }
    const enum pr_code rc =
        m->eye != NULL ? PR_OK
                       : pr_redis_open(&m->eye, m->host, m->port, &s->auth, s->timeout_ms, NULL);
    if (rc != PR_OK) {
        m->there = m->primary = false;
        s->refused = s->refused || rc == PR_EDENIED;
        /* A port that refuses costs nothing to ask again; one that is silent does. */
        if (pr_mono_us() - now_us > s->timeout_ms * 500)
            blind(m, now_us);
        return false;
    }
    snprintf(number, sizeof number, "%u", slot);
    /* Keys are counted after the marks were read: what the machine relies on. */
    const char *const nodes[] = { "CLUSTER", "NODES" };
    const char *const count[] = { "CLUSTER", "COUNTKEYSINSLOT", number };
    const char *const info[] = { "INFO", "server", "replication", "stats", "persistence" };
    return pr_redis_append(m->eye, 2, nodes, NULL, NULL) == PR_OK &&
           pr_redis_append(m->eye, 3, count, NULL, NULL) == PR_OK &&
           pr_redis_append(m->eye, (int)PR_COUNT(info), info, NULL, NULL) == PR_OK &&
           pr_redis_flush(m->eye, NULL) == PR_OK;
}

static void hear(struct rebalance_shard *s, struct rebalance_shard_member *m, const char *peer,
                 unsigned slot)
{
    redisReply *r[ASKED] = { NULL };
    bool ok = true;
    for (int i = 0; i < ASKED && ok; i++)
        ok = pr_redis_reply(m->eye, &r[i], NULL) == PR_OK;
    if (!ok)
        blind(m, pr_mono_us());
    ok = ok && r[0]->str != NULL && r[0]->type != REDIS_REPLY_ERROR &&
         r[1]->type == REDIS_REPLY_INTEGER && r[2]->str != NULL;
    m->there = m->primary = false;
    if (ok && read_nodes(s, m, peer, r[0]->str, slot)) {
        m->keys = r[1]->integer;
        m->replicas = rebalance_replicas_in_step(r[2]->str);
        rebalance_copies_forks(r[2]->str, pr_mono_us(), &m->forks);
        rebalance_copies_reign(r[2]->str, &m->reign);
        memcpy(m->reign.node, m->id, sizeof m->reign.node);
        m->reign.open = m->mark != 0;
        m->primary = m->primary && m->replicas >= 0;
    }
    for (int i = 0; i < ASKED; i++)
        if (r[i] != NULL)
            freeReplyObject(r[i]);
}

/* Of two that say they are primaries the one with the later configuration is:
 * the other was replaced and has not heard of it. */
static bool elect(struct rebalance_shard *s)
{
    int best = -1;
    size_t elsewhere = 0;
    for (size_t i = 0; i < s->members; i++) {
        const struct rebalance_shard_member *m = &s->member[i];
        elsewhere += m->there && m->elsewhere;
        if (m->there && m->primary && (best < 0 || m->epoch > s->member[best].epoch))
            best = (int)i;
    }
    s->gone = best < 0 && elsewhere == s->members; /* one that is silent may yet be promoted */
    const int64_t now_us = pr_mono_us();
    if (best < 0)
        return false;
    const struct rebalance_reign *is = &s->member[best].reign;
    const unsigned changes = s->primary < 0 ? 0 : rebalance_reigns_between(&s->reign, is);
    if (changes > 0) {
        s->changes += changes;
        s->promoted_us = s->seen_us > 0 ? s->seen_us : now_us;
    }
    s->restarted = s->restarted || (s->primary >= 0 && rebalance_reign_restarted(&s->reign, is));
    s->primary = best;
    s->reign = *is;
    s->seen_us = now_us;
    return changes > 0;
}

bool rebalance_shards_look(struct rebalance_shard *const shard[2], unsigned slot)
{
    bool asked[2][REBALANCE_SHARD_MEMBERS] = { { false } };
    size_t n[2] = { shard[0]->members, shard[1]->members };
    char peer[2][PR_NODE_ID] = { "", "" }; /* the primary of the other, as far as known */
    for (int k = 0; k < 2; k++)
        if (shard[!k]->primary >= 0)
            snprintf(peer[k], sizeof peer[k], "%s", shard[!k]->member[shard[!k]->primary].id);
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < n[k]; i++)
            asked[k][i] = ask(shard[k], &shard[k]->member[i], slot);
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < n[k]; i++)
            if (asked[k][i])
                hear(shard[k], &shard[k]->member[i], peer[k], slot);
    const bool a = elect(shard[0]), b = elect(shard[1]);
    return a || b;
}

bool rebalance_shard_noted(struct rebalance_shard *s, struct pr_redis *conn, int64_t since_us)
{
    redisReply *got = NULL;
    struct rebalance_shard_member *m = rebalance_shard_primary(s);
    if (m == NULL || pr_redis_command(conn, &got, NULL, "INFO stats persistence") != PR_OK)
        return false;
    PR_AUTO(redisReply) *r = got;
    if (r->str == NULL)
        return false;
    rebalance_copies_forks(r->str, pr_mono_us(), &m->forks);
    return m->forks.none_since_us <= since_us;
}

struct rebalance_slot_side rebalance_shard_side(const struct rebalance_shard *s,
                                                const struct rebalance_shard *o)
{
    struct rebalance_slot_side side = { .gone = s->gone, .keys = -1 };
    if (s->primary < 0 || !s->member[s->primary].there || !s->member[s->primary].primary)
        return side;
    const struct rebalance_shard_member *m = &s->member[s->primary];
    const char *other = o->primary < 0 ? "" : o->member[o->primary].id;
    const bool towards = strcmp(m->mark_id, other) == 0;
    side.there = true;
    side.keys = m->keys;
    if (m->mark == '>')
        side.open = towards ? REBALANCE_SLOT_MIGRATES : REBALANCE_SLOT_MIGRATES_STALE;
    else if (m->mark == '<')
        side.open = towards ? REBALANCE_SLOT_IMPORTS : REBALANCE_SLOT_IMPORTS_STALE;
    if (m->owner[0] == '\0')
        side.map = REBALANCE_SLOT_TO_NOBODY;
    else if (strcmp(m->owner, m->id) == 0)
        side.map = REBALANCE_SLOT_TO_SELF;
    else if (strcmp(m->owner, other) == 0)
        side.map = REBALANCE_SLOT_TO_OTHER;
    else if (rebalance_shard_has(s, m->owner) || rebalance_shard_has(o, m->owner))
        side.map = REBALANCE_SLOT_TO_FORMER;
    else
        side.map = REBALANCE_SLOT_TO_THIRD;
    return side;
}
