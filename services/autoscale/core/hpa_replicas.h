/* How many pods one metric asks for: the arithmetic of Kubernetes' horizontal pod autoscaler
 * down to its integer divisions and caps. Pure. Usage, requests and targets are integers in
 * one unit (Kubernetes: thousandths), percentages of what was requested whole numbers.
 * Source: Kubernetes documentation, "Horizontal Pod Autoscaling", and its behaviour in 2026. */
#ifndef AUTOSCALE_HPA_REPLICAS_H
#define AUTOSCALE_HPA_REPLICAS_H

#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A time that nobody knows; sums with periods stay far in the past. */
#define AUTOSCALE_HPA_LONG_AGO (INT64_MIN / 4)

struct autoscale_hpa_tolerance { /* of the ratio of usage to target, around 1 */
    double down, up;             /* 0.1 each */
};

struct autoscale_hpa_pod {
    const char *name; /* for messages; borrowed */
    enum autoscale_hpa_phase {
        AUTOSCALE_HPA_RUNNING,
        AUTOSCALE_HPA_PENDING,
        AUTOSCALE_HPA_SUCCEEDED,
        AUTOSCALE_HPA_FAILED
    } phase;
    bool deleting;
    bool started; /* since start_ms, which is known */
    int64_t start_ms;
    bool judged; /* is it ready? somebody looked: */
    bool ready;
    int64_t ready_change_ms; /* when that last changed */
    bool metered;            /* there is a reading: */
    int64_t usage, read_ms, window_ms;
    int64_t request;
    int lacks_request; /* container, from 1, that requests nothing; 0 none */
};

struct autoscale_hpa_clock {
    int64_t now_ms;
    int64_t init_ms;            /* CPU of younger pods counts only if measured while ready */
    int64_t readiness_delay_ms; /* unready this soon after the start: never was ready */
};

enum autoscale_hpa_group {
    AUTOSCALE_HPA_READY,
    AUTOSCALE_HPA_UNREADY, /* counted as using nothing on the way out, not at all otherwise */
    AUTOSCALE_HPA_MISSING, /* no reading */
    AUTOSCALE_HPA_IGNORED  /* ended or going */
};
enum autoscale_hpa_group autoscale_hpa_group(const struct autoscale_hpa_pod *p,
                                             const struct autoscale_hpa_clock *c, bool cpu);

/* All that a proposal needs to know of the pods. */
struct autoscale_hpa_counts {
    int64_t pods;
    int64_t ready, usage, request; /* in service, with a reading; its sum, and of requests */
    int64_t unready, unready_request;
    int64_t missing, missing_request;
    int64_t missing_fallback;                /* what they use if they use all that they may */
    int64_t strangers, strangers_usage;      /* readings of pods that are not in the list */
    const struct autoscale_hpa_pod *lacking; /* the first that lacks a request; NULL none */
};
/* target_pct: of a utilization; 0 for other metrics. Strangers are the caller's to add. */
void autoscale_hpa_count(const struct autoscale_hpa_pod *pod, size_t n,
                         const struct autoscale_hpa_clock *c, bool cpu, double target_pct,
                         struct autoscale_hpa_counts *out);
/* What a pod without a reading is taken to use on the way in: the larger of its request and
 * target_pct of it. */
int64_t autoscale_hpa_fallback(int64_t request, double target_pct);

struct autoscale_hpa_proposal {
    int32_t replicas;
    int64_t usage; /* percent of requests, or the mean of a pod */
    int64_t raw;   /* the mean of a pod */
    double ratio;  /* to the target, as first measured */
};

/* Usage as a percentage of requests against a target percentage.
 * PR_EDATA: says what is missing. */
PR_CHECKED enum pr_code autoscale_hpa_utilization(const struct autoscale_hpa_counts *c,
                                                  int32_t current, double target_pct,
                                                  struct autoscale_hpa_tolerance t,
                                                  struct autoscale_hpa_proposal *out,
                                                  struct pr_err *err);
/* The pods' mean against a target value. */
PR_CHECKED enum pr_code autoscale_hpa_average(const struct autoscale_hpa_counts *c, int32_t current,
                                              int64_t target, struct autoscale_hpa_tolerance t,
                                              struct autoscale_hpa_proposal *out,
                                              struct pr_err *err);
/* One figure, of an object or from outside, which grows with the pods that are ready.
 * current 0: as many as the ratio says. */
void autoscale_hpa_value(int64_t usage, int64_t target, int32_t current, int64_t ready,
                         struct autoscale_hpa_tolerance t, struct autoscale_hpa_proposal *out);
/* One figure that all pods share, against a target for each. */
void autoscale_hpa_per_pod(int64_t usage, int64_t target, int32_t current,
                           struct autoscale_hpa_tolerance t, struct autoscale_hpa_proposal *out);
int64_t autoscale_hpa_per_pod_usage(int64_t usage, int32_t current);

bool autoscale_hpa_within(struct autoscale_hpa_tolerance t, double ratio);
int32_t autoscale_hpa_ceil(double x); /* to the ends of int32 at most; not a number: 0 */
int64_t autoscale_hpa_sum(const int64_t *value, size_t n); /* to INT64_MAX at most */

#endif
