#include "core/fleet.h"

#include <math.h>
#include <string.h>

enum { MOST_MEMBERS = 100000, MOST_MS = 24 * 3600 * 1000 };

static bool is_name(const char *s)
{
    return s[0] != '\0' && memchr(s, '\0', AUTOSCALE_NAME) != NULL;
}

static enum pr_code check_zones(const struct autoscale_fleet *f, struct pr_err *err)
{
    if (f->zones < 1 || f->zones > AUTOSCALE_ZONES)
        return pr_fail(err, PR_EINVAL, "fleet %s: %d zones, want 1 to %d", f->name, f->zones,
                       AUTOSCALE_ZONES);
    if (f->unit > f->zones)
        return pr_fail(err, PR_EINVAL,
                       "fleet %s: a unit has %d members, one in each zone, but there are %d zones",
                       f->name, f->unit, f->zones);
    for (int z = 0; z < f->zones; z++) {
        if (!is_name(f->zone[z]))
            return pr_fail(err, PR_EINVAL, "fleet %s: zone %d has no name", f->name, z);
        for (int o = 0; o < z; o++)
            if (strcmp(f->zone[o], f->zone[z]) == 0)
                return pr_fail(err, PR_EINVAL, "fleet %s: two zones are named %s", f->name,
                               f->zone[z]);
    }
    return PR_OK;
}

static enum pr_code check_groups(const struct autoscale_fleet *f, struct pr_err *err)
{
    if (f->groups < 0 || f->groups > AUTOSCALE_GROUPS)
        return pr_fail(err, PR_EINVAL, "fleet %s: %d placement groups, want 0 to %d", f->name,
                       f->groups, AUTOSCALE_GROUPS);
    for (int g = 0; g < f->groups; g++) {
        const struct autoscale_group *p = &f->group[g];
        if (!is_name(p->name))
            return pr_fail(err, PR_EINVAL, "fleet %s: placement group %d has no name", f->name, g);
        if (p->zone < 0 || p->zone >= f->zones)
            return pr_fail(err, PR_EINVAL, "fleet %s: placement group %s is in no zone", f->name,
                           p->name);
        if (p->max < 1)
            return pr_fail(err, PR_EINVAL, "fleet %s: placement group %s holds %d members at most",
                           f->name, p->name, p->max);
        for (int o = 0; o < g; o++)
            if (strcmp(f->group[o].name, p->name) == 0)
                return pr_fail(err, PR_EINVAL, "fleet %s: two placement groups are named %s",
                               f->name, p->name);
    }
    return PR_OK;
}

static bool positive(double v)
{
    return isfinite(v) && v > 0;
}

static enum pr_code check_ladder(const struct autoscale_fleet *f, struct pr_err *err)
{
    if (f->types < 0 || f->types > AUTOSCALE_LADDER)
        return pr_fail(err, PR_EINVAL, "fleet %s: %d instance types, want 0 to %d", f->name,
                       f->types, AUTOSCALE_LADDER);
    if (f->types > 0 && (f->type < 0 || f->type >= f->types))
        return pr_fail(err, PR_EINVAL, "fleet %s: runs on type %d of %d", f->name, f->type,
                       f->types);
    for (int t = 0; t < f->types; t++) {
        const struct autoscale_instance_type *p = &f->ladder[t];
        if (!is_name(p->name))
            return pr_fail(err, PR_EINVAL, "fleet %s: instance type %d has no name", f->name, t);
        if (!positive(p->vcpus) || !positive(p->memory_gb) || !positive(p->network_gbps))
            return pr_fail(err, PR_EINVAL,
                           "fleet %s: type %s: vCPUs, memory and network must be over 0", f->name,
                           p->name);
        if (!isfinite(p->price_hour) || p->price_hour < 0)
            return pr_fail(err, PR_EINVAL, "fleet %s: type %s: its price is not a number >= 0",
                           f->name, p->name);
    }
    return PR_OK;
}

