/* One shard of a pair: its members, who of them is the primary now, and what they
 * say of the slot in hand. Learnt from the members themselves, never from having
 * told them something. */
#ifndef REBALANCE_SLOT_SHARD_H
#define REBALANCE_SLOT_SHARD_H

#include "core/slot/machine.h"
#include "io/slot/copies.h"

#include "prism/io/db.h"
#include "prism/io/redis.h"

enum { REBALANCE_SHARD_MEMBERS = 16 };

struct rebalance_shard_member {
    char name[PR_HOST + 8]; /* nodes.id, else "host:port" */
    char id[PR_NODE_ID];    /* in the cluster; "" until it answered */
    char host[PR_HOST], zone[32];
    int port;
    struct pr_redis *eye;   /* looks; NULL: not connected */
    int64_t blind_until_us; /* did not answer: not asked before */
    /* As it said last: */
    bool there, primary;
    bool elsewhere;           /* replica of a primary that is not of this shard */
    uint64_t epoch;           /* of its configuration */
    uint64_t peer_epoch;      /* that it knows of the other shard's primary */
    char owner[PR_NODE_ID];   /* of the slot; "" nobody */
    char mark_id[PR_NODE_ID]; /* the slot is open towards */
    char mark;                /* '>' migrates, '<' imports, 0 neither */
    int64_t keys;             /* in the slot; -1 unknown */
    int replicas;             /* in step with it */
    struct rebalance_reign reign;
    struct rebalance_forks forks;
    char owner_host[PR_HOST]; /* address of owner */
    int owner_port;
};

struct rebalance_shard {
    char id[64]; /* shards.id; the node's own when it has none yet */
    struct rebalance_shard_member member[REBALANCE_SHARD_MEMBERS];
    size_t members;
    int primary;                  /* index; -1 none */
    bool gone;                    /* every member that answers serves another shard */
    int64_t seen_us;              /* when the primary was last seen to be one */
    int64_t promoted_us;          /* when the one before this was; 0: there was none */
    struct rebalance_reign reign; /* of the primary, when it was last seen to be one */
    unsigned changes;             /* of the primary; two or more between two looks count as two */
    bool restarted;               /* the primary was, with its mark; unset by who reads it */
    bool refused; /* a member that was restarted does not know our user; unset by who
                     reads it */
    struct pr_redis_auth auth;
    int timeout_ms; /* of a look */
};

/* The shard of a registered node. PR_ENOTFOUND: nobody registered it. */
PR_CHECKED enum pr_code rebalance_shard_load(struct rebalance_shard *s, struct pr_db *db,
                                             const char *node, struct pr_err *err);
void rebalance_shard_close(struct rebalance_shard *s);
/* Asks all members of both shards about the slot, at once; a member that does not
 * answer in time is left alone for a while. True when a primary changed. */
bool rebalance_shards_look(struct rebalance_shard *const shard[2], unsigned slot);
/* NULL: none. */
static inline struct rebalance_shard_member *rebalance_shard_primary(struct rebalance_shard *s)
{
    return s->primary < 0 ? NULL : &s->member[s->primary];
}
bool rebalance_shard_has(const struct rebalance_shard *s, const char *id);
/* What the machine wants to know of s; o: the other shard. */
struct rebalance_slot_side rebalance_shard_side(const struct rebalance_shard *s,
                                                const struct rebalance_shard *o);

/* Asks the primary, over conn, whether OBJECT IDLETIME there has counted every use of a key
 * from since_us (our clock) until now. */
bool rebalance_shard_noted(struct rebalance_shard *s, struct pr_redis *conn, int64_t since_us);

/* Replicas that INFO replication of the primary names: members from now on. */
void rebalance_shard_learn(struct rebalance_shard *s, const char *info);

/* Marks of a slot in a CLUSTER NODES text: '>', '<' or 0; id: towards whom. */
char rebalance_slot_mark(const char *nodes, unsigned slot, char id[PR_NODE_ID]);
/* Replicas in step with a primary, from INFO replication; -1: it is no primary. */
int rebalance_replicas_in_step(const char *info);

#endif
