/* Nodes that join: missing replicas first, then whole shards, then spares. */
#include "core/fleet/draft.h"

#include <stdlib.h>

struct joiners {
    struct draft *d;
    bool *is;       /* [nodes] */
    size_t *place;  /* [nodes] in the goal */
    int *primaries; /* [zones] that own slots or will */
    int *shards;    /* [zones] that own slots: where a new primary can take some */
    int16_t *made;  /* new shards, in order */
    size_t n_made;
    int live_zones;
};

static bool free_joiner(const struct joiners *j, size_t n)
{
    return j->is[n] && j->d->now->node[n].shard == REBALANCE_NONE;
}

static int free_in_zone(const struct joiners *j, int zone)
{
    int count = 0;
    for (size_t n = 0; n < j->d->now->nodes; n++)
        count += free_joiner(j, n) && j->d->now->node[n].zone == zone;
    return count;
}

static enum pr_code joiners_open(struct joiners *j, struct draft *d)
{
    const size_t zones = d->fleet->zones + 1;
    *j = (struct joiners){ .d = d };
    j->is = pr_arena_alloc(d->arena, d->fleet->nodes + 1);
    j->place = pr_arena_alloc(d->arena, (d->fleet->nodes + 1) * sizeof *j->place);
    j->primaries = pr_arena_alloc(d->arena, 2 * zones * sizeof *j->primaries);
    j->made = pr_arena_alloc(d->arena, (d->goal->n + 1) * sizeof *j->made);
    if (j->is == NULL || j->place == NULL || j->primaries == NULL || j->made == NULL)
        return pr_fail(d->err, PR_ENOMEM, "join of %zu nodes", d->goal->n);
    j->shards = j->primaries + zones;
    for (size_t i = 0; i < d->goal->n; i++) {
        const enum pr_code rc = draft_check_newcomer(d, d->goal->node[i]);
        if (rc != PR_OK)
            return rc;
        j->is[d->goal->node[i]] = true;
        j->place[d->goal->node[i]] = i;
    }
    for (size_t g = 0; g < d->fleet->shards; g++) {
        const int16_t p = d->fleet->shard[g].primary;
        if (d->first[g] == d->first[g + 1] || p == REBALANCE_NONE)
            continue;
        if (d->fleet->node[p].zone != REBALANCE_NONE)
            j->primaries[d->fleet->node[p].zone]++;
        if (draft_usable(d, (int)g))
            j->shards[draft_zone(d, (int)g)]++;
    }
    return PR_OK;
}

static void meet_all(struct joiners *j)
{
    for (size_t n = 0; n < j->d->now->nodes; n++)
        if (j->is[n] && !j->d->now->node[n].member)
            draft_step(j->d, DRAFT_MEET, 0,
                       (struct rebalance_fleet_step){ .kind = REBALANCE_MEET,
                                                      .slot = REBALANCE_NONE,
                                                      .shard = REBALANCE_NONE,
                                                      .src = REBALANCE_NONE,
                                                      .dst = (int16_t)n,
                                                      .why = "it joins" });
}

/* --- new shards ---------------------------------------------------------------------- */

/* The zone with the fewest primaries, where others can give slots; of equals the node that the
 * goal names first: whoever asks may know where the traffic is. */
static int16_t primary_for_group(const struct joiners *j)
{
    int16_t best = REBALANCE_NONE;
    for (size_t n = 0; n < j->d->now->nodes; n++) {
        const int16_t z = j->d->now->node[n].zone;
        if (!free_joiner(j, n) || j->shards[z] == 0)
            continue;
        const int have = j->primaries[z];
        const int least = best == REBALANCE_NONE ? 0 : j->primaries[j->d->now->node[best].zone];
        if (best == REBALANCE_NONE || have < least ||
            (have == least && j->place[n] < j->place[best]))
            best = (int16_t)n;
    }
    return best;
}

static int16_t replica_for_group(struct joiners *j, int shard)
{
    int16_t best = REBALANCE_NONE;
    int most = 0;
    for (size_t n = 0; n < j->d->now->nodes; n++) {
        if (!free_joiner(j, n) || draft_replica_fault(j->d, (int)n, shard) != NULL)
            continue;
        const int have = free_in_zone(j, j->d->now->node[n].zone);
        if (best == REBALANCE_NONE || have > most) {
            best = (int16_t)n;
            most = have;
        }
    }
    return best;
}

static void undo_shard(struct joiners *j, int shard)
{
    struct draft *d = j->d;
    j->primaries[d->now->node[d->now->shard[shard].primary].zone]--;
    for (size_t n = 0; n < d->now->nodes; n++)
        if (d->now->node[n].shard == shard) {
            d->now->node[n].shard = REBALANCE_NONE;
            d->now->node[n].primary = false;
        }
    d->fresh[shard] = false;
    d->now->shards--;
}

