#include "core/policy/crossing.h"

#include "prism/slot.h"

#include <stdio.h>

struct sharing {
    const int16_t *zone;
    size_t zones;
    double *part;                    /* [blocks][zones] what the slots there talk to others */
    double whole[PR_TRAFFIC_BLOCKS]; /* of all zones, and of none */
};

static double talks(const struct pr_traffic_row *row, unsigned blocks)
{
    double sum = 0;
    for (unsigned b = 0; b < blocks; b++)
        sum += row->to[b];
    return sum;
}

/* The part of a block's traffic that is in the slot's zone; the slot itself is not among
 * those that it talks to. */
static double near(const struct sharing *s, const struct pr_traffic_row *row, unsigned block,
                   double own)
{
    const int16_t z = s->zone[row->slot];
    if (z < 0)
        return 0;
    const double self = block == row->block ? own : 0;
    const double whole = s->whole[block] - self;
    const double part = s->part[block * s->zones + (size_t)z] - self;
    return whole <= 0 || part <= 0 ? 0 : part >= whole ? 1 : part / whole;
}

enum pr_code rebalance_cross_share(const struct pr_traffic *t, const int16_t *zone, size_t zones,
                                   struct pr_arena *arena, double *out, struct pr_err *err)
{
    struct sharing s = { .zone = zone, .zones = zones };
    struct pr_traffic_row row;
    double all = 0, crossing = 0;
    s.part = pr_arena_alloc(arena, (t->blocks * zones + 1) * sizeof *s.part);
    if (s.part == NULL)
        return pr_fail(err, PR_ENOMEM, "traffic of %u blocks in %zu zones", t->blocks, zones);
    for (size_t i = 0; i < t->rows; i++) {
        pr_traffic_at(t, i, &row);
        const double sum = talks(&row, t->blocks);
        s.whole[row.block] += sum;
        if (zone[row.slot] >= 0)
            s.part[row.block * zones + (size_t)zone[row.slot]] += sum;
    }
    for (size_t i = 0; i < t->rows; i++) {
        pr_traffic_at(t, i, &row);
        const double own = talks(&row, t->blocks);
        all += row.self + own;
        for (unsigned b = 0; b < t->blocks; b++)
            if (row.to[b] > 0)
                crossing += row.to[b] * (1 - near(&s, &row, b, own));
    }
    *out = all > 0 ? crossing / all : 0;
    return PR_OK;
}

/* --- which record of the traffic speaks of today ---------------------------------- */

void rebalance_choose_traffic(const struct rebalance_traffic_facts *f,
                              struct rebalance_traffic_choice *out)
{
    const long long plan = (long long)f->plan_id;
    *out = (struct rebalance_traffic_choice){ .kind = REBALANCE_TRAFFIC_NONE };
    if (f->plan_id != 0 && !f->plan_over)
        snprintf(out->why, sizeof out->why, "plan %lld is moving vertices", plan);
    else if (f->run_id != 0 && (f->plan_id == 0 || f->run_since))
        *out = (struct rebalance_traffic_choice){ .kind = REBALANCE_BEFORE, .run_id = f->run_id };
    else if (f->plan_id != 0 && f->plan_done)
        *out =
            (struct rebalance_traffic_choice){ .kind = REBALANCE_AFTER, .run_id = f->plan_run_id };
    else if (f->plan_id != 0)
        snprintf(out->why, sizeof out->why,
                 "plan %lld moved some of its vertices and no placement run has looked since",
                 plan);
    else
        snprintf(out->why, sizeof out->why, "no placement run has seen the traffic");
}
