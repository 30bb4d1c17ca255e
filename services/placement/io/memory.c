#include "io/memory.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

void placement_peak_reset(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "we");
    if (f == NULL)
        return;
    (void)fputs("5", f); /* proc(5): resets the peak resident set size */
    (void)fclose(f);
}

/* The number behind a name at the start of a line; false: there is none. */
static bool find_number(const char *path, const char *name, uint64_t *out)
{
    char line[256];
    bool found = false;
    const size_t n = strlen(name);
    FILE *f = fopen(path, "re");
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
        char *end = NULL;
        if (strncmp(line, name, n) != 0)
            continue;
        *out = strtoull(line + n, &end, 10);
        found = end != line + n;
    }
    if (f != NULL)
        (void)fclose(f);
    return found;
}

uint64_t placement_peak_bytes(void)
{
    uint64_t kib;
    if (find_number("/proc/self/status", "VmHWM:", &kib))
        return kib * 1024;
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

static void lower(uint64_t *room, uint64_t limit, uint64_t used)
{
    const uint64_t left = used < limit ? limit - used : 1; /* 0 would mean unknown */
    if (*room == 0 || left < *room)
        *room = left;
}

/* A limit of this cgroup (version 2) or of any above it. What the page cache
 * holds can be had back, so only memory of processes counts as used. */
static void lower_to_cgroup(uint64_t *room)
{
    char line[PATH_MAX] = "", path[PATH_MAX + 64];
    FILE *f = fopen("/proc/self/cgroup", "re");
    const bool got = f != NULL && fgets(line, sizeof line, f) != NULL;
    if (f != NULL)
        (void)fclose(f);
    if (!got || strncmp(line, "0::/", 4) != 0)
        return;
    char *group = line + 3;
    group[strcspn(group, "\n")] = '\0';
    while (true) {
        uint64_t limit, used = 0;
        (void)snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
        const bool limited = find_number(path, "", &limit); /* "max" is no number */
        (void)snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.stat", group);
        if (limited && find_number(path, "anon ", &used))
            lower(room, limit, used);
        char *slash = strrchr(group, '/');
        if (slash == NULL || group[0] == '\0')
            return;
        *slash = '\0';
    }
}

uint64_t placement_memory_free(void)
{
    uint64_t room = 0, v, used = 0;
    if (find_number("/proc/meminfo", "MemAvailable:", &v))
        lower(&room, v * 1024, 0);
    lower_to_cgroup(&room);
    if (find_number("/sys/fs/cgroup/memory/memory.limit_in_bytes", "", &v) && v < UINT64_MAX / 4 &&
        find_number("/sys/fs/cgroup/memory/memory.stat", "rss ", &used))
        lower(&room, v, used);
    return room;
}
