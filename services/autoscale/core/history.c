#include "core/history.h"

#include <math.h>

static const char *const name[AUTOSCALE_METRICS] = {
    [AUTOSCALE_CPU] = "cpu",         [AUTOSCALE_MEMORY] = "memory", [AUTOSCALE_NETWORK] = "network",
    [AUTOSCALE_BACKLOG] = "backlog", [AUTOSCALE_LOAD] = "load",
};

const char *autoscale_metric_name(enum autoscale_metric m)
{
    return (int)m >= 0 && m < AUTOSCALE_METRICS ? name[m] : "?";
}

double autoscale_metric_of(const struct autoscale_sample *s, enum autoscale_metric m)
{
    switch (m) {
    case AUTOSCALE_CPU:
        return s->cpu_pct;
    case AUTOSCALE_MEMORY:
        return s->memory_pct;
    case AUTOSCALE_NETWORK:
        return s->network_bps;
    case AUTOSCALE_BACKLOG:
        return s->backlog;
    case AUTOSCALE_LOAD:
        return s->load;
    case AUTOSCALE_METRICS:
        break;
    }
    return NAN;
}

static enum pr_code check_sample(const struct autoscale_view *v, size_t i, struct pr_err *err)
{
    const struct autoscale_sample *s = &v->sample[i];
    const long long at = (long long)s->at_ms;
    if (i > 0 && s->at_ms == v->sample[i - 1].at_ms)
        return pr_fail(err, PR_EDATA, "sample %zu (%lld ms): a duplicate of the one before it",
                       i + 1, at);
    if (i > 0 && s->at_ms < v->sample[i - 1].at_ms)
        return pr_fail(err, PR_EDATA, "sample %zu (%lld ms): older than the one before it (%lld)",
                       i + 1, at, (long long)v->sample[i - 1].at_ms);
    if (s->at_ms > v->now_ms)
        return pr_fail(err, PR_EDATA, "sample %zu (%lld ms): from the future, now is %lld", i + 1,
                       at, (long long)v->now_ms);
    for (int m = 0; m < AUTOSCALE_METRICS; m++) {
        const double x = autoscale_metric_of(s, (enum autoscale_metric)m);
        const double most = m == AUTOSCALE_CPU || m == AUTOSCALE_MEMORY ? 100 : 1e18;
        if (!isnan(x) && !(x >= 0 && x <= most))
            return pr_fail(err, PR_EDATA, "sample %zu (%lld ms): %s is %g, want 0 to %g or unknown",
                           i + 1, at, name[m], x, most);
    }
    if (s->serving < 0 || s->silent < 0 || s->serving > AUTOSCALE_MEMBERS_MOST ||
        s->silent > AUTOSCALE_MEMBERS_MOST)
        return pr_fail(err, PR_EDATA, "sample %zu (%lld ms): %d serve and %d are silent", i + 1, at,
                       s->serving, s->silent);
    return PR_OK;
}

enum pr_code autoscale_view_check(const struct autoscale_view *v, struct pr_err *err)
{
    for (size_t i = 0; i < v->samples; i++) {
        const enum pr_code rc = check_sample(v, i, err);
        if (rc != PR_OK)
            return rc;
    }
    return PR_OK;
}

size_t autoscale_window_mean(const struct autoscale_view *v, enum autoscale_metric m,
                             int64_t window_ms, double *mean)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = v->samples; i-- > 0 && v->sample[i].at_ms > v->now_ms - window_ms;) {
        const double x = autoscale_metric_of(&v->sample[i], m);
        if (isnan(x))
            continue;
        sum += x;
        n++;
    }
    *mean = n == 0 ? NAN : sum / (double)n;
    return n;
}
