/* Where a new vertex should live, from where its neighbours are. Pure. */
#ifndef PLACEMENT_HINT_H
#define PLACEMENT_HINT_H

#include "core/store.h"

#include <stdint.h>

struct placement_hint_input {
    const struct placement_store *store;
    uint64_t hash;                       /* of the new vertex */
    uint64_t votes[PLACEMENT_MAX_ZONES]; /* neighbours in each zone */
};

struct placement_hint {
    uint32_t partition;
    uint16_t zone;
};

/* The zone with most neighbours; of equals its home's zone, else the first by
 * id. Zones without capacity or partition are never chosen, except when no
 * zone can be: then home. In the zone: home, else a partition by hash, so that
 * every caller gets the same answer and load stays even. No votes: home. */
struct placement_hint placement_hint_choose(const struct placement_hint_input *in);

#endif
