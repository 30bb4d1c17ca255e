/* As many workers as keep a queue's backlog at so much for each of them. Pure.
 * Source: Amazon EC2 Auto Scaling User Guide, "Scaling based on Amazon SQS" (backlog per
 * instance, acceptable backlog); NATS JetStream consumer info (num_pending, num_ack_pending).
 *
 * The backlog is of the whole fleet: what waits and what is delivered but not acknowledged. A
 * consumer that is missing, or told of by a follower that lags, has none: it is unknown, neither
 * zero (that would scale in while nobody can see) nor endless (that would scale to max). While
 * it is unknown the vote is UNKNOWN; when that lasts, why begins with "alarm". */
#ifndef AUTOSCALE_QUEUE_H
#define AUTOSCALE_QUEUE_H

#include "core/minutes.h"
#include "core/vote.h"

struct autoscale_queue {
    double backlog_per_worker;  /* the target; 0: from the next two */
    double latency_s;           /* a message may wait so long */
    double seconds_per_message; /* one worker's */
    double tolerance_pct;       /* so far from the target nothing is done */
    int64_t out_ms, in_ms; /* over the target for so long: out; under it: in. In one step as far as
                              the highest minute allows, and by in_pct at most: an empty queue does
                              not say how busy those are who keep it empty */
    double in_pct;
    int64_t alarm_after_ms; /* of unknown backlog */
    int64_t warmup_ms; /* see aws.h: while workers warm up, nothing scales in, and those who are
                          ordered count as if they worked */
};
/* 100 (10 s at 0.1 s a message), 10 %, 3 and 15 minutes, 10 %, alarm after 10, 5 minutes. */
void autoscale_queue_default(struct autoscale_queue *out);
PR_CHECKED enum pr_code autoscale_queue_check(const struct autoscale_queue *q, struct pr_err *err);
/* Messages for one worker at which the queue is as long as it may be. */
double autoscale_queue_target(const struct autoscale_queue *q);

void autoscale_queue_vote(const struct autoscale_queue *q, const struct autoscale_view *view,
                          struct autoscale_vote *out);

#endif
