/* A digest of what redis-servers hold, that does not depend on who holds which key, nor on how it
 * is laid out in memory: the same keys with the same values give the same digest. */
#ifndef DR_DIGEST_H
#define DR_DIGEST_H

#include "prism/io/redis.h"

#include <stdatomic.h>

struct dr_digest {
    uint64_t keys; /* digested */
    uint64_t sum[2];
};
struct dr_digest_side {
    struct pr_redis *const *conn; /* [n] */
    size_t n;
};
/* Of two sides at once, several servers at a time. Keys with a time to live do not count; nobody
 * gives one meanwhile. Of a stream its entries count and its groups do not. PR_EINVAL: a key of a
 * type that is not known. cancel: as of dr_scan. */
PR_CHECKED enum pr_code dr_digest_both(const struct dr_digest_side *a,
                                       const struct dr_digest_side *b, unsigned threads,
                                       const atomic_bool *cancel, struct dr_digest *of_a,
                                       struct dr_digest *of_b, struct pr_err *err);
/* Of one key, with its value; without how long it has to live. PR_EINVAL: of no known type. */
PR_CHECKED enum pr_code dr_digest_value(struct pr_redis *c, const char *key, size_t n,
                                        uint64_t *out, struct pr_err *err);

#endif
