/* The planner's shared state: weights, steps, notes, and what holds a slot. */
#include "core/fleet/draft.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double ENTER = 0.10, LEAVE = 0.05, MEMORY = 1.3, WAVE_BYTES = 4.0 * 1024 * 1024 * 1024;
static const int64_t HOUR_MS = 3600 * 1000;

struct rebalance_limits rebalance_limits_filled(const struct rebalance_limits *l)
{
    struct rebalance_limits f = l != NULL ? *l : (struct rebalance_limits){ 0 };
    if (f.enter_ratio <= 0)
        f.enter_ratio = ENTER;
    if (f.leave_ratio <= 0)
        f.leave_ratio = LEAVE;
    if (f.leave_ratio > f.enter_ratio)
        f.leave_ratio = f.enter_ratio;
    if (f.memory_ratio <= 0)
        f.memory_ratio = MEMORY;
    if (f.cooldown_ms <= 0)
        f.cooldown_ms = HOUR_MS;
    if (f.reversal_ms <= 0)
        f.reversal_ms = 7 * 24 * HOUR_MS;
    if (f.wave_bytes <= 0)
        f.wave_bytes = WAVE_BYTES;
    return f;
}

double rebalance_slot_least(const struct rebalance_fleet *f)
{
    /* An empty cluster should be even by the number of slots, any other by bytes: so
     * little that moving empty slots never passes for evening out. */
    double sum = 0;
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        sum += f->slot[s].bytes;
    const double mean = sum / REBALANCE_SLOTS;
    return mean > 0 ? mean / 1000 : 1;
}

const char *draft_hold_name(enum draft_hold h)
{
    static const char *const name[DRAFT_HOLDS] = {
        [DRAFT_FREE] = "free",           [DRAFT_OPEN] = "open",
        [DRAFT_PINNED] = "pinned",       [DRAFT_SHARD_PINNED] = "shard pinned",
        [DRAFT_COOLING] = "in cooldown", [DRAFT_REVERSAL] = "would go back where it came from",
    };
    return name[h];
}

/* --- what holds a slot --------------------------------------------------------- */

enum draft_hold rebalance_slot_hold(const struct rebalance_fleet *f,
                                    const struct rebalance_limits *lim, int slot, int to)
{
    const struct rebalance_slot_facts *s = &f->slot[slot];
    if (s->open)
        return DRAFT_OPEN;
    if (s->pinned)
        return DRAFT_PINNED;
    if (s->shard != REBALANCE_NONE && f->shard[s->shard].pinned)
        return DRAFT_SHARD_PINNED;
    if (s->moved_at_ms > 0 && f->now_ms - s->moved_at_ms < lim->cooldown_ms)
        return DRAFT_COOLING;
    if (to != REBALANCE_NONE && s->moved_from == to && s->moved_at_ms > 0 &&
        f->now_ms - s->moved_at_ms < lim->reversal_ms)
        return DRAFT_REVERSAL;
    return DRAFT_FREE;
}

enum draft_hold draft_hold(const struct draft *d, int slot, int to)
{
    const enum draft_hold h = rebalance_slot_hold(d->fleet, &d->lim, slot, to);
    return d->forced && h >= DRAFT_COOLING ? DRAFT_FREE : h;
}

/* --- set up --------------------------------------------------------------------- */

struct sort_slot {
    double weight;
    int16_t shard, slot;
};

static int by_shard_and_weight(const void *va, const void *vb)
{
    const struct sort_slot *a = va, *b = vb;
    if (a->shard != b->shard)
        return a->shard < b->shard ? -1 : 1;
    if (a->weight != b->weight)
        return a->weight > b->weight ? -1 : 1;
    return a->slot < b->slot ? -1 : a->slot > b->slot;
}

static enum pr_code sort_slots(struct draft *d)
{
    struct sort_slot *all = pr_arena_alloc(d->arena, REBALANCE_SLOTS * sizeof *all);
    if (all == NULL)
        return pr_fail(d->err, PR_ENOMEM, "order of slots");
    d->least_weight = rebalance_slot_least(d->fleet);
    for (int s = 0; s < REBALANCE_SLOTS; s++) {
        const struct rebalance_slot_facts *f = &d->fleet->slot[s];
        d->weight[s] = f->bytes + d->least_weight;
        d->to[s] = f->shard;
        const int16_t key = f->shard != REBALANCE_NONE ? f->shard : INT16_MAX;
        all[s] = (struct sort_slot){ d->weight[s], key, (int16_t)s };
        if (f->shard != REBALANCE_NONE)
            d->held[f->shard] += f->bytes;
    }
    qsort(all, REBALANCE_SLOTS, sizeof *all, by_shard_and_weight);
    size_t k = 0;
    for (size_t i = 0; i <= d->max_shards; i++) {
        while (k < REBALANCE_SLOTS && (size_t)all[k].shard < i)
            k++;
        d->first[i] = (int)k;
    }
    for (int i = 0; i < REBALANCE_SLOTS; i++)
        d->order[i] = all[i].slot;
    return PR_OK;
}

