/* Whether it is a time to decide in: clocks go wrong, and what was stored meanwhile bears their
 * times. Pure. Source: docs/explanation/autoscale.md. */
#ifndef AUTOSCALE_CLOCK_H
#define AUTOSCALE_CLOCK_H

#include "core/history.h"

enum {
    AUTOSCALE_CLOCK_APART_MS = AUTOSCALE_MINUTE_MS,   /* ours and the store's may differ so much */
    AUTOSCALE_CLOCK_SURE_MS = 5 * AUTOSCALE_MINUTE_MS /* behind for so long: ours is right now */
};

struct autoscale_clock_facts {
    int64_t now_ms;          /* the fleet's time */
    int64_t stored_ms;       /* newest minute that is stored, or was decided for; 0: none */
    int64_t behind_since_ms; /* now_ms of the first look that found us behind it; 0: none did */
    int64_t ahead_ms;        /* of the store's clock, ours is */
};

enum autoscale_clock {
    AUTOSCALE_CLOCK_RIGHT,
    AUTOSCALE_CLOCK_WAIT, /* nothing is decided, and somebody should look */
    AUTOSCALE_CLOCK_ASIDE /* it was ahead: what is stored of the future is set aside, and on we go
                           */
};

/* why: for people; "" when it is right. */
enum autoscale_clock autoscale_clock_judge(const struct autoscale_clock_facts *f, char why[160]);

#endif
