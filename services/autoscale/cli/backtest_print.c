/* Figures of policies, side by side. */
#include "cli/backtest.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static json_t *policy_json(const char *name, const struct autoscale_result *r)
{
    return json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "policy", name,
                     "short_minutes_per_day", r->short_minutes_per_day, "over_minutes_per_day",
                     r->over_minutes_per_day, "lost_load_ratio", r->lost_load_ratio,
                     "instance_hours", r->instance_hours, "hours_ratio", r->hours_ratio,
                     "actions_per_day", r->actions_per_day, "flaps_per_day", r->flaps_per_day,
                     "cost", r->cost);
}

static enum pr_code print_json(const struct backtest_run *r, struct pr_err *err)
{
    const struct backtest_args *a = r->args;
    json_t *policies = json_object();
    for (size_t i = 0; i < a->policies; i++) {
        const char *name = autoscale_kind_name(a->policy[i]);
        if (json_object_set_new(policies, name, policy_json(name, &r->result[i])) != 0) {
            json_decref(policies);
            return pr_fail(err, PR_ENOMEM, "the report");
        }
    }
    json_t *o = json_pack(
        "{s:{s:s, s:s, s:I, s:I, s:i, s:f, s:f, s:i}, s:{s:i, s:i, s:i, s:f, s:f, s:i, s:f}, "
        "s:{s:f, s:f}, s:o}",
        "trace", "file", a->trace, "column", r->trace.column, "minutes",
        (json_int_t)r->trace.minutes, "missing_minutes", (json_int_t)r->trace.missing,
        "interval_minutes", r->trace.interval, "days", (double)r->trace.minutes / (24 * 60),
        "scale", a->scale, "smooth_minutes", a->smooth, "model", "boot_minutes",
        a->how.boot_minutes, "min", a->how.min, "max", a->how.max, "short_pct", a->how.short_pct,
        "oracle_pct", a->how.oracle_pct, "flap_minutes", a->how.flap_minutes, "price_hour",
        a->how.price_hour, "oracle", "instance_hours", r->oracle_hours, "cost",
        r->oracle_hours * a->how.price_hour, "policies", policies);
    if (o == NULL)
        return pr_fail(err, PR_ENOMEM, "the report (or a name that is not UTF-8)");
    const bool ok = json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(10)) == 0 &&
                    putchar('\n') != EOF;
    json_decref(o);
    return ok ? PR_OK : pr_fail(err, PR_EUNAVAIL, "standard output: %s", strerror(errno));
}

static void print_table(const struct backtest_run *r)
{
    const struct backtest_args *a = r->args;
    printf("%s, column %s: %.1f days", a->trace, r->trace.column,
           (double)r->trace.minutes / (24 * 60));
    if (r->trace.missing > 0)
        printf(", %zu minutes missing", r->trace.missing);
    if (a->smooth > 1)
        printf(", smoothed over %d min", a->smooth);
    if (a->scale > 0)
        printf(", peak %g", a->scale);
    printf("; boot %d min, %d to %d members, %g USD an hour\n\n", a->how.boot_minutes, a->how.min,
           a->how.max, a->how.price_hour);
    printf("%-9s %10s %10s %8s %12s %9s %9s %8s %13s\n", "policy", "short", "over 100 %", "lost",
           "instance", "times", "actions", "flaps", "cost");
    printf("%-9s %10s %10s %8s %12s %9s %9s %8s %13s\n", "", "min/day", "min/day", "load %",
           "hours", "oracle", "/day", "/day", "USD");
    for (size_t i = 0; i < a->policies; i++) {
        const struct autoscale_result *p = &r->result[i];
        printf("%-9s %10.1f %10.1f %8.2f %12.0f %9.3f %9.1f %8.1f %13.0f\n",
               autoscale_kind_name(a->policy[i]), p->short_minutes_per_day, p->over_minutes_per_day,
               p->lost_load_ratio * 100, p->instance_hours, p->hours_ratio, p->actions_per_day,
               p->flaps_per_day, p->cost);
    }
    printf("%-9s %10s %10s %8s %12.0f %9.3f %9s %8s %13.0f\n", "(oracle)", "", "", "",
           r->oracle_hours, 1.0, "", "", r->oracle_hours * a->how.price_hour);
}

enum pr_code backtest_print(const struct backtest_run *r, struct pr_err *err)
{
    if (r->args->json)
        return print_json(r, err);
    print_table(r);
    return fflush(stdout) == 0 ? PR_OK
                               : pr_fail(err, PR_EUNAVAIL, "standard output: %s", strerror(errno));
}
