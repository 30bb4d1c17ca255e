/* Closes slots that somebody left open, gives owners to slots that lost theirs, and
 * brings keys home that lie on a primary which does not own their slot. What to
 * do is decided by core/fleet/repair.h; a copy is deleted only when the owner has the same. */
#ifndef REBALANCE_REPAIR_IO_H
#define REBALANCE_REPAIR_IO_H

#include "io/fleet/duties.h"

struct rebalance_repair_report {
    int open_slots, owner_slots,
        stray_slots; /* found: open; without a clear owner; with stray keys */
    int closed_forward, closed_back, owners_set, cleaned; /* slots mended */
    int64_t moved_keys, deleted_copies;
    int64_t conflicts;    /* keys whose copies differ: left alone */
    int ours;             /* open slots of a plan in hand: left to it */
    int left;             /* slots that are not right yet */
    char first_left[256]; /* which, and why; "" when none is */
};

/* Looks, mends, and looks again, until nothing is left or nothing more can be done.
 * PR_OK also when something is left: the report says what. Errors as rebalance_duty. */
PR_CHECKED enum pr_code rebalance_repair(const struct rebalance_duty_ctx *ctx,
                                         struct rebalance_repair_report *out, struct pr_err *err);
/* {"openSlots": 3, ...} */
void rebalance_repair_json(const struct rebalance_repair_report *r, char *out, size_t size);

#endif
