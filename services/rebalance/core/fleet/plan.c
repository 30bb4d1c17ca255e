/* From a goal to a plan: drafts it, cuts it in waves, and proves every wave. */
#include "core/fleet/draft.h"

#include <stdlib.h>

const char *rebalance_goal_name(enum rebalance_goal_kind k)
{
    static const char *const name[] = {
        [REBALANCE_JOIN] = "join",       [REBALANCE_DRAIN] = "drain",
        [REBALANCE_REPLACE] = "replace", [REBALANCE_MOVE_REPLICA] = "move-replica",
        [REBALANCE_BALANCE] = "balance", [REBALANCE_FAILBACK] = "failback",
        [REBALANCE_ASSIGN] = "assign",
    };
    return (size_t)k < PR_COUNT(name) ? name[k] : "unknown";
}

const char *rebalance_fleet_step_name(enum rebalance_fleet_step_kind k)
{
    static const char *const name[] = {
        [REBALANCE_MEET] = "meet",         [REBALANCE_REPLICATE] = "replicate",
        [REBALANCE_FAILOVER] = "failover", [REBALANCE_SLOT] = "slot",
        [REBALANCE_FORGET] = "forget",
    };
    return (size_t)k < PR_COUNT(name) ? name[k] : "unknown";
}

/* --- input ------------------------------------------------------------------------- */

static bool index_ok(int i, size_t n)
{
    return i == REBALANCE_NONE || (i >= 0 && (size_t)i < n);
}

/* With an unknown zone nothing moves: neither evenness nor safety can be told. */
static enum pr_code check_zones(const struct rebalance_fleet *f, struct pr_err *err)
{
    for (int s = 0; s < REBALANCE_SLOTS; s++) {
        const int16_t p = f->shard[f->slot[s].shard].primary;
        if (p != REBALANCE_NONE && f->node[p].zone == REBALANCE_NONE)
            return pr_fail(
                err, PR_ECONFLICT,
                "node %s: its zone is unknown; register it with a zone or add its subnet",
                f->node[p].id);
    }
    return PR_OK;
}

static enum pr_code check_fleet(const struct rebalance_fleet *f, struct pr_err *err)
{
    if (f->nodes == 0 || f->shards == 0)
        return pr_fail(err, PR_EINVAL, "the fleet has no nodes or no shards");
    if (f->nodes + f->shards > INT16_MAX || f->zones > INT16_MAX)
        return pr_fail(err, PR_EINVAL, "more than %d nodes and shards", INT16_MAX);
    for (size_t n = 0; n < f->nodes; n++)
        if (!index_ok(f->node[n].shard, f->shards) || !index_ok(f->node[n].zone, f->zones))
            return pr_fail(err, PR_EINVAL, "node %s: shard or zone out of range", f->node[n].id);
    for (size_t g = 0; g < f->shards; g++)
        if (!index_ok(f->shard[g].primary, f->nodes) || !index_ok(f->shard[g].home_zone, f->zones))
            return pr_fail(err, PR_EINVAL, "shard %s: primary or zone out of range",
                           f->shard[g].id);
    for (int s = 0; s < REBALANCE_SLOTS; s++) {
        const struct rebalance_slot_facts *slot = &f->slot[s];
        if (!index_ok(slot->shard, f->shards) || !(slot->bytes >= 0) || slot->bytes > 1e15)
            return pr_fail(err, PR_EINVAL, "slot %d: shard or bytes out of range", s);
        if (slot->open)
            return pr_fail(err, PR_ECONFLICT, "slot %d is open: plan a repair first", s);
        if (slot->shard == REBALANCE_NONE)
            return pr_fail(err, PR_ECONFLICT, "slot %d is owned by no node: plan a repair first",
                           s);
    }
    return check_zones(f, err);
}

static enum pr_code check_goal(const struct rebalance_fleet *f, const struct rebalance_goal *g,
                               struct pr_err *err)
{
    const bool names = g->kind == REBALANCE_JOIN || g->kind == REBALANCE_DRAIN ||
                       g->kind == REBALANCE_REPLACE || g->kind == REBALANCE_MOVE_REPLICA;
    const bool one = g->kind == REBALANCE_REPLACE || g->kind == REBALANCE_MOVE_REPLICA;
    if (names && (g->n == 0 || g->node == NULL))
        return pr_fail(err, PR_EINVAL, "%s: no node is named", rebalance_goal_name(g->kind));
    if (one && g->n != 1)
        return pr_fail(err, PR_EINVAL, "%s: one node at a time, %zu are named",
                       rebalance_goal_name(g->kind), g->n);
    for (size_t i = 0; names && i < g->n; i++) {
        if (g->node[i] < 0 || (size_t)g->node[i] >= f->nodes)
            return pr_fail(err, PR_EINVAL, "node %d is not registered", g->node[i]);
        for (size_t k = 0; k < i; k++)
            if (g->node[k] == g->node[i])
                return pr_fail(err, PR_EINVAL, "node %s is named twice", f->node[g->node[i]].id);
    }
    return PR_OK;
}

/* --- output -------------------------------------------------------------------------- */

