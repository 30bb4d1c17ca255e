/* Two clocks, compared by asking for the other's time. Pure. */
#ifndef PRISM_CLOCKS_H
#define PRISM_CLOCKS_H

#include <stdint.h>

/* How far ahead of another clock ours is, for certain: it showed before_ms, the other one then
 * other_ms, and ours after_ms when that was known. Negative: behind; 0: they may agree. */
int64_t pr_clock_off(int64_t before_ms, int64_t other_ms, int64_t after_ms);

#endif
