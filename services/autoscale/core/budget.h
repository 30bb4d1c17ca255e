/* How often the wanted size may change: actions a day, and reversals. Pure.
 * A flap is a change in the other direction less than flap_ms after the one before it. */
#ifndef AUTOSCALE_BUDGET_H
#define AUTOSCALE_BUDGET_H

#include "core/decide.h"

enum { AUTOSCALE_DAY_MS = 24 * 60 * 60 * 1000 };

struct autoscale_spent { /* in the 24 hours before now */
    int actions, flaps;
    bool would_flap;    /* a move in this direction now were a flap */
    int64_t flap_until; /* ... until then; 0 */
    int64_t free_at_ms; /* when the oldest of those actions is a day old; 0 none */
};
/* out: the direction that is asked about. Actions that change nothing, or come from the
 * future, do not count. */
void autoscale_budget_spent(const struct autoscale_budget *b, const struct autoscale_view *v,
                            bool out, struct autoscale_spent *spent);

/* True when the move is allowed; else why says which budget is used up. */
bool autoscale_budget_allows(const struct autoscale_budget *b, const struct autoscale_view *v,
                             bool out, char *why, size_t why_bytes);

/* PR_EINVAL: names the field that is wrong. */
PR_CHECKED enum pr_code autoscale_budget_check(const struct autoscale_budget *b,
                                               struct pr_err *err);

#endif
