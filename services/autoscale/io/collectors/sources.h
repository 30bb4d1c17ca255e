/* Where a fleet's figures come from: the part of its settings that says so, and asking them
 * all. Source: docs/explanation/autoscale.md. */
#ifndef AUTOSCALE_SOURCES_H
#define AUTOSCALE_SOURCES_H

#include "io/collectors/cloudwatch.h"
#include "io/collectors/jetstream.h"
#include "io/collectors/prometheus.h"
#include "io/collectors/redis.h"

#include <jansson.h>

enum autoscale_source_kind {
    AUTOSCALE_SOURCE_REDIS,
    AUTOSCALE_SOURCE_PROMETHEUS,
    AUTOSCALE_SOURCE_CLOUDWATCH,
    AUTOSCALE_SOURCE_JETSTREAM,
    AUTOSCALE_SOURCE_BUS, /* members publish by themselves: nobody is asked */
    AUTOSCALE_SOURCE_KINDS
};
const char *autoscale_source_kind_name(enum autoscale_source_kind k); /* "redis", ... */

enum { AUTOSCALE_SOURCES = 32 };
struct autoscale_source {
    enum autoscale_source_kind kind;
    union {
        struct autoscale_redis_host redis;
        struct autoscale_prometheus_query prometheus;
        struct autoscale_cloudwatch_query cloudwatch;
        struct autoscale_jetstream jetstream;
    } is;
};

struct autoscale_sources {
    struct autoscale_source source[AUTOSCALE_SOURCES];
    size_t n;
};

/* An array of objects, each with its "kind" and what the structs above are called by:
 *     {"kind": "redis", "vcpus": 16, "memory_gb": 128}
 *     {"kind": "prometheus", "metric": "cpu", "query": "...", "scale": 100,
 *      "member_label": "instance", "zone_label": "zone", "step_ms": 60000}
 *     {"kind": "cloudwatch", "metric": "cpu", "ns": "AWS/EC2", "name": "CPUUtilization",
 *      "stat": "Average", "dimension": [{"name": "...", "value": "..."}], "period_s": 60}
 *     {"kind": "jetstream", "stream": "WORK", "consumer": "pool"}
 *     {"kind": "bus"}
 * Strings are in the arena. PR_EINVAL: names the path, which begins with `path`. */
PR_CHECKED enum pr_code autoscale_sources_read(const json_t *array, const char *path,
                                               struct pr_arena *arena,
                                               struct autoscale_sources *out, struct pr_err *err);

struct autoscale_endpoints {             /* of the service's settings; NULL: not configured */
    const struct autoscale_redis *redis; /* its host comes from the fleet's settings */
    const struct autoscale_prometheus *prometheus;
    const struct autoscale_cloudwatch *cloudwatch;
    struct pr_bus *bus;
    int bus_timeout_ms;
};

struct autoscale_asked { /* what came of one source */
    enum pr_code rc;
    struct pr_err err;
    size_t readings;
    int64_t took_us;
};

/* Asks every source of a fleet, one after the other, those of CloudWatch together. One that
 * fails gives one unknown reading, its error is in asked[i], and the others go on.
 * memory is the fleet's. Returns how many failed. */
size_t autoscale_collect(const struct autoscale_endpoints *at,
                         const struct autoscale_sources *sources, const struct autoscale_span *when,
                         struct autoscale_redis_memory *memory, struct autoscale_readings *out,
                         struct autoscale_asked asked[AUTOSCALE_SOURCES]);

#endif
