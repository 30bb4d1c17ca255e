#include "core/aws.h"

#include "core/ballot.h"

#include <math.h>
#include <stdio.h>

enum { MINUTE = AUTOSCALE_MINUTE_MS, MOST_POINTS = 24 * 60 };

int autoscale_warming(const struct autoscale_view *v, int64_t warmup_ms)
{
    const int fresh = autoscale_ordered(v, v->now_ms - warmup_ms);
    if (v->serving <= 0) /* nobody says who serves */
        return fresh;
    const int behind = v->desired - v->serving;
    const int awaited = autoscale_ordered(v, v->now_ms - warmup_ms - 2 * v->useful_after_ms);
    const int coming = behind < awaited ? behind : awaited;
    return coming > fresh ? coming : fresh;
}

void autoscale_step_default(struct autoscale_step_policy *out)
{
    *out = (struct autoscale_step_policy){
        .alarm = { { .metric = AUTOSCALE_CPU,
                     .high = true,
                     .threshold = 70,
                     .datapoints = 3,
                     .type = AUTOSCALE_PERCENT_CHANGE,
                     .step = { { 0, 10, 10 }, { 10, 20, 20 }, { 20, INFINITY, 30 } },
                     .steps = 3 },
                   { .metric = AUTOSCALE_CPU,
                     .threshold = 40,
                     .datapoints = 15,
                     .type = AUTOSCALE_PERCENT_CHANGE,
                     .step = { { -20, 0, -10 }, { -INFINITY, -20, -20 } },
                     .steps = 2 } },
        .alarms = 2,
        .warmup_ms = 5 * MINUTE,
    };
}

static enum pr_code check_alarm(const struct autoscale_step_alarm *a, size_t i, struct pr_err *err)
{
    const char *what = NULL;
    if ((int)a->metric < 0 || a->metric >= AUTOSCALE_METRICS)
        what = "no such metric";
    else if (!(a->threshold >= 0) || isinf(a->threshold))
        what = "the threshold is no number from 0";
    else if (a->datapoints < 1 || a->datapoints > MOST_POINTS)
        what = "datapoints are not from 1 to 1440";
    else if ((int)a->type < 0 || a->type > AUTOSCALE_PERCENT_CHANGE)
        what = "no such adjustment type";
    else if (a->min_magnitude < 0)
        what = "the minimum magnitude is negative";
    if (what != NULL)
        return pr_fail(err, PR_EINVAL, "step: alarm %zu: %s", i + 1, what);
    const enum pr_code rc = autoscale_steps_check(a->step, a->steps, err);
    return rc == PR_OK ? PR_OK : pr_wrap(err, rc, "step: alarm %zu", i + 1);
}

enum pr_code autoscale_step_check(const struct autoscale_step_policy *p, struct pr_err *err)
{
    if (p->alarms == 0 || p->alarms > AUTOSCALE_STEP_ALARMS)
        return pr_fail(err, PR_EINVAL, "step: %zu alarms, want 1 to %d", p->alarms,
                       AUTOSCALE_STEP_ALARMS);
    if (p->warmup_ms < 0 || p->cooldown_ms < 0)
        return pr_fail(err, PR_EINVAL, "step: the %s is negative",
                       p->warmup_ms < 0 ? "warm-up" : "cooldown");
    for (size_t i = 0; i < p->alarms; i++) {
        const enum pr_code rc = check_alarm(&p->alarm[i], i, err);
        if (rc != PR_OK)
            return rc;
    }
    return PR_OK;
}

/* --- the vote ------------------------------------------------------------------------- */

struct verdict {
    const struct autoscale_step_alarm *spoke, *unknown, *steady;
    int to, warming;
};

static int64_t window_of(const struct autoscale_step_alarm *a)
{
    return (int64_t)a->datapoints * MINUTE;
}

static double newest(const struct autoscale_step_alarm *a, const struct autoscale_view *v)
{
    return autoscale_minutes(v, a->metric, MINUTE, !a->high).newest;
}

/* Of the alarms that are on, the one that leaves the largest capacity decides, outward and
 * inward alike. */
