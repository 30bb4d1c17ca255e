/* Where new members go, and who leaves. Pure. Source: docs/explanation/autoscale.md.
 * New ones: members that are on their way out are called back first; the rest goes evenly
 * over the zones (a unit: one in each), single nodes toward the traffic as far as evenness
 * and the loss of a zone allow, and into the placement group with most room.
 * The primary of a new shard goes where the fewest are, of equal zones where most traffic is.
 * Leavers: failed ones first, then the fewest bytes to move; of a fleet of units whole shards
 * alone, so that no shard loses a copy, and in no zone stay half of the primaries or more. Of
 * shards that cost about the same (a tenth of the mean) one goes whose zone has most primaries,
 * then least traffic. */
#ifndef AUTOSCALE_CHOOSE_H
#define AUTOSCALE_CHOOSE_H

#include "core/decide.h"

/* With traffic known, a zone has at least and at most this share of an even part. */
enum { AUTOSCALE_EVEN_LEAST_PCT = 80, AUTOSCALE_EVEN_MOST_PCT = 120 };

struct autoscale_choose {
    const struct autoscale_fleet *fleet;
    const struct autoscale_node *node; /* [nodes]; 0: nobody knows them, zones are taken as even */
    size_t nodes;
    const double *zone_traffic; /* [AUTOSCALE_ZONES]; all 0: unknown */
    const char *traffic_from;   /* who says so; "" */
    int from, to;               /* to in whole units */
    int rest;                   /* members that must be left when a zone is lost; 0: any */
};

/* Fills place, place_why, leaves and returns of *out; *to is as near to what was asked as is
 * possible, and limited says what stood in the way ("" nothing). PR_EINVAL: a node's zone or group
 * does not exist. PR_ENOMEM. */
PR_CHECKED enum pr_code autoscale_choose(const struct autoscale_choose *in,
                                         struct autoscale_decision *out, int *to, char *limited,
                                         size_t limited_bytes, struct pr_err *err);

/* Each zone's share of the traffic. matrix[zones][zones]: weight of what is between two zones,
 * stated both ways, and inside a zone on the diagonal. False: there is none, all are 0. */
bool autoscale_zone_traffic(const double *matrix, int zones, double *share);

/* Share of the primaries: true when a zone has half of them or more (three zones at least). */
bool autoscale_choose_half(int zones, int in_zone, int primaries);

#endif
