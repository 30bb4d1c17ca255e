#include "slots_cluster.h"

#include "slots_keys.h"

#include "t.h"

#include "prism/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETTLE_MS = 30000, COUNT_MS = 30000 };

/* --- one node ----------------------------------------------------------------------- */

redisContext *slots_dial(int port)
{
    const struct timeval soon = { 0, 500000 };
    redisContext *c = redisConnectWithTimeout("127.0.0.1", port, soon);
    if (c == NULL || c->err != 0) {
        redisFree(c);
        return NULL;
    }
    (void)redisSetTimeout(c, soon);
    redisReply *r = redisCommand(c, "AUTH %s %s", it_env("IT_REDIS_ADMIN_USER"),
                                 it_env("IT_REDIS_ADMIN_PASSWORD"));
    const bool in = r != NULL && r->type == REDIS_REPLY_STATUS;
    if (r != NULL)
        freeReplyObject(r);
    if (in)
        return c;
    redisFree(c);
    return NULL;
}

static redisReply *ask(int port, const char *format, va_list words)
{
    redisContext *c = slots_dial(port);
    if (c == NULL)
        return NULL;
    redisReply *r = redisvCommand(c, format, words);
    redisFree(c);
    return r;
}

bool slots_ask(int port, char *out, size_t n, const char *format, ...)
{
    va_list words;
    va_start(words, format);
    redisReply *r = ask(port, format, words);
    va_end(words);
    out[0] = '\0';
    if (r == NULL)
        return false;
    if (r->type == REDIS_REPLY_INTEGER)
        snprintf(out, n, "%lld", r->integer);
    else if (r->str != NULL)
        snprintf(out, n, "%s", r->str);
    freeReplyObject(r);
    return true;
}

bool slots_say(int port, const char *format, ...)
{
    va_list words;
    va_start(words, format);
    redisReply *r = ask(port, format, words);
    va_end(words);
    const bool ok = r != NULL && (r->type == REDIS_REPLY_STATUS || r->type == REDIS_REPLY_INTEGER);
    if (r != NULL)
        freeReplyObject(r);
    return ok;
}

bool slots_topology(int port, struct pr_topology *out)
{
    redisContext *c = slots_dial(port);
    struct pr_err err;
    if (c == NULL)
        return false;
    redisReply *r = redisCommand(c, "CLUSTER NODES");
    redisFree(c);
    const bool ok =
        r != NULL && r->str != NULL && pr_topology_parse(r->str, "127.0.0.1", out, &err) == PR_OK;
    if (r != NULL)
        freeReplyObject(r);
    return ok;
}

int slots_open_slot(redisContext *c, bool migrating)
{
    redisReply *r = redisCommand(c, "CLUSTER NODES");
    int slot = -1;
    if (r == NULL || r->str == NULL)
        slot = -2;
    else
        for (const char *p = r->str; slot < 0 && (p = strstr(p, " [")) != NULL; p++) {
            char *end = NULL;
            const long s = strtol(p + 2, &end, 10);
            if (strncmp(end, migrating ? "->-" : "-<-", 3) == 0)
                slot = (int)s;
        }
    if (r != NULL)
        freeReplyObject(r);
    return slot;
}

long slots_keys_in(redisContext *c, int slot)
{
    redisReply *r = redisCommand(c, "CLUSTER COUNTKEYSINSLOT %d", slot);
    const long n = r != NULL && r->type == REDIS_REPLY_INTEGER ? (long)r->integer : -1;
    if (r != NULL)
        freeReplyObject(r);
    return n;
}

/* --- shards ----------------------------------------------------------------------------- */

int slots_shard_of(int port)
{
    int all[IT_MAX_NODES];
    const size_t n = it_redis_ports(all);
    for (size_t i = 0; i < n; i++)
        if (all[i] == port)
            return (int)(i % SLOTS_SHARDS);
    fail_msg("no node has port %d", port);
    return 0;
}

void slots_server_name(int port, char name[32])
{
    snprintf(name, 32, "redis-%d", port);
}

