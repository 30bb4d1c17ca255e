/* What a request about scaling fleets may say: names, times, lists of words, and how
 * a range of minutes is drawn. Pure. */
#ifndef METADATA_API_SCALE_H
#define METADATA_API_SCALE_H

#include "api_check.h"

enum { API_TIME_TEXT = 32, API_SERIES_POINTS = 240, API_SERIES_POINTS_MAX = 2000 };

/* As the migrations check it: 1 to 63 of a-z, 0-9 and '-', not starting with '-'. */
bool api_fleet_name_valid(const char *name);

/* RFC 3339 (2026-11-21T10:05:00Z, .25, +01:00) to milliseconds since 1970, 1970 to 2500. */
bool api_time_parse(const char *text, int64_t *ms);
/* "2026-11-21T10:05:00Z", with milliseconds when there are any; "-" before 1970. */
void api_time_text(int64_t ms, char out[API_TIME_TEXT]);

enum api_words { API_MOVES, API_DECISION_STATES };
/* "out,in": every word is one of them. NULL is fine. */
void api_check_words(const char *field, const char *list, enum api_words which,
                     struct api_errors *errs);

struct api_series_in { /* as the query has them; NULL: not given */
    const char *from, *to, *points;
};
struct api_series { /* (from_ms, to_ms], in steps that end at whole multiples of step_ms */
    int64_t from_ms, to_ms, step_ms;
};
/* Six hours up to now unless told otherwise, and the narrowest step of a clock face that
 * makes no more than the points wanted. */
void api_check_series(const struct api_series_in *in, int64_t now_ms, struct api_series *out,
                      struct api_errors *errs);

#endif
