/* Steps of plans that were over long ago go; the plans and their summaries stay.
 * Source: docs/reference/settings.md, PRISM_REBALANCE_STEPS_KEEP_DAYS. */
#ifndef REBALANCE_FLEET_RETENTION_H
#define REBALANCE_FLEET_RETENTION_H

#include "prism/io/db.h"
#include "prism/io/lease.h"

enum { REBALANCE_RETENTION_PLANS = 20 }; /* of one call: some 330,000 rows at most */

/* Deletes the steps of plans that were over more than keep_days ago, the oldest
 * plans first, each in a transaction of its own under the lease. *deleted: rows, also
 * on failure. keep_days 0: nothing is deleted. To be called now and then; what one
 * call leaves the next one takes. */
PR_CHECKED enum pr_code rebalance_steps_forget(struct pr_db *db, const struct pr_lease *lease,
                                               int64_t keep_days, int64_t *deleted,
                                               struct pr_err *err);

#endif
