#include "core/hpa.h"

#include "core/minutes.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WHOLE = 1000 }; /* what a member requests: thousandths of itself */

static bool is_percent(enum autoscale_metric m)
{
    return m == AUTOSCALE_CPU || m == AUTOSCALE_MEMORY;
}

static bool is_of_fleet(enum autoscale_metric m)
{
    return m == AUTOSCALE_BACKLOG || m == AUTOSCALE_LOAD;
}

/* Thousandths of a member's capacity for a percentage, of the metric's unit otherwise; -1:
 * no reading that one could count with. */
static int64_t milli(enum autoscale_metric m, double value)
{
    if (!(value >= 0 && value <= AUTOSCALE_HPA_LARGEST))
        return -1;
    return (int64_t)floor(value * (is_percent(m) ? 10 : 1000) + 0.5);
}

static double member_value(const struct autoscale_member *m, enum autoscale_metric metric)
{
    switch (metric) {
    case AUTOSCALE_CPU:
        return m->cpu_pct;
    case AUTOSCALE_MEMORY:
        return m->memory_pct;
    case AUTOSCALE_NETWORK:
        return m->network_bps;
    default:
        return NAN;
    }
}

/* The minute that ended last, or NULL. */
static const struct autoscale_sample *last_minute(const struct autoscale_view *v)
{
    if (v->samples == 0)
        return NULL;
    const struct autoscale_sample *s = &v->sample[v->samples - 1];
    return s->at_ms <= v->now_ms && v->now_ms - s->at_ms <= AUTOSCALE_MISSED_MS ? s : NULL;
}

/* n more that were ordered and do not serve yet. */
static void add_booting(struct autoscale_hpa_counts *c, int64_t n)
{
    if (n <= 0)
        return;
    c->pods += n;
    c->unready += n;
    c->unready_request += n * WHOLE;
}

static struct autoscale_hpa_pod pod_of(const struct autoscale_hpa_policy *p,
                                       const struct autoscale_view *v,
                                       const struct autoscale_member *m,
                                       enum autoscale_metric metric)
{
    const int64_t usage = milli(metric, member_value(m, metric));
    const bool dated = m->metric_at_ms != 0;
    const bool stale = dated && v->now_ms - m->metric_at_ms > p->stale_ms;
    return (struct autoscale_hpa_pod){
        .name = m->id,
        .phase = m->failed ? AUTOSCALE_HPA_FAILED : AUTOSCALE_HPA_RUNNING,
        .deleting = m->leaving,
        .started = true,
        .start_ms = m->started_ms != 0 ? m->started_ms : AUTOSCALE_HPA_LONG_AGO,
        .judged = true,
        .ready = m->ready,
        .ready_change_ms = m->ready_since_ms != 0 ? m->ready_since_ms : AUTOSCALE_HPA_LONG_AGO,
        .metered = usage >= 0 && !stale,
        .usage = usage,
        .read_ms = dated ? m->metric_at_ms : v->now_ms,
        .window_ms = m->metric_window_ms,
        .request = WHOLE,
    };
}

static void plus_pod(struct autoscale_hpa_counts *sum, const struct autoscale_hpa_counts *one)
{
    sum->pods += one->pods;
    sum->ready += one->ready;
    sum->usage = autoscale_hpa_sum((int64_t[]){ sum->usage, one->usage }, 2);
    sum->request += one->request;
    sum->unready += one->unready;
    sum->unready_request += one->unready_request;
    sum->missing += one->missing;
    sum->missing_request += one->missing_request;
    sum->missing_fallback += one->missing_fallback;
}

