/* How many restored shards this machine can load at a time. Pure. */
#ifndef DR_ROOM_H
#define DR_ROOM_H

#include "prism/err.h"

#include <stddef.h>
#include <stdint.h>

struct dr_room {
    uint64_t memory, disk; /* bytes that are free */
};
struct dr_load { /* a shard, in bytes: raw base (RDB) and stream */
    uint64_t base, stream;
};

/* Memory of a redis-server that loads it: an estimate from above for most data. What an RDB holds
 * takes up to twice its bytes, and a stream may be all new. */
uint64_t dr_room_of(const struct dr_load *l);

/* PR_EFULL: it cannot be loaded in so many free bytes of memory, whatever it holds: what an RDB has
 * takes its own bytes at least. To be asked before a load that nobody sized: where the kernel ends
 * it for its memory, it may end the whole container (memory.oom.group, which Kubernetes sets). */
PR_CHECKED enum pr_code dr_room_least(const struct dr_load *l, uint64_t memory, struct pr_err *err);

/* *wave: 1..n shards at a time. wanted 0: as many as four fifths of the memory hold, whichever they
 * are; else that many, which is not doubted. PR_EFULL: the disk cannot hold all, or the memory not
 * the largest one; says how much is missing. */
PR_CHECKED enum pr_code dr_room_wave(const struct dr_load *load, size_t n,
                                     const struct dr_room *room, size_t wanted, size_t *wave,
                                     struct pr_err *err);

#endif
