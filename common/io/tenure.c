#include "prism/io/tenure.h"

#include "prism/clocks.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/io/rest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pr_tenure {
    struct pr_tenure_options o;
    char uri[2049], holder[64], lease[64];
    struct pr_db *db;
    atomic_ullong epoch;        /* 0: not held */
    atomic_llong good_until_us; /* by our clock, on the safe side of PostgreSQL's */
    atomic_bool taken;          /* PostgreSQL said so */
    atomic_bool clock_is_off;
    pthread_mutex_t mu;
    pthread_cond_t woken;
    bool let_go;
    pthread_t keeper;
};

static void set_epoch(struct pr_tenure *t, uint64_t epoch)
{
    if (atomic_exchange(&t->epoch, epoch) != epoch && t->o.changed != NULL)
        t->o.changed(t->o.ctx, epoch);
}

static void name_lease(const struct pr_tenure *t, struct pr_lease *l)
{
    *l = (struct pr_lease){ .ttl_ms = t->o.ttl_ms };
    (void)snprintf(l->name, sizeof l->name, "%s", t->lease);
    (void)snprintf(l->holder, sizeof l->holder, "%s", t->holder);
}

static enum pr_code ahead_of_database(struct pr_tenure *t, int64_t *ahead_ms, struct pr_err *err)
{
    PGresult *got = NULL;
    const int64_t before_ms = t->o.now_ms();
    enum pr_code rc = pr_db_exec(
        t->db, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint", NULL, 0, &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "the database's clock");
    PR_AUTO(PGresult) *res = got;
    *ahead_ms = pr_clock_off(before_ms, pr_cell_i64(res, 0, 0), t->o.now_ms());
    return PR_OK;
}

/* Whoever's clock is right shall have it. */
static enum pr_code compare_clocks(struct pr_tenure *t, struct pr_err *err)
{
    int64_t ahead_ms = 0;
    enum pr_code rc = t->o.max_apart_ms > 0 ? ahead_of_database(t, &ahead_ms, err) : PR_OK;
    if (rc != PR_OK)
        return rc;
    const bool off = ahead_ms > t->o.max_apart_ms || ahead_ms < -t->o.max_apart_ms;
    if (atomic_exchange(&t->clock_is_off, off) != off) {
        if (off)
            pr_warn(PR_EV("lease.clock"), PR_S("lease", t->lease), PR_I("ahead_ms", ahead_ms));
        else
            pr_info(PR_EV("lease.clock_is_right"), PR_S("lease", t->lease));
    }
    return PR_OK;
}

/* A lease that is not held because of the
 * clock is not given back but left to run out: what is under way ends before that. */
static enum pr_code hold(struct pr_tenure *t, struct pr_lease *l, struct pr_err *err)
{
    enum pr_code rc = compare_clocks(t, err);
    if (rc != PR_OK)
        return rc;
    rc = atomic_load(&t->clock_is_off)
             ? pr_fail(err, PR_ECONFLICT, "our clock is not the database's")
             : pr_lease_hold(t->db, l, err);
    if (rc == PR_OK || rc == PR_ECONFLICT)
        atomic_store(&t->taken, rc == PR_ECONFLICT);
    return rc;
}

static void *keep(void *arg)
{
    struct pr_tenure *t = arg;
    struct pr_err err = { 0 };
    struct pr_lease l;
    int64_t until_us;
    name_lease(t, &l);
    do {
        const int64_t asked_us = pr_mono_us();
        const enum pr_code rc = hold(t, &l, &err);
        if (rc == PR_OK) {
            atomic_store(&t->good_until_us, asked_us + (l.ttl_ms - 1000) * 1000);
            set_epoch(t, l.epoch);
        } else if (rc == PR_ECONFLICT || pr_mono_us() > atomic_load(&t->good_until_us)) {
            set_epoch(t, 0);
        }
        until_us = asked_us + (rc == PR_OK ? l.ttl_ms * 1000 / 4 : 500000);
    } while (pr_rest(&t->mu, &t->woken, &t->let_go, until_us));
    set_epoch(t, 0);
    pr_lease_release(t->db, &l);
    return NULL;
}

static void discard(struct pr_tenure *t)
{
    pr_db_close(t->db);
    pthread_cond_destroy(&t->woken);
    pthread_mutex_destroy(&t->mu);
    free(t);
}

enum pr_code pr_tenure_start(struct pr_tenure **out, const struct pr_tenure_options *o,
                             struct pr_err *err)
{
    struct pr_tenure *t = calloc(1, sizeof *t);
    if (t == NULL)
        return pr_fail(err, PR_ENOMEM, "lease %s: no memory", o->lease);
    t->o = *o;
    if (t->o.now_ms == NULL)
        t->o.now_ms = pr_now_ms;
    (void)snprintf(t->uri, sizeof t->uri, "%s", o->db_uri);
    (void)snprintf(t->lease, sizeof t->lease, "%s", o->lease);
    (void)snprintf(t->holder, sizeof t->holder, "%s", o->holder);
    pthread_mutex_init(&t->mu, NULL);
    pr_cond_init(&t->woken);
    enum pr_code rc = pr_db_open(&t->db, t->uri, "prism-lease", err);
    if (rc == PR_OK && pthread_create(&t->keeper, NULL, keep, t) != 0)
        rc = pr_fail(err, PR_ENOMEM, "no thread for lease %s", t->lease);
    if (rc != PR_OK)
        discard(t);
    else
        *out = t;
    return rc;
}

void pr_tenure_stop(struct pr_tenure *t)
{
    if (t == NULL)
        return;
    pthread_mutex_lock(&t->mu);
    t->let_go = true;
    pthread_cond_signal(&t->woken);
    pthread_mutex_unlock(&t->mu);
    pthread_join(t->keeper, NULL);
    discard(t);
}

uint64_t pr_tenure_epoch(const struct pr_tenure *t)
{
    return atomic_load(&t->epoch);
}

enum pr_code pr_tenure_lease(struct pr_tenure *t, struct pr_lease *out, struct pr_err *err)
{
    name_lease(t, out);
    out->epoch = atomic_load(&t->epoch);
    return out->epoch != 0 ? PR_OK
                           : pr_fail(err, PR_EFENCED, "lease %s: another replica has it", t->lease);
}

int64_t pr_tenure_left_ms(const struct pr_tenure *t, uint64_t epoch)
{
    if (epoch == 0 || atomic_load(&t->epoch) != epoch)
        return 0;
    const int64_t left_ms = (atomic_load(&t->good_until_us) - pr_mono_us()) / 1000;
    return left_ms > 0 ? left_ms : 0;
}

bool pr_tenure_taken(const struct pr_tenure *t)
{
    return atomic_load(&t->taken);
}

bool pr_tenure_clock_is_off(const struct pr_tenure *t)
{
    return atomic_load(&t->clock_is_off);
}

void pr_tenure_lost(struct pr_tenure *t, uint64_t epoch)
{
    unsigned long long is = epoch;
    atomic_store(&t->taken, true);
    if (atomic_compare_exchange_strong(&t->epoch, &is, 0) && t->o.changed != NULL)
        t->o.changed(t->o.ctx, 0);
}
