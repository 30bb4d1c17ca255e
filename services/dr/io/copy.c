#include "io/copy.h"

#include "io/each.h"
#include "io/quarantine.h"
#include "io/survey.h"

#include "prism/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is on its way at a time: the target works on it while the next is read. */
enum { TIMEOUT_MS = 60000, CHUNK_KEYS = 1000, CHUNK_BYTES = 4 << 20, SEND_BYTES = 256 << 10 };

struct sent { /* a RESTORE whose reply is still to come */
    uint32_t node;
    uint16_t slot;
    bool mortal;
};

struct flow { /* one source's keys, on their way */
    const struct dr_copy_of *of;
    struct pr_redis *from;
    struct pr_cluster *to;
    const struct pr_topology *topology;
    struct pr_redis **node;       /* [topology->nodes] open connections */
    struct sent sent[CHUNK_KEYS]; /* [owed] in the order of sending */
    size_t owed, chunk;           /* chunk: keys of the next */
    size_t unsent;                /* bytes, at most */
    bool mortal; /* the source has keys with a time to live: they are asked for it */
    struct dr_copied *sum;
};

static enum pr_code open_flow(struct flow *f, struct pr_err *err)
{
    enum pr_code rc = pr_cluster_open(&f->to, f->of->seeds, f->of->auth, TIMEOUT_MS, err);
    if (rc != PR_OK)
        return rc;
    f->topology = pr_cluster_topology(f->to);
    f->node = calloc(f->topology->nodes, sizeof(struct pr_redis *));
    f->chunk = CHUNK_KEYS / 10;
    if (f->node == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu nodes", f->topology->nodes);
    return PR_OK;
}

static void close_flow(struct flow *f)
{
    free(f->node);
    pr_cluster_close(f->to);
}

static enum pr_code node_of(struct flow *f, uint16_t slot, size_t *node, struct pr_err *err)
{
    const int owner = f->topology->slot_owner[slot];
    if (owner < 0)
        return pr_fail(err, PR_ECONFLICT, "slot %u of the target has no owner", slot);
    *node = (size_t)owner;
    return f->node[owner] != NULL
               ? PR_OK
               : pr_cluster_conn(f->to, f->topology->node[owner].id, &f->node[owner], err);
}

/* --- the target ---------------------------------------------------------------------------------
 */

/* A key that SCAN told twice was there at the second time; had anybody else made it, the number
 * of keys would be wrong at the end. */
static enum pr_code judge_reply(struct flow *f, const struct sent *to, const redisReply *r,
                                struct pr_err *err)
{
    if (r->type != REDIS_REPLY_ERROR)
        return PR_OK;
    if (strncmp(r->str, "BUSYKEY", 7) == 0) {
        f->sum->keys--;
        f->sum->slot[to->slot]--;
        f->sum->mortal[to->slot] -= to->mortal;
        return PR_OK;
    }
    if (strncmp(r->str, "MOVED", 5) == 0 || strncmp(r->str, "ASK", 3) == 0)
        return pr_fail(err, PR_ECONFLICT, "the target's slots move: %s", r->str);
    return pr_redis_reply_code(r, err);
}

static enum pr_code take_owed(struct flow *f, struct pr_err *err)
{
    for (size_t i = 0; i < f->owed; i++) {
        const struct sent *to = &f->sent[i];
        const struct pr_node *n = &f->topology->node[to->node];
        PR_AUTO(redisReply) *reply = NULL;
        enum pr_code rc = pr_redis_reply(f->node[to->node], &reply, err);
        if (rc == PR_OK)
            rc = judge_reply(f, to, reply, err);
        if (rc != PR_OK)
            return pr_wrap(err, rc, "copying to %s:%d", n->host, n->port);
    }
    f->owed = 0;
    return PR_OK;
}

static enum pr_code send_all(struct flow *f, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < f->topology->nodes && rc == PR_OK; i++)
        if (f->node[i] != NULL)
            rc = pr_redis_flush(f->node[i], err);
    f->unsent = 0;
    return rc;
}

static enum pr_code put(struct flow *f, const redisReply *key, const redisReply *dump,
                        const redisReply *expires, struct pr_err *err)
{
    char at[24];
    const uint16_t slot = pr_slot_of_key(key->str, key->len);
    const bool mortal = expires != NULL && expires->integer >= 0;
    const int n = snprintf(at, sizeof at, "%lld", mortal ? expires->integer : 0LL);
    const char *argv[] = { "RESTORE", key->str, at, dump->str, "ABSTTL" };
    const size_t len[] = { 7, key->len, (size_t)n, dump->len, 6 };
    size_t node = 0;
    enum pr_code rc = node_of(f, slot, &node, err);
    if (rc == PR_OK)
        rc = pr_redis_append(f->node[node], mortal ? 5 : 4, argv, len, err);
    if (rc != PR_OK)
        return rc;
    f->sent[f->owed++] = (struct sent){ (uint32_t)node, slot, mortal };
    f->sum->keys++;
    f->sum->bytes += key->len + dump->len;
    f->sum->slot[slot]++;
    f->sum->mortal[slot] += mortal;
    f->unsent += key->len + dump->len;
    return f->unsent < SEND_BYTES ? PR_OK : send_all(f, err);
}

/* --- a page -------------------------------------------------------------------------------------
 */

struct chunk {
    redisReply *const *key; /* [n] */
    size_t n;
    redisReply *expires[CHUNK_KEYS];
};

