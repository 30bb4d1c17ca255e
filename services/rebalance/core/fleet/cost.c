#include "core/fleet/cost.h"

#include "core/fleet/draft.h"

struct walk {
    struct rebalance_layout *now;
    double *held; /* [shards, as many as there may be] bytes */
    struct rebalance_fleet_cost *out;
};

static int16_t zone_of(const struct rebalance_layout *l, int16_t shard)
{
    if (shard == REBALANCE_NONE)
        return REBALANCE_NONE;
    const struct rebalance_group *g = &l->shard[shard];
    return g->primary == REBALANCE_NONE ? g->home_zone : l->node[g->primary].zone;
}

static void zones_of(const struct rebalance_layout *l, int16_t zone[REBALANCE_SLOTS])
{
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        zone[s] = zone_of(l, l->slot_shard[s]);
}

static void copy(struct walk *w, double bytes, int16_t from, int16_t to)
{
    if (from != to && from != REBALANCE_NONE) /* a slot that nobody has is copied from nowhere */
        w->out->cross_zone_bytes += bytes;
}

/* The target's primary takes the slot in, and each of its replicas from it. */
static void move_slot(struct walk *w, const struct rebalance_fleet_step *s)
{
    const int16_t from = w->now->slot_shard[s->slot];
    const int16_t source = zone_of(w->now, from);
    rebalance_layout_apply(w->now, s);
    const int16_t to = w->now->slot_shard[s->slot], target = zone_of(w->now, to);
    w->out->bytes += s->bytes;
    copy(w, s->bytes, source, target);
    for (size_t n = 0; n < w->now->nodes; n++) {
        const struct rebalance_member *m = &w->now->node[n];
        if (m->shard == to && !m->primary && m->member && !m->failed)
            copy(w, s->bytes, target, m->zone);
    }
    if (from != REBALANCE_NONE)
        w->held[from] -= s->bytes;
    w->held[to] += s->bytes;
}

/* A new replica takes its whole shard, as large as that is by then. */
static void replicate(struct walk *w, const struct rebalance_fleet_step *s)
{
    rebalance_layout_apply(w->now, s);
    const struct rebalance_member *m = &w->now->node[s->dst];
    const double bytes = w->held[m->shard] > 0 ? w->held[m->shard] : 0;
    w->out->bytes += bytes;
    copy(w, bytes, zone_of(w->now, m->shard), m->zone);
}

enum pr_code rebalance_fleet_cost(const struct rebalance_fleet *fleet,
                                  const struct rebalance_fleet_plan *plan, struct pr_arena *arena,
                                  struct rebalance_fleet_cost *out, struct pr_err *err)
{
    struct walk w = { .now = pr_arena_alloc(arena, sizeof *w.now),
                      .held = pr_arena_alloc(arena,
                                             (fleet->shards + fleet->nodes + 1) * sizeof *w.held),
                      .out = out };
    if (w.now == NULL || w.held == NULL)
        return pr_fail(err, PR_ENOMEM, "cost of %zu steps", plan->steps);
    const enum pr_code rc = rebalance_layout_of(fleet, arena, w.now, err);
    if (rc != PR_OK)
        return rc;
    *out = (struct rebalance_fleet_cost){ 0 };
    zones_of(w.now, out->zone_before);
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        if (fleet->slot[s].shard != REBALANCE_NONE)
            w.held[fleet->slot[s].shard] += fleet->slot[s].bytes;
    for (size_t i = 0; i < plan->steps; i++) {
        const struct rebalance_fleet_step *s = &plan->step[i];
        if (s->kind == REBALANCE_SLOT)
            move_slot(&w, s);
        else if (s->kind == REBALANCE_REPLICATE)
            replicate(&w, s);
        else
            rebalance_layout_apply(w.now, s);
    }
    zones_of(w.now, out->zone_after);
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        out->rezoned += out->zone_before[s] != out->zone_after[s];
    return PR_OK;
}
