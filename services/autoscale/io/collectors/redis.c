#include "io/collectors/redis.h"

#include "prism/io/clock.h"
#include "prism/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 64 }; /* threads, which mostly wait */

struct autoscale_redis_past {
    char id[PR_NODE_ID];
    struct autoscale_redis_info info;
};

struct answer {
    const struct pr_node *node;
    struct autoscale_redis_info info;
    bool answered;
    struct pr_err err;
};

struct round {
    const struct autoscale_redis *from;
    struct answer *answer; /* one a node */
};

void autoscale_redis_forget(struct autoscale_redis_memory *m)
{
    pr_cluster_close(m->cluster);
    free(m->past);
    *m = (struct autoscale_redis_memory){ 0 };
}

/* Who is there, by a node that answered before if it still does: a seed may hang. */
static enum pr_code look(const struct autoscale_redis *from, struct autoscale_redis_memory *m,
                         struct pr_err *err)
{
    enum pr_code rc = m->cluster == NULL ? pr_cluster_open(&m->cluster, from->seeds, &from->auth,
                                                           from->timeout_ms, err)
                                         : pr_cluster_refresh(m->cluster, err);
    if (rc == PR_OK)
        return rc;
    pr_cluster_close(m->cluster);
    m->cluster = NULL;
    return pr_wrap(err, rc, "Redis");
}

/* --- one node ------------------------------------------------------------ */

static enum pr_code read_info(struct pr_redis *conn, struct answer *a)
{
    PR_AUTO(redisReply) *r = NULL;
    enum pr_code rc = pr_redis_command(conn, &r, &a->err, "INFO");
    if (rc != PR_OK)
        return rc;
    if (r->str == NULL)
        return pr_fail(&a->err, PR_EDATA, "INFO answered no text");
    return autoscale_redis_info_parse(r->str, pr_mono_us(), &a->info, &a->err);
}

/* A connection of its own each time: connecting is cheap, and one that is kept may be half
 * dead. What connecting takes is taken off what the answer may. */
static void ask(const struct autoscale_redis *from, struct answer *a)
{
    const struct pr_node *n = a->node;
    const int64_t begun_us = pr_mono_us();
    struct pr_redis *conn = NULL;
    if (n->failed) {
        (void)pr_fail(&a->err, PR_EUNAVAIL, "the cluster calls it failed");
        return;
    }
    enum pr_code rc = n->port == 0 ? pr_fail(&a->err, PR_EUNAVAIL, "its address is not known")
                                   : pr_redis_open(&conn, n->host, n->port, &from->auth,
                                                   from->timeout_ms / 2 + 1, &a->err);
    if (rc == PR_OK) {
        const int left_ms = from->timeout_ms - (int)((pr_mono_us() - begun_us) / 1000);
        pr_redis_set_timeout(conn, left_ms > 1 ? left_ms : 1);
        rc = read_info(conn, a);
    }
    a->answered = rc == PR_OK;
    pr_redis_close(conn);
}

static void ask_some(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    const struct round *r = ctx;
    (void)worker;
    for (uint64_t i = begin; i < end; i++)
        ask(r->from, &r->answer[i]);
}

static enum pr_code ask_all(const struct autoscale_redis *from, struct answer *answer, size_t n,
                            struct pr_err *err)
{
    struct round r = { from, answer };
    struct pr_pool *pool = NULL;
    enum pr_code rc = pr_pool_new(n < AT_ONCE ? (unsigned)n : AT_ONCE, &pool, err);
    if (rc != PR_OK)
        return rc;
    pr_pool_for(pool, n, 1, ask_some, &r);
    pr_pool_free(pool);
    return PR_OK;
}

/* --- readings ------------------------------------------------------------ */

static int by_past_id(const void *key, const void *past)
{
    return strcmp(key, ((const struct autoscale_redis_past *)past)->id);
}

static int by_redis_id(const void *key, const void *name)
{
    return strcmp(key, ((const struct autoscale_redis_name *)name)->redis_id);
}

