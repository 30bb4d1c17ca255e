/* Tells how far the fleet plan in hand is: to its operation, and as news to whoever
 * listens. */
#ifndef REBALANCE_REPORT_H
#define REBALANCE_REPORT_H

#include "io/executor_private.h"
#include "io/fleet/step_rows.h"
#include "io/slot/run.h"

struct rebalance_report { /* zero is a good beginning */
    struct rebalance_fleet_told told;
    struct rebalance_speed speed;
    struct rebalance_plan_told rows;
    double wave_bytes; /* verified before the wave in hand */
};

/* What the plan's operation told before, by whichever executor. */
PR_CHECKED enum pr_code rebalance_report_load(struct rebalance_report *r, struct pr_db *db,
                                              const struct rebalance_plan *plan,
                                              struct pr_err *err);
struct rebalance_report_in {
    const struct rebalance_steps_seen *seen;
    const struct rebalance_slot_run *slots; /* of the wave in hand; NULL: none */
    const char *waits_for;                  /* "": nothing */
    double running_s;
};
/* Brings r->told up to date without telling anybody. */
void rebalance_report_look(struct rebalance_report *r, const struct rebalance_report_in *in,
                           int64_t now_us);
/* Writes and posts it; the plan must point at r->told. PR_EFENCED: the lease is lost. */
PR_CHECKED enum pr_code rebalance_report_write(struct rebalance_report *r,
                                               struct rebalance_executor *e,
                                               const struct rebalance_plan *plan, const char *phase,
                                               struct pr_err *err);

#endif
