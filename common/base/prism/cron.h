/* Cron expressions and the calendar they count by. Pure; time is the wall clock of
 * whoever's zone it is, counted in minutes since 1970-01-01 00:00 there
 * (prism/zone.h says what the clock shows). Source: crontab(5). */
#ifndef PRISM_CRON_H
#define PRISM_CRON_H

#include "prism/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { PR_DAY_MIN = 24 * 60 };

struct pr_date {
    int64_t year;
    unsigned month, day, weekday; /* from 1, from 1, Sunday 0 */
};
struct pr_date pr_date_of(int64_t day); /* days since 1970-01-01 */
int64_t pr_day_from(int64_t year, unsigned month, unsigned day);
int64_t pr_day_of(int64_t local_min); /* the day that the minute is in */

struct pr_cron {        /* bit n: value n */
    uint64_t minute;    /* 0..59 */
    uint32_t hour, day; /* 0..23, 1..31 */
    uint16_t month;     /* 1..12 */
    uint8_t weekday;    /* 0..6, Sunday is 0 */
    bool any_day, any_weekday;
};
/* "minute hour day-of-month month day-of-week": each *, or numbers, ranges, and
 * lists of them by commas, each with an optional /step; months and weekdays also
 * by their first three letters; 7 is Sunday too. A day matches when both its
 * fields do; when neither begins with *, one is enough.
 * PR_EINVAL names the field; a day that never comes (30 February) is refused. */
PR_CHECKED enum pr_code pr_cron_parse(const char *text, struct pr_cron *out, struct pr_err *err);
bool pr_cron_matches(const struct pr_cron *c, int64_t local_min);
/* First match at or after local_min, and last one at or before it; -1: none in 41 years. */
int64_t pr_cron_next(const struct pr_cron *c, int64_t local_min);
int64_t pr_cron_last(const struct pr_cron *c, int64_t local_min);

/* "Sun 2026-11-22 03:00" into text[24]. */
void pr_minute_text(int64_t local_min, char text[24]);

#endif
