/* Copies every key of some redis-servers to the primaries of a cluster, by DUMP and RESTORE. */
#ifndef DR_COPY_H
#define DR_COPY_H

#include "core/generation.h"

#include "prism/io/redis.h"

#include <stdatomic.h>

struct dr_copied {
    uint64_t keys, bytes;      /* of keys and their DUMPs */
    uint32_t slot[DR_SLOTS];   /* keys in each */
    uint32_t mortal[DR_SLOTS]; /* of those, with a time to live: some may be gone by now */
};

struct dr_copy_of {
    struct pr_redis *const *from; /* [sources] */
    size_t sources;
    const char *seeds; /* of the target */
    const struct pr_redis_auth *auth;
    unsigned threads; /* at a time; each has a connection to every primary of its own */
    int wait_ms;      /* for the target's replicas, at the end */
    atomic_uint_fast64_t *progress; /* keys so far; may be NULL */
    const atomic_bool *cancel;      /* as of dr_scan */
};
/* Nobody else writes to either side. Every replica of the target has it all when this returns.
 * PR_ECONFLICT: the target's slots moved, or it holds keys that are not copied from here.
 * PR_EFULL: its memory is full. */
PR_CHECKED enum pr_code dr_copy_keys(const struct dr_copy_of *of, struct dr_copied *out,
                                     struct pr_err *err);

#endif
