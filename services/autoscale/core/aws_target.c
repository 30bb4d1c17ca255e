#include "core/aws.h"

#include "core/ballot.h"

#include <math.h>
#include <stdio.h>

enum { MINUTE = AUTOSCALE_MINUTE_MS, MOST_MINUTES = 24 * 60 };

void autoscale_target_default(struct autoscale_target_policy *out)
{
    *out = (struct autoscale_target_policy){
        .tracker = { { AUTOSCALE_CPU, 70, false },
                     { AUTOSCALE_MEMORY, 85, false },
                     { AUTOSCALE_NETWORK, 8.0e9, false } },
        .trackers = 3,
        .low_ratio = 0.7,
        .high_minutes = 3,
        .low_minutes = 15,
        .warmup_ms = 5 * MINUTE,
    };
}

enum pr_code autoscale_target_check(const struct autoscale_target_policy *p, struct pr_err *err)
{
    if (p->trackers == 0 || p->trackers > AUTOSCALE_TRACKERS)
        return pr_fail(err, PR_EINVAL, "target: %zu metrics, want 1 to %d", p->trackers,
                       AUTOSCALE_TRACKERS);
    for (size_t i = 0; i < p->trackers; i++) {
        const struct autoscale_tracker *t = &p->tracker[i];
        if ((int)t->metric < 0 || t->metric >= AUTOSCALE_METRICS)
            return pr_fail(err, PR_EINVAL, "target %zu: no such metric", i + 1);
        if (!(t->target > 0) || isinf(t->target))
            return pr_fail(err, PR_EINVAL, "target %zu: the target is no number above 0", i + 1);
        for (size_t k = 0; k < i; k++)
            if (p->tracker[k].metric == t->metric)
                return pr_fail(err, PR_EINVAL, "target %zu: target %zu has the same metric", i + 1,
                               k + 1);
    }
    if (!(p->low_ratio > 0 && p->low_ratio < 1))
        return pr_fail(err, PR_EINVAL, "target: the low alarm's ratio is not between 0 and 1");
    if (p->high_minutes < 1 || p->low_minutes < 1 || p->high_minutes > MOST_MINUTES ||
        p->low_minutes > MOST_MINUTES)
        return pr_fail(err, PR_EINVAL, "target: alarms take 1 to %d minutes", MOST_MINUTES);
    if (p->warmup_ms < 0)
        return pr_fail(err, PR_EINVAL, "target: the warm-up is negative");
    return PR_OK;
}

/* 10 x 0.7 / 0.7 is to be 10: what is over a whole number by less than the numbers can tell
 * does not make one more. */
static int up(double v)
{
    const double nearest = floor(v + 0.5);
    const bool whole = fabs(v - nearest) <= 1e-12 * fmax(1, fabs(v));
    return (int)fmin(fmax(whole ? nearest : ceil(v), -1e9), 1e9);
}

int autoscale_track(int capacity, double metric, double target)
{
    return up(capacity * metric / target);
}

double autoscale_backlog_target(double latency_s, double seconds_per_message)
{
    return latency_s / seconds_per_message;
}

void autoscale_track_alarms(double target, double low_ratio, struct autoscale_alarm *high,
                            struct autoscale_alarm *low)
{
    *high = (struct autoscale_alarm){ AUTOSCALE_ABOVE, target, 3, MINUTE };
    *low = (struct autoscale_alarm){ AUTOSCALE_BELOW, target * low_ratio, 15, MINUTE };
}

enum autoscale_move autoscale_track_combine(const enum autoscale_move *one,
                                            const bool *may_scale_in, size_t n)
{
    size_t in = 0, may = 0;
    for (size_t i = 0; i < n; i++) {
        if (one[i] == AUTOSCALE_OUT)
            return AUTOSCALE_OUT;
        if (may_scale_in != NULL && !may_scale_in[i])
            continue;
        may++;
        in += one[i] == AUTOSCALE_IN;
    }
    return may > 0 && in == may ? AUTOSCALE_IN : AUTOSCALE_HOLD;
}