static struct autoscale_reading named(const struct autoscale_redis *from, const struct pr_node *n,
                                      int64_t now_ms)
{
    struct autoscale_reading r = autoscale_reading_unknown();
    const struct autoscale_redis_name *known =
        from->names == 0 ? NULL
                         : bsearch(n->id, from->name, from->names, sizeof *from->name, by_redis_id);
    r.member = known != NULL ? known->id : n->id;
    r.zone = known != NULL ? known->zone : "";
    r.source = "redis";
    r.at_ms = r.received_ms = now_ms;
    return r;
}

static enum pr_code add_reading(const struct autoscale_redis *from, const struct answer *a,
                                const struct autoscale_redis_memory *memory, int64_t now_ms,
                                struct autoscale_readings *out, struct pr_err *err)
{
    struct autoscale_reading r = named(from, a->node, now_ms);
    char why[sizeof a->err.text + 80];
    struct autoscale_redis_load load;
    if (a->answered) {
        const struct autoscale_redis_past *past =
            memory->n == 0
                ? NULL
                : bsearch(a->node->id, memory->past, memory->n, sizeof *memory->past, by_past_id);
        autoscale_redis_load(past == NULL ? NULL : &past->info, &a->info, &from->host, &load);
        r.value[AUTOSCALE_CPU] = load.cpu_pct;
        r.value[AUTOSCALE_MEMORY] = load.memory_pct;
        r.value[AUTOSCALE_NETWORK] = load.network_bps;
        r.data_bytes = load.data_bytes;
        r.why = load.why;
    } else {
        (void)snprintf(why, sizeof why, "%s:%d: %s", a->node->host, a->node->port, a->err.text);
        r.why = why;
    }
    return autoscale_readings_add(out, &r, err);
}

/* What the next call compares with: this answer, or an older one of who is silent now.
 * Nodes that left the cluster are forgotten. */
static enum pr_code remember(struct autoscale_redis_memory *memory, const struct answer *answer,
                             size_t n, struct pr_err *err)
{
    struct autoscale_redis_past *past = calloc(n + 1, sizeof *past);
    size_t kept = 0;
    if (past == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu Redis nodes", n);
    for (size_t i = 0; i < n; i++) { /* a topology is sorted by id */
        const struct autoscale_redis_past *old =
            memory->n == 0 ? NULL
                           : bsearch(answer[i].node->id, memory->past, memory->n,
                                     sizeof *memory->past, by_past_id);
        if (!answer[i].answered && old == NULL)
            continue;
        memcpy(past[kept].id, answer[i].node->id, sizeof past[kept].id);
        past[kept++].info = answer[i].answered ? answer[i].info : old->info;
    }
    free(memory->past);
    memory->past = past;
    memory->n = kept;
    return PR_OK;
}

enum pr_code autoscale_collect_redis(const struct autoscale_redis *from,
                                     const struct autoscale_span *when,
                                     struct autoscale_redis_memory *memory,
                                     struct autoscale_readings *out, struct pr_err *err)
{
    enum pr_code rc = look(from, memory, err);
    if (rc != PR_OK)
        return rc;
    const struct pr_topology *t = pr_cluster_topology(memory->cluster);
    const size_t before = out->n;
    struct answer *answer = pr_arena_alloc(out->arena, (t->nodes + 1) * sizeof *answer);
    if (answer == NULL)
        rc = pr_fail(err, PR_ENOMEM, "no memory for %zu Redis nodes", t->nodes);
    for (size_t i = 0; i < t->nodes && rc == PR_OK; i++)
        answer[i].node = &t->node[i];
    if (rc == PR_OK)
        rc = ask_all(from, answer, t->nodes, err);
    for (size_t i = 0; i < t->nodes && rc == PR_OK; i++)
        rc = add_reading(from, &answer[i], memory, when->now_ms, out, err);
    if (rc == PR_OK)
        rc = remember(memory, answer, t->nodes, err);
    if (rc != PR_OK)
        out->n = before;
    return rc;
}
