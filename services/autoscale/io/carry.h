/* Carries out what was decided, while this replica holds the lease: the shell of core/carry.h.
 * Asks providers what runs, saves the record, acts, looks again. A thread of its own. */
#ifndef AUTOSCALE_IO_CARRY_H
#define AUTOSCALE_IO_CARRY_H

#include "io/decider.h"

struct autoscale_carrier;

PR_CHECKED enum pr_code autoscale_carrier_start(struct autoscale_carrier **out,
                                                const struct autoscale_decider_options *o,
                                                struct pr_err *err);
void autoscale_carrier_stop(struct autoscale_carrier *c); /* the act in hand ends; NULL is fine */

#endif
