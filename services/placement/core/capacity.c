#include "core/capacity.h"

#include <math.h>

static enum pr_code sum_ratios(const double *ratio, uint32_t zones, double *sum, struct pr_err *err)
{
    *sum = 0;
    for (uint32_t z = 0; z < zones; z++) {
        if (!isfinite(ratio[z]) || ratio[z] < 0)
            return pr_fail(err, PR_EINVAL, "capacity %g of zone %u: it must be 0 or more", ratio[z],
                           z);
        *sum += ratio[z];
    }
    if (!(*sum > 0) || !isfinite(*sum))
        return pr_fail(err, PR_EINVAL, "none of %u zones has capacity", zones);
    return PR_OK;
}

/* In long double: a double has no room for every whole number of bytes. The
 * tiny steps keep rounding noise from moving a whole number. */
static uint64_t capacity_of(double share, uint64_t weight, double imbalance)
{
    const long double even = (long double)share * (long double)weight;
    const long double room = even * (1 + (long double)imbalance) + 1e-9L;
    uint64_t least = (uint64_t)even;
    if ((long double)least < even - 1e-9L)
        least++;
    uint64_t most = room >= (long double)weight ? weight : (uint64_t)room;
    if (most < least)
        most = least;
    return most == 0 ? 1 : most;
}

enum pr_code placement_capacities(const double *ratio, uint32_t zones, uint64_t weight,
                                  double imbalance, double *share, uint64_t *capacity,
                                  struct pr_err *err)
{
    double sum;
    if (!(imbalance >= 0 && imbalance <= 1)) /* so that a NaN is refused too */
        return pr_fail(err, PR_EINVAL, "imbalance %g is outside 0..1", imbalance);
    enum pr_code rc = sum_ratios(ratio, zones, &sum, err);
    if (rc != PR_OK)
        return rc;
    uint64_t room = 0;
    uint32_t largest = 0;
    for (uint32_t z = 0; z < zones; z++) {
        share[z] = ratio[z] / sum;
        capacity[z] = share[z] > 0 ? capacity_of(share[z], weight, imbalance) : 0;
        room = room + capacity[z] < room ? UINT64_MAX : room + capacity[z];
        if (ratio[z] > ratio[largest])
            largest = z;
    }
    if (room < weight) /* shares are rounded: above 2^53 a little may be missing */
        capacity[largest] += weight - room;
    return PR_OK;
}
