#include "core/policy/verdict.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Half of what is saved is kept as the margin for what moving risks: slower
 * requests meanwhile, and traffic that no longer looks as it did. */
static const double RISK_MARGIN = 0.5;
static const double GB = 1e9, MONTH_DAYS = 30, DAY_S = 86400;

double rebalance_crossing_bytes(double bytes, double cross_zone_bytes, int copies)
{
    return cross_zone_bytes + bytes * (copies > 1 ? copies - 1 : 0);
}

double rebalance_move_usd(double crossing_bytes, double price_usd_per_gb, int billed_sides)
{
    return crossing_bytes / GB * price_usd_per_gb * billed_sides;
}

double rebalance_traffic_usd(double bytes_per_s, double cross_ratio, double price_usd_per_gb,
                             int billed_sides)
{
    return rebalance_move_usd(bytes_per_s * cross_ratio * MONTH_DAYS * DAY_S, price_usd_per_gb,
                              billed_sides);
}

static bool pays(const struct rebalance_verdict *v)
{
    return v->saved_usd * (1 - RISK_MARGIN) > v->move_usd;
}

/* --- words -------------------------------------------------------------------------- */

/* Cents up to $100, four decimals below a cent. */
static void dollars(char out[24], double usd)
{
    const double v = fabs(usd);
    const int decimals = v >= 100 ? 0 : v >= 0.01 || v <= 0 ? 2 : 4;
    snprintf(out, 24, "%s$%.*f", usd < 0 ? "-" : "", decimals, v > 1e15 ? 1e15 : v);
}

static void size(char out[24], double bytes)
{
    static const char *const unit[] = { "B", "KB", "MB", "GB", "TB", "PB" };
    size_t u = 0;
    for (; bytes >= 1000 && u < 5; u++)
        bytes /= 1000;
    snprintf(out, 24, "%.*f %s", u > 0, bytes > 1e15 ? 1e15 : bytes, unit[u]);
}

__attribute__((format(printf, 2, 3))) static void append(struct rebalance_verdict *v,
                                                         const char *fmt, ...)
{
    const size_t len = strlen(v->why);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(v->why + len, sizeof v->why - len, fmt, ap);
    va_end(ap);
}

static void say_cost(struct rebalance_verdict *v, double crossing_bytes)
{
    char bytes[24], usd[24];
    if (crossing_bytes <= 0) {
        append(v, "moves nothing between zones");
        return;
    }
    size(bytes, crossing_bytes);
    dollars(usd, v->move_usd);
    append(v, "moves %s between zones for %s", bytes, usd);
}

static void say_saving(struct rebalance_verdict *v, double horizon_days)
{
    char usd[24];
    dollars(usd, v->saved_usd);
    append(v, "; saves %s over %.0f days", usd, horizon_days);
}

static const char *by_numbers(const struct rebalance_verdict *v)
{
    if (pays(v))
        return "half of what it saves exceeds its price: ";
    return v->saved_usd <= 0 ? "it saves nothing: " : "its price exceeds half of what it saves: ";
}

/* --- vertices ----------------------------------------------------------------------- */

void rebalance_judge(const struct rebalance_economics *e, struct rebalance_verdict *out)
{
    *out = (struct rebalance_verdict){ .why = "nothing to move", .worth = true };
    if (e->vertices == 0)
        return;

    const double crossing = rebalance_crossing_bytes(e->bytes, e->cross_zone_bytes, e->copies);
    out->why[0] = '\0';
    out->move_usd = rebalance_move_usd(crossing, e->price_usd_per_gb, e->billed_sides);
    out->duration_s = e->vertices_per_s > 0 ? (double)e->vertices / e->vertices_per_s : -1;
    if (e->usd_before_per_month < 0 || e->usd_after_per_month < 0) {
        out->worth = e->cross_after_ratio >= 0 && e->cross_after_ratio < e->cross_before_ratio;
        append(out, "%s",
               out->worth ? "less cross-zone traffic, its price is not known: "
                          : "the run reports no gain: ");
        say_cost(out, crossing);
        return;
    }
    out->saved_usd =
        (e->usd_before_per_month - e->usd_after_per_month) * e->horizon_days / MONTH_DAYS;
    out->worth = pays(out);
    append(out, "%s", by_numbers(out));
    say_cost(out, crossing);
    say_saving(out, e->horizon_days);
}

