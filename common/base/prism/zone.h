/* Time zones as data: what the wall clock shows at a moment. Pure, and the same on every
 * machine whatever its own tables are, so that a decision can be replayed; the price is that
 * times are told by the rules of today, also for years in which others were in force.
 * Source: POSIX.1-2017, Base Definitions 8.3 (TZ); IANA Time Zone Database (zones.def). */
#ifndef PRISM_ZONE_H
#define PRISM_ZONE_H

#include "prism/err.h"

#include <stdbool.h>
#include <stdint.h>

struct pr_zone_change { /* the week-th weekday of the month (5: the last), time after its midnight
                         */
    int month, week, weekday;
    int64_t ms;
};
struct pr_zone {
    int64_t standard_ms, summer_ms;   /* what is added to UTC */
    bool changes;                     /* false: it is standard time all year */
    struct pr_zone_change begin, end; /* of summer time */
};

/* "Europe/Berlin", "UTC", or a rule: "CET-1CEST,M3.5.0,M10.5.0/3".
 * PR_EINVAL: no such zone, or what is wrong with the rule. */
PR_CHECKED enum pr_code pr_zone_find(const char *name, struct pr_zone *out, struct pr_err *err);

/* What is added to UTC at that moment. */
int64_t pr_zone_offset_ms(const struct pr_zone *z, int64_t utc_ms);
/* When the wall clock shows that minute: the first time when it does so twice; when it is left
 * out, the moment of the jump. */
int64_t pr_zone_utc_ms(const struct pr_zone *z, int64_t local_min);

#endif
