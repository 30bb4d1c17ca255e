#include "core/store.h"

#include "core/capacity.h"
#include "prism/routes.h"
#include "prism/slot.h"

#include <math.h>
#include <stdlib.h>

void placement_store_done(struct placement_store *s)
{
    free(s->zone_of);
    free(s->block_of);
    s->zone_of = NULL;
    s->block_of = NULL;
}

enum pr_code placement_today_init(struct placement_today *t, uint32_t partitions,
                                  struct pr_err *err)
{
    *t = (struct placement_today){ .partitions = partitions };
    pr_map_init(&t->moved);
    t->base = calloc((size_t)partitions + 1, sizeof *t->base);
    if (t->base == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for %u route bases", partitions);
    return PR_OK;
}

void placement_today_done(struct placement_today *t)
{
    free(t->base);
    t->base = NULL;
    pr_map_done(&t->moved);
}

enum pr_code placement_today_base(struct placement_today *t, int64_t home,
                                  struct placement_blob blob, struct pr_err *err)
{
    if (home < 0 || home >= t->partitions)
        return pr_fail(err, PR_EDATA, "current routes of home %lld: the store has %u partitions",
                       (long long)home, t->partitions);
    enum pr_code rc = pr_routes_check(blob.data, blob.bytes, t->partitions, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "current routes of home %lld", (long long)home);
    t->base[home] = blob;
    return PR_OK;
}

enum pr_code placement_today_delta(struct placement_today *t, int64_t delta_id,
                                   struct placement_blob blob, struct pr_err *err)
{
    enum pr_code rc = pr_routes_check(blob.data, blob.bytes, t->partitions, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "route delta %lld", (long long)delta_id);
    for (size_t i = 0; i < pr_routes_count(blob.bytes); i++) {
        const struct pr_route r = pr_routes_at(blob.data, i);
        if (pr_map_put(&t->moved, r.hash, r.partition) != PR_OK)
            return pr_fail(err, PR_ENOMEM, "out of memory for route delta %lld",
                           (long long)delta_id);
    }
    return PR_OK;
}

uint32_t placement_today_find(const struct placement_today *t, uint64_t hash)
{
    const uint32_t home = pr_home_partition(hash, t->partitions);
    uint64_t moved;
    uint32_t partition;
    if (pr_map_get(&t->moved, hash, &moved))
        return (uint32_t)moved;
    if (pr_routes_find(t->base[home].data, t->base[home].bytes, hash, &partition))
        return partition;
    return home;
}

static enum pr_code check_zones(const struct placement_store *s, uint32_t n, struct pr_err *err)
{
    uint32_t partitions[PLACEMENT_MAX_ZONES] = { 0 }, with_capacity = 0;
    for (uint32_t p = 0; p < s->partitions; p++)
        partitions[s->zone_of[p]]++;
    for (uint32_t z = 0; z < s->zones; z++) {
        const double ratio = s->zone[z].capacity_ratio;
        if (!isfinite(ratio) || ratio < 0)
            return pr_fail(err, PR_EINVAL, "zone %s has capacity %g: it must be 0 or more",
                           s->zone[z].id, ratio);
        if (ratio > 0 && partitions[z] == 0)
            return pr_fail(err, PR_EINVAL,
                           "zone %s has capacity %g but no slot's primary is there: bring its "
                           "nodes back or set its capacity to 0",
                           s->zone[z].id, ratio);
        with_capacity += ratio > 0;
    }
    if (with_capacity > n)
        return pr_fail(err, PR_EINVAL, "more zones (%u) than vertices (%u)", with_capacity, n);
    return PR_OK;
}

enum pr_code placement_capacity(const struct placement_store *s, uint32_t n, double imbalance,
                                double share[PLACEMENT_MAX_ZONES],
                                uint64_t capacity[PLACEMENT_MAX_ZONES], struct pr_err *err)
{
    double ratio[PLACEMENT_MAX_ZONES];
    /* Written so that a NaN is refused too. */
    if (!(imbalance >= PLACEMENT_IMBALANCE_MIN && imbalance <= PLACEMENT_IMBALANCE_MAX))
        return pr_fail(err, PR_EINVAL, "imbalance %g is outside %g..%g", imbalance,
                       PLACEMENT_IMBALANCE_MIN, PLACEMENT_IMBALANCE_MAX);
    enum pr_code rc = check_zones(s, n, err);
    for (uint32_t z = 0; z < s->zones; z++)
        ratio[z] = s->zone[z].capacity_ratio;
    return rc != PR_OK ? rc
                       : placement_capacities(ratio, s->zones, n, imbalance, share, capacity, err);
}
