/* Conformance cases of target tracking, warm-up and cooldowns. */
#include "cli/cases_aws.h"

#include "cli/cases_read.h"
#include "core/aws.h"
#include "core/aws_group.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NO_LIMIT = 1000000000, MANY = 32 };

/* --- capacity ------------------------------------------------------------------------- */

void case_track(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    const int capacity = case_int(&f, "capacity|current|warm|in_service");
    const double target = case_number(&f, "target|target_value|target_utilization|TargetValue");
    const double total = case_number_or(&f, "backlog|queue|messages|total|load", NAN);
    const double each = isnan(total)
                            ? case_number(&f, "metric_per_instance|metric|utilization|value")
                        : capacity > 0 ? total / capacity
                                       : NAN;
    const int desired = case_int_or(&f, "desired", capacity);
    const bool no_in = case_bool_or(&f, "disable_scale_in|scale_in_disabled", false) ||
                       !case_bool_or(&f, "scale_in|scale_in_enabled", true);
    const int min = case_int_or(&f, "min", 0), max = case_int_or(&f, "max", NO_LIMIT);
    if (!(target > 0) || isnan(each)) {
        case_differs(&f, "no target above 0, or no capacity for the backlog");
        return;
    }
    int to = autoscale_track(capacity, each, target);
    if (to > capacity) /* those that warm up are part of what it needs */
        to = to > desired ? to : desired;
    else if (no_in || desired > capacity)
        to = desired;
    case_expect(&f, "capacity|desired|instances", autoscale_within(to, min, max));
    case_leftover(&f);
}

void case_track_round(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    const double delta = case_number(&f, "delta|change|needs");
    case_expect(&f, "delta|change", autoscale_track(1, delta, 1));
    case_leftover(&f);
}

void case_backlog_target(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    const double latency = case_number(&f, "latency_s|acceptable_latency_s|max_latency_s");
    const double each =
        case_number(&f, "seconds_per_message|processing_s|message_s|average_processing_s");
    if (!(each > 0))
        case_differs(&f, "a message takes no time");
    else
        case_expect(&f, "target|backlog|backlog_per_instance",
                    autoscale_backlog_target(latency, each));
    case_leftover(&f);
}

/* --- several trackers ------------------------------------------------------------------- */

struct tracker {
    enum autoscale_move move;
    bool may_scale_in;
    bool is_step; /* it goes its own way in: nobody's consent is needed */
};

/* A word alone: "out", "in", ..., or that its scale-in is off. */
static bool read_word(const char *word, struct tracker *out)
{
    out->may_scale_in = !case_mentions(word, "disabled|out_only|no_scale_in|in_off");
    if (case_move(word, &out->move))
        return true;
    out->move = case_mentions(word, "insufficient|no_data|missing|unknown") ? AUTOSCALE_UNKNOWN
                                                                            : AUTOSCALE_HOLD;
    return out->move == AUTOSCALE_UNKNOWN || !out->may_scale_in;
}

static struct tracker read_tracker(const json_t *one, size_t i, struct pr_buf *diff)
{
    char at[32];
    snprintf(at, sizeof at, "policy %zu", i + 1);
    struct tracker t = { .move = AUTOSCALE_UNKNOWN, .may_scale_in = true };
    struct case_fields f = { .of = one, .at = at, .diff = diff };
    if (json_is_null(one)) /* no data */
        return t;
    if (json_is_string(one)) {
        if (!read_word(json_string_value(one), &t))
            case_differs(&f, "no word for out, in or hold: \"%.60s\"", json_string_value(one));
        return t;
    }
    f = case_inside(one, at, diff);
    if (json_object_size(one) == 0)
        case_differs(&f, "says nothing");
    (void)case_any(&f, "name");
    (void)case_any(&f, "metric");
    const char *word =
        case_text_or(&f, "wants|state|vote|ready|direction|action|alarm|decision|says", "unknown");
    if (!read_word(word, &t))
        case_differs(&f, "no word for out, in or hold: \"%.60s\"", word);
    const bool off = case_bool_or(
        &f, "disable_scale_in|scale_in_disabled|in_disabled|DisableScaleIn", !t.may_scale_in);
    const bool on = case_bool_or(&f, "scale_in|scale_in_enabled|in_enabled", !off);
    t.may_scale_in = on && !off;
    t.is_step = case_is(case_text_or(&f, "type|policy", "target"), "step|step_scaling|simple");
    if (!case_bool_or(&f, "data|has_data", true) && t.move != AUTOSCALE_OUT)
        t.move = AUTOSCALE_UNKNOWN;
    case_leftover(&f);
    return t;
}

