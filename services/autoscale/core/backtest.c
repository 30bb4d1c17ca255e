#include "core/backtest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTE = AUTOSCALE_MINUTE_MS, BOOT_MOST = 24 * 60 };
enum {
    SEEN = 90,           /* minutes of samples that a policy sees; adaptive remembers more */
    ACTED = 24 * 60 + 1, /* minutes of changes */
    START_PCT = 70,      /* what runs when the trace begins: the load of its first minute at it */
};
#define LOAD_LARGEST 1e9

static const double slack = 1e-9; /* of rounding up what was computed */

void autoscale_backtest_default(struct autoscale_backtest *out)
{
    *out = (struct autoscale_backtest){ .boot_minutes = 10,
                                        .min = 48,
                                        .max = 1000,
                                        .price_hour = 1.008,
                                        .short_pct = 85,
                                        .oracle_pct = 70,
                                        .flap_minutes = 30 };
}

static int within(const struct autoscale_backtest *how, double n)
{
    return n < how->min ? how->min : n > how->max ? how->max : (int)n;
}

static double known_load(const struct autoscale_trace *t, size_t minute)
{
    return isnan(t->load[minute]) ? -1 : t->load[minute];
}

static enum pr_code check(const struct autoscale_backtest *how, const struct autoscale_trace *t,
                          struct pr_err *err)
{
    if (how->boot_minutes < 0 || how->boot_minutes > BOOT_MOST)
        return pr_fail(err, PR_EINVAL, "a boot takes %d minutes, want 0 to %d", how->boot_minutes,
                       BOOT_MOST);
    if (how->min < 0 || how->max < 1 || how->max < how->min)
        return pr_fail(err, PR_EINVAL, "limits %d to %d make no sense", how->min, how->max);
    if (!(how->short_pct > 0 && how->short_pct <= 100 && how->oracle_pct > 0 &&
          how->oracle_pct <= 100))
        return pr_fail(err, PR_EINVAL, "short at %g %% and an oracle at %g %%, want 0 to 100",
                       how->short_pct, how->oracle_pct);
    if (!(how->price_hour >= 0 && isfinite(how->price_hour)))
        return pr_fail(err, PR_EINVAL, "a price of %g an hour", how->price_hour);
    if (how->flap_minutes < 0)
        return pr_fail(err, PR_EINVAL, "a flap within %d minutes", how->flap_minutes);
    size_t known = 0;
    for (size_t i = 0; i < t->minutes; i++) {
        if (isnan(t->load[i]))
            continue;
        if (!(t->load[i] >= 0 && t->load[i] <= LOAD_LARGEST))
            return pr_fail(err, PR_EINVAL, "minute %zu: a load of %g", i, t->load[i]);
        known++;
    }
    return known > 0 ? PR_OK : pr_fail(err, PR_EINVAL, "no minute of the trace has a load");
}

/* The load went on where nobody measured it: as a straight line from what is known before to
 * what is known behind. */
static double *whole_load(const struct autoscale_trace *t)
{
    double *load = calloc(t->minutes, sizeof *load);
    if (load == NULL)
        return NULL;
    size_t last = t->minutes; /* none */
    for (size_t i = 0; i < t->minutes; i++) {
        const double now = known_load(t, i);
        if (now < 0)
            continue;
        load[i] = now;
        for (size_t j = last == t->minutes ? 0 : last + 1; j < i; j++)
            load[j] = last == t->minutes ? now
                                         : load[last] + (now - load[last]) * (double)(j - last) /
                                                            (double)(i - last);
        last = i;
    }
    for (size_t j = last + 1; j < t->minutes; j++)
        load[j] = load[last];
    return load;
}

/* --- the fleet that is imagined -------------------------------------------------------- */

struct fleet {
    const struct autoscale_backtest *how;
    int *due; /* [boot_minutes + 1] that begin to serve in a minute, by its remainder */
    int desired, serving;
};

static int *due_in(const struct fleet *f, size_t minute)
{
    return &f->due[minute % ((size_t)f->how->boot_minutes + 1)];
}

/* What is ordered when `minute` has ended boots for boot_minutes and serves in the next one. */
static void change(struct fleet *f, size_t minute, int to)
{
    const size_t boot = (size_t)f->how->boot_minutes;
    if (to > f->desired) {
        if (boot == 0)
            f->serving += to - f->desired;
        else
            *due_in(f, minute + 1 + boot) += to - f->desired;
    }
    int less = f->desired - to;
    for (size_t ahead = boot + 1; less > 0 && ahead > 1; ahead--) { /* the newest go first */
        int *due = due_in(f, minute + ahead);
        const int n = *due < less ? *due : less;
        *due -= n;
        less -= n;
    }
    if (less > 0)
        f->serving -= less;
    f->desired = to;
}

/* --- the run --------------------------------------------------------------------------- */