static struct verdict hear(const struct autoscale_step_policy *p, const struct autoscale_view *v)
{
    struct verdict out = { .to = v->desired, .warming = autoscale_warming(v, p->warmup_ms) };
    for (size_t i = 0; i < p->alarms; i++) {
        const struct autoscale_step_alarm *a = &p->alarm[i];
        if (!autoscale_measured(v, a->metric))
            continue;
        if (out.steady == NULL)
            out.steady = a;
        const enum autoscale_answer on =
            autoscale_sustained(v, a->metric, a->high ? AUTOSCALE_AT_LEAST : AUTOSCALE_AT_MOST,
                                a->threshold, window_of(a));
        if (on == AUTOSCALE_CANNOT_TELL && (out.unknown == NULL || a->high))
            out.unknown = a;
        if (on != AUTOSCALE_YES)
            continue;
        const int to = autoscale_step_wanted(a, newest(a, v), v->desired - out.warming, v->desired);
        if (out.spoke == NULL || to > out.to) {
            out.spoke = a;
            out.to = to;
        }
    }
    return out;
}

/* Simple scaling waits from when the last members came or went. */
static int64_t cooling_until(const struct autoscale_step_policy *p, const struct autoscale_view *v)
{
    const int64_t since = v->now_ms - p->cooldown_ms;
    const int64_t out = autoscale_last_change_ms(v, AUTOSCALE_OUTWARD, since - v->useful_after_ms);
    const int64_t in = autoscale_last_change_ms(v, AUTOSCALE_INWARD, since);
    const int64_t after_out = out == INT64_MIN ? out : out + v->useful_after_ms + p->cooldown_ms;
    const int64_t after_in = in == INT64_MIN ? in : in + p->cooldown_ms;
    return after_out > after_in ? after_out : after_in;
}

static void explain(const struct verdict *of, const struct autoscale_view *v,
                    struct autoscale_vote *out)
{
    const struct autoscale_step_alarm *a = of->spoke != NULL     ? of->spoke
                                           : of->unknown != NULL ? of->unknown
                                                                 : of->steady;
    if (a == NULL) {
        snprintf(out->why, sizeof out->why, "cannot tell: no alarm's metric is measured");
        return;
    }
    char now[48], limit[48];
    const bool gbps = a->metric == AUTOSCALE_NETWORK;
    out->observed = newest(a, v);
    out->threshold = a->threshold;
    out->window_ms = window_of(a);
    autoscale_metric_text(a->metric, out->observed, now);
    autoscale_metric_text(a->metric, a->threshold, limit);
    snprintf(out->rule, sizeof out->rule, "%s%s%.4g%s, %d of %d min",
             autoscale_metric_name(a->metric),
             a->high ? ">=" : "<=", gbps ? a->threshold / 1e9 : a->threshold, gbps ? " Gbps" : "",
             a->datapoints, a->datapoints);
    if (out->move == AUTOSCALE_UNKNOWN)
        snprintf(out->why, sizeof out->why, "cannot tell: %s has minutes without a value",
                 autoscale_metric_name(a->metric));
    else if (of->spoke == NULL)
        snprintf(out->why, sizeof out->why, "no alarm is on: %s, alarm at %s", now, limit);
    else if (out->wanted != v->desired)
        snprintf(out->why, sizeof out->why, "alarm %s is on: %s, from %d with %d warming up to %d",
                 out->rule, now, v->desired, of->warming, out->wanted);
    else if (of->warming > 0)
        snprintf(out->why, sizeof out->why, "alarm %s is on: %s, but %d of %d still warm up",
                 out->rule, now, of->warming, v->desired);
    else
        snprintf(out->why, sizeof out->why, "alarm %s is on: %s, its step changes nothing",
                 out->rule, now);
}

void autoscale_step_vote(const struct autoscale_step_policy *p, const struct autoscale_view *view,
                         struct autoscale_vote *out)
{
    autoscale_ballot_hold(view, out);
    const struct verdict of = hear(p, view);
    const int64_t until = p->cooldown_ms > 0 ? cooling_until(p, view) : INT64_MIN;
    if (of.to != view->desired && until > view->now_ms)
        autoscale_ballot_cooling(view, of.to, until, out);
    else if (of.to != view->desired)
        autoscale_ballot_want(view, of.to, out);
    else if (of.spoke == NULL && (of.unknown != NULL || of.steady == NULL))
        out->move = AUTOSCALE_UNKNOWN;
    else if (of.spoke != NULL && !of.spoke->high && of.warming > 0)
        snprintf(out->limited, sizeof out->limited, "%d members warm up", of.warming);
    explain(&of, view, out);
}
