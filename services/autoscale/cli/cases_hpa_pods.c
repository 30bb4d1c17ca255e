#include "cli/cases_hpa.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { METRIC_WINDOW_MS = 60000 }; /* of the fixtures that the cases come from */

enum autoscale_hpa_phase hpa_phase(const json_t *phase, struct pr_buf *diff)
{
    static const char *const name[] = { [AUTOSCALE_HPA_RUNNING] = "Running",
                                        [AUTOSCALE_HPA_PENDING] = "Pending",
                                        [AUTOSCALE_HPA_SUCCEEDED] = "Succeeded",
                                        [AUTOSCALE_HPA_FAILED] = "Failed" };
    if (phase == NULL || json_is_null(phase))
        return AUTOSCALE_HPA_RUNNING;
    const char *text = json_is_string(phase) ? json_string_value(phase) : "";
    for (size_t i = 0; i < PR_COUNT(name); i++)
        if (strcmp(name[i], text) == 0)
            return (enum autoscale_hpa_phase)i;
    pr_buf_printf(diff, "phase \"%s\" is not understood\n", text);
    return AUTOSCALE_HPA_RUNNING;
}

int hpa_container(const json_t *name, struct pr_buf *diff)
{
    if (name == NULL || json_is_null(name))
        return 0;
    const char *text = json_is_string(name) ? json_string_value(name) : "";
    int number = 0;
    char rest;
    if (sscanf(text, "container%d%c", &number, &rest) != 1 || number < 1)
        pr_buf_printf(diff, "container \"%s\" is not understood\n", text);
    return number;
}

/* The container's figure, or the sum of all; 0 all are there, else the first that is not. */
static int per_container(const json_t *v, int container, int64_t *sum)
{
    *sum = 0;
    if (!json_is_array(v))
        return v != NULL && hpa_number(v, sum) ? 0 : 1;
    if (container > 0)
        return hpa_number(json_array_get(v, (size_t)container - 1), sum) ? 0 : container;
    if (json_array_size(v) == 0)
        return 1;
    for (size_t i = 0; i < json_array_size(v); i++) {
        int64_t one;
        if (!hpa_number(json_array_get(v, i), &one))
            return (int)i + 1;
        if (__builtin_add_overflow(*sum, one, sum))
            *sum = INT64_MAX;
    }
    return 0;
}

static void check_figures(const json_t *v, const char *what, struct pr_buf *diff)
{
    int64_t n;
    bool good = v == NULL || json_is_null(v) || json_is_array(v) || hpa_number(v, &n);
    for (size_t i = 0; i < json_array_size(v); i++)
        good &= json_is_null(json_array_get(v, i)) || hpa_number(json_array_get(v, i), &n);
    if (!good)
        pr_buf_printf(diff, "%s: neither a number nor one per container\n", what);
}

void hpa_request(const json_t *request, int container, struct autoscale_hpa_pod *p,
                 struct pr_buf *diff)
{
    check_figures(request, "request_m", diff);
    p->lacks_request = per_container(request, container, &p->request);
}

bool hpa_usage(const json_t *usage, int container, int64_t *out, struct pr_buf *diff)
{
    check_figures(usage, "usage_m", diff);
    return per_container(usage, container, out) == 0;
}

static void read_pod(const json_t *v, bool exact, int container, struct autoscale_hpa_pod *p,
                     struct pr_buf *diff)
{
    hpa_known(v, "pods", "name request_m ready age_s phase deleting ready_transition_age_s ", diff);
    const json_t *age = json_object_get(v, "age_s"), *ready = json_object_get(v, "ready");
    p->name = json_string_value(json_object_get(v, "name"));
    if (p->name == NULL)
        pr_buf_str(diff, "pods: name is missing\n");
    p->phase = hpa_phase(json_object_get(v, "phase"), diff);
    p->deleting = hpa_bool_or(v, "deleting", false, diff);
    p->started = !exact || (age != NULL && !json_is_null(age));
    p->start_ms = hpa_ago_or(v, "age_s", AUTOSCALE_HPA_LONG_AGO, diff);
    p->judged = !exact || (ready != NULL && !json_is_null(ready));
    p->ready = hpa_bool_or(v, "ready", true, diff);
    p->ready_change_ms = hpa_ago_or(v, "ready_transition_age_s", AUTOSCALE_HPA_LONG_AGO, diff);
    hpa_request(json_object_get(v, "request_m"), container, p, diff);
}

