/* A worker: one thread with its own PostgreSQL and Redis connections that
 * executes batches, one at a time. */
#ifndef REBALANCE_WORKER_H
#define REBALANCE_WORKER_H

#include "core/vertex/batch.h"
#include "io/vertex/batch_rows.h"
#include "io/vertex/wave.h"

struct rebalance_worker {
    struct rebalance_run *run;
    struct pr_db *db;
    struct rebalance_links links;
    struct rebalance_vertex *vertex; /* [cap] */
    struct rebalance_mover *mover;   /* [cap] */
    struct rebalance_batch batch;    /* in hand */
    struct pr_buf routes;
    size_t cap;
    bool far;            /* fences wait for the other region: io/vertex/dr.h */
    uint64_t mean_bytes; /* of a dump */
};

/* cap: vertices of the largest batch. */
PR_CHECKED enum pr_code rebalance_worker_open(struct rebalance_worker *w, struct rebalance_run *run,
                                              size_t cap, struct pr_err *err);
void rebalance_worker_close(struct rebalance_worker *w); /* zeroed is fine */

/* Executes w->batch (plan_id, number, src, dst, ids, canceling, state and the
 * epochs of earlier executors are set) until every vertex has moved, needs no
 * move, or was left for a later sweep.
 * PR_ECANCELED: the run was abandoned; the row says how far it is.
 * PR_EFENCED: the lease is lost. PR_EDATA: a vertex is lost, or the ids are
 * malformed: the plan must fail. */
PR_CHECKED enum pr_code rebalance_batch_run(struct rebalance_worker *w, struct pr_err *err);

/* Waits with growing pauses until everything that the movers in hand need is
 * there: the nodes' primaries, all replicas, no open slot. PR_ECANCELED as above. */
PR_CHECKED enum pr_code rebalance_worker_heal(struct rebalance_worker *w, struct pr_err *err);

/* Sweeps one primary: every vertex there that belongs elsewhere is put into the
 * batch of its destination node, and full batches are executed. What cannot be
 * moved now is counted in run->deferred. Codes as above; PR_OK when draining. */
PR_CHECKED enum pr_code rebalance_sweep(struct rebalance_worker *w, const char *node_id,
                                        struct pr_err *err);
/* Runs again every batch that an earlier executor left unfinished. */
PR_CHECKED enum pr_code rebalance_recover(struct rebalance_worker *w, struct pr_err *err);

/* Thread function; arg: struct rebalance_run. Takes sources until none is left
 * (or recovers); failures are in run->fatal. */
void *rebalance_worker_main(void *arg);

#endif