static bool make_shard(struct joiners *j)
{
    struct draft *d = j->d;
    const int16_t primary = primary_for_group(j);
    if (primary == REBALANCE_NONE)
        return false;
    const int16_t shard = draft_new_shard(d, primary);
    j->primaries[d->now->node[primary].zone]++;
    for (int r = 0; r < d->fleet->replicas; r++) {
        const int16_t replica = replica_for_group(j, shard);
        if (replica == REBALANCE_NONE) {
            undo_shard(j, shard);
            return false;
        }
        d->now->node[replica].shard = shard;
    }
    j->made[j->n_made++] = shard;
    return true;
}

static int16_t zone_with_half(const struct joiners *j)
{
    const struct rebalance_fleet *f = j->d->fleet;
    int all = 0;
    for (size_t z = 0; z < f->zones; z++)
        all += j->primaries[z];
    for (size_t z = 0; j->live_zones >= 3 && z < f->zones; z++)
        if (2 * j->primaries[z] >= all)
            return (int16_t)z;
    return REBALANCE_NONE;
}

static bool fleet_has_half(const struct joiners *j, int zone)
{
    const struct rebalance_fleet *f = j->d->fleet;
    int all = 0, here = 0;
    for (size_t g = 0; g < f->shards; g++) {
        const int16_t p = f->shard[g].primary;
        if (p == REBALANCE_NONE || j->d->first[g] == j->d->first[g + 1])
            continue;
        all++;
        here += f->node[p].zone == zone;
    }
    return 2 * here >= all;
}

static void announce_shards(struct joiners *j)
{
    struct draft *d = j->d;
    for (size_t k = 0; k < j->n_made; k++) {
        const int16_t primary = d->now->shard[j->made[k]].primary;
        for (size_t n = 0; n < d->now->nodes; n++)
            if (d->now->node[n].shard == j->made[k] && (int16_t)n != primary)
                draft_step(d, DRAFT_REPLICATE, 0,
                           (struct rebalance_fleet_step){
                               .kind = REBALANCE_REPLICATE,
                               .slot = REBALANCE_NONE,
                               .shard = REBALANCE_NONE,
                               .src = primary,
                               .dst = (int16_t)n,
                               .why = draft_text(d, "replica of the new shard %s",
                                                 d->now->node[primary].id) });
    }
}

static void make_shards(struct joiners *j)
{
    int16_t zone;
    while (make_shard(j))
        ;
    while (j->n_made > 0 && (zone = zone_with_half(j)) != REBALANCE_NONE &&
           !fleet_has_half(j, zone)) {
        draft_note(
            j->d, REBALANCE_NONE, j->d->now->shard[j->made[j->n_made - 1]].primary, REBALANCE_NONE,
            draft_text(j->d,
                       "node %s becomes no primary: zone %s would hold half of the "
                       "primaries; join shards for other zones with it",
                       j->d->now->shard[j->made[j->n_made - 1]].id, draft_zone_name(j->d, zone)));
        undo_shard(j, j->made[--j->n_made]);
    }
    announce_shards(j);
}

/* A primary alone would lose its slots with it. */
static enum pr_code refuse_lonely(struct joiners *j)
{
    struct draft *d = j->d;
    for (size_t n = 0; n < d->now->nodes; n++) {
        if (!free_joiner(j, n))
            continue;
        const char *id = d->now->node[n].id;
        const int zone = d->now->node[n].zone;
        if (j->shards[zone] == 0)
            return pr_fail(d->err, PR_ECONFLICT,
                           "node %s: zone %s has no primary that could give it slots; join it as a "
                           "replica",
                           id, draft_zone_name(d, zone));
        j->primaries[zone]++;
        const int16_t half = zone_with_half(j);
        if (half != REBALANCE_NONE && !fleet_has_half(j, half))
            return pr_fail(d->err, PR_ECONFLICT,
                           "node %s as a primary: zone %s would hold half of the primaries; join "
                           "shards for other zones in the same plan",
                           id, draft_zone_name(d, half));
        return pr_fail(d->err, PR_ECONFLICT,
                       "node %s would be a primary without its %d replicas; join more nodes in "
                       "other zones with it, or join it as a replica",
                       id, d->fleet->replicas);
    }
    return PR_OK;
}

enum pr_code draft_join(struct draft *d)
{
    struct joiners j;
    if (d->goal->as_primary && d->goal->as_replica)
        return pr_fail(d->err, PR_EINVAL, "join: as a primary, or as a replica?");
    enum pr_code rc = joiners_open(&j, d);
    if (rc != PR_OK)
        return rc;
    meet_all(&j);
    j.live_zones = draft_live_zones(d);
    if (!d->goal->as_primary)
        draft_fill_replicas(d, DRAFT_REPLICATE, j.is, "the shard lacks a replica");
    if (!d->goal->as_replica)
        make_shards(&j);
    if (d->goal->as_primary)
        rc = refuse_lonely(&j);
    else
        draft_spare_replicas(d, DRAFT_REPLICATE, j.is, "spare replica");
    return rc == PR_OK && j.n_made > 0 ? draft_spread(d) : rc;
}
