/* The goals that hold after every wave. */
#include "core/fleet/plan.h"

#include <stdlib.h>
#include <string.h>

struct tally { /* of one state of the fleet; arrays in one block */
    const struct rebalance_member *node;
    size_t nodes;
    const struct rebalance_group *shard;
    size_t shards, zones;
    const int16_t *slot_shard;
    double *bytes;   /* [shards] */
    int *slots;      /* [shards] */
    int *replicas;   /* [shards] live */
    int *in_zone;    /* [shards x zones] live members */
    int *primaries;  /* [zones] that own slots */
    int *live_nodes; /* [zones] */
    int all_primaries, live_zones;
    void *block;
};

static bool live(const struct rebalance_member *m)
{
    return m->member && !m->failed;
}

static bool tally_alloc(struct tally *t)
{
    const size_t ints = t->shards * 2 + t->shards * t->zones + t->zones * 2;
    t->block = calloc(1, t->shards * sizeof(double) + (ints + 1) * sizeof(int));
    if (t->block == NULL)
        return false;
    t->bytes = t->block;
    void *const behind = t->bytes + t->shards;
    t->slots = behind;
    t->replicas = t->slots + t->shards;
    t->in_zone = t->replicas + t->shards;
    t->primaries = t->in_zone + t->shards * t->zones;
    t->live_nodes = t->primaries + t->zones;
    return true;
}

static bool tally(struct tally *t, const struct rebalance_fleet *f)
{
    t->zones = f->zones;
    if (!tally_alloc(t))
        return false;
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        if (t->slot_shard[s] != REBALANCE_NONE) {
            t->bytes[t->slot_shard[s]] += f->slot[s].bytes;
            t->slots[t->slot_shard[s]]++;
        }
    for (size_t n = 0; n < t->nodes; n++) {
        const struct rebalance_member *m = &t->node[n];
        if (!live(m))
            continue;
        if (m->zone != REBALANCE_NONE)
            t->live_nodes[m->zone]++;
        if (m->shard == REBALANCE_NONE)
            continue;
        t->replicas[m->shard] += !m->primary;
        if (m->zone == REBALANCE_NONE)
            continue;
        t->in_zone[(size_t)m->shard * t->zones + (size_t)m->zone]++;
        if (m->primary && t->slots[m->shard] > 0) {
            t->primaries[m->zone]++;
            t->all_primaries++;
        }
    }
    for (size_t z = 0; z < t->zones; z++)
        t->live_zones += t->live_nodes[z] > 0;
    return true;
}

/* Zones that a shard lacks: its primary and the wanted replicas should each sit
 * in one of their own, as far as there are zones. */
static int lacking(const struct tally *t, size_t shard, int replicas)
{
    int zones = 0;
    for (size_t z = 0; z < t->zones; z++)
        zones += t->in_zone[shard * t->zones + z] > 0;
    const int want = replicas + 1 < t->live_zones ? replicas + 1 : t->live_zones;
    return want > zones ? want - zones : 0;
}

static enum pr_code check_owned(const struct rebalance_fleet *f, const struct tally *was,
                                const struct tally *now, struct pr_err *err)
{
    for (int s = 0; s < REBALANCE_SLOTS; s++) {
        const int16_t a = was->slot_shard[s], b = now->slot_shard[s];
        const int16_t pa = a != REBALANCE_NONE ? was->shard[a].primary : REBALANCE_NONE;
        const int16_t pb = b != REBALANCE_NONE ? now->shard[b].primary : REBALANCE_NONE;
        const bool before = pa != REBALANCE_NONE && live(&was->node[pa]);
        if (before && (pb == REBALANCE_NONE || !live(&now->node[pb])))
            return pr_fail(err, PR_ECONFLICT, "slot %d of shard %s would be owned by no live node",
                           s, f->shard[a].id);
    }
    return PR_OK;
}

static enum pr_code check_pins(const struct rebalance_fleet *f, const struct tally *now,
                               struct pr_err *err)
{
    for (int s = 0; s < REBALANCE_SLOTS; s++) {
        const struct rebalance_slot_facts *a = &f->slot[s];
        const bool held = a->shard != REBALANCE_NONE && f->shard[a->shard].pinned;
        if ((a->pinned || held) && now->slot_shard[s] != a->shard)
            return pr_fail(err, PR_ECONFLICT, "slot %d is pinned%s and would move", s,
                           a->pinned ? "" : " with its shard");
    }
    for (size_t n = 0; n < f->nodes; n++) {
        const struct rebalance_member *a = &f->node[n], *b = &now->node[n];
        if (a->pinned &&
            (a->shard != b->shard || a->primary != b->primary || a->member != b->member))
            return pr_fail(err, PR_ECONFLICT, "node %s is pinned and would change its role", a->id);
    }
    return PR_OK;
}

