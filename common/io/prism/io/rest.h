/* Waiting on a condition variable until a time of the monotonic clock (prism/io/clock.h). */
#ifndef PRISM_IO_REST_H
#define PRISM_IO_REST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* One that knows the monotonic clock, as the two below want it. */
void pr_cond_init(pthread_cond_t *c);
/* With mu held. False: the time is up. */
bool pr_cond_until(pthread_cond_t *c, pthread_mutex_t *mu, int64_t until_us);
/* Takes mu, and waits until then or until *stop, which is set under mu; whether to go on. */
bool pr_rest(pthread_mutex_t *mu, pthread_cond_t *c, const bool *stop, int64_t until_us);

#endif
