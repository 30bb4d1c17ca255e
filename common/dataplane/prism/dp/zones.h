/* "host:port=zone,...": which zone a node is in. */
#ifndef PRISM_DP_ZONES_H
#define PRISM_DP_ZONES_H

#include "prism/err.h"
#include "prism/map.h"

enum { DP_MAX_ZONES = 16, DP_ZONE_BYTES = 32 };

struct dp_zones {
    char name[DP_MAX_ZONES][DP_ZONE_BYTES]; /* in order of first mention */
    int n;
    struct pr_map by_node; /* hash of "host:port" -> zone */
};

/* Zone names: 1..31 of letters, digits, '-', '_'. */
PR_CHECKED enum pr_code dp_zones_parse(struct dp_zones *z, const char *text, struct pr_err *err);
void dp_zones_done(struct dp_zones *z);
int dp_zone_of(const struct dp_zones *z, const char *host_port); /* -1 unknown */

#endif
