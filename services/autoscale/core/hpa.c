#include "core/hpa.h"

#include <math.h>
#include <string.h>

void autoscale_hpa_default(struct autoscale_hpa_policy *out)
{
    memset(out, 0, sizeof *out);
    out->metric[0] = (struct autoscale_hpa_metric){ AUTOSCALE_CPU, 70 };
    out->metrics = 1;
    out->tolerance = (struct autoscale_hpa_tolerance){ 0.1, 0.1 };
    out->up = autoscale_hpa_up_rules();
    out->down = autoscale_hpa_down_rules();
    out->init_ms = 300000;
    out->readiness_delay_ms = 30000;
    out->stale_ms = 300000;
}

static enum pr_code check_rules(const char *direction, const struct autoscale_hpa_rules *r,
                                struct pr_err *err)
{
    if (r->stabilization_s < 0 || r->stabilization_s > AUTOSCALE_HPA_WINDOW_S)
        return pr_fail(err, PR_EINVAL, "hpa %s: stabilization %d s, want 0..%d", direction,
                       r->stabilization_s, AUTOSCALE_HPA_WINDOW_S);
    if (r->rules == 0 || r->rules > AUTOSCALE_HPA_RULES)
        return pr_fail(err, PR_EINVAL, "hpa %s: %zu policies, want 1..%d", direction, r->rules,
                       AUTOSCALE_HPA_RULES);
    for (size_t i = 0; i < r->rules; i++) {
        if (r->rule[i].value < 1)
            return pr_fail(err, PR_EINVAL, "hpa %s: policy %zu: value %d, want 1 or more",
                           direction, i + 1, r->rule[i].value);
        if (r->rule[i].period_s < 1 || r->rule[i].period_s > AUTOSCALE_HPA_PERIOD_S)
            return pr_fail(err, PR_EINVAL, "hpa %s: policy %zu: period %d s, want 1..%d", direction,
                           i + 1, r->rule[i].period_s, AUTOSCALE_HPA_PERIOD_S);
    }
    return PR_OK;
}

enum pr_code autoscale_hpa_check(const struct autoscale_hpa_policy *p, struct pr_err *err)
{
    if (p->metrics == 0 || p->metrics > AUTOSCALE_HPA_METRICS)
        return pr_fail(err, PR_EINVAL, "hpa: %zu metrics, want 1..%d", p->metrics,
                       AUTOSCALE_HPA_METRICS);
    for (size_t i = 0; i < p->metrics; i++) {
        const struct autoscale_hpa_metric *m = &p->metric[i];
        if ((int)m->metric < 0 || m->metric >= AUTOSCALE_METRICS)
            return pr_fail(err, PR_EINVAL, "hpa: metric %zu is none that there is", i + 1);
        /* a thousandth is the unit; larger ones would leave integers */
        if (!(m->target >= 0.001 && m->target <= AUTOSCALE_HPA_LARGEST))
            return pr_fail(err, PR_EINVAL, "hpa: target of %s is %g, want a positive number",
                           autoscale_metric_name(m->metric), m->target);
    }
    if (!(p->tolerance.up >= 0) || isinf(p->tolerance.up))
        return pr_fail(err, PR_EINVAL, "hpa: tolerance up is %g, want 0 or more", p->tolerance.up);
    if (!(p->tolerance.down >= 0 && p->tolerance.down <= 1))
        return pr_fail(err, PR_EINVAL, "hpa: tolerance down is %g, want 0..1", p->tolerance.down);
    if (p->init_ms < 0 || p->readiness_delay_ms < 0 || p->stale_ms <= 0)
        return pr_fail(err, PR_EINVAL, "hpa: a period is negative, or stale is 0 ms");
    const enum pr_code rc = check_rules("up", &p->up, err);
    return rc == PR_OK ? check_rules("down", &p->down, err) : rc;
}

/* The largest proposal; the first of equals speaks. Returns how many failed. */
static size_t largest(const int32_t *replicas, size_t n, struct autoscale_hpa_outcome *out)
{
    size_t failed = 0;
    for (size_t i = 0; i < n; i++) {
        if (replicas[i] < 0) {
            failed++;
        } else if (out->best < 0 || replicas[i] > out->wanted) {
            out->wanted = replicas[i];
            out->best = (int)i;
        }
    }
    return failed;
}

void autoscale_hpa_step(const struct autoscale_hpa_step *s, const int32_t *replicas, size_t n,
                        struct autoscale_hpa_memory *memory, struct autoscale_hpa_outcome *out)
{
    const struct autoscale_hpa_bounds b = s->bounds;
    *out = (struct autoscale_hpa_outcome){
        .wanted = b.current, .best = -1, .stable = b.current, .replicas = b.current
    };
    struct autoscale_hpa_log log = { memory->recommendation, memory->recommendations,
                                     AUTOSCALE_HPA_RECOMMENDATIONS };
    if (!memory->begun) {
        log.entry[0] = (struct autoscale_hpa_entry){ s->now_ms, b.current, 0 };
        memory->recommendations = log.n = 1;
        memory->begun = 1;
    }

    if (b.current == 0 && !s->scaled_to_zero) {
        out->state = AUTOSCALE_HPA_OFF; /* somebody switched it off; leave it so */
        return;
    }
    if (b.current > b.max || (b.current < b.min && b.current != 0)) {
        out->state = AUTOSCALE_HPA_BOUNDS;
        out->stable = out->replicas = b.current > b.max ? b.max : b.min;
        return;
    }
    const size_t failed = largest(replicas, n, out);
    if (failed == n || (failed > 0 && out->wanted < b.current)) {
        out->state = AUTOSCALE_HPA_UNKNOWN;
        return;
    }

    const struct autoscale_hpa_log up = { memory->up, memory->ups, AUTOSCALE_HPA_EVENTS };
    const struct autoscale_hpa_log down = { memory->down, memory->downs, AUTOSCALE_HPA_EVENTS };
    out->state = AUTOSCALE_HPA_ACTIVE;
    if (s->behavior) {
        out->stable = autoscale_hpa_stabilize(&log, b.current, out->wanted, s->up.stabilization_s,
                                              s->down.stabilization_s, s->now_ms);
        out->replicas = autoscale_hpa_clamp_rate(b, out->stable, &s->up, &s->down, &up, &down,
                                                 s->now_ms, &out->limited);
    } else {
        out->stable = autoscale_hpa_stabilize_down(&log, out->wanted, s->down_window_ms, s->now_ms);
        out->replicas = autoscale_hpa_clamp(b, out->stable, &out->limited);
    }
    if (out->replicas == out->stable)
        out->limited = AUTOSCALE_HPA_WITHIN_RANGE;
    memory->recommendations = log.n;
}
