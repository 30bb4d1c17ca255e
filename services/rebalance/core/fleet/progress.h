/* How far a fleet plan is, and how long it takes. Pure. */
#ifndef REBALANCE_FLEET_PROGRESS_H
#define REBALANCE_FLEET_PROGRESS_H

#include <stddef.h>

struct rebalance_fleet_progress {
    double steps, verified;
    double bytes, moved_bytes; /* of slots, expected and so far */
    double running_s;
};
double rebalance_fleet_ratio(const struct rebalance_fleet_progress *p); /* 0..1 */
double rebalance_fleet_eta_s(const struct rebalance_fleet_progress *p); /* negative: unknown */

/* What a plan is expected to take. A slot costs its bytes and some round trips with
 * both shards however few keys it holds; a step of another kind is mostly waiting
 * for gossip, its bytes are a new replica's. */
struct rebalance_fleet_work {
    double bytes; /* copied */
    size_t slots, others;
    size_t pairs;       /* that move at once, as the plan allows; 0: 1 */
    double bytes_per_s; /* of all pairs together */
};
double rebalance_fleet_duration_s(const struct rebalance_fleet_work *w);

#endif
