/* Zones that fail and come back, and who takes their primaries over: what one look at the
 * topology changes in the rows of table zone_incidents and failovers, and which alarms hold.
 * Pure. Source: docs/explanation/rebalance.md, "When a zone fails". */
#ifndef REBALANCE_ZONES_H
#define REBALANCE_ZONES_H

#include "core/topology.h"

enum {
    REBALANCE_ZONE_SEVERAL = 2,        /* primaries of one zone that fail within the window */
    REBALANCE_ZONE_WINDOW_MS = 60000,  /* ... are an incident of the zone */
    REBALANCE_ZONE_CALM_MS = 10 * 1000 /* all is back for so long: the incident is over */
};

enum rebalance_zone_state {
    REBALANCE_ZONE_EMPTY, /* no node of it is in the cluster */
    REBALANCE_ZONE_UP,
    REBALANCE_ZONE_HURT, /* some of its nodes failed */
    REBALANCE_ZONE_DOWN  /* all of them */
};
const char *rebalance_zone_state_name(enum rebalance_zone_state s); /* "hurt"; static */

enum rebalance_zone_alarm { /* bits */
                            REBALANCE_ALARM_DOWN = 1,
                            REBALANCE_ALARM_MAJORITY =
                                2, /* holds half of the primaries or more: nobody would elect */
                            REBALANCE_ALARM_NO_QUORUM =
                                4, /* nobody elects: too few primaries are alive, some of these */
                            REBALANCE_ALARMS = 3 /* how many there are */
};
const char *rebalance_zone_alarm_name(int bit); /* "majority"; static */

struct rebalance_zone {
    const char *id;
    enum rebalance_zone_state state;
    int nodes, failed;   /* members of the cluster */
    int primaries, lost; /* that serve slots, and those of them that failed */
    int unplaced;        /* nodes that are back and do not follow their shard's primary yet */
    unsigned alarms;
};

struct rebalance_failover { /* a row: a primary with slots that failed */
    int64_t id;
    const char *shard, *zone, *from;
    bool open;
    int64_t failed_ago_ms; /* since it was noticed */
};

struct rebalance_incident { /* an open row */
    int64_t id;
    const char *zone;
    bool whole;          /* every node of the zone had failed */
    bool quorum;         /* enough primaries were alive to elect, all the time */
    bool covered;        /* every slot has been served again since */
    int64_t back_ago_ms; /* since all of the zone is in place again; negative: it is not */
};

enum rebalance_failover_news {
    REBALANCE_FAILOVER_BEGAN,    /* a primary with slots failed */
    REBALANCE_FAILOVER_PROMOTED, /* another member leads its shard; began unseen: id is 0 */
    REBALANCE_FAILOVER_RETURNED, /* it serves again, nobody had taken over */
    REBALANCE_FAILOVER_GONE      /* the shard is no more */
};
struct rebalance_failover_change {
    enum rebalance_failover_news what;
    int64_t id; /* 0: there is no row yet */
    const char *shard, *zone, *from, *to;
    int64_t silent_ms; /* BEGAN, or without a row: since the last sign of life */
};

struct rebalance_incident_change { /* the row as it should be */
    int64_t id;                    /* 0: it begins */
    const char *zone;
    bool whole, quorum, covered, back, ended;
    bool changed; /* ... and is not */
    int nodes, failed, primaries, all_primaries, uncovered;
    int64_t silent_ms; /* begins: since the newest sign of life of those that failed */
};

struct rebalance_zones_in {              /* borrowed */
    const struct rebalance_node *before; /* [image->nodes] rows before this look */
    const struct rebalance_image *image; /* as the cluster reports it */
    const int64_t *silent_ms; /* [image->nodes] since the last sign of life; 0: unknown */
    const struct rebalance_failover *failover; /* [failovers] open, or noticed within the window */
    size_t failovers;
    const struct rebalance_incident *incident; /* [incidents] open */
    size_t incidents;
};

struct rebalance_zones {         /* in the arena */
    struct rebalance_zone *zone; /* [zones] sorted by id */
    size_t zones;
    int primaries, live; /* that serve slots, and those of them that are alive */
    bool quorum;         /* the live ones can elect */
    int uncovered;       /* slots that no live primary serves */
    struct rebalance_failover_change *failover;
    size_t failovers;
    struct rebalance_incident_change *incident; /* of open ones and new ones */
    size_t incidents;
};

/* PR_ENOMEM only. */
PR_CHECKED enum pr_code rebalance_zones_judge(const struct rebalance_zones_in *in,
                                              struct pr_arena *arena, struct rebalance_zones *out,
                                              struct pr_err *err);

/* --- replicas that were lost with a zone ------------------------------------------- */

/* Members without a shard that can stand in for what a shard lost, each in a zone where that
 * shard has no live member: their ids, each once. wanted: replicas of a shard; 0: as many as most
 * shards have, failed ones counted. */
PR_CHECKED enum pr_code rebalance_zones_spares(const struct rebalance_image *image, int wanted,
                                               struct pr_arena *arena, const char ***out, size_t *n,
                                               struct pr_err *err);

struct rebalance_stand_ins { /* plans for it that were made within REBALANCE_STAND_IN_MS */
    bool begun;              /* one of them was carried out, or is going to be */
    unsigned refused;        /* ended before they touched anything: the cluster had changed since */
    int64_t refused_ago_ms;  /* since the last of these was made */
};
enum { REBALANCE_STAND_IN_MS = 600000 };
/* Whether another may be made. A zone's fail-overs change the cluster while a plan is made, so one
 * that was refused is no failure: the next comes after 10 s, and after twice as long each time. */
bool rebalance_zones_may_stand_in(const struct rebalance_stand_ins *made);

#endif
