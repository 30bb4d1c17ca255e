/* Members of a Redis Cluster by their INFO: CPU, memory, network. */
#ifndef AUTOSCALE_COLLECTOR_REDIS_H
#define AUTOSCALE_COLLECTOR_REDIS_H

#include "io/collectors/collector.h"

#include "core/redis_cpu.h"

#include "prism/io/redis.h"

struct autoscale_redis_name { /* how the fleet calls a node of the cluster */
    const char *redis_id, *id, *zone;
};

struct autoscale_redis {
    const char *seeds;                       /* host:port,host:port */
    struct pr_redis_auth auth;               /* may INFO and CLUSTER NODES */
    int timeout_ms;                          /* of one node, all told */
    struct autoscale_redis_host host;        /* of a node */
    const struct autoscale_redis_name *name; /* [names], sorted by redis_id; a node that is
                                                not listed goes by its Redis id */
    size_t names;
};

/* The last answer of each node, from one call to the next; zeroed: none yet. Of one source:
 * forget it when that is changed, and at the end. */
struct autoscale_redis_memory {
    struct pr_cluster *cluster;
    struct autoscale_redis_past *past; /* sorted by id */
    size_t n;
};
void autoscale_redis_forget(struct autoscale_redis_memory *m);

/* Asks all nodes at once, each for timeout_ms at most: one that hangs costs the others
 * nothing. One reading a node, also of one that failed or did not answer: unknown, and why.
 * A node's first answer has no CPU and no network yet.
 * PR_EUNAVAIL: no node shows the cluster. PR_EDENIED: user or password. */
PR_CHECKED enum pr_code autoscale_collect_redis(const struct autoscale_redis *from,
                                                const struct autoscale_span *when,
                                                struct autoscale_redis_memory *memory,
                                                struct autoscale_readings *out, struct pr_err *err);

#endif
