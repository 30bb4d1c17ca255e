/* Tables zone_states, zone_incidents and failovers: at every look of the topology watcher, what
 * core/zones.h says of it; their events, metrics and log lines. */
#ifndef REBALANCE_IO_ZONES_H
#define REBALANCE_IO_ZONES_H

#include "core/zones.h"
#include "io/settings.h"
#include "io/topology_rows.h"

#include "prism/io/lease.h"
#include "prism/io/metrics.h"
#include "prism/io/redis.h"

struct rebalance_zones_watch {
    bool busy;      /* rows are open, or may be */
    uint64_t shown; /* hash of what zone_states holds; 0: not known */
};

/* Before the topology itself is written: `before` are the rows as they were. All in one
 * transaction under the lease; metrics and log lines when it is done. PR_EFENCED. */
PR_CHECKED enum pr_code rebalance_zones_look(struct rebalance_zones_watch *w, struct pr_db *db,
                                             const struct pr_lease *lease,
                                             struct pr_metrics *metrics,
                                             const struct pr_topology *topology,
                                             const struct rebalance_registered *before,
                                             const struct rebalance_image *image,
                                             struct pr_arena *arena, struct pr_err *err);
/* Another replica watches now: its metrics count. */
void rebalance_zones_forget(struct rebalance_zones_watch *w, struct pr_metrics *metrics);

#endif
