#include "prism/zone.h"

#include "prism/cron.h"

#include <stddef.h>
#include <string.h>

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS, HOUR_MS = 60 * MINUTE_MS, WEEK_DAYS = 7 };
static const int64_t DAY_MS = INT64_C(24) * HOUR_MS;

static const struct {
    const char *name, *rule;
} ZONE[] = {
#define Z(name, rule) { name, rule },
#include "zones.def"
#undef Z
};

/* --- reading ---------------------------------------------------------------------- */

static bool number(const char **p, int most, int *out)
{
    int v = 0;
    const char *s = *p;
    for (; *s >= '0' && *s <= '9' && v <= most; s++)
        v = v * 10 + (*s - '0');
    const bool some = s > *p;
    *p = s;
    *out = v;
    return some && v <= most;
}

/* [+-]hh[:mm[:ss]] */
static bool clock_time(const char **p, int most_hours, int64_t *ms)
{
    const int sign = **p == '-' ? -1 : 1;
    int h = 0, m = 0, s = 0;
    *p += **p == '-' || **p == '+';
    bool ok = number(p, most_hours, &h);
    if (ok && **p == ':') {
        (*p)++;
        ok = number(p, 59, &m);
        if (ok && **p == ':') {
            (*p)++;
            ok = number(p, 59, &s);
        }
    }
    *ms = sign * ((int64_t)h * HOUR_MS + (int64_t)m * MINUTE_MS + (int64_t)s * SECOND_MS);
    return ok;
}

/* Three letters or more, or anything between < and >. */
static bool abbreviation(const char **p)
{
    const char *s = *p;
    if (*s == '<') {
        const char *end = strchr(s, '>');
        *p = end == NULL ? s : end + 1;
        return end != NULL && end - s > 3;
    }
    while ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z'))
        s++;
    const bool ok = s - *p >= 3;
    *p = s;
    return ok;
}

/* ,Mmonth.week.weekday[/time] */
static bool change(const char **p, struct pr_zone_change *c)
{
    c->ms = 2 * HOUR_MS;
    if (strncmp(*p, ",M", 2) != 0)
        return false;
    *p += 2;
    bool ok = number(p, 12, &c->month) && c->month >= 1 && *(*p)++ == '.' &&
              number(p, 5, &c->week) && c->week >= 1 && *(*p)++ == '.' && number(p, 6, &c->weekday);
    if (ok && **p == '/') {
        (*p)++;
        ok = clock_time(p, 167, &c->ms);
    }
    return ok;
}

static bool read_rule(const char *p, struct pr_zone *z)
{
    int64_t west = 0; /* POSIX counts what is added to reach UTC */
    if (!abbreviation(&p) || !clock_time(&p, 24, &west))
        return false;
    z->standard_ms = z->summer_ms = -west;
    if (*p == '\0')
        return true;
    z->changes = true;
    z->summer_ms = z->standard_ms + HOUR_MS;
    if (!abbreviation(&p))
        return false;
    if (*p != ',') {
        if (!clock_time(&p, 24, &west))
            return false;
        z->summer_ms = -west;
    }
    return change(&p, &z->begin) && change(&p, &z->end) && *p == '\0';
}

enum pr_code pr_zone_find(const char *name, struct pr_zone *out, struct pr_err *err)
{
    struct pr_zone z = { 0 };
    const char *rule = NULL;
    for (size_t lo = 0, hi = PR_COUNT(ZONE); lo < hi && rule == NULL;) {
        const size_t mid = lo + (hi - lo) / 2;
        const int order = strcmp(name, ZONE[mid].name);
        if (order == 0)
            rule = ZONE[mid].rule;
        else if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    if (!read_rule(rule == NULL ? name : rule, &z))
        return pr_fail(err, PR_EINVAL,
                       "time zone \"%.60s\": want a name of the IANA database (Europe/Berlin, UTC) "
                       "or a rule such as CET-1CEST,M3.5.0,M10.5.0/3",
                       name);
    *out = z;
    return PR_OK;
}

/* --- telling ---------------------------------------------------------------------- */

/* The moment of a change in that year, where offset_ms was in force before it. */
static int64_t moment(const struct pr_zone_change *c, int64_t year, int64_t offset_ms)
{
    const int64_t first = pr_day_from(year, (unsigned)c->month, 1);
    const int64_t next =
        c->month == 12 ? pr_day_from(year + 1, 1, 1) : pr_day_from(year, (unsigned)c->month + 1, 1);
    const int begins_on = (int)pr_date_of(first).weekday;
    int64_t day = first + (c->weekday - begins_on + WEEK_DAYS) % WEEK_DAYS +
                  (int64_t)(c->week - 1) * WEEK_DAYS;
    if (day >= next) /* the fifth that there is not: the last */
        day -= WEEK_DAYS;
    return day * DAY_MS + c->ms - offset_ms;
}

static int64_t year_of(int64_t ms)
{
    return pr_date_of(ms >= 0 ? ms / DAY_MS : -((DAY_MS - 1 - ms) / DAY_MS)).year;
}

int64_t pr_zone_offset_ms(const struct pr_zone *z, int64_t utc_ms)
{
    if (!z->changes)
        return z->standard_ms;
    const int64_t year = year_of(utc_ms + z->standard_ms);
    const int64_t begin = moment(&z->begin, year, z->standard_ms);
    const int64_t end = moment(&z->end, year, z->summer_ms);
    const bool summer = begin < end ? utc_ms >= begin && utc_ms < end
                                    : utc_ms >= begin || utc_ms < end; /* south of the equator */
    return summer ? z->summer_ms : z->standard_ms;
}

int64_t pr_zone_utc_ms(const struct pr_zone *z, int64_t local_min)
{
    const int64_t local_ms = local_min * MINUTE_MS;
    const bool ahead = z->summer_ms > z->standard_ms;
    const int64_t early = local_ms - (ahead ? z->summer_ms : z->standard_ms);
    const int64_t late = local_ms - (ahead ? z->standard_ms : z->summer_ms);
    if (early + pr_zone_offset_ms(z, early) == local_ms)
        return early;
    if (late + pr_zone_offset_ms(z, late) == local_ms)
        return late;
    /* Left out: the jump lies between the two. */
    const int64_t year = year_of(local_ms);
    const int64_t begin = moment(&z->begin, year, z->standard_ms);
    return begin >= early && begin <= late ? begin : moment(&z->end, year, z->summer_ms);
}
