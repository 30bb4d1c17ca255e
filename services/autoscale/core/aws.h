/* Step scaling and target tracking as Amazon EC2 Auto Scaling does them. Pure.
 * Source: Amazon EC2 Auto Scaling User Guide (dynamic scaling; step and simple scaling; target
 * tracking; instance warm-up; cooldowns) and API Reference (StepAdjustment, PutScalingPolicy).
 * The alarms of a target tracking policy (3 of 3 minutes high, 15 of 15 low) and where the low
 * one stands are not in the reference: they are what people see in their consoles.
 *
 * Members that warm up count in what is wanted and not in the metric; while one does, nothing
 * scales in. A member warms up until it serves (autoscale_view.serving), for at least warmup_ms
 * after it was ordered; who has not come after warmup_ms and twice the usual time is not awaited
 * any more. */
#ifndef AUTOSCALE_AWS_H
#define AUTOSCALE_AWS_H

#include "core/minutes.h"
#include "core/vote.h"

/* --- adjustments ------------------------------------------------------------------------ */

enum autoscale_adjustment {
    AUTOSCALE_CHANGE_IN_CAPACITY,
    AUTOSCALE_EXACT_CAPACITY,
    AUTOSCALE_PERCENT_CHANGE,
};
const char *autoscale_adjustment_name(enum autoscale_adjustment a); /* "ChangeInCapacity", ... */
bool autoscale_adjustment_parse(const char *name, enum autoscale_adjustment *out);

/* To the whole number towards 0, but never to 0: 12.7 is 12, 0.67 is 1, -0.58 is -1. */
int autoscale_round_percent(double change);
/* Capacity after it, before min and max. min_magnitude (0: none) is of per cents alone. */
int autoscale_adjusted(enum autoscale_adjustment a, int capacity, double adjust, int min_magnitude);
int autoscale_within(int capacity, int min, int max);

/* --- step scaling ----------------------------------------------------------------------- */

enum { AUTOSCALE_STEPS = 20, AUTOSCALE_STEP_ALARMS = 8 };

struct autoscale_step { /* bounds relative to the alarm's threshold; -INFINITY and INFINITY: none */
    double lower, upper, adjust;
};
/* Above the threshold the lower bound is inside and the upper one outside; below it, the
 * mirror image. */
bool autoscale_step_holds(double threshold, double lower, double upper, double metric);
/* Any order. PR_EINVAL: gaps, overlaps, an end that stays open, or two that do. */
PR_CHECKED enum pr_code autoscale_steps_check(const struct autoscale_step *step, size_t n,
                                              struct pr_err *err);

struct autoscale_step_alarm {
    enum autoscale_metric metric;
    bool high;        /* breached at the threshold and above it; else at it and below */
    double threshold; /* of the metric's unit */
    int datapoints;   /* minutes in a row */
    enum autoscale_adjustment type;
    int min_magnitude;
    struct autoscale_step step[AUTOSCALE_STEPS];
    size_t steps;
};
/* What is wanted after the alarm, before min and max: from the capacity that is warm, less what
 * warms up already. Inward, members that leave still count as capacity, and nothing is done
 * while others warm up. No step holds: desired. */
int autoscale_step_wanted(const struct autoscale_step_alarm *a, double metric, int warm,
                          int desired);

struct autoscale_step_policy {
    struct autoscale_step_alarm alarm[AUTOSCALE_STEP_ALARMS];
    size_t alarms;
    int64_t warmup_ms;
    int64_t cooldown_ms; /* > 0: simple scaling, which waits after each change, of either
                            direction, from when its members came; step scaling has none */
};
/* CPU: from 70 % on for 3 minutes +10 %, from 80 % +20 %, from 90 % +30 %; down from 40 % for 15
 * minutes -10 %, from 20 % -20 %. */
void autoscale_step_default(struct autoscale_step_policy *out);
PR_CHECKED enum pr_code autoscale_step_check(const struct autoscale_step_policy *p,
                                             struct pr_err *err);
void autoscale_step_vote(const struct autoscale_step_policy *p, const struct autoscale_view *view,
                         struct autoscale_vote *out);

/* --- target tracking ---------------------------------------------------------------------- */

/* Capacity at which the metric, which falls as members are added, meets the target: rounded up,
 * so that too many are added rather than too few, and too few removed. */
int autoscale_track(int capacity, double metric, double target);
/* Backlog of one worker at which a message waits for so long. */
double autoscale_backlog_target(double latency_s, double seconds_per_message);

struct autoscale_alarm {
    enum autoscale_compare op;
    double threshold;
    int datapoints;
    int64_t period_ms;
};
/* low_ratio: 0.7 for EC2, 0.9 for ECS. */
void autoscale_track_alarms(double target, double low_ratio, struct autoscale_alarm *high,
                            struct autoscale_alarm *low);

struct autoscale_tracker {
    enum autoscale_metric metric;
    double target; /* of the metric's unit */
    bool disable_scale_in;
};
/* Out when one wants it, in when all that may scale in do; UNKNOWN is in nobody's way out and in
 * everybody's way in. may_scale_in: [n], or NULL: all may. */
enum autoscale_move autoscale_track_combine(const enum autoscale_move *one,
                                            const bool *may_scale_in, size_t n);

enum { AUTOSCALE_TRACKERS = 4 };
struct autoscale_target_policy {
    struct autoscale_tracker tracker[AUTOSCALE_TRACKERS];
    size_t trackers;
    double low_ratio;
    int high_minutes, low_minutes;
    int64_t warmup_ms;
};
/* When each alarm went on; 0: it is off. For the explanation; the vote follows from the view. */
struct autoscale_target_memory {
    int64_t high_since_ms[AUTOSCALE_TRACKERS], low_since_ms[AUTOSCALE_TRACKERS];
};
/* CPU 70 %, memory 85 %, network 8.0e9 bit/s; 0.7; 3 and 15 minutes; 5 minutes warm-up. A metric
 * that the fleet does not have takes no part. */
void autoscale_target_default(struct autoscale_target_policy *out);
PR_CHECKED enum pr_code autoscale_target_check(const struct autoscale_target_policy *p,
                                               struct pr_err *err);
/* The low alarm acts when all of its minutes came after the last change: one proportional step,
 * then as long a look at the outcome. It keeps what the highest of its minutes needed. */
void autoscale_target_vote(const struct autoscale_target_policy *p,
                           struct autoscale_target_memory *memory,
                           const struct autoscale_view *view, struct autoscale_vote *out);

/* Members that warm up, of those wanted. */
int autoscale_warming(const struct autoscale_view *view, int64_t warmup_ms);

#endif
