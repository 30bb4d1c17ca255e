/* The policy `hpa`: Kubernetes' horizontal pod autoscaler v2 for a fleet. A member is a pod
 * that requests all of its machine: utilization is a percentage of capacity. Pure.
 * Source: docs/explanation/autoscale.md; Kubernetes documentation. */
#ifndef AUTOSCALE_HPA_H
#define AUTOSCALE_HPA_H

#include "core/history.h"
#include "core/hpa_limits.h"
#include "core/hpa_replicas.h"
#include "core/vote.h"

enum { AUTOSCALE_HPA_METRICS = AUTOSCALE_METRICS };
#define AUTOSCALE_HPA_LARGEST 1e12 /* a metric beyond it is no measurement */

struct autoscale_hpa_metric {
    enum autoscale_metric metric;
    double target; /* cpu, memory: percent of a member's capacity; network: bit/s of a member;
                      backlog: messages for each member; load: members' worth for each */
};

struct autoscale_hpa_policy {
    struct autoscale_hpa_metric metric[AUTOSCALE_HPA_METRICS];
    size_t metrics; /* the largest proposal wins; a failed one forbids in, not out */
    struct autoscale_hpa_tolerance tolerance;
    struct autoscale_hpa_rules up, down;
    int64_t init_ms;            /* 5 min */
    int64_t readiness_delay_ms; /* 30 s */
    int64_t stale_ms;           /* a member's reading that is older counts as missing; 5 min */
};
/* CPU at 70 %, everything else as Kubernetes has it. */
void autoscale_hpa_default(struct autoscale_hpa_policy *out);
/* PR_EINVAL: names the setting that is wrong. */
PR_CHECKED enum pr_code autoscale_hpa_check(const struct autoscale_hpa_policy *p,
                                            struct pr_err *err);

struct autoscale_hpa_memory {
    struct autoscale_hpa_entry recommendation[AUTOSCALE_HPA_RECOMMENDATIONS];
    struct autoscale_hpa_entry up[AUTOSCALE_HPA_EVENTS], down[AUTOSCALE_HPA_EVENTS];
    int64_t seen_ms; /* actions until then are among the events */
    int32_t recommendations, ups, downs;
    int32_t begun; /* 0: nothing yet; the current count becomes the first recommendation */
};

/* One whole step after the metrics' proposals. */
struct autoscale_hpa_step {
    struct autoscale_hpa_bounds bounds;
    bool scaled_to_zero; /* current 0 is its own doing: it may come back from there */
    bool behavior;       /* up and down are set; otherwise the built-in rate and down_window_ms */
    struct autoscale_hpa_rules up, down;
    int64_t down_window_ms;
    int64_t now_ms;
};
struct autoscale_hpa_outcome {
    enum {
        AUTOSCALE_HPA_ACTIVE,
        AUTOSCALE_HPA_OFF,    /* current is 0 */
        AUTOSCALE_HPA_BOUNDS, /* current is outside min..max: no metric was asked */
        AUTOSCALE_HPA_UNKNOWN /* metrics failed: all of them, or the others want fewer */
    } state;
    int32_t wanted;                    /* of the metrics; current unless ACTIVE */
    int best;                          /* which one it is; -1 none */
    int32_t stable;                    /* within the stabilization windows */
    int32_t replicas;                  /* the result */
    enum autoscale_hpa_reason limited; /* AUTOSCALE_HPA_WITHIN_RANGE: not limited */
};
/* replicas[n]: proposals; -1: that metric failed. Remembers the recommendation; changes come
 * to the memory by autoscale_hpa_store once they are made. */
void autoscale_hpa_step(const struct autoscale_hpa_step *s, const int32_t *replicas, size_t n,
                        struct autoscale_hpa_memory *memory, struct autoscale_hpa_outcome *out);

/* With members it judges each; without it works on the last minute's mean: all that serve are
 * ready and use the same, ordered ones that do not serve yet are unready, silent ones are
 * missing, and a minute that is missing is a failed metric. */
void autoscale_hpa_vote(const struct autoscale_hpa_policy *policy,
                        struct autoscale_hpa_memory *memory, const struct autoscale_view *view,
                        struct autoscale_vote *out);

#endif
