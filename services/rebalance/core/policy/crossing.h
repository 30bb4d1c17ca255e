/* What a change of the fleet does to the traffic between zones. Pure.
 * Source: docs/explanation/rebalance.md. */
#ifndef REBALANCE_CROSSING_H
#define REBALANCE_CROSSING_H

#include "prism/arena.h"
#include "prism/err.h"
#include "prism/traffic.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Part of the traffic whose two ends are in different zones, 0..1 (0 without traffic).
 * zone: [PR_SLOTS] of the slot's primary, below zones; negative: nobody serves it, all
 * its traffic crosses. Exact while each block's slots are in one zone; of a block that
 * is spread, a slot talks to the parts in proportion to what these talk at all.
 * PR_ENOMEM. */
PR_CHECKED enum pr_code rebalance_cross_share(const struct pr_traffic *t, const int16_t *zone,
                                              size_t zones, struct pr_arena *arena, double *out,
                                              struct pr_err *err);

/* --- which record of the traffic speaks of today ---------------------------------- */
enum rebalance_traffic_kind { REBALANCE_TRAFFIC_NONE, REBALANCE_BEFORE, REBALANCE_AFTER };

/* The newest placement run that saw the store, and the last plan that moved vertices. */
struct rebalance_traffic_facts {
    int64_t run_id;  /* 0: none is done */
    int64_t plan_id; /* 0: none ever moved any */
    int64_t plan_run_id;
    bool plan_over, plan_done; /* done: all of its vertices have moved */
    bool run_since;            /* the run began after the plan was over */
};
struct rebalance_traffic_choice {
    enum rebalance_traffic_kind kind;
    int64_t run_id;
    char why[160]; /* of NONE: what is missing, and what would help */
};
/* before of a run that found the vertices where they are; after of the run whose plan
 * brought them there; otherwise nobody has seen today's places. */
void rebalance_choose_traffic(const struct rebalance_traffic_facts *f,
                              struct rebalance_traffic_choice *out);

#endif
