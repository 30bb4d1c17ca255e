#include "core/vertex/diff.h"

#include "prism/routes.h"
#include "prism/slot.h"

const char *rebalance_reason_name(enum rebalance_reason r)
{
    static const char *const name[REBALANCE_REASONS] = {
        [REBALANCE_TO_NEIGHBOURS] = "to_neighbours",
        [REBALANCE_ONWARD] = "onward",
        [REBALANCE_TO_HOME] = "to_home",
    };
    return r < REBALANCE_REASONS ? name[r] : "unknown";
}

static void tell(uint64_t hash, uint32_t from, uint32_t to, uint32_t home, rebalance_move_fn *fn,
                 void *ctx)
{
    if (from == to)
        return;
    enum rebalance_reason why = REBALANCE_ONWARD;
    if (to == home)
        why = REBALANCE_TO_HOME;
    else if (from == home)
        why = REBALANCE_TO_NEIGHBOURS;
    fn(ctx, hash, from, to, why);
}

void rebalance_diff(struct rebalance_blob current, struct rebalance_blob target, uint32_t home,
                    rebalance_move_fn *fn, void *ctx)
{
    const size_t nc = pr_routes_count(current.bytes), nt = pr_routes_count(target.bytes);
    size_t c = 0, t = 0;
    while (c < nc || t < nt) {
        const bool has_c = c < nc, has_t = t < nt;
        const struct pr_route rc = has_c ? pr_routes_at(current.data, c) : (struct pr_route){ 0 };
        const struct pr_route rt = has_t ? pr_routes_at(target.data, t) : (struct pr_route){ 0 };
        const bool use_c = has_c && (!has_t || rc.hash <= rt.hash);
        const bool use_t = has_t && (!has_c || rt.hash <= rc.hash);
        tell(use_c ? rc.hash : rt.hash, use_c ? rc.partition : home, use_t ? rt.partition : home,
             home, fn, ctx);
        c += use_c;
        t += use_t;
    }
}

void rebalance_count(void *ctx, uint64_t hash, uint32_t from, uint32_t to,
                     enum rebalance_reason why)
{
    (void)hash;
    struct rebalance_counts *k = ctx;
    const struct rebalance_sites *s = k->sites;
    const uint16_t a = s->node_of_slot[pr_partition_slot(from)];
    const uint16_t b = s->node_of_slot[pr_partition_slot(to)];
    const uint16_t za = s->zone_of_node[a], zb = s->zone_of_node[b];

    k->vertices++;
    k->by_reason[why]++;
    k->by_node[a * s->nodes + b]++;
    k->by_zone[za * s->zones + zb]++;
    k->bytes += s->bytes_per_vertex[a];
    if (za != zb)
        k->cross_zone_bytes += s->bytes_per_vertex[a];
}
