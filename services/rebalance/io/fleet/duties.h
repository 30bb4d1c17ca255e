/* The steps of a fleet plan that move no slot: meet, replicate, failover, forget. Each
 * runs until the cluster itself reports it done, and may be run again at any time. */
#ifndef REBALANCE_DUTIES_H
#define REBALANCE_DUTIES_H

#include "io/settings.h"
#include "io/users.h"

#include "prism/io/db.h"
#include "prism/io/lease.h"
#include "prism/io/redis.h"

#include <stdatomic.h>

struct rebalance_duty_ctx { /* all borrowed */
    const struct rebalance_config *cfg;
    struct pr_db *db;
    struct pr_cluster *cluster;        /* as the service's own user: it looks and makes users */
    const struct rebalance_user *user; /* of the fleet: it acts */
    const struct pr_lease *lease;
    int64_t plan_id;
    int64_t (*lease_left_ms)(void *lease_ctx); /* NULL: for ever */
    void *lease_ctx;
    const atomic_int *stop;       /* not 0: come back soon; NULL: never */
    void (*tend)(void *tend_ctx); /* called every few ms while waiting; NULL: nothing */
    void *tend_ctx;
    bool allow_big_keys, allow_no_replicas; /* as in a plan's params; of a repair */
};

struct rebalance_duty_step { /* a row of steps; borrowed */
    int step;
    const char *kind; /* meet, replicate, failover, forget */
    const char *shard, *src, *dst, *state;
    bool stuck; /* out: the row says so, and why */
};

/* Row: planned -> acting -> verified, or stuck with the reason (PR_OK, step->stuck).
 * PR_ECANCELED: asked to stop before it was verified. PR_EFENCED: no longer ours.
 * PR_EUNAVAIL, PR_ETIMEOUT: something does not answer or is not ready yet, err and
 * the row say what: run it again later. */
PR_CHECKED enum pr_code rebalance_duty(const struct rebalance_duty_ctx *ctx,
                                       struct rebalance_duty_step *step, struct pr_err *err);

/* Makes a member of the cluster follow the primary of a shard, without a row of steps:
 * for one that came back from a failure. Codes as above. */
PR_CHECKED enum pr_code rebalance_duty_follow(const struct rebalance_duty_ctx *ctx,
                                              const char *node, const char *shard,
                                              struct pr_err *err);

#endif