enum pr_code draft_init(struct draft *d)
{
    d->max_shards = d->fleet->shards + d->fleet->nodes;
    d->now = pr_arena_alloc(d->arena, sizeof *d->now);
    d->first = pr_arena_alloc(d->arena, (d->max_shards + 1) * sizeof *d->first);
    d->held = pr_arena_alloc(d->arena, (d->max_shards + 1) * sizeof *d->held);
    d->leaving = pr_arena_alloc(d->arena, d->max_shards + 1);
    d->fresh = pr_arena_alloc(d->arena, d->max_shards + 1);
    if (d->now == NULL || d->first == NULL || d->held == NULL || d->leaving == NULL ||
        d->fresh == NULL)
        return pr_fail(d->err, PR_ENOMEM, "draft of a plan");
    const enum pr_code rc = rebalance_layout_of(d->fleet, d->arena, d->now, d->err);
    return rc == PR_OK ? sort_slots(d) : rc;
}

/* --- steps and notes -------------------------------------------------------------- */

static void *grown(struct draft *d, void *old, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return old;
    const size_t more = *room == 0 ? 64 : *room * 2;
    void *p = pr_arena_alloc(d->arena, more * size);
    if (p == NULL) {
        d->no_memory = true;
        return NULL;
    }
    if (n > 0)
        memcpy(p, old, n * size);
    *room = more;
    return p;
}

void draft_step(struct draft *d, enum draft_stage stage, int wave, struct rebalance_fleet_step step)
{
    struct draft_step *s = grown(d, d->step, d->steps, &d->step_room, sizeof *s);
    if (s == NULL || step.why == NULL) {
        d->no_memory = true;
        return;
    }
    d->step = s;
    d->step[d->steps] = (struct draft_step){ (int64_t)stage << 32 | wave, d->steps, step };
    d->steps++;
    if (step.kind != REBALANCE_SLOT)
        rebalance_layout_apply(d->now, &step);
}

void draft_note(struct draft *d, int slot, int node, int shard, const char *text)
{
    struct rebalance_note *n = grown(d, d->note, d->notes, &d->note_room, sizeof *n);
    if (n == NULL || text == NULL) {
        d->no_memory = true;
        return;
    }
    d->note = n;
    d->note[d->notes++] =
        (struct rebalance_note){ (int16_t)slot, (int16_t)node, (int16_t)shard, text };
}

const char *draft_text(struct draft *d, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const char *kept = pr_arena_strdup(d->arena, text);
    if (kept == NULL)
        d->no_memory = true;
    return kept;
}

/* --- shards ------------------------------------------------------------------------ */

int16_t draft_zone(const struct draft *d, int shard)
{
    const struct rebalance_group *g = &d->now->shard[shard];
    if (g->home_zone != REBALANCE_NONE)
        return g->home_zone;
    return g->primary != REBALANCE_NONE ? d->now->node[g->primary].zone : REBALANCE_NONE;
}

const char *draft_zone_name(const struct draft *d, int zone)
{
    return zone >= 0 && (size_t)zone < d->fleet->zones ? d->fleet->zone[zone] : "unknown";
}

bool draft_usable(const struct draft *d, int shard)
{
    const struct rebalance_group *g = &d->now->shard[shard];
    return g->primary != REBALANCE_NONE && !d->now->node[g->primary].failed && !g->pinned &&
           draft_zone(d, shard) != REBALANCE_NONE;
}

double draft_base(const struct draft *d, int node)
{
    const struct rebalance_member *m = &d->fleet->node[node];
    const double base = m->used_bytes - (m->shard != REBALANCE_NONE ? d->held[m->shard] : 0);
    return base > 0 ? base : 0;
}

double draft_room(const struct draft *d, int shard)
{
    double room = 1e300;
    for (size_t n = 0; n < d->now->nodes; n++) {
        const struct rebalance_member *m = &d->now->node[n];
        if (m->shard != shard || m->failed || m->capacity_bytes <= 0)
            continue;
        const double left = m->capacity_bytes - draft_base(d, (int)n);
        room = left < room ? left : room;
    }
    return room > 0 ? room : 0;
}

int draft_live_replicas(const struct draft *d, int shard)
{
    int n = 0;
    for (size_t i = 0; i < d->now->nodes; i++) {
        const struct rebalance_member *m = &d->now->node[i];
        n += m->shard == shard && m->member && !m->primary && !m->failed;
    }
    return n;
}

int draft_live_zones(const struct draft *d)
{
    int zones = 0;
    for (size_t z = 0; z < d->fleet->zones; z++)
        for (size_t n = 0; n < d->now->nodes; n++)
            if (d->now->node[n].zone == (int16_t)z && d->now->node[n].member &&
                !d->now->node[n].failed) {
                zones++;
                break;
            }
    return zones;
}

int16_t draft_new_shard(struct draft *d, int node)
{
    struct rebalance_member *m = &d->now->node[node];
    const int16_t shard = (int16_t)d->now->shards++;
    m->shard = shard;
    m->primary = true;
    d->now->shard[shard] =
        (struct rebalance_group){ .id = m->id, .primary = (int16_t)node, .home_zone = m->zone };
    d->fresh[shard] = true;
    return shard;
}
