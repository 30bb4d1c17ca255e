#include "cli/cases_hpa.h"

#include <stdlib.h>
#include <string.h>

/* pods_metric, object_metric, external_metric, per_pod_metric: figures without requests. */

#define METRIC_FIELDS                                                                              \
    "current target levels tolerance tolerance_down tolerance_up ready age_s pod_count phase "     \
    "deleting "

struct metric {
    int32_t current;
    int64_t target;
    struct autoscale_hpa_tolerance tolerance;
    int64_t *level; /* [levels], owned */
    size_t levels, pods;
};

static void read_levels(const json_t *one, struct metric *m, struct pr_buf *diff)
{
    const json_t *levels = hpa_array(one, "levels", diff);
    m->levels = json_array_size(levels);
    m->level = calloc(m->levels + 1, sizeof *m->level);
    if (levels == NULL || m->level == NULL) {
        pr_buf_str(diff, "levels are missing\n");
        m->levels = 0;
        return;
    }
    for (size_t i = 0; i < m->levels; i++)
        if (!hpa_number(json_array_get(levels, i), &m->level[i]))
            pr_buf_printf(diff, "levels: %zu is no whole number\n", i);
}

static void read(const json_t *one, struct metric *m, struct pr_buf *diff)
{
    hpa_known(one, "", METRIC_FIELDS, diff);
    m->current = hpa_int32(one, "current", diff);
    m->target = hpa_int(one, "target", diff);
    if (m->target <= 0)
        pr_buf_str(diff, "target: want a positive number\n");
    m->tolerance = hpa_tolerance(one, diff);
    read_levels(one, m, diff);
    const int64_t pods = hpa_int_or(one, "pod_count", m->current, diff);
    if (pods < 0 || pods > 1000000)
        pr_buf_printf(diff, "pod_count is %lld\n", (long long)pods);
    m->pods = pods < 0 || pods > 1000000 ? 0 : (size_t)pods;
}

/* Readiness and phase of pod i; those that the lists do not reach run and are ready. */
static struct autoscale_hpa_pod pod_of(const json_t *one, size_t i, struct pr_buf *diff)
{
    struct autoscale_hpa_pod p = { .started = true,
                                   .start_ms = AUTOSCALE_HPA_LONG_AGO,
                                   .judged = true,
                                   .ready = true,
                                   .ready_change_ms = AUTOSCALE_HPA_LONG_AGO };
    const json_t *ready = json_array_get(hpa_array(one, "ready", diff), i);
    const json_t *age = json_array_get(hpa_array(one, "age_s", diff), i); /* of no account */
    const json_t *deleting = json_array_get(hpa_array(one, "deleting", diff), i);
    p.phase = hpa_phase(json_array_get(hpa_array(one, "phase", diff), i), diff);
    p.ready = hpa_flag(ready, "ready", true, diff);
    p.deleting = hpa_flag(deleting, "deleting", false, diff);
    if (age != NULL && !json_is_null(age) && !json_is_number(age))
        pr_buf_str(diff, "age_s: no number of seconds\n");
    return p;
}

static void want(const json_t *expect, const struct autoscale_hpa_proposal *got,
                 struct pr_buf *diff)
{
    hpa_want_int(expect, "replicas", got->replicas, diff);
    hpa_want_int(expect, "usage", got->usage, diff);
}

void hpa_case_pods_metric(const json_t *one, struct pr_buf *diff)
{
    const size_t start = diff->len;
    struct metric m = { 0 };
    const json_t *expect = hpa_expect(one, "replicas usage error ", diff);
    read(one, &m, diff);
    struct autoscale_hpa_pod *pod = calloc(m.pods + 1, sizeof *pod);
    if (pod != NULL && diff->len == start) {
        struct autoscale_hpa_counts c;
        struct autoscale_hpa_proposal got = { 0 };
        struct pr_err err = { 0 };
        for (size_t i = 0; i < m.pods; i++) {
            pod[i] = pod_of(one, i, diff);
            pod[i].metered = i < m.levels;
            pod[i].usage = pod[i].metered ? m.level[i] : 0;
        }
        autoscale_hpa_count(pod, m.pods, &(struct autoscale_hpa_clock){ 0 }, false, 0, &c);
        for (size_t i = m.pods; i < m.levels; i++) {
            c.strangers++;
            c.strangers_usage = autoscale_hpa_sum((int64_t[]){ c.strangers_usage, m.level[i] }, 2);
        }
        const enum pr_code rc =
            autoscale_hpa_average(&c, m.current, m.target, m.tolerance, &got, &err);
        if (hpa_want_rc(expect, rc, &err, diff))
            want(expect, &got, diff);
    }
    free(pod);
    free(m.level);
}

void hpa_case_value_metric(const json_t *one, struct pr_buf *diff)
{
    const size_t start = diff->len;
    struct metric m = { 0 };
    const json_t *expect = hpa_expect(one, "replicas usage error ", diff);
    read(one, &m, diff);
    if (diff->len == start) {
        int64_t ready = 0;
        for (size_t i = 0; i < m.pods; i++) {
            const struct autoscale_hpa_pod p = pod_of(one, i, diff);
            ready += p.phase == AUTOSCALE_HPA_RUNNING && p.ready;
        }
        struct autoscale_hpa_proposal got;
        struct pr_err err = { 0 };
        autoscale_hpa_value(autoscale_hpa_sum(m.level, m.levels), m.target, m.current, ready,
                            m.tolerance, &got);
        enum pr_code rc = PR_OK;
        if (m.pods == 0 && m.current != 0 && !autoscale_hpa_within(m.tolerance, got.ratio))
            rc = pr_fail(&err, PR_EDATA,
                         "unable to calculate ready pods: no pods returned by selector while "
                         "calculating replica count");
        if (hpa_want_rc(expect, rc, &err, diff))
            want(expect, &got, diff);
    }
    free(m.level);
}

void hpa_case_per_pod_metric(const json_t *one, struct pr_buf *diff)
{
    const size_t start = diff->len;
    struct metric m = { 0 };
    const json_t *expect = hpa_expect(one, "replicas usage ", diff);
    read(one, &m, diff);
    if (diff->len == start) {
        struct autoscale_hpa_proposal got;
        autoscale_hpa_per_pod(autoscale_hpa_sum(m.level, m.levels), m.target, m.current,
                              m.tolerance, &got);
        want(expect, &got, diff);
    }
    free(m.level);
}

void hpa_case_per_pod_usage(const json_t *one, struct pr_buf *diff)
{
    const size_t start = diff->len;
    hpa_known(one, "", "usage current ", diff);
    const json_t *expect = hpa_expect(one, "usage ", diff);
    const int64_t usage = hpa_int(one, "usage", diff);
    const int32_t current = hpa_int32(one, "current", diff);
    if (diff->len == start)
        hpa_want_int(expect, "usage", autoscale_hpa_per_pod_usage(usage, current), diff);
}
