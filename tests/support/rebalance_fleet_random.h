/* Seeded random clusters and goals for the planner's property tests. */
#ifndef PRISM_TEST_REBALANCE_FLEET_RANDOM_H
#define PRISM_TEST_REBALANCE_FLEET_RANDOM_H

#include "rebalance_fleet.h"

#include "prism/rng.h"

#include <math.h>

struct cluster {
    struct rf r;
    int16_t node[64];
    int16_t group[REBALANCE_SLOTS];
    struct rebalance_goal goal;
    struct rebalance_limits lim;
    bool lumpy;    /* hardly a slot has keys */
    bool permuted; /* groups are today's owners by other names */
    bool held;     /* something is pinned, was moved lately, is capped or full */
};

static int below(struct pr_rng *g, int n)
{
    return (int)pr_rng_below(g, (uint64_t)n);
}

static void random_slots(struct pr_rng *g, struct cluster *c)
{
    const int shape = below(g, 5), shards = (int)c->r.f.shards;
    const double mean = below(g, 3) == 0 ? 100 : 1e6 * (1 + below(g, 50));
    const double skew = pr_rng_unit(g);
    c->lumpy = shape == 4;
    for (int s = 0; s < REBALANCE_SLOTS; s++) {
        struct rebalance_slot_facts *f = &c->r.slot[s];
        double b = mean;
        if (shape == 1)
            b = mean * pr_rng_unit(g) * 2;
        if (shape == 2) /* a few partitions share a slot */
            b = mean / 4 * (below(g, 4) + below(g, 4) + below(g, 4));
        if (shape == 3)
            b = 0;
        if (shape == 4)
            b = below(g, 100) == 0 ? mean * pr_rng_unit(g) : 0;
        f->bytes = b;
        f->keys = (uint32_t)(b / 500);
        if (pr_rng_unit(g) < skew * 0.5) /* some of another shard's, maybe in another zone */
            f->shard = (int16_t)below(g, shards);
        if (skew > 0.9 && f->shard == 0)
            f->bytes *= 2;
        f->ops_per_s = below(g, 2) == 0 ? 0 : pr_rng_unit(g);
    }
}

static void random_holds(struct pr_rng *g, struct cluster *c)
{
    const int64_t now = c->r.f.now_ms;
    if (below(g, 3) == 0)
        for (int k = below(g, 3000); k > 0; k--) {
            struct rebalance_slot_facts *f = &c->r.slot[below(g, REBALANCE_SLOTS)];
            c->held = true;
            f->moved_from = (int16_t)below(g, (int)c->r.f.shards);
            f->moved_at_ms = now - below(g, 8 * 24 * 3600) * 1000LL;
        }
    if (below(g, 3) == 0)
        for (int k = below(g, 200); k > 0; k--) {
            c->held = true;
            c->r.slot[below(g, REBALANCE_SLOTS)].pinned = true;
        }
    if (below(g, 8) == 0) {
        c->held = true;
        c->r.shard[below(g, (int)c->r.f.shards)].pinned = true;
    }
    if (below(g, 8) == 0) {
        c->held = true;
        c->r.node[below(g, (int)c->r.f.nodes)].pinned = true;
    }
    if (below(g, 5) == 0) {
        c->held = true;
        c->lim.max_slots = 1 + (uint32_t)below(g, 500);
    }
}

static void random_troubles(struct pr_rng *g, struct cluster *c)
{
    struct rf *r = &c->r;
    for (int k = below(g, 3); k > 0; k--) { /* failed over: a replica took the place */
        const int s = below(g, (int)r->f.shards);
        const int16_t p = r->shard[s].primary;
        for (size_t n = 0; n < r->f.nodes; n++)
            if (r->node[n].shard == s && !r->node[n].primary) {
                r->node[p].primary = false;
                r->node[p].failed = below(g, 2) == 0;
                r->node[n].primary = true;
                r->shard[s].primary = (int16_t)n;
                break;
            }
    }
    for (int k = below(g, 3); k > 0; k--) {
        struct rebalance_member *m = &r->node[below(g, (int)r->f.nodes)];
        m->failed = m->failed || !m->primary;
    }
}

