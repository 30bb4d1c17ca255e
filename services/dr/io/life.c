#include "io/life.h"
#include "io/gives.h"

#include "io/life_store.h"
#include "io/orders.h"
#include "io/scrub.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/io/rest.h"
#include "prism/io/tenure.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TURN_US = 1000000, SAVE_US = 10000000, OVERDUE_MS = 86400000, RETRY_US = 60000000 };

struct dr_life {
    struct dr_life_options o;
    struct pr_tenure *tenure;
    struct pr_db *db;
    pthread_t thread;
    atomic_bool cancel; /* of what is under way */

    /* the thread's */
    struct pr_lease lease;
    struct dr_life_db store;
    struct dr_life_row row;
    struct dr_orders orders;
    struct dr_scrub *scrub;      /* NULL: no pass is under way here */
    int64_t read_us;             /* when the next object may be read */
    int64_t saved_us;            /* when the scrub's position was */
    int64_t retain_us, scrub_us; /* not before, after a failure */
    bool told, overdue;          /* said so */

    pthread_mutex_t mu;
    pthread_cond_t woken;
    bool stop;
};

static void on_lease(void *ctx, uint64_t epoch)
{
    struct dr_life *l = ctx;
    pr_info(PR_EV(epoch != 0 ? "dr.life_held" : "dr.life_not_held"), PR_I("epoch", epoch));
    if (epoch != 0)
        return;
    atomic_store(&l->cancel, true);
    atomic_store(&l->orders.cancel, true);
}

static bool sure(void *ctx)
{
    struct dr_life *l = ctx;
    return pr_tenure_left_ms(l->tenure, l->lease.epoch) > 0;
}

/* False: we are to stop. */
static bool rest(struct dr_life *l, int64_t until_us)
{
    return pr_rest(&l->mu, &l->woken, &l->stop, until_us);
}

/* --- drills -------------------------------------------------------------------------------------
 */

static enum pr_code schedule(struct dr_life *l, int64_t now_ms, struct pr_err *err)
{
    bool due = false;
    if (l->o.cfg->drill_cron[0] == '\0')
        return PR_OK;
    enum pr_code rc = dr_drill_due(l->o.cfg->drill_cron, l->o.cfg->drill_zone, l->row.drills_ms,
                                   now_ms, &due, err);
    if (rc == PR_OK && due)
        rc = dr_life_schedule(&l->store, l->o.cfg->drill_shards, err);
    return rc;
}

static void tell_of_drill(struct dr_life *l, const char *shard, const struct dr_drilled *d)
{
    const char *outcome = dr_drill_outcome_name(d->verdict.outcome);
    pr_metrics_add(l->o.metrics, M_DRILLS, outcome, 1);
    pr_metrics_set(l->o.metrics, M_DRILL_RTO, NULL, (double)d->took_ms / 1e3);
    if (d->verdict.age_ms >= 0)
        pr_metrics_set(l->o.metrics, M_DRILL_RPO, NULL, (double)d->verdict.age_ms / 1e3);
    if (d->verdict.outcome == DR_DRILL_GOOD)
        pr_info(PR_EV("dr.drill_good"), PR_S("shard", shard), PR_I("rto_ms", d->took_ms),
                PR_I("rpo_ms", d->verdict.age_ms), PR_I("keys", d->keys));
    else
        pr_error(PR_EV("dr.drill_bad"), PR_S("shard", shard), PR_S("outcome", outcome),
                 PR_S("reason", d->verdict.reason));
}

