#include "core/aws_group.h"

#include "core/aws.h"

#include <math.h>
#include <string.h>

bool autoscale_cooldown_waits(enum autoscale_trigger by, bool cooling, bool honor)
{
    return cooling && (by == AUTOSCALE_BY_SIMPLE || (by == AUTOSCALE_BY_HAND && honor));
}

int64_t autoscale_warmup_of(int64_t policy_s, int64_t group_s, int64_t cooldown_s)
{
    return policy_s >= 0 ? policy_s : group_s >= 0 ? group_s : cooldown_s;
}

enum autoscale_move autoscale_warmup_lets(enum autoscale_move alarm, int warming)
{
    return alarm == AUTOSCALE_IN && warming > 0 ? AUTOSCALE_HOLD : alarm;
}

/* --- predictive scaling --------------------------------------------------------------- */

int autoscale_forecast_max(const struct autoscale_forecast *f)
{
    if (!f->may_exceed_max)
        return f->max;
    const double with_buffer = floor(f->predicted * (100 + f->buffer_pct) / 100);
    return with_buffer > f->max ? (int)fmin(with_buffer, 1e9) : f->max;
}

int autoscale_forecast_capacity(const struct autoscale_forecast *f)
{
    const int predicted = autoscale_within(f->predicted, f->min, autoscale_forecast_max(f));
    return !f->forecast_only && predicted > f->actual ? predicted : f->actual;
}

/* --- sizes and zones ------------------------------------------------------------------- */

int autoscale_warm_pool(int max, int desired, int max_prepared, int min_size)
{
    const int prepared = (max_prepared >= 0 ? max_prepared : max) - desired;
    const int least = min_size > 0 ? min_size : 0;
    return prepared > least ? prepared : least;
}

int autoscale_rebalance_limit(int max)
{
    return max + (max / 10 > 1 ? max / 10 : 1);
}

int autoscale_zones_launch(int *count, size_t zones, const bool *closed, int add)
{
    int placed = 0;
    for (; placed < add; placed++) {
        size_t best = zones;
        for (size_t z = 0; z < zones; z++)
            if ((closed == NULL || !closed[z]) && (best == zones || count[z] < count[best]))
                best = z;
        if (best == zones)
            break;
        count[best]++;
    }
    return placed;
}

int autoscale_zones_terminate(int *count, size_t zones, const int *protect, int remove)
{
    int gone = 0;
    for (; gone < remove; gone++) {
        size_t best = zones;
        for (size_t z = 0; z < zones; z++)
            if (count[z] > (protect == NULL ? 0 : protect[z]) &&
                (best == zones || count[z] > count[best]))
                best = z;
        if (best == zones)
            break;
        count[best]--;
    }
    return gone;
}

/* --- who goes first ------------------------------------------------------------------- */

bool autoscale_termination_parse(const char *name, enum autoscale_termination *out)
{
    static const char *const names[AUTOSCALE_TERMINATIONS] = {
        "Default",
        "OldestInstance",
        "NewestInstance",
        "OldestLaunchConfiguration",
        "OldestLaunchTemplate",
        "ClosestToNextInstanceHour",
    };
    for (size_t i = 0; i < PR_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum autoscale_termination)i;
            return true;
        }
    return false;
}

/* What decides in turn; smaller goes first. */
struct rank {
    double by[3];
};

static struct rank rank_of(const struct autoscale_leaver *l, enum autoscale_termination t)
{
    const double kind = l->by_configuration ? 0 : 1;
    switch (t) {
    case AUTOSCALE_GOES_DEFAULT:
        return (struct rank){ { kind, l->version, l->to_billing_hour } };
    case AUTOSCALE_GOES_OLDEST_INSTANCE:
        return (struct rank){ { -l->age } };
    case AUTOSCALE_GOES_NEWEST_INSTANCE:
        return (struct rank){ { l->age } };
    case AUTOSCALE_GOES_OLDEST_CONFIGURATION: /* those with a template have none */
        return (struct rank){ { kind, l->by_configuration ? l->version : 0 } };
    case AUTOSCALE_GOES_OLDEST_TEMPLATE:
        return (struct rank){ { 1 - kind, l->by_configuration ? 0 : l->version } };
    case AUTOSCALE_GOES_BILLING_HOUR:
        return (struct rank){ { l->to_billing_hour } };
    case AUTOSCALE_TERMINATIONS:
        break;
    }
    return (struct rank){ { 0 } };
}

static bool goes_before(const struct autoscale_leaver *a, const struct autoscale_leaver *b,
                        const enum autoscale_termination *policy, size_t policies)
{
    for (size_t p = 0; p < policies; p++) {
        const struct rank x = rank_of(a, policy[p]), y = rank_of(b, policy[p]);
        for (size_t i = 0; i < PR_COUNT(x.by); i++)
            if (x.by[i] < y.by[i] || x.by[i] > y.by[i])
                return x.by[i] < y.by[i];
    }
    return false;
}

static int members_in(const struct autoscale_leaver *one, const bool *gone, size_t n, int zone)
{
    int in = 0;
    for (size_t i = 0; i < n; i++)
        in += !gone[i] && one[i].zone == zone;
    return in;
}

size_t autoscale_goes_next(const struct autoscale_leaver *one, const bool *gone, size_t n,
                           const enum autoscale_termination *policy, size_t policies)
{
    int most = 0;
    for (size_t i = 0; i < n; i++) {
        const int in = gone[i] || one[i].keep ? 0 : members_in(one, gone, n, one[i].zone);
        most = in > most ? in : most;
    }
    size_t best = n;
    for (size_t i = 0; i < n; i++)
        if (!gone[i] && !one[i].keep && members_in(one, gone, n, one[i].zone) == most &&
            (best == n || goes_before(&one[i], &one[best], policy, policies)))
            best = i;
    return best;
}

/* --- instance refresh ------------------------------------------------------------------ */

static int share(double pct, int of)
{
    return (int)ceil(pct * of / 100);
}

size_t autoscale_refresh_timeline(const struct autoscale_refresh *r, struct autoscale_batch *out,
                                  double *done_min)
{
    const int spare = r->instances - share(r->min_healthy_pct, r->instances);
    const int most = spare > 1 ? spare : 1;
    const size_t checkpoints = r->checkpoints > 0 ? r->checkpoints : 1;
    double at = 0;
    size_t n = 0;
    int replaced = 0;
    *done_min = 0;
    for (size_t c = 0; c < checkpoints; c++) {
        const int until = share(r->checkpoints > 0 ? r->checkpoint_pct[c] : 100, r->instances);
        if (until <= replaced) /* reached with the one before */
            continue;
        at += replaced > 0 ? r->delay_min : 0;
        while (replaced < until && n < AUTOSCALE_BATCHES) {
            const int left = until - replaced;
            out[n++] = (struct autoscale_batch){ at, left < most ? left : most };
            replaced += left < most ? left : most;
            at += r->warmup_min;
        }
        *done_min = at;
    }
    return n;
}

double autoscale_refresh_checkpoint(const double *pct, size_t n, int instances, int replaced)
{
    double reached = -1;
    for (size_t i = 0; i < n; i++)
        if (replaced * 100.0 >= pct[i] * instances && instances > 0 && pct[i] > reached)
            reached = pct[i];
    return reached;
}
