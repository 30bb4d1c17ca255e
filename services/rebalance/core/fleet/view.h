/* One node's CLUSTER NODES as that node sees it: who is there, who serves which
 * slot, and its own open slots. Pure. Source: Redis documentation, "CLUSTER NODES". */
#ifndef REBALANCE_VIEW_H
#define REBALANCE_VIEW_H

#include "core/fleet/fleet.h"

#include "prism/arena.h"
#include "prism/err.h"

enum { REBALANCE_REDIS_ID = 41, REBALANCE_ADDRESS = 64 };

struct rebalance_seen {                                          /* one line */
    char id[REBALANCE_REDIS_ID], primary_id[REBALANCE_REDIS_ID]; /* primary_id: of a replica */
    char host[REBALANCE_ADDRESS];                                /* "" when it has none */
    int port, bus_port;
    bool myself, primary, failed; /* failed: fail, fail? or noaddr */
    bool handshake;               /* its id is made up until that is over */
    uint64_t config_epoch;
    int slots;
};

struct rebalance_open_slot { /* of the asked node */
    int16_t slot;
    bool importing;                 /* else migrating */
    char other[REBALANCE_REDIS_ID]; /* from whom, or to whom */
};

struct rebalance_view {          /* in the arena */
    struct rebalance_seen *node; /* [nodes] */
    size_t nodes;
    int16_t owner[REBALANCE_SLOTS];   /* index into node, NONE unowned */
    struct rebalance_open_slot *open; /* [opens] */
    size_t opens;
    int16_t me; /* index into node */
};

/* asked: host of the node that answered, for one that does not know its own address.
 * PR_EDATA: malformed, names the line. */
PR_CHECKED enum pr_code rebalance_view_parse(const char *cluster_nodes, const char *asked,
                                             struct pr_arena *arena, struct rebalance_view *out,
                                             struct pr_err *err);
/* NULL: the node does not know it. */
const struct rebalance_seen *rebalance_view_find(const struct rebalance_view *v, const char *id);
const struct rebalance_seen *rebalance_view_at(const struct rebalance_view *v, const char *host,
                                               int port);

#endif
