/* Decides for every fleet once a minute of its time, while this replica holds the lease: asks
 * its sources, merges minutes, decides, stores input and decision. A thread of its own. */
#ifndef AUTOSCALE_DECIDER_H
#define AUTOSCALE_DECIDER_H

#include "io/fleets.h"
#include "io/seen.h"

#include "prism/io/service.h"
#include "prism/io/tenure.h"

struct autoscale_decider;

struct autoscale_decider_options {
    struct pr_service *svc;
    const struct autoscale_config *cfg;
    struct pr_tenure *tenure;
    struct autoscale_seen *seen;
};

PR_CHECKED enum pr_code autoscale_decider_start(struct autoscale_decider **out,
                                                const struct autoscale_decider_options *o,
                                                struct pr_err *err);
void autoscale_decider_stop(struct autoscale_decider *d); /* what is in hand ends; NULL is fine */

#endif
