/* Does something with every one of n things, several at a time, each thread with a connection to
 * the bucket of its own. */
#ifndef DR_EACH_H
#define DR_EACH_H

#include "prism/s3/s3.h"

typedef enum pr_code dr_each_fn(void *ctx, struct pr_s3 *s3, size_t i, struct pr_err *err);

/* store: NULL: fn needs no bucket, its s3 is NULL. The first failure stops the rest and is
 * returned. Order is any. cancel: may be NULL. */
PR_CHECKED enum pr_code dr_each(const struct pr_s3_store *store, const atomic_bool *cancel,
                                unsigned threads, size_t n, dr_each_fn *fn, void *ctx,
                                struct pr_err *err);

#endif