static int by_key(const void *va, const void *vb)
{
    const struct draft_step *a = va, *b = vb;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static enum pr_code number_waves(struct draft *d, struct rebalance_fleet_plan *out)
{
    if (d->steps > 0)
        qsort(d->step, d->steps, sizeof *d->step, by_key);
    out->step = pr_arena_alloc(d->arena, (d->steps + 1) * sizeof *out->step);
    if (out->step == NULL)
        return pr_fail(d->err, PR_ENOMEM, "plan of %zu steps", d->steps);
    for (size_t i = 0; i < d->steps; i++) {
        if (i == 0 || d->step[i].key != d->step[i - 1].key)
            out->waves++;
        out->step[i] = d->step[i].step;
        out->step[i].wave = out->waves;
    }
    out->steps = d->steps;
    return PR_OK;
}

static void add_up(struct rebalance_fleet_plan *out)
{
    for (size_t i = 0; i < out->steps; i++) {
        const struct rebalance_fleet_step *s = &out->step[i];
        if (s->kind != REBALANCE_SLOT)
            continue;
        out->slots++;
        out->bytes += s->bytes;
    }
}

/* The planner proposes nothing that it cannot show to keep the hard goals. */
static enum pr_code prove(struct draft *d, struct rebalance_fleet_plan *out)
{
    struct rebalance_layout *l = pr_arena_alloc(d->arena, sizeof *l);
    if (l == NULL)
        return pr_fail(d->err, PR_ENOMEM, "layout");
    enum pr_code rc = rebalance_layout_of(d->fleet, d->arena, l, d->err);
    if (rc == PR_OK)
        rc = draft_loads(d, l, &out->before, &out->uneven_before, &out->hot_before);
    size_t i = 0;
    for (int wave = 1; rc == PR_OK && wave <= out->waves; wave++) {
        for (; i < out->steps && out->step[i].wave == wave; i++)
            rebalance_layout_apply(l, &out->step[i]);
        rc = rebalance_hard_goals(d->fleet, l, d->err);
        if (rc != PR_OK)
            return pr_wrap(d->err, rc, "after wave %d", wave);
    }
    return rc == PR_OK ? draft_loads(d, l, &out->after, &out->uneven_after, &out->hot_after) : rc;
}

static enum pr_code finish(struct draft *d, struct rebalance_fleet_plan *out)
{
    *out = (struct rebalance_fleet_plan){ .note = d->note,
                                          .notes = d->notes,
                                          .bound_bytes = d->bound_bytes,
                                          .heat_bytes = d->heat_bytes };
    enum pr_code rc = number_waves(d, out);
    if (rc != PR_OK)
        return rc;
    add_up(out);
    if ((d->lim.max_slots > 0 && out->slots > d->lim.max_slots) ||
        (d->lim.max_bytes > 0 && out->bytes > d->lim.max_bytes))
        return pr_fail(d->err, PR_ECONFLICT,
                       "full shards need detours, %u slots and %.1f MB in all: more than the cap",
                       out->slots, out->bytes / 1e6);
    rc = prove(d, out);
    if (rc == PR_OK && d->no_memory)
        return pr_fail(d->err, PR_ENOMEM, "plan");
    return rc;
}

/* --- goals --------------------------------------------------------------------------- */

static enum pr_code draft_goal(struct draft *d)
{
    switch (d->goal->kind) {
    case REBALANCE_JOIN:
        return draft_join(d);
    case REBALANCE_DRAIN:
        return draft_drain(d);
    case REBALANCE_REPLACE:
        return draft_replace(d);
    case REBALANCE_MOVE_REPLICA:
        return draft_move_replica(d);
    case REBALANCE_BALANCE:
        return draft_spread(d);
    case REBALANCE_FAILBACK:
        return draft_failback(d);
    case REBALANCE_ASSIGN:
        return draft_assign(d);
    }
    return pr_fail(d->err, PR_EINVAL, "unknown goal %d", (int)d->goal->kind);
}

enum pr_code rebalance_fleet_plan(const struct rebalance_fleet *fleet,
                                  const struct rebalance_goal *goal,
                                  const struct rebalance_limits *limits, struct pr_arena *arena,
                                  struct rebalance_fleet_plan *out, struct pr_err *err)
{
    enum pr_code rc = check_goal(fleet, goal, err);
    if (rc == PR_OK)
        rc = check_fleet(fleet, err);
    if (rc != PR_OK)
        return rc;
    struct draft *d = pr_arena_alloc(arena, sizeof *d);
    if (d == NULL)
        return pr_fail(err, PR_ENOMEM, "draft of a plan");
    *d = (struct draft){ .fleet = fleet,
                         .goal = goal,
                         .lim = rebalance_limits_filled(limits),
                         .arena = arena,
                         .err = err,
                         .forced = goal->kind == REBALANCE_DRAIN };
    rc = draft_init(d);
    if (rc == PR_OK)
        rc = draft_goal(d);
    if (rc == PR_OK)
        rc = draft_cap(d);
    if (rc == PR_OK)
        rc = draft_waves(d);
    if (rc == PR_OK && goal->kind == REBALANCE_DRAIN)
        rc = draft_drain_after(d);
    return rc == PR_OK ? finish(d, out) : rc;
}
