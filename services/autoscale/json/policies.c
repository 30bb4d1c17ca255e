#include "json/tables.h"

#include <string.h>

const char *const autoscale_metric_names[AUTOSCALE_METRICS] = { "cpu", "memory", "network",
                                                                "backlog", "load" };
const char *const autoscale_move_names[4] = { "hold", "out", "in", "unknown" };

#define METRIC      .kind = FIELD_NAME, .names = autoscale_metric_names, .cap = AUTOSCALE_METRICS
#define DAY_MS      .kind = FIELD_I64, .lo = 0, .hi = 86400000
#define NAMES(list) .kind = FIELD_NAME, .names = (list), .cap = PR_COUNT(list)
#define MANY(type, title, member, table)                                                           \
    {                                                                                              \
        .name = title, .kind = FIELD_ARRAY, .at = offsetof(type, member),                          \
        .cap = PR_COUNT(((type *)0)->member), .count = offsetof(type, member##s),                  \
        .count_is = COUNT_SIZE, .of = &(table)                                                     \
    }

/* --- rules ------------------------------------------------------------------------------- */

#define R(member) F(struct autoscale_rule, member)
static const struct field rule_rows[] = {
    { R(metric), METRIC, .flags = FIELD_NEEDED },
    { R(threshold), .kind = FIELD_REAL, .flags = FIELD_NEEDED },
    { R(step_pct), .kind = FIELD_REAL, .flags = FIELD_NEEDED },
    { R(sustained_ms), DAY_MS, .flags = FIELD_NEEDED },
    { R(cooldown_ms), DAY_MS, .flags = FIELD_NEEDED },
};
static const struct field_table rule_fields = FIELD_TABLE(rule_rows, struct autoscale_rule, NULL);
static const struct field rules_rows[] = {
    MANY(struct autoscale_rules, "rules", rule, rule_fields),
};
static const struct field_table rules_fields =
    FIELD_TABLE(rules_rows, struct autoscale_rules, NULL);

/* --- step -------------------------------------------------------------------------------- */

static const char *const adjustments[] = { "ChangeInCapacity", "ExactCapacity",
                                           "PercentChangeInCapacity" };
#define ST(member) F(struct autoscale_step, member)
static const struct field step_rows[] = {
    { ST(lower), .kind = FIELD_LOWER, .flags = FIELD_NEEDED },
    { ST(upper), .kind = FIELD_UPPER, .flags = FIELD_NEEDED },
    { ST(adjust), .kind = FIELD_REAL, .flags = FIELD_NEEDED },
};
static const struct field_table one_step_fields =
    FIELD_TABLE(step_rows, struct autoscale_step, NULL);

#define AL(member) F(struct autoscale_step_alarm, member)
static const struct field alarm_rows[] = {
    { AL(metric), METRIC, .flags = FIELD_NEEDED },
    { AL(high), .kind = FIELD_BOOL, .flags = FIELD_NEEDED },
    { AL(threshold), .kind = FIELD_REAL, .flags = FIELD_NEEDED },
    { AL(datapoints), .kind = FIELD_INT, .lo = 1, .hi = 1440, .flags = FIELD_NEEDED },
    { AL(type), NAMES(adjustments), .flags = FIELD_NEEDED },
    { AL(min_magnitude), .kind = FIELD_INT, .lo = 0, .hi = 1e6 },
    MANY(struct autoscale_step_alarm, "steps", step, one_step_fields),
};
static const struct field_table alarm_fields =
    FIELD_TABLE(alarm_rows, struct autoscale_step_alarm, NULL);

#define SP(member) F(struct autoscale_step_policy, member)
static const struct field step_policy_rows[] = {
    MANY(struct autoscale_step_policy, "alarms", alarm, alarm_fields),
    { SP(warmup_ms), DAY_MS },
    { SP(cooldown_ms), DAY_MS },
};
static const struct field_table step_fields =
    FIELD_TABLE(step_policy_rows, struct autoscale_step_policy, NULL);

/* --- target ------------------------------------------------------------------------------ */

#define TR(member) F(struct autoscale_tracker, member)
static const struct field tracker_rows[] = {
    { TR(metric), METRIC, .flags = FIELD_NEEDED },
    { TR(target), .kind = FIELD_REAL, .flags = FIELD_NEEDED },
    { TR(disable_scale_in), .kind = FIELD_BOOL },
};
static const struct field_table tracker_fields =
    FIELD_TABLE(tracker_rows, struct autoscale_tracker, NULL);

#define TP(member) F(struct autoscale_target_policy, member)
static const struct field target_rows[] = {
    MANY(struct autoscale_target_policy, "trackers", tracker, tracker_fields),
    { TP(low_ratio), .kind = FIELD_REAL, .lo = 0, .hi = 1 },
    { TP(high_minutes), .kind = FIELD_INT, .lo = 1, .hi = 1440 },
    { TP(low_minutes), .kind = FIELD_INT, .lo = 1, .hi = 1440 },
    { TP(warmup_ms), DAY_MS },
};
static const struct field_table target_fields =
    FIELD_TABLE(target_rows, struct autoscale_target_policy, NULL);

/* --- hpa --------------------------------------------------------------------------------- */

static const char *const selects[] = { "Max", "Min", "Disabled" };
static const char *const rate_types[] = { "Pods", "Percent" };
#define HR(member) F(struct autoscale_hpa_rule, member)
static const struct field rate_rows[] = {
    { HR(type), NAMES(rate_types), .flags = FIELD_NEEDED },
    { HR(value), .kind = FIELD_I32, .lo = 1, .hi = 1e6, .flags = FIELD_NEEDED },
    { HR(period_s), .kind = FIELD_I32, .lo = 1, .hi = AUTOSCALE_HPA_PERIOD_S,
      .flags = FIELD_NEEDED },
};
static const struct field_table rate_fields =
    FIELD_TABLE(rate_rows, struct autoscale_hpa_rule, NULL);

#define HB(member) F(struct autoscale_hpa_rules, member)
static const struct field behavior_rows[] = {
    { HB(stabilization_s), .kind = FIELD_I32, .lo = 0, .hi = AUTOSCALE_HPA_WINDOW_S },
    { HB(select), NAMES(selects) },
    MANY(struct autoscale_hpa_rules, "policies", rule, rate_fields),
};
static const struct field_table behavior_fields =
    FIELD_TABLE(behavior_rows, struct autoscale_hpa_rules, NULL);

#define HT(member) F(struct autoscale_hpa_tolerance, member)
static const struct field tolerance_rows[] = {
    { HT(down), .kind = FIELD_REAL, .lo = 0, .hi = 1 },
    { HT(up), .kind = FIELD_REAL, .lo = 0, .hi = 1 },
};
static const struct field_table tolerance_fields =
    FIELD_TABLE(tolerance_rows, struct autoscale_hpa_tolerance, NULL);

#define HM(member) F(struct autoscale_hpa_metric, member)
static const struct field hpa_metric_rows[] = {
    { HM(metric), METRIC, .flags = FIELD_NEEDED },
    { HM(target), .kind = FIELD_REAL, .flags = FIELD_NEEDED },
};
static const struct field_table hpa_metric_fields =
    FIELD_TABLE(hpa_metric_rows, struct autoscale_hpa_metric, NULL);

#define HP(member) F(struct autoscale_hpa_policy, member)
static const struct field hpa_rows[] = {
    MANY(struct autoscale_hpa_policy, "metrics", metric, hpa_metric_fields),
    { HP(tolerance), .kind = FIELD_OBJECT, .of = &tolerance_fields },
    { HP(up), .kind = FIELD_OBJECT, .of = &behavior_fields },
    { HP(down), .kind = FIELD_OBJECT, .of = &behavior_fields },
    { HP(init_ms), DAY_MS },
    { HP(readiness_delay_ms), DAY_MS },
    { HP(stale_ms), DAY_MS },
};
static const struct field_table hpa_fields =
    FIELD_TABLE(hpa_rows, struct autoscale_hpa_policy, NULL);

/* --- queue ------------------------------------------------------------------------------- */

#define Q(member) F(struct autoscale_queue, member)
static const struct field queue_rows[] = {
    { Q(backlog_per_worker), .kind = FIELD_REAL },
    { Q(latency_s), .kind = FIELD_REAL },
    { Q(seconds_per_message), .kind = FIELD_REAL },
    { Q(tolerance_pct), .kind = FIELD_REAL },
    { Q(out_ms), DAY_MS },
    { Q(in_ms), DAY_MS },
    { Q(in_pct), .kind = FIELD_REAL },
    { Q(alarm_after_ms), DAY_MS },
    { Q(warmup_ms), DAY_MS },
};
static const struct field_table queue_fields =
    FIELD_TABLE(queue_rows, struct autoscale_queue, NULL);

const struct field_table *const autoscale_policy_fields[AUTOSCALE_KINDS] = {
    [AUTOSCALE_RULES] = &rules_fields,
    [AUTOSCALE_STEP] = &step_fields,
    [AUTOSCALE_TARGET] = &target_fields,
    [AUTOSCALE_HPA] = &hpa_fields,
    [AUTOSCALE_ADAPTIVE] = &autoscale_adaptive_fields,
    [AUTOSCALE_QUEUE] = &queue_fields,
};
