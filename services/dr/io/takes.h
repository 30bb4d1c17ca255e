/* Who took which slots last, by the objects <cluster>/map/...: core/gives.h. */
#ifndef DR_TAKES_H
#define DR_TAKES_H

#include "core/gives.h"

#include "prism/s3/s3.h"

struct dr_takes {
    uint64_t (*number)[DR_SLOTS]; /* [shards] of its last turn at taking the slot; 0: none */
};
/* Of shard[shards], as far as it was asked for at or before until_ms. PR_EDATA: one of the objects
 * is damaged, and it is not known which copy of a key is right. */
PR_CHECKED enum pr_code dr_takes_read(const struct pr_s3_store *store, const char *cluster,
                                      const char (*shard)[DR_NAME], size_t shards, int64_t until_ms,
                                      struct dr_takes *out, struct pr_err *err);
void dr_takes_done(struct dr_takes *t); /* zeroed is fine */

#endif
