/* The executor's small decisions: when to retry, how long to pause, what state
 * a batch is in, when to fold, how far it is. Pure. */
#ifndef REBALANCE_PACE_H
#define REBALANCE_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* States of a row of moves, in the order in which a batch passes them. */
enum rebalance_state {
    REBALANCE_PLANNED,
    REBALANCE_COPYING,
    REBALANCE_FENCED,
    REBALANCE_PROMOTED,
    REBALANCE_ROUTED,
    REBALANCE_DONE,
    REBALANCE_FAILED,
    REBALANCE_ROLLED_BACK
};
const char *rebalance_state_name(enum rebalance_state s);

/* How a batch ends. lost: vertices whose promote found no copy. */
enum rebalance_state rebalance_batch_end(size_t vertices, size_t moved, size_t canceled,
                                         size_t lost);

/* Pause before attempt n (1, 2, ...) of something that is down: 50 ms doubling to 1 s. */
int rebalance_backoff_ms(unsigned attempt);

/* A vertex whose fence was refused by a concurrent write tries again at once a
 * few times, then after tiny growing pauses; after limit refusals it is left
 * for a later sweep. */
struct rebalance_retry {
    bool give_up;
    unsigned pause_us;
};
struct rebalance_retry rebalance_retry(unsigned refusals, unsigned limit);

/* Pause between batches: doubles from 10 ms to 1 s while the probes' p99 is
 * over the limit, halves when it is under. limit_us 0: never pauses. */
int rebalance_throttle_ms(int pause_ms, uint64_t probe_p99_us, uint64_t limit_us);

/* Deltas are folded into the bases when they hold more than a tenth of the
 * bases' entries, and never for a handful. */
bool rebalance_fold_due(uint64_t base_entries, uint64_t delta_entries);

/* What the rows say the executor should do with the plan in hand. halted: everything
 * was told to stop; the plan stays as it is and goes on by itself afterwards. */
enum rebalance_order { REBALANCE_GO, REBALANCE_PAUSE, REBALANCE_CANCEL, REBALANCE_LEAVE };
enum rebalance_order rebalance_order(const char *plan_state, bool cancel_requested, bool halted);

struct rebalance_progress {
    uint64_t total, moved; /* vertices */
    uint64_t moved_before; /* already moved when this run of the executor began */
    int64_t running_ms;    /* of this run */
};
double rebalance_ratio(const struct rebalance_progress *p); /* 0..1 */
double rebalance_eta_s(const struct rebalance_progress *p); /* negative: unknown */

/* After a sweep that left `deferred` vertices and nodes behind, `busy` of them vertices that were
 * written to during every attempt; it was the `idle`th in a row that moved nothing. Busy vertices
 * alone end no plan as failed: they stay where they are, for a later plan. */
enum { REBALANCE_MAX_IDLE_SWEEPS = 20, REBALANCE_MAX_BUSY_SWEEPS = 3 };
enum rebalance_swept {
    REBALANCE_SWEPT_ALL,
    REBALANCE_SWEEP_AGAIN,
    REBALANCE_SWEPT_BUT_BUSY,
    REBALANCE_SWEEPS_FAIL
};
enum rebalance_swept rebalance_swept(uint64_t deferred, uint64_t busy, unsigned idle);

#endif
