/* How much work waits for a durable consumer of a JetStream stream. */
#ifndef AUTOSCALE_COLLECTOR_JETSTREAM_H
#define AUTOSCALE_COLLECTOR_JETSTREAM_H

#include "io/collectors/collector.h"

#include "prism/io/bus.h"

struct autoscale_jetstream { /* of a fleet's settings */
    const char *stream, *consumer;
    int timeout_ms;
};

/* One reading of the whole fleet's backlog: messages not yet delivered, and those delivered
 * that nobody has acknowledged. Asked through the API, which the consumer's leader alone
 * answers: what followers show of it is old.
 * A consumer that is missing, has no leader or does not answer is unknown: the error says
 * why, and the reading is appended all the same, without a value.
 * PR_ENOTFOUND: no such stream or consumer. PR_EUNAVAIL: no leader, no JetStream, not
 * connected. PR_ETIMEOUT: no answer (or no permission to ask). PR_EINVAL: not a name. */
PR_CHECKED enum pr_code autoscale_collect_jetstream(struct pr_bus *bus,
                                                    const struct autoscale_jetstream *ask,
                                                    const struct autoscale_span *when,
                                                    struct autoscale_readings *out,
                                                    struct pr_err *err);

/* What CONSUMER.INFO answered: *waiting is set on PR_OK only. */
PR_CHECKED enum pr_code autoscale_jetstream_read(const char *body, size_t n, double *waiting,
                                                 struct pr_err *err);

#endif
