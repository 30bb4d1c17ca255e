#include "io/executor_private.h"

#include "io/fleet/retention.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/io/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char LEASE[] = "rebalance-executor";

bool rebalance_executor_lives(const struct rebalance_executor *e)
{
    return e->lease.epoch != 0 && atomic_load(&e->epoch) == e->lease.epoch;
}

/* --- the lease ---------------------------------------------------------------- */

int64_t rebalance_lease_left_ms(void *ctx)
{
    const struct rebalance_executor *e = ctx;
    return rebalance_executor_lives(e) ? (atomic_load(&e->good_until_us) - pr_mono_us()) / 1000 : 0;
}

void rebalance_executor_runs(struct rebalance_executor *e, atomic_int *stop)
{
    pthread_mutex_lock(&e->lock);
    e->stop = stop;
    e->stop_epoch = e->lease.epoch;
    pthread_mutex_unlock(&e->lock);
    if (stop != NULL && !rebalance_executor_lives(e))
        atomic_store(stop, REBALANCE_ABANDON);
}

/* A change of hands stops the workers at once, wherever they are. */
static void set_epoch(struct rebalance_executor *e, uint64_t epoch)
{
    if (atomic_exchange(&e->epoch, epoch) == epoch)
        return;
    pthread_mutex_lock(&e->lock);
    if (e->stop != NULL && e->stop_epoch != epoch)
        atomic_store(e->stop, REBALANCE_ABANDON);
    e->woken = true;
    pthread_cond_broadcast(&e->wake);
    pthread_mutex_unlock(&e->lock);
    pr_metrics_set(e->o.metrics, M_LEASE, NULL, epoch != 0);
    if (epoch == 0) /* whoever holds it says how many there are */
        pr_metrics_set(e->o.metrics, M_HELD_BACK, NULL, 0);
    pr_info(PR_EV(epoch != 0 ? "executor.lease_held" : "executor.lease_not_held"),
            PR_I("epoch", epoch));
}

static void nap(int64_t ms)
{
    const struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };
    (void)nanosleep(&ts, NULL);
}

static void *keep_lease(void *arg)
{
    struct rebalance_executor *e = arg;
    struct pr_err err;
    struct pr_db *db = NULL;
    struct pr_lease l = { .ttl_ms = e->o.cfg->lease_ttl_ms };
    snprintf(l.name, sizeof l.name, "%s", LEASE);
    snprintf(l.holder, sizeof l.holder, "%s", e->o.instance);
    if (pr_db_open(&db, e->o.db_uri, "prism-rebalance-lease", &err) != PR_OK) {
        pr_error(PR_EV("executor.lease_failed"), PR_E(&err));
        return NULL;
    }
    while (!atomic_load(&e->let_go)) {
        const int64_t asked_us = pr_mono_us();
        const enum pr_code rc = pr_lease_hold(db, &l, &err);
        if (rc == PR_OK) {
            atomic_store(&e->good_until_us, asked_us + (l.ttl_ms - 1000) * 1000);
            set_epoch(e, l.epoch);
        } else if (rc == PR_ECONFLICT || pr_mono_us() > atomic_load(&e->good_until_us))
            set_epoch(e, 0);
        const int64_t until_us = asked_us + (rc == PR_OK ? l.ttl_ms * 1000 / 4 : 500000);
        while (!atomic_load(&e->let_go) && pr_mono_us() < until_us)
            nap(20);
    }
    pr_lease_release(db, &l);
    set_epoch(e, 0);
    pr_db_close(db);
    return NULL;
}

/* --- the supervisor ------------------------------------------------------------ */

static void wait_for_work(struct rebalance_executor *e, int64_t ms)
{
    const int64_t until_us = pr_mono_us() + ms * 1000;
    pthread_mutex_lock(&e->lock);
    if (!e->woken)
        (void)pr_cond_until(&e->wake, &e->lock, until_us);
    e->woken = false;
    pthread_mutex_unlock(&e->lock);
}

static enum pr_code adopt_epoch(struct rebalance_executor *e, struct pr_err *err)
{
    const uint64_t epoch = atomic_load(&e->epoch);
    if (e->lease.epoch == epoch)
        return PR_OK;
    e->lease.epoch = epoch;
    e->prepared = 0;
    /* The same epoch again, after PostgreSQL was away: nobody came in between, and
     * nodes know our password. */
    if (epoch == 0 || e->user[0].epoch == epoch)
        return PR_OK;
    enum pr_code rc = PR_OK;
    for (int k = 0; k < REBALANCE_USER_KINDS && rc == PR_OK; k++)
        rc = rebalance_user_init(&e->user[k], (enum rebalance_user_kind)k, epoch, err);
    return rc;
}

static enum pr_code forget_old_steps(struct rebalance_executor *e, struct pr_err *err)
{
    const int64_t now_us = pr_mono_us();
    int64_t deleted = 0;
    if (now_us < e->next_forget_us)
        return PR_OK;
    e->next_forget_us = now_us + 3600LL * 1000000;
    enum pr_code rc =
        rebalance_steps_forget(e->db, &e->lease, e->o.cfg->steps_keep_days, &deleted, err);
    if (rc == PR_OK && deleted > 0)
        pr_info(PR_EV("steps.forgotten"), PR_I("rows", deleted));
    return rc;
}

