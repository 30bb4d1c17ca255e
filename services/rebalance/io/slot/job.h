/* Jobs of the server that move slots (core/slot/job.h), of one pair: asking both
 * primaries, telling them, and going on until the slots of a job are where they belong. */
#ifndef REBALANCE_SLOT_JOB_H
#define REBALANCE_SLOT_JOB_H

#include "core/slot/job.h"
#include "io/slot/pair.h"

struct rebalance_job_desk {
    struct rebalance_pair *p;
    struct pr_redis *conn[2]; /* to the primaries, as the mover */
    char node[2][PR_NODE_ID]; /* whom conn[k] was opened to */
    enum rebalance_job_dialect offered[2], dialect;
    size_t nodes;                      /* of the cluster, as the target told last */
    bool denied;                       /* our user may not use it */
    struct rebalance_slot_step **step; /* [n]; n <= REBALANCE_JOB_SLOTS */
    size_t n;
    enum rebalance_job_place place[REBALANCE_JOB_SLOTS]; /* of step[i], as seen last */
    struct rebalance_job_view view;
    /* Of the newest job with one of the slots, as its servers say: */
    char id[64], state[48], error[200];
    char refusal[200]; /* of the last start; "" */
    bool recorded;     /* the rows say that a job may be under way */
    int64_t began_us;  /* the last start, or when a job was seen to run; 0: not */
    int64_t tried_us;  /* the last start, or the last sight of one that ran; 0: neither */
};

/* job_ask.c */
/* Looks at both shards, and asks their primaries who owns the slots and what runs. Never
 * fails: who does not answer is not there. */
void rebalance_job_look(struct rebalance_job_desk *d);
/* Asks for a job with all slots that stayed; both after rebalance_pair_may_send.
 * PR_EDENIED: not for our user. PR_ETIMEOUT, PR_EUNAVAIL: it may begin yet. */
PR_CHECKED enum pr_code rebalance_job_start(struct rebalance_job_desk *d, struct pr_err *err);
PR_CHECKED enum pr_code rebalance_job_cancel(struct rebalance_job_desk *d, struct pr_err *err);
void rebalance_job_close(struct rebalance_job_desk *d);

#endif
