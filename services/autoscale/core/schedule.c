#include "core/schedule.h"

#include "prism/schedule.h"

#include <stdbool.h>

enum { MINUTE_MS = 60000, YEAR_DAYS = 366, MOST = 1000000 };
static const int64_t YEAR_MS = INT64_C(1440) * YEAR_DAYS * MINUTE_MS;

/* A begin that nobody saw for longer is past: its size was meant for another hour. */
enum { MISSED_MS = 60 * MINUTE_MS };

enum pr_code autoscale_floor_begins(const struct autoscale_floor *f, int64_t now_ms,
                                    int64_t *last_ms, int64_t *next_ms, struct pr_err *err)
{
    const enum pr_code rc = pr_schedule_around(f->cron, f->zone, now_ms, last_ms, next_ms, err);
    return rc == PR_OK ? PR_OK : pr_wrap(err, rc, "schedule \"%.40s\"", f->name);
}

static const char *wrong(const struct autoscale_floor *f)
{
    if (f->name[0] == '\0')
        return "it has no name";
    if (f->min < 0 || f->max < 0 || f->desired < 0 || f->min > MOST || f->max > MOST ||
        f->desired > MOST)
        return "min, max and desired are not from 0 to 1000000";
    if (f->min == 0 && f->max == 0 && f->desired == 0)
        return "it asks for no min, max or desired";
    if (f->max != 0 && f->max < f->min)
        return "max is below min";
    if (f->lasts_ms < 0 || f->lasts_ms > YEAR_MS)
        return "it lasts less than 0 or more than a year";
    if (f->lasts_ms == 0 && (f->min != 0 || f->max != 0))
        return "its min and max last no time";
    return NULL;
}

enum pr_code autoscale_schedule_check(const struct autoscale_schedule *s, struct pr_err *err)
{
    if (s->floors > AUTOSCALE_SCHEDULES)
        return pr_fail(err, PR_EINVAL, "%zu schedules, at most %d", s->floors, AUTOSCALE_SCHEDULES);
    for (size_t i = 0; i < s->floors; i++) {
        int64_t last = 0, next = 0;
        const char *what = wrong(&s->floor[i]);
        if (what != NULL)
            return pr_fail(err, PR_EINVAL, "schedule %zu (\"%.40s\"): %s", i + 1, s->floor[i].name,
                           what);
        const enum pr_code rc = autoscale_floor_begins(&s->floor[i], 0, &last, &next, err);
        if (rc != PR_OK)
            return rc;
    }
    return PR_OK;
}

static void apply(const struct autoscale_floor *f, struct autoscale_schedule_now *out)
{
    if (f->min > out->min) {
        out->min = f->min;
        out->min_name = f->name;
    }
    if (f->max != 0 && (out->max == 0 || f->max < out->max)) {
        out->max = f->max;
        out->max_name = f->name;
    }
}

enum pr_code autoscale_schedule_at(const struct autoscale_schedule *s, int64_t since_ms,
                                   int64_t now_ms, struct autoscale_schedule_now *out,
                                   struct pr_err *err)
{
    struct autoscale_schedule_now now = { 0 };
    int64_t latest = INT64_MIN;
    for (size_t i = 0; i < s->floors; i++) {
        const struct autoscale_floor *f = &s->floor[i];
        int64_t last = 0, next = 0;
        const enum pr_code rc = autoscale_floor_begins(f, now_ms, &last, &next, err);
        if (rc != PR_OK)
            return rc;
        if (last == INT64_MIN)
            continue;
        if (now_ms - last < f->lasts_ms)
            apply(f, &now);
        if (f->desired == 0 || last <= since_ms || now_ms - last > MISSED_MS)
            continue;
        if (last > latest || (last == latest && f->desired > now.desired)) {
            latest = last;
            now.desired = f->desired;
            now.desired_name = f->name;
        }
    }
    if (now.max != 0 && now.max < now.min) {
        now.max = now.min;
        now.max_name = now.min_name;
    }
    *out = now;
    return PR_OK;
}
