/* Target routes and hints of runs in PostgreSQL (route_bases of kind target,
 * hints), and the traffic between slots that they saw. All run inside the caller's transaction. */
#ifndef PLACEMENT_TARGETS_TABLE_H
#define PLACEMENT_TARGETS_TABLE_H

#include "core/run.h"
#include "prism/io/db.h"

/* Homes without an entry get no row; every partition gets a hints row. */
PR_CHECKED enum pr_code placement_targets_write(struct pr_db *db, int64_t run_id,
                                                const struct placement_store *store,
                                                const struct placement_result *r,
                                                struct pr_err *err);

/* kind: "before" (today's places) or "after" (the wanted ones); see prism/traffic.h. */
PR_CHECKED enum pr_code placement_traffic_write(struct pr_db *db, int64_t run_id, const char *kind,
                                                const struct pr_buf *traffic, struct pr_err *err);
/* Deletes it of all runs but the newest keep that have it and those of unfinished plans. */
PR_CHECKED enum pr_code placement_traffic_prune(struct pr_db *db, int64_t keep, struct pr_err *err);

/* Deletes targets and hints of all runs but the newest keep done ones and those
 * of unfinished plans; such a run's report then says "targets_kept": false. */
PR_CHECKED enum pr_code placement_targets_prune(struct pr_db *db, int64_t keep, struct pr_err *err);

#endif
