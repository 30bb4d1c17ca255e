/* What a fleet plan is to reach, from its row (plans.goal and plans.params, JSON),
 * with names resolved against the fleet. */
#ifndef REBALANCE_GOAL_H
#define REBALANCE_GOAL_H

#include "core/fleet/plan.h"

struct rebalance_order_in { /* everything in the arena */
    struct rebalance_goal goal;
    struct rebalance_limits limits;
    bool repair; /* close open slots and bring stray keys home; goal is unused */
    bool allow_big_keys, allow_no_replicas;
    int pairs; /* node pairs at once; 0: the setting */
};

/* fleet may be NULL when only repair, the approvals and the limits are wanted.
 * PR_EINVAL: malformed, names what. PR_ENOTFOUND: an unknown node or shard. */
PR_CHECKED enum pr_code rebalance_goal_read(const char *goal, const char *params,
                                            const struct rebalance_fleet *fleet,
                                            struct pr_arena *arena, struct rebalance_order_in *out,
                                            struct pr_err *err);

#endif
