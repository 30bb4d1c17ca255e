/* The planner of fleet plans: from the goal in the plan's row and the cluster as it is
 * to a summary and steps. It changes nothing in the cluster. */
#ifndef REBALANCE_PROPOSE_H
#define REBALANCE_PROPOSE_H

#include "core/fleet/plan.h"
#include "io/fleet/facts.h"
#include "io/planner.h"

struct rebalance_proposal { /* open before, done after */
    struct pr_arena arena;
    struct rebalance_fleet_facts facts;
    struct rebalance_fleet_plan plan; /* no steps: nothing to do, or a repair */
    char *summary;                    /* JSON, malloc */
};

/* PR_ECONFLICT, PR_EINVAL, PR_EDATA, PR_ENOTFOUND, PR_EDENIED: refused for the reason
 * in err; PR_EUNAVAIL: try again. out is zeroed before; done in either case. */
PR_CHECKED enum pr_code rebalance_propose(struct rebalance_planner *p, int64_t plan_id,
                                          struct rebalance_proposal *out, struct pr_err *err);
void rebalance_proposal_done(struct rebalance_proposal *p);

/* The limits that the settings ask for, where the plan's params do not. */
struct rebalance_limits rebalance_limits_of(const struct rebalance_config *cfg,
                                            const struct rebalance_limits *params);

#endif