struct run {
    struct autoscale_input *in;     /* everything but the view stays as it is */
    struct autoscale_decision *now; /* large, both */
    struct autoscale_sample *sample;
    struct autoscale_action *action;
    size_t samples, actions, first_action;
};

/* A fleet of single nodes that nothing but its limits keeps from what policies want. */
static void plain_fleet(const struct autoscale_backtest *how, struct autoscale_fleet *f)
{
    if (how->fleet != NULL) {
        *f = *how->fleet;
    } else {
        autoscale_fleet_default(f);
        f->zones = 1;
        f->zone_loss_pct = 0;
    }
    f->min = how->min;
    f->max = how->max;
    f->boot_ms = (int64_t)how->boot_minutes * MINUTE;
    f->move_ms = 0;
}

static void observe(struct run *r, const struct fleet *f, int64_t at_ms, double load)
{
    const double cpu = f->serving > 0 ? load / f->serving * 100 : 100;
    r->sample[r->samples++] = (struct autoscale_sample){ .at_ms = at_ms,
                                                         .cpu_pct = cpu < 100 ? cpu : 100,
                                                         .memory_pct = NAN,
                                                         .network_bps = NAN,
                                                         .backlog = NAN,
                                                         .load = NAN,
                                                         .serving = f->serving };
}

static void look(struct run *r, const struct fleet *f, int64_t now_ms)
{
    while (r->first_action < r->actions &&
           r->action[r->first_action].at_ms <= now_ms - (int64_t)ACTED * MINUTE)
        r->first_action++;
    const size_t seen = r->samples < SEEN ? r->samples : SEEN;
    r->in->view = (struct autoscale_view){
        .now_ms = now_ms,
        .desired = f->desired,
        .serving = f->serving,
        .min = f->how->min,
        .max = f->how->max,
        .useful_after_ms = (int64_t)f->how->boot_minutes * MINUTE,
        .sample = r->sample + (r->samples - seen),
        .samples = seen,
        .action = r->action + r->first_action,
        .actions = r->actions - r->first_action,
    };
    r->in->decided_ms = now_ms - MINUTE;
}

struct judge {
    double load, lost;
    size_t short_minutes, over_minutes, paid, actions, flaps;
    size_t last_minute; /* of a change */
    int last_way;       /* 1 out, -1 in, 0 none yet */
};

static void judge_minute(struct judge *j, const struct fleet *f, double load)
{
    j->load += load;
    j->paid += (size_t)f->desired;
    if (load > f->serving) {
        j->over_minutes++;
        j->lost += load - f->serving;
    }
    if (load > f->how->short_pct / 100 * f->serving)
        j->short_minutes++;
}

static void judge_change(struct judge *j, const struct fleet *f, size_t minute, int to)
{
    const int way = to > f->desired ? 1 : -1;
    j->actions++;
    if (j->last_way == -way && minute - j->last_minute <= (size_t)f->how->flap_minutes)
        j->flaps++;
    j->last_way = way;
    j->last_minute = minute;
}

static enum pr_code minute_of(struct run *r, struct fleet *f, const struct autoscale_trace *t,
                              size_t minute, double load, struct judge *j, struct pr_err *err)
{
    const int64_t now_ms = t->begin_ms + (int64_t)(minute + 1) * MINUTE;
    judge_minute(j, f, load);
    if (!isnan(t->load[minute]))
        observe(r, f, now_ms, load);
    look(r, f, now_ms);
    const enum pr_code rc = autoscale_decide(r->in, r->in->memory, r->now, err);
    const int to = r->now->to;
    if (rc != PR_OK || to == f->desired)
        return rc;
    judge_change(j, f, minute, to);
    r->action[r->actions++] = (struct autoscale_action){ now_ms, f->desired, to };
    change(f, minute, to);
    return PR_OK;
}

static enum pr_code go(struct run *r, struct fleet *f, const struct autoscale_trace *t,
                       const double *load, struct judge *j, struct autoscale_series *series,
                       struct pr_err *err)
{
    f->desired = f->serving = within(f->how, ceil(load[0] * 100 / START_PCT - slack));
    for (size_t minute = 0; minute < t->minutes; minute++) {
        if (minute % (24 * 60) == 0 && f->how->stop != NULL && f->how->stop(f->how->stop_ctx))
            return pr_fail(err, PR_ECANCELED, "stopped after %zu of %zu days", minute / (24 * 60),
                           t->minutes / (24 * 60));
        int *due = due_in(f, minute);
        f->serving += *due;
        *due = 0;
        if (series != NULL && series->desired != NULL)
            series->desired[minute] = f->desired;
        if (series != NULL && series->serving != NULL)
            series->serving[minute] = f->serving;
        const enum pr_code rc = minute_of(r, f, t, minute, load[minute], j, err);
        if (rc != PR_OK)
            return pr_wrap(err, rc, "minute %zu", minute);
    }
    return PR_OK;
}

