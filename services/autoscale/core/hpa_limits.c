#include "core/hpa_limits.h"

#include "core/hpa_replicas.h"

#include <math.h>

const char *autoscale_hpa_reason_name(enum autoscale_hpa_reason r)
{
    switch (r) {
    case AUTOSCALE_HPA_TOO_FEW:
        return "TooFewReplicas";
    case AUTOSCALE_HPA_TOO_MANY:
        return "TooManyReplicas";
    case AUTOSCALE_HPA_UP_LIMIT:
        return "ScaleUpLimit";
    case AUTOSCALE_HPA_DOWN_LIMIT:
        return "ScaleDownLimit";
    case AUTOSCALE_HPA_WITHIN_RANGE:
        break;
    }
    return "DesiredWithinRange";
}

struct autoscale_hpa_rules autoscale_hpa_up_rules(void)
{
    return (struct autoscale_hpa_rules){
        .stabilization_s = 0,
        .select = AUTOSCALE_HPA_MAX,
        .rule = { { AUTOSCALE_HPA_PODS, 4, 15 }, { AUTOSCALE_HPA_PERCENT, 100, 15 } },
        .rules = 2,
    };
}

struct autoscale_hpa_rules autoscale_hpa_down_rules(void)
{
    return (struct autoscale_hpa_rules){
        .stabilization_s = 300,
        .select = AUTOSCALE_HPA_MAX,
        .rule = { { AUTOSCALE_HPA_PERCENT, 100, 15 } },
        .rules = 1,
    };
}

static int32_t at_least(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static int32_t at_most(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static int32_t narrow(int64_t x)
{
    if (x > INT32_MAX)
        return INT32_MAX;
    return x < INT32_MIN ? INT32_MIN : (int32_t)x;
}

static int64_t s_ms(int32_t seconds)
{
    return (int64_t)seconds * 1000;
}

/* In place of entry `old`, or at the end. */
static void put(struct autoscale_hpa_log *log, int32_t old, struct autoscale_hpa_entry e)
{
    if (old < 0 && log->n < log->cap)
        old = log->n++;
    if (old < 0) {
        old = 0;
        for (int32_t i = 1; i < log->n; i++)
            if (log->entry[i].at_ms < log->entry[old].at_ms)
                old = i;
    }
    log->entry[old] = e;
}

int32_t autoscale_hpa_stabilize_down(struct autoscale_hpa_log *log, int32_t desired,
                                     int64_t window_ms, int64_t now_ms)
{
    int32_t highest = desired, old = -1;
    for (int32_t i = 0; i < log->n; i++) {
        if (now_ms - log->entry[i].at_ms > window_ms)
            old = i;
        else
            highest = at_least(highest, log->entry[i].value);
    }
    put(log, old, (struct autoscale_hpa_entry){ now_ms, desired, 0 });
    return highest;
}

int32_t autoscale_hpa_stabilize(struct autoscale_hpa_log *log, int32_t current, int32_t desired,
                                int32_t up_s, int32_t down_s, int64_t now_ms)
{
    int32_t lowest = desired, highest = desired, old = -1;
    for (int32_t i = 0; i < log->n; i++) {
        const int64_t age_ms = now_ms - log->entry[i].at_ms;
        if (age_ms < s_ms(up_s))
            lowest = at_most(lowest, log->entry[i].value);
        if (age_ms < s_ms(down_s))
            highest = at_least(highest, log->entry[i].value);
        if (age_ms > s_ms(up_s) && age_ms > s_ms(down_s))
            old = i;
    }
    put(log, old, (struct autoscale_hpa_entry){ now_ms, desired, 0 });
    return at_most(at_least(current, lowest), highest);
}

int32_t autoscale_hpa_changed(const struct autoscale_hpa_log *log, int32_t period_s, int64_t now_ms)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < log->n; i++)
        if (now_ms - log->entry[i].at_ms < s_ms(period_s))
            sum += log->entry[i].value;
    return narrow(sum);
}

void autoscale_hpa_store(struct autoscale_hpa_log *log, int32_t change,
                         const struct autoscale_hpa_rules *rules, int64_t at_ms, int64_t now_ms)
{
    int32_t longest_s = 0, old = -1;
    for (size_t i = 0; i < rules->rules; i++)
        longest_s = at_least(longest_s, rules->rule[i].period_s);
    for (int32_t i = 0; i < log->n; i++) {
        if (now_ms - log->entry[i].at_ms > s_ms(longest_s))
            log->entry[i].outdated = 1;
        if (log->entry[i].outdated)
            old = i;
    }
    put(log, old, (struct autoscale_hpa_entry){ at_ms, change, 0 });
}