static void read_metric(const json_t *v, bool exact, int container, struct hpa_pods *out,
                        struct pr_buf *diff)
{
    hpa_known(v, "metrics", "pod usage_m age_s window_s value ", diff);
    const char *name = json_string_value(json_object_get(v, "pod"));
    const json_t *usage = json_object_get(v, "usage_m");
    if (name == NULL) {
        pr_buf_str(diff, "metrics: pod is missing\n");
        return;
    }
    int64_t sum = 0;
    if (usage == NULL && exact) /* whether there is one is all that matters */
        sum = hpa_int_or(v, "value", 1, diff);
    else if (!hpa_usage(usage, container, &sum, diff))
        return;
    for (size_t i = 0; i < out->n; i++) {
        struct autoscale_hpa_pod *p = &out->pod[i];
        if (p->name == NULL || strcmp(p->name, name) != 0)
            continue;
        p->metered = true;
        p->usage = sum;
        p->read_ms = hpa_ago_or(v, "age_s", AUTOSCALE_HPA_LONG_AGO, diff);
        p->window_ms = exact ? -hpa_ago_or(v, "window_s", 0, diff)
                             : -hpa_ago_or(v, "window_s", -METRIC_WINDOW_MS, diff);
        return;
    }
    out->strangers++;
    out->strangers_usage = autoscale_hpa_sum((int64_t[]){ out->strangers_usage, sum }, 2);
}

void hpa_pods_read(const json_t *one, bool exact, struct hpa_pods *out, struct pr_buf *diff)
{
    memset(out, 0, sizeof *out);
    const json_t *pods = hpa_array(one, "pods", diff), *metrics = hpa_array(one, "metrics", diff);
    const int container = hpa_container(json_object_get(one, "container"), diff);
    if (pods == NULL || metrics == NULL) {
        pr_buf_str(diff, "pods or metrics are missing\n");
        return;
    }
    out->pod = calloc(json_array_size(pods) + 1, sizeof *out->pod);
    if (out->pod == NULL) {
        pr_buf_str(diff, "out of memory\n");
        return;
    }
    out->n = json_array_size(pods);
    out->readings = json_array_size(metrics);
    size_t i;
    json_t *v;
    json_array_foreach((json_t *)pods, i, v) read_pod(v, exact, container, &out->pod[i], diff);
    json_array_foreach((json_t *)metrics, i, v) read_metric(v, exact, container, out, diff);
}

void hpa_pods_done(struct hpa_pods *p)
{
    free(p->pod);
    memset(p, 0, sizeof *p);
}

/* The cases' clocks: 0 is now. */
static struct autoscale_hpa_clock clock_of(const json_t *one, struct pr_buf *diff)
{
    return (struct autoscale_hpa_clock){
        .now_ms = 0,
        .init_ms = -hpa_ago_or(one, "init_period_s", -120000, diff),
        .readiness_delay_ms = -hpa_ago_or(one, "initial_readiness_delay_s", -10000, diff),
    };
}

static bool about_cpu(const json_t *one, struct pr_buf *diff)
{
    const json_t *v = json_object_get(one, "resource");
    if (v == NULL || json_is_null(v))
        return true;
    if (!json_is_string(v))
        pr_buf_str(diff, "resource: no text\n");
    return json_is_string(v) && strcmp(json_string_value(v), "cpu") == 0;
}

