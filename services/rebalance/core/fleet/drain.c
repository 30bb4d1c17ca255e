/* Nodes that leave: fail over where a replica sits in the right zone, move
 * slots where none does, keep every other shard's replicas, then forget. */
#include "core/fleet/draft.h"

static bool *listed_nodes(struct draft *d)
{
    bool *is = pr_arena_alloc(d->arena, d->fleet->nodes + 1);
    for (size_t i = 0; is != NULL && i < d->goal->n; i++)
        is[d->goal->node[i]] = true;
    return is;
}

static enum pr_code check_leaver(struct draft *d, int node)
{
    const struct rebalance_member *m = &d->now->node[node];
    if (!m->member)
        return pr_fail(d->err, PR_ECONFLICT, "node %s is not a member of the cluster", m->id);
    if (m->pinned)
        return pr_fail(d->err, PR_ECONFLICT, "node %s is pinned: unpin it first", m->id);
    const bool owns =
        m->shard != REBALANCE_NONE && m->primary && d->first[m->shard] < d->first[m->shard + 1];
    if (owns && m->failed)
        return pr_fail(d->err, PR_ECONFLICT,
                       "node %s does not answer and owns slots: wait for the fail-over, or restore "
                       "it",
                       m->id);
    if (owns && draft_zone(d, m->shard) == REBALANCE_NONE)
        return pr_fail(d->err, PR_ECONFLICT,
                       "node %s: its zone is unknown; register it with a zone or add its subnet",
                       m->id);
    return PR_OK;
}

/* Live members that stay, without the primary. */
static int staying(const struct draft *d, int shard, const bool *listed)
{
    int n = 0;
    for (size_t i = 0; i < d->now->nodes; i++) {
        const struct rebalance_member *m = &d->now->node[i];
        n += m->shard == shard && m->member && !m->failed && !m->primary && !listed[i];
    }
    return n;
}

static int16_t heir(const struct draft *d, int shard, const bool *listed)
{
    for (size_t i = 0; i < d->now->nodes; i++) {
        const struct rebalance_member *m = &d->now->node[i];
        if (m->shard == shard && m->member && !m->failed && !m->primary && !m->pinned &&
            !listed[i] && m->zone == draft_zone(d, shard))
            return (int16_t)i;
    }
    return REBALANCE_NONE;
}

/* Adds replicas until `missing` is 0; returns what is still missing. */
static int reinforce(struct draft *d, int shard, int missing, const bool *listed)
{
    while (missing > 0) {
        const int16_t node = draft_replica_for(d, shard, listed);
        if (node == REBALANCE_NONE)
            break;
        draft_step(d, DRAFT_REPLICATE, 0,
                   (struct rebalance_fleet_step){ .kind = REBALANCE_REPLICATE,
                                                  .slot = REBALANCE_NONE,
                                                  .shard = (int16_t)shard,
                                                  .src = d->now->shard[shard].primary,
                                                  .dst = node,
                                                  .bytes = d->held[shard],
                                                  .why = "takes the place of a node that leaves" });
        missing--;
    }
    return missing;
}

/* A replica in the right zone takes over: no slot moves. */
static bool hand_over(struct draft *d, int shard, const bool *listed)
{
    const int16_t to = heir(d, shard, listed), from = d->now->shard[shard].primary;
    if (to == REBALANCE_NONE)
        return false;
    const int missing = d->fleet->replicas - (staying(d, shard, listed) - 1);
    if (missing > 0) { /* only when free nodes fill all of it */
        int found = 0;
        for (size_t n = 0; n < d->now->nodes; n++)
            found += d->now->node[n].member && d->now->node[n].shard == REBALANCE_NONE &&
                     !listed[n] && draft_replica_fault(d, (int)n, shard) == NULL;
        if (found < missing || reinforce(d, shard, missing, listed) > 0)
            return false;
    }
    draft_step(d, DRAFT_FAILOVER, 0,
               (struct rebalance_fleet_step){ .kind = REBALANCE_FAILOVER,
                                              .slot = REBALANCE_NONE,
                                              .shard = (int16_t)shard,
                                              .src = from,
                                              .dst = to,
                                              .why = "its primary leaves; this replica is in the "
                                                     "right zone" });
    return true;
}

static enum pr_code leave_primary(struct draft *d, int shard, const bool *listed)
{
    if (hand_over(d, shard, listed))
        return PR_OK;
    if (d->now->shard[shard].pinned && d->first[shard] < d->first[shard + 1])
        return pr_fail(d->err, PR_ECONFLICT, "shard %s is pinned: unpin it first",
                       d->now->shard[shard].id);
    d->leaving[shard] = true;
    return PR_OK;
}

