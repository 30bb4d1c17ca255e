/* Rows of table steps as the planner writes and the executor reads them; those of
 * slots that are being moved belong to io/slot/rows.h. */
#ifndef REBALANCE_STEP_ROWS_H
#define REBALANCE_STEP_ROWS_H

#include "core/fleet/plan.h"

#include "prism/io/db.h"
#include "prism/io/lease.h"

/* Inside a transaction: one row for every step of the plan. */
PR_CHECKED enum pr_code rebalance_steps_insert(struct pr_db *db, int64_t plan_id,
                                               const struct rebalance_fleet *fleet,
                                               const struct rebalance_fleet_plan *plan,
                                               struct pr_err *err);

struct rebalance_steps_seen { /* how far a plan is */
    int wave;                 /* that comes first: with open slots, or something left; 0: none */
    int waves;
    int64_t steps, verified, stuck;
    int64_t running;                           /* begun and not over */
    int64_t slots, slots_verified, slots_open; /* open: they may be */
    double bytes, bytes_verified;              /* expected ones, of slots */
    int64_t moved_keys, moved_bytes;
    char stuck_why[200]; /* of the first */
};
PR_CHECKED enum pr_code rebalance_steps_see(struct pr_db *db, int64_t plan_id,
                                            struct rebalance_steps_seen *out, struct pr_err *err);

/* The steps of one wave that are not verified and move no slot, in order. */
PR_CHECKED enum pr_code rebalance_steps_duties(struct pr_db *db, int64_t plan_id, int wave,
                                               PGresult **rows, struct pr_err *err);
/* The node pairs of one wave that have slots left: columns src_node, dst_node,
 * longest first. */
PR_CHECKED enum pr_code rebalance_steps_pairs(struct pr_db *db, int64_t plan_id, int wave,
                                              PGresult **rows, struct pr_err *err);
/* A plan that goes on after it was stuck tries those steps again, and slots that their
 * target refused and that were taken back. */
PR_CHECKED enum pr_code rebalance_steps_unstick(struct pr_db *db, const struct pr_lease *lease,
                                                int64_t plan_id, struct pr_err *err);
/* What was never begun is rolled_back: the plan was canceled. */
PR_CHECKED enum pr_code rebalance_steps_cancel(struct pr_db *db, const struct pr_lease *lease,
                                               int64_t plan_id, struct pr_err *err);

#endif