static enum pr_code turn(struct rebalance_executor *e, struct pr_err *err)
{
    int64_t plan = 0;
    enum pr_code rc = adopt_epoch(e, err);
    if (rc != PR_OK || e->lease.epoch == 0)
        return rc;
    rebalance_takeover_tend(e); /* first: what is below may wait for a primary */
    rebalance_chains_tend(e);
    if (e->recovered != e->lease.epoch) {
        if ((rc = rebalance_execute_recovery(e, err)) != PR_OK)
            return rc;
        e->recovered = e->lease.epoch;
    }
    rc = rebalance_plan_next(e->db, &plan, err);
    if (rc != PR_OK)
        return rc;
    if (plan != 0)
        return rebalance_execute(e, plan, err);
    rc = forget_old_steps(e, err);
    return rc == PR_OK ? rebalance_standing_orders(e, err) : rc;
}

static void *supervise(void *arg)
{
    struct rebalance_executor *e = arg;
    char last[256] = "";
    while (!atomic_load(&e->stopping)) {
        struct pr_err err = { 0 };
        const enum pr_code rc = turn(e, &err);
        if (rc == PR_EFENCED)
            e->lease.epoch = 0;
        if (rc != PR_OK)
            e->recovered = 0; /* batches may stand where they were left */
        if (rc != PR_OK && strcmp(last, err.text) != 0)
            pr_warn(PR_EV("executor.waiting"), PR_E(&err));
        snprintf(last, sizeof last, "%s", rc == PR_OK ? "" : err.text);
        if (rc != PR_OK && rc != PR_ECANCELED && e->cluster != NULL) {
            pr_cluster_close(e->cluster); /* learn everything anew */
            e->cluster = NULL;
        }
        wait_for_work(e, 250);
    }
    for (int k = 0; e->cluster != NULL && rebalance_executor_lives(e) && k < REBALANCE_USER_KINDS;
         k++)
        rebalance_users_remove(e->cluster, &e->user[k]);
    return NULL;
}

/* --- start and stop -------------------------------------------------------------- */

enum pr_code rebalance_executor_start(struct rebalance_executor **out,
                                      const struct rebalance_executor_options *o,
                                      struct pr_err *err)
{
    struct rebalance_executor *e = calloc(1, sizeof *e);
    if (e == NULL)
        return pr_fail(err, PR_ENOMEM, "executor");
    *out = e;
    e->o = *o;
    e->lease.ttl_ms = o->cfg->lease_ttl_ms;
    snprintf(e->lease.name, sizeof e->lease.name, "%s", LEASE);
    snprintf(e->lease.holder, sizeof e->lease.holder, "%s", o->instance);
    pthread_mutex_init(&e->lock, NULL);
    pr_cond_init(&e->wake);
    enum pr_code rc = pr_db_open(&e->db, o->db_uri, "prism-rebalance-executor", err);
    if (rc != PR_OK)
        return rc;
    e->keeper_runs = pthread_create(&e->keeper, NULL, keep_lease, e) == 0;
    e->supervisor_runs = pthread_create(&e->supervisor, NULL, supervise, e) == 0;
    if (!e->keeper_runs || !e->supervisor_runs)
        return pr_fail(err, PR_ENOMEM, "executor: no thread");
    return PR_OK;
}

void rebalance_executor_wake(struct rebalance_executor *e)
{
    pthread_mutex_lock(&e->lock);
    e->woken = true;
    pthread_cond_broadcast(&e->wake);
    pthread_mutex_unlock(&e->lock);
}

void rebalance_executor_post(struct rebalance_executor *e, const struct rebalance_plan_news *n)
{
    pthread_mutex_lock(&e->lock);
    e->news_bytes = n == NULL ? 0 : rebalance_plan_event(n, e->news);
    pthread_mutex_unlock(&e->lock);
}

size_t rebalance_executor_news(struct rebalance_executor *e, uint8_t out[REBALANCE_EVENT_BYTES])
{
    pthread_mutex_lock(&e->lock);
    const size_t n = e->news_bytes;
    memcpy(out, e->news, n);
    e->news_bytes = 0;
    pthread_mutex_unlock(&e->lock);
    return n;
}

void rebalance_executor_stop(struct rebalance_executor *e)
{
    if (e == NULL)
        return;
    atomic_store(&e->stopping, true);
    rebalance_executor_wake(e);
    if (e->supervisor_runs)
        pthread_join(e->supervisor, NULL);
    atomic_store(&e->let_go, true);
    if (e->keeper_runs)
        pthread_join(e->keeper, NULL);
    e->supervisor_runs = e->keeper_runs = false;
}

void rebalance_executor_free(struct rebalance_executor *e)
{
    if (e == NULL)
        return;
    pr_cluster_close(e->cluster);
    pr_db_close(e->db);
    free(e->seeds);
    rebalance_users_ready_done(&e->ready);
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->wake);
    free(e);
}
