/* One execution of a plan, shared by its workers. What is not atomic or under
 * the lock is only read while workers run. */
#ifndef REBALANCE_RUN_H
#define REBALANCE_RUN_H

#include "io/orders.h"
#include "io/settings.h"
#include "io/vertex/links.h"
#include "io/vertex/table.h"

#include <pthread.h>
#include <stdatomic.h>

struct rebalance_run {
    const struct rebalance_config *cfg;
    const char *db_uri;
    struct pr_metrics *metrics;
    struct rebalance_links_options links;
    struct pr_lease lease; /* as held when the run began */
    int64_t plan_id;
    uint32_t partitions;
    const uint16_t *slot_of;                        /* [partitions] */
    const struct rebalance_table *current, *target; /* NULL while recovering */
    size_t batch_vertices;
    bool verify;     /* ask every vertex whether it still lives where the key says */
    bool recovering; /* finish what other executors left, sweep nothing */

    const char (*source)[PR_NODE_ID]; /* [sources] primaries to sweep */
    size_t sources;
    atomic_size_t next_source, workers_left;

    atomic_int stop; /* enum rebalance_stop */
    atomic_int throttle_ms;
    atomic_llong next_batch;
    atomic_ullong moved, bytes, refusals, batches, interruptions;
    atomic_ullong deferred, busy; /* by the last sweep; busy: because they are written to */
    atomic_bool users_missing;    /* a node refused the mover's user: it was restarted */
    _Atomic(uint8_t) open_slot[2048];

    pthread_mutex_t lock;
    char waits_for[200]; /* why some batch stands still; "" none does */
    char left_why[200];  /* of the last vertex that was left for a later sweep */
    struct pr_err fatal; /* first failure that ends the plan; code PR_OK: none */
};

static inline bool rebalance_slot_open(struct rebalance_run *r, unsigned slot)
{
    return (atomic_load_explicit(&r->open_slot[slot / 8], memory_order_relaxed) >> (slot % 8)) & 1;
}

void rebalance_run_waits(struct rebalance_run *r, const char *why); /* NULL clears */
void rebalance_run_left(struct rebalance_run *r, const char *why);
/* Records the first failure that ends the plan, and drains the others. */
void rebalance_run_fail(struct rebalance_run *r, const struct pr_err *err);
/* Sleeps; false at once when the run is abandoned. */
bool rebalance_run_pause(struct rebalance_run *r, unsigned us);

#endif
