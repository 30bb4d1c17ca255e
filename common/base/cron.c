#include "prism/cron.h"

#include <stdio.h>
#include <string.h>

enum { LOOK_DAYS = 41 * 366 };

/* --- dates -------------------------------------------------------------------- */

int64_t pr_day_of(int64_t local_min)
{
    return local_min >= 0 ? local_min / PR_DAY_MIN : -((PR_DAY_MIN - 1 - local_min) / PR_DAY_MIN);
}

enum { ERA_DAYS = 146097, TO_MARCH_0 = 719468, WEEK = 7, THURSDAY = 4 };

/* Years begin in March here, so the leap day is the last and every month's first
 * day is a linear function of its number. */
struct pr_date pr_date_of(int64_t day)
{
    const int64_t z = day + TO_MARCH_0;
    const int64_t era = (z >= 0 ? z : z - ERA_DAYS + 1) / ERA_DAYS; /* of 400 years */
    const int64_t d = z - era * ERA_DAYS;
    const int64_t y = (d - d / 1460 + d / 36524 - d / (ERA_DAYS - 1)) / 365;
    const int64_t in_year = d - (365 * y + y / 4 - y / 100);
    const int64_t m = (5 * in_year + 2) / 153;

    const int64_t weekday = (day % WEEK + WEEK + THURSDAY) % WEEK;
    return (struct pr_date){ .year = y + era * 400 + (m >= 10),
                             .month = (unsigned)(m < 10 ? m + 3 : m - 9),
                             .day = (unsigned)(in_year - (153 * m + 2) / 5 + 1),
                             .weekday = (unsigned)weekday };
}

int64_t pr_day_from(int64_t year, unsigned month, unsigned day)
{
    const int64_t y = year - (month <= 2);
    const int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    const int64_t in_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + in_year - TO_MARCH_0;
}

/* --- cron: reading --------------------------------------------------------------- */

static const char *const MONTHS[] = { "jan", "feb", "mar", "apr", "may", "jun",
                                      "jul", "aug", "sep", "oct", "nov", "dec" };
static const char *const WEEKDAYS[] = { "sun", "mon", "tue", "wed", "thu", "fri", "sat" };

