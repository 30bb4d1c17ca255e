/* A Redis Cluster fleet as the planner sees it: nodes, shards, slots, zones.
 * Indexes are into the arrays of the same struct; REBALANCE_NONE means none.
 * Everything is borrowed. Source: docs/explanation/rebalance.md. */
#ifndef REBALANCE_FLEET_H
#define REBALANCE_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REBALANCE_SLOTS = 16384, REBALANCE_NONE = -1 };

struct rebalance_member {  /* a registered Redis node */
    const char *id;        /* nodes.id */
    int16_t zone;          /* NONE: unknown */
    int16_t shard;         /* NONE: in no shard (joining, or a member without a role) */
    bool primary;          /* of its shard */
    bool failed;           /* the cluster says so, or it does not answer */
    bool member;           /* of the cluster; false: registered only */
    bool pinned;           /* keeps its role and shard */
    double capacity_bytes; /* maxmemory; 0: unlimited */
    double used_bytes;
    double ops_per_s; /* 0: unknown */
};

struct rebalance_group { /* a shard */
    const char *id;
    int16_t primary;   /* member; NONE: none alive */
    int16_t home_zone; /* where its primary belongs */
    bool pinned;       /* its slots stay */
};

struct rebalance_slot_facts {
    int16_t shard;       /* NONE: unowned */
    int16_t moved_from;  /* shard of its last planned move; NONE: never moved */
    int64_t moved_at_ms; /* Unix epoch; 0 never */
    double bytes, ops_per_s;
    uint32_t keys;
    bool pinned, open;
};

struct rebalance_fleet {
    const struct rebalance_member *node;
    size_t nodes;
    const struct rebalance_group *shard;
    size_t shards;
    const char *const *zone;
    size_t zones;
    const struct rebalance_slot_facts *slot; /* [REBALANCE_SLOTS] */
    int replicas;                            /* wanted for each shard */
    int64_t now_ms;
};

#endif
