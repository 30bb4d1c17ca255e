/* Who took which slots last, by the objects <cluster>/map/...: core/gives.h. */
#ifndef DR_TAKES_H
#define DR_TAKES_H

#include "core/gives.h"

#include "prism/buf.h"
#include "prism/s3/s3.h"

struct dr_takes {                 /* owned: dr_takes_done */
    uint64_t (*number)[DR_SLOTS]; /* [shards] of its last turn at taking the slot; 0: none */
    uint64_t unread;              /* highest number of which no copy can be read; 0: none */
    struct pr_buf damaged;        /* names of objects that are damaged, or missing though a copy is
                                   * there; a line each */
    size_t objects;               /* of those */
};
/* Of shard[shards], as far as it was asked for at or before until_ms. What is damaged is named in
 * the log; its copy is taken, if it has a sound one. */
PR_CHECKED enum pr_code dr_takes_read(const struct pr_s3_store *store, const char *cluster,
                                      const char (*shard)[DR_NAME], size_t shards, int64_t until_ms,
                                      struct dr_takes *out, struct pr_err *err);
void dr_takes_done(struct dr_takes *t); /* zeroed is fine */

#endif
