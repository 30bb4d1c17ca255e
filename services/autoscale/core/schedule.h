/* Floors by the calendar: "from this time to that there are at least so many". Pure: zones are
 * data (prism/zone.h). Times are the wall clock's: a begin that the clocks leave out counts at
 * the jump, one that they show twice the first time; it lasts as long as it says, whatever the
 * clocks do meanwhile.
 * Source: Amazon EC2 Auto Scaling User Guide, "Scheduled scaling" (there, limits stay as the
 * last action set them; here they end). */
#ifndef AUTOSCALE_SCHEDULE_H
#define AUTOSCALE_SCHEDULE_H

#include "prism/err.h"

#include <stddef.h>
#include <stdint.h>

enum { AUTOSCALE_SCHEDULES = 16 };

struct autoscale_floor {
    char name[64];
    char cron[64]; /* its begin: minute hour day month weekday */
    char zone[64]; /* time zone: "UTC", "Europe/Berlin" */
    int64_t lasts_ms;
    int min;     /* instances; 0: none */
    int max;     /* a lower maximum meanwhile; 0: none */
    int desired; /* wanted at its begin alone (AWS scheduled actions); 0: none */
};

struct autoscale_schedule {
    struct autoscale_floor floor[AUTOSCALE_SCHEDULES];
    size_t floors;
};

/* PR_EINVAL: names the floor and what is wrong with it. */
PR_CHECKED enum pr_code autoscale_schedule_check(const struct autoscale_schedule *s,
                                                 struct pr_err *err);

struct autoscale_schedule_now { /* 0 and NULL: none. Names are the schedule's, borrowed. */
    int min;                    /* the largest of those that last now */
    int max;                    /* the smallest; one that is below min gives way to it */
    int desired;                /* of the latest begin; the largest of those at once */
    const char *min_name, *max_name, *desired_name;
};
/* What holds at now_ms; desired: of what began after since_ms (when somebody last looked; a
 * minute ago when nobody knows), at most an hour ago, and not after now_ms. PR_EINVAL: as of
 * the check. */
PR_CHECKED enum pr_code autoscale_schedule_at(const struct autoscale_schedule *s, int64_t since_ms,
                                              int64_t now_ms, struct autoscale_schedule_now *out,
                                              struct pr_err *err);
/* The last begin at or before now_ms, and the first one after it; INT64_MIN, INT64_MAX: none. */
PR_CHECKED enum pr_code autoscale_floor_begins(const struct autoscale_floor *f, int64_t now_ms,
                                               int64_t *last_ms, int64_t *next_ms,
                                               struct pr_err *err);

#endif
