#include "core/minutes.h"

#include <math.h>
#include <stdio.h>

bool autoscale_beyond(enum autoscale_compare op, double value, double threshold)
{
    switch (op) {
    case AUTOSCALE_ABOVE:
        return value > threshold;
    case AUTOSCALE_AT_LEAST:
        return value >= threshold;
    case AUTOSCALE_BELOW:
        return value < threshold;
    case AUTOSCALE_AT_MOST:
        return value <= threshold;
    }
    return false;
}

const char *autoscale_compare_text(enum autoscale_compare op)
{
    static const char *const text[] = { ">", ">=", "<", "<=" };
    return text[op];
}

static double value_of(const struct autoscale_sample *s, enum autoscale_metric m, bool lowering)
{
    if (lowering && s->silent > 0 && s->silent >= s->serving)
        return NAN;
    return autoscale_metric_of(s, m);
}

static void take(struct autoscale_minutes *w, double value)
{
    w->mean = w->known == 0 ? value : w->mean + value; /* the sum, until the end */
    w->least = w->known == 0 || value < w->least ? value : w->least;
    w->most = w->known == 0 || value > w->most ? value : w->most;
    w->known++;
}

struct autoscale_minutes autoscale_minutes(const struct autoscale_view *v, enum autoscale_metric m,
                                           int64_t window_ms, bool lowering)
{
    struct autoscale_minutes w = { .newest = NAN, .mean = NAN, .least = NAN, .most = NAN };
    if (v->samples == 0 || v->sample[v->samples - 1].at_ms > v->now_ms)
        return w; /* from the future: the clock or the sample is wrong, nothing is known */

    const struct autoscale_sample *s = &v->sample[v->samples - 1];
    const bool late = v->now_ms - s->at_ms > AUTOSCALE_MISSED_MS;
    const int64_t end = late ? v->now_ms : s->at_ms;
    bool missing = late;
    if (!late)
        w.newest = value_of(s, m, lowering);
    size_t left = v->samples;
    for (int64_t after = end; left > 0 && v->sample[left - 1].at_ms > end - window_ms; left--) {
        s = &v->sample[left - 1];
        const double value = value_of(s, m, lowering);
        missing = missing || after - s->at_ms > AUTOSCALE_MISSED_MS || isnan(value);
        if (!isnan(value))
            take(&w, value);
        after = s->at_ms;
    }
    /* A sample tells of the time since the one before it; the first of all, of a minute. */
    const bool reaches = end - s->at_ms + AUTOSCALE_MINUTE_MS >= window_ms ||
                         (left > 0 && s->at_ms - v->sample[left - 1].at_ms <= AUTOSCALE_MISSED_MS);
    w.whole = !missing && reaches && w.known > 0;
    w.mean /= (double)(w.known > 0 ? w.known : 1);
    return w;
}

enum autoscale_answer autoscale_sustained(const struct autoscale_view *v, enum autoscale_metric m,
                                          enum autoscale_compare op, double threshold,
                                          int64_t window_ms)
{
    const bool lowering = op == AUTOSCALE_BELOW || op == AUTOSCALE_AT_MOST;
    if (v->samples > 0) { /* mostly enough */
        const struct autoscale_sample *s = &v->sample[v->samples - 1];
        const double newest = value_of(s, m, lowering);
        if (v->now_ms >= s->at_ms && v->now_ms - s->at_ms <= AUTOSCALE_MISSED_MS &&
            !isnan(newest) && !autoscale_beyond(op, newest, threshold))
            return AUTOSCALE_NO;
    }
    const struct autoscale_minutes w = autoscale_minutes(v, m, window_ms, lowering);
    if (w.known > 0 && !autoscale_beyond(op, lowering ? w.most : w.least, threshold))
        return AUTOSCALE_NO;
    return w.whole ? AUTOSCALE_YES : AUTOSCALE_CANNOT_TELL;
}

bool autoscale_measured(const struct autoscale_view *v, enum autoscale_metric m)
{
    enum { HOUR = 60 };
    size_t back = 1;
    while (back <= v->samples) {
        if (!isnan(autoscale_metric_of(&v->sample[v->samples - back], m)))
            return true;
        back = back < HOUR ? back + 1 : back * 2;
    }
    return v->samples > 0 && !isnan(autoscale_metric_of(&v->sample[0], m));
}

void autoscale_metric_text(enum autoscale_metric m, double value, char text[48])
{
    const char *name = autoscale_metric_name(m);
    if (isnan(value))
        snprintf(text, 48, "%s unknown", name);
    else if (m == AUTOSCALE_NETWORK)
        snprintf(text, 48, "%s %.3g Gbps", name, value / 1e9);
    else if (m == AUTOSCALE_BACKLOG || m == AUTOSCALE_LOAD)
        snprintf(text, 48, "%s %.6g", name, value);
    else
        snprintf(text, 48, "%s %.4g %%", name, value);
}
