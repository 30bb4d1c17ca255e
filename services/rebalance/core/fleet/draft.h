/* What the parts of the planner share while one plan is made. Private to
 * core/fleet. Shards are those of the layout: the fleet's first, then new ones. */
#ifndef REBALANCE_FLEET_DRAFT_H
#define REBALANCE_FLEET_DRAFT_H

#include "core/fleet/plan.h"

enum draft_stage { /* what must be done before what */
                   DRAFT_MEET = 1,
                   DRAFT_REPLICATE,
                   DRAFT_FAILOVER,
                   DRAFT_SLOTS,
                   DRAFT_REPLICATE_AFTER,
                   DRAFT_FORGET
};

enum draft_hold { /* why a slot may not go to a shard */
                  DRAFT_FREE,
                  DRAFT_OPEN,
                  DRAFT_PINNED,
                  DRAFT_SHARD_PINNED,
                  DRAFT_COOLING,
                  DRAFT_REVERSAL,
                  DRAFT_HOLDS
};

struct draft_step { /* sorted by key, then by order of creation */
    int64_t key;    /* stage, then wave in the stage */
    size_t seq;
    struct rebalance_fleet_step step;
};

struct draft {
    const struct rebalance_fleet *fleet;
    const struct rebalance_goal *goal;
    struct rebalance_limits lim; /* with defaults */
    struct pr_arena *arena;
    struct pr_err *err;
    bool forced;    /* a hard goal is broken: cooldown and reversal do not count */
    bool no_memory; /* something was not kept: the plan fails */

    struct rebalance_layout *now;   /* after every step so far; slots as the fleet has them */
    int16_t to[REBALANCE_SLOTS];    /* the shard that each slot shall be in */
    double weight[REBALANCE_SLOTS]; /* bytes, and a little for the slot itself */
    double least_weight;
    int16_t order[REBALANCE_SLOTS]; /* by shard of the fleet, heaviest first; unowned last */
    int *first;                     /* [max_shards + 1] into order */
    size_t max_shards;
    double *held;          /* [max_shards] bytes of slots by the fleet */
    bool *leaving, *fresh; /* [max_shards] gives everything; did not exist */

    struct draft_step *step;
    size_t steps, step_room;
    struct rebalance_note *note;
    size_t notes, note_room;
    double bound_bytes, heat_bytes;
};

/* --- draft.c ------------------------------------------------------------------ */
PR_CHECKED enum pr_code draft_init(struct draft *d);
void draft_step(struct draft *d, enum draft_stage stage, int wave,
                struct rebalance_fleet_step step); /* also applied to d->now, but for slots */
/* text may be NULL: memory ran out. */
void draft_note(struct draft *d, int slot, int node, int shard, const char *text);
const char *draft_text(struct draft *d, const char *fmt, ...) PR_PRINTF(2, 3);
int16_t draft_zone(const struct draft *d, int shard); /* where its slots belong */
const char *draft_zone_name(const struct draft *d, int zone);
bool draft_usable(const struct draft *d, int shard); /* may give and take slots */
double draft_room(const struct draft *d, int shard); /* bytes of slots that its members hold */
double draft_base(const struct draft *d, int node);  /* memory that is not its slots' */
int draft_live_replicas(const struct draft *d, int shard);
int draft_live_zones(const struct draft *d); /* that have a live member */
int16_t draft_new_shard(struct draft *d, int node);
enum draft_hold draft_hold(const struct draft *d, int slot, int to);
/* The same for a reader that makes no plan; to NONE: anywhere. */
enum draft_hold rebalance_slot_hold(const struct rebalance_fleet *f,
                                    const struct rebalance_limits *lim, int slot, int to);
struct rebalance_limits rebalance_limits_filled(const struct rebalance_limits *l);
double rebalance_slot_least(const struct rebalance_fleet *f);
const char *draft_hold_name(enum draft_hold h);

/* --- layout.c ------------------------------------------------------------------ */
PR_CHECKED enum pr_code rebalance_layout_of(const struct rebalance_fleet *f, struct pr_arena *arena,
                                            struct rebalance_layout *out, struct pr_err *err);
void rebalance_layout_apply(struct rebalance_layout *l, const struct rebalance_fleet_step *s);

/* --- loads.c: of each zone's shards, where their slots belong ------------------- */
PR_CHECKED enum pr_code draft_loads(const struct draft *d, const struct rebalance_layout *l,
                                    struct rebalance_zone_load **out, double *uneven, double *hot);

/* --- goals: each fills d->to and adds member steps ----------------------------- */
PR_CHECKED enum pr_code draft_join(struct draft *d);
PR_CHECKED enum pr_code draft_drain(struct draft *d);
PR_CHECKED enum pr_code draft_drain_after(struct draft *d); /* once slots have left */
PR_CHECKED enum pr_code draft_replace(struct draft *d);
PR_CHECKED enum pr_code draft_move_replica(struct draft *d);
PR_CHECKED enum pr_code draft_failback(struct draft *d);
PR_CHECKED enum pr_code draft_assign(struct draft *d);

/* --- replicas.c ------------------------------------------------------------------ */
/* Why node cannot be a replica of shard, or NULL. Static, or in the arena. */
const char *draft_replica_fault(struct draft *d, int node, int shard);
/* A free node (in no shard; of `from` when not NULL) or one that another shard
 * can spare, best for shard; NONE: there is none. */
int16_t draft_replica_for(struct draft *d, int shard, const bool *banned);
void draft_fill_replicas(struct draft *d, enum draft_stage stage, const bool *from,
                         const char *why);
void draft_spare_replicas(struct draft *d, enum draft_stage stage, const bool *from,
                          const char *why);
PR_CHECKED enum pr_code draft_check_newcomer(struct draft *d, int node);

/* --- spread.c: d->to within zones ---------------------------------------------- */
PR_CHECKED enum pr_code draft_spread(struct draft *d);
/* --- cap.c: drops the least useful moves ---------------------------------------- */
PR_CHECKED enum pr_code draft_cap(struct draft *d);
/* --- waves.c: steps of d->to ------------------------------------------------------ */
PR_CHECKED enum pr_code draft_waves(struct draft *d);

#endif
