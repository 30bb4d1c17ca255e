/* Nodes that came back from a failure as primaries without slots: which of them may be
 * taken back now (core/policy/returns.h), and the record of it in table node_returns. */
#ifndef REBALANCE_IO_RETURNS_H
#define REBALANCE_IO_RETURNS_H

#include "core/policy/returns.h"
#include "io/fleet/duties.h"

#include "prism/arena.h"
#include "prism/io/db.h"

#include <stddef.h>

struct rebalance_returned { /* in the arena */
    const char *node, *shard;
    struct rebalance_return_out may;
};
/* Those that stand so now, by id; only: one of them, NULL: all. */
PR_CHECKED enum pr_code rebalance_returns_look(struct pr_db *db, int64_t most_a_day,
                                               const char *only, struct pr_arena *arena,
                                               struct rebalance_returned **out, size_t *n,
                                               struct pr_err *err);
/* In the middle of a plan: those that may follow the primaries of their shards again, now
 * and without a plan of their own. What became of it is logged. */
void rebalance_returns_take(const struct rebalance_duty_ctx *ctx);

#endif
