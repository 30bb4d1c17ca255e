#include "io/room.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

/* The number behind name at the beginning of a line. False: there is no such file, or none in it.
 */
static bool number_in(const char *path, const char *name, uint64_t *out)
{
    char line[256];
    bool found = false;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    while (!found && fgets(line, sizeof line, f) != NULL)
        found = strncmp(line, name, strlen(name)) == 0 &&
                sscanf(line + strlen(name), "%" SCNu64, out) == 1;
    fclose(f);
    return found;
}

enum pr_code dr_room_look(const char *dir, struct dr_room *out, struct pr_err *err)
{
    static const char most[] = "/sys/fs/cgroup/memory.max", used[] = "/sys/fs/cgroup/memory.stat";
    struct statvfs st;
    uint64_t kib, limit, now;
    if (!number_in("/proc/meminfo", "MemAvailable:", &kib))
        return pr_fail(err, PR_EUNAVAIL, "/proc/meminfo does not say what memory is available");
    if (statvfs(dir, &st) != 0)
        return pr_fail(err, PR_EUNAVAIL, "%s: %s", dir, strerror(errno));
    out->memory = kib * 1024;
    if (number_in(most, "", &limit) &&
        number_in(used, "anon ", &now)) { /* what caches files can be had back */
        const uint64_t left = limit > now ? limit - now : 0;
        out->memory = left < out->memory ? left : out->memory;
    }
    out->disk = (uint64_t)st.f_bavail * st.f_frsize;
    return PR_OK;
}
