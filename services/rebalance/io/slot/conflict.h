/* Keys on both sides: between those who judge them and those who carry it out. */
#ifndef REBALANCE_SLOT_CONFLICT_H
#define REBALANCE_SLOT_CONFLICT_H

#include "io/slot/copies.h"
#include "io/slot/pair.h"

struct rebalance_judge { /* of one key; all borrowed */
    struct rebalance_pair *p;
    struct pr_redis *giver, *taker;
    bool taker_owns;  /* the slot; the giver answers ASKING alone then, and no client */
    const char *info; /* INFO replication of the giver */
    const char *key;
    size_t len;
};

struct rebalance_copy_read {
    struct rebalance_copy is;
    redisReply *dump; /* owned; NULL or nil: absent */
};

static inline struct rebalance_copy_at rebalance_judge_at(const struct rebalance_judge *j,
                                                          bool at_taker)
{
    return (struct rebalance_copy_at){ at_taker ? j->taker : j->giver, at_taker || j->taker_owns };
}

static inline void rebalance_reply_drop(redisReply *r)
{
    if (r != NULL)
        freeReplyObject(r);
}

/* One command about the key: word [second] key. *out is the caller's also on failure. */
PR_CHECKED enum pr_code rebalance_judge_ask(const struct rebalance_judge *j, bool at_taker,
                                            const char *word, const char *second, redisReply **out,
                                            struct pr_err *err);

/* carry.c: g is the giver's copy as it was judged. *changed: a client wrote to it since,
 * and it is there. */
PR_CHECKED enum pr_code rebalance_judge_carry_out(const struct rebalance_judge *j,
                                                  const struct rebalance_copy_read *g,
                                                  enum rebalance_resolution what, bool *changed,
                                                  struct pr_err *err);
/* The giver's copy g, as it is when MIGRATE runs, takes the place of the taker's. */
PR_CHECKED enum pr_code rebalance_judge_move_over(const struct rebalance_judge *j,
                                                  const struct rebalance_copy_read *g,
                                                  struct pr_err *err);

#endif
