/* What planner, executor and watcher ask the cluster, as the service's own user. */
#ifndef REBALANCE_CLUSTER_FACTS_H
#define REBALANCE_CLUSTER_FACTS_H

#include "io/settings.h"

#include "prism/io/db.h"
#include "prism/io/redis.h"

/* The setting, else the registered nodes that are in the cluster (one that is not is a
 * cluster of its own), all of them while none is known to be; "" when there is none. *out: malloc.
 */
PR_CHECKED enum pr_code rebalance_seeds(struct pr_db *db, const struct rebalance_config *cfg,
                                        char **out, struct pr_err *err);
PR_CHECKED enum pr_code rebalance_cluster_open(struct pr_cluster **c, const char *seeds,
                                               const struct rebalance_config *cfg,
                                               struct pr_err *err);
/* Every slot that any primary shows as migrating or importing, but those that came back
 * from a failure and lead nothing. */
PR_CHECKED enum pr_code rebalance_cluster_open_slots(struct pr_db *db, struct pr_cluster *c,
                                                     uint8_t open[2048], struct pr_err *err);
/* Mean bytes of memory a key of this node takes; 0 when it holds none. */
PR_CHECKED enum pr_code rebalance_key_bytes(struct pr_cluster *c, const char *node_id, double *out,
                                            struct pr_err *err);

#endif
