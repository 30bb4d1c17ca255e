/* Conformance cases of AWS and of the reference: the table, and the kinds of adjustments and
 * steps. Fields are read by the names that the schema shows and those that AWS's API and guide
 * have for them. */
#include "cli/cases_aws.h"

#include "cli/cases_read.h"
#include "core/aws.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NO_LIMIT = 1000000000 };

static enum autoscale_adjustment read_type(struct case_fields *f)
{
    static const char *const words[] = {
        "changeincapacity|change_in_capacity|change", "exactcapacity|exact_capacity|exact",
        "percentchangeincapacity|percent_change_in_capacity|percent"
    };
    const char *name = case_text(f, "type|adjustment_type|AdjustmentType");
    for (size_t i = 0; i < PR_COUNT(words); i++)
        if (case_is(name, words[i]))
            return (enum autoscale_adjustment)i;
    case_differs(f, "no adjustment type \"%.60s\"", name);
    return AUTOSCALE_CHANGE_IN_CAPACITY;
}

static double read_adjustment(struct case_fields *f)
{
    return case_number(f, "adjust|adjustment|change|scaling_adjustment|ScalingAdjustment");
}

static int read_magnitude(struct case_fields *f)
{
    return case_int_or(f, "min_magnitude|min_step|min_adjustment_magnitude|MinAdjustmentMagnitude",
                       0);
}

struct limits {
    int min, max;
};

static struct limits read_limits(struct case_fields *f)
{
    struct limits l;
    l.min = case_int_or(f, "min|min_size|MinSize", 0);
    l.max = case_int_or(f, "max|max_size|MaxSize", NO_LIMIT);
    return l;
}

static void round_percent(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    const double value = case_number(&f, "value|change|raw");
    case_expect(&f, "value|rounded|change", autoscale_round_percent(value));
    case_leftover(&f);
}

static void adjust(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    const enum autoscale_adjustment type = read_type(&f);
    const int capacity = case_int(&f, "capacity|current");
    const double by = read_adjustment(&f);
    const int magnitude = read_magnitude(&f);
    const struct limits l = read_limits(&f);
    const int to = autoscale_adjusted(type, capacity, by, magnitude);
    case_expect(&f, "capacity|desired|instances", autoscale_within(to, l.min, l.max));
    case_leftover(&f);
}

/* --- steps ---------------------------------------------------------------------------- */

/* Bounds may be null, or not there: none. */
static double read_bound(struct case_fields *f, const char *names, double none)
{
    return case_number_or(f, names, none);
}

static void read_bounds(struct case_fields *f, double *lower, double *upper)
{
    *lower = read_bound(f, "lower|lower_bound|from|MetricIntervalLowerBound", -INFINITY);
    *upper = read_bound(f, "upper|upper_bound|to|MetricIntervalUpperBound", INFINITY);
}

static size_t read_steps(struct case_fields *f, struct autoscale_step step[AUTOSCALE_STEPS])
{
    const json_t *list = case_need(f, "steps|step_adjustments|StepAdjustments");
    const size_t n = json_array_size(list);
    if (!json_is_array(list) || n > AUTOSCALE_STEPS) {
        case_differs(f, "steps: %zu of them, or no array", n);
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        char at[32];
        snprintf(at, sizeof at, "step %zu", i + 1);
        struct case_fields s = case_inside(json_array_get(list, i), at, f->diff);
        read_bounds(&s, &step[i].lower, &step[i].upper);
        step[i].adjust = read_adjustment(&s);
        case_leftover(&s);
    }
    return n;
}

static struct autoscale_step_alarm read_policy(struct case_fields *f)
{
    struct autoscale_step_alarm a = { .threshold = case_number(f, "threshold|alarm_threshold"),
                                      .type = read_type(f),
                                      .min_magnitude = read_magnitude(f) };
    a.steps = read_steps(f, a.step);
    return a;
}

/* The alarm of that direction is on: at the threshold, or on its side of it. */
static bool alarm_on(struct case_fields *f, const struct autoscale_step_alarm *a, double metric)
{
    const char *word = case_text_or(f, "direction|alarm", NULL);
    enum autoscale_move way = AUTOSCALE_HOLD;
    if (isnan(metric))
        return false;
    if (word == NULL)
        return true;
    if (!case_move(word, &way) || (way != AUTOSCALE_OUT && way != AUTOSCALE_IN)) {
        case_differs(f, "no direction \"%.40s\"", word);
        return false;
    }
    return way == AUTOSCALE_OUT ? metric >= a->threshold : metric <= a->threshold;
}

static void step(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    const json_t *inner = case_any(&f, "policy");
    struct autoscale_step_alarm a;
    if (inner == NULL) {
        a = read_policy(&f);
    } else {
        struct case_fields p = case_inside(inner, "policy", diff);
        a = read_policy(&p);
        case_leftover(&p);
    }
    const json_t *value = case_need(&f, "metric|value");
    const double metric = json_is_null(value) ? NAN : json_number_value(value);
    if (value != NULL && !json_is_null(value) && !json_is_number(value))
        case_differs(&f, "field \"metric\" is no number");
    const int warm = case_int(&f, "capacity|warm|current");
    const int warming = case_int_or(&f, "warming", 0);
    const int desired = case_int_or(&f, "desired", warm + warming);
    const struct limits l = read_limits(&f);
    const int to =
        alarm_on(&f, &a, metric) ? autoscale_step_wanted(&a, metric, warm, desired) : desired;
    case_expect(&f, "desired|capacity|instances", autoscale_within(to, l.min, l.max));
    case_leftover(&f);
}

