/* One zone whose slots are spread anew. Private to core/fleet. */
#ifndef REBALANCE_FLEET_SPREAD_H
#define REBALANCE_FLEET_SPREAD_H

#include "core/fleet/draft.h"
#include "core/fleet/flow.h"

struct spread { /* arrays of n shards that take part */
    struct draft *d;
    int zone;
    size_t n;
    int16_t *shard;
    double *held;        /* weight, with the moves chosen so far */
    double *low, *high;  /* where it shall end */
    double *ops;         /* per second, with the moves chosen so far */
    double *give, *take; /* wanted; one of them is 0 */
    bool *gives, *takes; /* may */
    double mean;
};

/* Weight that must go: the larger of what overfull shards must give and what
 * others must get, in bytes that no choice of slots undercuts. */
double spread_bound(const struct spread *z);
/* Chooses slots for the flow's amounts; arc nodes are 1 + index into z->shard. */
PR_CHECKED enum pr_code spread_round(struct spread *z, const struct flow_arc *arc, size_t arcs);
/* Moves fewer or smaller slots where the bounds leave room for it. */
void spread_improve(struct spread *z);
/* Exchanges hot slots against cool ones of about the same bytes. */
void spread_cool(struct spread *z);

bool spread_may(const struct spread *z, int slot, size_t to);
void spread_move(struct spread *z, int slot, size_t from, size_t to);
/* Slots of the i-th shard in the fleet, heaviest first. */
const int16_t *spread_slots(const struct spread *z, size_t i, size_t *n);

#endif
