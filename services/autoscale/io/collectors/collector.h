/* What collectors share. A collector asks one source once and appends what it says as
 * readings; an error names where and what. A figure that cannot be had is unknown, with a
 * reason, and never a number.
 * Addresses, credentials and files come from the service's settings, never from a fleet's:
 * whoever may change a fleet's settings must not choose where a token is sent.
 * Source: docs/explanation/autoscale.md. */
#ifndef AUTOSCALE_COLLECTOR_H
#define AUTOSCALE_COLLECTOR_H

#include "core/merge.h"

#include "prism/arena.h"
#include "prism/buf.h"

struct autoscale_readings {
    struct pr_arena *arena; /* holds the readings and their strings */
    struct autoscale_reading *reading;
    size_t n, cap;
    char note[256]; /* for the log: what the source warned of; "" nothing */
};

/* Copies one and its strings. PR_ENOMEM. */
PR_CHECKED enum pr_code autoscale_readings_add(struct autoscale_readings *r,
                                               const struct autoscale_reading *one,
                                               struct pr_err *err);

struct autoscale_span {      /* the time that is asked about */
    int64_t now_ms, from_ms; /* from: of sources that keep a past; readings lie in (from, now] */
};

/* A time by a source's clock, in seconds since the epoch; -1: not one of ours. */
int64_t autoscale_seconds_to_ms(double s);
/* Makes text from outside fit for a message: what does not print becomes '?'. */
void autoscale_printable(char *out, size_t n, const char *text);

#endif
