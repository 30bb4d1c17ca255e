/* The lease "autoscale": one replica decides and acts, whose clock agrees with the database's. A
 * thread of its own keeps it. */
#ifndef AUTOSCALE_TENURE_H
#define AUTOSCALE_TENURE_H

#include "prism/io/lease.h"
#include "prism/io/metrics.h"

#include <pthread.h>
#include <stdatomic.h>

struct autoscale_tenure {
    char uri[2049], holder[64];
    int64_t ttl_ms;
    struct pr_metrics *metrics;
    atomic_ullong epoch;              /* 0: not held */
    atomic_llong good_until_us;       /* by our clock, on the safe side of PostgreSQL's */
    atomic_bool let_go, clock_is_off; /* off: it is not held, nor asked for */
    int64_t (*now_ms)(void);          /* this machine's clock; NULL: pr_now_ms */
    pthread_t keeper;
    bool runs;
};

PR_CHECKED enum pr_code autoscale_tenure_start(struct autoscale_tenure *t, const char *db_uri,
                                               const char *holder, int64_t ttl_ms,
                                               struct pr_metrics *metrics, struct pr_err *err);
void autoscale_tenure_stop(struct autoscale_tenure *t); /* gives it back; zeroed is fine */

/* What to act under. PR_EFENCED: it is not ours. */
PR_CHECKED enum pr_code autoscale_tenure_lease(struct autoscale_tenure *t, struct pr_lease *out,
                                               struct pr_err *err);
/* How long it is ours for certain, under that epoch; 0: not. */
int64_t autoscale_tenure_left_ms(struct autoscale_tenure *t, uint64_t epoch);
/* Fenced by PostgreSQL: somebody else has it. */
void autoscale_tenure_lost(struct autoscale_tenure *t, uint64_t epoch);

#endif
