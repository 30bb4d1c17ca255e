/* Private to core/adaptive*.c. */
#ifndef AUTOSCALE_ADAPTIVE_PRIVATE_H
#define AUTOSCALE_ADAPTIVE_PRIVATE_H

#include "core/adaptive.h"

enum { ADAPTIVE_AHEAD_MOST = 45 }; /* minutes; the ring must hold them and a slope */

/* Minutes from an order's evaluation until it helps. */
int adaptive_ahead(const struct autoscale_view *view);
/* Every sample that is newer than what the memory holds. */
void adaptive_fold(const struct autoscale_adaptive *p, struct autoscale_adaptive_memory *m,
                   const struct autoscale_view *view);
/* The load at this time, as two other days have shown it with CPU below saturation, and the week
 * if it is known: the lowest of them; 0 unknown. */
double adaptive_usual(const struct autoscale_adaptive_memory *m);
/* The minute that a sample tells of; collecting may be late by less than half of one. */
static inline int64_t adaptive_minute(int64_t at_ms)
{
    const int64_t t = at_ms + AUTOSCALE_MINUTE_MS / 2;
    return t / AUTOSCALE_MINUTE_MS - (t % AUTOSCALE_MINUTE_MS < 0);
}
static inline size_t adaptive_at(int64_t minute)
{
    return (size_t)((uint64_t)minute % AUTOSCALE_ADAPTIVE_RING);
}

#endif