void hpa_case_resource(const json_t *one, struct pr_buf *diff)
{
    const size_t start = diff->len;
    hpa_known(one, "",
              "current target_pct container tolerance tolerance_down tolerance_up pods metrics "
              "resource init_period_s initial_readiness_delay_s ",
              diff);
    const json_t *expect = hpa_expect(one, "replicas utilization_pct raw_m error ", diff);
    const int32_t current = hpa_int32(one, "current", diff);
    const int32_t target = hpa_int32(one, "target_pct", diff);
    const struct autoscale_hpa_tolerance t = hpa_tolerance(one, diff);
    const struct autoscale_hpa_clock clock = clock_of(one, diff);
    const bool cpu = about_cpu(one, diff);
    struct hpa_pods pods;
    hpa_pods_read(one, false, &pods, diff);
    if (diff->len == start) {
        struct pr_err err = { 0 };
        struct autoscale_hpa_counts c;
        struct autoscale_hpa_proposal got = { 0 };
        autoscale_hpa_count(pods.pod, pods.n, &clock, cpu, target, &c);
        c.strangers = pods.strangers;
        c.strangers_usage = pods.strangers_usage;
        const enum pr_code rc =
            pods.readings == 0
                ? pr_fail(&err, PR_EDATA,
                          "unable to get metrics for resource %s: no metrics returned from "
                          "resource metrics API",
                          cpu ? "cpu" : "memory")
                : autoscale_hpa_utilization(&c, current, target, t, &got, &err);
        if (hpa_want_rc(expect, rc, &err, diff)) {
            hpa_want_int(expect, "replicas", got.replicas, diff);
            hpa_want_int(expect, "utilization_pct", got.usage, diff);
            hpa_want_int(expect, "raw_m", got.raw, diff);
        }
    }
    hpa_pods_done(&pods);
}

static void want_names(const json_t *expect, const char *field, const struct hpa_pods *pods,
                       const struct autoscale_hpa_clock *clock, bool cpu,
                       enum autoscale_hpa_group group, struct pr_buf *diff)
{
    const json_t *want = json_object_get(expect, field);
    if (!json_is_array(want)) {
        pr_buf_printf(diff, "expect: %s is missing\n", field);
        return;
    }
    size_t found = 0;
    for (size_t i = 0; i < pods->n; i++) {
        if (autoscale_hpa_group(&pods->pod[i], clock, cpu) != group)
            continue;
        bool wanted = false;
        for (size_t j = 0; j < json_array_size(want); j++) {
            const char *name = json_string_value(json_array_get(want, j));
            wanted |= name != NULL && strcmp(name, pods->pod[i].name) == 0;
        }
        found++;
        if (!wanted)
            pr_buf_printf(diff, "%s: got %s, want it elsewhere\n", field, pods->pod[i].name);
    }
    if (found != json_array_size(want))
        pr_buf_printf(diff, "%s: got %zu, want %zu\n", field, found, json_array_size(want));
}

void hpa_case_group_pods(const json_t *one, struct pr_buf *diff)
{
    const size_t start = diff->len;
    hpa_known(one, "", "init_period_s initial_readiness_delay_s resource pods metrics ", diff);
    const json_t *expect = hpa_expect(one, "ready_count unready missing ignored ", diff);
    const struct autoscale_hpa_clock clock = clock_of(one, diff);
    const bool cpu = about_cpu(one, diff);
    struct hpa_pods pods;
    hpa_pods_read(one, true, &pods, diff);
    if (diff->len == start) {
        struct autoscale_hpa_counts c;
        autoscale_hpa_count(pods.pod, pods.n, &clock, cpu, 0, &c);
        hpa_want_int(expect, "ready_count", c.ready, diff);
        want_names(expect, "unready", &pods, &clock, cpu, AUTOSCALE_HPA_UNREADY, diff);
        want_names(expect, "missing", &pods, &clock, cpu, AUTOSCALE_HPA_MISSING, diff);
        want_names(expect, "ignored", &pods, &clock, cpu, AUTOSCALE_HPA_IGNORED, diff);
    }
    hpa_pods_done(&pods);
}
