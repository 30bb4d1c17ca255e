#include "core/slot/throttle.h"

#include <math.h>
#include <stdio.h>

static double or_else(double v, double otherwise)
{
    return v > 0 ? v : otherwise;
}

static double lowest(const struct rebalance_throttle_limits *l)
{
    const double f = or_else(l->floor, 0.02);
    return f > 1 ? 1 : f;
}

void rebalance_throttle_init(struct rebalance_throttle *t, double rate)
{
    *t = (struct rebalance_throttle){ .rate = rate > 1 ? 1 : or_else(rate, 0.5), .why = "begins" };
}

/* What is over its limit, the worst of them first: probes are what clients feel. */
static bool over(const struct rebalance_throttle_limits *l, const struct rebalance_load *m,
                 char *why, size_t size)
{
    if (l->p99_us > 0 && m->probes > 0 && m->p99_us > l->p99_us)
        snprintf(why, size, "p99 %.4g ms > %.4g ms", (double)m->p99_us / 1e3,
                 (double)l->p99_us / 1e3);
    else if (l->lag_bytes > 0 && m->lag_bytes > 0 && (uint64_t)m->lag_bytes > l->lag_bytes)
        snprintf(why, size, "replication lag %.1f MB > %.1f MB", (double)m->lag_bytes / 1e6,
                 (double)l->lag_bytes / 1e6);
    else if (l->cpu_ratio > 0 && m->cpu_ratio > l->cpu_ratio)
        snprintf(why, size, "cpu %.0f %% > %.0f %%", m->cpu_ratio * 100, l->cpu_ratio * 100);
    else if (m->errors > 0)
        snprintf(why, size, "%u errors", m->errors);
    else
        return false;
    return true;
}

/* What is watched and was not measured is not taken for calm. */
static bool blind(const struct rebalance_throttle_limits *l, const struct rebalance_load *m)
{
    return l->p99_us > 0 && m->probes == 0;
}

void rebalance_throttle_window(struct rebalance_throttle *t,
                               const struct rebalance_throttle_limits *limits,
                               const struct rebalance_load *load)
{
    const double floor_rate = lowest(limits);
    if (t->settle > 0) { /* what this window shows was mostly under way at the old rate */
        t->settle--;
        return;
    }
    if (over(limits, load, t->why, sizeof t->why)) {
        const double down = or_else(limits->decrease, 0.5);
        t->rate *= down < 1 ? down : 0.5;
        t->settle = limits->settle > 0 ? limits->settle : 1;
    } else if (blind(limits, load)) {
        snprintf(t->why, sizeof t->why, "no probe answered");
    } else {
        t->rate += or_else(limits->increase, 0.05);
        snprintf(t->why, sizeof t->why, "calm");
    }
    t->rate = t->rate > 1 ? 1 : t->rate < floor_rate ? floor_rate : t->rate;
}

struct rebalance_throttle_order
rebalance_throttle_order(const struct rebalance_throttle *source,
                         const struct rebalance_throttle *target,
                         const struct rebalance_throttle_limits *limits, uint64_t busy_us)
{
    const struct rebalance_throttle *slower = source->rate <= target->rate ? source : target;
    const double floor_rate = lowest(limits);
    const double rate = slower->rate < floor_rate ? floor_rate : slower->rate;
    const double max_us = 1e3 * (limits->max_pause_ms > 0 ? limits->max_pause_ms : 1000);
    const double pause = (double)busy_us * (1 - rate) / rate;
    /* Smaller batches block for less, fewer of them for less often: half and half. */
    return (struct rebalance_throttle_order){ .rate = rate,
                                              .batch_ratio = sqrt(rate),
                                              .pause_us =
                                                  (unsigned)(pause > max_us ? max_us : pause),
                                              .why = slower->why };
}

/* --- bytes per second ---------------------------------------------------------- */

static void fill(struct rebalance_bucket *b, int64_t now_us)
{
    if (now_us <= b->at_us)
        return;
    b->level += (double)(now_us - b->at_us) * b->bytes_per_s / 1e6;
    if (b->level > b->burst_bytes)
        b->level = b->burst_bytes;
    b->at_us = now_us;
}

void rebalance_bucket_init(struct rebalance_bucket *b, double bytes_per_s, double burst_bytes,
                           int64_t now_us)
{
    const double burst = or_else(burst_bytes, bytes_per_s / 4);
    *b = (struct rebalance_bucket){
        .bytes_per_s = bytes_per_s, .burst_bytes = burst, .level = burst, .at_us = now_us
    };
}

int64_t rebalance_buckets_take(struct rebalance_bucket *const *b, size_t n, double bytes,
                               int64_t now_us)
{
    double wait_us = 0;
    for (size_t i = 0; i < n; i++) {
        if (b[i] == NULL || b[i]->bytes_per_s <= 0)
            continue;
        fill(b[i], now_us);
        b[i]->level -= bytes;
        const double w = -b[i]->level / b[i]->bytes_per_s * 1e6;
        wait_us = w > wait_us ? w : wait_us;
    }
    return (int64_t)ceil(wait_us);
}

void rebalance_buckets_give(struct rebalance_bucket *const *b, size_t n, double bytes)
{
    for (size_t i = 0; i < n; i++) {
        if (b[i] == NULL || b[i]->bytes_per_s <= 0)
            continue;
        b[i]->level += bytes;
        if (b[i]->level > b[i]->burst_bytes)
            b[i]->level = b[i]->burst_bytes;
    }
}
