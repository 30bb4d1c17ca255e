#include "core/fleet/explain.h"

#include "core/fleet/draft.h"

#include <math.h>

static int zone_of(const struct rebalance_fleet *f, int shard)
{
    const struct rebalance_group *g = &f->shard[shard];
    if (g->home_zone != REBALANCE_NONE)
        return g->home_zone;
    return g->primary != REBALANCE_NONE ? f->node[g->primary].zone : REBALANCE_NONE;
}

static const char *zone_name(const struct rebalance_fleet *f, int zone)
{
    return zone == REBALANCE_NONE ? "unknown" : f->zone[zone];
}

struct standing { /* of a shard among those of its zone */
    int shards, slots;
    double bytes, mean_bytes, deviation, worst; /* ratios of the mean weight */
};

static double weight_of(const struct rebalance_fleet *f, int shard, double least, int *slots,
                        double *bytes)
{
    double w = 0;
    *slots = 0;
    *bytes = 0;
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        if (f->slot[s].shard == shard) {
            w += f->slot[s].bytes + least;
            *bytes += f->slot[s].bytes;
            ++*slots;
        }
    return w;
}

static struct standing standing_of(const struct rebalance_fleet *f, int shard)
{
    struct standing t = { 0 };
    const double least = rebalance_slot_least(f);
    double most = 0, fewest = INFINITY, sum = 0, all = 0;
    int slots;
    double bytes;
    const double own = weight_of(f, shard, least, &t.slots, &t.bytes);
    for (size_t g = 0; g < f->shards; g++) {
        if (zone_of(f, (int)g) != zone_of(f, shard) || f->shard[g].primary == REBALANCE_NONE)
            continue;
        const double w = weight_of(f, (int)g, least, &slots, &bytes);
        t.shards++;
        sum += w;
        all += bytes;
        most = fmax(most, w);
        fewest = fmin(fewest, w);
    }
    const double mean = t.shards > 0 ? sum / t.shards : 0;
    if (mean > 0) {
        t.mean_bytes = all / t.shards;
        t.deviation = own / mean - 1;
        t.worst = fmax(most - mean, mean - fewest) / mean;
    }
    return t;
}

static const char *time_left(struct pr_arena *arena, int64_t ms)
{
    const long s = (long)((ms + 999) / 1000);
    if (s < 120)
        return pr_arena_printf(arena, "%ld s", s);
    if (s < 7200)
        return pr_arena_printf(arena, "%ld min", (s + 59) / 60);
    return pr_arena_printf(arena, "%ld h", (s + 3599) / 3600);
}

/* --- slots ------------------------------------------------------------------------------ */

static const char *by_zone(const struct rebalance_fleet *f, const struct rebalance_limits *lim,
                           int shard, struct pr_arena *arena)
{
    const struct standing t = standing_of(f, shard);
    const char *zone = zone_name(f, zone_of(f, shard));
    if (zone_of(f, shard) == REBALANCE_NONE)
        return "its zone is unknown, and nothing moves without one";
    if (t.shards <= 1)
        return pr_arena_printf(
            arena, "it keeps zone %s, and no other shard of that zone has a primary", zone);
    if (t.worst <= lim->enter_ratio)
        return pr_arena_printf(arena,
                               "it keeps zone %s, whose %d shards are within %.1f %% of their mean "
                               "(balancing begins above %.1f %%)",
                               zone, t.shards, 100 * t.worst, 100 * lim->enter_ratio);
    return pr_arena_printf(arena,
                           "it may move within zone %s, which deviates by %.1f %% (its shard by "
                           "%+.1f %%): a balance plan decides",
                           zone, 100 * t.worst, 100 * t.deviation);
}

static const char *slot_reason(const struct rebalance_fleet *f, const struct rebalance_limits *lim,
                               int slot, struct pr_arena *arena)
{
    const struct rebalance_slot_facts *s = &f->slot[slot];
    switch (rebalance_slot_hold(f, lim, slot, REBALANCE_NONE)) {
    case DRAFT_OPEN:
        return s->pinned || f->shard[s->shard].pinned
                   ? "it is pinned, and open: a move of it is not finished"
                   : "it is open: a move of it is not finished";
    case DRAFT_PINNED:
        return "it is pinned";
    case DRAFT_SHARD_PINNED:
        return "its shard is pinned";
    case DRAFT_COOLING:
        return pr_arena_printf(arena, "it was moved lately and stays for another %s",
                               time_left(arena, s->moved_at_ms + lim->cooldown_ms - f->now_ms));
    default:
        return by_zone(f, lim, s->shard, arena);
    }
}

static const char *no_way_back(const struct rebalance_fleet *f, const struct rebalance_limits *lim,
                               int slot, struct pr_arena *arena)
{
    const struct rebalance_slot_facts *s = &f->slot[slot];
    const int64_t left = s->moved_at_ms + lim->reversal_ms - f->now_ms;
    const enum draft_hold hold = rebalance_slot_hold(f, lim, slot, REBALANCE_NONE);
    if (hold != DRAFT_FREE && hold != DRAFT_COOLING) /* it goes nowhere at all */
        return "";
    if (s->moved_from == REBALANCE_NONE || s->moved_at_ms <= 0 || left <= 0)
        return "";
    return pr_arena_printf(arena, "; it does not go back to shard %s for another %s",
                           f->shard[s->moved_from].id, time_left(arena, left));
}

