/* Slot moves in waves: in each, a shard is in one pair at most, targets have
 * the memory, and no zone ends with half of the primaries. */
#include "core/fleet/waves.h"

#include <math.h>
#include <stdlib.h>

/* --- set up ------------------------------------------------------------------------ */

static int16_t primary_zone(const struct draft *d, int shard)
{
    const int16_t p = d->now->shard[shard].primary;
    return p == REBALANCE_NONE ? REBALANCE_NONE : d->now->node[p].zone;
}

size_t schedule_pair(struct schedule *s, int16_t from, int16_t to)
{
    for (size_t p = 0; p < s->pairs; p++)
        if (s->pair[p].from == from && s->pair[p].to == to)
            return p;
    s->pair[s->pairs] = (struct wave_pair){ .from = from, .to = to, .head = -1 };
    return s->pairs++;
}

void schedule_add(struct schedule *s, size_t p, int m)
{
    struct wave_move *move = &s->move[m];
    const double w = s->d->weight[move->slot];
    move->next = s->pair[p].head;
    s->pair[p].head = m;
    s->pair[p].left += w;
    s->load[move->from] += w;
    s->load[move->to] += w;
}

static const char *reason(struct draft *d, int from, int to)
{
    const char *a = d->now->shard[from].id, *b = d->now->shard[to].id;
    const char *zone = draft_zone_name(d, draft_zone(d, from));
    switch (d->goal->kind) {
    case REBALANCE_DRAIN:
        return draft_text(d, "shard %s leaves; %s takes its share in zone %s", a, b, zone);
    case REBALANCE_JOIN:
        return draft_text(d, "new shard %s takes its share of zone %s", b, zone);
    case REBALANCE_ASSIGN:
        return draft_text(d, "its group keeps most bytes on shard %s", b);
    default:
        return draft_text(d, "zone %s is uneven: from shard %s to %s", zone, a, b);
    }
}

static enum pr_code schedule_alloc(struct schedule *s, struct draft *d)
{
    const size_t n = d->now->shards + 1, zones = d->fleet->zones + 1;
    const size_t moves = (size_t)s->moves + 1;
    s->pair_room = moves * 2; /* detours make pairs, too */
    s->move = pr_arena_alloc(d->arena, moves * sizeof *s->move);
    s->pair = pr_arena_alloc(d->arena, s->pair_room * sizeof *s->pair);
    s->rank = pr_arena_alloc(d->arena, s->pair_room * sizeof *s->rank);
    s->chosen = pr_arena_alloc(d->arena, moves * sizeof *s->chosen);
    s->load = pr_arena_alloc(d->arena, n * sizeof *s->load);
    s->free = pr_arena_alloc(d->arena, n * sizeof *s->free);
    s->owned = pr_arena_alloc(d->arena, n * sizeof *s->owned);
    s->busy = pr_arena_alloc(d->arena, n);
    s->primaries = pr_arena_alloc(d->arena, zones * sizeof *s->primaries);
    s->was_half = pr_arena_alloc(d->arena, 3 * zones);
    if (s->move == NULL || s->pair == NULL || s->rank == NULL || s->chosen == NULL ||
        s->load == NULL || s->free == NULL || s->owned == NULL || s->busy == NULL ||
        s->primaries == NULL || s->was_half == NULL)
        return pr_fail(d->err, PR_ENOMEM, "waves of %d slots", s->moves);
    s->no_open = s->was_half + zones;
    s->no_close = s->was_half + 2 * zones;
    return PR_OK;
}

/* A zone that holds half of the primaries or more and did not before, or NONE. */
static int16_t zone_with_half(const struct schedule *s)
{
    const size_t zones = s->d->fleet->zones;
    int all = 0;
    for (size_t z = 0; z < zones; z++)
        all += s->primaries[z];
    for (size_t z = 0; s->live_zones >= 3 && z < zones; z++)
        if (!s->was_half[z] && 2 * s->primaries[z] >= all)
            return (int16_t)z;
    return REBALANCE_NONE;
}

static enum pr_code schedule_init(struct schedule *s, struct draft *d)
{
    const struct rebalance_fleet *f = d->fleet;
    *s = (struct schedule){ .d = d, .live_zones = draft_live_zones(d) };
    for (int i = 0; i < REBALANCE_SLOTS; i++)
        s->moves += d->to[i] != f->slot[i].shard;
    const enum pr_code rc = schedule_alloc(s, d);
    if (rc != PR_OK)
        return rc;
    for (int i = 0; i < REBALANCE_SLOTS; i++)
        if (f->slot[i].shard != REBALANCE_NONE)
            s->owned[f->slot[i].shard]++;
    int all = 0;
    for (size_t g = 0; g < d->now->shards; g++) {
        s->free[g] = draft_room(d, (int)g) - d->held[g];
        const int16_t zone = primary_zone(d, (int)g);
        if (s->owned[g] > 0 && zone != REBALANCE_NONE) {
            s->primaries[zone]++;
            all++;
        }
    }
    for (size_t z = 0; z < f->zones; z++)
        s->was_half[z] = 2 * s->primaries[z] >= all;
    /* Backwards, so that each pair's list begins with its first slot. */
    for (int i = REBALANCE_SLOTS; i-- > 0;)
        if (d->to[i] != f->slot[i].shard) {
            s->move[s->open] =
                (struct wave_move){ .slot = (int16_t)i, .from = f->slot[i].shard, .to = d->to[i] };
            schedule_add(s, schedule_pair(s, f->slot[i].shard, d->to[i]), s->open);
            s->open++;
        }
    return PR_OK;
}

