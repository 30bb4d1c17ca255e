/* What members say of themselves: MemberMetricsEvent on prism.metrics.member. */
#ifndef AUTOSCALE_COLLECTOR_BUS_H
#define AUTOSCALE_COLLECTOR_BUS_H

#include "io/collectors/collector.h"

#include "prism/io/bus.h"
#include "prism/io/db.h"

#include <stdatomic.h>

struct autoscale_bus_message { /* reading points into it: do not copy */
    char fleet[64], member[128], zone[64];
    struct autoscale_reading reading;
};

/* PR_EDATA: names what is wrong with it: no such message, no fleet, no member, no time, no
 * figure at all, text that does not print. Figures are taken as they are: merging judges. */
PR_CHECKED enum pr_code autoscale_bus_read(const void *data, size_t n, int64_t received_ms,
                                           struct autoscale_bus_message *out, struct pr_err *err);

struct autoscale_bus {
    struct pr_db *db; /* of the one worker; borrowed */
    int64_t (*now_ms)(void);
    /* Counted since the start, for metrics: */
    atomic_ullong stored;
    atomic_ullong again;   /* they were stored already */
    atomic_ullong too_old; /* nobody would merge them */
};

/* The handler of durable consumer `autoscale` of PRISM_METRICS (pr_bus_consume with one
 * worker, ctx a struct autoscale_bus): stores the reading, then acknowledges. Bad messages
 * (see above), those of fleets that nobody knows, and those far ahead of our clock are
 * dead-lettered; while the database is away they wait. */
enum pr_code autoscale_bus_on_member(void *ctx, const struct pr_msg *msg, struct pr_err *err);

#endif
