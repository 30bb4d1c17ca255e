/* Cycles of full shards: a slot makes way through one with room. */
#include "core/fleet/waves.h"

static int16_t spare_for(const struct schedule *s, const struct wave_move *v)
{
    const struct draft *d = s->d;
    int16_t best = REBALANCE_NONE;
    for (size_t g = 0; g < d->now->shards; g++) {
        if ((int16_t)g == v->from || (int16_t)g == v->to || d->leaving[g] ||
            !draft_usable(d, (int)g) || s->owned[g] == 0 ||
            (d->goal->kind != REBALANCE_ASSIGN &&
             draft_zone(d, (int)g) != draft_zone(d, v->from)) ||
            !schedule_fits(s, (int)g, d->fleet->slot[v->slot].bytes))
            continue;
        if (best == REBALANCE_NONE || s->free[g] > s->free[best])
            best = (int16_t)g;
    }
    return best;
}

/* The lightest open move that some shard can lend room to; -1: none. */
static int lightest_with_spare(const struct schedule *s, int16_t *by)
{
    int best = -1;
    for (int m = 0; m < s->moves; m++) {
        const struct wave_move *v = &s->move[m];
        if (v->done || v->detour ||
            (best >= 0 && s->d->weight[v->slot] >= s->d->weight[s->move[best].slot]))
            continue;
        const int16_t spare = spare_for(s, v);
        if (spare != REBALANCE_NONE) {
            best = m;
            *by = spare;
        }
    }
    return best;
}

static enum pr_code refuse(const struct schedule *s)
{
    const struct draft *d = s->d;
    int m = 0;
    while (s->move[m].done)
        m++;
    const struct wave_move *v = &s->move[m];
    return pr_fail(
        d->err, PR_ECONFLICT,
        "shard %s is full: %.1f MB free, slot %d needs %.1f MB (%.1f x its size), and no "
        "other shard can lend room; raise maxmemory or join a node",
        d->now->shard[v->to].id, s->free[v->to] / 1e6, v->slot,
        d->lim.memory_ratio * d->fleet->slot[v->slot].bytes / 1e6, d->lim.memory_ratio);
}

static void unlink_move(struct schedule *s, size_t pair, int move)
{
    int *link = &s->pair[pair].head;
    while (*link != move)
        link = &s->move[*link].next;
    *link = s->move[move].next;
    s->pair[pair].left -= s->d->weight[s->move[move].slot];
}

/* The move goes on from `by`, where the slot is now. */
static void go_on_from(struct schedule *s, int move, int16_t by)
{
    struct wave_move *v = &s->move[move];
    const double b = s->d->fleet->slot[v->slot].bytes, w = s->d->weight[v->slot];
    unlink_move(s, schedule_pair(s, v->from, v->to), move);
    s->owned[v->from]--;
    s->owned[by]++;
    s->free[v->from] += b;
    s->free[by] -= b;
    s->load[v->from] -= w;
    s->load[v->to] -= w; /* added again with the new pair */
    v->from = by;
    v->detour = true;
    schedule_add(s, schedule_pair(s, by, v->to), move);
}

enum pr_code schedule_detour(struct schedule *s)
{
    int16_t by = REBALANCE_NONE;
    const int m = lightest_with_spare(s, &by);
    if (m < 0)
        return refuse(s);
    struct wave_move way = s->move[m];
    way.to = by;
    s->wave++;
    schedule_emit(s, &way);
    draft_note(s->d, way.slot, REBALANCE_NONE, by,
               draft_text(s->d, "slot %d makes way through shard %s: %s is full until it gives",
                          way.slot, s->d->now->shard[by].id, s->d->now->shard[s->move[m].to].id));
    go_on_from(s, m, by);
    return PR_OK;
}
