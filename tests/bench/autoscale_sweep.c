/* autoscale-sweep <settings.txt: what settings of adaptive make of many loads, a line each.
 *
 * A line of input is a JSON object of what differs from the defaults, {} for none:
 *     {"peak_pct": 68, "hold_ms": 900000}
 * A line of output: short minutes, minutes over 100 % (a day), times the oracle's hours, actions
 * and flaps (a day), for the mean of the three headline traces and for the mean of the made
 * loads; and where it has most short minutes more than rules.
 *
 * Settings that fit three traces best fit the next one badly: so there are parts of them, traces
 * run backwards, fewer visits of the same kind, and made loads. Choose where a neighbourhood is
 * flat. Made loads look like what is on record of counts and CPU in public traces; they are not
 * recorded, and no figure of theirs belongs into documentation. */
#include "cli/backtest.h"
#include "prism/rng.h"
#include "json/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOADS = 40, DAY = 24 * 60, STEP = 5 };

struct load {
    char name[24];
    double *minute;
    size_t minutes;
    bool headline, made;
    double rules_short;
};
static struct load load[LOADS];
static size_t loads;

static void stop(const char *what)
{
    (void)fprintf(stderr, "autoscale-sweep: %s\n", what);
    exit(EXIT_FAILURE);
}

static void *room(size_t n)
{
    void *p = calloc(n, sizeof(double));
    if (p == NULL)
        stop("out of memory");
    return p;
}

static struct load *add(const char *name, const double *from, size_t minutes, int smooth)
{
    struct backtest_trace t = { .load = room(minutes), .minutes = minutes };
    struct pr_err err;
    memcpy(t.load, from, minutes * sizeof *from);
    if (backtest_smooth(&t, smooth, &err) != PR_OK || loads == LOADS)
        stop("out of memory");
    autoscale_trace_scale(t.load, minutes, 420);
    struct load *l = &load[loads++];
    *l = (struct load){ .minute = t.load, .minutes = minutes };
    (void)snprintf(l->name, sizeof l->name, "%s", name);
    return l;
}

/* --- recorded ---------------------------------------------------------------------------- */

static void parts(const char *name, const struct backtest_trace *t, int smooth)
{
    char text[24];
    double *back = room(t->minutes);
    for (size_t i = 0; i < t->minutes; i++)
        back[i] = t->load[t->minutes - 1 - i];
    for (size_t half = 0; half < 2; half++) {
        (void)snprintf(text, sizeof text, "%s/%zu", name, half + 1);
        add(text, t->load + half * (t->minutes / 2), t->minutes / 2, smooth);
    }
    (void)snprintf(text, sizeof text, "%s backwards", name);
    add(text, back, t->minutes, smooth);
    free(back);
}

static void fewer(const struct backtest_trace *t, struct pr_rng *g)
{
    double *some = room(t->minutes);
    for (size_t i = 0; i < t->minutes; i++)
        for (int n = (int)t->load[i]; n > 0; n--)
            some[i] += pr_rng_unit(g) < 0.7;
    add("nasa fewer", some, t->minutes, 15);
    free(some);
}

static void recorded(struct pr_rng *g)
{
    static const struct {
        const char *name, *file;
        int smooth;
        bool headline, parts;
    } row[] = {
        { "wc98", "wc98_0608_0628", 1, true, true },
        { "nasa", "nasa_jul95", 15, true, true },
        { "taxi", "nab_nyc_taxi", 1, true, false },
        { "ec2", "nab_ec2_cpu_utilization_5f5533", 1, false, false },
        { "rds", "nab_rds_cpu_utilization_e47b3b", 1, false, false },
        { "elb", "nab_elb_request_count_8c0756", 1, false, false },
        { "elb 15", "nab_elb_request_count_8c0756", 15, false, false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char path[512];
        struct backtest_trace t;
        struct pr_err err;
        (void)snprintf(path, sizeof path, PRISM_SOURCE_DIR "/tests/data/traces/%s.csv.xz",
                       row[i].file);
        if (backtest_read(path, NULL, &t, &err) != PR_OK)
            stop(err.text);
        add(row[i].name, t.load, t.minutes, row[i].smooth)->headline = row[i].headline;
        if (row[i].parts)
            parts(row[i].name, &t, row[i].smooth);
        if (strcmp(row[i].name, "nasa") == 0)
            fewer(&t, g);
        backtest_trace_done(&t);
    }
}

/* --- made -------------------------------------------------------------------------------- */

static double normal(struct pr_rng *g)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += pr_rng_unit(g);
    return sum;
}