/* --- one wave ------------------------------------------------------------------------ */

static bool opens(const struct schedule *s, const struct wave_pair *p)
{
    return s->owned[p->to] == 0;
}

struct ranked {
    bool opens;
    double load, left;
    size_t pair;
};

static int by_urgency(const void *va, const void *vb)
{
    const struct ranked *a = va, *b = vb;
    if (a->opens != b->opens)
        return a->opens ? -1 : 1;
    if (a->load != b->load)
        return a->load > b->load ? -1 : 1;
    if (a->left != b->left)
        return a->left > b->left ? -1 : 1;
    return a->pair < b->pair ? -1 : 1;
}

static bool rank_pairs(struct schedule *s, size_t *n)
{
    struct ranked *r = malloc((s->pairs + 1) * sizeof *r);
    *n = 0;
    if (r == NULL)
        return false;
    for (size_t p = 0; p < s->pairs; p++) {
        const struct wave_pair *q = &s->pair[p];
        if (q->head >= 0)
            r[(*n)++] =
                (struct ranked){ opens(s, q), fmax(s->load[q->from], s->load[q->to]), q->left, p };
    }
    qsort(r, *n, sizeof *r, by_urgency);
    for (size_t k = 0; k < *n; k++)
        s->rank[k] = r[k].pair;
    free(r);
    return true;
}

bool schedule_fits(const struct schedule *s, int to, double bytes)
{
    return s->free[to] >= s->d->lim.memory_ratio * bytes;
}

/* How many slots may leave the shard: the last one stays where closing it would
 * leave another zone with half of the primaries. */
static int may_leave(const struct schedule *s, const struct wave_pair *p)
{
    const int16_t zone = primary_zone(s->d, p->from);
    const bool keep = zone != REBALANCE_NONE && s->no_close[zone];
    return s->owned[p->from] - (keep ? 1 : 0);
}

static bool may_begin(const struct schedule *s, const struct wave_pair *p)
{
    const int16_t zone = primary_zone(s->d, p->to);
    if (s->busy[p->from] || s->busy[p->to] || may_leave(s, p) < 1)
        return false;
    if (opens(s, p) && zone != REBALANCE_NONE && s->no_open[zone])
        return false;
    for (int m = p->head; m >= 0; m = s->move[m].next)
        if (schedule_fits(s, p->to, s->d->fleet->slot[s->move[m].slot].bytes))
            return true;
    return false;
}

static int by_size(const void *va, const void *vb)
{
    const double a = *(const double *)va, b = *(const double *)vb;
    return a < b ? -1 : a > b;
}

/* What a pair moves at most: twice the median of the wave's pairs, so that one
 * long pair does not make all others wait. */
static double quantum(const struct schedule *s, const size_t *pair, size_t n)
{
    double *left = malloc((n + 1) * sizeof *left);
    if (left == NULL)
        return 0; /* one slot each */
    for (size_t k = 0; k < n; k++)
        left[k] = s->pair[pair[k]].left;
    qsort(left, n, sizeof *left, by_size);
    const double q = 2 * left[n / 2];
    free(left);
    return q;
}

static void choose_slots(struct schedule *s, const struct wave_pair *p, double most)
{
    double bytes = 0, weight = 0;
    int count = 0;
    const int may = may_leave(s, p);
    for (int m = p->head; m >= 0 && count < may; m = s->move[m].next) {
        const int16_t slot = s->move[m].slot;
        const double b = s->d->fleet->slot[slot].bytes, w = s->d->weight[slot];
        const bool enough = weight + w > most || bytes + b > s->d->lim.wave_bytes;
        if ((count > 0 && enough) || !schedule_fits(s, p->to, bytes + b))
            continue;
        bytes += b;
        weight += w;
        count++;
        s->chosen[s->n_chosen++] = m;
    }
}

static void count_primaries(struct schedule *s, int m, int sign)
{
    const struct wave_move *v = &s->move[m];
    const int16_t a = primary_zone(s->d, v->from), b = primary_zone(s->d, v->to);
    if (sign > 0 && --s->owned[v->from] == 0 && a != REBALANCE_NONE)
        s->primaries[a]--;
    if (sign > 0 && s->owned[v->to]++ == 0 && b != REBALANCE_NONE)
        s->primaries[b]++;
    if (sign < 0 && --s->owned[v->to] == 0 && b != REBALANCE_NONE)
        s->primaries[b]--;
    if (sign < 0 && s->owned[v->from]++ == 0 && a != REBALANCE_NONE)
        s->primaries[a]++;
}

