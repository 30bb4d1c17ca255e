/* Rows of table moves. Every write is one transaction that checks the lease;
 * what is unknown after a lost connection is simply written again. */
#ifndef REBALANCE_BATCH_ROWS_H
#define REBALANCE_BATCH_ROWS_H

#include "core/vertex/pace.h"
#include "io/vertex/run.h"

#include "prism/buf.h"

enum { REBALANCE_MAX_EPOCHS = 4096 };

struct rebalance_batch {
    int64_t plan_id, number;
    const char *src, *dst; /* node names */
    const void *ids;       /* packed, core/batch.h; borrowed */
    size_t ids_bytes;
    bool canceling; /* taken back where that is still possible */
    enum rebalance_state state;
    uint64_t epoch[REBALANCE_MAX_EPOCHS]; /* every E that it ever staged under */
    size_t epochs, earlier;               /* earlier: of other executors */
    size_t vertices, moved;
    uint64_t bytes;
    char error[200];
};

/* Inserts the row, or begins another attempt; gives the first epoch. */
PR_CHECKED enum pr_code rebalance_batch_begin(struct pr_db *db, const struct rebalance_run *run,
                                              struct rebalance_batch *b, struct pr_err *err);
/* A fresh epoch, recorded, as the last of b->epoch. */
PR_CHECKED enum pr_code rebalance_batch_epoch(struct pr_db *db, const struct rebalance_run *run,
                                              struct rebalance_batch *b, struct pr_err *err);
PR_CHECKED enum pr_code rebalance_batch_state(struct pr_db *db, const struct rebalance_run *run,
                                              struct rebalance_batch *b, enum rebalance_state state,
                                              struct pr_err *err);
void rebalance_batch_keep_epoch(struct rebalance_batch *b, uint64_t epoch);
/* The end: row, routes of what was moved (packed and sorted; may be empty) and
 * their event, in one transaction. */
PR_CHECKED enum pr_code rebalance_batch_finish(struct pr_db *db, const struct rebalance_run *run,
                                               struct rebalance_batch *b,
                                               enum rebalance_state state,
                                               const struct pr_buf *routes, struct pr_err *err);
/* PR_EFENCED unless the lease is ours: before anything is deleted. */
PR_CHECKED enum pr_code rebalance_lease_alive(struct pr_db *db, const struct pr_lease *lease,
                                              struct pr_err *err);

#endif
