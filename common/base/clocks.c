#include "prism/clocks.h"

int64_t pr_clock_off(int64_t before_ms, int64_t other_ms, int64_t after_ms)
{
    return before_ms > other_ms  ? before_ms - other_ms
           : after_ms < other_ms ? after_ms - other_ms
                                 : 0;
}
