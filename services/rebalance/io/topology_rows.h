/* Tables nodes, shards, slots. */
#ifndef REBALANCE_TOPOLOGY_ROWS_H
#define REBALANCE_TOPOLOGY_ROWS_H

#include "core/topology.h"

#include "prism/io/db.h"
#include "prism/io/lease.h"
#include "prism/io/redis.h"

struct rebalance_registered {    /* as the tables say; in the arena */
    struct rebalance_node *node; /* [nodes] */
    size_t nodes;
    struct rebalance_subnet *subnet; /* [subnets] */
    size_t subnets;
};

PR_CHECKED enum pr_code rebalance_registered_load(struct pr_db *db, struct pr_arena *arena,
                                                  struct rebalance_registered *out,
                                                  struct pr_err *err);
/* The rows as they should be by what the cluster reports. */
PR_CHECKED enum pr_code rebalance_cluster_image(const struct rebalance_registered *registered,
                                                const struct pr_topology *t, struct pr_arena *arena,
                                                struct rebalance_image *out, struct pr_err *err);
/* Writes what differs, and the event prism.evt.topology.changed when anything
 * did, in one transaction that checks the lease. */
PR_CHECKED enum pr_code rebalance_topology_write(struct pr_db *db, const struct pr_lease *lease,
                                                 const struct rebalance_registered *before,
                                                 const struct rebalance_image *image,
                                                 int *rows_changed, struct pr_err *err);

#endif
