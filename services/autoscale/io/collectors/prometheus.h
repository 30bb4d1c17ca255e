/* One PromQL query of the Prometheus HTTP API (and of what speaks it: Mimir, Thanos,
 * VictoriaMetrics).
 * Source: Prometheus documentation, HTTP API. */
#ifndef AUTOSCALE_COLLECTOR_PROMETHEUS_H
#define AUTOSCALE_COLLECTOR_PROMETHEUS_H

#include "io/collectors/collector.h"

struct autoscale_prometheus { /* of the service's settings */
    const char *url;          /* http://host:9090[/prefix]; /api/v1/... is added */
    const char *bearer_file;  /* NULL: no token */
    const char *ca_file;      /* NULL: the system's */
    long timeout_ms;
};

struct autoscale_prometheus_query { /* of a fleet's settings */
    const char *query;
    enum autoscale_metric metric; /* what its values are */
    double scale; /* by which they are multiplied: 100 makes a ratio a percentage; 0: 1 */
    const char *member_label; /* whose value is a member's id; "": one series, of the fleet */
    const char *zone_label;   /* "" none */
    int64_t step_ms; /* 0: one instant; else every step of the span, for minutes that were missed */
};

/* No series: PR_ENOTFOUND. A value that is NaN, infinite, a histogram or of a stale series
 * is unknown, and why. With a warning (an answer that may lack a part) a figure of the whole
 * fleet is unknown; members have theirs. Errors name host and metric, and what Prometheus says:
 * PR_EINVAL for a query that it refuses, PR_EDENIED for 401 and 403, PR_EUNAVAIL, PR_ETIMEOUT,
 * PR_EDATA for an answer that is none. */
PR_CHECKED enum pr_code autoscale_collect_prometheus(const struct autoscale_prometheus *at,
                                                     const struct autoscale_prometheus_query *ask,
                                                     const struct autoscale_span *when,
                                                     struct autoscale_readings *out,
                                                     struct pr_err *err);

/* What an answer of that status says; the first half of the above is asking. */
PR_CHECKED enum pr_code autoscale_prometheus_read(const struct autoscale_prometheus_query *ask,
                                                  const struct autoscale_span *when, long status,
                                                  const char *body, size_t n,
                                                  struct autoscale_readings *out,
                                                  struct pr_err *err);

#endif