static enum pr_code drill(struct dr_life *l, int64_t id, const char *shard, struct pr_err *err)
{
    const struct dr_drill what = {
        .store = &l->o.store->s3,
        .codec = &l->o.store->codec,
        .cancel = &l->cancel,
        .cluster = l->o.cfg->cluster,
        .shard = shard,
        .scratch = l->o.cfg->scratch_dir,
        .limits = { .age_ms = l->o.cfg->rpo_ms, .took_ms = l->o.cfg->rto_ms },
    };
    struct dr_drilled d;
    enum pr_code rc = dr_drill_hold(&what, &d, err);
    if (rc == PR_ECANCELED)
        return rc;
    if (rc != PR_OK) /* there is no scratch to be had: a drill that failed */
        (void)snprintf(d.verdict.reason, sizeof d.verdict.reason, "%s", err->text);
    if (rc != PR_OK)
        d.verdict.outcome = DR_DRILL_FAILED;
    tell_of_drill(l, shard, &d);
    rc = dr_life_drilled(&l->store, id, &d, err);
    if (rc == PR_OK && d.restored.skipped > 0)
        rc = dr_life_damaged(&l->store, shard, &d.restored.damaged, d.restored.damage, true, err);
    if (rc == PR_OK && d.verdict.outcome == DR_DRILL_GOOD)
        rc = dr_life_verified(&l->store, shard, &d.restored.generation, d.begun_ms, err);
    return rc;
}

/* One a turn, so that the rest is not held up by a long queue. */
static enum pr_code drills(struct dr_life *l, int64_t now_ms, struct pr_err *err)
{
    char shard[DR_NAME];
    int64_t id = 0;
    enum pr_code rc = schedule(l, now_ms, err);
    if (rc == PR_OK)
        rc = dr_life_next_drill(&l->store, &id, shard, err);
    return rc == PR_OK && id != 0 ? drill(l, id, shard, err) : rc;
}

/* --- retention
 * ------------------------------------------------------------------------------------
 */

static enum pr_code retain(struct dr_life *l, int64_t now_ms, struct pr_err *err)
{
    struct dr_mark *mark = NULL;
    struct dr_retained done;
    struct dr_retain r = { .store = &l->o.store->s3,
                           .cancel = &l->cancel,
                           .cluster = l->o.cfg->cluster,
                           .home = l->o.home,
                           .rule = { now_ms, l->o.cfg->keep_hours * 3600000 },
                           .sure = sure,
                           .ctx = l };
    enum pr_code rc = dr_life_marks(l->db, &mark, &r.marks, err);
    if (rc != PR_OK)
        return rc;
    r.mark = mark;
    rc = dr_gives_live(l->db, &r.live, err);
    if (rc != PR_OK) {
        free(mark);
        return rc;
    }
    rc = dr_retain(&r, &done, err);
    free(mark);
    const size_t objects =
        done.manifests + done.parts + done.orphans + done.containers + done.maps + done.earlier;
    pr_metrics_add(l->o.metrics, M_RETAINED, NULL, (double)objects);
    if (objects > 0 || done.uploads > 0)
        pr_info(PR_EV("dr.retention"), PR_I("generations", done.manifests),
                PR_I("objects", objects), PR_I("orphans", done.orphans),
                PR_I("of_earlier_names", done.earlier), PR_I("uploads", done.uploads),
                PR_I("bytes", done.bytes));
    if (rc == PR_ECANCELED || rc == PR_EFENCED)
        return rc;
    struct pr_err why = *err;
    const enum pr_code saved = dr_life_retained(&l->store, &done, rc == PR_OK ? "" : why.text, err);
    return rc == PR_OK ? saved : pr_fail(err, rc, "%s", why.text);
}

/* --- scrub -------------------------------------------------------------------------------------
 */

static void on_damage(void *ctx, const struct dr_generation *g, bool newest, const char *why)
{
    struct dr_life *l = ctx;
    struct pr_err err = { 0 };
    char id[DR_GENERATION];
    dr_generation_print(&g->id, id);
    pr_error(PR_EV("dr.generation_damaged"), PR_S("shard", g->shard), PR_S("generation", id),
             PR_S("why", why));
    if (dr_life_damaged(&l->store, g->shard, &g->id, why, newest, &err) != PR_OK)
        pr_warn(PR_EV("dr.damage_not_saved"), PR_S("shard", g->shard), PR_E(&err));
}

