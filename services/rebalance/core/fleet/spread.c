/* How much each shard of a zone gives or takes, and to whom. */
#include "core/fleet/spread.h"

#include <math.h>

bool spread_may(const struct spread *z, int slot, size_t to)
{
    return draft_hold(z->d, slot, z->shard[to]) == DRAFT_FREE;
}

void spread_move(struct spread *z, int slot, size_t from, size_t to)
{
    z->d->to[slot] = z->shard[to];
    z->held[from] -= z->d->weight[slot];
    z->held[to] += z->d->weight[slot];
    z->ops[from] -= z->d->fleet->slot[slot].ops_per_s;
    z->ops[to] += z->d->fleet->slot[slot].ops_per_s;
}

const int16_t *spread_slots(const struct spread *z, size_t i, size_t *n)
{
    const int *first = &z->d->first[z->shard[i]];
    *n = (size_t)(first[1] - first[0]);
    return z->d->order + first[0];
}

/* --- amounts ----------------------------------------------------------------------- */

/* give[]: sum of amount, from the fullest down, none below its low. */
static void give_from_the_top(struct spread *z, double amount)
{
    double a = 0, b = 0;
    for (size_t i = 0; i < z->n; i++)
        b = fmax(b, z->held[i]);
    for (int round = 0; round < 100; round++) { /* bisect the level */
        const double level = (a + b) / 2;
        double sum = 0;
        for (size_t i = 0; i < z->n; i++)
            if (z->gives[i])
                sum += fmax(0, z->held[i] - fmax(level, z->low[i]));
        if (sum > amount)
            a = level;
        else
            b = level;
    }
    for (size_t i = 0; i < z->n; i++)
        z->give[i] = z->gives[i] ? fmax(0, z->held[i] - fmax(b, z->low[i])) : 0;
}

/* take[]: sum of amount, from the emptiest up, none above its high. */
static double take_to_the_bottom(struct spread *z, double amount)
{
    double a = 0, b = amount, took = 0;
    for (size_t i = 0; i < z->n; i++)
        b = fmax(b, z->held[i] + amount);
    for (int round = 0; round < 100; round++) {
        const double level = (a + b) / 2;
        double sum = 0;
        for (size_t i = 0; i < z->n; i++)
            if (z->takes[i])
                sum += fmax(0, fmin(level, z->high[i]) - z->held[i]);
        if (sum < amount)
            a = level;
        else
            b = level;
    }
    for (size_t i = 0; i < z->n; i++) {
        z->take[i] = z->takes[i] ? fmax(0, fmin(b, z->high[i]) - z->held[i]) : 0;
        took += z->take[i];
    }
    return took;
}

static double above(const struct spread *z)
{
    double sum = 0;
    for (size_t i = 0; i < z->n; i++)
        sum += z->gives[i] ? fmax(0, z->held[i] - z->high[i]) : 0;
    return sum;
}

static double below(const struct spread *z)
{
    double sum = 0;
    for (size_t i = 0; i < z->n; i++)
        sum += z->takes[i] ? fmax(0, z->low[i] - z->held[i]) : 0;
    return sum;
}

static void amounts_to_the_band(struct spread *z)
{
    const double over = above(z), under = below(z);
    if (over >= under) {
        for (size_t i = 0; i < z->n; i++)
            z->give[i] = z->gives[i] ? fmax(0, z->held[i] - z->high[i]) : 0;
        take_to_the_bottom(z, over);
    } else {
        for (size_t i = 0; i < z->n; i++)
            z->take[i] = z->takes[i] ? fmax(0, z->low[i] - z->held[i]) : 0;
        give_from_the_top(z, under);
    }
}

/* --- the zone ------------------------------------------------------------------------ */

