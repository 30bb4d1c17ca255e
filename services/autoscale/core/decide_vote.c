/* Everybody's vote, and what the settings make of them. */
#include "core/decide_private.h"

void draft_votes(struct draft *d, struct autoscale_memory *memory)
{
    for (size_t i = 0; i < d->in->settings.policies; i++)
        autoscale_policy_vote(&d->in->settings.policy[i], &memory[i], &d->view, &d->out->vote[i]);
}

static void adopt(struct draft *d, size_t i)
{
    const struct autoscale_vote *v = &d->out->vote[i];
    d->out->deciding = (int)i;
    d->move = v->move;
    d->target = v->move == AUTOSCALE_OUT || v->move == AUTOSCALE_IN ? v->desired : d->view.desired;
    d->wanted = v->wanted;
}

/* Out if any: the largest wins. In only if all agree: the largest again. */
static void largest(struct draft *d)
{
    const struct autoscale_vote *v = d->out->vote;
    const size_t n = d->in->settings.policies;
    size_t out = n, in = 0, holds = n, unknown = n;
    for (size_t i = n; i-- > 0;) { /* backwards: the first of equals stays */
        if (v[i].move == AUTOSCALE_OUT && (out == n || v[i].desired >= v[out].desired))
            out = i;
        if (v[i].move == AUTOSCALE_HOLD)
            holds = i;
        if (v[i].move == AUTOSCALE_UNKNOWN)
            unknown = i;
        if (i == n - 1 || v[i].desired >= v[in].desired)
            in = i;
    }
    /* One that cannot tell forbids scaling in, and says more than one that holds. */
    adopt(d, out < n ? out : unknown < n ? unknown : holds < n ? holds : in);
    for (size_t i = 0; i < n; i++)
        if (v[i].move != AUTOSCALE_IN && v[i].wanted > d->wanted)
            d->wanted = v[i].wanted;
}

void draft_combine(struct draft *d)
{
    if (d->in->settings.combine == AUTOSCALE_FIRST)
        adopt(d, 0);
    else
        largest(d);
}
