#include "io/tenure.h"

#include "io/clock.h"
#include "io/settings.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char LEASE[] = "autoscale";

static void set_epoch(struct autoscale_tenure *t, uint64_t epoch)
{
    if (atomic_exchange(&t->epoch, epoch) == epoch)
        return;
    pr_metrics_set(t->metrics, M_LEASE, NULL, epoch != 0);
    pr_info(PR_EV(epoch != 0 ? "autoscale.lease_held" : "autoscale.lease_not_held"),
            PR_I("epoch", epoch));
}

static void nap(int64_t ms)
{
    const struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };
    (void)nanosleep(&ts, NULL);
}

static void name_lease(const struct autoscale_tenure *t, struct pr_lease *l)
{
    *l = (struct pr_lease){ .ttl_ms = t->ttl_ms };
    memcpy(l->name, LEASE, sizeof LEASE);
    (void)snprintf(l->holder, sizeof l->holder, "%s", t->holder);
}

/* Whoever's clock is right shall have it. It is not given back but left to run out: a call that is
 * under way ends before that. */
static enum pr_code hold(struct autoscale_tenure *t, struct pr_db *db, struct pr_lease *l,
                         struct pr_err *err)
{
    int64_t ahead_ms = 0;
    char why[160];
    enum pr_code rc = autoscale_clock_ahead(db, t->now_ms, &ahead_ms, err);
    if (rc != PR_OK)
        return rc;
    const bool apart = autoscale_clock_apart(ahead_ms, why);
    if (atomic_exchange(&t->clock_is_off, apart) != apart) {
        if (apart)
            pr_warn(PR_EV("autoscale.clock"), PR_S("why", why));
        else
            pr_info(PR_EV("autoscale.clock_is_right"));
    }
    return apart ? pr_fail(err, PR_ECONFLICT, "%s", why) : pr_lease_hold(db, l, err);
}

static void *keep(void *arg)
{
    struct autoscale_tenure *t = arg;
    struct pr_err err = { 0 };
    struct pr_db *db = NULL;
    struct pr_lease l;
    name_lease(t, &l);
    if (pr_db_open(&db, t->uri, "prism-autoscale-lease", &err) != PR_OK) {
        pr_error(PR_EV("autoscale.lease_failed"), PR_E(&err));
        return NULL;
    }
    while (!atomic_load(&t->let_go)) {
        const int64_t asked_us = pr_mono_us();
        const enum pr_code rc = hold(t, db, &l, &err);
        if (rc == PR_OK) {
            atomic_store(&t->good_until_us, asked_us + (l.ttl_ms - 1000) * 1000);
            set_epoch(t, l.epoch);
        } else if (rc == PR_ECONFLICT || pr_mono_us() > atomic_load(&t->good_until_us)) {
            set_epoch(t, 0);
        }
        const int64_t until_us = asked_us + (rc == PR_OK ? l.ttl_ms * 1000 / 4 : 500000);
        while (!atomic_load(&t->let_go) && pr_mono_us() < until_us)
            nap(20);
    }
    pr_lease_release(db, &l);
    set_epoch(t, 0);
    pr_db_close(db);
    return NULL;
}

enum pr_code autoscale_tenure_start(struct autoscale_tenure *t, const char *db_uri,
                                    const char *holder, int64_t ttl_ms, struct pr_metrics *metrics,
                                    struct pr_err *err)
{
    t->ttl_ms = ttl_ms;
    if (t->now_ms == NULL)
        t->now_ms = pr_now_ms;
    t->metrics = metrics;
    (void)snprintf(t->uri, sizeof t->uri, "%s", db_uri);
    (void)snprintf(t->holder, sizeof t->holder, "%s", holder);
    t->runs = pthread_create(&t->keeper, NULL, keep, t) == 0;
    return t->runs ? PR_OK : pr_fail(err, PR_ENOMEM, "no thread for the lease");
}

void autoscale_tenure_stop(struct autoscale_tenure *t)
{
    if (!t->runs)
        return;
    atomic_store(&t->let_go, true);
    pthread_join(t->keeper, NULL);
    t->runs = false;
}

enum pr_code autoscale_tenure_lease(struct autoscale_tenure *t, struct pr_lease *out,
                                    struct pr_err *err)
{
    name_lease(t, out);
    out->epoch = atomic_load(&t->epoch);
    return out->epoch != 0 ? PR_OK : pr_fail(err, PR_EFENCED, "another replica leads");
}

int64_t autoscale_tenure_left_ms(struct autoscale_tenure *t, uint64_t epoch)
{
    if (epoch == 0 || atomic_load(&t->epoch) != epoch)
        return 0;
    const int64_t left_ms = (atomic_load(&t->good_until_us) - pr_mono_us()) / 1000;
    return left_ms > 0 ? left_ms : 0;
}

void autoscale_tenure_lost(struct autoscale_tenure *t, uint64_t epoch)
{
    unsigned long long is = epoch;
    if (atomic_compare_exchange_strong(&t->epoch, &is, 0)) {
        pr_metrics_set(t->metrics, M_LEASE, NULL, 0);
        pr_info(PR_EV("autoscale.lease_not_held"), PR_I("epoch", epoch));
    }
}
