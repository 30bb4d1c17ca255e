/* Who can be a replica of what. */
#include "core/fleet/draft.h"

/* Zones that a shard lacks for its primary and the wanted replicas, were member
 * `minus` not in it (or NONE); *here: another of its members is in `zone`. */
static int lacking(const struct draft *d, int shard, int minus, int zone, bool *here)
{
    int have = 0;
    *here = false;
    for (size_t z = 0; z < d->fleet->zones; z++) {
        bool in = false;
        for (size_t n = 0; n < d->now->nodes && !in; n++) {
            const struct rebalance_member *m = &d->now->node[n];
            in = m->zone == (int16_t)z && m->shard == shard && m->member && !m->failed &&
                 (int)n != minus;
        }
        have += in;
        *here = *here || (in && (int)z == zone);
    }
    const int live = draft_live_zones(d), all = d->fleet->replicas + 1;
    const int want = all < live ? all : live;
    return want > have ? want - have : 0;
}

static bool serves(const struct draft *d, int shard)
{
    return shard != REBALANCE_NONE && !d->leaving[shard] &&
           d->now->shard[shard].primary != REBALANCE_NONE;
}

const char *draft_replica_fault(struct draft *d, int node, int shard)
{
    const struct rebalance_member *m = &d->now->node[node];
    if (m->failed)
        return "it does not answer";
    if (m->zone == REBALANCE_NONE)
        return "its zone is unknown";
    if (m->pinned)
        return "it is pinned";
    if (m->primary && serves(d, m->shard))
        return "it is a primary";
    if (d->now->shard[shard].primary == REBALANCE_NONE)
        return "the shard has no primary";
    if (m->capacity_bytes > 0 && draft_base(d, node) + d->held[shard] > m->capacity_bytes)
        return "its memory does not hold the shard";
    bool here;
    if (lacking(d, shard, REBALANCE_NONE, m->zone, &here) > 0 && here)
        return "the shard has a member in its zone and needs one in another";
    return NULL;
}

static bool can_spare(struct draft *d, int node)
{
    const int shard = d->now->node[node].shard;
    bool here;
    return draft_live_replicas(d, shard) > d->fleet->replicas &&
           lacking(d, shard, node, REBALANCE_NONE, &here) <=
               lacking(d, shard, REBALANCE_NONE, REBALANCE_NONE, &here);
}

int16_t draft_replica_for(struct draft *d, int shard, const bool *banned)
{
    int16_t surplus = REBALANCE_NONE;
    for (size_t n = 0; n < d->now->nodes; n++) {
        const struct rebalance_member *m = &d->now->node[n];
        if (banned[n] || !m->member || m->shard == shard ||
            draft_replica_fault(d, (int)n, shard) != NULL)
            continue;
        if (m->shard == REBALANCE_NONE)
            return (int16_t)n;
        if (surplus == REBALANCE_NONE && serves(d, m->shard) && can_spare(d, (int)n))
            surplus = (int16_t)n;
    }
    return surplus;
}

static void become_replica(struct draft *d, enum draft_stage stage, int node, int shard,
                           const char *why)
{
    const bool known = (size_t)shard < d->fleet->shards;
    draft_step(d, stage, 0,
               (struct rebalance_fleet_step){ .kind = REBALANCE_REPLICATE,
                                              .slot = REBALANCE_NONE,
                                              .shard = known ? (int16_t)shard : REBALANCE_NONE,
                                              .src = d->now->shard[shard].primary,
                                              .dst = (int16_t)node,
                                              .bytes = d->held[shard],
                                              .why = why });
}

static bool unplaced(const struct draft *d, const bool *from, size_t n)
{
    return from[n] && !serves(d, d->now->node[n].shard);
}

void draft_fill_replicas(struct draft *d, enum draft_stage stage, const bool *from, const char *why)
{
    for (int have = 0; have < d->fleet->replicas; have++) /* the poorest first */
        for (size_t g = 0; g < d->now->shards; g++) {
            if (!serves(d, (int)g) || draft_live_replicas(d, (int)g) != have)
                continue;
            for (size_t n = 0; n < d->now->nodes; n++)
                if (unplaced(d, from, n) && draft_replica_fault(d, (int)n, (int)g) == NULL) {
                    become_replica(d, stage, (int)n, (int)g, why);
                    break;
                }
        }
}

void draft_spare_replicas(struct draft *d, enum draft_stage stage, const bool *from,
                          const char *why)
{
    for (size_t n = 0; n < d->now->nodes; n++) {
        if (!unplaced(d, from, n))
            continue;
        int best = REBALANCE_NONE, fewest = 0;
        const char *fault = "there is no shard";
        for (size_t g = 0; g < d->now->shards; g++) {
            if (!serves(d, (int)g))
                continue;
            const char *f = draft_replica_fault(d, (int)n, (int)g);
            const int have = draft_live_replicas(d, (int)g);
            if (f != NULL)
                fault = f;
            else if (best == REBALANCE_NONE || have < fewest ||
                     (have == fewest && d->held[g] > d->held[best])) {
                best = (int)g;
                fewest = have;
            }
        }
        if (best != REBALANCE_NONE)
            become_replica(d, stage, (int)n, best, why);
        else
            draft_note(
                d, REBALANCE_NONE, (int)n, REBALANCE_NONE,
                draft_text(d, "node %s fits no shard as a replica: %s", d->now->node[n].id, fault));
    }
}

enum pr_code draft_check_newcomer(struct draft *d, int node)
{
    const struct rebalance_member *m = &d->now->node[node];
    if (m->failed)
        return pr_fail(d->err, PR_ECONFLICT, "node %s does not answer: start it first", m->id);
    if (m->zone == REBALANCE_NONE)
        return pr_fail(d->err, PR_ECONFLICT,
                       "node %s: its zone is unknown; register it with a zone or add its subnet",
                       m->id);
    if (m->pinned)
        return pr_fail(d->err, PR_ECONFLICT, "node %s is pinned: unpin it first", m->id);
    if (m->shard != REBALANCE_NONE)
        return pr_fail(d->err, PR_ECONFLICT, "node %s is already a member: a %s of shard %s", m->id,
                       m->primary ? "primary" : "replica", d->now->shard[m->shard].id);
    return PR_OK;
}
