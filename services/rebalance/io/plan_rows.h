/* Rows of table plans, and the operations that belong to them. */
#ifndef REBALANCE_PLAN_ROWS_H
#define REBALANCE_PLAN_ROWS_H

#include "core/fleet/progress.h"
#include "core/vertex/pace.h"

#include "prism/io/db.h"
#include "prism/io/lease.h"

struct rebalance_plan {
    int64_t id, run_id; /* run_id 0: of a fleet plan */
    bool fleet;         /* changes the fleet; else it moves vertices */
    char state[16], run_state[16];
    char plan_operation[40], execute_operation[40]; /* "" none */
    bool cancel_requested;                          /* of the execution */
    int64_t batch_vertices, workers;                /* of params; 0: not given */
    int64_t moved, next_batch;                      /* from its rows of moves */
    double active_s;                                /* in which it was carried out so far */
    bool halted;                                    /* everything was told to stop */
    /* Of a fleet plan in hand: how far it is, for its events and its operation; borrowed,
     * NULL: not known. */
    const struct rebalance_fleet_told *told;
};

/* PR_ENOTFOUND: no such plan. */
PR_CHECKED enum pr_code rebalance_plan_load(struct pr_db *db, int64_t id,
                                            struct rebalance_plan *out, struct pr_err *err);
/* The next plan that the executor has something to do for; *id 0: none. */
PR_CHECKED enum pr_code rebalance_plan_next(struct pr_db *db, int64_t *id, struct pr_err *err);
PR_CHECKED enum pr_code rebalance_plan_order(struct pr_db *db, int64_t id,
                                             enum rebalance_order *out, struct pr_err *err);

/* The executor's writes: each checks the lease. begin: PR_ECONFLICT when the
 * plan's state no longer allows it. */
PR_CHECKED enum pr_code rebalance_plan_begin(struct pr_db *db, const struct pr_lease *lease,
                                             const struct rebalance_plan *p, struct pr_err *err);
struct rebalance_plan_told { /* what the rows said when progress was written */
    char state[16];          /* of the plan; as told last when it comes in, "": nothing yet */
    int64_t revision;
};
/* ratio negative: as it was; eta_s negative: unknown. was, may be NULL: a state that
 * differs from was->state, a person's pause say, is told as an event. */
PR_CHECKED enum pr_code rebalance_plan_progress(struct pr_db *db, const struct pr_lease *lease,
                                                const struct rebalance_plan *p, double ratio,
                                                double eta_s, const char *phase,
                                                struct rebalance_plan_told *was,
                                                struct pr_err *err);
/* It cannot go on now, and is tried again: its phase says "waiting: " and why. PR_EFENCED; what
 * else fails is no matter, for it is said again. */
PR_CHECKED enum pr_code rebalance_plan_waits(struct pr_db *db, const struct pr_lease *lease,
                                             const struct rebalance_plan *p, const char *why);
/* state: "done", "failed" or "canceled"; result: JSON or NULL; error: NULL or words. */
PR_CHECKED enum pr_code rebalance_plan_end(struct pr_db *db, const struct pr_lease *lease,
                                           const struct rebalance_plan *p, const char *state,
                                           const char *result, const char *error,
                                           struct pr_err *err);

/* The executor can't go on by itself: the plan is paused, its error says why. Resumed
 * it tries again, canceled it takes back what it can. */
PR_CHECKED enum pr_code rebalance_plan_stuck(struct pr_db *db, const struct pr_lease *lease,
                                             const struct rebalance_plan *p, const char *why,
                                             struct pr_err *err);

/* Adds to the time in which the plan was carried out; pauses do not count. */
void rebalance_plan_active(struct pr_db *db, const struct pr_lease *lease,
                           const struct rebalance_plan *p, double seconds);

struct rebalance_fleet;
struct rebalance_fleet_plan;
struct rebalance_fleet_proposal { /* what a fleet plan has beside its summary */
    const struct rebalance_fleet *fleet;
    const struct rebalance_fleet_plan *plan;
    const char *fingerprint;
};

/* The planner's: row, operation, event and the message's mark in one
 * transaction, and the steps of a fleet plan (fleet, else NULL). summary NULL: the planning failed
 * for the reason in error. Nothing happens when the message was processed or the plan is not
 * pending. */
PR_CHECKED enum pr_code rebalance_plan_proposed(struct pr_db *db, const struct rebalance_plan *p,
                                                const char *summary,
                                                const struct rebalance_fleet_proposal *fleet,
                                                const char *error, const char *msg_id,
                                                struct pr_err *err);

#endif