static void results(const struct judge *j, const struct autoscale_backtest *how, size_t minutes,
                    double oracle_hours, struct autoscale_result *out)
{
    const double days = (double)minutes / (24 * 60), hours = (double)j->paid / 60;
    *out = (struct autoscale_result){
        .days = days,
        .short_minutes_per_day = (double)j->short_minutes / days,
        .over_minutes_per_day = (double)j->over_minutes / days,
        .lost_load_ratio = j->load > 0 ? j->lost / j->load : 0,
        .instance_hours = hours,
        .oracle_hours = oracle_hours,
        .hours_ratio = oracle_hours > 0 ? hours / oracle_hours : 0,
        .actions_per_day = (double)j->actions / days,
        .flaps_per_day = (double)j->flaps / days,
        .cost = hours * how->price_hour,
    };
}

enum pr_code autoscale_backtest_run(const struct autoscale_backtest *how,
                                    const struct autoscale_settings *settings,
                                    const struct autoscale_trace *trace,
                                    struct autoscale_result *out, struct autoscale_series *series,
                                    struct pr_err *err)
{
    double oracle_hours = 0;
    enum pr_code rc = autoscale_backtest_oracle(how, trace, &oracle_hours, err);
    if (rc != PR_OK)
        return rc;

    struct run r = { .in = calloc(1, sizeof *r.in),
                     .now = calloc(1, sizeof *r.now),
                     .sample = calloc(trace->minutes, sizeof *r.sample),
                     .action = calloc(trace->minutes, sizeof *r.action) };
    struct fleet f = { .how = how, .due = calloc((size_t)how->boot_minutes + 1, sizeof *f.due) };
    double *load = whole_load(trace);
    if (load == NULL || r.in == NULL || r.now == NULL || r.sample == NULL || r.action == NULL ||
        f.due == NULL) {
        rc = pr_fail(err, PR_ENOMEM, "a backtest of %zu minutes", trace->minutes);
    } else {
        struct judge j = { .load = 0 };
        plain_fleet(how, &r.in->fleet);
        r.in->settings = *settings;
        rc = go(&r, &f, trace, load, &j, series, err);
        if (rc == PR_OK)
            results(&j, how, trace->minutes, oracle_hours, out);
    }
    free(load);
    free(f.due);
    free(r.action);
    free(r.sample);
    free(r.now);
    free(r.in);
    return rc;
}

/* --- who knows the future -------------------------------------------------------------- */

/* Members that serve in a minute have been paid for boot_minutes before it, so in each minute
 * those are paid that the highest load of it and the boot_minutes behind it needs; nobody can
 * do with fewer. */
enum pr_code autoscale_backtest_oracle(const struct autoscale_backtest *how,
                                       const struct autoscale_trace *trace, double *instance_hours,
                                       struct pr_err *err)
{
    const enum pr_code rc = check(how, trace, err);
    if (rc != PR_OK)
        return rc;
    double *load = whole_load(trace);
    /* Minutes that may still be the highest of a window, of falling load. */
    size_t *high = calloc(trace->minutes, sizeof *high), first = 0, n = 0;
    if (load == NULL || high == NULL) {
        free(load);
        free(high);
        return pr_fail(err, PR_ENOMEM, "an oracle of %zu minutes", trace->minutes);
    }
    const size_t boot = (size_t)how->boot_minutes;
    size_t paid = 0;
    for (size_t end = 0; end < trace->minutes + boot; end++) {
        if (end < trace->minutes) {
            while (n > first && load[high[n - 1]] <= load[end])
                n--;
            high[n++] = end;
        }
        if (end < boot)
            continue;
        if (high[first] < end - boot)
            first++;
        paid += (size_t)within(how, ceil(load[high[first]] * 100 / how->oracle_pct - slack));
    }
    *instance_hours = (double)paid / 60;
    free(high);
    free(load);
    return PR_OK;
}

/* Loads that are known and at most as high. */
static size_t rank(const double *load, size_t minutes, double high)
{
    size_t n = 0;
    for (size_t i = 0; i < minutes; i++)
        n += load[i] <= high;
    return n;
}

/* The value that `below` known loads are lower than, or as high as: by halving what it may be, in
 * the order of its bits, which is that of numbers above 0. Needs no memory. */
static double value_at(const double *load, size_t minutes, size_t below)
{
    uint64_t lo = 0, hi = UINT64_C(0x7ff0000000000000); /* infinity */
    while (lo < hi) {
        const uint64_t middle = lo + (hi - lo) / 2;
        double value;
        memcpy(&value, &middle, sizeof value);
        if (rank(load, minutes, value) > below)
            hi = middle;
        else
            lo = middle + 1;
    }
    double value;
    memcpy(&value, &lo, sizeof value);
    return value;
}

void autoscale_trace_scale(double *load, size_t minutes, double peak)
{
    const size_t known = rank(load, minutes, INFINITY);
    if (known == 0)
        return;
    const double high = value_at(load, minutes, (known - 1) * 999 / 1000);
    for (size_t i = 0; high > 0 && i < minutes; i++)
        load[i] *= peak / high;
}