/* "scale_in_enabled": one for all, or one for each. */
static void read_switches(struct case_fields *f, const char *names, bool enables, bool *may,
                          size_t n)
{
    const json_t *v = case_any(f, names);
    if (v == NULL || json_is_null(v))
        return;
    if (!json_is_boolean(v) && (!json_is_array(v) || json_array_size(v) != n)) {
        case_differs(f, "field \"%.*s\" is neither true or false nor one for each policy",
                     (int)strcspn(names, "|"), names);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *b = json_is_array(v) ? json_array_get(v, i) : v;
        may[i] = may[i] && json_is_true(b) == enables;
    }
}

void case_track_combine(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    const json_t *list = case_need(&f, "policies");
    const size_t n = json_array_size(list);
    enum autoscale_move move[MANY];
    bool may[MANY] = { false }, step_in = false;
    size_t trackers = 0;
    if (list != NULL && (n == 0 || n > MANY))
        case_differs(&f, "policies: %zu of them", n);
    for (size_t i = 0; i < n && i < MANY; i++) {
        const struct tracker t = read_tracker(json_array_get(list, i), i, diff);
        if (t.is_step && t.move != AUTOSCALE_OUT) {
            step_in = step_in || t.move == AUTOSCALE_IN;
            continue;
        }
        move[trackers] = t.move;
        may[trackers++] = t.may_scale_in;
    }
    read_switches(&f, "scale_in_enabled|scale_in", true, may, trackers);
    read_switches(&f, "scale_in_disabled|disable_scale_in", false, may, trackers);
    enum autoscale_move got = autoscale_track_combine(move, may, trackers);
    if (got == AUTOSCALE_HOLD && step_in)
        got = AUTOSCALE_IN;
    case_expect_move(&f, got);
    case_leftover(&f);
}

/* --- alarms ------------------------------------------------------------------------------ */

static double low_ratio(struct case_fields *f)
{
    const char *service = case_text(f, "service|platform|group|resource");
    if (case_mentions(service, "ec2|asg|auto_scaling_group"))
        return 0.7;
    if (case_mentions(service, "ecs|fargate"))
        return 0.9;
    case_differs(f, "nobody says where the low alarm of \"%.60s\" stands", service);
    return NAN;
}

static void check_alarm(const json_t *want, const char *at, const struct autoscale_alarm *got,
                        struct pr_buf *diff)
{
    struct case_fields f = case_inside(want, at, diff);
    const char *op = case_text(&f, "op|operator|comparison");
    const bool above = case_is(op, ">|gt|above|greaterthanthreshold");
    const bool below = case_is(op, "<|lt|below|lessthanthreshold");
    if (got->op == AUTOSCALE_ABOVE ? !above : !below)
        case_differs(&f, "op: computed \"%s\", want \"%.40s\"", autoscale_compare_text(got->op),
                     op);
    case_same(&f, "threshold", case_need(&f, "threshold"), got->threshold);
    case_same(&f, "datapoints", case_need(&f, "datapoints|datapoints_to_alarm|points"),
              got->datapoints);
    const json_t *of = case_any(&f, "evaluation_periods|periods|of|out_of");
    if (of != NULL)
        case_same(&f, "evaluation_periods", of, got->datapoints);
    const json_t *minutes = case_any(&f, "period_min");
    if (minutes != NULL)
        case_same(&f, "period_min", minutes, (double)got->period_ms / AUTOSCALE_MINUTE_MS);
    else
        case_same(&f, "period_s", case_need(&f, "period_s|period"), (double)got->period_ms / 1000);
    case_leftover(&f);
}