static enum pr_code check_replicas(const struct rebalance_fleet *f, const struct tally *was,
                                   const struct tally *now, struct pr_err *err)
{
    for (size_t g = 0; g < now->shards; g++) {
        if (now->slots[g] == 0)
            continue;
        const bool known = g < was->shards && was->slots[g] > 0;
        const int had = known && was->replicas[g] < f->replicas ? was->replicas[g] : f->replicas;
        if (now->replicas[g] < had)
            return pr_fail(err, PR_ECONFLICT, "shard %s would have %d of %d replicas",
                           now->shard[g].id, now->replicas[g], f->replicas);
        const int lacks = lacking(now, g, f->replicas);
        if (lacks > 0 && (!known || lacks > lacking(was, g, f->replicas)))
            return pr_fail(err, PR_ECONFLICT,
                           "shard %s and its %d replicas would lack %d of the zones that they need",
                           now->shard[g].id, f->replicas, lacks);
    }
    return PR_OK;
}

static enum pr_code check_zones(const struct rebalance_fleet *f, const struct tally *was,
                                const struct tally *now, struct pr_err *err)
{
    if (f->zones < 3 || now->live_zones < 3)
        return PR_OK;
    for (size_t z = 0; z < f->zones; z++) {
        const bool broken = was->live_zones >= 3 && 2 * was->primaries[z] >= was->all_primaries;
        if (!broken && now->all_primaries > 0 && 2 * now->primaries[z] >= now->all_primaries)
            return pr_fail(err, PR_ECONFLICT,
                           "zone %s would hold %d of %d primaries: half or more fail together",
                           f->zone[z], now->primaries[z], now->all_primaries);
    }
    return PR_OK;
}

static enum pr_code check_capacity(const struct rebalance_fleet *f, const struct tally *was,
                                   const struct tally *now, struct pr_err *err)
{
    const double rounding = 1; /* of sums of bytes */
    for (size_t n = 0; n < f->nodes; n++) {
        const struct rebalance_member *a = &f->node[n], *b = &now->node[n];
        if (b->capacity_bytes <= 0 || b->shard == REBALANCE_NONE || !live(b))
            continue;
        const double had = a->shard != REBALANCE_NONE ? was->bytes[a->shard] : 0;
        const double base = a->used_bytes > had ? a->used_bytes - had : 0;
        const double has = now->bytes[b->shard];
        if (base + has > b->capacity_bytes + rounding && has > had + rounding)
            return pr_fail(err, PR_ECONFLICT, "node %s holds %.0f MB and would need %.0f MB", b->id,
                           b->capacity_bytes / 1e6, (base + has) / 1e6);
    }
    return PR_OK;
}

enum pr_code rebalance_hard_goals(const struct rebalance_fleet *fleet,
                                  const struct rebalance_layout *now, struct pr_err *err)
{
    int16_t *owner = malloc(REBALANCE_SLOTS * sizeof *owner);
    struct tally a = { .node = fleet->node,
                       .nodes = fleet->nodes,
                       .shard = fleet->shard,
                       .shards = fleet->shards,
                       .slot_shard = owner };
    struct tally b = { .node = now->node,
                       .nodes = now->nodes,
                       .shard = now->shard,
                       .shards = now->shards,
                       .slot_shard = now->slot_shard };
    enum pr_code rc;
    for (int s = 0; owner != NULL && s < REBALANCE_SLOTS; s++)
        owner[s] = fleet->slot[s].shard;
    if (owner == NULL || !tally(&a, fleet) || !tally(&b, fleet))
        rc = pr_fail(err, PR_ENOMEM, "hard goals");
    else if ((rc = check_owned(fleet, &a, &b, err)) == PR_OK &&
             (rc = check_pins(fleet, &b, err)) == PR_OK &&
             (rc = check_replicas(fleet, &a, &b, err)) == PR_OK &&
             (rc = check_zones(fleet, &a, &b, err)) == PR_OK)
        rc = check_capacity(fleet, &a, &b, err);
    free(a.block);
    free(b.block);
    free(owner);
    return rc;
}
