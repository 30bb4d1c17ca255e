/* The four duties; each returns PR_OK only when the cluster reports it done. */
#ifndef REBALANCE_DUTIES_PRIVATE_H
#define REBALANCE_DUTIES_PRIVATE_H

#include "io/fleet/duties_links.h"

PR_CHECKED enum pr_code duty_meet(const struct rebalance_duty_ctx *ctx, const char *node,
                                  struct pr_err *err);
/* shard "": of the primary src, which has no slots yet. */
PR_CHECKED enum pr_code duty_replicate(const struct rebalance_duty_ctx *ctx, const char *node,
                                       const char *shard, const char *src, struct pr_err *err);
PR_CHECKED enum pr_code duty_failover(const struct rebalance_duty_ctx *ctx, const char *node,
                                      const char *shard, struct pr_err *err);
PR_CHECKED enum pr_code duty_forget(const struct rebalance_duty_ctx *ctx, const char *node,
                                    struct pr_err *err);

/* Every member's list has `replica` following `primary`, and it is in step. */
PR_CHECKED enum pr_code duty_await_follows(const struct rebalance_duty_ctx *ctx,
                                           const struct duty_node *replica,
                                           const struct duty_node *primary, int deadline_ms,
                                           struct pr_err *err);

#endif
