/* Conformance kind "reconcile": one whole step, from pods and metrics to the new count. */
#include "cli/cases_hpa.h"

#include <stdlib.h>
#include <string.h>

enum { METRICS = 16, MANY_PODS = 100000 };

static const struct autoscale_hpa_clock CLOCK = { 0, 120000, 10000 };

struct step {
    const json_t *one;
    struct autoscale_hpa_step in;
    struct autoscale_hpa_tolerance tolerance;
    int32_t status; /* pods that exist */
    size_t pods;
    struct pr_buf *diff;
};

static const json_t *nth(const struct step *s, const char *list, size_t i)
{
    return json_array_get(hpa_array(s->one, list, s->diff), i);
}

/* Pod i: a request, or an object of its own, with what the lists beside them say of it. */
static struct autoscale_hpa_pod pod_of(const struct step *s, size_t i, int container)
{
    const json_t *pods = hpa_array(s->one, "pods", s->diff), *v = json_array_get(pods, i);
    struct autoscale_hpa_pod p = { .started = true, .judged = true, .ready = true };
    const json_t *phase = nth(s, "phase", i), *ready = nth(s, "ready", i);
    const json_t *age = nth(s, "age_s", i), *deleting = nth(s, "deleting", i);
    if (pods == NULL) {
        p.request = 1000;
    } else if (json_is_object(v)) {
        hpa_known(v, "pods", "name request_m ready age_s phase deleting ", s->diff);
        hpa_request(json_object_get(v, "request_m"), container, &p, s->diff);
        phase = json_object_get(v, "phase");
        ready = json_object_get(v, "ready");
        age = json_object_get(v, "age_s");
        deleting = json_object_get(v, "deleting");
    } else {
        hpa_request(v, json_is_array(v) ? container : 0, &p, s->diff);
    }
    p.phase = hpa_phase(phase, s->diff);
    p.ready = hpa_flag(ready, "ready", true, s->diff);
    p.deleting = hpa_flag(deleting, "deleting", false, s->diff);
    p.start_ms = AUTOSCALE_HPA_LONG_AGO;
    if (age != NULL && !json_is_null(age)) {
        if (!json_is_number(age))
            pr_buf_str(s->diff, "age_s: no number of seconds\n");
        p.start_ms = -(int64_t)(json_number_value(age) * 1000);
    }
    p.ready_change_ms = p.start_ms;
    p.window_ms = 60000;
    return p;
}

static const char *text_of(const json_t *m, const char *name)
{
    const char *text = json_string_value(json_object_get(m, name));
    return text != NULL ? text : "";
}

/* The first of the names that the metric has. */
static const json_t *first_of(const json_t *m, const char *a, const char *b, const char *c)
{
    const json_t *v = json_object_get(m, a);
    if (v == NULL || json_is_null(v))
        v = json_object_get(m, b);
    if (v == NULL || json_is_null(v))
        v = json_object_get(m, c);
    return json_is_null(v) ? NULL : v;
}

/* 0: none is set, which fails the metric. */
static int64_t target_of(const json_t *v, struct pr_buf *diff)
{
    int64_t target = 0;
    if (v != NULL && !json_is_null(v) && (!hpa_number(v, &target) || target < 0))
        pr_buf_str(diff, "metrics: the target is not understood\n");
    return target < 0 ? 0 : target;
}

/* Readings of single pods: resource (cpu, memory, of a container) or a metric of pods. */
static int32_t of_pods(const struct step *s, const json_t *m, bool resource, bool cpu)
{
    const json_t *levels = first_of(m, "levels_m", "levels", "levels_m");
    const json_t *pct = json_object_get(m, "target_pct");
    const json_t *raw = first_of(m, "target_m", "target", "target_average");
    const int container = hpa_container(json_object_get(m, "container"), s->diff);
    const bool percent = resource && pct != NULL && !json_is_null(pct);
    const int64_t target = target_of(percent ? pct : raw, s->diff);
    if (levels != NULL && !json_is_array(levels))
        pr_buf_str(s->diff, "metrics: levels: no list\n");

    struct autoscale_hpa_pod *pod = calloc(s->pods + 1, sizeof *pod);
    if (pod == NULL)
        return -1;
    int64_t strangers = 0, strangers_usage = 0;
    for (size_t i = 0; i < s->pods; i++)
        pod[i] = pod_of(s, i, container);
    for (size_t i = 0; i < json_array_size(levels); i++) {
        int64_t usage;
        if (!hpa_usage(json_array_get(levels, i), container, &usage, s->diff))
            continue;
        if (i < s->pods) {
            pod[i].metered = true;
            pod[i].usage = usage;
        } else {
            strangers++;
            strangers_usage = autoscale_hpa_sum((int64_t[]){ strangers_usage, usage }, 2);
        }
    }
    struct autoscale_hpa_counts c;
    struct autoscale_hpa_proposal got;
    const int32_t current = s->in.bounds.current;
    autoscale_hpa_count(pod, s->pods, &CLOCK, cpu, percent ? (double)target : 0, &c);
    c.strangers = strangers;
    c.strangers_usage = strangers_usage;
    const bool some = json_array_size(levels) > 0 && target > 0;
    enum pr_code rc = PR_EDATA;
    if (some && percent)
        rc = autoscale_hpa_utilization(&c, current, (double)target, s->tolerance, &got, NULL);
    else if (some)
        rc = autoscale_hpa_average(&c, current, target, s->tolerance, &got, NULL);
    free(pod);
    return rc == PR_OK ? got.replicas : -1;
}

