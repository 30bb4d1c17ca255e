/* Faults, and the moments at which they strike. */
#ifndef SLOTS_STRIKE_H
#define SLOTS_STRIKE_H

#include "slots_scene.h"

enum slots_side { SLOTS_SOURCE, SLOTS_TARGET };

struct slots_strike {
    struct slots_plan *plan;
    enum slots_side side;
    int port;         /* of the struck node */
    int shard;        /* its shard */
    int slot;         /* that was open */
    long moved, keys; /* of the slot, at that moment */
    int64_t at_us, promoted_us;
};

/* Waits until a slot of the plan is on its way: a seeded one, a seeded part of whose keys
 * have moved. false: the plan was over before. */
bool slots_await_open(struct slots_strike *s, struct pr_rng *rng);
/* Starts plans until that is so. */
void slots_start_open(struct slots_strike *s, struct slots_plan *p, struct pr_rng *rng);
/* As slots_await_open, and stops (SIGSTOP) the primary of s->side there. That the slot was
 * still open then is what the other side says. */
bool slots_freeze(struct slots_strike *s, struct pr_rng *rng);
void slots_thaw(const struct slots_strike *s);
void slots_kill(const struct slots_strike *s); /* kill -9; stays down until slots_revive */
void slots_revive(const struct slots_strike *s);
/* CLUSTER FAILOVER to a seeded replica while the slot is open; waits until it is
 * promoted. false also when Redis gave that up. */
bool slots_fail_over(struct slots_strike *s, struct pr_rng *rng);
void slots_await_promoted(struct slots_strike *s);

/* Cuts services that were started with slots_cut_settings off from a port. 0: ends it. */
const char *const *slots_cut_settings(void);
void slots_cut(int port);

/* The fault itself lasts that long; clients go on. */
void slots_last(int ms);
/* Everything is up, goes on, is reachable and has room again. */
void slots_mend(void);

#endif
