/* What a fleet looks like after some steps of a plan. */
#include "core/fleet/draft.h"

#include <string.h>

enum pr_code rebalance_layout_of(const struct rebalance_fleet *f, struct pr_arena *arena,
                                 struct rebalance_layout *out, struct pr_err *err)
{
    /* Every node could become a shard of its own. */
    *out = (struct rebalance_layout){ .nodes = f->nodes, .shards = f->shards };
    out->node = pr_arena_alloc(arena, (f->nodes + 1) * sizeof *out->node);
    out->shard = pr_arena_alloc(arena, (f->shards + f->nodes + 1) * sizeof *out->shard);
    if (out->node == NULL || out->shard == NULL)
        return pr_fail(err, PR_ENOMEM, "layout of %zu nodes", f->nodes);
    if (f->nodes > 0)
        memcpy(out->node, f->node, f->nodes * sizeof *out->node);
    if (f->shards > 0)
        memcpy(out->shard, f->shard, f->shards * sizeof *out->shard);
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        out->slot_shard[s] = f->slot[s].shard;
    return PR_OK;
}

/* A member without a shard that gets a replica or a slot is a shard of its own. */
static int16_t shard_of(struct rebalance_layout *l, int16_t node)
{
    struct rebalance_member *m = &l->node[node];
    if (m->shard == REBALANCE_NONE) {
        m->shard = (int16_t)l->shards;
        m->primary = true;
        l->shard[l->shards++] =
            (struct rebalance_group){ .id = m->id, .primary = node, .home_zone = m->zone };
    }
    return m->shard;
}

static void leave_shard(struct rebalance_layout *l, int16_t node)
{
    struct rebalance_member *m = &l->node[node];
    if (m->shard != REBALANCE_NONE && l->shard[m->shard].primary == node)
        l->shard[m->shard].primary = REBALANCE_NONE;
    m->shard = REBALANCE_NONE;
    m->primary = false;
}

static void take_over(struct rebalance_layout *l, int16_t shard, int16_t node)
{
    const int16_t old = l->shard[shard].primary;
    if (old != REBALANCE_NONE)
        l->node[old].primary = false;
    l->shard[shard].primary = node;
    l->node[node].primary = true;
}

void rebalance_layout_apply(struct rebalance_layout *l, const struct rebalance_fleet_step *s)
{
    switch (s->kind) {
    case REBALANCE_MEET:
        l->node[s->dst].member = true;
        break;
    case REBALANCE_REPLICATE: {
        const int16_t shard = s->shard != REBALANCE_NONE ? s->shard : shard_of(l, s->src);
        leave_shard(l, s->dst);
        l->node[s->dst].shard = shard;
        break;
    }
    case REBALANCE_FAILOVER:
        take_over(l, l->node[s->dst].shard, s->dst);
        break;
    case REBALANCE_SLOT:
        l->slot_shard[s->slot] = shard_of(l, s->dst);
        break;
    case REBALANCE_FORGET:
        leave_shard(l, s->dst);
        l->node[s->dst].member = false;
        break;
    }
}

enum pr_code rebalance_layout_after(const struct rebalance_fleet *fleet,
                                    const struct rebalance_fleet_plan *plan, int wave,
                                    struct pr_arena *arena, struct rebalance_layout *out,
                                    struct pr_err *err)
{
    const enum pr_code rc = rebalance_layout_of(fleet, arena, out, err);
    if (rc != PR_OK)
        return rc;
    for (size_t i = 0; i < plan->steps && plan->step[i].wave <= wave; i++)
        rebalance_layout_apply(out, &plan->step[i]);
    return PR_OK;
}
