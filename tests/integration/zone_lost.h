/* A whole zone is lost under writers, and comes back: what the service tells of it, that the others
 * take over, that it returns as replicas, and that its primaries go home by a plan. */
#ifndef PRISM_ZONE_LOST_H
#define PRISM_ZONE_LOST_H

#include "zone_stage.h"

enum { ZONE_COVERED_MS = 12000 }; /* every shard takes writes again within */

/* signal: SIGKILL or SIGSTOP. Nothing that was acknowledged is lost. */
void zone_is_lost_and_comes_back(const char *zone, int signal);
/* GET /metrics of the service has the line. */
bool zone_metrics_say(const char *line);

#endif
