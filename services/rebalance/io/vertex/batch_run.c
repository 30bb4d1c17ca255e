/* Executing one batch: waves of the mover core, each recorded before it is sent. */
#include "io/vertex/dr.h"
#include "io/vertex/worker.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/routes.h"
#include "prism/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum pr_code rebalance_worker_open(struct rebalance_worker *w, struct rebalance_run *run,
                                   size_t cap, struct pr_err *err)
{
    *w = (struct rebalance_worker){ .run = run, .cap = cap, .mean_bytes = 4096 };
    pr_buf_init(&w->routes, 0);
    w->vertex = malloc(cap * sizeof *w->vertex);
    w->mover = malloc(cap * sizeof *w->mover);
    if (w->vertex == NULL || w->mover == NULL)
        return pr_fail(err, PR_ENOMEM, "batches of %zu vertices", cap);
    enum pr_code rc = pr_db_open(&w->db, run->db_uri, "prism-rebalance-worker", err);
    return rc == PR_OK ? rebalance_links_open(&w->links, &run->links, w->db, err) : rc;
}

void rebalance_worker_close(struct rebalance_worker *w)
{
    rebalance_links_close(&w->links);
    pr_db_close(w->db);
    pr_buf_done(&w->routes);
    free(w->vertex);
    free(w->mover);
    *w = (struct rebalance_worker){ 0 };
}

/* --- PostgreSQL, for as long as it takes ------------------------------------ */

/* After a failed write: PR_OK to try again, else why not. */
static enum pr_code try_again(struct rebalance_worker *w, enum pr_code rc, unsigned *attempt,
                              struct pr_err *err)
{
    /* EFULL: its disk or memory; failing would leave fenced vertices behind */
    if (rc != PR_EUNAVAIL && rc != PR_ETIMEOUT && rc != PR_ECONFLICT && rc != PR_EFULL)
        return rc;
    char why[200];
    snprintf(why, sizeof why, "PostgreSQL: %.180s", err->text);
    rebalance_run_waits(w->run, why);
    if (!rebalance_run_pause(w->run, (unsigned)rebalance_backoff_ms(++*attempt) * 1000))
        return pr_fail(err, PR_ECANCELED, "batch %lld is left as it is",
                       (long long)w->batch.number);
    rebalance_run_waits(w->run, NULL);
    return PR_OK;
}

typedef enum pr_code row_fn(struct pr_db *db, const struct rebalance_run *run,
                            struct rebalance_batch *b, struct pr_err *err);

static enum pr_code write_row(struct rebalance_worker *w, row_fn *fn, struct pr_err *err)
{
    unsigned attempt = 0;
    for (;;) {
        enum pr_code rc = fn(w->db, w->run, &w->batch, err);
        if (rc == PR_OK)
            return PR_OK;
        if ((rc = try_again(w, rc, &attempt, err)) != PR_OK)
            return rc;
    }
}

static enum pr_code write_state(struct rebalance_worker *w, enum rebalance_state state,
                                struct pr_err *err)
{
    unsigned attempt = 0;
    for (;;) {
        enum pr_code rc = rebalance_batch_state(w->db, w->run, &w->batch, state, err);
        if (rc == PR_OK)
            return PR_OK;
        if ((rc = try_again(w, rc, &attempt, err)) != PR_OK)
            return rc;
    }
}

static enum pr_code write_end(struct rebalance_worker *w, enum rebalance_state state,
                              struct pr_err *err)
{
    unsigned attempt = 0;
    for (;;) {
        enum pr_code rc = rebalance_batch_finish(w->db, w->run, &w->batch, state, &w->routes, err);
        if (rc == PR_OK)
            return PR_OK;
        if ((rc = try_again(w, rc, &attempt, err)) != PR_OK)
            return rc;
    }
}

static enum pr_code lease_row(struct pr_db *db, const struct rebalance_run *run,
                              struct rebalance_batch *b, struct pr_err *err)
{
    (void)b;
    return rebalance_lease_alive(db, &run->lease, err);
}

/* --- healing ---------------------------------------------------------------- */

static enum pr_code partition_fit(struct rebalance_worker *w, uint32_t partition, bool *seen,
                                  struct pr_err *err)
{
    const unsigned slot = w->run->slot_of[partition];
    const int16_t link = w->links.of_slot[slot];
    if (rebalance_slot_open(w->run, slot))
        return pr_fail(err, PR_EUNAVAIL, "slot %u is open (migrating or importing)", slot);
    if (link < 0)
        return pr_fail(err, PR_EUNAVAIL, "slot %u has no owner", slot);
    if (seen[link])
        return PR_OK;
    seen[link] = true;
    enum pr_code rc = rebalance_link_whole(&w->links, &w->links.link[link], err);
    if (rc == PR_EDENIED)
        atomic_store(&w->run->users_missing, true);
    return rc;
}