enum pr_code autoscale_fleet_check(const struct autoscale_fleet *f, struct pr_err *err)
{
    if (!is_name(f->name))
        return pr_fail(err, PR_EINVAL, "the fleet has no name");
    if (f->unit < 1)
        return pr_fail(err, PR_EINVAL, "fleet %s: unit is %d, want 1 or more", f->name, f->unit);
    if (f->min < 0 || f->max < 1 || f->max > MOST_MEMBERS || f->min > f->max)
        return pr_fail(err, PR_EINVAL, "fleet %s: min %d and max %d: want 0 <= min <= max <= %d",
                       f->name, f->min, f->max, MOST_MEMBERS);
    enum pr_code rc = check_zones(f, err);
    if (rc == PR_OK)
        rc = check_groups(f, err);
    if (rc == PR_OK)
        rc = check_ladder(f, err);
    if (rc != PR_OK)
        return rc;
    if (autoscale_fleet_whole(f, f->min, true) > autoscale_fleet_whole(f, f->max, false))
        return pr_fail(err, PR_EINVAL, "fleet %s: no whole number of units of %d in %d..%d",
                       f->name, f->unit, f->min, f->max);
    if (!(f->zone_loss_pct >= 0 && f->zone_loss_pct <= 100))
        return pr_fail(err, PR_EINVAL, "fleet %s: zone_loss_pct is %g, want 0 to 100", f->name,
                       f->zone_loss_pct);
    if (f->boot_ms < 0 || f->boot_ms > MOST_MS || f->move_ms < 0 || f->move_ms > MOST_MS)
        return pr_fail(err, PR_EINVAL, "fleet %s: boot and move take from 0 to 24 hours", f->name);
    return PR_OK;
}

int autoscale_fleet_whole(const struct autoscale_fleet *f, int n, bool up)
{
    return (up ? n + f->unit - 1 : n) / f->unit * f->unit;
}

int autoscale_fleet_round(const struct autoscale_fleet *f, int from, int to, int floor)
{
    if (to > from)
        return autoscale_fleet_whole(f, to, true);
    if (to == from)
        return to;
    const int down = autoscale_fleet_whole(f, to, false),
              least = autoscale_fleet_whole(f, floor, true);
    const int whole = down > least ? down : least;
    return whole < from ? whole : from; /* rounding makes no step in the other direction */
}

int autoscale_fleet_zone_floor(const struct autoscale_fleet *f, double load)
{
    if (f->zone_loss_pct <= 0 || f->zones < 2 || !isfinite(load) || load <= 0)
        return 0;
    const double need = load * 100 / f->zone_loss_pct;
    if (need >= MOST_MEMBERS)
        return 2 * MOST_MEMBERS;
    /* A mean of equal numbers may be off in its last bit: no member for that. */
    const int rest = (int)ceil(need - need * 1e-9);
    int n = (int)(((long long)rest * f->zones + f->zones - 2) / (f->zones - 1));
    while (n - (n + f->zones - 1) / f->zones < rest)
        n++;
    return n;
}

void autoscale_fleet_default(struct autoscale_fleet *out)
{
    static const char *const zone[] = { "us-west-2a", "us-west-2b", "us-west-2c" };
    *out = (struct autoscale_fleet){
        .name = "fleet",
        .unit = 1,
        .min = 48,
        .max = 1000,
        .zones = PR_COUNT(zone),
        .zone_loss_pct = 100,
        .boot_ms = 5 * 60 * 1000,
        .move_ms = 5 * 60 * 1000,
    };
    for (size_t z = 0; z < PR_COUNT(zone); z++)
        memcpy(out->zone[z], zone[z], strlen(zone[z]) + 1);
}

void autoscale_fleet_redis(struct autoscale_fleet *out)
{
    autoscale_fleet_default(out);
    memcpy(out->name, "redis", sizeof "redis");
    out->unit = 3;
    out->types = 3;
    out->ladder[0] = (struct autoscale_instance_type){ "r6i.4xlarge", 16, 128, 10, 1.008 };
    out->ladder[1] = (struct autoscale_instance_type){ "r6i.8xlarge", 32, 256, 12.5, 2.016 };
    out->ladder[2] = (struct autoscale_instance_type){ "r6i.16xlarge", 64, 512, 25, 4.032 };
    static const struct autoscale_group group[] = {
        { "redis-a-1", 0, 500 }, { "redis-a-2", 0, 500 }, { "redis-b-1", 1, 500 },
        { "redis-b-2", 1, 500 }, { "redis-c-1", 2, 500 }, { "redis-c-2", 2, 500 },
    };
    out->groups = PR_COUNT(group);
    memcpy(out->group, group, sizeof group);
}

void autoscale_fleet_proxies(struct autoscale_fleet *out)
{
    autoscale_fleet_default(out);
    memcpy(out->name, "proxies", sizeof "proxies");
    out->move_ms = 0; /* they hold no data */
    out->types = 2;
    out->ladder[0] = (struct autoscale_instance_type){ "c6i.2xlarge", 8, 16, 10, 0.34 };
    out->ladder[1] = (struct autoscale_instance_type){ "c6i.4xlarge", 16, 32, 12.5, 0.68 };
}
