/* A fleet as data: what it is made of, where it may stand, what it costs. Pure. */
#ifndef AUTOSCALE_FLEET_H
#define AUTOSCALE_FLEET_H

#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AUTOSCALE_NAME = 64, AUTOSCALE_ZONES = 16, AUTOSCALE_GROUPS = 64, AUTOSCALE_LADDER = 16 };

struct autoscale_group { /* a placement group */
    char name[AUTOSCALE_NAME];
    int zone; /* index */
    int max;  /* members: 500 */
};

struct autoscale_instance_type { /* the ladder's steps, from small to large */
    char name[AUTOSCALE_NAME];
    double vcpus, memory_gb, network_gbps;
    double price_hour; /* USD */
};

struct autoscale_fleet {
    char name[AUTOSCALE_NAME];
    int unit; /* members that come and go together, one per zone: 3 for a primary with two
                 replicas; 1: single nodes */
    int min, max;
    char zone[AUTOSCALE_ZONES][AUTOSCALE_NAME];
    int zones;
    struct autoscale_group group[AUTOSCALE_GROUPS];
    int groups; /* 0: none are used */
    struct autoscale_instance_type ladder[AUTOSCALE_LADDER];
    int types, type;          /* type: index of what it runs on */
    double zone_loss_pct;     /* members that are left when one zone is lost stay under it: 100;
                                 0: no such floor */
    int64_t boot_ms, move_ms; /* until they are learnt */
};

struct autoscale_node { /* a member, for choosing who leaves and where there is room */
    const char *id;     /* borrowed */
    const char *shard;  /* "" for a single node */
    int zone, group;    /* index; group -1 none */
    bool primary;
    uint64_t bytes; /* what would have to be moved */
    int slots;      /* of its shard */
    bool unsized;   /* nobody knows its bytes: its shard's slots count instead */
    double traffic; /* of it, any unit */
    bool leaving, failed;
};

/* PR_EINVAL: names the field that is wrong. */
PR_CHECKED enum pr_code autoscale_fleet_check(const struct autoscale_fleet *f, struct pr_err *err);

/* Instances turned into whole units: up on the way out, down on the way in (never below
 * what floor asks, in whole units). */
int autoscale_fleet_round(const struct autoscale_fleet *f, int from, int to, int floor);
int autoscale_fleet_whole(const struct autoscale_fleet *f, int n, bool up); /* a multiple of unit */

/* Fewest members of which, spread evenly over the zones, enough are left when the fullest
 * zone is lost: `load` members at 100 % CPU stay under zone_loss_pct. 0: no such floor (it is
 * off, there is one zone, or load is unknown). */
int autoscale_fleet_zone_floor(const struct autoscale_fleet *f, double load);

/* What the two fleets of the reference are: Redis Cluster's hot tier in shard units, and the
 * stateless proxies. Types and prices are AWS's on-demand ones of us-west-2, 2026-11. */
void autoscale_fleet_default(struct autoscale_fleet *out); /* single nodes, three zones */
void autoscale_fleet_redis(struct autoscale_fleet *out);
void autoscale_fleet_proxies(struct autoscale_fleet *out);

#endif
