/* What settings would have done with what a fleet's samples say that its load was. */
#ifndef AUTOSCALE_SIMULATE_H
#define AUTOSCALE_SIMULATE_H

#include "io/settings.h"

#include "prism/io/db.h"

struct autoscale_what_if {
    const char *fleet;
    const char *settings;    /* JSON; "": those that hold */
    int64_t from_ms, to_ms;  /* 0: as far as there are samples */
    int64_t until_us;        /* monotonic; loading ends by then; 0: no matter when */
    bool (*stop)(void *ctx); /* asked for each day of it: true ends it; NULL: never */
    void *stop_ctx;
};

/* *text: JSON as `prism-autoscale backtest -o json` prints it, the caller's to free. PR_EINVAL,
 * PR_ENOTFOUND, PR_EDATA: for whoever asked. PR_ECANCELED: stop said so, or the time is up. */
PR_CHECKED enum pr_code autoscale_simulate(struct pr_db *db, const struct autoscale_config *cfg,
                                           const struct autoscale_what_if *ask, char **text,
                                           struct pr_err *err);

#endif
