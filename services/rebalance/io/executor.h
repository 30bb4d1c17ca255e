/* The executor: holds the lease "rebalance-executor", and carries out approved
 * plans, one at a time, with a worker per source node. Two threads of its own:
 * one renews the lease, one supervises. */
#ifndef REBALANCE_EXECUTOR_H
#define REBALANCE_EXECUTOR_H

#include "io/plan_events.h"
#include "io/settings.h"

#include "prism/err.h"

struct rebalance_executor;

struct rebalance_executor_options {
    const struct rebalance_config *cfg;
    const char *db_uri, *instance; /* instance: the lease's holder */
    struct pr_metrics *metrics;
};

PR_CHECKED enum pr_code rebalance_executor_start(struct rebalance_executor **e,
                                                 const struct rebalance_executor_options *o,
                                                 struct pr_err *err);
/* Lets the batches in hand finish (10 s at most), gives the lease back. NULL is fine. */
void rebalance_executor_stop(struct rebalance_executor *e);
/* After nothing can wake it any more. NULL is fine. */
void rebalance_executor_free(struct rebalance_executor *e);
/* The newest event of progress (a RebalancePlanEvent) that was not taken yet; its bytes, 0:
 * there is none. It may be lost: the next one says more. */
size_t rebalance_executor_news(struct rebalance_executor *e, uint8_t out[REBALANCE_EVENT_BYTES]);
/* There may be something to do. */
void rebalance_executor_wake(struct rebalance_executor *e);

#endif
