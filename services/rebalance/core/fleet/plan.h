/* Plans a change of the fleet: the least movement that reaches the goal, cut in
 * waves after each of which every hard goal holds. Pure and deterministic.
 * Source: docs/explanation/rebalance.md. */
#ifndef REBALANCE_FLEET_PLAN_H
#define REBALANCE_FLEET_PLAN_H

#include "core/fleet/fleet.h"

#include "prism/arena.h"
#include "prism/err.h"

enum rebalance_goal_kind {
    REBALANCE_JOIN,         /* node[n]: take them in, as shards or as replicas */
    REBALANCE_DRAIN,        /* node[n]: take everything off them, then forget them */
    REBALANCE_REPLACE,      /* node[0] failed or goes; with takes its place */
    REBALANCE_MOVE_REPLICA, /* node[0] becomes a replica of shard */
    REBALANCE_BALANCE,      /* evenness and hot spots within each zone */
    REBALANCE_FAILBACK,     /* primaries return to their home zones */
    REBALANCE_ASSIGN        /* slots to unnamed groups: group_of_slot */
};
const char *rebalance_goal_name(enum rebalance_goal_kind k);

struct rebalance_goal {
    enum rebalance_goal_kind kind;
    const int16_t *node; /* [n] members */
    size_t n;
    int16_t with;                 /* REPLACE */
    int16_t shard;                /* MOVE_REPLICA */
    bool as_primary, as_replica;  /* JOIN: neither: as the planner sees fit */
    const int16_t *group_of_slot; /* [REBALANCE_SLOTS], ASSIGN; NONE: stays */
    size_t groups;
};

/* Rates fluctuate more than bytes: heat counts at so many times the ratios. */
#define REBALANCE_HEAT_COARSER 2.0

struct rebalance_limits {            /* 0 or negative: the default */
    double enter_ratio, leave_ratio; /* evenness: begin above (0.10), stop below (0.05) */
    double memory_ratio;             /* free memory of a target / bytes it takes: 1.3 */
    int64_t cooldown_ms;             /* of a slot: 1 h */
    int64_t reversal_ms;             /* no slot goes back where it came from within: 7 d */
    uint32_t max_slots;              /* of a plan; 0: no cap */
    double max_bytes;
    double wave_bytes; /* that one pair moves in one wave: 4 GiB */
};

enum rebalance_fleet_step_kind {
    REBALANCE_MEET,
    REBALANCE_REPLICATE, /* dst becomes a replica of shard; src: its shard's primary, or NONE */
    REBALANCE_FAILOVER,  /* dst, a replica of shard, takes over from src */
    REBALANCE_SLOT,      /* from src's shard to dst's */
    REBALANCE_FORGET
};
const char *rebalance_fleet_step_name(enum rebalance_fleet_step_kind k);

struct rebalance_fleet_step {
    enum rebalance_fleet_step_kind kind;
    int wave;         /* from 1 */
    int16_t slot;     /* SLOT */
    int16_t shard;    /* REPLICATE, FAILOVER; NONE for a new shard (then src is its primary) */
    int16_t src, dst; /* members; MEET and FORGET: dst */
    double bytes;
    uint32_t keys;
    const char *why; /* in the arena or static */
};

struct rebalance_note {        /* why something is not moved, or what a reader should know */
    int16_t slot, node, shard; /* NONE: not about one */
    const char *text;          /* in the arena or static */
};

struct rebalance_zone_load { /* bytes of the primaries of one zone */
    double mean_bytes, max_bytes, min_bytes;
    int primaries;
};

struct rebalance_fleet_plan {          /* everything in the arena */
    struct rebalance_fleet_step *step; /* [steps], by wave */
    size_t steps;
    int waves;
    uint32_t slots;
    double bytes;                       /* of slots */
    double bound_bytes;                 /* nothing that reaches the goal moves less */
    double heat_bytes;                  /* of bytes: moved to cool hot spots; not in the bound */
    double hot_before, hot_after;       /* operations/s: hottest shard above its zone's mean, ratio;
                                         * negative: the load of slots is not known */
    double uneven_before, uneven_after; /* largest deviation from its zone's mean, ratio */
    struct rebalance_zone_load *before, *after; /* [zones] */
    struct rebalance_note *note;                /* [notes] */
    size_t notes;
};

/* Every wave was checked by rebalance_hard_goals. A slot counts its bytes and a
 * little for itself (a thousandth of the mean), so that an empty cluster is even
 * by slots; heat counts at twice the ratios. BALANCE ends, and
 * JOIN fills new shards, at leave_ratio; a capped plan takes moves between the
 * most uneven shards first, and a note says what is left.
 * PR_EINVAL: the goal names nothing, or nonsense. PR_ECONFLICT: no plan keeps
 * the hard goals; err says which one, where, and what would help. PR_ENOMEM. */
PR_CHECKED enum pr_code rebalance_fleet_plan(const struct rebalance_fleet *fleet,
                                             const struct rebalance_goal *goal,
                                             const struct rebalance_limits *limits,
                                             struct pr_arena *arena,
                                             struct rebalance_fleet_plan *out, struct pr_err *err);

/* --- hard goals ------------------------------------------------------------- */
/* What a fleet looks like after some steps; nodes and shards may be added. */
struct rebalance_layout {
    struct rebalance_member *node;
    size_t nodes;
    struct rebalance_group *shard;
    size_t shards;
    int16_t slot_shard[REBALANCE_SLOTS];
};
/* fleet with the first steps of its waves 1..wave done. */
PR_CHECKED enum pr_code rebalance_layout_after(const struct rebalance_fleet *fleet,
                                               const struct rebalance_fleet_plan *plan, int wave,
                                               struct pr_arena *arena, struct rebalance_layout *out,
                                               struct pr_err *err);
/* PR_ECONFLICT with the first hard goal that `now` breaks and `fleet` did not
 * already break: every slot owned by a live node; pins; for each shard with
 * slots the wanted replicas, and these and the primary in zones of their own (as
 * far as there are zones; more members than wanted may double one); no zone with
 * half of the primaries or more (with three zones or more); capacity. */
PR_CHECKED enum pr_code rebalance_hard_goals(const struct rebalance_fleet *fleet,
                                             const struct rebalance_layout *now,
                                             struct pr_err *err);

#endif
