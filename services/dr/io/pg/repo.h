/* The supervisor's work at the repository: one run of pgBackRest at a time, in the background;
 * which one is core/pg_plan's to say. */
#ifndef DR_PG_REPO_H
#define DR_PG_REPO_H

#include "io/pg/backrest.h"
#include "io/pg/receiver.h"

#include "core/pg_plan.h"

struct dr_pg_worker {
    const struct dr_pg_home *home;
    struct pr_metrics *metrics;
    struct dr_pg_schedule schedule;
    struct dr_pg_work work;
    struct dr_pg_repo repo;
    enum dr_pg_job job; /* NONE: none runs */
    struct dr_child *child;
    int64_t began_us, timeout_us;
    struct dr_pg_segments segments;
    size_t at;               /* LIST: the first of the segments that are asked for; PUSH: the one */
    char error[DR_PG_WORDS]; /* of the last job; "": it went well */
};

/* PR_EINVAL: a schedule. */
PR_CHECKED enum pr_code dr_pg_worker_init(struct dr_pg_worker *w, const struct dr_pg_home *h,
                                          struct pr_metrics *metrics, struct pr_err *err);
/* Looks after the job that runs, or starts the next. */
void dr_pg_worker_turn(struct dr_pg_worker *w, const struct dr_pg_server *s, bool primary,
                       int64_t now_ms);
void dr_pg_worker_stop(struct dr_pg_worker *w); /* it can go on with dr_pg_worker_turn */

#endif
