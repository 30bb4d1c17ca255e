/* A few threads that work on one thing together. Pure: no clock, no I/O. What
 * they compute must not depend on their number: whoever uses a pool cuts work
 * into chunks whose results do not depend on which worker takes them. */
#ifndef PRISM_POOL_H
#define PRISM_POOL_H

#include "prism/err.h"

#include <stdint.h>

enum { PR_POOL_MAX = 256 };

struct pr_pool;

/* threads 1..PR_POOL_MAX, the caller's own counted. PR_ENOMEM, PR_EUNAVAIL. */
PR_CHECKED enum pr_code pr_pool_new(unsigned threads, struct pr_pool **out, struct pr_err *err);
void pr_pool_free(struct pr_pool *p);              /* NULL is fine */
unsigned pr_pool_threads(const struct pr_pool *p); /* NULL: 1, the caller alone */

/* Calls fn once on each worker, 0 (the caller) .. threads - 1, and returns when
 * all have. Not reentrant: fn passes NULL where it wants a pool. */
void pr_pool_run(struct pr_pool *p, void (*fn)(void *ctx, unsigned worker), void *ctx);

/* fn over [0, n) in chunks of grain (the last may be shorter), chunk i being
 * [i * grain, ...); which worker takes which chunk is left open. */
void pr_pool_for(struct pr_pool *p, uint64_t n, uint64_t grain,
                 void (*fn)(void *ctx, unsigned worker, uint64_t begin, uint64_t end), void *ctx);

#endif
