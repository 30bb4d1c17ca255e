/* Keeps nodes, shards and slots as the cluster reports them. Main thread only;
 * one replica at a time, by the lease "rebalance-topology". */
#ifndef REBALANCE_WATCHER_H
#define REBALANCE_WATCHER_H

#include "core/topology.h"
#include "io/settings.h"
#include "io/zones.h"

#include "prism/io/lease.h"
#include "prism/io/redis.h"
#include "prism/io/service.h"

struct rebalance_watcher {
    struct pr_service *svc;
    const struct rebalance_config *cfg;
    struct pr_lease lease;
    struct pr_cluster *cluster;
    struct pr_arena arena[2];    /* rows as written last, and as they are now */
    struct rebalance_image last; /* in arena[at] */
    int at;
    bool written;   /* last is what the tables hold */
    size_t members; /* of the cluster, when it was checked */
    int64_t next_check_us;
    char unfit[200]; /* why it is not fit to be moved in, as logged last; "" it is */
    struct rebalance_zones_watch zones;
    char state[200]; /* what was logged last */
};

PR_CHECKED enum pr_code rebalance_watcher_open(struct rebalance_watcher *w, struct pr_service *svc,
                                               const struct rebalance_config *cfg,
                                               struct pr_err *err);
void rebalance_watcher_close(struct rebalance_watcher *w); /* zeroed is fine */
/* Every second. What is down is logged once and told to /readyz, not returned. */
PR_CHECKED enum pr_code rebalance_watcher_tick(struct rebalance_watcher *w, struct pr_err *err);

#endif
