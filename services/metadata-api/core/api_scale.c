#include "api_scale.h"

#include "prism/cron.h"

#include <stdio.h>
#include <string.h>

enum { MINUTE_MS = 60000, HOUR_MS = 60 * MINUTE_MS };
#define DAY_MS  INT64_C(86400000)
#define LAST_MS INT64_C(16725225600000) /* 2500-01-01 */

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

bool api_fleet_name_valid(const char *name)
{
    const size_t n = strlen(name);
    return n >= 1 && n <= 63 && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

/* --- times --------------------------------------------------------------------- */

/* `n` digits at *p, and on; -1 when they are not there. */
static int number(const char **p, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++, (*p)++) {
        if (!digit(**p))
            return -1;
        v = v * 10 + (**p - '0');
    }
    return v;
}

static bool take(const char **p, char want)
{
    const bool there = **p == want || **p == want + ('a' - 'A') * (want >= 'A' && want <= 'Z');
    *p += there;
    return there;
}

/* ".25" to 250; what is finer than a millisecond is left out. -1: a point without digits. */
static int fraction_ms(const char **p)
{
    int ms = 0, unit = 100;
    if (!take(p, '.'))
        return 0;
    if (!digit(**p))
        return -1;
    for (; digit(**p); (*p)++, unit /= 10)
        ms += (**p - '0') * unit;
    return ms;
}

/* Minutes that the clock is ahead of UTC; false: no offset. */
static bool offset(const char **p, int *min)
{
    *min = 0;
    if (take(p, 'Z'))
        return true;
    const int sign = take(p, '+') ? 1 : take(p, '-') ? -1 : 0;
    const int hours = sign == 0 ? -1 : number(p, 2);
    if (hours < 0 || hours > 23 || !take(p, ':'))
        return false;
    const int minutes = number(p, 2);
    *min = sign * (hours * 60 + minutes);
    return minutes >= 0 && minutes <= 59;
}

bool api_time_parse(const char *text, int64_t *ms)
{
    const char *p = text;
    const int year = number(&p, 4);
    const int month = year >= 0 && take(&p, '-') ? number(&p, 2) : -1;
    const int day = month >= 0 && take(&p, '-') ? number(&p, 2) : -1;
    const int hour = day >= 0 && take(&p, 'T') ? number(&p, 2) : -1;
    const int min = hour >= 0 && take(&p, ':') ? number(&p, 2) : -1;
    const int sec = min >= 0 && take(&p, ':') ? number(&p, 2) : -1;
    const int part = sec >= 0 ? fraction_ms(&p) : -1;
    int ahead = 0;
    if (part < 0 || !offset(&p, &ahead) || *p != '\0')
        return false;
    if (month < 1 || month > 12 || day < 1 || hour > 23 || min > 59 || sec > 59)
        return false;
    const int64_t of_day = pr_day_from(year, (unsigned)month, (unsigned)day);
    const struct pr_date back = pr_date_of(of_day); /* 31 February comes back as March */
    if (back.month != (unsigned)month || back.day != (unsigned)day)
        return false;
    *ms = of_day * DAY_MS + (int64_t)(hour * 60 + min - ahead) * MINUTE_MS + sec * 1000 + part;
    return *ms >= 0 && *ms < LAST_MS;
}

void api_time_text(int64_t ms, char out[API_TIME_TEXT])
{
    char fraction[8] = "";
    if (ms < 0 || ms >= LAST_MS) {
        snprintf(out, API_TIME_TEXT, "-");
        return;
    }
    const struct pr_date d = pr_date_of(ms / DAY_MS);
    const unsigned of_day = (unsigned)(ms % DAY_MS / 1000);
    if (ms % 1000 != 0)
        snprintf(fraction, sizeof fraction, ".%03u", (unsigned)(ms % 1000));
    snprintf(out, API_TIME_TEXT, "%04u-%02u-%02uT%02u:%02u:%02u%sZ", (unsigned)d.year % 10000,
             d.month % 100, d.day % 100, of_day / 3600 % 100, of_day / 60 % 60, of_day % 60,
             fraction);
}

/* --- words --------------------------------------------------------------------- */

static const char *const moves[] = { "hold", "out", "in", "unknown" };
static const char *const states[] = { "decided", "acting", "done", "failed", "superseded" };

static const char *all_of(enum api_words which)
{
    return which == API_MOVES ? "hold, out, in and unknown"
                              : "decided, acting, done, failed and superseded";
}

static bool known(enum api_words which, const char *word, size_t n)
{
    const char *const *names = which == API_MOVES ? moves : states;
    const size_t count = which == API_MOVES ? PR_COUNT(moves) : PR_COUNT(states);
    for (size_t i = 0; i < count; i++)
        if (strlen(names[i]) == n && memcmp(names[i], word, n) == 0)
            return true;
    return false;
}

void api_check_words(const char *field, const char *list, enum api_words which,
                     struct api_errors *errs)
{
    if (list == NULL)
        return;
    for (const char *at = list;; at++) {
        const size_t n = strcspn(at, ",");
        if (!known(which, at, n)) {
            api_error(errs, field, "\"%.*s\" is none of %s", n < 20 ? (int)n : 20, at,
                      all_of(which));
            return;
        }
        at += n;
        if (*at == '\0')
            return;
    }
}

/* --- series -------------------------------------------------------------------- */

static void read_time(const char *field, const char *text, int64_t otherwise, int64_t *out,
                      struct api_errors *errs)
{
    *out = otherwise;
    if (text != NULL && !api_time_parse(text, out))
        api_error(errs, field, "a time such as 2026-11-21T10:05:00Z");
}

static int64_t step_of(int64_t range_ms, int64_t points)
{
    static const int minutes[] = { 1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 360, 720, 1440, 2880 };
    for (size_t i = 0; i < PR_COUNT(minutes); i++) {
        const int64_t step = (int64_t)minutes[i] * MINUTE_MS;
        if (range_ms <= points * step)
            return step;
    }
    const int64_t days = (range_ms + points * DAY_MS - 1) / (points * DAY_MS);
    return days * DAY_MS;
}

void api_check_series(const struct api_series_in *in, int64_t now_ms, struct api_series *out,
                      struct api_errors *errs)
{
    uint64_t points = API_SERIES_POINTS;
    read_time("to", in->to, now_ms, &out->to_ms, errs);
    read_time("from", in->from, out->to_ms - INT64_C(6) * HOUR_MS, &out->from_ms, errs);
    if (in->points != NULL &&
        (!api_number_parse(in->points, API_SERIES_POINTS_MAX, &points) || points == 0)) {
        api_error(errs, "points", "a number from 1 to %d", (int)API_SERIES_POINTS_MAX);
        return;
    }
    if (errs->n > 0)
        return;
    if (out->from_ms < 0)
        out->from_ms = 0;
    if (out->from_ms >= out->to_ms)
        api_error(errs, "from", "must be before to");
    else
        out->step_ms = step_of(out->to_ms - out->from_ms, (int64_t)points);
}
