#include "core/policy/window.h"

enum { AHEAD_MIN = 28 * PR_DAY_MIN };

enum pr_code rebalance_window_parse(const char *cron, int64_t minutes, struct rebalance_window *out,
                                    struct pr_err *err)
{
    struct rebalance_window w = { .minutes = (int)minutes };
    if (minutes < 1 || minutes > REBALANCE_WINDOW_MAX_MIN)
        return pr_fail(err, PR_EINVAL, "window of %lld minutes: want 1 to %d", (long long)minutes,
                       REBALANCE_WINDOW_MAX_MIN);
    const enum pr_code rc = pr_cron_parse(cron, &w.cron, err);
    if (rc == PR_OK)
        *out = w;
    return rc;
}

struct rebalance_window_at rebalance_window_look(const struct rebalance_window *w,
                                                 int64_t local_min)
{
    struct rebalance_window_at at = { .next_min = -1 };
    int64_t begin = pr_cron_next(&w->cron, local_min - w->minutes + 1);
    if (begin < 0 || begin > local_min) {
        at.next_min = begin;
        return at;
    }
    at.inside = true;
    for (; begin >= 0 && (at.ends_min == 0 || begin <= at.ends_min);
         begin = pr_cron_next(&w->cron, begin + 1)) {
        at.ends_min = begin + w->minutes;
        if (at.ends_min > local_min + AHEAD_MIN)
            break;
    }
    at.left_min = at.ends_min - local_min;
    at.next_min = pr_cron_next(&w->cron, at.ends_min + 1);
    return at;
}

bool rebalance_window_may_start(const struct rebalance_window_at *at, double eta_s)
{
    return at->inside && eta_s >= 0 && eta_s <= (double)(at->left_min - 1) * 60;
}
