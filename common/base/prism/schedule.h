/* When a cron expression comes, by the wall clock of a zone. Pure. */
#ifndef PRISM_SCHEDULE_H
#define PRISM_SCHEDULE_H

#include "prism/err.h"

#include <stdint.h>

/* The last time at or before now_ms and the first one after it, Unix epoch; INT64_MIN, INT64_MAX:
 * none in 41 years. What the clock shows twice comes once; what it leaves out comes when it jumps.
 * PR_EINVAL: no such cron (prism/cron.h) or zone (prism/zone.h). */
PR_CHECKED enum pr_code pr_schedule_around(const char *cron, const char *zone, int64_t now_ms,
                                           int64_t *last_ms, int64_t *next_ms, struct pr_err *err);

#endif