void case_track_alarms(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    const double target = case_number(&f, "target|target_value"), ratio = low_ratio(&f);
    const bool no_in = case_bool_or(&f, "disable_scale_in|scale_in_disabled", false);
    const json_t *expect = case_need(&f, "expect");
    struct autoscale_alarm high, low;
    autoscale_track_alarms(target, ratio, &high, &low);
    struct case_fields e = case_inside(expect, "expect", diff);
    const json_t *h = case_any(&e, "high|alarm_high|AlarmHigh");
    const json_t *l = case_any(&e, "low|alarm_low|AlarmLow");
    if (h != NULL)
        check_alarm(h, "high", &high, diff);
    if (no_in ? l != NULL && !json_is_null(l) : l != NULL && json_is_null(l))
        case_differs(&e, "low: with scale-in %s there is %s alarm", no_in ? "off" : "on",
                     no_in ? "no" : "an");
    else if (l != NULL && !json_is_null(l))
        check_alarm(l, "low", &low, diff);
    if (h == NULL && l == NULL)
        case_differs(&e, "neither a high nor a low alarm");
    case_leftover(&e);
    case_leftover(&f);
}

/* --- warm-up ------------------------------------------------------------------------------- */

/* The group's metric: the mean of those that do not warm up. */
static void warm_mean(struct case_fields *f, const json_t *list)
{
    double sum = 0;
    int n = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct case_fields m = case_inside(json_array_get(list, i), "instances", f->diff);
        (void)case_any(&m, "id|name");
        const double value = case_number(&m, "metric|cpu|cpu_pct|value|utilization");
        if (!case_bool_or(&m, "warming|warming_up", false)) {
            sum += value;
            n++;
        }
        case_leftover(&m);
    }
    case_expect(f, "metric|mean|average", n > 0 ? sum / n : NAN);
}

/* The same, of two lists. */
static void warm_mean_of(struct case_fields *f, const json_t *metrics)
{
    const json_t *warming = case_need(f, "warming|warming_up");
    const size_t n = json_array_size(metrics);
    double sum = 0;
    int warm = 0;
    if (!json_is_array(warming) || json_array_size(warming) != n)
        case_differs(f, "warming: want true or false for each metric");
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(metrics, i), *w = json_array_get(warming, i);
        if (!json_is_number(v) || !json_is_boolean(w))
            case_differs(f, "metric %zu is no number, or warms up maybe", i + 1);
        sum += json_is_true(w) ? 0 : json_number_value(v);
        warm += !json_is_true(w);
    }
    case_expect(f, "metric|mean|average", warm > 0 ? sum / warm : NAN);
}

/* A move, or a word for that it may go on. */
static void check_lets(struct case_fields *f, enum autoscale_move got)
{
    const char *word = json_string_value(json_object_get(f->of, "expect"));
    enum autoscale_move any;
    const bool goes = got == AUTOSCALE_OUT || got == AUTOSCALE_IN;
    if (goes && !case_move(word, &any) && case_is(word, "allow|allowed|go|act|proceed|scale"))
        (void)case_any(f, "expect");
    else
        case_expect_move(f, got);
}

void case_warmup(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    const json_t *instances = case_any(&f, "instances|members");
    const json_t *metrics = case_any(&f, "metrics|values");
    if (json_is_array(instances)) {
        warm_mean(&f, instances);
    } else if (json_is_array(metrics)) {
        warm_mean_of(&f, metrics);
    } else if (json_object_get(one, "alarm") == NULL && json_object_get(one, "direction") == NULL) {
        /* Which of the settings holds. */
        const double policy = case_number_or(
            &f,
            "policy_warmup_s|estimated_instance_warmup_s|estimated_s|policy_s|instance_warmup_s",
            -1);
        const double group = case_number_or(
            &f, "default_instance_warmup_s|default_warmup_s|group_s|group_warmup_s", -1);
        const double cooldown = case_number_or(&f, "default_cooldown_s|cooldown_s", -1);
        if (policy < 0 && group < 0 && cooldown < 0)
            case_differs(&f, "no alarm, no instances and no warm-up");
        case_expect(
            &f, "warmup_s|seconds",
            (double)autoscale_warmup_of((int64_t)policy, (int64_t)group, (int64_t)cooldown));
    } else {
        const json_t *w = case_need(&f, "warming|warming_up|warming_instances");
        enum autoscale_move alarm = AUTOSCALE_HOLD;
        const char *word = case_text(&f, "alarm|direction");
        if (!case_move(word, &alarm))
            case_differs(&f, "no alarm \"%.40s\"", word);
        if (!json_is_number(w) && !json_is_boolean(w))
            case_differs(&f, "field \"warming\" is no number");
        const int warming =
            json_is_number(w) ? case_whole(&f, "warming", json_number_value(w)) : json_is_true(w);
        check_lets(&f, autoscale_warmup_lets(alarm, warming));
    }
    case_leftover(&f);
}