static enum pr_code leave_all(struct draft *d, const bool *listed)
{
    enum pr_code rc = PR_OK;
    for (size_t g = 0; rc == PR_OK && g < d->fleet->shards; g++) {
        const int16_t p = d->now->shard[g].primary;
        if (p != REBALANCE_NONE && listed[p])
            rc = leave_primary(d, (int)g, listed);
    }
    /* Nodes that are free now, or spare, step in at once; those of shards that
     * leave can do so when their slots have left. */
    for (size_t g = 0; rc == PR_OK && g < d->fleet->shards; g++) {
        const int stay = staying(d, (int)g, listed);
        if (!d->leaving[g] && stay < draft_live_replicas(d, (int)g))
            (void)reinforce(d, (int)g, d->fleet->replicas - stay, listed);
    }
    return rc;
}

enum pr_code draft_drain(struct draft *d)
{
    const bool *listed = listed_nodes(d);
    if (listed == NULL)
        return pr_fail(d->err, PR_ENOMEM, "drain of %zu nodes", d->goal->n);
    for (size_t i = 0; i < d->goal->n; i++) {
        const enum pr_code rc = check_leaver(d, d->goal->node[i]);
        if (rc != PR_OK)
            return rc;
    }
    const enum pr_code rc = leave_all(d, listed);
    return rc == PR_OK ? draft_spread(d) : rc;
}

/* --- once the slots have left ------------------------------------------------------------ */

static enum pr_code check_replicas(struct draft *d, const bool *listed)
{
    for (size_t g = 0; g < d->fleet->shards; g++) {
        const int stay = staying(d, (int)g, listed), now = draft_live_replicas(d, (int)g);
        if (d->leaving[g] || stay >= now || stay >= d->fleet->replicas)
            continue;
        return pr_fail(d->err, PR_ECONFLICT,
                       "shard %s would keep %d of %d replicas; join a node in another zone than "
                       "its members' first",
                       d->now->shard[g].id, stay, d->fleet->replicas);
    }
    return PR_OK;
}

static void forget(struct draft *d, int node)
{
    draft_step(d, DRAFT_FORGET, 0,
               (struct rebalance_fleet_step){ .kind = REBALANCE_FORGET,
                                              .slot = REBALANCE_NONE,
                                              .shard = REBALANCE_NONE,
                                              .src = REBALANCE_NONE,
                                              .dst = (int16_t)node,
                                              .why = "it leaves" });
}

enum pr_code draft_drain_after(struct draft *d)
{
    const bool *listed = listed_nodes(d);
    bool *freed = pr_arena_alloc(d->arena, d->fleet->nodes + 1);
    if (listed == NULL || freed == NULL)
        return pr_fail(d->err, PR_ENOMEM, "drain of %zu nodes", d->goal->n);
    for (size_t g = 0; g < d->fleet->shards; g++)
        d->held[g] = 0;
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        d->held[d->to[s]] += d->fleet->slot[s].bytes;
    for (size_t n = 0; n < d->fleet->nodes; n++) {
        const struct rebalance_member *m = &d->now->node[n];
        freed[n] = m->shard != REBALANCE_NONE && d->leaving[m->shard] && !listed[n] && m->member &&
                   !m->failed;
    }
    /* Listed replicas count as gone when places are filled. */
    for (size_t n = 0; n < d->fleet->nodes; n++)
        if (listed[n])
            d->now->node[n].failed = true;
    draft_fill_replicas(d, DRAFT_REPLICATE_AFTER, freed, "its shard has left; this one lacks one");
    draft_spare_replicas(d, DRAFT_REPLICATE_AFTER, freed, "its shard has left");
    for (size_t n = 0; n < d->fleet->nodes; n++)
        d->now->node[n].failed = d->fleet->node[n].failed;
    for (size_t n = 0; n < d->fleet->nodes; n++)
        if (freed[n] && d->leaving[d->now->node[n].shard])
            return pr_fail(d->err, PR_ECONFLICT,
                           "node %s would be left without a shard: drain it as well",
                           d->now->node[n].id);
    const enum pr_code rc = check_replicas(d, listed);
    /* Replicas first: nobody who still has one may be forgotten. */
    for (int primary = 0; rc == PR_OK && primary < 2; primary++)
        for (size_t i = 0; i < d->goal->n; i++)
            if (d->now->node[d->goal->node[i]].primary == (primary != 0))
                forget(d, d->goal->node[i]);
    return rc;
}
