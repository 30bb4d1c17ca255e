/* Replicas that follow a replica. After a fail-over Redis 7 moves the other replicas of a shard
 * over only in the moment in which the former primary owns no slot any more, as they see it. One
 * that believes then that it still owns a slot, because another shard takes that over just now,
 * stays with it for ever: its primary does not know it, WAIT does not count it, and nobody elects
 * it. Pure. Source: docs/explanation/rebalance.md, "How a slot moves". */
#ifndef REBALANCE_CHAINS_H
#define REBALANCE_CHAINS_H

#include <stdbool.h>
#include <stddef.h>

struct rebalance_follower {
    const char *id, *follows;     /* in the cluster; follows: "" of a primary */
    bool primary, failed, serves; /* serves: owns slots */
};
/* The first node that lives and follows a replica of a live primary with slots. *head: that
 * primary. n: none. */
size_t rebalance_chained(const struct rebalance_follower *node, size_t n, size_t *head);

#endif
