#include "core/clock.h"

#include <stdio.h>

/* Too far for anybody to decide by ours. */
static bool apart(int64_t ahead_ms, char why[160])
{
    why[0] = '\0';
    if (ahead_ms <= AUTOSCALE_CLOCK_APART_MS && ahead_ms >= -AUTOSCALE_CLOCK_APART_MS)
        return false;
    (void)snprintf(why, 160, "our clock is %lld s %s the database's: nothing is decided",
                   (long long)((ahead_ms < 0 ? -ahead_ms : ahead_ms) / 1000),
                   ahead_ms < 0 ? "behind" : "ahead of");
    return true;
}

/* Two clocks that agree are believed before what a third has written. One that has just been set
 * back may be set again, so it is watched for a while first. */
enum autoscale_clock autoscale_clock_judge(const struct autoscale_clock_facts *f, char why[160])
{
    const int64_t behind_ms = f->stored_ms - f->now_ms;
    if (apart(f->ahead_ms, why))
        return AUTOSCALE_CLOCK_WAIT;
    if (f->stored_ms == 0 || behind_ms <= 0)
        return AUTOSCALE_CLOCK_RIGHT;
    (void)snprintf(why, 160,
                   "our clock is %lld s behind what is stored: it went back, or was ahead before; "
                   "nothing is decided",
                   (long long)(behind_ms / 1000));
    const bool sure = f->behind_since_ms != 0 && f->behind_since_ms <= f->now_ms &&
                      f->now_ms - f->behind_since_ms >= AUTOSCALE_CLOCK_SURE_MS;
    return sure ? AUTOSCALE_CLOCK_ASIDE : AUTOSCALE_CLOCK_WAIT;
}
