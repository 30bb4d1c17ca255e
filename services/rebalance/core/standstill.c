#include "core/standstill.h"

enum { WAITED_MS = 60 * 1000 };

double rebalance_standstill_look(struct rebalance_standstill *s,
                                 const struct rebalance_standstill_seen *seen, int64_t now_ms)
{
    const bool went_on = seen->plan != s->plan || seen->ratio != s->ratio;
    if (went_on || now_ms - s->waited_ms > WAITED_MS)
        *s = (struct rebalance_standstill){ .plan = seen->plan, .ratio = seen->ratio };
    if (seen->plan == 0)
        return 0;
    if (seen->waits) {
        s->since_ms = s->since_ms == 0 ? now_ms : s->since_ms;
        s->waited_ms = now_ms;
    }
    return s->since_ms == 0 ? 0 : (double)(now_ms - s->since_ms) / 1e3;
}
