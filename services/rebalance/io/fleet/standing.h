/* The standing orders as the policy's row has them. */
#ifndef REBALANCE_STANDING_H
#define REBALANCE_STANDING_H

#include "core/policy/approve.h"

#include "prism/arena.h"
#include "prism/io/db.h"

/* policies.spec: {"auto": ["failback"], "window": {"cron": "0 3 * * 0", "timeZone": "UTC",
 * "minutes": 240}, "maxBytes": 1e12, "maxSlots": 2048}.
 * local_min: the wall time of the window's zone. PR_EDATA: the spec says nonsense. */
PR_CHECKED enum pr_code rebalance_standing_load(struct pr_db *db, struct pr_arena *arena,
                                                struct rebalance_standing *out, int64_t *local_min,
                                                struct pr_err *err);

#endif