static enum pr_code ask(struct flow *f, const char *command, size_t n, const struct chunk *c,
                        struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < c->n && rc == PR_OK; i++) {
        const char *argv[] = { command, c->key[i]->str };
        const size_t len[] = { n, c->key[i]->len };
        rc = pr_redis_append(f->from, 2, argv, len, err);
    }
    return rc;
}

static enum pr_code move_chunk(struct flow *f, struct chunk *c, struct pr_err *err)
{
    const uint64_t before = f->sum->bytes;
    enum pr_code rc = f->mortal ? ask(f, "PEXPIRETIME", 11, c, err) : PR_OK;
    if (rc == PR_OK)
        rc = ask(f, "DUMP", 4, c, err);
    if (rc == PR_OK)
        rc = pr_redis_flush(f->from, err); /* it works while we wait for the target */
    for (size_t i = 0; i < c->n && rc == PR_OK && f->mortal; i++)
        rc = pr_redis_reply(f->from, &c->expires[i], err);
    if (rc == PR_OK)
        rc = take_owed(f, err); /* of the chunk before */
    for (size_t i = 0; i < c->n && rc == PR_OK; i++) {
        PR_AUTO(redisReply) *dump = NULL;
        rc = pr_redis_reply(f->from, &dump, err);
        if (rc == PR_OK)
            rc = pr_redis_reply_code(dump, err);
        if (rc == PR_OK && dump->type == REDIS_REPLY_STRING) /* nil: its time was up */
            rc = put(f, c->key[i], dump, c->expires[i], err);
    }
    if (rc == PR_OK)
        rc = send_all(f, err);
    const uint64_t each = (f->sum->bytes - before) / c->n + 1;
    f->chunk = each * CHUNK_KEYS <= CHUNK_BYTES ? CHUNK_KEYS : CHUNK_BYTES / (size_t)each + 1;
    return rc;
}

static enum pr_code page(void *ctx, const redisReply *keys, struct pr_err *err)
{
    struct flow *f = ctx;
    enum pr_code rc = PR_OK;
    for (size_t at = 0, n; at < keys->elements && rc == PR_OK; at += n) {
        n = keys->elements - at < f->chunk ? keys->elements - at : f->chunk;
        struct chunk c = { .key = keys->element + at, .n = n };
        rc = move_chunk(f, &c, err);
        for (size_t i = 0; i < n; i++)
            if (c.expires[i] != NULL)
                freeReplyObject(c.expires[i]);
    }
    if (f->of->progress != NULL)
        atomic_fetch_add(f->of->progress, keys->elements);
    return rc;
}

/* On the connections that wrote: others have nothing to wait for. */
static enum pr_code wait_replicas(struct flow *f, struct pr_err *err)
{
    for (size_t i = 0; i < f->topology->nodes; i++) {
        const struct pr_node *n = &f->topology->node[i];
        PR_AUTO(redisReply) *reply = NULL;
        if (f->node[i] == NULL || n->replicas == 0)
            continue;
        pr_redis_set_timeout(f->node[i], f->of->wait_ms + TIMEOUT_MS);
        const enum pr_code rc =
            pr_redis_command(f->node[i], &reply, err, "WAIT %d %d", n->replicas, f->of->wait_ms);
        if (rc != PR_OK)
            return rc;
        if (reply->integer < n->replicas)
            return pr_fail(err, PR_ETIMEOUT,
                           "%lld of the %d replicas of %s:%d have what was restored, after %d ms",
                           reply->integer, n->replicas, n->host, n->port, f->of->wait_ms);
    }
    return PR_OK;
}

static enum pr_code copy_source(void *ctx, struct pr_s3 *s3, size_t i, struct pr_err *err)
{
    struct flow *f = (struct flow *)ctx + i;
    (void)s3;
    enum pr_code rc = open_flow(f, err);
    if (rc == PR_OK)
        rc = dr_quarantine_mortal(f->from, &f->mortal, err);
    if (rc == PR_OK)
        rc = dr_scan(f->from, f->of->cancel, page, f, err);
    if (rc == PR_OK)
        rc = take_owed(f, err);
    if (rc == PR_OK)
        rc = wait_replicas(f, err);
    close_flow(f);
    return rc;
}

enum pr_code dr_copy_keys(const struct dr_copy_of *of, struct dr_copied *out, struct pr_err *err)
{
    struct flow *flow = calloc(of->sources + 1, sizeof *flow);
    struct dr_copied *sum = calloc(of->sources + 1, sizeof *sum);
    enum pr_code rc = PR_OK;
    memset(out, 0, sizeof *out);
    if (flow == NULL || sum == NULL)
        rc = pr_fail(err, PR_ENOMEM, "no memory for copying");
    for (size_t i = 0; i < of->sources && rc == PR_OK; i++)
        flow[i] = (struct flow){ .of = of, .from = of->from[i], .sum = &sum[i] };
    if (rc == PR_OK)
        rc = dr_each(NULL, NULL, of->threads, of->sources, copy_source, flow, err);
    for (size_t i = 0; i < of->sources && rc == PR_OK; i++) {
        out->keys += sum[i].keys;
        out->bytes += sum[i].bytes;
        for (size_t s = 0; s < DR_SLOTS; s++) {
            out->slot[s] += sum[i].slot[s];
            out->mortal[s] += sum[i].mortal[s];
        }
    }
    free(flow);
    free(sum);
    return rc;
}
