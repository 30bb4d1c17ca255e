#include "prism/schedule.h"

#include "prism/cron.h"
#include "prism/zone.h"

enum { MINUTE_MS = 60000 };

/* Clocks are put on by an hour, at most by two. What they show now may already have been shown,
 * and more than that. */
enum { JUMP_MIN = 120 };

static int64_t minute_of(int64_t ms)
{
    return ms >= 0 ? ms / MINUTE_MS : -((MINUTE_MS - 1 - ms) / MINUTE_MS);
}

enum pr_code pr_schedule_around(const char *cron, const char *zone, int64_t now_ms,
                                int64_t *last_ms, int64_t *next_ms, struct pr_err *err)
{
    struct pr_cron c;
    struct pr_zone z;
    enum pr_code rc = pr_cron_parse(cron, &c, err);
    if (rc == PR_OK)
        rc = pr_zone_find(zone, &z, err);
    if (rc != PR_OK)
        return rc;

    *last_ms = INT64_MIN;
    *next_ms = INT64_MAX;
    const int64_t local = minute_of(now_ms + pr_zone_offset_ms(&z, now_ms));
    const int64_t latest = z.changes ? local + JUMP_MIN : local;
    for (int64_t m = pr_cron_last(&c, latest); m != -1; m = pr_cron_last(&c, m - 1)) {
        const int64_t at = pr_zone_utc_ms(&z, m);
        if (at <= now_ms) {
            *last_ms = at;
            break;
        }
        *next_ms = at;
    }
    if (*next_ms == INT64_MAX) {
        const int64_t m = pr_cron_next(&c, latest + 1);
        *next_ms = m == -1 ? INT64_MAX : pr_zone_utc_ms(&z, m);
    }
    return PR_OK;
}