const char *rebalance_fleet_explain_slot(const struct rebalance_fleet *fleet,
                                         const struct rebalance_limits *limits, int slot,
                                         struct pr_arena *arena)
{
    if (slot < 0 || slot >= REBALANCE_SLOTS)
        return NULL;
    const struct rebalance_limits lim = rebalance_limits_filled(limits);
    const int16_t shard = fleet->slot[slot].shard;
    if (shard == REBALANCE_NONE)
        return pr_arena_printf(arena, "slot %d is owned by no node: a repair assigns it", slot);
    const int16_t p = fleet->shard[shard].primary;
    if (p == REBALANCE_NONE)
        return pr_arena_printf(
            arena,
            "slot %d is on shard %s, which has no live primary: nothing moves it "
            "until one is promoted",
            slot, fleet->shard[shard].id);
    const char *why = slot_reason(fleet, &lim, slot, arena);
    const char *back = no_way_back(fleet, &lim, slot, arena);
    if (why == NULL || back == NULL)
        return NULL;
    return pr_arena_printf(arena, "slot %d is on shard %s (primary %s, zone %s): %s%s", slot,
                           fleet->shard[shard].id, fleet->node[p].id,
                           zone_name(fleet, fleet->node[p].zone), why, back);
}

/* --- nodes -------------------------------------------------------------------------------- */

static int live_replicas(const struct rebalance_fleet *f, int shard)
{
    int n = 0;
    for (size_t i = 0; i < f->nodes; i++)
        n += f->node[i].shard == shard && f->node[i].member && !f->node[i].primary &&
             !f->node[i].failed;
    return n;
}

static const char *explain_primary(const struct rebalance_fleet *f,
                                   const struct rebalance_limits *lim, int node,
                                   struct pr_arena *arena)
{
    const struct rebalance_member *m = &f->node[node];
    const struct rebalance_group *g = &f->shard[m->shard];
    const struct standing t = standing_of(f, m->shard);
    const char *head = pr_arena_printf(
        arena, "node %s is the primary of shard %s in zone %s with %d slots, %.1f MB", m->id, g->id,
        zone_name(f, m->zone), t.slots, t.bytes / 1e6);
    if (head == NULL)
        return NULL;
    if (m->pinned || g->pinned)
        return pr_arena_printf(arena, "%s: %s is pinned", head, m->pinned ? "it" : "its shard");
    if (g->home_zone != REBALANCE_NONE && g->home_zone != m->zone)
        return pr_arena_printf(arena,
                               "%s: it took over; the shard belongs in zone %s, a fail-back "
                               "brings it there",
                               head, zone_name(f, g->home_zone));
    if (t.shards <= 1)
        return pr_arena_printf(arena, "%s: slots keep their zone, and it is its only primary",
                               head);
    return pr_arena_printf(
        arena,
        "%s: %+.1f %% from the mean of its zone's %d shards, which deviate by %.1f %% at most "
        "(balancing begins above %.1f %%)",
        head, 100 * t.deviation, t.shards, 100 * t.worst, 100 * lim->enter_ratio);
}

static const char *explain_replica(const struct rebalance_fleet *f, int node,
                                   struct pr_arena *arena)
{
    const struct rebalance_member *m = &f->node[node];
    const int have = live_replicas(f, m->shard);
    const char *head = pr_arena_printf(arena, "node %s is a replica of shard %s in zone %s", m->id,
                                       f->shard[m->shard].id, zone_name(f, m->zone));
    if (head == NULL)
        return NULL;
    if (m->pinned)
        return pr_arena_printf(arena, "%s: it is pinned", head);
    if (have > f->replicas)
        return pr_arena_printf(arena,
                               "%s: the shard has %d replicas and needs %d, so it can serve "
                               "another one",
                               head, have, f->replicas);
    return pr_arena_printf(arena, "%s: the shard has %d of %d replicas and spares none", head, have,
                           f->replicas);
}

const char *rebalance_fleet_explain_node(const struct rebalance_fleet *fleet,
                                         const struct rebalance_limits *limits, int node,
                                         struct pr_arena *arena)
{
    if (node < 0 || (size_t)node >= fleet->nodes)
        return NULL;
    const struct rebalance_limits lim = rebalance_limits_filled(limits);
    const struct rebalance_member *m = &fleet->node[node];
    if (!m->member)
        return pr_arena_printf(arena, "node %s is registered and no member: a join takes it in",
                               m->id);
    if (m->failed)
        return pr_arena_printf(
            arena, "node %s does not answer: nothing moves to or from it%s", m->id,
            m->shard != REBALANCE_NONE ? "; a replace gives its shard another" : "");
    if (m->shard == REBALANCE_NONE)
        return pr_arena_printf(arena, "node %s is a member without a role: a join gives it one",
                               m->id);
    return m->primary ? explain_primary(fleet, &lim, node, arena)
                      : explain_replica(fleet, node, arena);
}
