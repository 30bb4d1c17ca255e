/* A fleet's clock against the database's and against what is stored (core/clock.h). */
#ifndef AUTOSCALE_IO_CLOCK_H
#define AUTOSCALE_IO_CLOCK_H

#include "core/clock.h"

#include "prism/io/db.h"
#include "prism/io/lease.h"

struct autoscale_clock_watch { /* of a fleet; zeroed: nothing was wrong yet */
    int64_t behind_since_ms;
    char why[160]; /* what is waited for; "" nothing */
};

/* now_ms: the fleet's time; machine_ms: this machine's, now. Sets aside what is of the future when
 * it is sure of it: samples and readings of then are deleted, decisions and actions of then are
 * dated just before now, policies begin anew. */
PR_CHECKED enum pr_code autoscale_clock_look(struct autoscale_clock_watch *w, struct pr_db *db,
                                             const struct pr_lease *lease, const char *fleet,
                                             int64_t now_ms, int64_t machine_ms,
                                             enum autoscale_clock *out, struct pr_err *err);

#endif