/* --- the fleet ---------------------------------------------------------------------- */

bool rebalance_goal_is_hard(const char *goal)
{
    static const char *const hard[] = { "drain",  "replace", "failback",
                                        "repair", "join",    "move-replica" };
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++)
        if (strcmp(goal, hard[i]) == 0)
            return true;
    return false;
}

/* A shard above its zone's mean by more than the ratio, and by less afterwards. */
static bool relieves(struct rebalance_verdict *v, const char *off, double before, double after,
                     double enter)
{
    if (!(before > enter && after < before))
        return false;
    append(v, "a shard is %.1f %% %s its zone's mean, over %.4g %%, and %.1f %% afterwards: ",
           before * 100, off, enter * 100, after * 100);
    return true;
}

static bool evens_or_cools(const struct rebalance_fleet_economics *e, struct rebalance_verdict *v)
{
    return relieves(v, "off", e->uneven_before, e->uneven_after, e->enter_ratio) ||
           relieves(v, "hotter than", e->hot_before, e->hot_after, e->hot_enter_ratio);
}

static bool judge_balance(const struct rebalance_fleet_economics *e, struct rebalance_verdict *v)
{
    if (pays(v)) {
        append(v, "%s", by_numbers(v));
        return true;
    }
    if (evens_or_cools(e, v))
        return true;
    const double before = e->uneven_before * 100, after = e->uneven_after * 100;
    if (e->uneven_after >= e->uneven_before)
        append(v, "it evens out nothing, a shard is %.1f %% off its zone's mean: ", before);
    else
        append(v,
               "a shard is %.1f %% off its zone's mean, not over %.4g %%, and %.1f %% "
               "afterwards: ",
               before, e->enter_ratio * 100, after);
    return false;
}

static bool judge_assign(const struct rebalance_fleet_economics *e, struct rebalance_verdict *v)
{
    if (e->saved_unknown != NULL) {
        append(v, "asked for: ");
        return true;
    }
    if (!pays(v) && v->saved_usd >= 0 && evens_or_cools(e, v))
        return true;
    append(v, "%s", by_numbers(v));
    return pays(v);
}

static bool judge_goal(const struct rebalance_fleet_economics *e, struct rebalance_verdict *v)
{
    if (rebalance_goal_is_hard(e->goal)) {
        append(v, "%s is needed whatever it costs: ", e->goal);
        return true;
    }
    return strcmp(e->goal, "balance") == 0 ? judge_balance(e, v) : judge_assign(e, v);
}

static void say_effect(const struct rebalance_fleet_economics *e, struct rebalance_verdict *v,
                       double days)
{
    char usd[24];
    dollars(usd, fabs(v->saved_usd));
    if (e->saved_unknown != NULL)
        append(v, "; what it does to cross-zone traffic is not known: %s", e->saved_unknown);
    else if (!e->rezones)
        append(v, "; no slot changes its zone, cross-zone traffic stays");
    else if (v->saved_usd < 0)
        append(v, "; adds cross-zone traffic of %s over %.0f days", usd, days);
    else
        say_saving(v, days);
}

void rebalance_judge_fleet(const struct rebalance_fleet_economics *e, struct rebalance_verdict *out)
{
    const double days = e->horizon_days > 0 ? e->horizon_days : MONTH_DAYS;
    *out = (struct rebalance_verdict){ .worth = true, .why = "nothing to do" };
    if (e->steps == 0)
        return;

    out->why[0] = '\0';
    out->move_usd = rebalance_move_usd(e->cross_zone_bytes, e->price_usd_per_gb, e->billed_sides);
    out->saved_usd = e->saved_usd_per_month * days / MONTH_DAYS;
    out->duration_s = e->bytes_per_s > 0 ? e->bytes / e->bytes_per_s : -1;
    out->worth = judge_goal(e, out);
    say_cost(out, e->cross_zone_bytes);
    say_effect(e, out, days);
}