struct passing {
    struct dr_life *l;
    enum pr_code rc;
    struct pr_err *err;
};

static void on_good(void *ctx, const struct dr_generation *g)
{
    struct passing *p = ctx;
    if (p->rc == PR_OK)
        p->rc = dr_life_verified(&p->l->store, g->shard, &g->id, p->l->row.scrub_begun_ms, p->err);
}

static enum pr_code begin_pass(struct dr_life *l, int64_t now_ms, struct pr_err *err)
{
    struct dr_life_row *r = &l->row;
    if (r->scrub_begun_ms == 0 || r->scrub_ended_ms != 0) { /* a new one */
        r->scrub_begun_ms = now_ms;
        r->scrub_ended_ms = r->scrub_objects = r->scrub_bytes = 0;
        r->scrub_object[0] = '\0';
    }
    const struct dr_scrub_of of = { .store = &l->o.store->s3,
                                    .codec = &l->o.store->codec,
                                    .cancel = &l->cancel,
                                    .cluster = l->o.cfg->cluster,
                                    .after = r->scrub_object,
                                    .damaged = on_damage,
                                    .ctx = l };
    const enum pr_code rc = dr_life_scrubbed(&l->store, r, "", err);
    return rc == PR_OK ? dr_scrub_open(&l->scrub, &of, err) : rc;
}

static enum pr_code end_pass(struct dr_life *l, struct pr_err *err)
{
    struct passing p = { l, PR_OK, err };
    dr_scrub_each_good(l->scrub, on_good, &p);
    if (p.rc != PR_OK)
        return p.rc;
    dr_scrub_close(l->scrub);
    l->scrub = NULL;
    l->row.scrub_ended_ms = pr_now_ms();
    pr_info(PR_EV("dr.scrubbed"), PR_I("objects", l->row.scrub_objects),
            PR_I("bytes", l->row.scrub_bytes));
    return dr_life_scrubbed(&l->store, &l->row, "", err);
}

/* As many objects as the rate allows until then. */
static enum pr_code scrub(struct dr_life *l, int64_t until_us, struct pr_err *err)
{
    bool done = false;
    enum pr_code rc = PR_OK;
    while (rc == PR_OK && !done && l->read_us < until_us && pr_mono_us() < until_us) {
        uint64_t bytes = 0;
        if (!rest(l, l->read_us))
            return pr_fail(err, PR_ECANCELED, "scrub: stopped");
        rc = dr_scrub_step(l->scrub, &bytes, &done, err);
        const int64_t now_us = pr_mono_us();
        l->read_us = (l->read_us > now_us - TURN_US ? l->read_us : now_us) +
                     (int64_t)(bytes * 1000000 / (uint64_t)l->o.cfg->scrub_bps);
        l->row.scrub_objects += bytes > 0;
        l->row.scrub_bytes += (int64_t)bytes;
        pr_metrics_add(l->o.metrics, M_SCRUBBED, NULL, (double)bytes);
    }
    if (rc != PR_OK)
        return rc;
    if (done)
        return end_pass(l, err);
    if (pr_mono_us() - l->saved_us < SAVE_US)
        return PR_OK;
    l->saved_us = pr_mono_us();
    (void)snprintf(l->row.scrub_object, sizeof l->row.scrub_object, "%s", dr_scrub_at(l->scrub));
    return dr_life_scrubbed(&l->store, &l->row, "", err);
}

/* The pass goes on with the same object; where it cannot, from where it was saved. */
static enum pr_code scrub_failed(struct dr_life *l, enum pr_code rc, struct pr_err *err)
{
    struct pr_err unsaved = { 0 };
    if (!pr_retryable(rc) || rc == PR_EFENCED) {
        dr_scrub_close(l->scrub);
        l->scrub = NULL;
    }
    l->scrub_us = pr_mono_us() + RETRY_US;
    if (rc != PR_ECANCELED && rc != PR_EFENCED &&
        dr_life_scrubbed(&l->store, &l->row, err->text, &unsaved) != PR_OK)
        pr_warn(PR_EV("dr.scrub_not_saved"), PR_E(&unsaved));
    return rc;
}

