/* Judgement of a topology: empty, ok or degraded, and why. Pure.
 * Source: docs/explanation/architecture.md, "Topology". */
#ifndef METADATA_API_HEALTH_H
#define METADATA_API_HEALTH_H

#include "api_snapshot.h"

enum { API_MAX_REASONS = 24 };

struct api_health {
    const char *state; /* static: "empty", "ok" or "degraded" */
    char reason[API_MAX_REASONS][192];
    size_t reasons;
    bool more; /* there were more reasons than fit */
};

/* empty: no node. degraded: slots without an owner, a failed node, one that came back
 * from a failure and serves nothing, a node of unknown zone in the cluster, a shard without a
 * replica, or with a replica in the zone of its primary. */
void api_health_judge(const struct api_topo *t, struct api_health *out);

struct api_cost_in {
    double traffic_bytes_per_s, usd_per_gb, billed_sides; /* GB = 10^9 bytes */
};
enum { API_MONTH_S = 30 * 86400 };
/* $ a month of 30 days for the share of the traffic that crosses zones. */
double api_cost_usd_per_month(const struct api_cost_in *in, double cross_share);

#endif
