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

/* Half of what is saved is kept as the margin for what moving risks: slower
 * requests meanwhile, and traffic that no longer looks as it did. */
static const double RISK_MARGIN = 0.5;

struct rebalance_verdict rebalance_judge(const struct rebalance_economics *e)
{
    struct rebalance_verdict v = { .why = "nothing to move", .worth = true };
    if (e->vertices == 0)
        return v;

    /* A vertex crosses to its new zone, and its copies go to the two others:
     * both ends of each crossing are billed. */
    const double gb = 1e9;
    const double crossing = e->cross_zone_bytes + e->bytes * (e->copies > 1 ? e->copies - 1 : 0);
    v.move_usd = crossing / gb * 2 * e->price_usd_per_gb;
    v.duration_s = e->vertices_per_s > 0 ? (double)e->vertices / e->vertices_per_s : 0;

    if (e->usd_before_per_month < 0 || e->usd_after_per_month < 0) {
        v.worth = e->cross_after_ratio >= 0 && e->cross_after_ratio < e->cross_before_ratio;
        v.why =
            v.worth ? "less cross-zone traffic; its price is not known" : "the run reports no gain";
        return v;
    }
    v.saved_usd = (e->usd_before_per_month - e->usd_after_per_month) * e->horizon_days / 30.0;
    v.worth = v.saved_usd * (1 - RISK_MARGIN) > v.move_usd;
    if (v.worth)
        v.why = "half of what it saves over the horizon exceeds the price of moving";
    else if (v.saved_usd <= 0)
        v.why = "it saves nothing";
    else
        v.why = "moving costs more than half of what it saves over the horizon";
    return v;
}