static enum pr_code all_fit(struct rebalance_worker *w, struct pr_err *err)
{
    enum pr_code rc = rebalance_links_refresh(&w->links, w->db, err);
    if (rc != PR_OK)
        return rc;
    bool *seen = calloc(w->links.n + 1, sizeof *seen);
    if (seen == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu links", w->links.n);
    for (size_t i = 0; i < w->batch.vertices && rc == PR_OK; i++) {
        const struct rebalance_mover *v = &w->mover[i];
        if (v->over)
            continue;
        rc = partition_fit(w, v->m.s, seen, err);
        if (rc == PR_OK)
            rc = partition_fit(w, v->m.d, seen, err);
        if (rc == PR_OK)
            rc = partition_fit(w, v->m.home, seen, err);
    }
    free(seen);
    return rc;
}

enum pr_code rebalance_worker_heal(struct rebalance_worker *w, struct pr_err *err)
{
    atomic_fetch_add(&w->run->interruptions, 1);
    pr_metrics_add(w->run->metrics, M_BROKEN, NULL, 1);
    struct pr_err why = { 0 };
    for (unsigned attempt = 1; all_fit(w, &why) != PR_OK; attempt++) {
        rebalance_run_waits(w->run, why.text);
        if (!rebalance_run_pause(w->run, (unsigned)rebalance_backoff_ms(attempt) * 1000))
            return pr_fail(err, PR_ECANCELED, "batch %lld is left as it is: %.150s",
                           (long long)w->batch.number, why.text);
    }
    rebalance_run_waits(w->run, NULL);
    return PR_OK;
}

/* --- waves -------------------------------------------------------------------- */

struct wanted {                       /* by the movers, before the next wave */
    size_t active, fresh, first_time; /* first_time: not refused yet */
    bool epoch, sweep;
    enum rebalance_state state;
    unsigned refusals; /* smallest of the active */
};

static enum rebalance_state state_of(enum mover_kind kind)
{
    switch (kind) {
    case MOVER_FENCE:
        return REBALANCE_FENCED;
    case MOVER_PROMOTE:
        return REBALANCE_PROMOTED;
    case MOVER_ROUTE:
        return REBALANCE_ROUTED;
    default:
        return REBALANCE_COPYING;
    }
}

/* A vertex that is written to all the time is left for a later sweep: its move
 * is canceled. Just dropping it would leave a take that its replicas may not
 * have, so that an older fence, come late, could still hit. */
static void give_up(struct rebalance_worker *w, struct rebalance_mover *v)
{
    const struct rebalance_config *cfg = w->run->cfg;
    /* There each attempt takes as long as an upload, and the whole batch with it. */
    const unsigned limit = (unsigned)(w->far ? cfg->dr_fence_retries : cfg->fence_retries);
    if (v->left || !v->fence_refused || !rebalance_retry(v->refusals, limit).give_up)
        return;
    char why[200];
    snprintf(why, sizeof why, "vertex %.*s was written to during %u attempts", v->id_len, v->id,
             v->refusals);
    rebalance_run_left(w->run, why);
    v->left = v->busy = true;
    v->m.canceling = true;
}

static struct wanted look(struct rebalance_worker *w)
{
    struct wanted want = { .refusals = UINT8_MAX, .state = w->batch.state };
    for (size_t i = 0; i < w->batch.vertices; i++) {
        struct rebalance_mover *v = &w->mover[i];
        if (v->over)
            continue;
        const enum mover_kind kind = mover_next(&v->m).kind;
        if (kind == MOVER_END) {
            v->over = true;
            continue;
        }
        if (kind == MOVER_NEED_EPOCH)
            give_up(w, v);
        want.active++;
        want.epoch = want.epoch || kind == MOVER_NEED_EPOCH;
        want.sweep = want.sweep || kind == MOVER_DEL_STAGING;
        if (v->refusals < want.refusals)
            want.refusals = v->refusals;
        if (kind != MOVER_NEED_EPOCH && state_of(kind) > want.state)
            want.state = state_of(kind);
    }
    return want;
}

/* Before a command is sent its record is durable under the lease. */
static enum pr_code record(struct rebalance_worker *w, const struct wanted *want,
                           struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    if (want->state > w->batch.state)
        rc = write_state(w, want->state, err);
    if (rc == PR_OK && want->epoch) {
        rc = write_row(w, rebalance_batch_epoch, err);
        const struct mover_reply fresh = {
            .result = MOVER_R_OK, .epoch = rc == PR_OK ? w->batch.epoch[w->batch.epochs - 1] : 0
        };
        for (size_t i = 0; i < w->batch.vertices && rc == PR_OK; i++) {
            struct rebalance_mover *v = &w->mover[i];
            if (!v->over && mover_next(&v->m).kind == MOVER_NEED_EPOCH)
                mover_reply(&v->m, &fresh);
        }
    } else if (rc == PR_OK && want->sweep)
        rc = write_row(w, lease_row, err);
    return rc;
}

/* Something broke: pauses, longer each time, until it is mended. */
static enum pr_code mend(struct rebalance_worker *w, struct rebalance_wave *wave, unsigned times,
                         struct pr_err *err)
{
    if (wave->denied)
        atomic_store(&w->run->users_missing, true);
    if (times == 1)
        pr_warn(PR_EV("batch.interrupted"), PR_I("plan", w->batch.plan_id),
                PR_I("batch", w->batch.number), PR_S("why", wave->why));
    wave->trouble = wave->denied = false;
    if (times > 1) { /* what heals looks well, and yet it breaks again */
        rebalance_run_waits(w->run, wave->why);
        if (!rebalance_run_pause(w->run, (unsigned)rebalance_backoff_ms(times - 1) * 1000))
            return pr_fail(err, PR_ECANCELED, "batch %lld is left as it is: %.150s",
                           (long long)w->batch.number, wave->why);
    }
    return rebalance_worker_heal(w, err);
}

static enum pr_code drive(struct rebalance_worker *w, struct rebalance_wave *wave,
                          struct pr_err *err)
{
    unsigned broken = 0; /* times since something last went forward */
    size_t active = w->batch.vertices;
    enum rebalance_state state = w->batch.state;
    for (;;) {
        const struct wanted want = look(w);
        if (want.active == 0)
            return PR_OK;
        if (want.active < active || w->batch.state > state)
            broken = 0;
        active = want.active;
        state = w->batch.state;
        if (atomic_load(&w->run->stop) == REBALANCE_ABANDON)
            return pr_fail(err, PR_ECANCELED, "batch %lld is left as it is",
                           (long long)w->batch.number);
        const unsigned pause_us = rebalance_retry(want.refusals, UINT8_MAX + 1).pause_us;
        if (want.epoch && pause_us > 0 && !rebalance_run_pause(w->run, pause_us))
            continue;
        enum pr_code rc = rebalance_dr_await(w, err);
        if (rc == PR_OK)
            rc = record(w, &want, err);
        if (rc == PR_OK)
            rebalance_wave(wave);
        if (rc == PR_OK && wave->trouble)
            rc = mend(w, wave, ++broken, err);
        if (rc != PR_OK)
            return rc;
    }
}

/* --- the end of a batch ------------------------------------------------------ */

static bool ended_well(const struct rebalance_mover *v)
{
    const enum mover_outcome o = mover_outcome(&v->m);
    return o == MOVER_MOVED || o == MOVER_NOT_THERE || o == MOVER_CANCELED;
}

/* Epochs of executors before us that the movers do not sweep themselves. */
static size_t too_old(const struct rebalance_batch *b)
{
    enum { SWEPT_BY_MOVER = MOVER_MAX_SWEEP / 2 };
    return b->earlier > SWEPT_BY_MOVER ? b->earlier - SWEPT_BY_MOVER : 0;
}

static enum pr_code sweep(struct rebalance_worker *w, struct rebalance_wave *wave,
                          struct pr_err *err)
{
    const struct rebalance_batch *b = &w->batch;
    if (too_old(b) == 0)
        return PR_OK;
    for (;;) {
        enum pr_code rc = write_row(w, lease_row, err);
        if (rc != PR_OK)
            return rc;
        if (rebalance_wave_sweep(wave, ended_well, b->epoch, too_old(b)))
            return PR_OK;
        wave->trouble = false;
        if (!rebalance_run_pause(w->run, 100000))
            return pr_fail(err, PR_ECANCELED, "batch %lld is left as it is", (long long)b->number);
        if (rebalance_links_refresh(&w->links, w->db, err) != PR_OK)
            rebalance_run_waits(w->run, err->text);
        else
            rebalance_run_waits(w->run, NULL);
    }
}

struct ends {
    size_t moved, canceled, lost, left, busy;
};

static struct ends count_ends(struct rebalance_worker *w)
{
    struct ends n = { 0 };
    struct rebalance_batch *b = &w->batch;
    b->bytes = 0;
    pr_buf_reset(&w->routes);
    for (size_t i = 0; i < b->vertices; i++) {
        const struct rebalance_mover *v = &w->mover[i];
        const enum mover_outcome o = mover_outcome(&v->m);
        if (o == MOVER_MOVED) {
            n.moved++;
            b->bytes += v->bytes;
            pr_routes_add(&w->routes, v->hash, v->m.d);
        } else if (o == MOVER_LOST) {
            if (n.lost++ == 0)
                snprintf(b->error, sizeof b->error,
                         "vertex %.*s is lost: partition %u holds neither it nor its staging",
                         v->id_len, v->id, v->m.d);
        } else if (o == MOVER_FENCED_OFF) {
            n.left++;
            char why[200];
            snprintf(why, sizeof why, "vertex %.*s carries a newer epoch than ours", v->id_len,
                     v->id);
            rebalance_run_left(w->run, why);
        } else if (o == MOVER_CANCELED && v->left) {
            n.left++;
            n.busy += v->busy;
        } else
            n.canceled += o == MOVER_CANCELED;
    }
    b->moved = n.moved;
    return n;
}

static void tally(struct rebalance_worker *w, const struct ends *n, enum rebalance_state state,
                  int64_t began_us)
{
    struct rebalance_run *run = w->run;
    uint64_t refusals = 0;
    for (size_t i = 0; i < w->batch.vertices; i++)
        refusals += w->mover[i].refusals;
    atomic_fetch_add(&run->moved, n->moved);
    atomic_fetch_add(&run->bytes, w->batch.bytes);
    atomic_fetch_add(&run->refusals, refusals);
    atomic_fetch_add(&run->deferred, n->left);
    atomic_fetch_add(&run->busy, n->busy);
    atomic_fetch_add(&run->batches, 1);
    pr_metrics_add(run->metrics, M_MOVED, NULL, (double)n->moved);
    pr_metrics_add(run->metrics, M_BYTES, NULL, (double)w->batch.bytes);
    pr_metrics_add(run->metrics, M_RETRIES, NULL, (double)refusals);
    pr_metrics_add(run->metrics, M_BATCHES, rebalance_state_name(state), 1);
    pr_metrics_observe(run->metrics, M_BATCH_SECONDS, NULL,
                       (double)(pr_mono_us() - began_us) / 1e6);
}

static enum pr_code finish(struct rebalance_worker *w, struct rebalance_wave *wave,
                           int64_t began_us, struct pr_err *err)
{
    const struct ends n = count_ends(w);
    enum pr_code rc = sweep(w, wave, err);
    if (rc != PR_OK)
        return rc;
    if (w->routes.failed)
        return pr_fail(err, PR_ENOMEM, "routes of batch %lld", (long long)w->batch.number);
    if (w->routes.len > 0)
        rc = pr_routes_sort(w->routes.data, w->routes.len, &w->routes.len);
    const enum rebalance_state state =
        rebalance_batch_end(w->batch.vertices, n.moved, n.canceled, n.lost);
    if (rc == PR_OK)
        rc = write_end(w, state, err);
    if (rc != PR_OK)
        return rc;
    tally(w, &n, state, began_us);
    return n.lost > 0 ? pr_fail(err, PR_EDATA, "%s", w->batch.error) : PR_OK;
}

static void load_movers(struct rebalance_worker *w)
{
    const uint64_t epoch = w->batch.epoch[w->batch.epochs - 1];
    for (size_t i = 0; i < w->batch.vertices; i++) {
        const struct rebalance_vertex *from = &w->vertex[i];
        struct rebalance_mover *v = &w->mover[i];
        *v = (struct rebalance_mover){ .id = from->id,
                                       .id_len = from->id_len,
                                       .hash = pr_vertex_hash(from->id, from->id_len),
                                       .link = -1 };
        mover_init(&v->m, from->from, from->to, pr_home_partition(v->hash, w->run->partitions),
                   epoch, w->batch.canceling);
        for (size_t k = too_old(&w->batch); k < w->batch.earlier; k++)
            (void)mover_add_sweep(&v->m, w->batch.epoch[k]);
    }
}

static void free_taken(struct rebalance_worker *w)
{
    for (size_t i = 0; i < w->batch.vertices; i++)
        if (w->mover[i].taken != NULL)
            freeReplyObject(w->mover[i].taken);
}

enum pr_code rebalance_batch_run(struct rebalance_worker *w, struct pr_err *err)
{
    const int64_t began_us = pr_mono_us();
    struct rebalance_batch *b = &w->batch;
    b->error[0] = '\0';
    b->vertices = 0;
    enum pr_code rc = rebalance_batch_unpack(b->ids, b->ids_bytes, w->run->partitions, w->vertex,
                                             w->cap, &b->vertices, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc == PR_EFULL ? PR_EDATA : rc, "plan %lld, batch %lld",
                       (long long)b->plan_id, (long long)b->number);
    rc = write_row(w, rebalance_batch_begin, err);
    if (rc != PR_OK)
        return rc;
    load_movers(w);
    struct rebalance_wave wave = { .run = w->run,
                                   .links = &w->links,
                                   .v = w->mover,
                                   .n = b->vertices,
                                   .mean_bytes = w->mean_bytes };
    rc = drive(w, &wave, err);
    w->mean_bytes = wave.mean_bytes;
    if (rc == PR_OK)
        rc = finish(w, &wave, began_us, err);
    free_taken(w);
    return rc;
}
