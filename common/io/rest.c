#include "prism/io/rest.h"

#include <errno.h>
#include <time.h>

void pr_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t by_mono;
    pthread_condattr_init(&by_mono);
    pthread_condattr_setclock(&by_mono, CLOCK_MONOTONIC);
    pthread_cond_init(c, &by_mono);
    pthread_condattr_destroy(&by_mono);
}

bool pr_cond_until(pthread_cond_t *c, pthread_mutex_t *mu, int64_t until_us)
{
    const struct timespec at = { until_us / 1000000, (long)(until_us % 1000000) * 1000 };
    return pthread_cond_timedwait(c, mu, &at) != ETIMEDOUT;
}

bool pr_rest(pthread_mutex_t *mu, pthread_cond_t *c, const bool *stop, int64_t until_us)
{
    pthread_mutex_lock(mu);
    while (!*stop && pr_cond_until(c, mu, until_us))
        ;
    const bool go_on = !*stop;
    pthread_mutex_unlock(mu);
    return go_on;
}
