#include "core/standstill.h"

enum { WAITED_MS = 60 * 1000 };

double rebalance_standstill_look(struct rebalance_standstill *s,
                                 const struct rebalance_standstill_seen *seen, int64_t now_ms)
{
    if (seen->plan != s->plan || seen->ratio != s->ratio)
        *s = (struct rebalance_standstill){ .plan = seen->plan,
                                            .ratio = seen->ratio,
                                            .since_ms = now_ms };
    if (seen->plan == 0)
        return 0;
    if (seen->waits)
        s->waited_ms = now_ms;
    if (s->waited_ms == 0 || now_ms - s->waited_ms > WAITED_MS)
        return 0;
    return (double)(now_ms - s->since_ms) / 1e3;
}