static enum pr_code open_zone(struct spread *z, struct draft *d, int zone)
{
    const size_t n = d->now->shards + 1;
    *z = (struct spread){ .d = d, .zone = zone };
    z->shard = pr_arena_alloc(d->arena, n * sizeof *z->shard);
    double *block = pr_arena_alloc(d->arena, 6 * n * sizeof *block);
    bool *flags = pr_arena_alloc(d->arena, 2 * n);
    if (z->shard == NULL || block == NULL || flags == NULL)
        return pr_fail(d->err, PR_ENOMEM, "zone %s", draft_zone_name(d, zone));
    z->held = block;
    z->low = block + n;
    z->high = block + 2 * n;
    z->give = block + 3 * n;
    z->take = block + 4 * n;
    z->ops = block + 5 * n;
    z->gives = flags;
    z->takes = flags + n;
    for (size_t s = 0; s < d->now->shards; s++) {
        if (draft_zone(d, (int)s) != zone || !draft_usable(d, (int)s))
            continue;
        size_t slots;
        z->shard[z->n] = (int16_t)s;
        const int16_t *slot = spread_slots(z, z->n, &slots);
        for (size_t k = 0; k < slots; k++) {
            z->held[z->n] += d->weight[slot[k]];
            z->ops[z->n] += d->fleet->slot[slot[k]].ops_per_s;
        }
        z->mean += z->held[z->n++];
    }
    if (z->n > 0)
        z->mean /= (double)z->n;
    return PR_OK;
}

static void limit_by_room(struct spread *z)
{
    for (size_t i = 0; i < z->n; i++) {
        z->high[i] = fmin(z->high[i], fmax(z->held[i], draft_room(z->d, z->shard[i])));
        z->low[i] = fmin(z->low[i], z->high[i]);
    }
}

static bool aim_at_evenness(struct spread *z)
{
    const struct rebalance_limits *lim = &z->d->lim;
    double worst = 0;
    for (size_t i = 0; i < z->n; i++) {
        worst = fmax(worst, fabs(z->held[i] - z->mean));
        z->low[i] = z->mean * (1 - lim->leave_ratio);
        z->high[i] = z->mean * (1 + lim->leave_ratio);
        z->gives[i] = z->held[i] > z->mean;
        z->takes[i] = z->held[i] < z->mean;
    }
    if (z->n == 0 || z->mean <= 0)
        return false;
    limit_by_room(z);
    if (worst <= lim->enter_ratio * z->mean) {
        draft_note(z->d, REBALANCE_NONE, REBALANCE_NONE, REBALANCE_NONE,
                   draft_text(z->d,
                              "zone %s: within the band, its shards deviate by %.1f %% at most "
                              "(balancing begins above %.1f %%)",
                              draft_zone_name(z->d, z->zone), 100 * worst / z->mean,
                              100 * lim->enter_ratio));
        return false;
    }
    amounts_to_the_band(z);
    return true;
}

static void note_small_shards(const struct spread *z)
{
    struct draft *d = z->d;
    for (size_t i = 0; i < z->n; i++)
        if (z->takes[i] && z->high[i] < z->mean * (1 - d->lim.leave_ratio))
            draft_note(d, REBALANCE_NONE, REBALANCE_NONE, REBALANCE_NONE,
                       draft_text(d,
                                  "new shard %s takes less than its share of zone %s: its memory "
                                  "holds %.1f MB of %.1f MB",
                                  d->now->shard[z->shard[i]].id, draft_zone_name(d, z->zone),
                                  z->high[i] / 1e6, z->mean / 1e6));
}

/* New shards reach the band; beyond that they take what others hold above it. */
static bool aim_at_new_shards(struct spread *z)
{
    const double leave = z->d->lim.leave_ratio;
    bool any = false;
    for (size_t i = 0; i < z->n; i++) {
        z->takes[i] = z->d->fresh[z->shard[i]];
        z->gives[i] = !z->takes[i];
        z->low[i] = z->mean * (1 - leave);
        z->high[i] = z->takes[i] ? z->mean : z->mean * (1 + leave);
        any = any || z->takes[i];
    }
    if (!any || z->mean <= 0)
        return false;
    limit_by_room(z);
    double room = 0;
    for (size_t i = 0; i < z->n; i++)
        room += z->takes[i] ? z->high[i] - z->held[i] : 0;
    note_small_shards(z);
    const double amount = fmin(fmax(above(z), below(z)), room);
    const double took = take_to_the_bottom(z, amount);
    give_from_the_top(z, took);
    return true;
}

