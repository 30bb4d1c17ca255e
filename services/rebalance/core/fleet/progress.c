#include "core/fleet/progress.h"

/* Measured on two cores (docs/reference/benchmarks.md): an almost empty slot takes
 * 3 ms with its rows, a change of roles 2 s until every node has heard of it. */
static const double SLOT_S = 0.003, OTHER_S = 2;
static const double STEP_BYTES = 64 << 10; /* what a step without bytes weighs in the ratio */

double rebalance_fleet_ratio(const struct rebalance_fleet_progress *p)
{
    const double total = p->bytes + STEP_BYTES * p->steps;
    const double moved = p->moved_bytes < p->bytes ? p->moved_bytes : p->bytes;
    const double ratio = total > 0 ? (moved + STEP_BYTES * p->verified) / total : 0;
    return ratio < 0 ? 0 : ratio > 1 ? 1 : ratio;
}

double rebalance_fleet_eta_s(const struct rebalance_fleet_progress *p)
{
    enum { TOO_EARLY_S = 1 };
    const double ratio = rebalance_fleet_ratio(p);
    if (ratio >= 1)
        return 0;
    if (ratio < 0.005 || p->running_s < TOO_EARLY_S)
        return -1;
    return p->running_s * (1 - ratio) / ratio;
}

double rebalance_fleet_duration_s(const struct rebalance_fleet_work *w)
{
    const double pairs = w->pairs > 0 ? (double)w->pairs : 1;
    const double bytes_s = w->bytes_per_s > 0 ? w->bytes / w->bytes_per_s : 0;
    return bytes_s + (double)w->slots * SLOT_S / pairs + (double)w->others * OTHER_S;
}
