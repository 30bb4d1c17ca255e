#include "core/retention.h"

#include <stdlib.h>
#include <string.h>

static int by_shard(const void *left, const void *right)
{
    const struct dr_kept *a = left, *b = right;
    const int names = strcmp(a->shard, b->shard);
    return names != 0 ? names : dr_generation_compare(&a->id, &b->id);
}

static bool sure(const struct dr_kept *g, const struct dr_kept *next)
{
    return !g->damaged && g->verified_ms > 0 && (next == NULL || g->verified_ms >= next->ended_ms);
}

void dr_retention_floors(const struct dr_retention *r, struct dr_kept *kept, size_t n,
                         struct dr_floor *floor, size_t *floors)
{
    const int64_t from_ms = r->now_ms - r->keep_ms;
    *floors = 0;
    if (n > 0)
        qsort(kept, n, sizeof *kept, by_shard);
    for (size_t i = 0; i < n; i++) {
        const bool first = i == 0 || strcmp(kept[i].shard, kept[i - 1].shard) != 0,
                   last = i + 1 == n || strcmp(kept[i].shard, kept[i + 1].shard) != 0;
        if (first) {
            floor[*floors] = (struct dr_floor){ .some = false };
            memcpy(floor[(*floors)++].shard, kept[i].shard, DR_NAME);
        }
        struct dr_floor *f = &floor[*floors - 1];
        if (kept[i].ended_ms <= from_ms && sure(&kept[i], last ? NULL : &kept[i + 1])) {
            f->some = true;
            f->id = kept[i].id;
            f->begun_ms = kept[i].begun_ms;
        } else if (kept[i].begun_ms < f->begun_ms) { /* by one that had lost its lease */
            f->begun_ms = kept[i].begun_ms;
        }
    }
}

static int by_name(const void *name, const void *floor)
{
    return strcmp(name, ((const struct dr_floor *)floor)->shard);
}

bool dr_retention_drops(const struct dr_floor *floor, size_t floors, const char *shard,
                        const struct dr_generation_id *id)
{
    const struct dr_floor *f =
        floors > 0 ? bsearch(shard, floor, floors, sizeof *floor, by_name) : NULL;
    return f != NULL && f->some && dr_generation_compare(id, &f->id) < 0;
}

/* Before anything arrived that any shard needs. */
static bool before_all(const struct dr_floor *floor, size_t floors, int64_t modified_ms)
{
    for (size_t i = 0; i < floors; i++)
        if (!floor[i].some || modified_ms > floor[i].begun_ms - DR_SKEW_MS)
            return false;
    return floors > 0;
}

enum dr_verdict dr_retention_container(const struct dr_retention *r, const struct dr_floor *floor,
                                       size_t floors, const struct dr_held *c)
{
    if (c->newest || c->modified_ms > r->now_ms - r->keep_ms - DR_SKEW_MS)
        return DR_STAYS;
    if (before_all(floor, floors, c->modified_ms))
        return DR_GOES;
    if (c->piece == NULL)
        return DR_LOOK;
    for (size_t i = 0; i < c->pieces; i++)
        if (!dr_retention_drops(floor, floors, c->piece[i].shard, &c->piece[i].generation))
            return DR_STAYS;
    return DR_GOES;
}

bool dr_retention_map(const struct dr_floor *floor, size_t floors, uint64_t live,
                      const struct dr_held_map *m)
{
    return !m->newest && (live == 0 || m->number < live) &&
           before_all(floor, floors, m->modified_ms + DR_MAP_MS);
}

bool dr_retention_life(const struct dr_retention *r, const struct dr_floor *floor, size_t floors,
                       bool bare, int64_t claim_ms)
{
    for (size_t i = 0; i < floors; i++)
        if (!floor[i].some)
            return false;
    return floors > 0 && !bare && claim_ms < r->now_ms - r->keep_ms - DR_SKEW_MS;
}

bool dr_retention_orphan(const struct dr_retention *r, int64_t modified_ms)
{
    return modified_ms < r->now_ms - DR_ORPHAN_MS;
}
