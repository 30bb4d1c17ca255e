/* One shard of the simulated store: the key of the vertex under test in one
 * partition, its staging keys, a primary, and electable replicas that hold a
 * prefix of the primary's log. */
#ifndef PRISM_SIM_SHARD_H
#define PRISM_SIM_SHARD_H

#include "model.h"

enum { SHARD_STAGED = 8, SHARD_LOG = 16, SHARD_REPLICAS = 2 };

struct shard_staged {
    uint64_t name; /* the E in the key's name; 0: unused */
    uint64_t late; /* 1: restored when nobody was left to sweep it */
    struct model_key copy;
};

struct shard_state {
    struct model_key key;
    struct shard_staged staged[SHARD_STAGED];
};

/* What the shard was at every position of its history, until time `until` of *clock: a fail-over
 * takes back what it lost. For tests that look back. */
enum { SHARD_TAPE = 4096 };
struct shard_tape {
    const uint64_t *clock;
    uint64_t until;
    uint32_t n;
    uint64_t at[SHARD_TAPE]; /* [n] when it became that */
    struct shard_state state[SHARD_TAPE];
};

/* A position is the number of effects since the shard began. */
struct shard {
    struct shard_state log[SHARD_LOG]; /* state after effect i at log[i % SHARD_LOG] */
    uint32_t head;
    uint32_t pos[SHARD_REPLICAS];
    uint32_t replicas;
    uint32_t generation;     /* fail-overs so far */
    struct shard_tape *tape; /* NULL: nobody looks back. Stays over shard_init */
};

void shard_init(struct shard *s, uint32_t replicas, const struct model_key *key);
const struct shard_state *shard_now(const struct shard *s);

/* promote's staging key is named call->E (0 when names hold no epoch). */
void shard_run(struct shard *s, const struct model_call *call, struct model_reply *r);
/* False: the key exists (BUSYKEY), or there is no room (OOM). replace: overwrite it. */
bool shard_restore(struct shard *s, uint64_t name, const struct model_key *copy, bool late,
                   bool replace);
void shard_unlink_staged(struct shard *s, uint64_t name);

void shard_replicate(struct shard *s, uint32_t replica, uint32_t upto); /* at least upto */
void shard_wait(struct shard *s, uint32_t position); /* every electable replica has it */
/* Replica i takes over with what it has; the old primary becomes its replica. */
void shard_fail_over(struct shard *s, uint32_t i);

#endif
