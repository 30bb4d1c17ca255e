/* Partitions of the store by locality: each zone's vertices are cut into as many
 * parts as the zone has partitions, and parts get the numbers that leave most
 * vertices where they are. Pure; byte-identical whatever the pool. */
#ifndef PLACEMENT_LOCALITY_H
#define PLACEMENT_LOCALITY_H

#include "core/store.h"
#include "engine/partition.h"

struct placement_locality_input {
    const struct placement_graph *graph;
    const struct placement_store *store;
    const uint16_t *zone;    /* [n] wanted; each has a partition */
    const uint32_t *current; /* [n] partition today */
    double imbalance;        /* how far above its even share of the zone a part may be */
    uint64_t seed;
    struct pr_pool *pool;
    struct placement_watch watch;
};

/* partition[n], each in its vertex's zone; load[partitions]: vertices of each.
 * PR_EFULL: the store has more partitions than can be cut; PR_ECANCELED;
 * PR_ENOMEM. */
PR_CHECKED enum pr_code placement_locality(const struct placement_locality_input *in,
                                           uint32_t *partition, uint32_t *load, struct pr_err *err);

#endif
