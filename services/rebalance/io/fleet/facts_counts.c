#include "io/fleet/facts_counts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 16384 };

static bool wanted(const struct counted *k, unsigned slot)
{
    return k->slots == NULL || ((unsigned)k->slots[slot / 8] >> (slot % 8) & 1u) != 0;
}

static enum pr_code named(struct pr_cluster *c, const char *id, enum pr_code rc, struct pr_err *err)
{
    const struct pr_topology *t = pr_cluster_topology(c);
    for (size_t i = 0; i < t->nodes; i++)
        if (strcmp(t->node[i].id, id) == 0)
            return pr_wrap(err, rc, "node %s:%d", t->node[i].host, t->node[i].port);
    return rc;
}

static enum pr_code ask(struct pr_cluster *c, const struct counted *k, struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    enum pr_code rc = pr_cluster_conn(c, k->redis_id, &conn, err);
    for (unsigned s = 0; s < SLOTS && rc == PR_OK; s++) {
        char text[8];
        const char *const argv[] = { "CLUSTER", "COUNTKEYSINSLOT", text };
        if (!wanted(k, s))
            continue;
        snprintf(text, sizeof text, "%u", s);
        rc = pr_redis_append(conn, 3, argv, NULL, err);
    }
    return rc == PR_OK ? pr_redis_flush(conn, err) : rc;
}

static enum pr_code hear(struct pr_cluster *c, const struct counted *k, struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    enum pr_code rc = pr_cluster_conn(c, k->redis_id, &conn, err);
    for (unsigned s = 0; s < SLOTS && rc == PR_OK; s++) {
        redisReply *got = NULL;
        if (!wanted(k, s))
            continue;
        if ((rc = pr_redis_reply(conn, &got, err)) != PR_OK)
            break;
        PR_AUTO(redisReply) *r = got;
        rc = pr_redis_reply_code(r, err);
        if (rc == PR_OK)
            k->keys[s] = (uint32_t)r->integer;
    }
    return rc;
}

enum pr_code facts_count_keys(struct pr_cluster *c, const struct counted *node, size_t n,
                              struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    size_t asked = 0;
    for (; asked < n && rc == PR_OK; asked++)
        if ((rc = ask(c, &node[asked], err)) != PR_OK)
            rc = named(c, node[asked].redis_id, rc, err);
    for (size_t i = 0; i < asked && rc == PR_OK; i++)
        if ((rc = hear(c, &node[i], err)) != PR_OK)
            rc = named(c, node[i].redis_id, rc, err);
    for (size_t i = 0; i < asked && rc != PR_OK; i++)
        pr_cluster_drop(c, node[i].redis_id); /* replies may be under way */
    return rc;
}

/* [[slot, [name, value, ...]], ...] */
bool facts_read_slot_stats(const redisReply *r, struct slot_stat *stat)
{
    if (r->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t i = 0; i < r->elements; i++) {
        const redisReply *row = r->element[i];
        if (row->type != REDIS_REPLY_ARRAY || row->elements != 2 ||
            row->element[0]->type != REDIS_REPLY_INTEGER || row->element[0]->integer < 0 ||
            row->element[0]->integer >= SLOTS || row->element[1]->type != REDIS_REPLY_ARRAY)
            return false;
        struct slot_stat *s = &stat[row->element[0]->integer];
        const redisReply *field = row->element[1];
        for (size_t k = 0; k + 1 < field->elements; k += 2) {
            const char *name = field->element[k]->str;
            const double value = (double)field->element[k + 1]->integer;
            if (name != NULL && strcmp(name, "cpu-usec") == 0)
                s->cpu_us = value;
            else if (name != NULL && strcmp(name, "memory-bytes") == 0)
                s->memory_bytes = value;
        }
    }
    return true;
}