static void random_goal(struct pr_rng *g, struct cluster *c)
{
    struct rf *r = &c->r;
    const int members = (int)r->f.nodes;
    c->goal = (struct rebalance_goal){ .kind = (enum rebalance_goal_kind)below(g, 7),
                                       .node = c->node,
                                       .group_of_slot = c->group };
    const int named = 1 + below(g, c->goal.kind == REBALANCE_JOIN ? 20 : 4);
    for (int k = 0; k < named; k++) {
        if (c->goal.kind == REBALANCE_JOIN) {
            c->node[k] = rf_add_node(r, below(g, (int)r->f.zones));
        } else {
            c->node[k] = (int16_t)((c->node[0] + (k == 0 ? below(g, members) : k)) % members);
        }
    }
    c->goal.n = (size_t)named;
    c->goal.as_primary = below(g, 6) == 0;
    c->goal.as_replica = !c->goal.as_primary && below(g, 6) == 0;
    if (c->goal.kind == REBALANCE_REPLACE || c->goal.kind == REBALANCE_MOVE_REPLICA)
        c->goal.n = 1;
    if (c->goal.kind == REBALANCE_REPLACE)
        c->goal.with = rf_add_node(r, r->node[c->node[0]].zone);
    if (c->goal.kind == REBALANCE_MOVE_REPLICA) {
        c->goal.shard = (int16_t)below(g, (int)r->f.shards);
        if (below(g, 2) == 0)
            c->node[0] = rf_add_node(r, below(g, (int)r->f.zones));
    }
    c->goal.groups = 1 + (size_t)below(g, (int)r->f.shards);
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        c->group[s] = (int16_t)(s * (int)c->goal.groups / REBALANCE_SLOTS);
    c->permuted = c->goal.kind == REBALANCE_ASSIGN && below(g, 3) == 0;
    if (c->permuted) { /* the owners by other names */
        const int shards = (int)r->f.shards, shift = below(g, shards);
        c->goal.groups = r->f.shards;
        for (int s = 0; s < REBALANCE_SLOTS; s++)
            c->group[s] = (int16_t)((shards - 1 - r->slot[s].shard + shift) % shards);
    }
    if (c->goal.kind == REBALANCE_DRAIN && below(g, 2) == 0) { /* a whole shard */
        const int shard = below(g, (int)r->f.shards);
        c->goal.n = 0;
        for (size_t n = 0; n < r->f.nodes; n++)
            if (r->node[n].shard == shard)
                c->node[c->goal.n++] = (int16_t)n;
    }
}

static inline void random_cluster(struct pr_rng *g, struct cluster *c)
{
    const int zones = 1 + below(g, 4);
    memset(c, 0, sizeof *c);
    rf_make(&c->r, zones, zones * (1 + below(g, 5)) + (zones > 2 ? below(g, 2) : 0),
            below(g, zones < 3 ? zones : 3), 0);
    for (int k = below(g, 3); k > 0; k--) { /* spare replicas, and members without a role */
        const int16_t n = rf_add_node(&c->r, below(g, zones));
        c->r.node[n].member = true;
        if (below(g, 2) == 0)
            c->r.node[n].shard = (int16_t)below(g, (int)c->r.f.shards);
    }
    random_slots(g, c);
    random_holds(g, c);
    if (below(g, 3) == 0)
        random_troubles(g, c);
    random_goal(g, c);
    c->lim.wave_bytes = below(g, 2) == 0 ? 1e15 : 1e8 * (1 + below(g, 100));
    double most = 0, held[RF_SHARDS] = { 0 };
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        held[c->r.slot[s].shard] += c->r.slot[s].bytes;
    for (size_t i = 0; i < c->r.f.shards; i++)
        most = fmax(most, held[i]);
    rf_fill(&c->r, 0);
    if (below(g, 3) == 0) {
        c->held = true;
        rf_fill(&c->r, most * (1 + pr_rng_unit(g)));
    }
}

#endif
