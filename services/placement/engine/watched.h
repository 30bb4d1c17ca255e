/* A long pass of a pool that stops soon after the watch says so. Pure. */
#ifndef PLACEMENT_WATCHED_H
#define PLACEMENT_WATCHED_H

#include "core/watch.h"
#include "prism/pool.h"

/* As pr_pool_for; the caller's worker asks the watch (NULL: none) before each
 * of its chunks. false: it said no, and some chunks were left out. */
bool placement_watched_for(struct pr_pool *pool, const struct placement_watch *watch, double done,
                           uint64_t n, uint64_t grain,
                           void (*fn)(void *ctx, unsigned worker, uint64_t begin, uint64_t end),
                           void *ctx);

#endif
