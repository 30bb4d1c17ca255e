/* Carrying out one plan: sweeps with workers, until nothing is left to move. */
#include "io/executor_private.h"
#include "io/vertex/worker.h"

#include "core/vertex/diff.h"

#include "prism/dp/library.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/slot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TICK_US = 50000, DRAIN_US = 10 * 1000 * 1000 };

struct execution {
    struct rebalance_executor *e;
    struct rebalance_plan plan;
    struct rebalance_run *run;
    struct rebalance_table current, target;
    uint16_t *slot_of;
    char (*source)[PR_NODE_ID];
    char (*owner)[PR_NODE_ID]; /* [PR_SLOTS]: who owned it when the sweep began */
    pthread_t *thread;         /* [threads] */
    size_t threads;
    uint64_t total, moved_before; /* vertices */
    int64_t began_us, drained_us; /* drained_us 0: not draining */
    int64_t next_progress_us, next_order_us, next_cluster_us, next_window_us;
    enum rebalance_order order;
};

/* --- setting up ------------------------------------------------------------------ */

static enum pr_code new_run(struct execution *x, struct pr_err *err)
{
    struct rebalance_executor *e = x->e;
    uint32_t partitions = 0;
    enum pr_code rc = rebalance_partitions(e->db, &partitions, err);
    if (rc != PR_OK)
        return rc;
    x->run = calloc(1, sizeof *x->run);
    x->slot_of = malloc(partitions * sizeof *x->slot_of);
    x->owner = malloc(PR_SLOTS * sizeof *x->owner);
    if (x->run == NULL || x->slot_of == NULL || x->owner == NULL)
        return pr_fail(err, PR_ENOMEM, "a run over %u partitions", partitions);
    for (uint32_t p = 0; p < partitions; p++)
        x->slot_of[p] = pr_partition_slot(p);

    struct rebalance_run *run = x->run;
    pthread_mutex_init(&run->lock, NULL);
    run->cfg = e->o.cfg;
    run->db_uri = e->o.db_uri;
    run->metrics = e->o.metrics;
    run->lease = e->lease;
    run->partitions = partitions;
    run->slot_of = x->slot_of;
    run->links = (struct rebalance_links_options){
        .seeds = e->seeds,
        .service = { .user = e->o.cfg->redis_user[0] == '\0' ? NULL : e->o.cfg->redis_user,
                     .password = e->o.cfg->redis_password },
        .mover = { .user = e->user[REBALANCE_USER_VERTICES].name,
                   .password = e->user[REBALANCE_USER_VERTICES].password },
        .timeout_ms = (int)(e->o.cfg->redis_timeout_ms + e->o.cfg->wait_ms)
    };
    run->plan_id = x->plan.id;
    run->batch_vertices = (size_t)e->o.cfg->batch_vertices;
    if (x->plan.batch_vertices > 0 && x->plan.batch_vertices <= 10000)
        run->batch_vertices = (size_t)x->plan.batch_vertices;
    atomic_store(&run->next_batch, x->plan.next_batch);

    rebalance_executor_runs(e, &run->stop);
    return PR_OK;
}

static void done(struct execution *x)
{
    rebalance_executor_runs(x->e, NULL);
    if (x->run != NULL)
        pthread_mutex_destroy(&x->run->lock);
    free(x->run);
    free(x->slot_of);
    free(x->source);
    free(x->owner);
    free(x->thread);
    rebalance_table_done(&x->current);
    rebalance_table_done(&x->target);
}