struct field {
    const char *name;
    int lo, hi;
    const char *const *names; /* of lo, lo + 1, ... */
    int n_names;
};
static const struct field FIELD[] = {
    { "minute", 0, 59, NULL, 0 },         { "hour", 0, 23, NULL, 0 },
    { "day of month", 1, 31, NULL, 0 },   { "month", 1, 12, MONTHS, 12 },
    { "day of week", 0, 7, WEEKDAYS, 7 },
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* A number or a name at *p; -1: neither. */
static int value_at(const char **p, const char *end, const struct field *f)
{
    const char *s = *p;
    int v = 0;
    while (*p < end && **p >= '0' && **p <= '9' && v < 1000)
        v = v * 10 + (*(*p)++ - '0');
    if (*p > s)
        return v;
    for (int i = 0; i < f->n_names; i++)
        if (end - s >= 3 && lower(s[0]) == f->names[i][0] && lower(s[1]) == f->names[i][1] &&
            lower(s[2]) == f->names[i][2]) {
            *p = s + 3;
            return f->lo + i;
        }
    return -1;
}

/* One item of a list: *, value or range, and its step. */
static bool item(const char **p, const char *end, const struct field *f, uint64_t *bits)
{
    int first = f->lo, last = f->hi, step = 1;
    bool open = true; /* no end of its own: with a step it runs to the field's */
    if (*p < end && **p == '*') {
        (*p)++;
    } else {
        first = value_at(p, end, f);
        if (first >= 0 && *p < end && **p == '-') {
            (*p)++;
            last = value_at(p, end, f);
            last = last == 0 && first > 0 && f->names == WEEKDAYS ? 7 : last; /* fri-sun */
            open = false;
        } else if (*p == end || **p != '/') {
            last = first;
        }
    }
    if (*p < end && **p == '/') {
        const struct field number = { f->name, 1, f->hi, NULL, 0 };
        (*p)++;
        step = value_at(p, end, &number);
        if (step < 1 || step > f->hi)
            return false;
    }
    if (first < f->lo || last < first || last > f->hi)
        return false;
    if (open && last == 7) /* 0 is that Sunday, and counted once */
        last = f->names == WEEKDAYS && first < 7 ? 6 : last;
    for (int v = first; v <= last; v += step)
        *bits |= UINT64_C(1) << v;
    return true;
}

static enum pr_code read_field(const char **p, const struct field *f, uint64_t *bits, bool *any,
                               struct pr_err *err)
{
    *p += strspn(*p, " \t");
    const char *begin = *p, *end = begin + strcspn(begin, " \t");
    if (begin == end)
        return pr_fail(err, PR_EINVAL, "cron: %s is missing: want minute hour day month weekday",
                       f->name);
    *any = *begin == '*';
    for (*p = begin;; (*p)++) {
        if (!item(p, end, f, bits) || (*p < end && **p != ','))
            return pr_fail(err, PR_EINVAL,
                           "cron: %s \"%.*s\": want *, numbers %d to %d%s, ranges, "
                           "lists and steps",
                           f->name, (int)(end - begin > 40 ? 40 : end - begin), begin, f->lo, f->hi,
                           f->n_names > 0 ? " or names" : "");
        if (*p == end)
            return PR_OK;
    }
}

enum pr_code pr_cron_parse(const char *text, struct pr_cron *out, struct pr_err *err)
{
    uint64_t bits[PR_COUNT(FIELD)] = { 0 };
    bool any[PR_COUNT(FIELD)] = { false };
    const char *p = text;
    for (size_t i = 0; i < PR_COUNT(FIELD); i++) {
        const enum pr_code rc = read_field(&p, &FIELD[i], &bits[i], &any[i], err);
        if (rc != PR_OK)
            return rc;
    }
    p += strspn(p, " \t");
    if (*p != '\0')
        return pr_fail(err, PR_EINVAL, "cron: \"%.40s\" after the five fields", p);

    const struct pr_cron c = { .minute = bits[0],
                               .hour = (uint32_t)bits[1],
                               .day = (uint32_t)bits[2],
                               .month = (uint16_t)bits[3],
                               .weekday = (uint8_t)((bits[4] & 0x7f) | bits[4] >> 7),
                               .any_day = any[2],
                               .any_weekday = any[4] };
    if (pr_cron_next(&c, 0) < 0)
        return pr_fail(err, PR_EINVAL, "cron: day of month \"%s\": no such day ever comes", text);
    *out = c;
    return PR_OK;
}

/* --- cron: matching ---------------------------------------------------------------- */

static bool on(uint64_t bits, unsigned n)
{
    return (bits >> n & 1) != 0;
}

static bool day_matches(const struct pr_cron *c, int64_t day)
{
    const struct pr_date d = pr_date_of(day);
    if (!on(c->month, d.month))
        return false;
    const bool by_day = on(c->day, d.day), by_weekday = on(c->weekday, d.weekday);
    return c->any_day || c->any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

bool pr_cron_matches(const struct pr_cron *c, int64_t local_min)
{
    const int64_t day = pr_day_of(local_min);
    const unsigned in_day = (unsigned)(local_min - day * PR_DAY_MIN);
    return on(c->minute, in_day % 60) && on(c->hour, in_day / 60) && day_matches(c, day);
}

/* The first minute of a day from m on that the hours and minutes allow; -1: none. */
static int64_t first_in_day(const struct pr_cron *c, unsigned m)
{
    while (m < PR_DAY_MIN) {
        if (!on(c->hour, m / 60))
            m = (m / 60 + 1) * 60;
        else if (!on(c->minute, m % 60))
            m++;
        else
            return m;
    }
    return -1;
}

int64_t pr_cron_next(const struct pr_cron *c, int64_t local_min)
{
    const int64_t today = pr_day_of(local_min);
    for (int64_t day = today; day <= today + LOOK_DAYS; day++) {
        if (!day_matches(c, day))
            continue;
        const int64_t m =
            first_in_day(c, day == today ? (unsigned)(local_min - day * PR_DAY_MIN) : 0);
        if (m >= 0)
            return day * PR_DAY_MIN + m;
    }
    return -1;
}

int64_t pr_cron_last(const struct pr_cron *c, int64_t local_min)
{
    const int64_t today = pr_day_of(local_min);
    for (int64_t day = today; day >= today - LOOK_DAYS; day--) {
        if (!day_matches(c, day))
            continue;
        for (int64_t m = day == today ? local_min - day * PR_DAY_MIN : PR_DAY_MIN - 1; m >= 0; m--)
            if (on(c->hour, (unsigned)m / 60) && on(c->minute, (unsigned)m % 60))
                return day * PR_DAY_MIN + m;
    }
    return -1;
}

void pr_minute_text(int64_t local_min, char text[24])
{
    const int64_t day = pr_day_of(local_min);
    const struct pr_date d = pr_date_of(day);
    const unsigned m = (unsigned)(local_min - day * PR_DAY_MIN);
    const char *name = WEEKDAYS[d.weekday];
    snprintf(text, 24, "%c%s %04u-%02u-%02u %02u:%02u", name[0] - 'a' + 'A', name + 1,
             (unsigned)d.year % 10000, d.month % 100, d.day % 100, m / 60 % 100, m % 60);
}
