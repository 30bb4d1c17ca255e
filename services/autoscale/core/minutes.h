/* A metric minute by minute, back from now: what thresholds, alarms and trackers ask. Pure.
 * A minute that nobody measured is unknown: it agrees with nothing and contradicts nothing. */
#ifndef AUTOSCALE_MINUTES_H
#define AUTOSCALE_MINUTES_H

#include "core/history.h"

/* Samples come a minute apart. After this long without one a minute is missing; half a minute
 * is what collecting and clocks may be late. */
enum { AUTOSCALE_MISSED_MS = 90000 };

enum autoscale_compare {
    AUTOSCALE_ABOVE,    /* > */
    AUTOSCALE_AT_LEAST, /* >= */
    AUTOSCALE_BELOW,    /* < */
    AUTOSCALE_AT_MOST,  /* <= */
};
bool autoscale_beyond(enum autoscale_compare op, double value, double threshold);
const char *autoscale_compare_text(enum autoscale_compare op); /* ">" */

struct autoscale_minutes {
    bool whole;               /* every minute of the window has a value */
    size_t known;             /* minutes that have one */
    double newest;            /* NAN: the minute that ended last has none */
    double mean, least, most; /* of the known; NAN none */
};
/* window_ms ending with the newest sample. The first minute of the window begins a minute
 * before its sample does, so five samples a minute apart are five minutes. For the way in
 * (lowering), a minute in which half of the members or more were silent is unknown: the mean
 * of those that still answer says nothing about whom the others leave their work to. */
struct autoscale_minutes autoscale_minutes(const struct autoscale_view *v, enum autoscale_metric m,
                                           int64_t window_ms, bool lowering);

enum autoscale_answer { AUTOSCALE_NO, AUTOSCALE_YES, AUTOSCALE_CANNOT_TELL };
/* Was it beyond the threshold in every minute of the window? NO when one known minute was not,
 * whatever the others were; CANNOT_TELL when only missing minutes stand between it and yes. */
enum autoscale_answer autoscale_sustained(const struct autoscale_view *v, enum autoscale_metric m,
                                          enum autoscale_compare op, double threshold,
                                          int64_t window_ms);

/* Whether the fleet has this metric at all: it had a value in the last hour, or before it, as
 * far back as the view goes. Looks at ever wider gaps, since a collector that ran left many. */
bool autoscale_measured(const struct autoscale_view *v, enum autoscale_metric m);

/* "cpu 71.2 %", "network 8.1 Gbps", "backlog 1500" into text[48]. */
void autoscale_metric_text(enum autoscale_metric m, double value, char text[48]);

#endif
