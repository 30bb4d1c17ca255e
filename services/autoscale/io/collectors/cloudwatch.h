/* Amazon CloudWatch, by GetMetricData in its JSON protocol (AWS JSON 1.0, target
 * GraniteServiceVersion20100801).
 * Source: Amazon CloudWatch API reference, GetMetricData and MetricDataResult. */
#ifndef AUTOSCALE_COLLECTOR_CLOUDWATCH_H
#define AUTOSCALE_COLLECTOR_CLOUDWATCH_H

#include "io/collectors/collector.h"
#include "prism/web/http.h"

enum {
    AUTOSCALE_CLOUDWATCH_QUERIES = 500, /* of one request */
    AUTOSCALE_CLOUDWATCH_PAGES = 100,
    AUTOSCALE_CLOUDWATCH_DIMENSIONS = 30
};

struct autoscale_cloudwatch { /* of the service's settings */
    const char *url;          /* https://monitoring.<region>.amazonaws.com */
    const char *region;
    const struct pr_aws_keys *keys;
    const char *ca_file; /* NULL: the system's */
    long timeout_ms;     /* of all pages together */
    int64_t settle_ms;   /* periods that ended later than so long ago still change: not asked for */
};

struct autoscale_cloudwatch_dimension {
    const char *name, *value;
};

struct autoscale_cloudwatch_query { /* of a fleet's settings */
    const char *expression;         /* metric math or Metrics Insights; or NULL and: */
    const char *ns, *name, *stat;   /* "AWS/EC2", "CPUUtilization", "Average" */
    struct autoscale_cloudwatch_dimension dimension[AUTOSCALE_CLOUDWATCH_DIMENSIONS];
    size_t dimensions;
    int period_s;                 /* 60, or 300 where nothing finer is recorded */
    enum autoscale_metric metric; /* what its values are */
    double scale;                 /* by which they are multiplied; 0: 1 */
    const char *member;           /* id; "": of the whole fleet */
    bool by_label; /* the label of each series is the member's id (GROUP BY, SEARCH) */
};

/* All queries at once, page by page. A series that is not "Complete" in the end (PartialData,
 * InternalError, Forbidden), or has no point, is one unknown reading that says why: half of
 * a time is not the time. A point counts from the end of its period on.
 * PR_EDENIED: keys refused or expired. PR_EUNAVAIL: throttled, down. PR_EINVAL: a query is
 * refused. PR_EDATA: the answer is none. Errors name host and what CloudWatch says. */
PR_CHECKED enum pr_code autoscale_collect_cloudwatch(const struct autoscale_cloudwatch *at,
                                                     const struct autoscale_cloudwatch_query *query,
                                                     size_t queries,
                                                     const struct autoscale_span *when,
                                                     struct autoscale_readings *out,
                                                     struct pr_err *err);

#endif
