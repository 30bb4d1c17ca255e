/* Minimum-cost flow by shortest augmenting paths with node potentials.
 * Source: Ahuja, Magnanti, Orlin, Network Flows (1993), section 9.7. */
#ifndef REBALANCE_FLEET_FLOW_H
#define REBALANCE_FLEET_FLOW_H

#include "prism/arena.h"
#include "prism/err.h"

#include <stdbool.h>
#include <stdint.h>

struct flow_arc {
    int from, to;
    int64_t cap, cost; /* neither negative */
    int64_t flow;      /* out */
};

/* Sends as much as fits from node 0 to node nodes-1, at the least cost of all
 * flows of that size. Deterministic; zeros arc[].flow first. PR_ENOMEM. */
PR_CHECKED enum pr_code flow_solve(int nodes, struct flow_arc *arc, size_t arcs,
                                   struct pr_arena *arena, int64_t *sent, struct pr_err *err);

#endif
