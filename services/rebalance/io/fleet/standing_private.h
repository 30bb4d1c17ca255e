/* Between the parts of standing.c. */
#ifndef REBALANCE_STANDING_PRIVATE_H
#define REBALANCE_STANDING_PRIVATE_H

#include "io/executor_private.h"
#include "io/fleet/returns.h"
#include "io/fleet/standing.h"

/* plans.created_by of those that no person asked for. Autoscale's are policy, too: what was decided
 * there is approved, and begun at once. */
#define REBALANCE_POLICY    "policy rebalance"
#define REBALANCE_AUTOSCALE "policy autoscale"

struct rebalance_back {              /* what came back from a failure */
    struct rebalance_returned *node; /* [n] */
    size_t n;
};

/* standing_make.c: at most one plan for what there is need of; none while another is in hand. */
PR_CHECKED enum pr_code rebalance_make_needed(struct rebalance_executor *e,
                                              const struct rebalance_standing *s,
                                              const struct rebalance_back *back,
                                              struct pr_arena *arena, struct pr_err *err);

/* standing_begin.c: of the plans that wait to be begun those that may; of the others their row says
 * what keeps them. */
PR_CHECKED enum pr_code rebalance_begin_waiting(struct rebalance_executor *e,
                                                const struct rebalance_standing *s,
                                                int64_t local_min, struct pr_err *err);

#endif
