/* The routes in PostgreSQL made anew from what a cluster holds, and the sequence of epochs set
 * above every epoch in it. */
#ifndef DR_ROUTES_H
#define DR_ROUTES_H

#include "io/survey.h"

#include "prism/io/lease.h"

struct dr_routes {
    uint64_t entries; /* vertices that do not live at home */
    uint64_t epoch;   /* the next move gets one above this */
};

/* PR_ENOTFOUND: no store was ever set up in that database. */
PR_CHECKED enum pr_code dr_routes_partitions(struct pr_db *db, uint32_t *out, struct pr_err *err);
/* Who may execute plans now; "": nobody. */
enum { DR_EXECUTOR = 128 };
PR_CHECKED enum pr_code dr_routes_executor(struct pr_db *db, char holder[DR_EXECUTOR],
                                           struct pr_err *err);
/* Nobody executes plans (and would write routes of his own) from here until dr_routes_end.
 * PR_ECONFLICT: somebody does; stop the rebalance service. */
PR_CHECKED enum pr_code dr_routes_begin(struct pr_db *db, struct pr_lease *lease,
                                        struct pr_err *err);
/* In one transaction: all there is in route_bases (current) and route_deltas gives way to what the
 * survey found; survey: of every primary, after dr_routes_begin. epoch: at least as high as any
 * that was seen or used. PR_EFENCED: somebody executed plans meanwhile. Safe to repeat. */
PR_CHECKED enum pr_code dr_routes_write(struct pr_db *db, struct pr_lease *lease,
                                        uint32_t partitions, const struct dr_survey *s,
                                        uint64_t epoch, struct dr_routes *out, struct pr_err *err);
void dr_routes_end(struct pr_db *db, struct pr_lease *lease);

#endif
