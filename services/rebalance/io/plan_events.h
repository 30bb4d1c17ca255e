/* What others are told of a plan: its events, and how far it is as JSON. */
#ifndef REBALANCE_PLAN_EVENTS_H
#define REBALANCE_PLAN_EVENTS_H

#include "core/fleet/progress.h"

#include "prism/io/db.h"

#include <stdint.h>

struct rebalance_plan_news { /* borrowed */
    int64_t id, revision;
    const char *state;
    const struct rebalance_fleet_told *told; /* NULL: not a fleet plan, or never begun */
    int64_t at_ms;                           /* Unix epoch */
};

enum { REBALANCE_EVENT_BYTES = 640 };
/* Bytes written. */
size_t rebalance_plan_event(const struct rebalance_plan_news *n,
                            uint8_t out[REBALANCE_EVENT_BYTES]);

/* Inside a transaction: the event of a change of state, and the operation's progress
 * when something is told (operation "": it has none). */
PR_CHECKED enum pr_code rebalance_plan_changed(struct pr_db *db,
                                               const struct rebalance_plan_news *n,
                                               const char *operation, struct pr_err *err);

/* operations.progress; malloc, NULL: no memory. */
char *rebalance_told_json(const struct rebalance_fleet_told *told);

#endif
