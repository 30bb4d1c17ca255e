/* Goals that change roles, and move no slot. */
#include "core/fleet/draft.h"

enum { AT_ONCE = 16 }; /* fail-overs in a wave: each asks all primaries for votes */

static struct rebalance_fleet_step role_step(enum rebalance_fleet_step_kind kind, int shard,
                                             int src, int dst, double bytes, const char *why)
{
    return (struct rebalance_fleet_step){ .kind = kind,
                                          .slot = REBALANCE_NONE,
                                          .shard = (int16_t)shard,
                                          .src = (int16_t)src,
                                          .dst = (int16_t)dst,
                                          .bytes = bytes,
                                          .why = why };
}

/* --- replace --------------------------------------------------------------------------- */

static enum pr_code check_pair(struct draft *d, int old, int with)
{
    const struct rebalance_member *a = &d->now->node[old];
    if (!a->member)
        return pr_fail(d->err, PR_ECONFLICT, "node %s is not a member of the cluster", a->id);
    if (a->pinned)
        return pr_fail(d->err, PR_ECONFLICT, "node %s is pinned: unpin it first", a->id);
    const enum pr_code rc = draft_check_newcomer(d, with);
    if (rc != PR_OK || a->shard == REBALANCE_NONE)
        return rc;
    const struct rebalance_group *g = &d->now->shard[a->shard];
    if (g->primary == REBALANCE_NONE || d->now->node[g->primary].failed)
        return pr_fail(d->err, PR_ECONFLICT,
                       "shard %s has no live primary: wait for the fail-over, or restore it",
                       g->id);
    const struct rebalance_member *b = &d->now->node[with];
    const char *fault = a->primary ? NULL : draft_replica_fault(d, with, a->shard);
    if (fault != NULL && a->failed)
        return pr_fail(d->err, PR_ECONFLICT, "node %s cannot be a replica of shard %s: %s", b->id,
                       g->id, fault);
    if (a->primary && b->zone != draft_zone(d, a->shard))
        return pr_fail(
            d->err, PR_ECONFLICT,
            "node %s is in zone %s, shard %s belongs in %s: replace its primary by a node "
            "there",
            b->id, draft_zone_name(d, b->zone), g->id, draft_zone_name(d, draft_zone(d, a->shard)));
    if (b->capacity_bytes > 0 && b->used_bytes + d->held[a->shard] > b->capacity_bytes)
        return pr_fail(d->err, PR_ECONFLICT, "node %s holds %.1f MB, shard %s needs %.1f MB", b->id,
                       b->capacity_bytes / 1e6, g->id, (b->used_bytes + d->held[a->shard]) / 1e6);
    return PR_OK;
}

/* A failed former primary left its role to a replica: the new node brings it
 * back to the shard's zone. */
static bool brings_back(const struct draft *d, int shard, int with)
{
    const int16_t p = d->now->shard[shard].primary;
    return d->now->node[with].zone == draft_zone(d, shard) &&
           d->now->node[p].zone != draft_zone(d, shard) && !d->now->node[p].pinned;
}

enum pr_code draft_replace(struct draft *d)
{
    const int old = d->goal->node[0], with = d->goal->with;
    if (with < 0 || (size_t)with >= d->fleet->nodes)
        return pr_fail(d->err, PR_EINVAL, "replace: node %d is not registered", with);
    if (with == old)
        return pr_fail(d->err, PR_EINVAL, "replace: node %s by itself", d->now->node[old].id);
    const enum pr_code rc = check_pair(d, old, with);
    if (rc != PR_OK)
        return rc;
    const int shard = d->now->node[old].shard;
    const bool was_primary = d->now->node[old].primary;
    if (!d->now->node[with].member)
        draft_step(d, DRAFT_MEET, 0,
                   role_step(REBALANCE_MEET, REBALANCE_NONE, REBALANCE_NONE, with, 0, "it joins"));
    if (shard != REBALANCE_NONE) {
        const int16_t primary = d->now->shard[shard].primary;
        draft_step(d, DRAFT_REPLICATE, 0,
                   role_step(REBALANCE_REPLICATE, shard, primary, with, d->held[shard],
                             draft_text(d, "takes the place of %s", d->now->node[old].id)));
        if (was_primary || brings_back(d, shard, with))
            draft_step(
                d, DRAFT_FAILOVER, 0,
                role_step(REBALANCE_FAILOVER, shard, primary, with, 0,
                          was_primary ? "its primary leaves" : "the primary returns to its zone"));
    }
    draft_step(d, DRAFT_FORGET, 0,
               role_step(REBALANCE_FORGET, REBALANCE_NONE, REBALANCE_NONE, old, 0,
                         draft_text(d, "replaced by %s", d->now->node[with].id)));
    return PR_OK;
}