/* One figure: an object's, or from outside; for all, or for each pod. */
static int32_t of_object(const struct step *s, const json_t *m)
{
    const json_t *levels = first_of(m, "levels", "levels_m", "levels");
    const json_t *average = json_object_get(m, "target_average");
    const json_t *value = first_of(m, "target", "target_m", "target_value");
    bool each = hpa_bool_or(m, "per_pod", false, s->diff);
    if (average != NULL && !json_is_null(average)) {
        each = true;
        value = average;
    }
    const int64_t target = target_of(value, s->diff);
    int64_t sum[64];
    if ((levels != NULL && !json_is_array(levels)) || json_array_size(levels) > PR_COUNT(sum))
        pr_buf_str(s->diff, "metrics: levels: no list, or too long\n");
    size_t n = 0;
    for (; n < json_array_size(levels) && n < PR_COUNT(sum); n++)
        if (!hpa_number(json_array_get(levels, n), &sum[n]))
            pr_buf_str(s->diff, "metrics: levels: no whole number\n");
    if (n == 0 || target <= 0)
        return -1;

    struct autoscale_hpa_proposal got;
    const int64_t usage = autoscale_hpa_sum(sum, n);
    if (each) {
        autoscale_hpa_per_pod(usage, target, s->status, s->tolerance, &got);
        return got.replicas;
    }
    int64_t ready = 0;
    for (size_t i = 0; i < s->pods; i++) {
        const struct autoscale_hpa_pod p = pod_of(s, i, 0);
        ready += p.phase == AUTOSCALE_HPA_RUNNING && p.ready;
    }
    autoscale_hpa_value(usage, target, s->in.bounds.current, ready, s->tolerance, &got);
    return got.replicas;
}

/* One metric's proposal; -1: it failed. */
static int32_t propose(const struct step *s, const json_t *m)
{
    hpa_known(m, "metrics",
              "type target_pct target target_m target_value target_average per_pod levels "
              "levels_m error container name resource ",
              s->diff);
    const char *type = text_of(m, "type");
    const bool resource = strcmp(type, "resource") == 0 ||
                          strcmp(type, "container_resource") == 0 || strcmp(type, "container") == 0;
    const bool cpu =
        strcmp(type, "cpu") == 0 || (resource && strcmp(text_of(m, "resource"), "memory") != 0 &&
                                     strcmp(text_of(m, "name"), "memory") != 0);
    const bool memory = strcmp(type, "memory") == 0 || (resource && !cpu);
    const bool pods = strcmp(type, "pods") == 0;
    const bool object = strcmp(type, "object") == 0 || strcmp(type, "external") == 0;
    if (!cpu && !memory && !pods && !object) {
        pr_buf_printf(s->diff, "metrics: type \"%s\" is not understood\n", type);
        return -1;
    }
    const json_t *error = json_object_get(m, "error");
    if (json_is_string(error) || hpa_flag(error, "metrics: error", false, s->diff))
        return -1;
    return object ? of_object(s, m) : of_pods(s, m, !pods, cpu);
}

static void read_history(const json_t *one, int32_t current, struct autoscale_hpa_memory *memory,
                         struct pr_buf *diff)
{
    const json_t *history = json_object_get(one, "history");
    if (history == NULL || json_is_null(history))
        return; /* the step begins one */
    struct autoscale_hpa_log log = { memory->recommendation, 0, AUTOSCALE_HPA_RECOMMENDATIONS };
    if (json_is_array(history))
        hpa_entries(history, "history", &log, diff);
    else if (json_is_string(history) && strcmp(json_string_value(history), "initial") == 0)
        log.entry[log.n++] = (struct autoscale_hpa_entry){ 0, current, 0 };
    else
        pr_buf_str(diff, "history is not understood\n");
    memory->recommendations = log.n;
    memory->begun = 1;
    struct autoscale_hpa_log up = { memory->up, 0, AUTOSCALE_HPA_EVENTS };
    struct autoscale_hpa_log down = { memory->down, 0, AUTOSCALE_HPA_EVENTS };
    hpa_entries(hpa_array(one, "up_events", diff), "up_events", &up, diff);
    hpa_entries(hpa_array(one, "down_events", diff), "down_events", &down, diff);
    memory->ups = up.n;
    memory->downs = down.n;
}

