/* Fleets for the planner's tests: regular ones, to be bent by each test. */
#ifndef PRISM_TEST_REBALANCE_FLEET_H
#define PRISM_TEST_REBALANCE_FLEET_H

#include "core/fleet/plan.h"

#include <stdio.h>
#include <string.h>

enum { RF_NODES = 1200, RF_SHARDS = 500, RF_ZONES = 8 };

struct rf {
    struct rebalance_fleet f;
    struct rebalance_member node[RF_NODES];
    struct rebalance_group shard[RF_SHARDS];
    struct rebalance_slot_facts slot[REBALANCE_SLOTS];
    const char *zone[RF_ZONES];
    char id[RF_NODES][16];
};

static inline int16_t rf_add_node(struct rf *r, int zone)
{
    const int n = (int)r->f.nodes++;
    snprintf(r->id[n], sizeof r->id[n], "n%d", n + 1);
    r->node[n] =
        (struct rebalance_member){ .id = r->id[n], .zone = (int16_t)zone, .shard = REBALANCE_NONE };
    return (int16_t)n;
}

static inline void rf_add_shard(struct rf *r, int zone)
{
    const int16_t g = (int16_t)r->f.shards++;
    for (int k = 0; k <= r->f.replicas; k++) {
        const int16_t n = rf_add_node(r, (zone + k) % (int)r->f.zones);
        r->node[n].shard = g;
        r->node[n].primary = k == 0;
        r->node[n].member = true;
        if (k == 0)
            r->shard[g] = (struct rebalance_group){ .id = r->id[n],
                                                    .primary = n,
                                                    .home_zone = (int16_t)zone };
    }
}

/* Shards in zones by turns, slots in equal runs of `bytes` each. */
static inline void rf_make(struct rf *r, int zones, int shards, int replicas, double bytes)
{
    static const char *const name[RF_ZONES] = { "a", "b", "c", "d", "e", "f", "g", "h" };
    memset(r, 0, sizeof *r);
    memcpy(r->zone, name, sizeof name);
    r->f = (struct rebalance_fleet){ .node = r->node,
                                     .shard = r->shard,
                                     .zone = r->zone,
                                     .zones = (size_t)zones,
                                     .slot = r->slot,
                                     .replicas = replicas,
                                     .now_ms = 1000000000000 };
    for (int g = 0; g < shards; g++)
        rf_add_shard(r, g % zones);
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        r->slot[s] =
            (struct rebalance_slot_facts){ .shard = (int16_t)(s * shards / REBALANCE_SLOTS),
                                           .moved_from = REBALANCE_NONE,
                                           .bytes = bytes,
                                           .keys = bytes > 0 };
}

/* used_bytes of every member from its shard's slots, and so much capacity. */
static inline void rf_fill(struct rf *r, double capacity)
{
    double held[RF_SHARDS] = { 0 };
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        if (r->slot[s].shard != REBALANCE_NONE)
            held[r->slot[s].shard] += r->slot[s].bytes;
    for (size_t n = 0; n < r->f.nodes; n++) {
        r->node[n].capacity_bytes = capacity;
        r->node[n].used_bytes = r->node[n].shard != REBALANCE_NONE ? held[r->node[n].shard] : 0;
    }
}

static inline size_t rf_count(const struct rebalance_fleet_plan *p,
                              enum rebalance_fleet_step_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < p->steps; i++)
        n += p->step[i].kind == kind;
    return n;
}

#endif
