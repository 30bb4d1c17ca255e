/* Conformance cases of Kubernetes' horizontal pod autoscaler. */
#include "cli/cases_hpa.h"

#include <string.h>

enum { ENTRIES = 256 };

/* Both directions' past changes. */
struct events {
    struct autoscale_hpa_entry up_entry[ENTRIES], down_entry[ENTRIES];
    struct autoscale_hpa_log up, down;
};

static void read_events(const json_t *one, struct events *e, struct pr_buf *diff)
{
    e->up = (struct autoscale_hpa_log){ e->up_entry, 0, ENTRIES };
    e->down = (struct autoscale_hpa_log){ e->down_entry, 0, ENTRIES };
    hpa_entries(hpa_array(one, "up_events", diff), "up_events", &e->up, diff);
    hpa_entries(hpa_array(one, "down_events", diff), "down_events", &e->down, diff);
}

static void clamp_default(const json_t *one, struct pr_buf *diff)
{
    const size_t start = diff->len;
    hpa_known(one, "", "current desired min max ", diff);
    const json_t *expect = hpa_expect(one, "replicas reason ", diff);
    const struct autoscale_hpa_bounds b = { hpa_int32(one, "min", diff),
                                            hpa_int32(one, "max", diff),
                                            hpa_int32(one, "current", diff) };
    const int32_t desired = hpa_int32(one, "desired", diff);
    if (diff->len != start)
        return;
    enum autoscale_hpa_reason why;
    hpa_want_int(expect, "replicas", autoscale_hpa_clamp(b, desired, &why), diff);
    hpa_want_string(expect, "reason", autoscale_hpa_reason_name(why), diff);
}

static void limit(const json_t *one, bool up, struct pr_buf *diff)
{
    const size_t start = diff->len;
    hpa_known(one, "", "current rules up_events down_events ", diff);
    const json_t *expect = hpa_expect(one, "limit ", diff);
    const int32_t current = hpa_int32(one, "current", diff);
    const struct autoscale_hpa_rules rules =
        hpa_rules(json_object_get(one, "rules"), "rules",
                  up ? autoscale_hpa_up_rules() : autoscale_hpa_down_rules(), diff);
    struct events e;
    read_events(one, &e, diff);
    if (diff->len == start)
        hpa_want_int(expect, "limit",
                     up ? autoscale_hpa_up_limit(current, &e.up, &e.down, &rules, 0)
                        : autoscale_hpa_down_limit(current, &e.up, &e.down, &rules, 0),
                     diff);
}

static void up_limit(const json_t *one, struct pr_buf *diff)
{
    limit(one, true, diff);
}

static void down_limit(const json_t *one, struct pr_buf *diff)
{
    limit(one, false, diff);
}

static void behavior_rate(const json_t *one, struct pr_buf *diff)
{
    const size_t start = diff->len;
    hpa_known(one, "", "current desired min max scale_up scale_down up_events down_events ", diff);
    const json_t *expect = hpa_expect(one, "replicas reason ", diff);
    const struct autoscale_hpa_bounds b = { hpa_int32(one, "min", diff),
                                            hpa_int32(one, "max", diff),
                                            hpa_int32(one, "current", diff) };
    const int32_t desired = hpa_int32(one, "desired", diff);
    const struct autoscale_hpa_rules up =
        hpa_rules(json_object_get(one, "scale_up"), "scale_up", autoscale_hpa_up_rules(), diff);
    const struct autoscale_hpa_rules down = hpa_rules(
        json_object_get(one, "scale_down"), "scale_down", autoscale_hpa_down_rules(), diff);
    struct events e;
    read_events(one, &e, diff);
    if (diff->len != start)
        return;
    enum autoscale_hpa_reason why;
    hpa_want_int(expect, "replicas",
                 autoscale_hpa_clamp_rate(b, desired, &up, &down, &e.up, &e.down, 0, &why), diff);
    hpa_want_string(expect, "reason", autoscale_hpa_reason_name(why), diff);
}

static void stabilize_down_only(const json_t *one, struct pr_buf *diff)
{
    const size_t start = diff->len;
    hpa_known(one, "", "window_s history desired ", diff);
    const json_t *expect = hpa_expect(one, "replicas log_len ", diff);
    struct autoscale_hpa_entry entry[ENTRIES];
    struct autoscale_hpa_log log = { entry, 0, ENTRIES };
    const int64_t window_ms = -hpa_ago_or(one, "window_s", -300000, diff);
    const int32_t desired = hpa_int32(one, "desired", diff);
    hpa_entries(hpa_array(one, "history", diff), "history", &log, diff);
    if (diff->len != start)
        return;
    hpa_want_int(expect, "replicas", autoscale_hpa_stabilize_down(&log, desired, window_ms, 0),
                 diff);
    hpa_want_int(expect, "log_len", log.n, diff);
}

