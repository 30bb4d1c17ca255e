/* Rows of kind slot in table steps, for the pair that moves them. A row's state is
 * the furthest step that was intended; writes are grouped, each in a transaction
 * that checks the lease, and are the same when done twice. */
#ifndef REBALANCE_SLOT_ROWS_H
#define REBALANCE_SLOT_ROWS_H

#include "core/slot/flight.h"
#include "core/slot/machine.h"

#include "prism/buf.h"
#include "prism/io/db.h"
#include "prism/io/lease.h"

/* In SQL: states of a slot that may be open. */
#define REBALANCE_SLOT_OPEN_STATES "('importing', 'migrating', 'draining', 'handoff')"

struct rebalance_slot_step {
    int step, slot;
    struct rebalance_slot_at at;
    uint64_t expected_keys, expected_bytes;
    uint64_t keys, bytes;        /* moved by us */
    struct pr_buf in_flight;     /* as recorded; core/slot/flight.h */
    bool fresh;                  /* planned when it was loaded */
    bool failed_over;            /* the giver, since keys on both sides were compared */
    bool served_on;              /* the giver, after a batch of it broke off; until compared */
    bool atomic;                 /* moved by a job of the server: io/slot/job.h */
    struct rebalance_slot_at on; /* as recorded last */
    bool failed_over_on, served_on_on;
    char error[256]; /* of a stuck one */
};

/* The slots of one pair that are not verified or rolled back, in order; those
 * begun before come first. *steps is the caller's: free with rebalance_slot_steps_free. */
PR_CHECKED enum pr_code rebalance_slot_steps_load(struct pr_db *db, int64_t plan_id, int wave,
                                                  const char *src, const char *dst,
                                                  struct rebalance_slot_step **steps, size_t *n,
                                                  struct pr_err *err);
void rebalance_slot_steps_free(struct rebalance_slot_step *steps, size_t n);

struct rebalance_slot_write { /* one transaction; nothing written when there is nothing to */
    const struct pr_lease *lease;
    int64_t plan_id;
    const char *src_shard, *dst_shard; /* shards.id, for slot_history */
    /* Intents: state, back, failed_over, served_on, atomic, in_flight with its prints (NULL buffer:
     * none) and lease epoch. */
    struct rebalance_slot_step *const *intent; /* [intents] */
    size_t intents;
    /* Ends: state verified, rolled_back or stuck as in step->at, what was moved, no
     * keys in flight; a verified one is the slot's last move in slot_history. */
    struct rebalance_slot_step *const *end; /* [ends] */
    size_t ends;
};
/* On PR_OK step->on (failed_over_on, served_on_on) is step->at (failed_over, served_on) of
 * all that were written.
 * PR_EFENCED: the lease is lost. */
PR_CHECKED enum pr_code rebalance_slot_steps_write(struct pr_db *db,
                                                   const struct rebalance_slot_write *w,
                                                   struct pr_err *err);

#endif
