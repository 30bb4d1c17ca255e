/* How fast a shard may be made to move: additive increase, multiplicative
 * decrease on what is measured of it; and budgets of bytes per second. Pure;
 * the caller keeps one throttle a shard, one bucket a node and a pair of zones,
 * and locks them when several workers share them.
 * Source: docs/explanation/rebalance.md. */
#ifndef REBALANCE_THROTTLE_H
#define REBALANCE_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rebalance_throttle_limits { /* 0: not watched, or the default */
    uint64_t p99_us;               /* of our own probes */
    uint64_t lag_bytes;            /* of the replica that is furthest behind */
    double cpu_ratio;              /* 0..1 of a core */
    double increase;               /* of the rate, a calm window: 0.05 */
    double decrease;               /* the rate's factor in a window over a limit: 0.5 */
    double floor;                  /* of the rate; it never stalls for ever: 0.02 */
    unsigned settle;               /* windows after a decrease in which nothing is changed: 1 */
    unsigned max_pause_ms;         /* between two batches: 1000 */
};

struct rebalance_load { /* of a shard in one window, e.g. 1 s */
    uint64_t probes;    /* 0: none answered; then p99_us says nothing */
    uint64_t p99_us;
    int64_t lag_bytes; /* negative: unknown */
    double cpu_ratio;  /* negative: unknown */
    unsigned errors;   /* failed probes and commands */
};

struct rebalance_throttle {
    double rate; /* floor..1: share of the time in which batches may run */
    unsigned settle;
    char why[96]; /* of the last change: "p99 240 ms > 200 ms"; "calm"; "no probe answered" */
};
/* Begins at rate: 1 full speed; 0: the default, 0.5. */
void rebalance_throttle_init(struct rebalance_throttle *t, double rate);
/* Takes one window's figures in. A window without a probe's answer and without
 * another figure holds the rate; with errors it lowers it. */
void rebalance_throttle_window(struct rebalance_throttle *t,
                               const struct rebalance_throttle_limits *limits,
                               const struct rebalance_load *load);

struct rebalance_throttle_order {
    double rate;        /* the slower shard's */
    double batch_ratio; /* factor for rebalance_batch_cut */
    unsigned pause_us;  /* before the next batch */
    const char *why;    /* of the slower shard; borrowed from its throttle */
};
/* For a pair's next batch; busy_us: how long its last one took. */
struct rebalance_throttle_order
rebalance_throttle_order(const struct rebalance_throttle *source,
                         const struct rebalance_throttle *target,
                         const struct rebalance_throttle_limits *limits, uint64_t busy_us);

/* --- bytes per second ---------------------------------------------------------- */
struct rebalance_bucket {
    double bytes_per_s; /* 0: unlimited */
    double burst_bytes;
    double level; /* negative: promised ahead */
    int64_t at_us;
};
/* burst_bytes 0: what flows in 250 ms. Begins full. */
void rebalance_bucket_init(struct rebalance_bucket *b, double bytes_per_s, double burst_bytes,
                           int64_t now_us);
/* Takes bytes from all of b[n] (source node, target node, pair of zones; NULL: none) at once
 * and says how long to wait before sending them. Who asks first goes first, so nobody starves. */
int64_t rebalance_buckets_take(struct rebalance_bucket *const *b, size_t n, double bytes,
                               int64_t now_us);
/* Gives back what was taken and then not sent, or, negative, what was sent beyond it. */
void rebalance_buckets_give(struct rebalance_bucket *const *b, size_t n, double bytes);

#endif