static void made(const char *name, const double *point, size_t points, int smooth)
{
    double *minute = room((points - 1) * STEP + 1);
    for (size_t i = 0; i <= (points - 1) * STEP; i++) {
        const double part = (double)(i % STEP) / STEP;
        minute[i] = point[i / STEP];
        if (part > 0)
            minute[i] += (point[i / STEP + 1] - minute[i]) * part;
    }
    add(name, minute, (points - 1) * STEP + 1, smooth)->made = true;
    free(minute);
}

/* Counts of something that people do: a day, noise, bursts that come at once and fade. */
static void counts(const char *name, struct pr_rng *g, double day, double noise, double bursts,
                   double tail, int smooth)
{
    const size_t points = 40 * DAY / STEP;
    double *point = room(points), burst = 0, fade = 0.8, drift = 0;
    for (size_t i = 0; i < points; i++) {
        const double at = (double)(i % (DAY / STEP)) / (DAY / STEP);
        drift = 0.998 * drift + 0.01 * normal(g);
        const double base = 55 * exp(day * sin(6.2832 * (at - 0.35)) + drift);
        burst *= fade;
        if (pr_rng_unit(g) < bursts / (DAY / STEP)) {
            burst += base * fmin(12, pow(pr_rng_unit(g) + 1e-9, -1 / tail) - 0.3);
            fade = 0.6 + 0.35 * pr_rng_unit(g);
        }
        const double n = (base + burst) * exp(noise * normal(g) - noise * noise / 2);
        point[i] = floor(fmax(0, n + sqrt(n) * normal(g)));
    }
    made(name, point, points, smooth);
    free(point);
}

/* CPU of a group: a level that shifts now and then, slow noise, spikes. */
static void group_cpu(const char *name, struct pr_rng *g, double noise, double shifts)
{
    const size_t points = 18 * DAY / STEP;
    double *point = room(points), level = 0, slow = 0, spike = 0;
    for (size_t i = 0; i < points; i++) {
        const double at = (double)(i % (DAY / STEP)) / (DAY / STEP);
        if (pr_rng_unit(g) < shifts / (DAY / STEP))
            level = 0.35 * normal(g);
        slow = 0.9 * slow + 0.44 * noise * normal(g);
        spike *= 0.5;
        if (pr_rng_unit(g) < 4.0 / (DAY / STEP))
            spike = 0.4 * pr_rng_unit(g);
        point[i] = fmin(100, 35 * exp(level + slow + 0.1 * sin(6.2832 * at)) * (1 + spike));
    }
    made(name, point, points, 1);
    free(point);
}

static void make(struct pr_rng *g)
{
    counts("counts calm", g, 0.35, 0.22, 1.5, 1.2, 15);
    counts("counts", g, 0.5, 0.3, 3, 1.5, 15);
    counts("counts noisy", g, 0.35, 0.32, 1, 1.6, 15);
    counts("counts noisier", g, 0.45, 0.38, 0.7, 1.3, 15);
    counts("counts raw", g, 0.35, 0.22, 1.5, 1.2, 1);
    counts("bursts", g, 0.5, 0.35, 10, 1.0, 1);
    counts("bursts wild", g, 0.2, 0.5, 5, 0.8, 1);
    group_cpu("group calm", g, 0.05, 0.2);
    group_cpu("group", g, 0.15, 0.5);
    group_cpu("group shifting", g, 0.08, 1.5);
}

