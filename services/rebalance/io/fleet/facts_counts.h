/* Asking many nodes at once. */
#ifndef REBALANCE_FACTS_COUNTS_H
#define REBALANCE_FACTS_COUNTS_H

#include "prism/err.h"
#include "prism/io/redis.h"

struct counted {          /* one node */
    const char *redis_id; /* of c's topology */
    const uint8_t *slots; /* bitmap of those to count; NULL: all 16384 */
    uint32_t *keys;       /* [16384], out: of those slots; others are left alone */
};
/* CLUSTER COUNTKEYSINSLOT, pipelined, all nodes at once. Errors name the node. */
PR_CHECKED enum pr_code facts_count_keys(struct pr_cluster *c, const struct counted *node, size_t n,
                                         struct pr_err *err);

struct slot_stat {
    double memory_bytes; /* 0: not told */
    double cpu_us;       /* since the statistics were reset */
};
/* Reads a reply to CLUSTER SLOT-STATS SLOTSRANGE ... into stat[16384]; false: the server
 * does not offer it (to us). */
bool facts_read_slot_stats(const redisReply *r, struct slot_stat *stat);

#endif
