/* From what the cluster reports and which nodes are registered to the rows of
 * nodes, shards and slots. Pure. Source: docs/explanation/architecture.md. */
#ifndef REBALANCE_TOPOLOGY_H
#define REBALANCE_TOPOLOGY_H

#include "prism/arena.h"
#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rebalance_role { REBALANCE_ROLE_UNKNOWN, REBALANCE_PRIMARY, REBALANCE_REPLICA };
enum rebalance_node_state {
    REBALANCE_REGISTERED, /* never seen in the cluster */
    REBALANCE_UP,
    REBALANCE_NODE_FAILED,
    REBALANCE_GONE /* was in the cluster, is not any more */
};
const char *rebalance_role_name(enum rebalance_role r);
const char *rebalance_node_state_name(enum rebalance_node_state s);
enum rebalance_role rebalance_role_parse(const char *name);
enum rebalance_node_state rebalance_node_state_parse(const char *name);

struct rebalance_node { /* a row of table nodes; strings borrowed */
    const char *id, *host;
    int port;
    const char *zone;             /* "": unknown */
    const char *redis_id, *shard; /* "": none */
    enum rebalance_role role;
    enum rebalance_node_state state;
    int slots;
};

struct rebalance_subnet { /* of table zones */
    const char *zone, *cidr;
};

struct rebalance_reported { /* a line of CLUSTER NODES */
    const char *redis_id, *host;
    int port;
    bool primary, failed;
    bool dead; /* failed by the word of most primaries */
    uint64_t config_epoch;
    const char *primary_id; /* of a replica */
};

struct rebalance_cluster {
    const struct rebalance_reported *node; /* [nodes] */
    size_t nodes;
    const int16_t *slot_owner; /* [16384], index into node, -1 unowned */
    const uint8_t *imports;    /* [16384 / 8]: slots that the asked node imports */
};

struct rebalance_shard { /* a row of table shards */
    const char *id, *primary;
    const char *zone;     /* of its primary; "": unknown */
    const char **replica; /* [replicas], sorted */
    size_t replicas;
    int slots;
};

struct rebalance_slot_span { /* consecutive slots of one owner */
    int first, last;
    const char *shard, *node, *zone; /* zone "": unknown */
};

struct rebalance_image {         /* all three tables; everything lives in the arena */
    struct rebalance_node *node; /* [nodes], in the order of the registered */
    size_t nodes;
    struct rebalance_shard *shard; /* [shards], sorted by id */
    size_t shards;
    struct rebalance_slot_span *run; /* [runs], by slot */
    size_t runs;
    int slots_owned;
    const int16_t *owner; /* [16384], index into the cluster's nodes, -1 unowned: who has each slot,
                           * also where the asked node names its dead former owner */
    const char **unregistered; /* "host:port" of reported nodes without a row */
    size_t n_unregistered;
};

/* The rows as they should be. A shard keeps the id that its primary's row names,
 * whoever joins or leaves it; a new one is called after the smallest id of its
 * members that is no shard's yet. A failed former primary stays a member of the
 * shard it was in until the cluster reports it elsewhere. PR_ENOMEM only. */
PR_CHECKED enum pr_code rebalance_image(const struct rebalance_node *registered, size_t n,
                                        const struct rebalance_subnet *subnets, size_t n_subnets,
                                        const struct rebalance_cluster *cluster,
                                        struct pr_arena *arena, struct rebalance_image *out,
                                        struct pr_err *err);
bool rebalance_node_same(const struct rebalance_node *a, const struct rebalance_node *b);
bool rebalance_image_same(const struct rebalance_image *a, const struct rebalance_image *b);
/* Zone of the longest prefix that holds host (an IPv4 or IPv6 address); "" if none. */
const char *rebalance_subnet_zone(const struct rebalance_subnet *subnets, size_t n,
                                  const char *host);

/* Marks in open[16384 / 8] every slot that a CLUSTER NODES text shows as
 * migrating or importing ("[77->-id]", "[77-<-id]") on the node that was asked. */
void rebalance_open_slots(const char *cluster_nodes, uint8_t open[2048]);

#endif