static void count_members(const struct autoscale_hpa_policy *p, const struct autoscale_view *v,
                          const struct autoscale_hpa_metric *m, struct autoscale_hpa_counts *c)
{
    const struct autoscale_hpa_clock clock = { v->now_ms, p->init_ms, p->readiness_delay_ms };
    const bool cpu = m->metric == AUTOSCALE_CPU;
    memset(c, 0, sizeof *c);
    for (size_t i = 0; i < v->members; i++) {
        const struct autoscale_hpa_pod pod = pod_of(p, v, &v->member[i], m->metric);
        struct autoscale_hpa_counts one;
        autoscale_hpa_count(&pod, 1, &clock, cpu, is_percent(m->metric) ? m->target : 0, &one);
        plus_pod(c, &one);
    }
    add_booting(c, v->desired - (c->ready + c->unready + c->missing));
}

/* Without members: all that reported are alike. */
static void count_fleet(const struct autoscale_view *v, const struct autoscale_hpa_metric *m,
                        struct autoscale_hpa_counts *c)
{
    memset(c, 0, sizeof *c);
    const struct autoscale_sample *s = last_minute(v);
    const int64_t usage = s != NULL ? milli(m->metric, autoscale_metric_of(s, m->metric)) : -1;
    if (usage < 0)
        return;
    const int64_t n = s->serving > 0 ? s->serving : v->serving;
    c->pods = n;
    if (n <= 0)
        return;
    if (__builtin_mul_overflow(n, usage, &c->usage)) /* nobody measured that */
        return;
    c->ready = n;
    c->request = n * WHOLE;
    if (s->silent > 0) {
        c->pods += s->silent;
        c->missing = s->silent;
        c->missing_request = c->missing * WHOLE;
        c->missing_fallback =
            c->missing * autoscale_hpa_fallback(WHOLE, is_percent(m->metric) ? m->target : 0);
    }
    add_booting(c, v->desired - c->ready - c->missing);
}

static enum pr_code propose(const struct autoscale_hpa_policy *p, const struct autoscale_view *v,
                            const struct autoscale_hpa_metric *m,
                            struct autoscale_hpa_proposal *out, struct pr_err *err)
{
    if (is_of_fleet(m->metric)) {
        const struct autoscale_sample *s = last_minute(v);
        const int64_t usage = s != NULL ? milli(m->metric, autoscale_metric_of(s, m->metric)) : -1;
        if (usage < 0)
            return pr_fail(err, PR_EDATA, "nobody measured it in the last minute");
        autoscale_hpa_per_pod(usage, milli(m->metric, m->target), v->desired, p->tolerance, out);
        return PR_OK;
    }
    struct autoscale_hpa_counts c;
    if (v->members > 0)
        count_members(p, v, m, &c);
    else
        count_fleet(v, m, &c);
    if (c.ready == 0)
        return pr_fail(err, PR_EDATA, "%s",
                       v->members > 0 ? "no member that is ready has a reading"
                                      : "nobody measured it in the last minute");
    if (is_percent(m->metric))
        return autoscale_hpa_utilization(&c, v->desired, m->target, p->tolerance, out, err);
    return autoscale_hpa_average(&c, v->desired, milli(m->metric, m->target), p->tolerance, out,
                                 err);
}

/* --- what was done since the last vote ------------------------------------------------- */

static void settle_log(struct autoscale_hpa_entry *entry, int32_t *n, int32_t cap, int64_t now_ms)
{
    if (*n < 0 || *n > cap)
        *n = 0;
    for (int32_t i = 0; i < *n; i++) /* the clock went back: as if it were now */
        if (entry[i].at_ms > now_ms)
            entry[i].at_ms = now_ms;
}

