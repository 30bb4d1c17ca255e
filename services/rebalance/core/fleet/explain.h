/* Why something is where it is, and what holds it there. Pure.
 * Source: docs/explanation/rebalance.md. */
#ifndef REBALANCE_FLEET_EXPLAIN_H
#define REBALANCE_FLEET_EXPLAIN_H

#include "core/fleet/plan.h"

/* One sentence in the arena; limits as for a plan (NULL: the defaults).
 * NULL: memory ran out, or slot or node is out of range. */
const char *rebalance_fleet_explain_slot(const struct rebalance_fleet *fleet,
                                         const struct rebalance_limits *limits, int slot,
                                         struct pr_arena *arena);
const char *rebalance_fleet_explain_node(const struct rebalance_fleet *fleet,
                                         const struct rebalance_limits *limits, int node,
                                         struct pr_arena *arena);

#endif
