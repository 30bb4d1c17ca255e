#include "io/memory.h"

#include <stdio.h>
#include <sys/resource.h>

void placement_peak_reset(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (f == NULL)
        return;
    (void)fputs("5", f); /* proc(5): resets the peak resident set size */
    (void)fclose(f);
}

uint64_t placement_peak_bytes(void)
{
    char line[128];
    unsigned long long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "VmHWM: %llu kB", &kib) == 1)
            break;
    if (f != NULL)
        (void)fclose(f);
    if (kib > 0)
        return (uint64_t)kib * 1024;
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}
