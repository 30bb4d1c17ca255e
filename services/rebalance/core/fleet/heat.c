/* Hot spots: hot slots against cool ones of about the same bytes. Begins and
 * ends at coarser ratios than bytes do. */
#include "core/fleet/spread.h"

#include <math.h>

enum { HOT_TRIED = 32, COOL_TRIED = 4, EXCHANGES = 400 };

struct heat {
    struct spread *z;
    bool *given_up;
    double mean, stop;
};

struct exchange {
    size_t hot, cool;
    int a, b; /* slot of the hot one; of the cool one or -1 */
    double use;
};

static double ops_of(const struct spread *z, int slot)
{
    return z->d->fleet->slot[slot].ops_per_s;
}

static bool open_heat(struct heat *h, struct spread *z)
{
    *h = (struct heat){ .z = z };
    h->given_up = pr_arena_alloc(z->d->arena, z->n + 1);
    if (h->given_up == NULL) {
        z->d->no_memory = true;
        return false;
    }
    for (size_t i = 0; i < z->n; i++)
        h->mean += h->z->ops[i] / (double)z->n;
    h->stop = h->mean * (1 + REBALANCE_HEAT_COARSER * z->d->lim.leave_ratio);
    return h->mean > 0;
}

static double outside(const struct spread *z, size_t i, double held)
{
    return fmax(0, held - z->high[i]) + fmax(0, z->low[i] - held);
}

/* What an exchange saves of the excess for each byte; 0: it is not allowed. */
static double use_of(const struct heat *h, const struct exchange *e)
{
    const struct spread *z = h->z;
    const double wa = z->d->weight[e->a], wb = e->b < 0 ? 0 : z->d->weight[e->b];
    const double ops = ops_of(z, e->a) - (e->b < 0 ? 0 : ops_of(z, e->b));
    if (ops <= 0 || h->z->ops[e->cool] + ops > h->stop)
        return 0;
    const double tiny = z->mean * 1e-9;
    if (outside(z, e->hot, z->held[e->hot] - wa + wb) >
            outside(z, e->hot, z->held[e->hot]) + tiny ||
        outside(z, e->cool, z->held[e->cool] + wa - wb) >
            outside(z, e->cool, z->held[e->cool]) + tiny)
        return 0;
    return fmin(ops, h->z->ops[e->hot] - h->stop) / (wa + wb);
}

static bool at_home(const struct spread *z, int slot, size_t i)
{
    return z->d->to[slot] == z->shard[i];
}

/* The hottest slots of a shard that may go to another one, hottest first. */
static size_t hottest(const struct spread *z, size_t i, size_t to, int *out)
{
    size_t n, found = 0;
    const int16_t *slot = spread_slots(z, i, &n);
    for (size_t k = 0; k < n; k++) {
        if (!at_home(z, slot[k], i) || !spread_may(z, slot[k], to) || ops_of(z, slot[k]) <= 0)
            continue;
        size_t at = found < HOT_TRIED ? found++ : HOT_TRIED;
        for (; at > 0 && ops_of(z, slot[k]) > ops_of(z, out[at - 1]); at--)
            if (at < HOT_TRIED)
                out[at] = out[at - 1];
        if (at < HOT_TRIED)
            out[at] = slot[k];
    }
    return found;
}

static void best_between(const struct heat *h, size_t hot, size_t cool, struct exchange *best)
{
    const struct spread *z = h->z;
    int a[HOT_TRIED];
    size_t n;
    const size_t tried = hottest(z, hot, cool, a);
    const int16_t *slot = spread_slots(z, cool, &n);
    for (size_t k = 0; k < tried; k++) {
        struct exchange e = { hot, cool, a[k], -1, 0 };
        e.use = use_of(h, &e);
        if (e.use > best->use)
            *best = e;
        for (size_t q = 0; q < n; q++) {
            e.b = slot[q];
            if (!at_home(z, e.b, cool) || !spread_may(z, e.b, hot))
                continue;
            e.use = use_of(h, &e);
            if (e.use > best->use)
                *best = e;
        }
    }
}

static void carry_out(struct heat *h, const struct exchange *e)
{
    struct spread *z = h->z;
    spread_move(z, e->a, e->hot, e->cool);
    z->d->heat_bytes += z->d->fleet->slot[e->a].bytes;
    if (e->b >= 0) {
        spread_move(z, e->b, e->cool, e->hot);
        z->d->heat_bytes += z->d->fleet->slot[e->b].bytes;
    }
}

static size_t hottest_shard(const struct heat *h)
{
    size_t best = h->z->n;
    for (size_t i = 0; i < h->z->n; i++)
        if (!h->given_up[i] && (best == h->z->n || h->z->ops[i] > h->z->ops[best]))
            best = i;
    return best;
}

/* The coolest shard but the `skip` cooler ones; n: there is none. */
static size_t coolest_shard(const struct heat *h, size_t skip)
{
    for (size_t i = 0; i < h->z->n; i++) {
        size_t cooler = 0;
        for (size_t j = 0; j < h->z->n; j++)
            cooler += h->z->ops[j] < h->z->ops[i] || (j < i && h->z->ops[j] == h->z->ops[i]);
        if (cooler == skip)
            return i;
    }
    return h->z->n;
}

static void give_up(struct heat *h, size_t i)
{
    struct draft *d = h->z->d;
    h->given_up[i] = true;
    draft_note(d, REBALANCE_NONE, REBALANCE_NONE, h->z->shard[i],
               draft_text(d,
                          "shard %s stays %.1f %% hotter than the mean of zone %s: no exchange of "
                          "slots cools it within the band of bytes",
                          d->now->shard[h->z->shard[i]].id, 100 * (h->z->ops[i] / h->mean - 1),
                          draft_zone_name(d, h->z->zone)));
}

void spread_cool(struct spread *z)
{
    struct heat h;
    if (z->n < 2 || !open_heat(&h, z))
        return;
    const size_t worst = hottest_shard(&h);
    if (z->ops[worst] <= h.mean * (1 + REBALANCE_HEAT_COARSER * z->d->lim.enter_ratio))
        return;
    for (int k = 0; k < EXCHANGES; k++) {
        const size_t hot = hottest_shard(&h);
        if (hot == z->n || z->ops[hot] <= h.stop)
            return;
        struct exchange best = { .use = 0 };
        for (size_t skip = 0; skip < COOL_TRIED && best.use <= 0; skip++) {
            const size_t cool = coolest_shard(&h, skip);
            if (cool < z->n && cool != hot)
                best_between(&h, hot, cool, &best);
        }
        if (best.use > 0)
            carry_out(&h, &best);
        else
            give_up(&h, hot);
    }
}