static void remember(const struct autoscale_hpa_policy *p, struct autoscale_hpa_memory *memory,
                     const struct autoscale_view *v)
{
    settle_log(memory->recommendation, &memory->recommendations, AUTOSCALE_HPA_RECOMMENDATIONS,
               v->now_ms);
    settle_log(memory->up, &memory->ups, AUTOSCALE_HPA_EVENTS, v->now_ms);
    settle_log(memory->down, &memory->downs, AUTOSCALE_HPA_EVENTS, v->now_ms);
    if (memory->recommendations == 0)
        memory->begun = 0;

    int64_t since_ms = v->now_ms - (int64_t)AUTOSCALE_HPA_PERIOD_S * 1000;
    if (memory->seen_ms > since_ms)
        since_ms = memory->seen_ms < v->now_ms ? memory->seen_ms : v->now_ms;
    size_t first = v->actions;
    while (first > 0 && v->action[first - 1].at_ms > since_ms)
        first--;
    struct autoscale_hpa_log up = { memory->up, memory->ups, AUTOSCALE_HPA_EVENTS };
    struct autoscale_hpa_log down = { memory->down, memory->downs, AUTOSCALE_HPA_EVENTS };
    for (size_t i = first; i < v->actions; i++) {
        const struct autoscale_action *a = &v->action[i];
        if (a->at_ms > v->now_ms)
            break;
        if (a->to > a->from)
            autoscale_hpa_store(&up, a->to - a->from, &p->up, a->at_ms, v->now_ms);
        else if (a->to < a->from)
            autoscale_hpa_store(&down, a->from - a->to, &p->down, a->at_ms, v->now_ms);
        memory->seen_ms = a->at_ms;
    }
    memory->ups = up.n;
    memory->downs = down.n;
}

/* --- words ----------------------------------------------------------------------------- */

/* When the last recommendation leaves the window that holds `wanted` back. */
static int64_t held_until(const struct autoscale_hpa_memory *memory, int32_t wanted, bool down,
                          int32_t window_s)
{
    int64_t last_ms = 0;
    for (int32_t i = 0; i < memory->recommendations; i++) {
        const struct autoscale_hpa_entry *e = &memory->recommendation[i];
        if ((down ? e->value > wanted : e->value < wanted) && e->at_ms > last_ms)
            last_ms = e->at_ms;
    }
    return last_ms != 0 ? last_ms + (int64_t)window_s * 1000 : 0;
}

static const char *unit(enum autoscale_metric m)
{
    static const char *const name[AUTOSCALE_METRICS] = {
        [AUTOSCALE_CPU] = " %", [AUTOSCALE_MEMORY] = " %", [AUTOSCALE_NETWORK] = " bit/s"
    };
    return (int)m >= 0 && m < AUTOSCALE_METRICS && name[m] != NULL ? name[m] : "";
}

static void say_metric(const struct autoscale_hpa_metric *m, const struct autoscale_view *v,
                       const struct autoscale_hpa_proposal *p,
                       const struct autoscale_hpa_outcome *o, struct autoscale_vote *out)
{
    const char *name = autoscale_metric_name(m->metric);
    out->observed = is_percent(m->metric) ? (double)p->usage : (double)p->usage / 1000;
    out->threshold = m->target;
    out->window_ms = v->members > 0 && !is_of_fleet(m->metric) ? 0 : AUTOSCALE_MINUTE_MS;
    snprintf(out->rule, sizeof out->rule, "%s target %g%s", name, m->target, unit(m->metric));
    snprintf(
        out->why, sizeof out->why,
        "%s %.10g%s against a target of %g%s (ratio %.3f) asks for %d, where %d are wanted now",
        name, out->observed, unit(m->metric), m->target, unit(m->metric), p->ratio, o->wanted,
        v->desired);
}

static void say_limit(const struct autoscale_hpa_policy *p,
                      const struct autoscale_hpa_memory *memory, const struct autoscale_view *v,
                      const struct autoscale_hpa_outcome *o, struct autoscale_vote *out)
{
    switch (o->limited) {
    case AUTOSCALE_HPA_TOO_FEW:
        snprintf(out->limited, sizeof out->limited, "min %d", v->min);
        return;
    case AUTOSCALE_HPA_TOO_MANY:
        snprintf(out->limited, sizeof out->limited, "max %d", v->max);
        return;
    case AUTOSCALE_HPA_UP_LIMIT:
        snprintf(out->limited, sizeof out->limited, "scale-up rate: %d at most now", o->replicas);
        return;
    case AUTOSCALE_HPA_DOWN_LIMIT:
        snprintf(out->limited, sizeof out->limited, "scale-down rate: %d at least now",
                 o->replicas);
        return;
    case AUTOSCALE_HPA_WITHIN_RANGE:
        break;
    }
    if (o->stable == o->wanted)
        return;
    const bool down = o->wanted < o->stable;
    const int32_t window_s = down ? p->down.stabilization_s : p->up.stabilization_s;
    snprintf(out->limited, sizeof out->limited, "stabilization: %d was asked for within %d s",
             o->stable, window_s);
    out->cooldown_until_ms = held_until(memory, o->wanted, down, window_s);
}