void slots_shards(struct slots_shard out[SLOTS_SHARDS])
{
    int all[IT_MAX_NODES];
    char text[256];
    assert_int_equal(it_redis_ports(all), SLOTS_SHARDS * SLOTS_SHARD_NODES);
    for (int s = 0; s < SLOTS_SHARDS; s++) {
        out[s] = (struct slots_shard){ .primary = 0 };
        for (int k = 0; k < SLOTS_SHARD_NODES; k++) {
            const int port = all[s + k * SLOTS_SHARDS];
            out[s].port[k] = port;
            /* A deposed one that has not heard of it yet has no replica. */
            if (slots_ask(port, text, sizeof text, "INFO replication") &&
                strstr(text, "role:master") != NULL &&
                (out[s].primary == 0 || strstr(text, "connected_slaves:0") == NULL)) {
                out[s].primary = port;
                (void)slots_ask(port, out[s].id, sizeof out[s].id, "CLUSTER MYID");
            }
        }
    }
}

struct awaited_primary {
    int shard, port;
};

static bool is_primary(void *ctx)
{
    const struct awaited_primary *a = ctx;
    struct slots_shard shard[SLOTS_SHARDS];
    slots_shards(shard);
    return shard[a->shard].primary == a->port;
}

void slots_roles_home(void)
{
    struct slots_shard shard[SLOTS_SHARDS];
    it_cluster_await(60000);
    slots_shards(shard);
    for (int s = 0; s < SLOTS_SHARDS; s++) {
        struct awaited_primary a = { s, shard[s].port[0] };
        int tries = 0;
        while (!is_primary(&a)) { /* soon after another fail-over it may time out, in 5 s */
            assert_true(tries++ < 6);
            assert_true(slots_say(a.port, "CLUSTER FAILOVER"));
            (void)it_await(is_primary, &a, 6000);
        }
    }
    it_cluster_await(60000);
}

void slots_close_all(void)
{
    struct slots_shard shard[SLOTS_SHARDS];
    slots_shards(shard);
    for (int s = 0; s < SLOTS_SHARDS; s++) {
        redisContext *c = it_redis_admin(shard[s].primary);
        for (int slot, way = 0; way < 2; way++)
            while ((slot = slots_open_slot(c, way == 0)) >= 0)
                freeReplyObject(redisCommand(c, "CLUSTER SETSLOT %d STABLE", slot));
        redisFree(c);
    }
}

/* --- the audit ---------------------------------------------------------------------------- */

struct audit {
    char *what;
    size_t n;
    int replica, primary;                                     /* that differ; ports */
    int owner[PR_SLOTS];                                      /* port */
    char roles[SLOTS_SHARDS * SLOTS_SHARD_NODES][PR_NODE_ID]; /* its primary's id; "": is one */
};

static bool same_roles(struct audit *a, int port, const struct pr_topology *t, bool first)
{
    bool ok = t->nodes == PR_COUNT(a->roles);
    for (size_t i = 0; i < t->nodes && ok; i++) { /* sorted by id */
        ok = first || strcmp(a->roles[i], t->node[i].primary_id) == 0;
        snprintf(a->roles[i], sizeof a->roles[i], "%s", t->node[i].primary_id);
    }
    if (!ok)
        snprintf(a->what, a->n, "node %d does not know who is whose replica", port);
    return ok;
}

static bool agrees(struct audit *a, int port, bool first)
{
    struct pr_topology t;
    if (!slots_topology(port, &t)) {
        snprintf(a->what, a->n, "node %d does not answer", port);
        return false;
    }
    bool ok = !t.open_slots;
    if (!ok)
        snprintf(a->what, a->n, "node %d has an open slot", port);
    for (int s = 0; s < PR_SLOTS && ok; s++) {
        const int owner = t.slot_owner[s] < 0 ? 0 : t.node[t.slot_owner[s]].port;
        ok = owner != 0 && (first || owner == a->owner[s]);
        if (!ok)
            snprintf(a->what, a->n, "slot %d is %d's as node %d says, %d's as others say", s, owner,
                     port, first ? 0 : a->owner[s]);
        a->owner[s] = owner;
    }
    ok = ok && same_roles(a, port, &t, first);
    pr_topology_done(&t);
    return ok;
}

static bool settled(void *ctx)
{
    struct audit *a = ctx;
    int port[IT_MAX_NODES];
    const size_t n = it_redis_ports(port);
    for (size_t i = 0; i < n; i++)
        if (!agrees(a, port[i], i == 0))
            return false;
    snprintf(a->what, a->n, "a node is not in step");
    return it_cluster_healthy();
}

void slots_agree(void)
{
    char what[256];
    struct audit a = { .what = what, .n = sizeof what };
    if (!it_await(settled, &a, SETTLE_MS))
        fail_msg("%s", what);
}

