/* Does a plan pay? What moving costs against what it brings, with the numbers. Pure.
 * A GB is 10^9 bytes. Source: docs/explanation/rebalance.md. */
#ifndef REBALANCE_VERDICT_H
#define REBALANCE_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What crosses zones of what is moved: to the new primary when that is in another zone
 * (cross_zone_bytes of bytes), and to each of its copies - 1 replicas, all in others. */
double rebalance_crossing_bytes(double bytes, double cross_zone_bytes, int copies);
/* billed_sides 1: one side of a transfer is billed; 2: sender and receiver, as AWS does. */
double rebalance_move_usd(double crossing_bytes, double price_usd_per_gb, int billed_sides);
/* A month of 30 days of traffic, cross_ratio of which is between zones. */
double rebalance_traffic_usd(double bytes_per_s, double cross_ratio, double price_usd_per_gb,
                             int billed_sides);

struct rebalance_verdict {
    double move_usd, saved_usd; /* of the moving; over the horizon */
    double duration_s;          /* negative: unknown */
    bool worth;
    char why[400]; /* "half of what it saves exceeds its price: moves 1.2 GB between zones
                    * for $0.02; saves $310 over 30 days" */
};

/* --- a plan of vertices --------------------------------------------------------- */
struct rebalance_economics {
    double cross_before_ratio, cross_after_ratio;     /* of the traffic; negative: unknown */
    double usd_before_per_month, usd_after_per_month; /* at the same price; negative: unknown */
    double bytes, cross_zone_bytes;                   /* moved */
    double price_usd_per_gb;                          /* each billed side */
    int billed_sides;                                 /* 1 or 2 */
    double horizon_days;
    int copies; /* of a vertex: primary + replicas */
    uint64_t vertices;
    double vertices_per_s; /* expected speed */
};
void rebalance_judge(const struct rebalance_economics *e, struct rebalance_verdict *out);

/* --- a plan of the fleet ---------------------------------------------------------- */
/* Goals that are needed whatever they cost (drain, replace, failback, repair), and the
 * changes of membership that somebody asks for (join, move-replica). */
bool rebalance_goal_is_hard(const char *goal);

struct rebalance_fleet_economics {
    const char *goal;                   /* as in plans.goal: "drain", "balance", ... */
    size_t steps;                       /* 0: there is nothing to do */
    double bytes;                       /* copied: of slots, and of shards to new replicas */
    double cross_zone_bytes;            /* of all that is copied, replicas included */
    double price_usd_per_gb;            /* each billed side */
    int billed_sides;                   /* 1 or 2 */
    double bytes_per_s;                 /* expected speed; 0 unknown */
    double uneven_before, uneven_after; /* largest deviation from its zone's mean, ratio */
    double enter_ratio;                 /* above which evening out is worth it */
    double hot_before, hot_after;       /* hottest shard above its zone's mean; negative: unknown */
    double hot_enter_ratio;             /* above which cooling it is worth it */
    bool rezones;                       /* some slot's primary changes its zone */
    double saved_usd_per_month;         /* of cross-zone traffic; negative: so much more */
    const char *saved_unknown;          /* why that is not known; NULL: it is */
    double horizon_days;                /* 0: 30 */
};
/* Hard goals: always. balance: when it evens out or cools what was over its ratio, or by
 * the numbers: half of what it saves exceeds the price of moving. assign: by the numbers,
 * or as balance when it adds no cross-zone traffic; when that is not known it is worth it,
 * for a person named the groups. */
void rebalance_judge_fleet(const struct rebalance_fleet_economics *e,
                           struct rebalance_verdict *out);

#endif
