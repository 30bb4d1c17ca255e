#include "core/queue.h"

#include "core/aws.h"
#include "core/ballot.h"

#include <math.h>
#include <stdio.h>

enum { MINUTE = AUTOSCALE_MINUTE_MS };
static const int64_t DAY_MS = INT64_C(24) * 60 * MINUTE;

void autoscale_queue_default(struct autoscale_queue *out)
{
    *out = (struct autoscale_queue){ .latency_s = 10,
                                     .seconds_per_message = 0.1,
                                     .tolerance_pct = 10,
                                     .out_ms = 3 * MINUTE,
                                     .in_ms = 15 * MINUTE,
                                     .in_pct = 10,
                                     .alarm_after_ms = 10 * MINUTE,
                                     .warmup_ms = 5 * MINUTE };
}

static bool positive(double v)
{
    return v > 0 && !isinf(v);
}

enum pr_code autoscale_queue_check(const struct autoscale_queue *q, struct pr_err *err)
{
    const char *what = NULL;
    if (q->backlog_per_worker != 0 && !positive(q->backlog_per_worker))
        what = "the backlog per worker is no number above 0";
    else if (q->backlog_per_worker == 0 &&
             !(positive(q->latency_s) && positive(q->seconds_per_message)))
        what = "without a backlog per worker it needs a latency and the seconds a message takes";
    else if (!(q->tolerance_pct >= 0 && q->tolerance_pct < 100))
        what = "the tolerance is not from 0 to 100 %";
    else if (!(q->in_pct > 0 && q->in_pct <= 100))
        what = "the most to go in one step is not from 0 to 100 %";
    else if (q->out_ms < 0 || q->in_ms < 0 || q->out_ms > DAY_MS || q->in_ms > DAY_MS)
        what = "a window is less than 0 or more than a day";
    else if (q->alarm_after_ms < 0 || q->warmup_ms < 0 || q->alarm_after_ms > DAY_MS)
        what = "the warm-up or the time to the alarm is negative, or more than a day";
    return what == NULL ? PR_OK : pr_fail(err, PR_EINVAL, "queue: %s", what);
}

double autoscale_queue_target(const struct autoscale_queue *q)
{
    return q->backlog_per_worker > 0
               ? q->backlog_per_worker
               : autoscale_backlog_target(q->latency_s, q->seconds_per_message);
}

/* How long nobody has known it, as far as most_ms back; a view without samples: as long. */
static int64_t unknown_for(const struct autoscale_view *v, int64_t most_ms)
{
    int64_t since = v->samples == 0 ? most_ms : 0;
    for (size_t i = v->samples; i-- > 0 && since < most_ms;) {
        const bool known = !isnan(v->sample[i].backlog);
        since = v->now_ms - v->sample[i].at_ms + (known ? 0 : MINUTE);
        if (known)
            break;
    }
    return since < most_ms ? since : most_ms;
}

static void say_unknown(const struct autoscale_queue *q, const struct autoscale_view *v,
                        double newest, struct autoscale_vote *out)
{
    const int64_t since = unknown_for(v, q->alarm_after_ms);
    const bool alarm = since >= q->alarm_after_ms;
    out->move = AUTOSCALE_UNKNOWN;
    if (!isnan(newest))
        snprintf(out->why, sizeof out->why,
                 "cannot tell: %.6g messages wait, but a minute of the last %.4g has no value",
                 newest, (double)q->out_ms / MINUTE);
    else
        snprintf(out->why, sizeof out->why,
                 "%sbacklog unknown for %s%.4g min (consumer missing, or told of by a stale "
                 "follower): %d workers stay",
                 alarm ? "alarm: " : "", alarm ? "at least " : "", (double)since / MINUTE,
                 v->desired);
}

/* Workers that a queue of that length needs. */
static int needed(double backlog, double target)
{
    return autoscale_track(1, backlog, target);
}

static void vote_out(const struct autoscale_queue *q, const struct autoscale_view *v,
                     const struct autoscale_minutes *seen, struct autoscale_vote *out)
{
    const double target = autoscale_queue_target(q);
    const int to = needed(seen->newest, target);
    out->observed = seen->newest;
    out->window_ms = q->out_ms;
    snprintf(out->rule, sizeof out->rule, "backlog>%.4g a worker for %.4g min", target,
             (double)q->out_ms / MINUTE);
    if (to > v->desired)
        autoscale_ballot_want(v, to, out);
    snprintf(out->why, sizeof out->why, "%.6g messages wait, %.4g a worker: %d for %.4g a worker%s",
             seen->newest, seen->newest / (v->desired > 0 ? v->desired : 1), to, target,
             to > v->desired ? "" : ", as many as are wanted");
}

static void vote_in(const struct autoscale_queue *q, const struct autoscale_view *v,
                    const struct autoscale_minutes *seen, struct autoscale_vote *out)
{
    const double target = autoscale_queue_target(q);
    const int fewest = v->desired + autoscale_round_percent(-v->desired * q->in_pct / 100);
    const int need = needed(seen->most, target);
    const int to = need > fewest ? need : fewest;
    const int warming = autoscale_warming(v, q->warmup_ms);
    const int64_t last = autoscale_last_change_ms(v, AUTOSCALE_EITHER, v->now_ms - q->in_ms);
    out->observed = seen->most;
    out->window_ms = q->in_ms;
    snprintf(out->rule, sizeof out->rule, "backlog<%.4g a worker for %.4g min", target,
             (double)q->in_ms / MINUTE);
    if (warming > 0)
        snprintf(out->limited, sizeof out->limited, "%d workers warm up", warming);
    else if (last != INT64_MIN)
        autoscale_ballot_cooling(v, to, last + q->in_ms, out);
    else if (to < v->desired)
        autoscale_ballot_want(v, to, out);
    snprintf(out->why, sizeof out->why,
             "at most %.6g messages waited: %d for %.4g a worker; %.4g %% of %d at a time%s%s",
             seen->most, need, target, q->in_pct, v->desired, out->limited[0] != '\0' ? "; " : "",
             out->limited);
}

void autoscale_queue_vote(const struct autoscale_queue *q, const struct autoscale_view *view,
                          struct autoscale_vote *out)
{
    autoscale_ballot_hold(view, out);
    const double limit = autoscale_queue_target(q) * view->desired;
    const double above = limit * (1 + q->tolerance_pct / 100);
    const double below = limit * (1 - q->tolerance_pct / 100);
    const struct autoscale_minutes seen =
        autoscale_minutes(view, AUTOSCALE_BACKLOG, q->out_ms, false);
    out->threshold = limit;
    out->observed = seen.newest;
    const enum autoscale_answer more =
        autoscale_sustained(view, AUTOSCALE_BACKLOG, AUTOSCALE_ABOVE, above, q->out_ms);
    if (isnan(seen.newest) || more == AUTOSCALE_CANNOT_TELL) {
        say_unknown(q, view, seen.newest, out);
        return;
    }
    if (more == AUTOSCALE_YES) {
        vote_out(q, view, &seen, out);
        return;
    }
    if (autoscale_sustained(view, AUTOSCALE_BACKLOG, AUTOSCALE_BELOW, below, q->in_ms) ==
        AUTOSCALE_YES) {
        const struct autoscale_minutes all =
            autoscale_minutes(view, AUTOSCALE_BACKLOG, q->in_ms, true);
        vote_in(q, view, &all, out);
        return;
    }
    snprintf(out->why, sizeof out->why, "%.6g messages wait for %d workers, %.4g may", seen.newest,
             view->desired, limit);
}
