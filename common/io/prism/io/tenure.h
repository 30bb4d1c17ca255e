/* Keeps a lease by a thread of its own, and says how long it is ours for certain. */
#ifndef PRISM_IO_TENURE_H
#define PRISM_IO_TENURE_H

#include "prism/io/lease.h"

struct pr_tenure;

struct pr_tenure_options {
    const char *db_uri, *lease, *holder; /* copied */
    int64_t ttl_ms;                      /* over 1,000 */
    int64_t
        max_apart_ms; /* beyond which from PostgreSQL's this machine's clock is off: the lease is
                       * neither held nor asked for, and logged as lease.clock; 0: no matter */
    int64_t (*now_ms)(void); /* this machine's clock; NULL: pr_now_ms */
    /* From the thread, whenever it changes; epoch 0: not ours. */
    void (*changed)(void *ctx, uint64_t epoch);
    void *ctx;
};

PR_CHECKED enum pr_code pr_tenure_start(struct pr_tenure **out, const struct pr_tenure_options *o,
                                        struct pr_err *err);
void pr_tenure_stop(struct pr_tenure *t); /* gives it back; NULL is fine */

uint64_t pr_tenure_epoch(const struct pr_tenure *t); /* 0: not held */
/* What to act under. PR_EFENCED: it is not ours. */
PR_CHECKED enum pr_code pr_tenure_lease(struct pr_tenure *t, struct pr_lease *out,
                                        struct pr_err *err);
/* How long it is ours for certain, under that epoch; 0: not. */
int64_t pr_tenure_left_ms(const struct pr_tenure *t, uint64_t epoch);
/* The last that PostgreSQL said is that somebody else has it, or our clock is off, so that somebody
 * else shall. False also while it says nothing:
 * then an epoch of 0 means that it may have run out, and the same one may come back. */
bool pr_tenure_taken(const struct pr_tenure *t);
/* The last look found the clocks too far apart. */
bool pr_tenure_clock_is_off(const struct pr_tenure *t);
/* Fenced by PostgreSQL: somebody else has it. */
void pr_tenure_lost(struct pr_tenure *t, uint64_t epoch);

#endif
