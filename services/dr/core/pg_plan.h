/* What the one that looks after PostgreSQL does next. Pure. */
#ifndef DR_PG_PLAN_H
#define DR_PG_PLAN_H

#include "core/pg.h"

#include "prism/backoff.h"
#include "prism/cron.h"

#include <stddef.h>

/* --- the receiver ----------------------------------------------------------------------------- */
struct dr_pg_receiver {
    bool running;
    int failures;     /* that it ended in a row */
    int64_t ended_ms; /* last; 0: never ran */
    uint64_t seed;    /* of the pauses */
    bool gone;        /* the primary has not what follows on what was received */
};
enum dr_pg_receiver_do {
    DR_PG_RECEIVER_WAIT,
    DR_PG_RECEIVER_START,
    DR_PG_RECEIVER_AFRESH /* drop the slot, and start in a directory of its own */
};
/* Does what a receiver said when it ended mean that it cannot go on where it was? */
bool dr_pg_receiver_gone(const char *words, size_t n);
/* why: static. The settings are judged at a start only: a receiver that runs is worth more than a
 * setting that was changed meanwhile, for which there is an alarm. */
enum dr_pg_receiver_do dr_pg_receiver_next(const struct dr_pg_receiver *r,
                                           const struct dr_pg_server *s, int64_t now_ms,
                                           const char **why);

/* --- the repository --------------------------------------------------------------------------- */
enum dr_pg_job {
    DR_PG_JOB_NONE,
    DR_PG_JOB_INFO,   /* read what is there */
    DR_PG_JOB_STANZA, /* make the repository; harmless when it is there */
    DR_PG_JOB_CHECK,  /* a segment gets from the primary into the repository */
    DR_PG_JOB_FULL,
    DR_PG_JOB_INCR,
    DR_PG_JOB_LIST, /* which of the received segments it has */
    DR_PG_JOB_PUSH  /* one that it has missed */
};
struct dr_pg_schedule {
    struct pr_cron full, incr; /* UTC */
    int64_t look_ms;
    bool backups; /* false: the server's files are not to be had from here */
};
struct dr_pg_work {
    const struct dr_pg_repo *repo;
    int64_t info_ms, list_ms, checked_ms; /* when it was last done well; 0: never */
    int failures;                         /* of jobs in a row */
    int64_t failed_ms;
    uint64_t seed;
    bool primary; /* it answers */
    bool missed;  /* a segment is to be pushed */
};
enum dr_pg_job dr_pg_job_next(const struct dr_pg_schedule *s, const struct dr_pg_work *w,
                              int64_t now_ms);
const char *dr_pg_job_name(enum dr_pg_job j);

/* The newest backup is to have ended after this; 0: none is asked for. */
int64_t dr_pg_due_ms(const struct dr_pg_schedule *s, int64_t now_ms);

#endif
