/* What becomes of a proposal: stabilization windows, rates of change, min and max, as
 * Kubernetes' horizontal pod autoscaler has them. Pure.
 * Source: Kubernetes documentation, "Horizontal Pod Autoscaling", configurable behavior. */
#ifndef AUTOSCALE_HPA_LIMITS_H
#define AUTOSCALE_HPA_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    AUTOSCALE_HPA_RULES = 8,
    AUTOSCALE_HPA_WINDOW_S = 3600,       /* the longest stabilization */
    AUTOSCALE_HPA_PERIOD_S = 1800,       /* the longest period of a rate */
    AUTOSCALE_HPA_RECOMMENDATIONS = 256, /* an hour, every 15 s */
    AUTOSCALE_HPA_EVENTS = 128           /* half an hour, every 15 s */
};

struct autoscale_hpa_rule {
    enum { AUTOSCALE_HPA_PODS, AUTOSCALE_HPA_PERCENT } type;
    int32_t value;
    int32_t period_s; /* at most so much change in it */
};

struct autoscale_hpa_rules { /* of one direction */
    int32_t stabilization_s;
    enum autoscale_hpa_select {
        AUTOSCALE_HPA_MAX, /* the rule that allows the largest change */
        AUTOSCALE_HPA_MIN,
        AUTOSCALE_HPA_DISABLED /* no change in this direction */
    } select;
    struct autoscale_hpa_rule rule[AUTOSCALE_HPA_RULES];
    size_t rules;
};
struct autoscale_hpa_rules autoscale_hpa_up_rules(void); /* the defaults */
struct autoscale_hpa_rules autoscale_hpa_down_rules(void);

struct autoscale_hpa_entry { /* no padding: memories are compared by their bytes */
    int64_t at_ms;
    int32_t value; /* a recommendation, or the size of a change */
    int32_t outdated;
};
struct autoscale_hpa_log { /* borrowed */
    struct autoscale_hpa_entry *entry;
    int32_t n, cap; /* when it is full, the oldest gives way */
};

enum autoscale_hpa_reason {
    AUTOSCALE_HPA_WITHIN_RANGE,
    AUTOSCALE_HPA_TOO_FEW,
    AUTOSCALE_HPA_TOO_MANY,
    AUTOSCALE_HPA_UP_LIMIT,
    AUTOSCALE_HPA_DOWN_LIMIT
};
const char *autoscale_hpa_reason_name(enum autoscale_hpa_reason r); /* as Kubernetes has it */

struct autoscale_hpa_bounds {
    int32_t min, max, current;
};

/* The highest recommendation of the window; desired joins the log. */
int32_t autoscale_hpa_stabilize_down(struct autoscale_hpa_log *log, int32_t desired,
                                     int64_t window_ms, int64_t now_ms);
/* The current count, moved into what the recommendations of both windows span. */
int32_t autoscale_hpa_stabilize(struct autoscale_hpa_log *log, int32_t current, int32_t desired,
                                int32_t up_s, int32_t down_s, int64_t now_ms);

/* The log of a direction's changes: what happened in the last period_s, and one more. */
int32_t autoscale_hpa_changed(const struct autoscale_hpa_log *log, int32_t period_s,
                              int64_t now_ms);
void autoscale_hpa_store(struct autoscale_hpa_log *log, int32_t change,
                         const struct autoscale_hpa_rules *rules, int64_t at_ms, int64_t now_ms);

int32_t autoscale_hpa_up_limit(int32_t current, const struct autoscale_hpa_log *up,
                               const struct autoscale_hpa_log *down,
                               const struct autoscale_hpa_rules *rules, int64_t now_ms);
int32_t autoscale_hpa_down_limit(int32_t current, const struct autoscale_hpa_log *up,
                                 const struct autoscale_hpa_log *down,
                                 const struct autoscale_hpa_rules *rules, int64_t now_ms);
/* Desired within min, max and the built-in rate: to the larger of twice and 4 at once. */
int32_t autoscale_hpa_clamp(struct autoscale_hpa_bounds b, int32_t desired,
                            enum autoscale_hpa_reason *why);
/* The same with a behavior's rates. */
int32_t autoscale_hpa_clamp_rate(struct autoscale_hpa_bounds b, int32_t desired,
                                 const struct autoscale_hpa_rules *up_rules,
                                 const struct autoscale_hpa_rules *down_rules,
                                 const struct autoscale_hpa_log *up,
                                 const struct autoscale_hpa_log *down, int64_t now_ms,
                                 enum autoscale_hpa_reason *why);

#endif