/* --- the vote -------------------------------------------------------------------------- */

struct state { /* of one tracker */
    enum autoscale_move move;
    struct autoscale_minutes seen;
    int to;
};
struct hearing {
    struct state of[AUTOSCALE_TRACKERS];
    bool takes_part[AUTOSCALE_TRACKERS];
    size_t largest; /* the one whose figures the vote shows */
    int warming, to;
};

static void keep_since(int64_t *since_ms, bool on, int64_t now_ms)
{
    if (!on)
        *since_ms = 0;
    else if (*since_ms == 0)
        *since_ms = now_ms;
}

/* Low minutes before the last change are those of another fleet. */
static bool low_since_the_change(const struct autoscale_target_policy *p,
                                 const struct autoscale_view *v)
{
    const int64_t window = (int64_t)p->low_minutes * MINUTE;
    return autoscale_last_change_ms(v, AUTOSCALE_EITHER, v->now_ms - window) == INT64_MIN;
}

static struct state look(const struct autoscale_target_policy *p, size_t i, int warming,
                         struct autoscale_target_memory *memory, const struct autoscale_view *v)
{
    const struct autoscale_tracker *t = &p->tracker[i];
    const int64_t up_ms = (int64_t)p->high_minutes * MINUTE;
    const int64_t down_ms = (int64_t)p->low_minutes * MINUTE;
    struct state s = { .move = AUTOSCALE_HOLD, .to = v->desired };
    struct autoscale_alarm high, low;
    autoscale_track_alarms(t->target, p->low_ratio, &high, &low);

    s.seen = autoscale_minutes(v, t->metric, up_ms, false);
    const enum autoscale_answer above =
        autoscale_sustained(v, t->metric, high.op, high.threshold, up_ms);
    const enum autoscale_answer below =
        above == AUTOSCALE_YES ? AUTOSCALE_NO
                               : autoscale_sustained(v, t->metric, low.op, low.threshold, down_ms);
    keep_since(&memory->high_since_ms[i], above == AUTOSCALE_YES, v->now_ms);
    keep_since(&memory->low_since_ms[i], below == AUTOSCALE_YES, v->now_ms);

    if (above == AUTOSCALE_YES) {
        const int need = autoscale_track(v->desired - warming, s.seen.newest, t->target);
        s.to = need > v->desired ? need : v->desired;
        s.move = AUTOSCALE_OUT;
    } else if (above == AUTOSCALE_CANNOT_TELL || isnan(s.seen.newest)) {
        s.move = AUTOSCALE_UNKNOWN;
    } else if (below == AUTOSCALE_YES && low_since_the_change(p, v)) {
        s.seen = autoscale_minutes(v, t->metric, down_ms, true);
        /* The highest of the minutes: what was needed in any of them stays. */
        const int need = autoscale_track(v->desired, s.seen.most, t->target);
        s.to = need < v->desired ? need : v->desired;
        s.move = AUTOSCALE_IN;
    }
    return s;
}

static struct hearing hear(const struct autoscale_target_policy *p,
                           struct autoscale_target_memory *memory, const struct autoscale_view *v,
                           enum autoscale_move *move)
{
    struct hearing h = { .largest = AUTOSCALE_TRACKERS,
                         .warming = autoscale_warming(v, p->warmup_ms) };
    enum autoscale_move one[AUTOSCALE_TRACKERS];
    bool may[AUTOSCALE_TRACKERS], unknown = false;
    size_t n = 0;
    for (size_t i = 0; i < p->trackers; i++) {
        h.takes_part[i] = autoscale_measured(v, p->tracker[i].metric);
        if (!h.takes_part[i]) {
            memory->high_since_ms[i] = memory->low_since_ms[i] = 0;
            continue;
        }
        h.of[i] = look(p, i, h.warming, memory, v);
        one[n] = h.of[i].move;
        may[n++] = !p->tracker[i].disable_scale_in;
        unknown = unknown || h.of[i].move == AUTOSCALE_UNKNOWN;
    }
    *move = autoscale_track_combine(one, may, n);
    if (n == 0 || (unknown && *move != AUTOSCALE_OUT))
        *move = AUTOSCALE_UNKNOWN;
    for (size_t i = 0; i < p->trackers; i++) {
        if (!h.takes_part[i] || (*move != AUTOSCALE_HOLD && h.of[i].move != *move))
            continue;
        if (h.largest == AUTOSCALE_TRACKERS || h.of[i].to > h.to) {
            h.largest = i;
            h.to = h.of[i].to;
        }
    }
    return h;
}

