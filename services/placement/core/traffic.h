/* Who talks to whom between the store's slots, for who moves slots later: what the
 * vertices' edges weigh when each vertex is in its partition. Pure. */
#ifndef PLACEMENT_TRAFFIC_H
#define PLACEMENT_TRAFFIC_H

#include "core/graph.h"
#include "core/store.h"
#include "prism/buf.h"

#include <stdint.h>

/* block_of[shards]: each shard its own block; with more than PR_TRAFFIC_BLOCKS shards,
 * those of a zone share the zone's even part of the blocks. Returns how many blocks
 * there are. zones 1..PR_TRAFFIC_BLOCKS. */
uint32_t placement_blocks(const uint16_t *zone_of_shard, uint32_t shards, uint32_t zones,
                          uint16_t *block_of);

/* Appends to out in the form of prism/traffic.h; the store's blocks must be known.
 * partition: [g->n]. PR_ENOMEM. */
PR_CHECKED enum pr_code placement_traffic(const struct placement_graph *g,
                                          const struct placement_store *store,
                                          const uint32_t *partition, struct pr_pool *pool,
                                          struct pr_buf *out, struct pr_err *err);

#endif