static enum pr_code aim_at_leaving(struct spread *z, bool *any)
{
    double amount = 0, room = 0;
    size_t takers = 0;
    for (size_t i = 0; i < z->n; i++) {
        z->gives[i] = z->d->leaving[z->shard[i]];
        z->takes[i] = !z->gives[i];
        z->give[i] = z->gives[i] ? z->held[i] : 0;
        z->high[i] = z->gives[i] ? 0 : 1e300;
        amount += z->give[i];
        takers += z->takes[i];
        *any = *any || z->gives[i];
    }
    if (!*any)
        return PR_OK;
    limit_by_room(z);
    for (size_t i = 0; i < z->n; i++)
        room += z->takes[i] ? z->high[i] - z->held[i] : 0;
    if (amount > 0 && takers == 0)
        return pr_fail(z->d->err, PR_ECONFLICT,
                       "zone %s would lose its last primary: join a primary there first",
                       draft_zone_name(z->d, z->zone));
    if (room < amount)
        return pr_fail(z->d->err, PR_ECONFLICT,
                       "zone %s: %zu shards have room for %.1f MB of %.1f MB; join a node there or "
                       "raise maxmemory",
                       draft_zone_name(z->d, z->zone), takers, room / 1e6, amount / 1e6);
    take_to_the_bottom(z, amount);
    return PR_OK;
}

/* --- who gives to whom ----------------------------------------------------------------- */

static double movable(const struct spread *z, size_t i, size_t j)
{
    size_t n;
    const int16_t *slot = spread_slots(z, i, &n);
    double sum = 0;
    for (size_t k = 0; k < n; k++)
        if (spread_may(z, slot[k], j))
            sum += z->d->weight[slot[k]];
    return sum;
}

static int64_t units(double weight)
{
    return weight < 9e15 ? (int64_t)ceil(weight) : (int64_t)9e15;
}

/* Arcs between those that give and those that take only; hot shards rather give
 * to cool ones. Every byte that moves costs the same otherwise. */
static enum pr_code flow_between(struct spread *z, struct flow_arc **out, size_t *arcs)
{
    size_t room = z->n;
    for (size_t i = 0; i < z->n; i++)
        for (size_t j = 0; z->give[i] > 0 && j < z->n; j++)
            room += z->take[j] > 0;
    struct flow_arc *arc = pr_arena_alloc(z->d->arena, (room + 1) * sizeof *arc);
    if (arc == NULL)
        return pr_fail(z->d->err, PR_ENOMEM, "arcs of zone %s", draft_zone_name(z->d, z->zone));
    const int sink = (int)z->n + 1;
    double hottest = 1e-9;
    size_t n = 0;
    for (size_t i = 0; i < z->n; i++)
        hottest = fmax(hottest, z->ops[i]);
    for (size_t i = 0; i < z->n; i++) {
        if (z->take[i] > 0)
            arc[n++] = (struct flow_arc){ (int)i + 1, sink, units(z->take[i]), 0, 0 };
        if (z->give[i] <= 0)
            continue;
        arc[n++] = (struct flow_arc){ 0, (int)i + 1, units(z->give[i]), 0, 0 };
        for (size_t j = 0; j < z->n; j++)
            if (z->take[j] > 0) {
                const double cost = 1000 + 400 * (z->ops[j] - z->ops[i]) / hottest;
                arc[n++] = (struct flow_arc){ (int)i + 1, (int)j + 1, units(movable(z, i, j)),
                                              (int64_t)cost, 0 };
            }
    }
    int64_t sent;
    *out = arc;
    *arcs = n;
    return flow_solve(sink + 1, arc, n, z->d->arena, &sent, z->d->err);
}

