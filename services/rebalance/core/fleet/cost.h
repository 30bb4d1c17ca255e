/* What carrying out a plan copies, and whose zone changes. Pure. */
#ifndef REBALANCE_FLEET_COST_H
#define REBALANCE_FLEET_COST_H

#include "core/fleet/plan.h"

struct rebalance_fleet_cost {
    double bytes;            /* of slots to their new primaries, of shards to new replicas */
    double cross_zone_bytes; /* of all copies: what replicas take of moved slots is included */
    size_t rezoned;          /* slots whose primary is in another zone afterwards */
    int16_t zone_before[REBALANCE_SLOTS]; /* of the slot's primary; NONE: nobody serves it */
    int16_t zone_after[REBALANCE_SLOTS];
};

/* A shard whose primary died and has no successor counts as in its home zone: there it
 * was, and the plan is not what made it fail. PR_ENOMEM. */
PR_CHECKED enum pr_code rebalance_fleet_cost(const struct rebalance_fleet *fleet,
                                             const struct rebalance_fleet_plan *plan,
                                             struct pr_arena *arena,
                                             struct rebalance_fleet_cost *out, struct pr_err *err);

#endif
