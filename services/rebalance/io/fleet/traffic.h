/* What a placement run saw of the traffic between slots, as far as it speaks of today. */
#ifndef REBALANCE_FLEET_TRAFFIC_H
#define REBALANCE_FLEET_TRAFFIC_H

#include "core/policy/crossing.h"

#include "prism/io/db.h"

struct rebalance_seen_traffic {
    bool known;
    char why[160];      /* when it is not known */
    int64_t run_id;     /* whose record it is; 0: none */
    double bytes_per_s; /* all of the traffic, as the run's report has it */
    struct pr_traffic traffic;
    PGresult *row; /* owns the record */
};

/* That no record speaks of today, or cannot be read, is no error.
 * rebalance_seen_traffic_done frees it, also after a failure. */
PR_CHECKED enum pr_code rebalance_seen_traffic(struct pr_db *db, struct rebalance_seen_traffic *out,
                                               struct pr_err *err);
void rebalance_seen_traffic_done(struct rebalance_seen_traffic *t);

#endif
