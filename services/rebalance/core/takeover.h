/* When too few primaries are alive to elect, may a replica take its shard over without being
 * elected (CLUSTER FAILOVER TAKEOVER), and which? Nobody checks such a step but whoever orders it:
 * it is taken only where the other side can neither serve nor elect. Pure.
 * Source: docs/explanation/rebalance.md, "When a zone fails". */
#ifndef REBALANCE_TAKEOVER_H
#define REBALANCE_TAKEOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rebalance_takeover_replica { /* of a shard whose primary failed */
    const char *node, *shard;
    bool answers;                    /* when it was asked just now */
    bool loading;                    /* in the middle of a copy: it holds nothing whole */
    int64_t link_down_ms, silent_ms; /* since it lost its primary; since a sign of life of that */
    uint64_t offset;                 /* how far its copy goes */
};

struct rebalance_takeover_in {
    int primaries, dead; /* that serve slots; of them those that failed */
    bool agreed;         /* every live node calls the dead ones failed, and knows the same owners */
    int64_t silent_ms;   /* the shortest time since a sign of life of the dead */
    int64_t node_timeout_ms;
    const struct rebalance_takeover_replica *replica; /* [replicas] that are not failed */
    size_t replicas;
};

enum rebalance_takeover_what {
    REBALANCE_TAKEOVER_NEEDLESS, /* those alive elect by themselves, or nobody is dead */
    REBALANCE_TAKEOVER_WAIT,     /* not yet */
    REBALANCE_TAKEOVER_PERSON,   /* not without somebody who knows that the dead are dead */
    REBALANCE_TAKEOVER_NOW       /* pick takes over; then look again */
};
struct rebalance_takeover {
    enum rebalance_takeover_what what;
    const char *node, *shard; /* NOW */
    char why[200];
};
void rebalance_takeover_judge(const struct rebalance_takeover_in *in,
                              struct rebalance_takeover *out);

/* Of so many primaries with slots, how many must agree on an election. */
int rebalance_quorum(int primaries);

#endif
