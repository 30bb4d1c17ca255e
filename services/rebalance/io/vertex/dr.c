#include "io/vertex/dr.h"

#include "prism/io/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLID = 41, LOOK_US = 100000, SAY_US = 2000000, AGAIN_US = 10000000 };

struct far { /* a destination */
    struct rebalance_link *link;
    char replid[REPLID]; /* "" not asked yet */
    uint64_t offset;
    bool durable;
};

static bool would_fence(const struct rebalance_mover *v)
{
    return !v->over && mover_next(&v->m).kind == MOVER_FENCE;
}

static enum pr_code ships(struct rebalance_worker *w, bool *yes, struct pr_err *err)
{
    PGresult *got = NULL;
    const enum pr_code rc =
        pr_db_exec(w->db, "SELECT EXISTS (SELECT 1 FROM dr_groups)", NULL, 0, &got, err);
    PR_AUTO(PGresult) *res = got;
    *yes = rc == PR_OK && pr_cell_bool(res, 0, 0);
    return rc;
}

/* Every destination once. *n 0: nothing would be fenced. */
static struct far *destinations(struct rebalance_worker *w, size_t *n)
{
    struct far *far = calloc(w->links.n + 1, sizeof *far);
    *n = 0;
    for (size_t i = 0; far != NULL && i < w->batch.vertices; i++) {
        const struct rebalance_mover *v = &w->mover[i];
        if (!would_fence(v))
            continue;
        const int16_t at = w->links.of_slot[w->run->slot_of[v->m.d]];
        size_t k = 0;
        while (at >= 0 && k < *n && far[k].link != &w->links.link[at])
            k++;
        if (at >= 0 && k == *n) /* without an owner the wave itself will say so */
            far[(*n)++].link = &w->links.link[at];
    }
    return far;
}

/* Where its history is now. */
static enum pr_code ask_node(struct rebalance_worker *w, struct far *f, struct pr_err *err)
{
    static const char ID[] = "master_replid:", OFFSET[] = "master_repl_offset:";
    redisReply *got = NULL;
    enum pr_code rc = rebalance_link_connect(&w->links, f->link, err);
    if (rc == PR_OK)
        rc = pr_redis_command(f->link->conn, &got, err, "INFO replication");
    PR_AUTO(redisReply) *r = got;
    const char *id = rc == PR_OK && r->str != NULL ? strstr(r->str, ID) : NULL;
    const char *at = id != NULL ? strstr(r->str, OFFSET) : NULL;
    if (rc == PR_OK && (at == NULL || strspn(id + sizeof ID - 1, "0123456789abcdef") != REPLID - 1))
        rc = pr_fail(err, PR_EUNAVAIL, "node %s does not say where it is", f->link->name);
    if (rc != PR_OK)
        return rc;
    memcpy(f->replid, id + sizeof ID - 1, REPLID - 1);
    f->offset = strtoull(at + sizeof OFFSET - 1, NULL, 10);
    return PR_OK;
}

/* What the rows say is durable was, when they were written under the lease of its group. */
static enum pr_code ask_rows(struct rebalance_worker *w, struct far *f, struct pr_err *err)
{
    PGresult *got = NULL;
    const enum pr_code rc =
        pr_db_exec(w->db,
                   "SELECT d.replid = $2, d.durable_offset, d.error, "
                   "coalesce((SELECT g.error FROM dr_groups g WHERE g.id = d.group_id), '') "
                   "FROM dr_shards d JOIN nodes n ON n.shard_id = d.shard_id "
                   "WHERE n.redis_id = $1 AND d.generation_epoch > 0",
                   PR_ARGS(pr_text(f->link->node_id), pr_text(f->replid)), &got, err);
    PR_AUTO(PGresult) *res = got;
    if (rc != PR_OK)
        return rc;
    if (PQntuples(res) == 0)
        return pr_fail(err, PR_EUNAVAIL, "dr: the shard of node %s has no base in the bucket",
                       f->link->name);
    const uint64_t durable = (uint64_t)pr_cell_i64(res, 0, 1);
    f->durable = pr_cell_bool(res, 0, 0) && durable >= f->offset;
    return f->durable
               ? PR_OK
               : pr_fail(err, PR_EUNAVAIL,
                         "dr: node %s: offset %" PRIu64 " is durable, %" PRIu64
                         " is wanted: %.60s%.80s",
                         f->link->name, durable, f->offset, pr_cell(res, 0, 2), pr_cell(res, 0, 3));
}

static enum pr_code ask_all(struct rebalance_worker *w, struct far *far, size_t n,
                            struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = 0; rc == PR_OK && i < n; i++) {
        if (far[i].durable)
            continue;
        if (far[i].replid[0] == '\0')
            rc = ask_node(w, &far[i], err);
        if (rc == PR_OK)
            rc = ask_rows(w, &far[i], err);
    }
    return rc;
}

/* As if the fence had not been answered: it was not sent. */
static void leave_unfenced(struct rebalance_worker *w)
{
    const struct mover_reply none = { .result = MOVER_R_BROKEN };
    for (size_t i = 0; i < w->batch.vertices; i++) {
        struct rebalance_mover *v = &w->mover[i];
        if (!would_fence(v))
            continue;
        mover_reply(&v->m, &none);
        v->m.canceling = true;
        v->left = true;
    }
    rebalance_run_left(w->run, "the run was to finish before its staged copies were durable");
}

static enum pr_code await_all(struct rebalance_worker *w, struct far *far, size_t n,
                              struct pr_err *err)
{
    const int64_t begun_us = pr_mono_us();
    int64_t asked_us = begun_us;
    struct pr_err why = { 0 };
    while (ask_all(w, far, n, &why) != PR_OK) {
        const int64_t now_us = pr_mono_us();
        if (atomic_load(&w->run->stop) == REBALANCE_FINISH) {
            leave_unfenced(w);
            break;
        }
        if (now_us - begun_us > SAY_US)
            rebalance_run_waits(w->run, why.text);
        if (!rebalance_run_pause(w->run, LOOK_US))
            return pr_fail(err, PR_ECANCELED, "batch %lld is left as it is: %.150s",
                           (long long)w->batch.number, why.text);
        if (now_us - asked_us < AGAIN_US)
            continue;
        asked_us = now_us; /* a fail-over may have made another history of it */
        for (size_t i = 0; i < n; i++)
            if (!far[i].durable)
                far[i].replid[0] = '\0';
    }
    if (pr_mono_us() - begun_us > SAY_US)
        rebalance_run_waits(w->run, NULL);
    return PR_OK;
}

enum pr_code rebalance_dr_await(struct rebalance_worker *w, struct pr_err *err)
{
    bool yes = true;
    size_t n = 0;
    if (!w->run->cfg->dr)
        return PR_OK;
    struct far *far = destinations(w, &n);
    if (far == NULL)
        return pr_fail(err, PR_ENOMEM, "destinations of a batch");
    if (n > 0 && ships(w, &yes, err) != PR_OK)
        yes = true; /* while PostgreSQL does not say, it may be so */
    if (n > 0)
        w->far = yes;
    const enum pr_code rc = n > 0 && yes ? await_all(w, far, n, err) : PR_OK;
    free(far);
    return rc;
}