static bool at_home(struct audit *a, int port, const redisReply *keys)
{
    for (size_t i = 0; i < keys->elements; i++) {
        const redisReply *k = keys->element[i];
        const uint16_t slot = pr_slot_of_key(k->str, k->len);
        if (a->owner[slot] != port) {
            snprintf(a->what, a->n, "%.80s of slot %u, which is %d's, is also on %d", k->str, slot,
                     a->owner[slot], port);
            return false;
        }
    }
    return true;
}

/* No key lies where its slot is not; so none is in two shards. */
static bool scan(struct audit *a, int port)
{
    redisContext *c = it_redis_admin(port);
    char cursor[32] = "0";
    bool ok = true;
    do {
        redisReply *r = redisCommand(c, "SCAN %s COUNT 2000", cursor);
        ok = r != NULL && r->type == REDIS_REPLY_ARRAY && at_home(a, port, r->element[1]);
        if (r != NULL && r->type == REDIS_REPLY_ARRAY)
            snprintf(cursor, sizeof cursor, "%s", r->element[0]->str);
        if (r != NULL)
            freeReplyObject(r);
    } while (ok && strcmp(cursor, "0") != 0);
    redisFree(c);
    return ok;
}

/* The first key of one node that the other lacks, with how long it has to live. */
static bool lacks(struct audit *a, int of, int at)
{
    redisContext *c = it_redis_admin(of), *other = it_redis_admin(at);
    char cursor[32] = "0";
    bool found = false;
    freeReplyObject(redisCommand(other, "READONLY"));
    do {
        redisReply *r = redisCommand(c, "SCAN %s COUNT 2000", cursor);
        const redisReply *keys = r != NULL && r->elements == 2 ? r->element[1] : NULL;
        for (size_t i = 0; keys != NULL && i < keys->elements && !found; i++) {
            const redisReply *k = keys->element[i];
            redisReply *there = redisCommand(other, "EXISTS %b", k->str, k->len);
            found = there != NULL && there->integer == 0;
            if (found)
                snprintf(a->what, a->n, "%d has not %.80s of %d%s%.80s", at, k->str, of,
                         there->str == NULL ? "" : ": ", there->str == NULL ? "" : there->str);
            if (there != NULL)
                freeReplyObject(there);
        }
        snprintf(cursor, sizeof cursor, "%s", keys == NULL ? "0" : r->element[0]->str);
        freeReplyObject(r);
    } while (!found && strcmp(cursor, "0") != 0);
    redisFree(c);
    redisFree(other);
    return found;
}

/* Nothing is deleted, so there are as many keys as were loaded; and each replica
 * has what its primary has. */
static bool counted(void *ctx)
{
    struct audit *a = ctx;
    struct slots_shard shard[SLOTS_SHARDS];
    const long want = SLOTS_KEYS + (long)SLOTS_HOT * SLOTS_BALLAST + SLOTS_REST;
    char mine[32], theirs[32];
    long keys = 0;
    slots_shards(shard);
    a->replica = a->primary = 0;
    for (int s = 0; s < SLOTS_SHARDS; s++) {
        if (!slots_ask(shard[s].primary, mine, sizeof mine, "DBSIZE"))
            return false;
        keys += strtol(mine, NULL, 10);
        for (int k = 0; k < SLOTS_SHARD_NODES; k++) {
            const bool told = slots_ask(shard[s].port[k], theirs, sizeof theirs, "DBSIZE");
            if (told && strcmp(mine, theirs) == 0)
                continue;
            snprintf(a->what, a->n, "%d says %s keys, its primary %d %s", shard[s].port[k],
                     told ? theirs : "nothing of its", shard[s].primary, mine);
            a->replica = told ? shard[s].port[k] : 0;
            a->primary = shard[s].primary;
            return false;
        }
    }
    snprintf(a->what, a->n, "%ld keys, not %ld", keys, want);
    return keys == want;
}

bool slots_audit(char *what, size_t n)
{
    static struct audit a;
    struct slots_shard shard[SLOTS_SHARDS];
    a = (struct audit){ .what = what, .n = n };
    if (!it_await(settled, &a, SETTLE_MS))
        return false;
    slots_shards(shard);
    for (int s = 0; s < SLOTS_SHARDS; s++)
        if (!scan(&a, shard[s].primary))
            return false;
    const bool ok = it_await(counted, &a, COUNT_MS);
    if (!ok && a.replica != 0 && !lacks(&a, a.replica, a.primary))
        (void)lacks(&a, a.primary, a.replica);
    return ok;
}