/* --- move a replica ------------------------------------------------------------------------ */

static enum pr_code check_replica(struct draft *d, int node, int shard)
{
    const struct rebalance_member *m = &d->now->node[node];
    const char *fault = draft_replica_fault(d, node, shard);
    if (m->shard == shard)
        return pr_fail(d->err, PR_ECONFLICT, "node %s is a %s of shard %s already", m->id,
                       m->primary ? "primary" : "replica", d->now->shard[shard].id);
    if (fault != NULL)
        return pr_fail(d->err, PR_ECONFLICT, "node %s cannot be a replica of shard %s: %s", m->id,
                       d->now->shard[shard].id, fault);
    if (m->shard != REBALANCE_NONE && draft_live_replicas(d, m->shard) <= d->fleet->replicas)
        return pr_fail(d->err, PR_ECONFLICT,
                       "shard %s would keep %d of %d replicas; give it another one first",
                       d->now->shard[m->shard].id, draft_live_replicas(d, m->shard) - 1,
                       d->fleet->replicas);
    return PR_OK;
}

enum pr_code draft_move_replica(struct draft *d)
{
    const int node = d->goal->node[0], shard = d->goal->shard;
    if (shard < 0 || (size_t)shard >= d->fleet->shards)
        return pr_fail(d->err, PR_EINVAL, "move-replica: shard %d is not known", shard);
    if (!d->now->node[node].member)
        draft_step(d, DRAFT_MEET, 0,
                   role_step(REBALANCE_MEET, REBALANCE_NONE, REBALANCE_NONE, node, 0, "it joins"));
    const enum pr_code rc = check_replica(d, node, shard);
    if (rc == PR_OK)
        draft_step(d, DRAFT_REPLICATE, 0,
                   role_step(REBALANCE_REPLICATE, shard, d->now->shard[shard].primary, node,
                             d->held[shard], "asked for"));
    return rc;
}

/* --- fail back ------------------------------------------------------------------------------ */

static int16_t replica_at_home(const struct draft *d, int shard)
{
    for (size_t n = 0; n < d->now->nodes; n++) {
        const struct rebalance_member *m = &d->now->node[n];
        if (m->shard == shard && m->member && !m->failed && !m->primary && !m->pinned &&
            m->zone == d->now->shard[shard].home_zone)
            return (int16_t)n;
    }
    return REBALANCE_NONE;
}

/* Whether a zone holds half of the primaries; a wave does not end like that. */
static bool half_somewhere(const struct draft *d)
{
    int all = 0;
    for (size_t g = 0; g < d->fleet->shards; g++)
        all += d->now->shard[g].primary != REBALANCE_NONE;
    for (size_t z = 0; z < d->fleet->zones; z++) {
        int here = 0;
        for (size_t g = 0; g < d->fleet->shards; g++) {
            const int16_t p = d->now->shard[g].primary;
            here += p != REBALANCE_NONE && d->now->node[p].zone == (int16_t)z;
        }
        if (2 * here >= all)
            return true;
    }
    return false;
}

enum pr_code draft_failback(struct draft *d)
{
    int steps = 0, wave = 0;
    for (size_t g = 0; g < d->fleet->shards; g++) {
        const struct rebalance_group q = d->now->shard[g];
        if (q.primary == REBALANCE_NONE || q.home_zone == REBALANCE_NONE ||
            d->now->node[q.primary].zone == q.home_zone)
            continue;
        const int16_t to = replica_at_home(d, (int)g);
        if (d->now->node[q.primary].pinned || d->now->node[q.primary].failed) {
            draft_note(d, REBALANCE_NONE, q.primary, (int)g,
                       draft_text(d, "shard %s stays: its primary is %s", q.id,
                                  d->now->node[q.primary].pinned ? "pinned" : "not answering"));
            continue;
        }
        if (to == REBALANCE_NONE) {
            draft_note(d, REBALANCE_NONE, q.primary, (int)g,
                       draft_text(d, "shard %s stays: no live replica in zone %s can take over",
                                  q.id, draft_zone_name(d, q.home_zone)));
            continue;
        }
        draft_step(d, DRAFT_FAILOVER, wave,
                   role_step(REBALANCE_FAILOVER, (int)g, q.primary, to, 0,
                             "the primary returns to its zone"));
        if (++steps >= AT_ONCE && !half_somewhere(d)) {
            steps = 0;
            wave++;
        }
    }
    return PR_OK;
}
