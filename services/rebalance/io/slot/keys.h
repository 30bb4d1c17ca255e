/* Keys of a slot with what they weigh. */
#ifndef REBALANCE_SLOT_KEYS_H
#define REBALANCE_SLOT_KEYS_H

#include "core/slot/drain.h"
#include "core/slot/flight.h"

#include "prism/io/redis.h"

struct rebalance_keys {
    struct pr_buf text;              /* all keys, one after the other */
    size_t *at;                      /* [n + 1]: where in text each begins */
    struct rebalance_key_size *size; /* [n] */
    uint64_t *print;                 /* [n] of their values, at point; 0: unknown */
    struct rebalance_written point;
    size_t n, cap;
    bool asking; /* the slot is being imported where they are */
};
void rebalance_keys_done(struct rebalance_keys *k);
void rebalance_keys_reset(struct rebalance_keys *k);
static inline const char *rebalance_key_at(const struct rebalance_keys *k, size_t i, size_t *len)
{
    *len = k->at[i + 1] - k->at[i];
    return k->text.data + k->at[i];
}
PR_CHECKED enum pr_code rebalance_keys_add(struct rebalance_keys *k, const redisReply *list,
                                           struct pr_err *err);

/* Adds keys [from, from + n) to a record of keys in flight, with their prints. */
void rebalance_keys_record(const struct rebalance_keys *k, size_t from, size_t n,
                           struct pr_buf *record);

/* At most max keys of the slot on conn, with their sizes: MEMORY USAGE of each, and
 * type and number of elements of those that are large. */
PR_CHECKED enum pr_code rebalance_keys_scan(struct rebalance_keys *k, struct pr_redis *conn,
                                            unsigned slot, size_t max, struct pr_err *err);
/* Sizes of keys [from, n). */
PR_CHECKED enum pr_code rebalance_keys_size(struct rebalance_keys *k, size_t from,
                                            struct pr_redis *conn, struct pr_err *err);
/* The first key that may not move, as PR_EFULL with its name, size and time; sets
 * *verdict to its verdict. */
PR_CHECKED enum pr_code rebalance_keys_judge(const struct rebalance_keys *k, size_t from,
                                             const struct rebalance_drain_limits *limits,
                                             bool allow_big, struct pr_err *err);

#endif
