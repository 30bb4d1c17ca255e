#include "io/slot/run.h"

#include "prism/io/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void set_text(struct rebalance_slot_run *run, char *to, size_t size, const char *why)
{
    pthread_mutex_lock(&run->lock);
    snprintf(to, size, "%s", why == NULL ? "" : why);
    pthread_mutex_unlock(&run->lock);
}

void rebalance_slot_run_waits(struct rebalance_slot_run *run, const char *why)
{
    set_text(run, run->waits_for, sizeof run->waits_for, why);
}

void rebalance_slot_run_slowed(struct rebalance_slot_run *run, const char *why)
{
    set_text(run, run->slowed, sizeof run->slowed, why);
}

void rebalance_slot_run_rate(struct rebalance_slot_run *run, double rate, int64_t now_us)
{
    enum { SHOWN_US = 1000000 };
    pthread_mutex_lock(&run->lock);
    if (now_us - run->rate_us >= SHOWN_US) {
        run->least_rate = run->rate_us == 0 ? 1 : run->next_rate;
        run->next_rate = 1;
        run->rate_us = now_us;
    }
    run->next_rate = rate < run->next_rate ? rate : run->next_rate;
    run->least_rate = rate < run->least_rate ? rate : run->least_rate;
    pr_metrics_set(run->metrics, M_SLOT_RATE, NULL, run->least_rate);
    pthread_mutex_unlock(&run->lock);
}

void rebalance_slot_run_fail(struct rebalance_slot_run *run, const struct pr_err *err)
{
    pthread_mutex_lock(&run->lock);
    if (run->fatal.code == PR_OK)
        run->fatal = *err;
    pthread_mutex_unlock(&run->lock);
    int on = REBALANCE_RUN_ON;
    atomic_store(&run->to_the_end, true); /* before the order: who sees that sees this */
    if (err->code == PR_EFENCED)
        atomic_store(run->stop, REBALANCE_ABANDON);
    else
        (void)atomic_compare_exchange_strong(run->stop, &on, REBALANCE_FINISH);
}

void rebalance_slot_run_stuck(struct rebalance_slot_run *run, const char *why)
{
    atomic_fetch_add(&run->stuck, 1);
    atomic_store(&run->to_the_end, true);
    pthread_mutex_lock(&run->lock);
    if (run->stuck_why[0] == '\0')
        snprintf(run->stuck_why, sizeof run->stuck_why, "%s", why);
    pthread_mutex_unlock(&run->lock);
}

void rebalance_slot_run_says(struct rebalance_slot_run *run, char *out, size_t n)
{
    pthread_mutex_lock(&run->lock);
    if (run->stuck_why[0] != '\0')
        snprintf(out, n, "stuck: %s", run->stuck_why);
    else if (run->waits_for[0] != '\0')
        snprintf(out, n, "waiting: %s", run->waits_for);
    else if (run->slowed[0] != '\0')
        snprintf(out, n, "slowed down: %s", run->slowed);
    else if (n > 0)
        out[0] = '\0';
    pthread_mutex_unlock(&run->lock);
}

/* The two directions of a zone pair are paid for alike and share a budget. */
struct rebalance_bucket *rebalance_slot_run_zones(struct rebalance_slot_run *run, const char *a,
                                                  const char *b, int64_t now_us)
{
    const double rate = run->cfg->slot_zone_bytes_per_s;
    if (rate <= 0 || strcmp(a, b) == 0 || a[0] == '\0' || b[0] == '\0')
        return NULL;
    const char *first = strcmp(a, b) < 0 ? a : b, *second = first == a ? b : a;
    for (size_t i = 0; i < run->n_zones; i++)
        if (strcmp(run->zones[i].a, first) == 0 && strcmp(run->zones[i].b, second) == 0)
            return &run->zones[i].bucket;
    if (run->n_zones == REBALANCE_ZONE_PAIRS) /* eleven zones in one region: share the last */
        return &run->zones[REBALANCE_ZONE_PAIRS - 1].bucket;
    struct rebalance_zone_pair *z = &run->zones[run->n_zones++];
    snprintf(z->a, sizeof z->a, "%s", first);
    snprintf(z->b, sizeof z->b, "%s", second);
    rebalance_bucket_init(&z->bucket, rate, 0, now_us);
    return &z->bucket;
}

bool rebalance_slot_run_pause(const struct rebalance_slot_run *run, int64_t us)
{
    enum { STEP_US = 20000 };
    while (us > 0 && rebalance_slot_run_order(run) != REBALANCE_ABANDON) {
        const int64_t now = us > STEP_US ? STEP_US : us;
        const struct timespec ts = { 0, (long)now * 1000 };
        (void)nanosleep(&ts, NULL);
        us -= now;
    }
    return rebalance_slot_run_order(run) != REBALANCE_ABANDON;
}
