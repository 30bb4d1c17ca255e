/* The fleet as tables and cluster say it is, for the planner. Nothing is changed.
 * A shard is a primary with slots and its replicas; a primary without slots, and
 * its replicas, are members in no shard. */
#ifndef REBALANCE_FACTS_H
#define REBALANCE_FACTS_H

#include "core/fleet/fleet.h"
#include "io/settings.h"

#include "prism/arena.h"
#include "prism/io/db.h"
#include "prism/io/redis.h"

enum { REBALANCE_FINGERPRINT = 65 };

struct rebalance_node_facts { /* beside fleet.node[i] */
    const char *redis_id;     /* "" unless it is a member */
    const char *host;
    int port;
    const char *primary_redis_id; /* of a replica, else "" */
};

struct rebalance_fleet_facts { /* everything in the arena */
    struct rebalance_fleet fleet;
    const struct rebalance_node_facts *node; /* [fleet.nodes] */
    bool slot_stats;                         /* the servers told memory or load of each slot */
    size_t open_slots;
    double key_bytes; /* mean over all primaries; 0: no key */
    int64_t node_timeout_ms;
    char fingerprint[REBALANCE_FINGERPRINT];
};

/* Refreshes c's topology. Every registered node is in fleet.node, in order of id.
 * PR_EUNAVAIL, PR_EDENIED, PR_ECONFLICT name the member that does not answer though
 * the cluster calls it alive, refuses commands, or is older than Redis 7.
 * PR_EDATA: a member that nobody registered (its zone is unknown). */
PR_CHECKED enum pr_code rebalance_fleet_load(struct pr_db *db, struct pr_cluster *c,
                                             const struct rebalance_config *cfg,
                                             struct pr_arena *arena,
                                             struct rebalance_fleet_facts *out, struct pr_err *err);
/* Hex digest of members, roles, who replicates whom, owners of slots, and zones.
 * Loads and counts do not change it, nor does a member that fails without a
 * fail-over. Refreshes c's topology. */
PR_CHECKED enum pr_code rebalance_fingerprint(struct pr_db *db, struct pr_cluster *c,
                                              char out[REBALANCE_FINGERPRINT], struct pr_err *err);

#endif
