#include "core/vertex/pace.h"

#include <string.h>

const char *rebalance_state_name(enum rebalance_state s)
{
    static const char *const name[] = { "planned", "copying", "fenced", "promoted",
                                        "routed",  "done",    "failed", "rolled_back" };
    return s <= REBALANCE_ROLLED_BACK ? name[s] : "unknown";
}

enum rebalance_state rebalance_batch_end(size_t vertices, size_t moved, size_t canceled,
                                         size_t lost)
{
    if (lost > 0)
        return REBALANCE_FAILED;
    if (vertices > 0 && moved == 0 && canceled > 0)
        return REBALANCE_ROLLED_BACK;
    return REBALANCE_DONE;
}

int rebalance_backoff_ms(unsigned attempt)
{
    if (attempt == 0)
        return 0;
    return attempt > 5 ? 1000 : 50 << (attempt - 1);
}

struct rebalance_retry rebalance_retry(unsigned refusals, unsigned limit)
{
    struct rebalance_retry r = { .give_up = refusals >= limit };
    if (refusals > 3)
        r.pause_us = refusals > 20 ? 5000 : refusals * 250;
    return r;
}

int rebalance_throttle_ms(int pause_ms, uint64_t probe_p99_us, uint64_t limit_us)
{
    if (limit_us == 0)
        return 0;
    if (probe_p99_us <= limit_us)
        return pause_ms <= 10 ? 0 : pause_ms / 2;
    if (pause_ms < 10)
        return 10;
    return pause_ms >= 500 ? 1000 : pause_ms * 2;
}

bool rebalance_fold_due(uint64_t base_entries, uint64_t delta_entries)
{
    enum { FEW = 10000 };
    return delta_entries > FEW && delta_entries > base_entries / 10;
}

enum rebalance_order rebalance_order(const char *plan_state, bool cancel_requested, bool halted)
{
    if (strcmp(plan_state, "canceled") == 0)
        return REBALANCE_CANCEL;
    if (strcmp(plan_state, "running") != 0 && strcmp(plan_state, "paused") != 0)
        return REBALANCE_LEAVE;
    if (cancel_requested)
        return REBALANCE_CANCEL;
    return halted || strcmp(plan_state, "paused") == 0 ? REBALANCE_PAUSE : REBALANCE_GO;
}

double rebalance_ratio(const struct rebalance_progress *p)
{
    if (p->total == 0)
        return 0;
    const double r = (double)p->moved / (double)p->total;
    return r > 1 ? 1 : r;
}

double rebalance_eta_s(const struct rebalance_progress *p)
{
    if (p->moved <= p->moved_before || p->running_ms <= 0)
        return -1;
    if (p->moved >= p->total)
        return 0;
    const double per_ms = (double)(p->moved - p->moved_before) / (double)p->running_ms;
    return (double)(p->total - p->moved) / per_ms / 1000;
}

enum rebalance_swept rebalance_swept(uint64_t deferred, uint64_t busy, unsigned idle)
{
    if (deferred == 0)
        return REBALANCE_SWEPT_ALL;
    if (deferred == busy && idle >= REBALANCE_MAX_BUSY_SWEEPS)
        return REBALANCE_SWEPT_BUT_BUSY;
    return idle < REBALANCE_MAX_IDLE_SWEEPS ? REBALANCE_SWEEP_AGAIN : REBALANCE_SWEEPS_FAIL;
}
