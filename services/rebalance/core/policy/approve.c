#include "core/policy/approve.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { HOUR_MS = 3600000, DAY_MS = 24 * HOUR_MS };

const char *rebalance_approval_name(enum rebalance_approval a)
{
    static const char *const name[] = {
        [REBALANCE_AUTO_NOW] = "auto_now",
        [REBALANCE_WAIT_FOR_WINDOW] = "wait_for_window",
        [REBALANCE_NEEDS_PERSON] = "needs_person",
        [REBALANCE_HALTED] = "halted",
    };
    return (size_t)a < PR_COUNT(name) ? name[a] : "unknown";
}

int64_t rebalance_cooldown_ms(int64_t cooldown_ms, unsigned autos_last_day)
{
    if (cooldown_ms <= 0)
        return 0;
    int64_t ms = cooldown_ms;
    for (unsigned i = 1; i < autos_last_day && ms < DAY_MS; i++)
        ms *= 2;
    return ms < DAY_MS ? ms : cooldown_ms > DAY_MS ? cooldown_ms : DAY_MS;
}

PR_PRINTF(3, 4)
static bool say(struct rebalance_approval_out *out, enum rebalance_approval what, const char *fmt,
                ...)
{
    out->what = what;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out->why, sizeof out->why, fmt, ap);
    va_end(ap);
    return true;
}

static bool may_run_by_itself(const struct rebalance_standing *s, const char *goal)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->automatic[i] != NULL && strcmp(s->automatic[i], goal) == 0)
            return true;
    return false;
}

/* What only a person may decide. */
static bool for_a_person(const struct rebalance_standing *s, const struct rebalance_plan_facts *p,
                         struct rebalance_approval_out *out)
{
    const enum rebalance_approval person = REBALANCE_NEEDS_PERSON;
    if (!may_run_by_itself(s, p->goal))
        return say(out, person, "%s does not run by itself: the policy's auto does not name it",
                   p->goal);
    if (p->big_keys > 0)
        return say(out, person, "%u keys would block their node beyond the budget: allow_big_keys",
                   p->big_keys);
    if (p->no_replicas > 0)
        return say(out, person, "%u shards have no live replica: allow_no_replicas",
                   p->no_replicas);
    if (s->max_bytes > 0 && p->bytes > s->max_bytes)
        return say(out, person, "%.1f GB, the policy's maxBytes is %.1f GB", p->bytes / 1e9,
                   s->max_bytes / 1e9);
    if (s->max_slots > 0 && p->slots > s->max_slots)
        return say(out, person, "%u slots, the policy's maxSlots is %u", p->slots, s->max_slots);
    if (!p->worth)
        return say(out, person, "not worth it by itself: %s",
                   p->worth_why == NULL ? "" : p->worth_why);
    return false;
}

static bool cools_down(const struct rebalance_standing *s, const struct rebalance_plan_facts *p,
                       struct rebalance_approval_out *out)
{
    const int64_t pause = rebalance_cooldown_ms(s->cooldown_ms, p->autos_last_day);
    if (p->last_auto_ms < 0 || p->last_auto_ms >= pause)
        return false;
    return say(out, REBALANCE_WAIT_FOR_WINDOW,
               "%s ran by itself %lld min ago (%u times in a day): not again for %lld min", p->goal,
               (long long)(p->last_auto_ms / 60000), p->autos_last_day,
               (long long)((pause - p->last_auto_ms + 59999) / 60000));
}

/* A plan that is longer than any window would wait for ever. */
static bool outside_window(const struct rebalance_standing *s, const struct rebalance_plan_facts *p,
                           int64_t local_min, struct rebalance_approval_out *out)
{
    const struct rebalance_window_at at = rebalance_window_look(&s->window, local_min);
    if (rebalance_window_may_start(&at, p->eta_s))
        return false;
    if (p->eta_s < 0)
        return say(out, REBALANCE_NEEDS_PERSON,
                   "how long it takes is not known, so it may cross the end of the window");
    char next[24] = "never";
    struct rebalance_window_at then = { 0 };
    if (at.next_min >= 0) {
        pr_minute_text(at.next_min, next);
        then = rebalance_window_look(&s->window, at.next_min);
    }
    if (!rebalance_window_may_start(&then, p->eta_s))
        return say(out, REBALANCE_NEEDS_PERSON, "takes %.0f min, a window lasts %lld min",
                   p->eta_s / 60, (long long)then.left_min);
    if (at.inside)
        return say(out, REBALANCE_WAIT_FOR_WINDOW,
                   "takes %.0f min, %lld min of the window are left: waits for %s local time",
                   p->eta_s / 60, (long long)at.left_min, next);
    return say(out, REBALANCE_WAIT_FOR_WINDOW, "the window begins %s local time", next);
}

void rebalance_approve(const struct rebalance_standing *s, const struct rebalance_plan_facts *p,
                       int64_t local_min, struct rebalance_approval_out *out)
{
    if (s->halted)
        (void)say(out, REBALANCE_HALTED, "everything was told to stop");
    else if (!for_a_person(s, p, out) && !cools_down(s, p, out) &&
             !(s->has_window && outside_window(s, p, local_min, out)))
        (void)say(out, REBALANCE_AUTO_NOW, "%s may run by itself%s", p->goal,
                  s->has_window ? ", and ends before the window does" : "");
}
