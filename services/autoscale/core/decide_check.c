/* Fleet and settings that cannot be decided with are refused, with the name of what is wrong. */
#include "core/decide_private.h"

#include "core/budget.h"

#include <math.h>

static enum pr_code check_policy(const struct autoscale_policy *p, struct pr_err *err)
{
    switch (p->kind) {
    case AUTOSCALE_RULES:
        return autoscale_rules_check(&p->is.rules, err);
    case AUTOSCALE_STEP:
        return autoscale_step_check(&p->is.step, err);
    case AUTOSCALE_TARGET:
        return autoscale_target_check(&p->is.target, err);
    case AUTOSCALE_HPA:
        return autoscale_hpa_check(&p->is.hpa, err);
    case AUTOSCALE_ADAPTIVE:
        return autoscale_adaptive_check(&p->is.adaptive, err);
    case AUTOSCALE_QUEUE:
        return autoscale_queue_check(&p->is.queue, err);
    case AUTOSCALE_KINDS:
        break;
    }
    return pr_fail(err, PR_EINVAL, "no such kind of policy: %d", (int)p->kind);
}

static int64_t longest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t look_back_ms(const struct autoscale_policy *p)
{
    int64_t ms = 0;
    switch (p->kind) {
    case AUTOSCALE_RULES:
        for (size_t i = 0; i < p->is.rules.rules; i++)
            ms = longest(ms, p->is.rules.rule[i].sustained_ms);
        return ms;
    case AUTOSCALE_STEP:
        for (size_t i = 0; i < p->is.step.alarms; i++)
            ms = longest(ms, p->is.step.alarm[i].datapoints * (int64_t)AUTOSCALE_MINUTE_MS);
        return ms;
    case AUTOSCALE_TARGET:
        return longest(p->is.target.high_minutes, p->is.target.low_minutes) *
               (int64_t)AUTOSCALE_MINUTE_MS;
    case AUTOSCALE_QUEUE:
        return longest(longest(p->is.queue.out_ms, p->is.queue.in_ms), p->is.queue.alarm_after_ms);
    case AUTOSCALE_ADAPTIVE: /* what they look back at they remember */
    case AUTOSCALE_HPA:
    case AUTOSCALE_KINDS:
        break;
    }
    return 0;
}

int64_t autoscale_settings_look_back_ms(const struct autoscale_settings *s)
{
    int64_t ms = 0;
    for (size_t i = 0; i < s->policies; i++)
        ms = longest(ms, look_back_ms(&s->policy[i]));
    return ms;
}

enum pr_code autoscale_settings_check(const struct autoscale_settings *s, struct pr_err *err)
{
    if (s->policies < 1 || s->policies > AUTOSCALE_POLICIES)
        return pr_fail(err, PR_EINVAL, "%zu policies, want 1 to %d", s->policies,
                       AUTOSCALE_POLICIES);
    for (size_t i = 0; i < s->policies; i++) {
        const enum pr_code rc = check_policy(&s->policy[i], err);
        if (rc != PR_OK)
            return pr_wrap(err, rc, "policy %zu", i + 1);
    }
    if (s->combine != AUTOSCALE_FIRST && s->combine != AUTOSCALE_LARGEST)
        return pr_fail(err, PR_EINVAL, "combine: no such way: %d", (int)s->combine);
    const enum pr_code rc = autoscale_schedule_check(&s->schedule, err);
    return rc == PR_OK ? autoscale_budget_check(&s->budget, err) : rc;
}

enum pr_code draft_check(const struct autoscale_input *in, struct pr_err *err)
{
    enum pr_code rc = autoscale_fleet_check(&in->fleet, err);
    if (rc == PR_OK)
        rc = autoscale_settings_check(&in->settings, err);
    if (rc != PR_OK)
        return rc;
    if (in->view.desired < 0 || in->view.serving < 0)
        return pr_fail(err, PR_EINVAL, "fleet %s: %d are wanted and %d serve", in->fleet.name,
                       in->view.desired, in->view.serving);
    for (int z = 0; z < in->fleet.zones; z++)
        if (!(in->zone_traffic[z] >= 0 && isfinite(in->zone_traffic[z])))
            return pr_fail(err, PR_EINVAL, "fleet %s: zone %s: its traffic is no number >= 0",
                           in->fleet.name, in->fleet.zone[z]);
    return PR_OK;
}