/* Chooses a matching and its slots; what it would do to zones is in primaries. */
static bool choose(struct schedule *s)
{
    size_t n, taken = 0;
    s->n_chosen = 0;
    for (size_t g = 0; g < s->d->now->shards; g++)
        s->busy[g] = false;
    if (!rank_pairs(s, &n))
        return false;
    for (size_t k = 0; k < n; k++) {
        const struct wave_pair *p = &s->pair[s->rank[k]];
        if (!may_begin(s, p))
            continue;
        s->busy[p->from] = s->busy[p->to] = true;
        s->rank[taken++] = s->rank[k];
    }
    const double most = taken > 0 ? quantum(s, s->rank, taken) : 0;
    for (size_t k = 0; k < taken; k++)
        choose_slots(s, &s->pair[s->rank[k]], most);
    for (int k = 0; k < s->n_chosen; k++)
        count_primaries(s, s->chosen[k], 1);
    return true;
}

/* Forbids what gave zone half of the primaries: first shards that begin there,
 * then shards that end elsewhere. False: all of it is forbidden already. */
static bool forbid(struct schedule *s, int16_t zone)
{
    if (!s->no_open[zone]) {
        s->no_open[zone] = true;
        return true;
    }
    bool more = false;
    for (size_t z = 0; z < s->d->fleet->zones; z++)
        if ((int16_t)z != zone && !s->no_close[z])
            more = s->no_close[z] = true;
    return more;
}

static bool choose_within_goals(struct schedule *s)
{
    int16_t zone;
    s->half = REBALANCE_NONE;
    for (size_t z = 0; z < s->d->fleet->zones; z++)
        s->no_open[z] = s->no_close[z] = false;
    if (!choose(s))
        return false;
    while ((zone = zone_with_half(s)) != REBALANCE_NONE) {
        for (int k = s->n_chosen; k-- > 0;)
            count_primaries(s, s->chosen[k], -1);
        if (!forbid(s, zone)) {
            s->n_chosen = 0;
            s->half = zone;
            break;
        }
        if (!choose(s))
            return false;
        s->half = s->n_chosen == 0 ? zone : REBALANCE_NONE;
    }
    return true;
}

void schedule_emit(struct schedule *s, const struct wave_move *v)
{
    struct draft *d = s->d;
    struct wave_pair *p = &s->pair[schedule_pair(s, v->from, v->to)];
    const struct rebalance_slot_facts *f = &d->fleet->slot[v->slot];
    if (p->why == NULL)
        p->why = reason(d, v->from, v->to);
    draft_step(d, DRAFT_SLOTS, s->wave,
               (struct rebalance_fleet_step){ .kind = REBALANCE_SLOT,
                                              .slot = v->slot,
                                              .shard = REBALANCE_NONE,
                                              .src = d->now->shard[v->from].primary,
                                              .dst = d->now->shard[v->to].primary,
                                              .bytes = f->bytes,
                                              .keys = f->keys,
                                              .why = p->why });
}

static void carry_out(struct schedule *s)
{
    s->wave++;
    for (int k = 0; k < s->n_chosen; k++) {
        struct wave_move *v = &s->move[s->chosen[k]];
        const double b = s->d->fleet->slot[v->slot].bytes, w = s->d->weight[v->slot];
        schedule_emit(s, v);
        v->done = true;
        s->open--;
        s->free[v->from] += b;
        s->free[v->to] -= b;
        s->load[v->from] -= w;
        s->load[v->to] -= w;
    }
    for (size_t p = 0; p < s->pairs; p++) {
        int *link = &s->pair[p].head;
        while (*link >= 0) {
            const struct wave_move *v = &s->move[*link];
            if (v->done)
                s->pair[p].left -= s->d->weight[v->slot];
            if (v->done)
                *link = v->next;
            else
                link = &s->move[*link].next;
        }
    }
}

enum pr_code draft_waves(struct draft *d)
{
    struct schedule s;
    enum pr_code rc = schedule_init(&s, d);
    while (rc == PR_OK && s.open > 0) {
        if (!choose_within_goals(&s))
            return pr_fail(d->err, PR_ENOMEM, "waves");
        if (s.n_chosen > 0)
            carry_out(&s);
        else if (s.half != REBALANCE_NONE)
            rc = pr_fail(d->err, PR_ECONFLICT,
                         "zone %s would hold half of the primaries or more: join shards in other "
                         "zones, or take one from it as well",
                         draft_zone_name(d, s.half));
        else
            rc = schedule_detour(&s);
    }
    return rc;
}