/* expect.log against the log's values; null: not checked. */
static void want_log(const json_t *expect, const struct autoscale_hpa_log *log, struct pr_buf *diff)
{
    const json_t *want = json_object_get(expect, "log");
    if (want == NULL || json_is_null(want))
        return;
    if (!json_is_array(want) || json_array_size(want) != (size_t)log->n) {
        pr_buf_printf(diff, "log: got %d entries, want %zu\n", log->n, json_array_size(want));
        return;
    }
    for (int32_t i = 0; i < log->n; i++) {
        const json_t *v = json_array_get(want, (size_t)i);
        const json_t *outdated = json_object_get(v, "outdated");
        int64_t value = 0;
        if (json_is_object(v))
            hpa_known(v, "expect: log", "change value age_s outdated ", diff);
        const json_t *change = json_object_get(v, "change");
        if (!hpa_number(!json_is_object(v) ? v
                        : change != NULL   ? change
                                           : json_object_get(v, "value"),
                        &value))
            pr_buf_printf(diff, "expect: log: entry %d is not understood\n", i);
        else if (value != log->entry[i].value)
            pr_buf_printf(diff, "log: entry %d: got %d, want %lld\n", i, log->entry[i].value,
                          (long long)value);
        if (outdated != NULL && !json_is_boolean(outdated))
            pr_buf_printf(diff, "expect: log: entry %d: outdated: neither true nor false\n", i);
        else if (outdated != NULL && json_is_true(outdated) != (log->entry[i].outdated != 0))
            pr_buf_printf(diff, "log: entry %d: outdated: got %d\n", i, log->entry[i].outdated);
    }
}

static void stabilize(const json_t *one, struct pr_buf *diff)
{
    const size_t start = diff->len;
    hpa_known(one, "", "history current desired up_window_s down_window_s ", diff);
    const json_t *expect = hpa_expect(one, "replicas log ", diff);
    struct autoscale_hpa_entry entry[ENTRIES];
    struct autoscale_hpa_log log = { entry, 0, ENTRIES };
    const int32_t current = hpa_int32(one, "current", diff);
    const int32_t desired = hpa_int32(one, "desired", diff);
    const int32_t up_s = hpa_int32(one, "up_window_s", diff);
    const int32_t down_s = hpa_int32(one, "down_window_s", diff);
    hpa_entries(hpa_array(one, "history", diff), "history", &log, diff);
    if (diff->len != start)
        return;
    hpa_want_int(expect, "replicas",
                 autoscale_hpa_stabilize(&log, current, desired, up_s, down_s, 0), diff);
    want_log(expect, &log, diff);
}

static void store_event(const json_t *one, struct pr_buf *diff)
{
    const size_t start = diff->len;
    hpa_known(one, "", "change previous rules ", diff);
    const json_t *expect = hpa_expect(one, "change_in_60s log ", diff);
    const json_t *given = json_object_get(one, "rules");
    struct autoscale_hpa_entry entry[ENTRIES];
    struct autoscale_hpa_log log = { entry, 0, ENTRIES };
    const int32_t change = hpa_int32(one, "change", diff);
    const struct autoscale_hpa_rules rules =
        hpa_rules(given, "rules", autoscale_hpa_up_rules(), diff);
    hpa_entries(hpa_array(one, "previous", diff), "previous", &log, diff);
    if (!json_is_array(json_object_get(expect, "log")))
        pr_buf_str(diff, "expect: log is missing\n");
    if (diff->len != start)
        return;
    hpa_want_int(expect, "change_in_60s", autoscale_hpa_changed(&log, 60, 0), diff);
    if (given != NULL && !json_is_null(given)) /* who has no behavior remembers nothing */
        autoscale_hpa_store(&log, change, &rules, 0, 0);
    want_log(expect, &log, diff);
}

const struct autoscale_case_kind autoscale_hpa_cases[] = {
    { "resource", hpa_case_resource },
    { "pods_metric", hpa_case_pods_metric },
    { "object_metric", hpa_case_value_metric },
    { "external_metric", hpa_case_value_metric },
    { "per_pod_metric", hpa_case_per_pod_metric },
    { "per_pod_usage", hpa_case_per_pod_usage },
    { "group_pods", hpa_case_group_pods },
    { "clamp_default", clamp_default },
    { "up_limit", up_limit },
    { "down_limit", down_limit },
    { "behavior_rate", behavior_rate },
    { "stabilize_down_only", stabilize_down_only },
    { "stabilize", stabilize },
    { "store_event", store_event },
    { "reconcile", hpa_case_reconcile },
};
const size_t autoscale_hpa_cases_count = PR_COUNT(autoscale_hpa_cases);
