/* Work that threads of its own do ahead, in order, while the caller takes what is done. */
#ifndef DR_AHEAD_H
#define DR_AHEAD_H

#include "prism/err.h"

#include <stdatomic.h>
#include <stddef.h>

/* Of one i; stop: true when it is not wanted any more. */
typedef enum pr_code dr_ahead_fn(void *ctx, size_t i, const atomic_bool *stop, struct pr_err *err);

struct dr_ahead; /* owned: dr_ahead_end */

/* Begins to call fn(ctx, i) for each i in [from, to), as many at a time as there are threads (16 at
 * most). cancel: looked at while the caller waits; may be NULL. fn and ctx live until the end. */
PR_CHECKED enum pr_code dr_ahead_begin(struct dr_ahead **out, size_t from, size_t to,
                                       unsigned threads, dr_ahead_fn *fn, void *ctx,
                                       const atomic_bool *cancel, struct pr_err *err);
/* Until i is done. What any of them failed by is said at once; after it nothing more is begun.
 * PR_ECANCELED: *cancel. */
PR_CHECKED enum pr_code dr_ahead_await(struct dr_ahead *a, size_t i, struct pr_err *err);
/* No more is begun; what is under way is told to stop, and waited for. NULL is fine. */
void dr_ahead_end(struct dr_ahead *a);

#endif
