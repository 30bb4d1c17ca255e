#include "core/policy.h"

#include "core/ballot.h"

#include <stdio.h>
#include <string.h>

static const char *const name[AUTOSCALE_KINDS] = {
    [AUTOSCALE_RULES] = "rules", [AUTOSCALE_STEP] = "step",         [AUTOSCALE_TARGET] = "target",
    [AUTOSCALE_HPA] = "hpa",     [AUTOSCALE_ADAPTIVE] = "adaptive", [AUTOSCALE_QUEUE] = "queue",
};

const char *autoscale_kind_name(enum autoscale_kind k)
{
    return (int)k >= 0 && k < AUTOSCALE_KINDS ? name[k] : "?";
}

enum pr_code autoscale_kind_parse(const char *text, enum autoscale_kind *out, struct pr_err *err)
{
    char known[96] = "";
    size_t at = 0;
    for (int k = 0; k < AUTOSCALE_KINDS; k++) {
        if (strcmp(text, name[k]) == 0) {
            *out = (enum autoscale_kind)k;
            return PR_OK;
        }
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", k > 0 ? ", " : "", name[k]);
    }
    return pr_fail(err, PR_EINVAL, "no policy \"%.40s\": there are %s", text, known);
}

void autoscale_policy_default(enum autoscale_kind kind, struct autoscale_policy *out)
{
    memset(out, 0, sizeof *out);
    out->kind = kind;
    switch (kind) {
    case AUTOSCALE_RULES:
        autoscale_rules_default(&out->is.rules);
        break;
    case AUTOSCALE_STEP:
        autoscale_step_default(&out->is.step);
        break;
    case AUTOSCALE_TARGET:
        autoscale_target_default(&out->is.target);
        break;
    case AUTOSCALE_HPA:
        autoscale_hpa_default(&out->is.hpa);
        break;
    case AUTOSCALE_ADAPTIVE:
        autoscale_adaptive_default(&out->is.adaptive);
        break;
    case AUTOSCALE_QUEUE:
        autoscale_queue_default(&out->is.queue);
        break;
    case AUTOSCALE_KINDS:
        break;
    }
}

void autoscale_policy_vote(const struct autoscale_policy *policy, struct autoscale_memory *memory,
                           const struct autoscale_view *view, struct autoscale_vote *out)
{
    struct pr_err err = { .text = "" };
    memset(out, 0, sizeof *out); /* equal votes are equal bytes */
    if (autoscale_view_check(view, &err) != PR_OK) {
        autoscale_ballot_hold(view, out);
        out->move = AUTOSCALE_UNKNOWN;
        (void)snprintf(out->rule, sizeof out->rule, "samples refused");
        (void)snprintf(out->why, sizeof out->why,
                       "alarm: samples are refused, so nothing changes: "
                       "%.180s",
                       err.text);
        return;
    }
    switch (policy->kind) {
    case AUTOSCALE_RULES:
        autoscale_rules_vote(&policy->is.rules, view, out);
        break;
    case AUTOSCALE_STEP:
        autoscale_step_vote(&policy->is.step, view, out);
        break;
    case AUTOSCALE_TARGET:
        autoscale_target_vote(&policy->is.target, &memory->target, view, out);
        break;
    case AUTOSCALE_HPA:
        autoscale_hpa_vote(&policy->is.hpa, &memory->hpa, view, out);
        break;
    case AUTOSCALE_ADAPTIVE:
        autoscale_adaptive_vote(&policy->is.adaptive, &memory->adaptive, view, out);
        break;
    case AUTOSCALE_QUEUE:
        autoscale_queue_vote(&policy->is.queue, view, out);
        break;
    case AUTOSCALE_KINDS:
        autoscale_ballot_hold(view, out);
        break;
    }
}