/* --- settings ---------------------------------------------------------------------------- */

static struct autoscale_result run(const struct autoscale_settings *s, const struct load *l)
{
    struct autoscale_backtest how;
    struct autoscale_result r;
    struct pr_err err;
    const struct autoscale_trace t = { l->minute, l->minutes, 0 };
    autoscale_backtest_default(&how);
    if (autoscale_backtest_run(&how, s, &t, &r, NULL, &err) != PR_OK)
        stop(err.text);
    return r;
}

static void read_settings(const char *line, struct autoscale_settings *s)
{
    struct pr_err err;
    json_t *p = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    json_t *o = p == NULL ? NULL : json_pack("{s:[o]}", "policies", p);
    if (o == NULL || json_object_set_new(p, "policy", json_string("adaptive")) != 0)
        stop("want a JSON object on every line");
    if (autoscale_json_settings_read(o, NULL, s, &err) != PR_OK)
        stop(err.text);
    json_decref(o);
    s->budget = (struct autoscale_budget){ 0 }; /* adaptive's own are enough */
}

static void print_mean(const struct autoscale_result *r, bool made_ones)
{
    struct autoscale_result m = { .days = 0 };
    double n = 0;
    for (size_t i = 0; i < loads; i++) {
        if (made_ones ? !load[i].made : !load[i].headline)
            continue;
        m.short_minutes_per_day += r[i].short_minutes_per_day;
        m.over_minutes_per_day += r[i].over_minutes_per_day;
        m.hours_ratio += r[i].hours_ratio;
        m.actions_per_day += r[i].actions_per_day;
        m.flaps_per_day += r[i].flaps_per_day;
        n++;
    }
    printf(" | %5.1f %5.1f %6.3f %5.1f %4.1f", m.short_minutes_per_day / n,
           m.over_minutes_per_day / n, m.hours_ratio / n, m.actions_per_day / n,
           m.flaps_per_day / n);
}

static void sweep(const char *line, bool all)
{
    struct autoscale_settings *s = room(sizeof *s / sizeof(double) + 1);
    struct autoscale_result r[LOADS];
    size_t worst = 0;
    read_settings(line, s);
    for (size_t i = 0; i < loads; i++) {
        r[i] = run(s, &load[i]);
        if (r[i].short_minutes_per_day - load[i].rules_short >
            r[worst].short_minutes_per_day - load[worst].rules_short)
            worst = i;
    }
    printf("%-44s", line);
    print_mean(r, false);
    print_mean(r, true);
    printf(" | %+.1f %s\n", r[worst].short_minutes_per_day - load[worst].rules_short,
           load[worst].name);
    for (size_t i = 0; all && i < loads; i++)
        printf("    %-16s %6.1f (rules %5.1f) %5.1f %6.3f %5.1f %4.1f\n", load[i].name,
               r[i].short_minutes_per_day, load[i].rules_short, r[i].over_minutes_per_day,
               r[i].hours_ratio, r[i].actions_per_day, r[i].flaps_per_day);
    (void)fflush(stdout);
    free(s);
}

int main(int argc, char **argv)
{
    struct pr_rng g;
    char line[512];
    struct autoscale_settings *rules = room(sizeof *rules / sizeof(double) + 1);
    pr_rng_init(&g, 20261121);
    recorded(&g);
    make(&g);
    rules->policies = 1;
    autoscale_policy_default(AUTOSCALE_RULES, &rules->policy[0]);
    for (size_t i = 0; i < loads; i++)
        load[i].rules_short = run(rules, &load[i]).short_minutes_per_day;
    free(rules);

    const bool all = argc > 1 && strcmp(argv[1], "--all") == 0;
    printf("%-44s | headline: short, over, hours, actions, flaps | made loads: the same | worst "
           "against rules\n",
           "settings");
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '\0')
            sweep(line, all);
    }
    for (size_t i = 0; i < loads; i++)
        free(load[i].minute);
    return 0;
}
