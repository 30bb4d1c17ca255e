/* What placement knows of the store: zones, the zone of every partition, and
 * where vertices are today. Values only; the shell reads them. */
#ifndef PLACEMENT_STORE_H
#define PLACEMENT_STORE_H

#include "prism/err.h"
#include "prism/map.h"

#include <stddef.h>
#include <stdint.h>

enum { PLACEMENT_MAX_ZONES = 64, PLACEMENT_ZONE_BYTES = 32 };

struct placement_zone {
    char id[PLACEMENT_ZONE_BYTES];
    double capacity_ratio; /* relative to the other zones; 0: takes no vertices */
};

struct placement_store {
    uint32_t partitions, zones;
    struct placement_zone zone[PLACEMENT_MAX_ZONES]; /* [zones] ascending by id */
    uint16_t *zone_of;                               /* [partitions] index into zone; owned */
    uint16_t *block_of; /* [partitions] see core/traffic.h; owned; NULL: shards not known */
    uint32_t blocks;
};

void placement_store_done(struct placement_store *s);

/* Packed routes of one home partition (prism/routes.h); borrowed. */
struct placement_blob {
    const void *data;
    size_t bytes;
};

/* Today's places: bases overlaid by deltas. */
struct placement_today {
    uint32_t partitions;
    struct placement_blob *base; /* [partitions] by home; owned array, borrowed blobs */
    struct pr_map moved;         /* hash -> partition, from deltas */
};

PR_CHECKED enum pr_code placement_today_init(struct placement_today *t, uint32_t partitions,
                                             struct pr_err *err);
void placement_today_done(struct placement_today *t);
/* The blob stays borrowed until t is done. PR_EDATA: malformed, or home out of range. */
PR_CHECKED enum pr_code placement_today_base(struct placement_today *t, int64_t home,
                                             struct placement_blob blob, struct pr_err *err);
/* Later calls win over earlier ones. */
PR_CHECKED enum pr_code placement_today_delta(struct placement_today *t, int64_t delta_id,
                                              struct placement_blob blob, struct pr_err *err);
uint32_t placement_today_find(const struct placement_today *t, uint64_t hash);

/* Most vertices each zone may take of n: share x n x (1 + imbalance) rounded
 * down, but never less than share x n rounded up, so that the capacities always
 * sum to n at least; 0 for a zone without capacity. share: the zone's part of
 * the capacity ratios.
 * PR_EINVAL: imbalance outside PLACEMENT_IMBALANCE_MIN..MAX, no zone has
 * capacity, a ratio is negative or not finite, more zones with capacity than
 * vertices, or a zone has capacity and no partition. */
#define PLACEMENT_IMBALANCE_MIN 0.03
#define PLACEMENT_IMBALANCE_MAX 0.05
PR_CHECKED enum pr_code placement_capacity(const struct placement_store *s, uint32_t n,
                                           double imbalance, double share[PLACEMENT_MAX_ZONES],
                                           uint64_t capacity[PLACEMENT_MAX_ZONES],
                                           struct pr_err *err);

#endif
