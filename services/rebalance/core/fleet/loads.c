/* How bytes and operations are spread over the shards of each zone. */
#include "core/fleet/draft.h"

#include <math.h>

struct sums {
    double weight, bytes, ops;
};

static int zone_of(const struct rebalance_layout *l, size_t shard)
{
    const struct rebalance_group *g = &l->shard[shard];
    if (g->primary == REBALANCE_NONE)
        return REBALANCE_NONE;
    return g->home_zone != REBALANCE_NONE ? g->home_zone : l->node[g->primary].zone;
}

static void add_slots(const struct draft *d, const struct rebalance_layout *l, struct sums *shard)
{
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        if (l->slot_shard[s] != REBALANCE_NONE) {
            struct sums *q = &shard[l->slot_shard[s]];
            q->weight += d->weight[s];
            q->bytes += d->fleet->slot[s].bytes;
            q->ops += d->fleet->slot[s].ops_per_s;
        }
}

static void add_zones(const struct rebalance_layout *l, const struct sums *shard, struct sums *zone,
                      struct rebalance_zone_load *load)
{
    for (size_t g = 0; g < l->shards; g++) {
        const int z = zone_of(l, g);
        if (z == REBALANCE_NONE)
            continue;
        struct rebalance_zone_load *q = &load[z];
        const double b = shard[g].bytes;
        q->min_bytes = q->primaries == 0 ? b : fmin(q->min_bytes, b);
        q->max_bytes = fmax(q->max_bytes, b);
        q->primaries++;
        zone[z].weight += shard[g].weight;
        zone[z].bytes += b;
        zone[z].ops += shard[g].ops;
    }
}

enum pr_code draft_loads(const struct draft *d, const struct rebalance_layout *l,
                         struct rebalance_zone_load **out, double *uneven, double *hot)
{
    const size_t zones = d->fleet->zones;
    struct sums *shard = pr_arena_alloc(d->arena, (l->shards + 1) * sizeof *shard);
    struct sums *zone = pr_arena_alloc(d->arena, (zones + 1) * sizeof *zone);
    struct rebalance_zone_load *load = pr_arena_alloc(d->arena, (zones + 1) * sizeof *load);
    if (shard == NULL || zone == NULL || load == NULL)
        return pr_fail(d->err, PR_ENOMEM, "loads of %zu zones", zones);
    add_slots(d, l, shard);
    add_zones(l, shard, zone, load);
    for (size_t z = 0; z < zones; z++)
        if (load[z].primaries > 0)
            load[z].mean_bytes = zone[z].bytes / load[z].primaries;
    *uneven = 0;
    *hot = -1;
    for (size_t g = 0; g < l->shards; g++) {
        const int z = zone_of(l, g);
        if (z == REBALANCE_NONE)
            continue;
        const double weight = zone[z].weight / load[z].primaries;
        const double ops = zone[z].ops / load[z].primaries;
        if (weight > 0)
            *uneven = fmax(*uneven, fabs(shard[g].weight / weight - 1));
        if (ops > 0)
            *hot = fmax(*hot, shard[g].ops / ops - 1);
    }
    *out = load;
    return PR_OK;
}