/* How many slots of a shard are held by what; returns how long cooldowns last. */
static int64_t count_holds(const struct spread *z, size_t i, int why[DRAFT_HOLDS])
{
    const struct draft *d = z->d;
    int64_t wait_ms = 0;
    size_t n;
    const int16_t *slot = spread_slots(z, i, &n);
    for (size_t k = 0; k < n; k++) {
        enum draft_hold h = draft_hold(d, slot[k], REBALANCE_NONE);
        for (size_t j = 0; h == DRAFT_FREE && j < z->n; j++)
            if (z->takes[j] && draft_hold(d, slot[k], z->shard[j]) == DRAFT_REVERSAL)
                h = DRAFT_REVERSAL;
        const int64_t left =
            d->fleet->slot[slot[k]].moved_at_ms + d->lim.cooldown_ms - d->fleet->now_ms;
        if (h == DRAFT_COOLING && left > wait_ms)
            wait_ms = left;
        why[h]++;
    }
    return wait_ms;
}

/* Why a shard stays above its bounds. */
static void note_what_stays(const struct spread *z)
{
    struct draft *d = z->d;
    for (size_t i = 0; i < z->n; i++) {
        if (!z->gives[i] || z->held[i] <= z->high[i] * (1 + 1e-9))
            continue;
        int why[DRAFT_HOLDS] = { 0 };
        const int64_t wait_ms = count_holds(z, i, why);
        draft_note(d, REBALANCE_NONE, REBALANCE_NONE, z->shard[i],
                   draft_text(d,
                              "shard %s stays %.1f %% above the mean of zone %s: %d of its slots "
                              "are pinned, %d in cooldown (for %lld s at most), %d may not go back "
                              "where they came from",
                              d->now->shard[z->shard[i]].id, 100 * (z->held[i] / z->mean - 1),
                              draft_zone_name(d, z->zone), why[DRAFT_PINNED], why[DRAFT_COOLING],
                              (long long)(wait_ms + 999) / 1000, why[DRAFT_REVERSAL]));
    }
}

/* Why shards of a zone take no part. */
static void note_who_rests(const struct spread *z)
{
    struct draft *d = z->d;
    for (size_t g = 0; g < d->fleet->shards; g++) {
        const struct rebalance_group *q = &d->now->shard[g];
        if (draft_zone(d, (int)g) != z->zone || draft_usable(d, (int)g))
            continue;
        draft_note(d, REBALANCE_NONE, REBALANCE_NONE, (int)g,
                   draft_text(d, "shard %s neither gives nor takes: %s", q->id,
                              q->pinned ? "it is pinned" : "its primary does not answer"));
    }
    if (z->n == 1)
        draft_note(d, REBALANCE_NONE, REBALANCE_NONE, z->shard[0],
                   draft_text(d,
                              "shard %s keeps its slots: slots keep their zone, and no other shard "
                              "of zone %s takes part",
                              d->now->shard[z->shard[0]].id, draft_zone_name(d, z->zone)));
}

static enum pr_code spread_zone(struct draft *d, int zone)
{
    struct spread z;
    struct flow_arc *arc = NULL;
    size_t arcs = 0;
    bool any = false;
    enum pr_code rc = open_zone(&z, d, zone);
    if (rc != PR_OK)
        return rc;
    if (d->goal->kind == REBALANCE_DRAIN) {
        rc = aim_at_leaving(&z, &any);
        if (rc != PR_OK)
            return rc;
    } else {
        any = d->goal->kind == REBALANCE_JOIN ? aim_at_new_shards(&z) : aim_at_evenness(&z);
        if (d->goal->kind == REBALANCE_BALANCE || any)
            note_who_rests(&z);
    }
    if (any) {
        d->bound_bytes += spread_bound(&z);
        rc = flow_between(&z, &arc, &arcs);
        if (rc == PR_OK)
            rc = spread_round(&z, arc, arcs);
        if (rc == PR_OK && d->goal->kind != REBALANCE_DRAIN) {
            spread_improve(&z);
            note_what_stays(&z);
        }
    }
    if (rc == PR_OK && d->goal->kind == REBALANCE_BALANCE)
        spread_cool(&z);
    return rc;
}

enum pr_code draft_spread(struct draft *d)
{
    enum pr_code rc = PR_OK;
    for (size_t z = 0; rc == PR_OK && z < d->fleet->zones; z++)
        rc = spread_zone(d, (int)z);
    return rc;
}
