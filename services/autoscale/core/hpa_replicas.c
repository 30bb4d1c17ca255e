#include "core/hpa_replicas.h"

#include <math.h>
#include <string.h>

bool autoscale_hpa_within(struct autoscale_hpa_tolerance t, double ratio)
{
    return 1.0 - t.down <= ratio && ratio <= 1.0 + t.up;
}

int32_t autoscale_hpa_ceil(double x)
{
    if (isnan(x))
        return 0;
    const double up = ceil(x);
    if (up >= (double)INT32_MAX)
        return INT32_MAX;
    return up <= (double)INT32_MIN ? INT32_MIN : (int32_t)up;
}

static int64_t plus(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return a < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

int64_t autoscale_hpa_sum(const int64_t *value, size_t n)
{
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum = plus(sum, value[i]);
    return sum;
}

enum autoscale_hpa_group autoscale_hpa_group(const struct autoscale_hpa_pod *p,
                                             const struct autoscale_hpa_clock *c, bool cpu)
{
    if (p->deleting || p->phase == AUTOSCALE_HPA_FAILED || p->phase == AUTOSCALE_HPA_SUCCEEDED)
        return AUTOSCALE_HPA_IGNORED;
    if (p->phase == AUTOSCALE_HPA_PENDING)
        return AUTOSCALE_HPA_UNREADY;
    if (!p->metered)
        return AUTOSCALE_HPA_MISSING;
    if (!cpu) /* nothing but a start burns what readiness does not explain */
        return AUTOSCALE_HPA_READY;
    if (!p->judged || !p->started)
        return AUTOSCALE_HPA_UNREADY;

    bool unready;
    if (p->start_ms + c->init_ms > c->now_ms)
        unready = !p->ready || p->read_ms < p->ready_change_ms + p->window_ms;
    else
        unready = !p->ready && p->start_ms + c->readiness_delay_ms > p->ready_change_ms;
    return unready ? AUTOSCALE_HPA_UNREADY : AUTOSCALE_HPA_READY;
}

int64_t autoscale_hpa_fallback(int64_t request, double target_pct)
{
    const int64_t pct = target_pct > 100 ? (int64_t)target_pct : 100;
    int64_t all;
    if (__builtin_mul_overflow(request, pct, &all))
        return INT64_MAX;
    return all / 100;
}

void autoscale_hpa_count(const struct autoscale_hpa_pod *pod, size_t n,
                         const struct autoscale_hpa_clock *c, bool cpu, double target_pct,
                         struct autoscale_hpa_counts *out)
{
    memset(out, 0, sizeof *out);
    out->pods = (int64_t)n;
    for (size_t i = 0; i < n; i++) {
        const struct autoscale_hpa_pod *p = &pod[i];
        if (p->lacks_request != 0 && out->lacking == NULL)
            out->lacking = p;
        switch (autoscale_hpa_group(p, c, cpu)) {
        case AUTOSCALE_HPA_READY:
            out->ready++;
            out->usage = plus(out->usage, p->usage);
            out->request = plus(out->request, p->request);
            break;
        case AUTOSCALE_HPA_UNREADY:
            out->unready++;
            out->unready_request = plus(out->unready_request, p->request);
            break;
        case AUTOSCALE_HPA_MISSING:
            out->missing++;
            out->missing_request = plus(out->missing_request, p->request);
            out->missing_fallback =
                plus(out->missing_fallback, autoscale_hpa_fallback(p->request, target_pct));
            break;
        case AUTOSCALE_HPA_IGNORED:
            break;
        }
    }
}

static enum pr_code usable(const struct autoscale_hpa_counts *c, struct pr_err *err)
{
    if (c->pods == 0)
        return pr_fail(err, PR_EDATA,
                       "no pods returned by selector while calculating replica count");
    if (c->ready + c->strangers == 0)
        return pr_fail(err, PR_EDATA,
                       "did not receive metrics for targeted pods (pods might be unready)");
    return PR_OK;
}

/* Whole percent, and no more than an int32 holds. */
static int64_t percent(int64_t usage, int64_t request)
{
    int64_t hundred;
    const int64_t pct =
        __builtin_mul_overflow(usage, 100, &hundred) ? INT32_MAX : hundred / request;
    return pct > INT32_MAX ? INT32_MAX : pct;
}

/* The second look, once the pods without a usable reading were taken for the best or the
 * worst: it may weaken a change, never turn it round. */
static int32_t again(double first, double ratio, int64_t counted, int32_t current,
                     struct autoscale_hpa_tolerance t)
{
    if (autoscale_hpa_within(t, ratio) || (first < 1.0 && ratio > 1.0) ||
        (first > 1.0 && ratio < 1.0))
        return current;
    const int32_t replicas = autoscale_hpa_ceil(ratio * (double)counted);
    if ((ratio < 1.0 && replicas > current) || (ratio > 1.0 && replicas < current))
        return current;
    return replicas;
}

enum pr_code autoscale_hpa_utilization(const struct autoscale_hpa_counts *c, int32_t current,
                                       double target_pct, struct autoscale_hpa_tolerance t,
                                       struct autoscale_hpa_proposal *out, struct pr_err *err)
{
    const enum pr_code rc = usable(c, err);
    if (rc != PR_OK)
        return rc;
    if (c->lacking != NULL)
        return pr_fail(err, PR_EDATA, "missing request for cpu in container container%d of Pod %s",
                       c->lacking->lacks_request,
                       c->lacking->name != NULL ? c->lacking->name : "?");
    if (c->ready == 0 || c->request <= 0)
        return pr_fail(err, PR_EDATA, "no metrics returned matched known pods");

    const int64_t pct = percent(c->usage, c->request);
    const double ratio = (double)pct / target_pct;
    *out = (struct autoscale_hpa_proposal){
        .replicas = current, .usage = pct, .raw = c->usage / c->ready, .ratio = ratio
    };
    const bool unready = c->unready > 0 && ratio > 1.0;
    if (!unready && c->missing == 0) {
        if (!autoscale_hpa_within(t, ratio))
            out->replicas = autoscale_hpa_ceil(ratio * (double)c->ready);
        return PR_OK;
    }

    int64_t usage = c->usage, request = c->request, counted = c->ready + c->strangers;
    if (ratio < 1.0)
        usage = plus(usage, c->missing_fallback);
    if (ratio < 1.0 || ratio > 1.0) {
        request = plus(request, c->missing_request);
        counted += c->missing;
    }
    if (unready) {
        request = plus(request, c->unready_request);
        counted += c->unready;
    }
    out->replicas = again(ratio, (double)percent(usage, request) / target_pct, counted, current, t);
    return PR_OK;
}

static int64_t times(int64_t a, int64_t n)
{
    int64_t product;
    return __builtin_mul_overflow(a, n, &product) ? INT64_MAX : product;
}

enum pr_code autoscale_hpa_average(const struct autoscale_hpa_counts *c, int32_t current,
                                   int64_t target, struct autoscale_hpa_tolerance t,
                                   struct autoscale_hpa_proposal *out, struct pr_err *err)
{
    const enum pr_code rc = usable(c, err);
    if (rc != PR_OK)
        return rc;

    int64_t total = plus(c->usage, c->strangers_usage), counted = c->ready + c->strangers;
    const int64_t mean = total / counted;
    const double ratio = (double)mean / (double)target;
    *out = (struct autoscale_hpa_proposal){
        .replicas = current, .usage = mean, .raw = mean, .ratio = ratio
    };
    const bool unready = c->unready > 0 && ratio > 1.0;
    if (!unready && c->missing == 0) {
        if (!autoscale_hpa_within(t, ratio))
            out->replicas = autoscale_hpa_ceil(ratio * (double)c->ready);
        return PR_OK;
    }

    if (ratio < 1.0)
        total = plus(total, times(target, c->missing));
    if (ratio < 1.0 || ratio > 1.0)
        counted += c->missing;
    if (unready)
        counted += c->unready;
    out->replicas = again(ratio, (double)(total / counted) / (double)target, counted, current, t);
    return PR_OK;
}

void autoscale_hpa_value(int64_t usage, int64_t target, int32_t current, int64_t ready,
                         struct autoscale_hpa_tolerance t, struct autoscale_hpa_proposal *out)
{
    const double ratio = (double)usage / (double)target;
    *out = (struct autoscale_hpa_proposal){
        .replicas = current, .usage = usage, .raw = usage, .ratio = ratio
    };
    if (current == 0) /* nobody is ready, and tolerance would keep it so */
        out->replicas = autoscale_hpa_ceil(ratio);
    else if (!autoscale_hpa_within(t, ratio))
        out->replicas = autoscale_hpa_ceil(ratio * (double)ready);
}

int64_t autoscale_hpa_per_pod_usage(int64_t usage, int32_t current)
{
    if ((double)usage >= (double)INT64_MAX)
        return INT64_MAX;
    return current == 0 ? 0 : (int64_t)ceil((double)usage / (double)current);
}

void autoscale_hpa_per_pod(int64_t usage, int64_t target, int32_t current,
                           struct autoscale_hpa_tolerance t, struct autoscale_hpa_proposal *out)
{
    const double ratio = (double)usage / ((double)target * (double)current);
    *out = (struct autoscale_hpa_proposal){ .replicas = current,
                                            .usage = autoscale_hpa_per_pod_usage(usage, current),
                                            .ratio = ratio };
    out->raw = out->usage;
    if (!autoscale_hpa_within(t, ratio))
        out->replicas = autoscale_hpa_ceil((double)usage / (double)target);
}
