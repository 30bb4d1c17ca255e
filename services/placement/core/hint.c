#include "core/hint.h"

#include "prism/rng.h"
#include "prism/slot.h"

static uint32_t partitions_in(const struct placement_store *s, uint16_t zone)
{
    uint32_t n = 0;
    for (uint32_t p = 0; p < s->partitions; p++)
        n += s->zone_of[p] == zone;
    return n;
}

/* The nth partition of a zone that has more than n. */
static uint32_t partition_at(const struct placement_store *s, uint16_t zone, uint64_t nth)
{
    uint32_t p = 0;
    for (;; p++) {
        if (s->zone_of[p] != zone)
            continue;
        if (nth-- == 0)
            return p;
    }
}

struct placement_hint placement_hint_choose(const struct placement_hint_input *in)
{
    const struct placement_store *s = in->store;
    const uint32_t home = pr_home_partition(in->hash, s->partitions);
    const uint16_t home_zone = s->zone_of[home];
    uint16_t best = home_zone;
    uint64_t most = 0;
    if (s->zone[home_zone].capacity_ratio > 0)
        most = in->votes[home_zone];
    for (uint16_t z = 0; z < s->zones; z++) {
        if (in->votes[z] > most && s->zone[z].capacity_ratio > 0 && partitions_in(s, z) > 0) {
            most = in->votes[z];
            best = z;
        }
    }
    if (best == home_zone)
        return (struct placement_hint){ home, home_zone };
    const uint64_t nth = pr_mix64(in->hash) % partitions_in(s, best);
    return (struct placement_hint){ partition_at(s, best, nth), best };
}
