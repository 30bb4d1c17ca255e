/* Moving the slots of one wave: one run, shared by its workers, each of which
 * takes a pair of nodes and moves the pair's slots one after the other. What is
 * not atomic or under the lock is only read while workers run; zero is a good
 * beginning for everything that its comment does not demand. */
#ifndef REBALANCE_SLOT_RUN_H
#define REBALANCE_SLOT_RUN_H

#include "core/slot/throttle.h"
#include "io/orders.h"
#include "io/settings.h"

#include "prism/io/lease.h"
#include "prism/io/redis.h"

#include <pthread.h>
#include <stdatomic.h>

struct rebalance_slot_pair { /* nodes.id; each shard is in one pair of a run at most */
    char src[64], dst[64];
};

enum { REBALANCE_ZONE_PAIRS = 64 };
struct rebalance_zone_pair {
    char a[32], b[32];
    struct rebalance_bucket bucket;
};

struct rebalance_slot_run {
    const struct rebalance_config *cfg;
    const char *db_uri;
    struct pr_metrics *metrics;
    const char *seeds;                   /* of the cluster */
    struct pr_redis_auth service, mover; /* mover: this epoch's user of kind FLEET */
    struct pr_lease lease;               /* as held when the run began */
    int64_t (*lease_left_ms)(void *ctx); /* no command is sent with less left than its time-out */
    void *lease_ctx;
    int64_t plan_id;
    int wave;
    const struct rebalance_slot_pair *pair; /* [pairs] */
    size_t pairs;
    bool allow_big_keys, allow_no_replicas; /* what somebody approved */
    /* FINISH brings an open slot to its end however long it takes. Also set when a pair
     * fails or is stuck: the plan is over then, and nobody watches what stays open. */
    atomic_bool to_the_end;

    atomic_int *stop;       /* enum rebalance_stop. FINISH: finish the open slot, begin no other */
    atomic_bool *roll_back; /* and with it: an open slot without moved keys is given up */

    atomic_size_t next_pair, workers_left; /* workers_left: set before they start */
    atomic_size_t holding;                 /* workers that hold a slot open through a pause */
    atomic_ullong keys, bytes;             /* moved; bytes as MEMORY USAGE counts */
    atomic_ullong verified, rolled_back, stuck, interruptions;
    atomic_bool users_missing; /* a node refused the mover's user: make it again */

    pthread_mutex_t lock; /* initialised by the caller */
    char waits_for[200];  /* why some pair stands still; "": none does */
    char slowed[96];      /* by what the throttle holds some pair back; "" */
    char stuck_why[256];  /* of the first slot that is stuck */
    struct pr_err fatal;  /* first failure that ends the wave; code PR_OK: none */
    struct rebalance_zone_pair zones[REBALANCE_ZONE_PAIRS];
    size_t n_zones;
    double least_rate, next_rate; /* of the throttles: in the last second, in this one */
    int64_t rate_us;
};

/* Thread function; arg: the run. Takes pairs until none is left or it is told to
 * stop. A slot that is stuck is in its row and in run->stuck; it ends its pair.
 * What ends the wave is in run->fatal. */
void *rebalance_slot_worker_main(void *arg);

/* What the run waits for or is slowed down by; "" when neither. */
void rebalance_slot_run_says(struct rebalance_slot_run *run, char *out, size_t n);

/* --- for workers ------------------------------------------------------------------ */
void rebalance_slot_run_waits(struct rebalance_slot_run *run, const char *why); /* NULL clears */
void rebalance_slot_run_slowed(struct rebalance_slot_run *run, const char *why);
/* A throttle's rate: the gauge shows the least of all pairs. */
void rebalance_slot_run_rate(struct rebalance_slot_run *run, double rate, int64_t now_us);
void rebalance_slot_run_fail(struct rebalance_slot_run *run, const struct pr_err *err);
void rebalance_slot_run_stuck(struct rebalance_slot_run *run, const char *why);
/* The bytes that may flow between two zones; NULL: unlimited. Use under the lock. */
struct rebalance_bucket *rebalance_slot_run_zones(struct rebalance_slot_run *run, const char *a,
                                                  const char *b, int64_t now_us);
static inline int rebalance_slot_run_order(const struct rebalance_slot_run *run)
{
    return atomic_load_explicit(run->stop, memory_order_relaxed);
}
/* Sleeps in short steps; false at once when the run is abandoned. A worker with a slot in
 * hand uses rebalance_pair_pause. */
bool rebalance_slot_run_pause(const struct rebalance_slot_run *run, int64_t us);

/* dr.c: tells dr of pairs that are over since their plan is, as whoever moved them did not. Any
 * replica may, at any time. */
PR_CHECKED enum pr_code rebalance_gives_sweep(struct pr_db *db, struct pr_err *err);

#endif
