/* Since when members are there, and since when they are ready or not: of providers that do not
 * say it, as one minute after another has seen them. Pure. What HPA's rules for young and
 * unready members ask (core/hpa_vote.c).
 * Source: docs/explanation/autoscale.md. */
#ifndef AUTOSCALE_SINCE_H
#define AUTOSCALE_SINCE_H

#include "core/history.h"

struct autoscale_since { /* one member */
    const char *id;      /* borrowed */
    bool began;          /* runs, or ran once: it was reported up or in service */
    bool ready;
    int64_t started_ms, ready_since_ms; /* 0 unknown, which policies take for long ago */
};

struct autoscale_sinces {              /* of one fleet, as it was seen last */
    int64_t at_ms;                     /* 0: never */
    const struct autoscale_since *one; /* [n] sorted by id */
    size_t n;
};

/* now[n], sorted by id, as it is reported at at_ms: with times where the provider says them
 * (started_ms is not 0), which stay; the others' are filled. Who was not there a minute before
 * began at at_ms, and who was in another state changed then. After a time in which nobody looked
 * it may have been at any time: that is unknown. */
void autoscale_since_fold(const struct autoscale_sinces *before, int64_t at_ms,
                          struct autoscale_since *now, size_t n);

const struct autoscale_since *autoscale_since_find(const struct autoscale_sinces *s,
                                                   const char *id); /* NULL: it is not there */

#endif