static void explain(const struct autoscale_target_policy *p, const struct hearing *h,
                    enum autoscale_move move, const struct autoscale_target_memory *memory,
                    const struct autoscale_view *v, struct autoscale_vote *out)
{
    if (h->largest == AUTOSCALE_TRACKERS) {
        snprintf(out->why, sizeof out->why, "cannot tell: no target's metric is measured");
        return;
    }
    const struct autoscale_tracker *t = &p->tracker[h->largest];
    const struct autoscale_minutes *seen = &h->of[h->largest].seen;
    const bool gbps = t->metric == AUTOSCALE_NETWORK;
    const int minutes = move == AUTOSCALE_IN ? p->low_minutes : p->high_minutes;
    const int64_t since =
        move == AUTOSCALE_IN ? memory->low_since_ms[h->largest] : memory->high_since_ms[h->largest];
    const long long on_min = (long long)((v->now_ms - since) / MINUTE);
    char now[48];
    out->observed = move == AUTOSCALE_IN ? seen->most : seen->newest;
    out->threshold = move == AUTOSCALE_IN ? t->target * p->low_ratio : t->target;
    out->window_ms = (int64_t)minutes * MINUTE;
    autoscale_metric_text(t->metric, out->observed, now);
    snprintf(out->rule, sizeof out->rule, "%s%c%.4g%s, %d of %d min",
             autoscale_metric_name(t->metric), move == AUTOSCALE_IN ? '<' : '>',
             gbps ? out->threshold / 1e9 : out->threshold, gbps ? " Gbps" : "", minutes, minutes);
    if (move == AUTOSCALE_UNKNOWN)
        snprintf(out->why, sizeof out->why, "cannot tell: %s has minutes without a value",
                 autoscale_metric_name(t->metric));
    else if (move == AUTOSCALE_HOLD)
        snprintf(out->why, sizeof out->why, "no alarm is on: %s for a target of %.4g%s", now,
                 gbps ? t->target / 1e9 : t->target, gbps ? " Gbps" : "");
    else if (out->wanted == v->desired && h->warming > 0)
        snprintf(out->why, sizeof out->why,
                 "alarm %s is on for %lld min: %s, %d of %d still warm up", out->rule, on_min, now,
                 h->warming, v->desired);
    else
        snprintf(out->why, sizeof out->why,
                 "alarm %s is on for %lld min: %s on %d, %d of them warming up, asks for %d",
                 out->rule, on_min, now, v->desired, h->warming, out->wanted);
}

void autoscale_target_vote(const struct autoscale_target_policy *p,
                           struct autoscale_target_memory *memory,
                           const struct autoscale_view *view, struct autoscale_vote *out)
{
    enum autoscale_move move = AUTOSCALE_HOLD;
    autoscale_ballot_hold(view, out);
    const struct hearing h = hear(p, memory, view, &move);
    if (move == AUTOSCALE_OUT || (move == AUTOSCALE_IN && h.warming == 0))
        autoscale_ballot_want(view, h.to, out);
    else if (move == AUTOSCALE_IN)
        snprintf(out->limited, sizeof out->limited, "%d members warm up", h.warming);
    else
        out->move = move;
    explain(p, &h, move, memory, view, out);
}
