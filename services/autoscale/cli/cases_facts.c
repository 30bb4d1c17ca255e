/* Conformance cases that state the terms of predictive scaling: how much history it looks at,
 * how far it looks ahead, and so on. A term is told by the words of its name and of its unit. */
#include "cli/cases_aws.h"

#include "cli/cases_read.h"
#include "core/aws_group.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 12, WORD = 24 };
static const double HOUR = 3600; /* seconds, which everything is counted in */

struct words {
    char word[WORDS][WORD];
    size_t n;
};

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_letter(char c)
{
    return is_upper(c) || (c >= 'a' && c <= 'z');
}

/* "history_days", "HistoryDays" and "14 d of history" in words of small letters. */
static struct words split(const char *text)
{
    struct words w = { .n = 0 };
    size_t len = 0;
    for (const char *p = text;; p++) {
        const bool begins = p > text && is_upper(*p) && !is_upper(p[-1]);
        if (len > 0 && (begins || !is_letter(*p))) {
            w.word[w.n++][len] = '\0';
            len = 0;
        }
        if (*p == '\0' || w.n == WORDS)
            return w;
        if (is_letter(*p) && len < WORD - 1)
            w.word[w.n][len++] = (char)(*p | 32);
    }
}

static bool has(const struct words *w, const char *names)
{
    for (size_t i = 0; i < w->n; i++)
        if (case_is(w->word[i], names))
            return true;
    return false;
}

/* Seconds in the unit that the words name; 0: they name none. */
static double unit_of(const struct words *w)
{
    if (has(w, "d|day|days"))
        return 24 * HOUR;
    if (has(w, "week|weeks"))
        return 7 * 24 * HOUR;
    if (has(w, "h|hour|hours|hourly"))
        return HOUR;
    if (has(w, "minute|minutes|mins|m"))
        return 60;
    if (has(w, "s|sec|secs|second|seconds"))
        return 1;
    return has(w, "min") ? 60 : 0;
}

/* A term's words: one of `all` and, where there are any, one of `also`; none of `never`. The
 * first that fits. */
static const struct term {
    const char *all, *also, *never;
    double seconds;
} TERM[] = {
    { "buffer|prelaunch|launch|ahead_of_time|advance", "max|maximum|most|limit", "capacity",
      AUTOSCALE_FORECAST_BUFFER_MOST_S },
    { "buffer|prelaunch|launch|advance", NULL, "capacity", AUTOSCALE_FORECAST_BUFFER_S },
    { "history|data|training|past|lookback",
      "min|minimum|least|needs|needed|required|requires|first", NULL,
      AUTOSCALE_FORECAST_LEAST_H * 3600.0 },
    { "first|after|needs|needed", "forecast|forecasts|forecasting|hours|h", NULL,
      AUTOSCALE_FORECAST_LEAST_H * 3600.0 },
    { "history|data|training|past|lookback", NULL, NULL, AUTOSCALE_FORECAST_HISTORY_H * 3600.0 },
    { "refresh|refreshed|update|updates|updated|recompute|recomputed|renew|regenerate|recalculate|"
      "refreshes",
      NULL, NULL, AUTOSCALE_FORECAST_EVERY_H * 3600.0 },
    { "interval|granularity|resolution|step|period|bucket|every", NULL, NULL,
      AUTOSCALE_FORECAST_STEP_H * 3600.0 },
    { "horizon|ahead|forecast|forecasts|next|future", NULL, NULL,
      AUTOSCALE_FORECAST_AHEAD_H * 3600.0 },
};

static const struct term *find_term(const struct words *w)
{
    for (size_t i = 0; i < PR_COUNT(TERM); i++)
        if (has(w, TERM[i].all) && (TERM[i].also == NULL || has(w, TERM[i].also)) &&
            (TERM[i].never == NULL || !has(w, TERM[i].never)))
            return &TERM[i];
    return NULL;
}

static void check_time(struct case_fields *f, const char *name, const struct words *w, double want)
{
    const struct term *t = find_term(w);
    const double unit = unit_of(w);
    if (t == NULL)
        case_differs(f, "field \"%.60s\" is not understood", name);
    else if (unit <= 0)
        case_differs(f, "field \"%.60s\": in which unit?", name);
    else if (!(fabs(want * unit - t->seconds) <= 1e-6))
        case_differs(f, "%.60s: computed %.12g, want %.12g", name, t->seconds / unit, want);
}

static void check_truth(struct case_fields *f, const char *name, const struct words *w, bool want)
{
    bool is = false;
    if (has(w, "in") && has(w, "scale|scales|scaling"))
        is = has(w, "never|no|not"); /* "never_scales_in" */
    else if (has(w, "hourly") || (has(w, "out") && has(w, "scale|scales|scaling")) ||
             has(w, "honor|honors|honour|respects"))
        is = true;
    else if (has(w, "only") || has(w, "start|begin|beginning"))
        is = true; /* the mode when none is given; when in the hour it scales */
    else {
        case_differs(f, "field \"%.60s\" is not understood", name);
        return;
    }
    if (is != want)
        case_differs(f, "%.60s: computed %s", name, is ? "true" : "false");
}

static void check_text(struct case_fields *f, const char *name, const struct words *w,
                       const char *want)
{
    char *end = NULL;
    const double number = strtod(want + strcspn(want, "0123456789"), &end);
    if (has(w, "mode")) {
        if (!case_is(want, "forecastonly|forecast_only"))
            case_differs(f, "%.60s: computed ForecastOnly, want %.60s", name, want);
    } else if (has(w, "breach|behavior|behaviour")) {
        if (!case_is(want, "honormaxcapacity|honor_max_capacity"))
            case_differs(f, "%.60s: computed HonorMaxCapacity, want %.60s", name, want);
    } else if (strpbrk(want, "0123456789") != NULL) {
        /* "14 d": the name says of what, the text in which unit. */
        struct words both = split(want);
        for (size_t i = 0; i < w->n && both.n < WORDS; i++)
            memcpy(both.word[both.n++], w->word[i], WORD);
        check_time(f, name, &both, number);
    } else if (case_is(want, "hourly|every_hour")) {
        struct words hourly = *w;
        if (hourly.n < WORDS)
            memcpy(hourly.word[hourly.n++], "hours", sizeof "hours");
        check_time(f, name, &hourly, 1);
    } else {
        case_differs(f, "field \"%.60s\": \"%.60s\" is not understood", name, want);
    }
}

static void check_term(struct case_fields *f, const char *name, const json_t *want)
{
    const struct words w = split(name);
    if (json_is_boolean(want))
        check_truth(f, name, &w, json_is_true(want));
    else if (json_is_number(want))
        check_time(f, name, &w, json_number_value(want));
    else if (json_is_string(want))
        check_text(f, name, &w, json_string_value(want));
    else
        case_differs(f, "field \"%.60s\" is not understood", name);
}

void case_predictive_params(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    const char *param = case_text_or(&f, "param|parameter|field|key|setting", NULL);
    const json_t *expect = case_need(&f, "expect|params");
    const char *name = NULL;
    json_t *want = NULL;
    if (param != NULL && expect != NULL) {
        check_term(&f, param, expect);
    } else if (json_is_object(expect)) {
        json_object_foreach((json_t *)expect, name, want) check_term(&f, name, want);
        if (json_object_size(expect) == 0)
            case_differs(&f, "expect: nothing");
    } else if (expect != NULL) {
        case_differs(&f, "expect: no object of terms");
    }
    case_leftover(&f);
}