static void each_value(struct case_fields *f, const char *name, bool want, double threshold,
                       double lower, double upper)
{
    const json_t *list = case_any(f, name);
    if (list != NULL && !json_is_array(list))
        case_differs(f, "field \"%s\" is no array", name);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_number(v))
            case_differs(f, "%s: entry %zu is no number", name, i + 1);
        else if (autoscale_step_holds(threshold, lower, upper, json_number_value(v)) != want)
            case_differs(f, "%s: %.12g is %s", name, json_number_value(v),
                         want ? "rejected" : "matched");
    }
}

static void step_bounds(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    const double threshold = case_number(&f, "threshold");
    double lower, upper;
    read_bounds(&f, &lower, &upper);
    each_value(&f, "matches", true, threshold, lower, upper);
    each_value(&f, "rejects", false, threshold, lower, upper);
    const json_t *metric = case_any(&f, "metric|value");
    if (metric != NULL) { /* one value, and whether it matches */
        const json_t *want = case_need(&f, "expect");
        const bool holds = autoscale_step_holds(threshold, lower, upper, json_number_value(metric));
        if (!json_is_number(metric) || !json_is_boolean(want) || json_is_true(want) != holds)
            case_differs(&f, "expect: computed %s", holds ? "true" : "false");
    } else if (json_object_get(one, "matches") == NULL && json_object_get(one, "rejects") == NULL) {
        case_differs(&f, "neither \"matches\" nor \"rejects\"");
    }
    case_leftover(&f);
}

static void step_validate(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    struct autoscale_step list[AUTOSCALE_STEPS];
    (void)case_any(&f, "type|adjustment_type"); /* bounds are checked the same for all */
    (void)case_any(&f, "threshold");
    const size_t n = read_steps(&f, list);
    struct pr_err err = { 0 };
    const bool ok = autoscale_steps_check(list, n, &err) == PR_OK;
    const json_t *want = case_need(&f, "expect");
    const char *word = json_string_value(want);
    const bool yes = json_is_true(want) || case_is(word, "accept|accepted|ok|valid|pass");
    const bool no = json_is_false(want) || case_is(word, "reject|rejected|invalid|error|fail");
    if (want != NULL && !yes && !no)
        case_differs(&f, "expect: neither accept nor reject");
    else if (want != NULL && yes != ok)
        case_differs(&f, "expect: computed \"%s\", want \"%s\"%s%s", ok ? "accept" : "reject",
                     yes ? "accept" : "reject", ok ? "" : ": ", ok ? "" : err.text);
    case_leftover(&f);
}

/* --- several policies ------------------------------------------------------------------ */

/* What one policy asks for: an adjustment, or a capacity that it has computed itself. */
static int asked_capacity(const json_t *policy, size_t i, int capacity, struct pr_buf *diff)
{
    char at[32];
    snprintf(at, sizeof at, "policy %zu", i + 1);
    if (json_is_number(policy)) {
        struct case_fields f = { .of = policy, .at = at, .diff = diff };
        return case_whole(&f, "policies", json_number_value(policy));
    }
    struct case_fields f = case_inside(policy, at, diff);
    (void)case_any(&f, "name");
    const json_t *own = case_any(&f, "needs|required|desired|capacity|instances|wants");
    int to = 0;
    if (own != NULL) {
        (void)case_any(&f, "type");
        if (!json_is_number(own))
            case_differs(&f, "its capacity is no number");
        to = case_whole(&f, "capacity", json_number_value(own));
    } else {
        const enum autoscale_adjustment type = read_type(&f);
        const double by = read_adjustment(&f);
        to = autoscale_adjusted(type, capacity, by, read_magnitude(&f));
    }
    case_leftover(&f);
    return to;
}

static void multi_policy(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    const int capacity = case_int(&f, "capacity|current|desired");
    const struct limits l = read_limits(&f);
    const json_t *list = case_need(&f, "policies");
    int largest = 0;
    if (list != NULL && json_array_size(list) == 0)
        case_differs(&f, "policies: none");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const int to = asked_capacity(json_array_get(list, i), i, capacity, diff);
        largest = i == 0 || to > largest ? to : largest;
    }
    case_expect(&f, "capacity|desired|instances", autoscale_within(largest, l.min, l.max));
    case_leftover(&f);
}

const struct autoscale_case_kind autoscale_aws_cases[] = {
    { "round_percent", round_percent },
    { "adjust", adjust },
    { "step", step },
    { "step_bounds", step_bounds },
    { "step_validate", step_validate },
    { "multi_policy", multi_policy },
    { "track", case_track },
    { "track_round", case_track_round },
    { "track_combine", case_track_combine },
    { "track_alarms", case_track_alarms },
    { "backlog_target", case_backlog_target },
    { "warmup", case_warmup },
    { "cooldown", case_cooldown },
    { "predictive", case_predictive },
    { "predictive_params", case_predictive_params },
    { "warm_pool", case_warm_pool },
    { "rebalance_limit", case_rebalance_limit },
    { "zone_launch", case_zone_launch },
    { "zone_terminate", case_zone_terminate },
    { "termination_order", case_termination_order },
    { "refresh_timeline", case_refresh_timeline },
    { "refresh_checkpoint", case_refresh_checkpoint },
    { "memo_rules", case_memo_rules },
    { "memo_percent", case_memo_percent },
    { "memo_appendix_e", case_memo_appendix_e },
};
const size_t autoscale_aws_cases_count = PR_COUNT(autoscale_aws_cases);
