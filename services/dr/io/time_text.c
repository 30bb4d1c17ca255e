#include "io/time_text.h"

#include <stdio.h>
#include <time.h>

void dr_time_text(int64_t ms, char out[32])
{
    const time_t at = (time_t)(ms / 1000);
    struct tm tm;
    if (gmtime_r(&at, &tm) == NULL || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        (void)snprintf(out, 32, "%lld", (long long)ms);
}
