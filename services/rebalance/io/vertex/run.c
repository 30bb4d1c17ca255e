#include "io/vertex/run.h"

#include <stdio.h>
#include <time.h>

static void set_text(struct rebalance_run *r, char *to, size_t size, const char *why)
{
    pthread_mutex_lock(&r->lock);
    snprintf(to, size, "%s", why == NULL ? "" : why);
    pthread_mutex_unlock(&r->lock);
}

void rebalance_run_waits(struct rebalance_run *r, const char *why)
{
    set_text(r, r->waits_for, sizeof r->waits_for, why);
}

void rebalance_run_left(struct rebalance_run *r, const char *why)
{
    set_text(r, r->left_why, sizeof r->left_why, why);
}

void rebalance_run_fail(struct rebalance_run *r, const struct pr_err *err)
{
    pthread_mutex_lock(&r->lock);
    if (r->fatal.code == PR_OK)
        r->fatal = *err;
    pthread_mutex_unlock(&r->lock);
    int on = REBALANCE_RUN_ON;
    (void)atomic_compare_exchange_strong(
        &r->stop, &on, err->code == PR_EFENCED ? REBALANCE_ABANDON : REBALANCE_FINISH);
}

bool rebalance_run_pause(struct rebalance_run *r, unsigned us)
{
    enum { STEP_US = 50000 };
    while (us > 0 && atomic_load(&r->stop) != REBALANCE_ABANDON) {
        const unsigned now = us > STEP_US ? STEP_US : us;
        const struct timespec ts = { 0, (long)now * 1000 };
        (void)nanosleep(&ts, NULL);
        us -= now;
    }
    return atomic_load(&r->stop) != REBALANCE_ABANDON;
}