static enum pr_code scrub_turn(struct dr_life *l, int64_t now_ms, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    const bool open = l->row.scrub_begun_ms != 0 && l->row.scrub_ended_ms == 0;
    if (l->scrub == NULL && !open && now_ms < l->row.scrub_begun_ms + l->o.cfg->scrub_ms)
        return PR_OK;
    if (pr_mono_us() < l->scrub_us)
        return PR_OK;
    if (l->scrub == NULL)
        rc = begin_pass(l, now_ms, err);
    if (rc == PR_OK)
        rc = scrub(l, pr_mono_us() + TURN_US, err);
    return rc == PR_OK ? PR_OK : scrub_failed(l, rc, err);
}

/* --- the thread ------------------------------------------------------------------------------- */

/* Whoever leads says how old things are: what was said here last would stand for ever. While
 * PostgreSQL is away nobody leads, and it stands. */
static void unsay(struct dr_life *l)
{
    static const int said[] = { M_DRILL_AGE, M_DAMAGED, M_SCRUB_AGE };
    for (size_t i = 0; i < PR_COUNT(said); i++)
        pr_metrics_set(l->o.metrics, said[i], NULL, 0);
    l->told = false;
}

static void let_go(struct dr_life *l)
{
    dr_orders_let_go(&l->orders);
    dr_scrub_close(l->scrub);
    l->scrub = NULL;
    l->lease.epoch = 0;
}

static enum pr_code take_over(struct dr_life *l, struct pr_err *err)
{
    struct pr_lease now;
    enum pr_code rc = pr_tenure_lease(l->tenure, &now, err);
    if (rc != PR_OK)
        return rc;
    pthread_mutex_lock(&l->mu);
    atomic_store(&l->cancel, l->stop);
    pthread_mutex_unlock(&l->mu);
    if (now.epoch == l->lease.epoch)
        return PR_OK;
    let_go(l);
    l->lease = now;
    l->store = (struct dr_life_db){ l->db, &l->lease, l->o.cfg->cluster };
    rc = dr_life_requeue(&l->store, err);
    if (rc == PR_OK)
        rc = dr_orders_requeue(&l->store, err);
    if (rc != PR_OK)
        l->lease.epoch = 0; /* again, next turn */
    return rc;
}

static void measure(struct dr_life *l, int64_t now_ms)
{
    const int64_t age_ms = now_ms - l->row.good_drill_ms;
    pr_metrics_set(l->o.metrics, M_DRILL_AGE, NULL, (double)age_ms / 1e3);
    pr_metrics_set(l->o.metrics, M_DAMAGED, NULL, (double)l->row.damaged);
    pr_metrics_set(l->o.metrics, M_SCRUB_AGE, NULL,
                   l->row.scrub_begun_ms == 0 ? 0 : (double)(now_ms - l->row.scrub_begun_ms) / 1e3);
    if (age_ms > OVERDUE_MS && !l->overdue)
        pr_error(PR_EV("dr.drill_overdue"), PR_I("age_s", age_ms / 1000));
    l->overdue = age_ms > OVERDUE_MS;
    l->told = true;
}

/* What is known of a pass under way is newer here than in its row. */
static enum pr_code refresh(struct dr_life *l, struct pr_err *err)
{
    struct dr_life_row row;
    const enum pr_code rc = dr_life_load(&l->store, &row, err);
    if (rc != PR_OK)
        return rc;
    if (l->scrub != NULL) {
        row.scrub_begun_ms = l->row.scrub_begun_ms;
        row.scrub_objects = l->row.scrub_objects;
        row.scrub_bytes = l->row.scrub_bytes;
    }
    l->row = row;
    return PR_OK;
}

