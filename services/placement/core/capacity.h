/* How much each zone may hold. Pure. */
#ifndef PLACEMENT_CAPACITY_H
#define PLACEMENT_CAPACITY_H

#include "prism/err.h"

#include <stdint.h>

/* weight: of all vertices (their number, when each weighs 1). A zone may hold
 * share x weight x (1 + imbalance) rounded down, but never less than
 * share x weight rounded up, so that the capacities always sum to weight at
 * least; 0 for a zone without capacity. share: the zone's part of the ratios.
 * PR_EINVAL: no zone, none with capacity, a ratio negative or not finite, an
 * imbalance outside 0..1. zone 0.. are named by number. */
PR_CHECKED enum pr_code placement_capacities(const double *ratio, uint32_t zones, uint64_t weight,
                                             double imbalance, double *share, uint64_t *capacity,
                                             struct pr_err *err);

#endif
