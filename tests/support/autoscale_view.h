/* Views of a fleet for tests of policies: minutes of samples that end at now. */
#ifndef PRISM_TEST_AUTOSCALE_VIEW_H
#define PRISM_TEST_AUTOSCALE_VIEW_H

#include "core/history.h"

#include <math.h>

enum { VIEW_SAMPLES = 2000, VIEW_ACTIONS = 64, VIEW_MINUTE = AUTOSCALE_MINUTE_MS };

struct test_view {
    struct autoscale_view v;
    struct autoscale_sample sample[VIEW_SAMPLES];
    struct autoscale_action action[VIEW_ACTIONS];
};

/* No samples yet; the first minute ends at begin_ms. */
static inline void view_open(struct test_view *t, int64_t begin_ms, int desired)
{
    t->v = (struct autoscale_view){ .now_ms = begin_ms,
                                    .desired = desired,
                                    .serving = desired,
                                    .min = 48,
                                    .max = 1000,
                                    .useful_after_ms = INT64_C(10) * VIEW_MINUTE,
                                    .sample = t->sample,
                                    .action = t->action };
}

static inline struct autoscale_sample view_nothing(int64_t at_ms, int serving)
{
    return (struct autoscale_sample){ .at_ms = at_ms,
                                      .cpu_pct = NAN,
                                      .memory_pct = NAN,
                                      .network_bps = NAN,
                                      .backlog = NAN,
                                      .load = NAN,
                                      .serving = serving };
}

static inline double *view_metric(struct autoscale_sample *s, enum autoscale_metric m)
{
    return m == AUTOSCALE_CPU       ? &s->cpu_pct
           : m == AUTOSCALE_MEMORY  ? &s->memory_pct
           : m == AUTOSCALE_NETWORK ? &s->network_bps
           : m == AUTOSCALE_BACKLOG ? &s->backlog
                                    : &s->load;
}

/* One more minute, which ends a minute after the one before; now is its end. */
static inline struct autoscale_sample *view_minute(struct test_view *t, enum autoscale_metric m,
                                                   double value)
{
    const int64_t at =
        t->v.samples == 0 ? t->v.now_ms : t->sample[t->v.samples - 1].at_ms + VIEW_MINUTE;
    struct autoscale_sample *s = &t->sample[t->v.samples++];
    *s = view_nothing(at, t->v.serving);
    *view_metric(s, m) = value;
    t->v.now_ms = at;
    return s;
}

static inline void view_minutes(struct test_view *t, int n, enum autoscale_metric m, double value)
{
    while (n-- > 0)
        view_minute(t, m, value);
}

/* The value of another metric in the last n minutes. */
static inline void view_also(struct test_view *t, int n, enum autoscale_metric m, double value)
{
    for (int i = 1; i <= n; i++)
        *view_metric(&t->sample[t->v.samples - (size_t)i], m) = value;
}

static inline void view_changed(struct test_view *t, int64_t at_ms, int from, int to)
{
    t->action[t->v.actions++] = (struct autoscale_action){ at_ms, from, to };
}

#endif