/* --- cooldown -------------------------------------------------------------------------------- */

static bool read_trigger(const char *word, enum autoscale_trigger *out)
{
    static const struct {
        const char *words;
        enum autoscale_trigger by;
    } list[] = {
        { "simple", AUTOSCALE_BY_SIMPLE },
        { "step", AUTOSCALE_BY_STEP },
        { "target|track", AUTOSCALE_BY_TARGET },
        { "predict", AUTOSCALE_BY_PREDICTIVE },
        { "schedul", AUTOSCALE_BY_SCHEDULE },
        { "manual|by_hand|set_desired", AUTOSCALE_BY_HAND },
        { "health|replace", AUTOSCALE_BY_REPLACEMENT }, /* and unhealthy */
    };
    for (size_t i = 0; i < PR_COUNT(list); i++)
        if (case_mentions(word, list[i].words)) {
            *out = list[i].by;
            return true;
        }
    return false;
}

static const char GO[] = "go|act|scale|proceed|run|immediate|now|continue|allow|replace|execute|"
                         "start|ignore|respond|evaluate|launch|ok|pass";

static void check_waits(struct case_fields *f, bool waits)
{
    const json_t *want = case_need(f, "expect");
    const char *word = json_string_value(want);
    const bool negated = case_mentions(word, "not|no_|without|never|unblocked");
    const bool waiting = case_mentions(word, "wait|hold|block|defer|delay|suspend");
    const bool wait = waiting && !negated;
    const bool go = waiting ? negated : case_mentions(word, GO);
    if (want != NULL && !wait && !go)
        case_differs(f, "expect: \"%.60s\" is no word for to wait or to go on",
                     word == NULL ? "?" : word);
    else if (want != NULL && wait != waits)
        case_differs(f, "expect: computed \"%s\"", waits ? "wait" : "go on");
}

void case_cooldown(const json_t *one, struct pr_buf *diff)
{
    enum { DEFAULT_S = 300 };
    struct case_fields f = case_open(one, diff);
    const json_t *trigger = case_any(&f, "policy|trigger|by|type|action");
    if (json_is_string(trigger)) {
        const char *word = json_string_value(trigger);
        enum autoscale_trigger by = AUTOSCALE_BY_SIMPLE;
        if (!read_trigger(word, &by))
            case_differs(&f, "nothing known that scales by \"%.60s\"", word);
        const bool honor =
            case_bool_or(&f, "honor|honor_cooldown|honors_cooldown|HonorCooldown",
                         case_mentions(word, "honor") && !case_mentions(word, "not|no_|without"));
        const bool cooling = case_bool_or(&f, "in_cooldown|cooling|cooldown", true);
        check_waits(&f, autoscale_cooldown_waits(by, cooling, honor));
    } else {
        /* How long: the policy's own, else the group's, else 300 s. */
        if (trigger != NULL)
            case_differs(&f, "field \"policy\" is no text");
        const double group = case_number_or(&f, "default_s|default_cooldown_s|group_s", DEFAULT_S);
        const double own = case_number_or(
            &f, "specific_s|policy_s|policy_cooldown_s|scaling_specific_s|cooldown_s", group);
        case_expect(&f, "cooldown_s|seconds", own);
    }
    case_leftover(&f);
}