/* A direction's rules may hold a tolerance of their own. */
static void read_behavior(struct step *s)
{
    const json_t *up = json_object_get(s->one, "scale_up");
    const json_t *down = json_object_get(s->one, "scale_down");
    s->in.behavior = json_is_object(up) || json_is_object(down);
    s->in.up = hpa_rules(up, "scale_up", autoscale_hpa_up_rules(), s->diff);
    s->in.down = hpa_rules(down, "scale_down", autoscale_hpa_down_rules(), s->diff);
    s->in.down_window_ms = -hpa_ago_or(s->one, "window_s", -300000, s->diff);
    s->tolerance = hpa_tolerance(s->one, s->diff);
    if (json_is_object(up))
        s->tolerance.up = hpa_real_or(up, "tolerance", s->tolerance.up, s->diff);
    if (json_is_object(down))
        s->tolerance.down = hpa_real_or(down, "tolerance", s->tolerance.down, s->diff);
}

static void want_outcome(const json_t *expect, const struct autoscale_hpa_outcome *o,
                         int32_t current, struct pr_buf *diff)
{
    const bool limited = o->limited != AUTOSCALE_HPA_WITHIN_RANGE;
    const json_t *reason = json_object_get(expect, "limited_reason");
    const json_t *scaled = json_object_get(expect, "scaled");
    hpa_want_int(expect, "replicas", o->replicas, diff);
    if (reason != NULL && !json_is_null(reason))
        hpa_want_string(expect, "limited_reason", autoscale_hpa_reason_name(o->limited), diff);
    else if (limited)
        pr_buf_printf(diff, "limited_reason: got %s, want none\n",
                      autoscale_hpa_reason_name(o->limited));
    if (scaled == NULL || json_is_null(scaled))
        return;
    if (!json_is_boolean(scaled) || json_is_true(scaled) != (o->replicas != current))
        pr_buf_printf(diff, "scaled: got %s\n", o->replicas != current ? "true" : "false");
}

static void read_step(const json_t *one, struct step *s, struct pr_buf *diff)
{
    *s = (struct step){ .one = one, .diff = diff };
    hpa_known(one, "",
              "min max current metrics pods history scale_up scale_down tolerance tolerance_down "
              "tolerance_up ready age_s phase deleting status window_s up_events down_events "
              "scaled_to_zero ",
              diff);
    s->in.bounds =
        (struct autoscale_hpa_bounds){ hpa_int32(one, "min", diff), hpa_int32(one, "max", diff),
                                       hpa_int32(one, "current", diff) };
    s->in.scaled_to_zero = hpa_bool_or(one, "scaled_to_zero", false, diff);
    read_behavior(s);
    const json_t *pods = hpa_array(one, "pods", diff);
    const int64_t otherwise = pods != NULL ? (int64_t)json_array_size(pods) : s->in.bounds.current;
    const int64_t status = hpa_int_or(one, "status", s->in.bounds.current, diff);
    if (otherwise < 0 || otherwise > MANY_PODS || status < 0 || status > INT32_MAX) {
        pr_buf_str(diff, "pods: too many, or fewer than none\n");
        return;
    }
    s->status = (int32_t)status;
    s->pods = (size_t)(pods == NULL ? status : otherwise);
    if (s->pods > MANY_PODS)
        s->pods = MANY_PODS;
}

void hpa_case_reconcile(const json_t *one, struct pr_buf *diff)
{
    const size_t start = diff->len;
    const json_t *expect = hpa_expect(one, "replicas limited_reason scaled ", diff);
    struct step s;
    read_step(one, &s, diff);
    struct autoscale_hpa_memory memory = { 0 };
    read_history(one, s.in.bounds.current, &memory, diff);
    const json_t *metrics = hpa_array(one, "metrics", diff);
    int32_t replicas[METRICS];
    const size_t n = json_array_size(metrics);
    if (n > METRICS)
        pr_buf_printf(diff, "metrics: more than %d\n", METRICS);
    if (json_object_get(one, "metrics") == NULL)
        pr_buf_str(diff, "metrics is missing\n");
    if (diff->len != start)
        return;
    for (size_t i = 0; i < n; i++)
        replicas[i] = propose(&s, json_array_get(metrics, i));
    if (diff->len != start)
        return;
    struct autoscale_hpa_outcome o;
    autoscale_hpa_step(&s.in, replicas, n, &memory, &o);
    want_outcome(expect, &o, s.in.bounds.current, diff);
}
