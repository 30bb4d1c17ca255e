/* Route tables in memory: of a run's target, or where vertices are now. */
#ifndef REBALANCE_TABLE_H
#define REBALANCE_TABLE_H

#include "prism/buf.h"
#include "prism/io/db.h"
#include "prism/io/lease.h"

struct rebalance_table {
    uint32_t partitions;
    struct pr_buf *home;                           /* [partitions] packed routes */
    uint64_t entries, base_entries, delta_entries; /* after, before overlaying */
};

/* Facts fixed for the store. PR_ENOTFOUND: no row, nothing was ever loaded. */
PR_CHECKED enum pr_code rebalance_partitions(struct pr_db *db, uint32_t *partitions,
                                             struct pr_err *err);
/* Inside a transaction, as its first statements when consistency between bases
 * and deltas matters. PR_EDATA: a blob is malformed (its row is named). */
PR_CHECKED enum pr_code rebalance_table_target(struct pr_db *db, int64_t run_id,
                                               uint32_t partitions, struct rebalance_table *out,
                                               struct pr_err *err);
PR_CHECKED enum pr_code rebalance_table_current(struct pr_db *db, uint32_t partitions,
                                                struct rebalance_table *out, struct pr_err *err);
void rebalance_table_done(struct rebalance_table *t); /* zeroed is fine */

bool rebalance_table_find(const struct rebalance_table *t, uint64_t hash, uint32_t *partition);

/* Entries of the bases and of the deltas not yet folded. */
PR_CHECKED enum pr_code rebalance_table_sizes(struct pr_db *db, uint64_t *base, uint64_t *delta,
                                              struct pr_err *err);
/* Writes the deltas into the bases and deletes them, under the lease. Readers
 * see the same routes before, during and after. Safe to repeat. */
PR_CHECKED enum pr_code rebalance_fold(struct pr_db *db, const struct pr_lease *lease,
                                       uint32_t partitions, struct pr_err *err);

#endif