static void say_unknown(const char *failure, struct autoscale_vote *out)
{
    out->move = AUTOSCALE_UNKNOWN;
    out->observed = NAN;
    snprintf(out->rule, sizeof out->rule, "metric failed");
    snprintf(out->why, sizeof out->why, "%s: that forbids scaling in, and nothing asks for more",
             failure);
}

void autoscale_hpa_vote(const struct autoscale_hpa_policy *policy,
                        struct autoscale_hpa_memory *memory, const struct autoscale_view *view,
                        struct autoscale_vote *out)
{
    memset(out, 0, sizeof *out);
    out->observed = out->threshold = NAN;
    if (view->max < 1 || view->max < view->min || view->desired < 0) {
        char wrong[96];
        snprintf(wrong, sizeof wrong, "limits %d..%d with %d wanted make no sense", view->min,
                 view->max, view->desired);
        out->desired = out->wanted = view->desired;
        say_unknown(wrong, out);
        return;
    }
    remember(policy, memory, view);

    int32_t replicas[AUTOSCALE_HPA_METRICS];
    struct autoscale_hpa_proposal proposal[AUTOSCALE_HPA_METRICS];
    char failure[160] = "no metric is set";
    bool failed = false;
    const size_t n =
        policy->metrics < AUTOSCALE_HPA_METRICS ? policy->metrics : AUTOSCALE_HPA_METRICS;
    for (size_t i = 0; i < n; i++) {
        struct pr_err err;
        const enum pr_code rc = propose(policy, view, &policy->metric[i], &proposal[i], &err);
        replicas[i] = rc == PR_OK ? proposal[i].replicas : -1;
        if (rc != PR_OK && !failed) { /* the first one is named */
            snprintf(failure, sizeof failure, "%s: %.120s",
                     autoscale_metric_name(policy->metric[i].metric), err.text);
            failed = true;
        }
    }

    const struct autoscale_hpa_step step = {
        .bounds = { view->min, view->max, view->desired },
        .behavior = true,
        .up = policy->up,
        .down = policy->down,
        .now_ms = view->now_ms,
    };
    struct autoscale_hpa_outcome o;
    autoscale_hpa_step(&step, replicas, n, memory, &o);
    out->desired = o.replicas;
    out->wanted = o.wanted;
    out->move = o.replicas > view->desired   ? AUTOSCALE_OUT
                : o.replicas < view->desired ? AUTOSCALE_IN
                                             : AUTOSCALE_HOLD;
    switch (o.state) {
    case AUTOSCALE_HPA_ACTIVE:
        say_metric(&policy->metric[o.best], view, &proposal[o.best], &o, out);
        say_limit(policy, memory, view, &o, out);
        break;
    case AUTOSCALE_HPA_OFF:
        snprintf(out->rule, sizeof out->rule, "off at 0");
        snprintf(out->why, sizeof out->why,
                 "0 are wanted: scaling is switched off until there "
                 "is one");
        break;
    case AUTOSCALE_HPA_BOUNDS:
        out->wanted = o.replicas;
        snprintf(out->rule, sizeof out->rule, "%s",
                 o.replicas == view->max ? "above max" : "below min");
        snprintf(out->why, sizeof out->why, "%d are wanted now, outside %d..%d", view->desired,
                 view->min, view->max);
        break;
    case AUTOSCALE_HPA_UNKNOWN:
        say_unknown(failure, out);
        break;
    }
}
