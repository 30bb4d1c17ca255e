/* Whole slots for the amounts of a flow. */
#include "core/fleet/spread.h"

#include <math.h>

static bool stays(const struct spread *z, int slot, size_t i)
{
    return z->d->to[slot] == z->shard[i];
}

static double slack(const struct spread *z)
{
    return z->mean * 1e-9;
}

/* Largest slots first that still fit; returns what is left of want. */
static double fill(struct spread *z, size_t i, size_t j, double want)
{
    size_t n;
    const int16_t *slot = spread_slots(z, i, &n);
    for (size_t k = 0; k < n; k++) {
        const double w = z->d->weight[slot[k]];
        if (w > want + slack(z) || !stays(z, slot[k], i) || !spread_may(z, slot[k], j))
            continue;
        spread_move(z, slot[k], i, j);
        want -= w;
    }
    return want;
}

/* --- shards that give everything ------------------------------------------------- */

struct part { /* of what one shard gives */
    size_t to;
    double left;
};

static enum pr_code place(struct spread *z, size_t i, int slot, struct part *part, size_t parts)
{
    const double w = z->d->weight[slot];
    struct part *best = NULL;
    bool roomy = false; /* the coolest of those whose share has room, else the roomiest */
    for (size_t p = 0; p < parts; p++) {
        struct part *q = &part[p];
        if (z->held[q->to] + w > z->high[q->to] + slack(z))
            continue;
        const bool has_room = q->left >= w;
        const bool better = best == NULL || (has_room && !roomy) ||
                            (has_room && z->ops[q->to] < z->ops[best->to]) ||
                            (!roomy && !has_room && q->left > best->left);
        if (better && (has_room || !roomy)) {
            best = q;
            roomy = has_room;
        }
    }
    if (best != NULL && best->left > 0) {
        best->left -= w;
        spread_move(z, slot, i, best->to);
        return PR_OK;
    }
    size_t to = z->n; /* its shares are full: wherever is most room */
    for (size_t j = 0; j < z->n; j++)
        if (z->takes[j] && z->held[j] + w <= z->high[j] + slack(z) &&
            (to == z->n || z->held[j] < z->held[to]))
            to = j;
    if (to == z->n)
        return pr_fail(z->d->err, PR_ECONFLICT,
                       "zone %s: no shard has room for slot %d of %.1f MB; join a node there or "
                       "raise maxmemory",
                       draft_zone_name(z->d, z->zone), slot, w / 1e6);
    spread_move(z, slot, i, to);
    return PR_OK;
}

static enum pr_code place_all(struct spread *z, size_t i, const struct flow_arc *arc, size_t arcs)
{
    struct part *part = pr_arena_alloc(z->d->arena, (z->n + 1) * sizeof *part);
    size_t parts = 0, n;
    if (part == NULL)
        return pr_fail(z->d->err, PR_ENOMEM, "slots of a shard that leaves");
    for (size_t a = 0; a < arcs; a++)
        if (arc[a].from == (int)i + 1 && arc[a].flow > 0)
            part[parts++] = (struct part){ (size_t)arc[a].to - 1, (double)arc[a].flow };
    const int16_t *slot = spread_slots(z, i, &n);
    for (size_t k = 0; k < n; k++) {
        const enum draft_hold h = draft_hold(z->d, slot[k], REBALANCE_NONE);
        if (h != DRAFT_FREE)
            return pr_fail(z->d->err, PR_ECONFLICT, "slot %d of shard %s is %s: unpin it first",
                           slot[k], z->d->now->shard[z->shard[i]].id, draft_hold_name(h));
        const enum pr_code rc = place(z, i, slot[k], part, parts);
        if (rc != PR_OK)
            return rc;
    }
    return PR_OK;
}

/* --- into the bounds ----------------------------------------------------------------- */

/* The smallest slot that fills need, else the largest; -1: none may go. */
static int slot_for(const struct spread *z, size_t i, size_t j, double need)
{
    size_t n;
    const int16_t *slot = spread_slots(z, i, &n);
    int best = -1;
    for (size_t k = 0; k < n; k++) {
        if (!stays(z, slot[k], i) || !spread_may(z, slot[k], j))
            continue;
        if (best >= 0 && z->d->weight[slot[k]] < need)
            break; /* heaviest first: no later one fills it */
        best = slot[k];
    }
    return best;
}

/* How far outside of its bounds a shard would be with this much. */
static double outside(const struct spread *z, size_t i, double held)
{
    return fmax(0, held - z->high[i]) + fmax(0, z->low[i] - held);
}

