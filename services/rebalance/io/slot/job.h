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
    int64_t denied_us;                 /* since when it is told so; 0: it is not */
    struct rebalance_slot_step **step; /* [n]; n <= REBALANCE_JOB_SLOTS; 0: only to see what is
                                          in the way */
    size_t n;
    struct rebalance_job_set slots;                      /* of the steps */
    uint64_t bytes;                                      /* the same: as expected */
    enum rebalance_job_place place[REBALANCE_JOB_SLOTS]; /* of step[i], as seen last */
    struct rebalance_job_view view;
    struct rebalance_job_memory memory;
    struct rebalance_job_sight seen[2];
    char state[48], error[200]; /* of the job that view.phase is of, in its server's words; or why a
                                   look failed */
    char refusal[200];          /* what was answered to the last start; "" */
    bool recorded;              /* the rows say that a job may be under way */
    bool holding;               /* counted in the run's: paused, and something is under way */
    unsigned unchanged;         /* looks since something else was seen */
};

/* job_ask.c */
/* Looks at both shards, and asks their primaries who owns the slots and what runs. Never
 * fails: who does not answer is not there. */
void rebalance_job_look(struct rebalance_job_desk *d);
/* Asks for a job with all slots that stayed; both after rebalance_pair_may_send.
 * PR_EDENIED: not for our user. PR_ETIMEOUT, PR_EUNAVAIL: it may begin yet. */
PR_CHECKED enum pr_code rebalance_job_start(struct rebalance_job_desk *d, struct pr_err *err);
/* PR_EINVAL, PR_EDENIED: for certain it was not told to end. */
PR_CHECKED enum pr_code rebalance_job_cancel(struct rebalance_job_desk *d, struct pr_err *err);
void rebalance_job_close(struct rebalance_job_desk *d);

/* job.c */
/* The next steps of the desk, borrowed; n 0: only to see what is in the way. recorded: their
 * rows say that a job may be under way. */
void rebalance_job_take_up(struct rebalance_job_desk *d, struct rebalance_slot_step **step,
                           size_t n, bool recorded);
/* Sees them through, and stays with those that are recorded through a pause. *last: how it
 * ended for those that did not land; FINISH: all did.
 * PR_ECANCELED: left as they are, told so, or before anything was begun. */
PR_CHECKED enum pr_code rebalance_job_see_through(struct rebalance_job_desk *d, bool may_start,
                                                  enum rebalance_job_effect *last,
                                                  struct pr_err *err);

#endif