static enum pr_code load_tables(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct execution *x = ctx;
    rebalance_table_done(&x->current); /* of an attempt before */
    rebalance_table_done(&x->target);
    enum pr_code rc =
        pr_db_exec(db, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", NULL, 0, NULL, err);
    if (rc == PR_OK)
        rc = rebalance_table_target(db, x->plan.run_id, x->run->partitions, &x->target, err);
    return rc == PR_OK ? rebalance_table_current(db, x->run->partitions, &x->current, err) : rc;
}

static void count_one(void *ctx, uint64_t hash, uint32_t from, uint32_t to,
                      enum rebalance_reason why)
{
    (void)hash, (void)from, (void)to, (void)why;
    ++*(uint64_t *)ctx;
}

static uint64_t count_moves(const struct execution *x)
{
    uint64_t n = 0;
    for (uint32_t p = 0; p < x->run->partitions; p++) {
        const struct pr_buf *c = &x->current.home[p], *t = &x->target.home[p];
        rebalance_diff((struct rebalance_blob){ c->data, c->len },
                       (struct rebalance_blob){ t->data, t->len }, p, count_one, &n);
    }
    return n;
}

/* --- while workers run ------------------------------------------------------------- */

static void say(const struct execution *x, char *out, size_t size)
{
    struct rebalance_run *run = x->run;
    const int throttle_ms = atomic_load(&run->throttle_ms);
    pthread_mutex_lock(&run->lock);
    if (run->waits_for[0] != '\0')
        snprintf(out, size, "waiting: %s", run->waits_for);
    else if (throttle_ms > 0)
        snprintf(out, size, "moving %" PRIu64 " of %" PRIu64 ", slowed down by %d ms a batch",
                 x->moved_before + (uint64_t)atomic_load(&run->moved), x->total, throttle_ms);
    else
        snprintf(out, size, "moving %" PRIu64 " of %" PRIu64,
                 x->moved_before + (uint64_t)atomic_load(&run->moved), x->total);
    pthread_mutex_unlock(&run->lock);
    const size_t n = strlen(out);
    if (x->e->ready.says[0] != '\0')
        snprintf(out + n, size - n, "; %s", x->e->ready.says);
}

static void report(struct execution *x, int64_t now_us, const char *phase)
{
    char text[300];
    struct pr_err err = { 0 };
    if (x->plan.id == 0)
        return; /* recovery belongs to no operation */
    say(x, text, sizeof text);
    const struct rebalance_progress p = { .total = x->total,
                                          .moved_before = x->moved_before,
                                          .moved = x->moved_before +
                                                   (uint64_t)atomic_load(&x->run->moved),
                                          .running_ms = (now_us - x->began_us) / 1000 };
    const enum pr_code rc =
        rebalance_plan_progress(x->e->db, &x->e->lease, &x->plan, rebalance_ratio(&p),
                                rebalance_eta_s(&p), phase != NULL ? phase : text, NULL, &err);
    if (rc == PR_EFENCED)
        atomic_store(&x->run->stop, REBALANCE_ABANDON);
}

static void drain(struct execution *x, int64_t now_us)
{
    int on = REBALANCE_RUN_ON;
    (void)atomic_compare_exchange_strong(&x->run->stop, &on, REBALANCE_FINISH);
    if (x->drained_us == 0)
        x->drained_us = now_us;
}

static void read_order(struct execution *x, int64_t now_us)
{
    struct pr_err err = { 0 };
    if (x->plan.id != 0 && rebalance_plan_order(x->e->db, x->plan.id, &x->order, &err) == PR_OK &&
        x->order != REBALANCE_GO)
        drain(x, now_us);
}

static void fold_if_due(struct execution *x)
{
    struct pr_err err = { 0 };
    uint64_t base = 0, delta = 0;
    if (rebalance_table_sizes(x->e->db, &base, &delta, &err) != PR_OK ||
        !rebalance_fold_due(base, delta))
        return;
    if (rebalance_fold(x->e->db, &x->e->lease, x->run->partitions, &err) == PR_OK)
        pr_metrics_add(x->e->o.metrics, M_FOLDS, NULL, 1);
    else
        pr_warn(PR_EV("routes.fold_failed"), PR_E(&err));
}

/* Everything that has its own rhythm. */
static void tend(struct execution *x)
{
    struct rebalance_executor *e = x->e;
    struct pr_err err = { 0 };
    int64_t now_us = pr_mono_us();
    if (atomic_load(&e->stopping))
        drain(x, now_us);
    /* A drain that a broken node holds up ends here only when we must leave. */
    if (atomic_load(&e->stopping) && now_us - x->drained_us > DRAIN_US)
        atomic_store(&x->run->stop, REBALANCE_ABANDON);
    if (now_us >= x->next_order_us) {
        read_order(x, now_us);
        x->next_order_us = now_us + 300000;
    }
    if (now_us >= x->next_progress_us) {
        report(x, now_us, NULL);
        x->next_progress_us = now_us + 500000;
    }
    if (now_us >= x->next_cluster_us || atomic_load(&x->run->users_missing)) {
        if (rebalance_tend_cluster(e, x->run, &err) == PR_EFENCED)
            atomic_store(&x->run->stop, REBALANCE_ABANDON);
        const struct pr_topology *t = pr_cluster_topology(e->cluster);
        x->next_cluster_us = pr_mono_us() + 1000000 + (int64_t)t->nodes * 5000;
        if (x->plan.id != 0)
            fold_if_due(x);
    }
    now_us = pr_mono_us();
    rebalance_tend_probe(e, x->run, now_us >= x->next_window_us);
    if (now_us >= x->next_window_us)
        x->next_window_us = now_us + 1000000;
}

static bool stopped(const struct execution *x)
{
    return atomic_load(&x->run->stop) != REBALANCE_RUN_ON;
}

/* Until the cluster is fit to be swept; false: stopped meanwhile. */
static bool await_cluster(struct execution *x)
{
    struct pr_err err = { 0 };
    for (unsigned attempt = 1; !stopped(x); attempt++) {
        const enum pr_code rc = rebalance_tend_cluster(x->e, x->run, &err);
        if (rc == PR_OK) {
            rebalance_run_waits(x->run, NULL);
            return true;
        }
        if (rc == PR_EFENCED)
            atomic_store(&x->run->stop, REBALANCE_ABANDON);
        rebalance_run_waits(x->run, err.text);
        const int64_t now_us = pr_mono_us();
        if (atomic_load(&x->e->stopping))
            drain(x, now_us);
        read_order(x, now_us);
        report(x, now_us, NULL);
        (void)rebalance_run_pause(x->run, (unsigned)rebalance_backoff_ms(attempt) * 1000);
    }
    return false;
}

/* --- workers ------------------------------------------------------------------------ */

/* Remembers who owns each slot, and lists the owners: a sweep visits them. */
static enum pr_code find_sources(struct execution *x, struct pr_err *err)
{
    const struct pr_topology *t = pr_cluster_topology(x->e->cluster);
    const int16_t *owner = t->slot_owner;
    for (size_t s = 0; s < PR_SLOTS; s++)
        snprintf(x->owner[s], PR_NODE_ID, "%s", owner[s] < 0 ? "" : t->node[owner[s]].id);
    free(x->source);
    x->source = calloc(t->nodes + 1, sizeof *x->source);
    bool *used = calloc(t->nodes + 1, sizeof *used);
    if (x->source == NULL || used == NULL) {
        free(used);
        return pr_fail(err, PR_ENOMEM, "%zu nodes", t->nodes);
    }
    size_t n = 0;
    for (size_t s = 0; s < PR_SLOTS; s++)
        if (owner[s] >= 0)
            used[owner[s]] = true;
    for (size_t j = 0; j < t->nodes; j++)
        if (used[j])
            memcpy(x->source[n++], t->node[j].id, PR_NODE_ID);
    free(used);
    x->run->source = (const char(*)[PR_NODE_ID])x->source;
    x->run->sources = n;
    atomic_store(&x->run->next_source, 0);
    return PR_OK;
}

/* Starts n workers and tends to everything until they are done. */
static enum pr_code run_workers(struct execution *x, size_t n, struct pr_err *err)
{
    free(x->thread);
    x->thread = calloc(n, sizeof *x->thread);
    if (x->thread == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu workers", n);
    atomic_store(&x->run->workers_left, n);
    for (x->threads = 0; x->threads < n; x->threads++)
        if (pthread_create(&x->thread[x->threads], NULL, rebalance_worker_main, x->run) != 0)
            break;
    if (x->threads < n)
        atomic_fetch_sub(&x->run->workers_left, n - x->threads);
    while (atomic_load(&x->run->workers_left) > 0) {
        tend(x);
        const struct timespec ts = { 0, TICK_US * 1000 };
        (void)nanosleep(&ts, NULL);
    }
    for (size_t i = 0; i < x->threads; i++)
        pthread_join(x->thread[i], NULL);
    return x->threads > 0 ? PR_OK : pr_fail(err, PR_ENOMEM, "no thread for a worker");
}

/* A slot that changed hands may have been on neither node when it was swept. */
static bool same_owners(const struct execution *x)
{
    const struct pr_topology *t = pr_cluster_topology(x->e->cluster);
    for (size_t s = 0; s < PR_SLOTS; s++)
        if (t->slot_owner[s] < 0 || strcmp(x->owner[s], t->node[t->slot_owner[s]].id) != 0)
            return false;
    return true;
}

/* Sweeps until one leaves nothing behind. PR_OK: done, or told to stop. */
static enum pr_code sweep_all(struct execution *x, struct pr_err *err)
{
    struct rebalance_run *run = x->run;
    unsigned idle = 0;
    for (;;) {
        if (!await_cluster(x))
            return PR_OK;
        const uint64_t moved = atomic_load(&run->moved);
        atomic_store(&run->deferred, 0);
        atomic_store(&run->busy, 0);
        enum pr_code rc = find_sources(x, err);
        if (rc != PR_OK)
            return rc;
        size_t n = (size_t)(x->plan.workers > 0 ? x->plan.workers : x->e->o.cfg->workers);
        rc = run_workers(x, n < run->sources ? n : run->sources, err);
        if (rc != PR_OK || stopped(x))
            return rc;
        uint64_t deferred = atomic_load(&run->deferred);
        if (pr_cluster_refresh(x->e->cluster, err) != PR_OK || !same_owners(x))
            deferred++;
        idle = atomic_load(&run->moved) == moved ? idle + 1 : 0;
        const uint64_t busy = atomic_load(&run->busy);
        const enum rebalance_swept after = rebalance_swept(deferred, busy, idle);
        if (after == REBALANCE_SWEPT_BUT_BUSY)
            pr_warn(PR_EV("plan.leaves_busy"), PR_I("plan", x->plan.id), PR_I("vertices", busy),
                    PR_S("why", run->left_why));
        if (after == REBALANCE_SWEPT_ALL || after == REBALANCE_SWEPT_BUT_BUSY)
            return PR_OK;
        run->verify = true;
        pr_info(PR_EV("plan.sweeps_again"), PR_I("plan", x->plan.id), PR_I("left", deferred),
                PR_S("why", run->left_why));
        if (after == REBALANCE_SWEEPS_FAIL)
            return pr_fail(err, PR_EDATA,
                           "%" PRIu64 " vertices or nodes could not be dealt "
                           "with in %d sweeps, the last because: %s",
                           deferred, REBALANCE_MAX_IDLE_SWEEPS, run->left_why);
        (void)rebalance_run_pause(run, (unsigned)rebalance_backoff_ms(idle + 1) * 1000);
    }
}

/* --- the plan ------------------------------------------------------------------------- */

enum pr_code rebalance_finish(struct rebalance_executor *e, const struct rebalance_plan *p,
                              const char *state, const char *result, const char *error,
                              struct pr_err *err)
{
    enum pr_code rc;
    unsigned attempt = 0;
    rebalance_executor_post(e, NULL);
    do
        rc = rebalance_plan_end(e->db, &e->lease, p, state, result, error, err);
    while (pr_retryable(rc) && rc != PR_EFENCED && ++attempt < 5);
    if (rc != PR_OK)
        return rc;
    pr_metrics_add(e->o.metrics, M_PLANS, state, 1);
    pr_info(PR_EV("plan.ended"), PR_I("plan", p->id), PR_S("state", state),
            PR_S("result", result == NULL ? "" : result),
            PR_S("error", error == NULL ? "" : error));
    return PR_OK;
}

static enum pr_code finish(struct execution *x, const char *state, const char *error,
                           struct pr_err *err)
{
    char result[400];
    const double seconds = (double)(pr_mono_us() - x->began_us) / 1e6;
    const uint64_t moved = x->run == NULL ? 0 : atomic_load(&x->run->moved);
    const struct rebalance_run zero = { 0 }, *run = x->run == NULL ? &zero : x->run;
    snprintf(result, sizeof result,
             "{\"moved\": %" PRIu64 ", \"seconds\": %.3f, \"vertices_per_s\": %.0f, "
             "\"retries\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"batches\": %" PRIu64
             ", \"interruptions\": %" PRIu64 ", \"left_busy\": %" PRIu64 "}",
             x->moved_before + moved, x->plan.active_s + seconds,
             seconds > 0 ? (double)moved / seconds : 0, (uint64_t)run->refusals,
             (uint64_t)run->bytes, (uint64_t)run->batches, (uint64_t)run->interruptions,
             (uint64_t)run->busy);
    return rebalance_finish(x->e, &x->plan, state, result, error, err);
}

/* Settings of the cluster that would make moving unsafe. A plan that was never
 * begun fails for it; one that was waits until somebody mends it. */
static enum pr_code check_store(struct execution *x, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_cluster_check(x->e->cluster, PR_LIBRARY_VERSION, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "the store is not fit to move vertices");
    rc = pr_db_exec(x->e->db, "SELECT count(*), min(slot) FROM slots WHERE zone_id IS NULL", NULL,
                    0, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (pr_cell_i64(res, 0, 0) > 0)
        return pr_fail(err, PR_EINVAL, "the zone of slot %s's primary is unknown",
                       pr_cell(res, 0, 1));
    return PR_OK;
}

static enum pr_code carry_out(struct execution *x, struct pr_err *err)
{
    enum pr_code rc = rebalance_plan_begin(x->e->db, &x->e->lease, &x->plan, err);
    if (rc == PR_OK)
        rc = pr_db_tx(x->e->db, load_tables, x, err);
    if (rc != PR_OK)
        return rc;
    x->run->current = &x->current;
    x->run->target = &x->target;
    x->moved_before = (uint64_t)x->plan.moved;
    const uint64_t to_move = count_moves(x);
    x->total = x->moved_before + to_move;
    pr_info(PR_EV("plan.begins"), PR_I("plan", x->plan.id), PR_I("to_move", to_move),
            PR_I("moved_before", x->moved_before));
    rc = to_move > 0 ? sweep_all(x, err) : PR_OK;
    if (rc != PR_OK)
        return rc;
    if (x->run->fatal.code != PR_OK) {
        *err = x->run->fatal;
        return x->run->fatal.code;
    }
    if (!rebalance_executor_lives(x->e) || atomic_load(&x->run->stop) == REBALANCE_ABANDON)
        return pr_fail(err, PR_ECANCELED, "plan %lld is left as it is", (long long)x->plan.id);
    if (x->order == REBALANCE_CANCEL)
        return finish(x, "canceled", NULL, err);
    if (stopped(x)) { /* paused, or this replica stops */
        report(x, pr_mono_us(), x->order == REBALANCE_PAUSE ? "paused" : "interrupted");
        return PR_OK;
    }
    rc = rebalance_fold(x->e->db, &x->e->lease, x->run->partitions, err);
    if (rc != PR_OK)
        return rc;
    pr_metrics_add(x->e->o.metrics, M_FOLDS, NULL, 1);
    return finish(x, "done", NULL, err);
}

static bool ends_plan(enum pr_code rc)
{
    return rc == PR_EDATA || rc == PR_EINVAL || rc == PR_EFULL || rc == PR_EINTERNAL ||
           rc == PR_ENOTFOUND;
}

enum pr_code rebalance_execute(struct rebalance_executor *e, int64_t plan_id, struct pr_err *err)
{
    struct execution x = { .e = e, .began_us = pr_mono_us(), .order = REBALANCE_GO };
    enum pr_code rc = rebalance_plan_load(e->db, plan_id, &x.plan, err);
    if (rc != PR_OK)
        return rc;
    if (x.plan.fleet)
        return rebalance_fleet_execute(e, &x.plan, err);
    if (x.plan.cancel_requested || strcmp(x.plan.state, "canceled") == 0) {
        x.moved_before = (uint64_t)x.plan.moved;
        return finish(&x, "canceled", NULL, err);
    }
    rc = rebalance_connect(e, err);
    if (rc == PR_OK)
        rc = check_store(&x, err);
    if (rc != PR_OK && strcmp(x.plan.state, "running") == 0) {
        char why[sizeof err->text];
        snprintf(why, sizeof why, "%s", err->text);
        rc = rebalance_plan_waits(e->db, &e->lease, &x.plan, why);
        return rc == PR_EFENCED ? rc
                                : pr_fail(err, PR_EUNAVAIL, "plan %lld is waiting: %.200s",
                                          (long long)plan_id, why);
    }
    if (rc == PR_OK)
        rc = new_run(&x, err);
    if (rc == PR_OK)
        rc = carry_out(&x, err);
    if (ends_plan(rc)) {
        struct pr_err why = *err;
        pr_error(PR_EV("plan.failed"), PR_I("plan", plan_id), PR_E(&why));
        e->recovered = 0; /* workers may have stopped in mid-batch */
        rc = finish(&x, "failed", why.text, err);
    } else if (pr_retryable(rc) &&
               rebalance_plan_waits(e->db, &e->lease, &x.plan, err->text) == PR_EFENCED)
        rc = PR_EFENCED;
    done(&x);
    return rc;
}

/* --- recovery --------------------------------------------------------------------------- */

static enum pr_code unfinished(struct rebalance_executor *e, int64_t *n, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        e->db, "SELECT count(*) FROM moves WHERE state NOT IN ('done', 'failed', 'rolled_back')",
        NULL, 0, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    *n = pr_cell_i64(res, 0, 0);
    return PR_OK;
}

enum pr_code rebalance_execute_recovery(struct rebalance_executor *e, struct pr_err *err)
{
    int64_t n = 0;
    enum pr_code rc = unfinished(e, &n, err);
    if (rc != PR_OK || n == 0)
        return rc;
    pr_info(PR_EV("executor.recovers"), PR_I("batches", n), PR_I("epoch", e->lease.epoch));
    struct execution x = { .e = e, .began_us = pr_mono_us(), .order = REBALANCE_GO };
    rc = rebalance_connect(e, err);
    if (rc == PR_OK)
        rc = new_run(&x, err);
    if (rc == PR_OK) {
        x.run->recovering = true;
        rc = await_cluster(&x) ? run_workers(&x, 1, err) : PR_OK;
    }
    if (rc == PR_OK && x.run->fatal.code != PR_OK)
        rc = pr_fail(err, x.run->fatal.code, "%s", x.run->fatal.text);
    else if (rc == PR_OK && stopped(&x))
        rc = pr_fail(err, PR_ECANCELED, "recovery is left as it is");
    done(&x);
    return rc;
}
