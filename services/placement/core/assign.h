/* From zones to partitions, route blobs and hints. Pure. */
#ifndef PLACEMENT_ASSIGN_H
#define PLACEMENT_ASSIGN_H

#include "core/store.h"
#include "prism/buf.h"

#include <stdint.h>

struct placement_assign_input {
    const struct placement_store *store;
    uint32_t n;
    const uint64_t *hash;    /* [n] */
    const uint32_t *current; /* [n] partition today */
    const uint16_t *zone;    /* [n] wanted */
};

/* partition[n], each in its vertex's zone. A vertex that is in the zone today
 * stays in its partition; else it goes home when its home is in the zone; else
 * to the least loaded partition of the zone (ties: lowest number), in vertex
 * order. load[partitions]: vertices each partition ends with.
 * PR_EINVAL: a wanted zone has no partition; PR_ENOMEM. */
PR_CHECKED enum pr_code placement_assign(const struct placement_assign_input *in,
                                         uint32_t *partition, uint32_t *load, struct pr_err *err);

/* Target routes of all homes, one blob after the other. */
struct placement_targets {
    struct pr_buf blob;
    uint64_t *start;  /* [partitions + 1] first byte of a home's blob; owned */
    uint64_t carried; /* routes of vertices outside the graph, kept as they are */
};

/* The run's partition for each vertex of the graph; today's for any other
 * vertex that has a route, so that a run moves only what it knows. A vertex
 * whose place is its home has no entry. */
PR_CHECKED enum pr_code placement_targets_build(const struct placement_assign_input *in,
                                                const uint32_t *partition,
                                                const struct placement_today *today,
                                                struct placement_targets *out, struct pr_err *err);
void placement_targets_done(struct placement_targets *t);

#endif
