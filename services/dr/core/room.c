#include "core/room.h"

#include <stdlib.h>

#define MIB UINT64_C(1048576)

uint64_t dr_room_of(const struct dr_load *l)
{
    return 2 * l->base + l->stream + 64 * MIB;
}

enum pr_code dr_room_least(const struct dr_load *l, uint64_t memory, struct pr_err *err)
{
    return l->base < memory
               ? PR_OK
               : pr_fail(
                     err, PR_EFULL,
                     "the shard takes %llu MiB of memory at least, about %llu, and %llu are free: "
                     "give dr more, or drill elsewhere",
                     (unsigned long long)(l->base / MIB), (unsigned long long)(dr_room_of(l) / MIB),
                     (unsigned long long)(memory / MIB));
}

static int larger_first(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static enum pr_code check_disk(const struct dr_load *load, size_t n, const struct dr_room *room,
                               struct pr_err *err)
{
    uint64_t need = 64 * MIB;
    for (size_t i = 0; i < n; i++)
        need += (load[i].base + load[i].stream) / 20 * 21; /* what is mended is written, too */
    return need <= room->disk
               ? PR_OK
               : pr_fail(err, PR_EFULL, "the files take %llu MiB, %llu are free: use another disk",
                         (unsigned long long)(need / MIB), (unsigned long long)(room->disk / MIB));
}

enum pr_code dr_room_wave(const struct dr_load *load, size_t n, const struct dr_room *room,
                          size_t wanted, size_t *wave, struct pr_err *err)
{
    const enum pr_code rc = check_disk(load, n, room, err);
    if (rc != PR_OK)
        return rc;
    *wave = wanted < n ? wanted : n;
    if (wanted > 0 || n == 0)
        return PR_OK;
    uint64_t *need = malloc(n * sizeof *need), sum = 0;
    if (need == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu shards", n);
    for (size_t i = 0; i < n; i++)
        need[i] = dr_room_of(&load[i]);
    qsort(need, n, sizeof *need, larger_first);
    const uint64_t first = need[0];
    for (*wave = 0; *wave < n && sum + need[*wave] <= room->memory / 5 * 4; ++*wave)
        sum += need[*wave];
    free(need);
    return *wave > 0
               ? PR_OK
               : pr_fail(err, PR_EFULL,
                         "the largest shard takes about %llu MiB of memory, and %llu are free, of "
                         "which a fifth is left: use a larger machine, or --parallel 1 if you "
                         "know better",
                         (unsigned long long)(first / MIB),
                         (unsigned long long)(room->memory / MIB));
}