/* How much closer to the bounds the two come by this move. */
static double gain_of(const struct spread *z, int slot, size_t i, size_t j)
{
    const double w = z->d->weight[slot];
    return outside(z, i, z->held[i]) + outside(z, j, z->held[j]) - outside(z, i, z->held[i] - w) -
           outside(z, j, z->held[j] + w);
}

struct offer {
    int slot;
    size_t from, to;
    double gain, room; /* room: how well the other shard can do with it */
};

static void consider(const struct spread *z, size_t i, size_t j, double need, double room,
                     struct offer *best)
{
    const int slot = slot_for(z, i, j, need);
    const double gain = slot < 0 ? 0 : gain_of(z, slot, i, j);
    if (gain <= slack(z) || gain < best->gain - slack(z) ||
        (gain <= best->gain + slack(z) && room <= best->room))
        return;
    *best = (struct offer){ slot, i, j, gain, room };
}

static bool accept_offer(struct spread *z, const struct offer *best)
{
    if (best->gain <= 0)
        return false;
    spread_move(z, best->slot, best->from, best->to);
    return true;
}

static bool relieve(struct spread *z, size_t i) /* it holds too much */
{
    struct offer best = { .room = -INFINITY };
    for (size_t j = 0; j < z->n; j++)
        if (z->takes[j])
            consider(z, i, j, z->held[i] - z->high[i], z->high[j] - z->held[j], &best);
    return accept_offer(z, &best);
}

static bool feed(struct spread *z, size_t j) /* it holds too little */
{
    struct offer best = { .room = -INFINITY };
    for (size_t i = 0; i < z->n; i++)
        if (z->gives[i])
            consider(z, i, j, z->low[j] - z->held[j], z->held[i] - z->low[i], &best);
    return accept_offer(z, &best);
}

static void into_the_bounds(struct spread *z)
{
    bool progress = true;
    for (int round = 0; progress && round < 1000; round++) {
        progress = false;
        for (size_t i = 0; i < z->n; i++) {
            if (z->gives[i] && z->held[i] > z->high[i] + slack(z))
                progress = relieve(z, i) || progress;
            if (z->takes[i] && z->held[i] < z->low[i] - slack(z))
                progress = feed(z, i) || progress;
        }
    }
}

enum pr_code spread_round(struct spread *z, const struct flow_arc *arc, size_t arcs)
{
    const bool leaving = z->d->goal->kind == REBALANCE_DRAIN;
    for (size_t i = 0; leaving && i < z->n; i++)
        if (z->gives[i]) {
            const enum pr_code rc = place_all(z, i, arc, arcs);
            if (rc != PR_OK)
                return rc;
        }
    if (leaving)
        return PR_OK;
    for (size_t a = 0; a < arcs; a++)
        if (arc[a].from > 0 && arc[a].to <= (int)z->n && arc[a].flow > 0)
            (void)fill(z, (size_t)arc[a].from - 1, (size_t)arc[a].to - 1, (double)arc[a].flow);
    into_the_bounds(z);
    return PR_OK;
}

/* --- fewer bytes ----------------------------------------------------------------------- */

/* Puts slot back, or moves a smaller one in its place, as far as both shards
 * stay within their bounds. */
static bool lighten(struct spread *z, size_t i, size_t j, int slot)
{
    size_t n;
    const int16_t *list = spread_slots(z, i, &n);
    const double w = z->d->weight[slot];
    const double room = fmin(z->high[i] - z->held[i], z->held[j] - z->low[j]);
    if (room >= w) {
        spread_move(z, slot, j, i);
        return true;
    }
    int best = -1;
    for (size_t k = n; k-- > 0;) { /* lightest first */
        const double v = z->d->weight[list[k]];
        if (v >= w)
            break;
        if (v >= w - room && stays(z, list[k], i) && spread_may(z, list[k], j)) {
            best = list[k];
            break;
        }
    }
    if (best < 0)
        return false;
    spread_move(z, slot, j, i);
    spread_move(z, best, i, j);
    return true;
}

static size_t index_of(const struct spread *z, int shard)
{
    size_t j = 0;
    while (j < z->n && z->shard[j] != shard)
        j++;
    return j;
}

void spread_improve(struct spread *z)
{
    bool progress = true;
    for (int round = 0; progress && round < 4; round++) {
        progress = false;
        for (size_t i = 0; i < z->n; i++) {
            size_t n;
            const int16_t *slot = spread_slots(z, i, &n);
            for (size_t k = 0; k < n; k++)
                if (!stays(z, slot[k], i))
                    progress = lighten(z, i, index_of(z, z->d->to[slot[k]]), slot[k]) || progress;
        }
    }
}
