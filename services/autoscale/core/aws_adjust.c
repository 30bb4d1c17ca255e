#include "core/aws.h"

#include <math.h>
#include <string.h>

static const char *const NAME[] = { "ChangeInCapacity", "ExactCapacity",
                                    "PercentChangeInCapacity" };

const char *autoscale_adjustment_name(enum autoscale_adjustment a)
{
    return NAME[a];
}

bool autoscale_adjustment_parse(const char *name, enum autoscale_adjustment *out)
{
    for (size_t i = 0; i < PR_COUNT(NAME); i++)
        if (strcmp(name, NAME[i]) == 0) {
            *out = (enum autoscale_adjustment)i;
            return true;
        }
    return false;
}

static int whole(double v)
{
    return (int)fmin(fmax(v, -1e9), 1e9);
}

int autoscale_round_percent(double change)
{
    if (change > 0)
        return whole(fmax(floor(change), 1));
    if (change < 0)
        return whole(fmin(ceil(change), -1));
    return 0;
}

int autoscale_within(int capacity, int min, int max)
{
    const int below = capacity < max ? capacity : max;
    return below > min ? below : min;
}

int autoscale_adjusted(enum autoscale_adjustment a, int capacity, double adjust, int min_magnitude)
{
    int by = 0;
    switch (a) {
    case AUTOSCALE_EXACT_CAPACITY:
        return whole(adjust);
    case AUTOSCALE_CHANGE_IN_CAPACITY:
        by = whole(adjust);
        break;
    case AUTOSCALE_PERCENT_CHANGE:
        by = autoscale_round_percent(capacity * adjust / 100);
        if (adjust > 0 && by < min_magnitude)
            by = min_magnitude;
        if (adjust < 0 && by > -min_magnitude)
            by = -min_magnitude;
        break;
    }
    return whole(fmax((double)capacity + by, 0));
}

/* Bounds are given as distances, metrics as values: 0.1 + 0.2 is to be 0.3. */
static bool at(double metric, double bound)
{
    return fabs(metric - bound) <= 1e-12 * fmax(fabs(metric), fabs(bound));
}

bool autoscale_step_holds(double threshold, double lower, double upper, double metric)
{
    const double from = threshold + lower, to = threshold + upper;
    const bool at_from = !isinf(from) && at(metric, from), at_to = !isinf(to) && at(metric, to);
    const bool above = at(metric, threshold) ? upper > 0 : metric > threshold;
    if (isnan(metric))
        return false;
    if (above)
        return (metric > from || at_from) && metric < to && !at_to;
    return metric > from && !at_from && (metric < to || at_to);
}

/* --- a set of steps ------------------------------------------------------------------- */

static enum pr_code check_one(const struct autoscale_step *s, size_t i, struct pr_err *err)
{
    if (isnan(s->lower) || isnan(s->upper) || isnan(s->adjust) || isinf(s->adjust))
        return pr_fail(err, PR_EINVAL, "step %zu: not a number", i + 1);
    if (isinf(s->lower) && isinf(s->upper))
        return pr_fail(err, PR_EINVAL, "step %zu: no bound at all", i + 1);
    if (!(s->lower < s->upper))
        return pr_fail(err, PR_EINVAL, "step %zu: the lower bound %g is not below the upper %g",
                       i + 1, s->lower, s->upper);
    return PR_OK;
}

/* Of those not taken, the one with the smallest lower bound. */
static size_t next_up(const struct autoscale_step *step, size_t n, uint32_t taken)
{
    size_t best = n;
    for (size_t i = 0; i < n; i++)
        if ((taken >> i & 1) == 0 && (best == n || step[i].lower < step[best].lower))
            best = i;
    return best;
}

enum pr_code autoscale_steps_check(const struct autoscale_step *step, size_t n, struct pr_err *err)
{
    if (n == 0 || n > AUTOSCALE_STEPS)
        return pr_fail(err, PR_EINVAL, "%zu steps, want 1 to %d", n, AUTOSCALE_STEPS);
    for (size_t i = 0; i < n; i++) {
        const enum pr_code rc = check_one(&step[i], i, err);
        if (rc != PR_OK)
            return rc;
    }
    uint32_t taken = 0;
    double lowest = 0, highest = 0;
    for (size_t k = 0; k < n; k++) {
        const size_t i = next_up(step, n, taken);
        taken |= UINT32_C(1) << i;
        if (k == 0)
            lowest = step[i].lower;
        else if (step[i].lower < highest)
            return pr_fail(err, PR_EINVAL, "step %zu: overlaps another from %g to %g", i + 1,
                           step[i].lower, fmin(highest, step[i].upper));
        else if (step[i].lower > highest)
            return pr_fail(err, PR_EINVAL, "step %zu: nothing holds from %g to %g", i + 1, highest,
                           step[i].lower);
        highest = step[i].upper;
    }
    if (lowest < 0 && !isinf(lowest))
        return pr_fail(err, PR_EINVAL, "steps: nothing holds below %g: one needs no lower bound",
                       lowest);
    if (highest > 0 && !isinf(highest))
        return pr_fail(err, PR_EINVAL, "steps: nothing holds above %g: one needs no upper bound",
                       highest);
    return PR_OK;
}

int autoscale_step_wanted(const struct autoscale_step_alarm *a, double metric, int warm,
                          int desired)
{
    for (size_t i = 0; i < a->steps; i++) {
        const struct autoscale_step *s = &a->step[i];
        if (!autoscale_step_holds(a->threshold, s->lower, s->upper, metric))
            continue;
        const int to = autoscale_adjusted(a->type, warm, s->adjust, a->min_magnitude);
        if (to == warm)
            return desired;
        if (to > warm)
            return to > desired ? to : desired;
        return warm < desired || to > desired ? desired : to;
    }
    return desired;
}