/* How many there were before the changes of the last period. */
static int64_t before(int32_t current, const struct autoscale_hpa_log *up,
                      const struct autoscale_hpa_log *down, int32_t period_s, int64_t now_ms)
{
    return (int64_t)current - autoscale_hpa_changed(up, period_s, now_ms) +
           autoscale_hpa_changed(down, period_s, now_ms);
}

int32_t autoscale_hpa_up_limit(int32_t current, const struct autoscale_hpa_log *up,
                               const struct autoscale_hpa_log *down,
                               const struct autoscale_hpa_rules *rules, int64_t now_ms)
{
    if (rules->select == AUTOSCALE_HPA_DISABLED)
        return current;
    const bool least = rules->select == AUTOSCALE_HPA_MIN;
    int32_t limit = least ? INT32_MAX : INT32_MIN;
    for (size_t i = 0; i < rules->rules; i++) {
        const struct autoscale_hpa_rule *r = &rules->rule[i];
        const int64_t from = before(current, up, down, r->period_s, now_ms);
        int32_t to; /* rounded up: a few percent of few would be no change for ever */
        if (r->type == AUTOSCALE_HPA_PODS)
            to = narrow(from + r->value);
        else
            to = autoscale_hpa_ceil((double)from * (1 + (double)r->value / 100));
        limit = least ? at_most(limit, to) : at_least(limit, to);
    }
    return limit;
}

int32_t autoscale_hpa_down_limit(int32_t current, const struct autoscale_hpa_log *up,
                                 const struct autoscale_hpa_log *down,
                                 const struct autoscale_hpa_rules *rules, int64_t now_ms)
{
    if (rules->select == AUTOSCALE_HPA_DISABLED)
        return current;
    const bool least = rules->select == AUTOSCALE_HPA_MIN;
    int32_t limit = least ? INT32_MIN : INT32_MAX;
    for (size_t i = 0; i < rules->rules; i++) {
        const struct autoscale_hpa_rule *r = &rules->rule[i];
        const int64_t from = before(current, up, down, r->period_s, now_ms);
        int32_t to;
        if (r->type == AUTOSCALE_HPA_PODS) {
            to = narrow(from - r->value);
        } else {
            const double left = (double)from * (1 - (double)r->value / 100);
            to = autoscale_hpa_ceil(left < 0 ? left : floor(left)); /* towards 0 */
        }
        limit = least ? at_least(limit, to) : at_most(limit, to);
    }
    return limit;
}

int32_t autoscale_hpa_clamp(struct autoscale_hpa_bounds b, int32_t desired,
                            enum autoscale_hpa_reason *why)
{
    const int32_t rate = narrow(b.current > 2 ? 2 * (int64_t)b.current : 4);
    *why = AUTOSCALE_HPA_WITHIN_RANGE;
    if (desired < b.min) {
        *why = AUTOSCALE_HPA_TOO_FEW;
        return b.min;
    }
    if (desired > at_most(b.max, rate)) {
        *why = b.max > rate ? AUTOSCALE_HPA_UP_LIMIT : AUTOSCALE_HPA_TOO_MANY;
        return at_most(b.max, rate);
    }
    return desired;
}

int32_t autoscale_hpa_clamp_rate(struct autoscale_hpa_bounds b, int32_t desired,
                                 const struct autoscale_hpa_rules *up_rules,
                                 const struct autoscale_hpa_rules *down_rules,
                                 const struct autoscale_hpa_log *up,
                                 const struct autoscale_hpa_log *down, int64_t now_ms,
                                 enum autoscale_hpa_reason *why)
{
    *why = AUTOSCALE_HPA_WITHIN_RANGE;
    if (desired > b.current) { /* after a burst the limit may lie below what there is */
        const int32_t rate =
            at_least(autoscale_hpa_up_limit(b.current, up, down, up_rules, now_ms), b.current);
        if (desired > at_most(b.max, rate)) {
            *why = b.max > rate ? AUTOSCALE_HPA_UP_LIMIT : AUTOSCALE_HPA_TOO_MANY;
            return at_most(b.max, rate);
        }
    } else if (desired < b.current) {
        const int32_t rate =
            at_most(autoscale_hpa_down_limit(b.current, up, down, down_rules, now_ms), b.current);
        if (desired < at_least(b.min, rate)) {
            *why = b.min < rate ? AUTOSCALE_HPA_DOWN_LIMIT : AUTOSCALE_HPA_TOO_FEW;
            return at_least(b.min, rate);
        }
    }
    return desired;
}
