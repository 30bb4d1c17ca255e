#include "core/budget.h"

#include <stdio.h>

enum { MINUTE_MS = 60 * 1000 };

enum pr_code autoscale_budget_check(const struct autoscale_budget *b, struct pr_err *err)
{
    if (b->actions_per_day < 0)
        return pr_fail(err, PR_EINVAL, "budget: actions_per_day is %d", b->actions_per_day);
    if (b->flaps_per_day < 0)
        return pr_fail(err, PR_EINVAL, "budget: flaps_per_day is %d", b->flaps_per_day);
    if (b->flap_ms < 0 || b->flap_ms > AUTOSCALE_DAY_MS)
        return pr_fail(err, PR_EINVAL, "budget: flap_ms is %lld, want 0 to a day",
                       (long long)b->flap_ms);
    return PR_OK;
}

void autoscale_budget_spent(const struct autoscale_budget *b, const struct autoscale_view *v,
                            bool out, struct autoscale_spent *spent)
{
    const struct autoscale_action *last = NULL;
    *spent = (struct autoscale_spent){ 0 };
    for (size_t i = 0; i < v->actions; i++) {
        const struct autoscale_action *a = &v->action[i];
        if (a->to == a->from || a->at_ms > v->now_ms)
            continue;
        const bool flap = last != NULL && (last->to > last->from) != (a->to > a->from) &&
                          a->at_ms - last->at_ms < b->flap_ms;
        last = a;
        if (v->now_ms - a->at_ms >= AUTOSCALE_DAY_MS)
            continue;
        if (spent->actions++ == 0)
            spent->free_at_ms = a->at_ms + AUTOSCALE_DAY_MS;
        spent->flaps += flap;
    }
    if (last != NULL && (last->to > last->from) != out && v->now_ms - last->at_ms < b->flap_ms) {
        spent->would_flap = true;
        spent->flap_until = last->at_ms + b->flap_ms;
    }
}

bool autoscale_budget_allows(const struct autoscale_budget *b, const struct autoscale_view *v,
                             bool out, char *why, size_t why_bytes)
{
    struct autoscale_spent s;
    autoscale_budget_spent(b, v, out, &s);
    if (b->actions_per_day > 0 && s.actions >= b->actions_per_day) {
        (void)snprintf(why, why_bytes,
                       "budget of %d actions a day is used up, one is free in %lld min",
                       b->actions_per_day,
                       (long long)((s.free_at_ms - v->now_ms + MINUTE_MS - 1) / MINUTE_MS));
        return false;
    }
    if (b->flaps_per_day > 0 && s.would_flap && s.flaps >= b->flaps_per_day) {
        (void)snprintf(why, why_bytes,
                       "budget of %d flaps a day is used up, this were another one for %lld min",
                       b->flaps_per_day,
                       (long long)((s.flap_until - v->now_ms + MINUTE_MS - 1) / MINUTE_MS));
        return false;
    }
    return true;
}
