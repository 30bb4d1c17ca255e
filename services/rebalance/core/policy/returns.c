#include "core/policy/returns.h"

#include "core/policy/approve.h"

#include <inttypes.h>
#include <stdio.h>

enum { PAUSE_MS = 5000, MOST_PAUSE_MS = 600000, DAY_MS = 86400000, MIN_MS = 60000 };

static void held(const struct rebalance_return *r, int64_t most, struct rebalance_return_out *out)
{
    out->what = REBALANCE_RETURN_HELD;
    out->for_ms = r->oldest_ms < 0 ? -1 : r->oldest_ms >= DAY_MS ? 0 : DAY_MS - r->oldest_ms;
    if (most == 0)
        snprintf(out->why, sizeof out->why,
                 "node %.63s came back and serves nothing, and no node is taken back by itself "
                 "here: join it as a replica",
                 r->node);
    else
        snprintf(out->why, sizeof out->why,
                 "node %.63s failed and was taken back %u times within a day (at most %" PRId64
                 "): find out why, then join it as a replica; by itself not for %" PRId64 " min",
                 r->node, r->returns, most, (out->for_ms + MIN_MS - 1) / MIN_MS);
}

void rebalance_return_judge(const struct rebalance_return *r, int64_t most_a_day,
                            struct rebalance_return_out *out)
{
    *out = (struct rebalance_return_out){ .what = REBALANCE_RETURN_NOW };
    if (most_a_day == 0 || (int64_t)r->returns >= most_a_day) {
        held(r, most_a_day, out);
        return;
    }
    int64_t pause = rebalance_cooldown_ms(PAUSE_MS, r->tries);
    pause = pause < MOST_PAUSE_MS ? pause : MOST_PAUSE_MS;
    if (r->last_try_ms >= 0 && r->last_try_ms < pause) {
        out->what = REBALANCE_RETURN_RESTS;
        out->for_ms = pause - r->last_try_ms;
        snprintf(out->why, sizeof out->why,
                 "node %.63s came back and was tried %u times within a day: again in %" PRId64 " s",
                 r->node, r->tries, (out->for_ms + 999) / 1000);
        return;
    }
    snprintf(out->why, sizeof out->why, "node %.63s came back and serves nothing: it is taken back",
             r->node);
}
