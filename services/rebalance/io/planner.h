/* The planner: what a placement run asks to be moved, and whether that pays.
 * It moves nothing. */
#ifndef REBALANCE_PLANNER_H
#define REBALANCE_PLANNER_H

#include "io/executor.h"
#include "io/settings.h"

#include "prism/io/bus.h"
#include "prism/io/db.h"

struct rebalance_planner {
    const struct rebalance_config *cfg;
    struct pr_db *db; /* the consumer thread's */
    struct pr_metrics *metrics;
    struct rebalance_executor *executor; /* woken by prism.cmd.rebalance.execute */
};

/* A pr_msg_fn for prism.cmd.rebalance.>; ctx: struct rebalance_planner. */
enum pr_code rebalance_on_command(void *ctx, const struct pr_msg *msg, struct pr_err *err);

/* Plans a fleet plan that is pending, without a command: for the standing orders. */
PR_CHECKED enum pr_code rebalance_plan_fleet(struct rebalance_planner *p, int64_t plan_id,
                                             struct pr_err *err);

/* The summary of a plan of vertices as JSON (malloc). PR_ECONFLICT, PR_EDATA, PR_ENOTFOUND:
 * the plan is refused for the reason in err; PR_EUNAVAIL: try again. */
PR_CHECKED enum pr_code rebalance_plan_summary(struct rebalance_planner *p, int64_t run_id,
                                               const char *run_state, char **json,
                                               struct pr_err *err);

#endif