static enum pr_code turn(struct dr_life *l, struct pr_err *err)
{
    const int64_t now_ms = pr_now_ms();
    bool busy = false;
    enum pr_code rc = take_over(l, err);
    if (rc == PR_OK)
        rc = refresh(l, err);
    if (rc != PR_OK)
        return rc;
    measure(l, now_ms);
    rc = dr_orders_turn(&l->orders, &l->store, &busy, err);
    if (rc == PR_OK && !busy) /* a restore has the memory, and nothing it reads goes */
        rc = drills(l, now_ms, err);
    if (rc == PR_OK && !busy && now_ms >= l->row.retained_ms + l->o.cfg->retain_ms &&
        pr_mono_us() >= l->retain_us) {
        rc = retain(l, now_ms, err);
        l->retain_us = rc == PR_OK ? 0 : pr_mono_us() + RETRY_US;
    }
    return rc == PR_OK ? scrub_turn(l, now_ms, err) : rc;
}

static void *run(void *arg)
{
    struct dr_life *l = arg;
    bool go_on = true;
    while (go_on) {
        struct pr_err err = { 0 };
        const int64_t next_us = pr_mono_us() + TURN_US;
        if (pr_tenure_epoch(l->tenure) != 0) {
            const enum pr_code rc = turn(l, &err);
            if (rc == PR_EFENCED)
                pr_tenure_lost(l->tenure, l->lease.epoch);
            if (rc != PR_OK && rc != PR_ECANCELED)
                pr_warn(PR_EV("dr.life_failed"), PR_S("code", pr_code_name(rc)), PR_E(&err));
        } else {
            if (l->lease.epoch != 0)
                let_go(l);
            if (l->told && pr_tenure_taken(l->tenure))
                unsay(l);
        }
        go_on = rest(l, next_us);
    }
    let_go(l);
    return NULL;
}

/* --- start and stop --------------------------------------------------------------------------- */

static void discard(struct dr_life *l)
{
    pr_tenure_stop(l->tenure);
    pr_db_close(l->db);
    pthread_cond_destroy(&l->woken);
    pthread_mutex_destroy(&l->mu);
    free(l);
}

enum pr_code dr_life_start(struct dr_life **out, const struct dr_life_options *o,
                           struct pr_err *err)
{
    struct dr_life *l = calloc(1, sizeof *l);
    if (l == NULL)
        return pr_fail(err, PR_ENOMEM, "dr-life: no memory");
    l->o = *o;
    l->orders = (struct dr_orders){ .cfg = o->cfg, .store = o->store, .db_uri = o->db_uri };
    pthread_mutex_init(&l->mu, NULL);
    pr_cond_init(&l->woken);
    const struct pr_tenure_options t = { .db_uri = o->db_uri,
                                         .lease = "dr-life",
                                         .holder = o->holder,
                                         .ttl_ms = o->cfg->lease_ttl_ms,
                                         .max_apart_ms = DR_CLOCKS_APART_MS,
                                         .changed = on_lease,
                                         .ctx = l };
    enum pr_code rc = pr_db_open(&l->db, o->db_uri, "prism-dr-life", err);
    if (rc == PR_OK)
        rc = pr_tenure_start(&l->tenure, &t, err);
    if (rc == PR_OK && pthread_create(&l->thread, NULL, run, l) != 0)
        rc = pr_fail(err, PR_ENOMEM, "dr-life: no thread");
    if (rc != PR_OK)
        discard(l);
    else
        *out = l;
    return rc;
}

void dr_life_stop(struct dr_life *l)
{
    if (l == NULL)
        return;
    pthread_mutex_lock(&l->mu);
    l->stop = true;
    atomic_store(&l->cancel, true);
    atomic_store(&l->orders.cancel, true);
    pthread_cond_signal(&l->woken);
    pthread_mutex_unlock(&l->mu);
    pthread_join(l->thread, NULL);
    discard(l);
}
