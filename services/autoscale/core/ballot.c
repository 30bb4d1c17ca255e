#include "core/ballot.h"

#include "prism/cron.h"

#include <math.h>
#include <stdio.h>

void autoscale_ballot_hold(const struct autoscale_view *v, struct autoscale_vote *out)
{
    *out = (struct autoscale_vote){ .move = AUTOSCALE_HOLD,
                                    .desired = v->desired,
                                    .wanted = v->desired,
                                    .observed = NAN,
                                    .threshold = NAN };
}

void autoscale_ballot_want(const struct autoscale_view *v, int to, struct autoscale_vote *out)
{
    const bool outward = to > v->desired;
    out->wanted = to;
    out->desired = v->desired;
    out->move = AUTOSCALE_HOLD;
    if (to == v->desired)
        return;
    const int limit = outward ? v->max : v->min;
    if (outward ? to > limit : to < limit) {
        snprintf(out->limited, sizeof out->limited, "%s %d", outward ? "max" : "min", limit);
        to = limit;
    }
    /* What is wanted may lie outside the limits already: nobody goes the other way for that. */
    if (outward ? to > v->desired : to < v->desired) {
        out->desired = to;
        out->move = outward ? AUTOSCALE_OUT : AUTOSCALE_IN;
    }
}

void autoscale_ballot_cooling(const struct autoscale_view *v, int to, int64_t until_ms,
                              struct autoscale_vote *out)
{
    const int64_t second = until_ms >= 0 ? until_ms / 1000 : -((999 - until_ms) / 1000);
    const int64_t minute = second >= 0 ? second / 60 : -((59 - second) / 60);
    char text[24];
    pr_minute_text(minute, text);
    out->move = AUTOSCALE_HOLD;
    out->desired = v->desired;
    out->wanted = to;
    out->cooldown_until_ms = until_ms;
    snprintf(out->limited, sizeof out->limited, "cooldown until %s:%02d UTC", text,
             (int)(second - minute * 60));
}

int64_t autoscale_last_change_ms(const struct autoscale_view *v, enum autoscale_direction d,
                                 int64_t since_ms)
{
    for (size_t i = v->actions; i-- > 0 && v->action[i].at_ms > since_ms;) {
        const struct autoscale_action *a = &v->action[i];
        if (d == AUTOSCALE_EITHER ? a->to != a->from
                                  : (d == AUTOSCALE_OUTWARD ? a->to > a->from : a->to < a->from))
            return a->at_ms;
    }
    return INT64_MIN;
}

int autoscale_ordered(const struct autoscale_view *v, int64_t since_ms)
{
    int64_t sum = 0;
    for (size_t i = v->actions; i-- > 0 && v->action[i].at_ms > since_ms;)
        if (v->action[i].to > v->action[i].from)
            sum += v->action[i].to - v->action[i].from;
    return sum > v->desired ? v->desired : (int)sum;
}
