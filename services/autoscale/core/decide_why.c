/* The sentences for whoever is woken up: what happens, who asked for it and by which figures,
 * what limited it, and why it is not what the others wanted. */
#include "core/decide_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void what(const struct draft *d)
{
    struct autoscale_decision *o = d->out;
    const int unit = d->fleet->unit;
    if (o->to == o->from)
        draft_note(o->why, sizeof o->why, "stays at %d instances", o->to);
    else if (unit == 1)
        draft_note(o->why, sizeof o->why, "%d -> %d instances", o->from, o->to);
    else
        draft_note(o->why, sizeof o->why, "%d -> %d instances (%d -> %d units of %d)", o->from,
                   o->to, o->units_from, o->units_to, unit);
}

static void who(const struct draft *d)
{
    struct autoscale_decision *o = d->out;
    if (o->deciding >= 0) {
        const struct autoscale_vote *v = &o->vote[o->deciding];
        draft_note(o->why, sizeof o->why, "%s %s",
                   autoscale_kind_name(d->in->settings.policy[o->deciding].kind),
                   v->why[0] != '\0' ? v->why : autoscale_move_name(v->move));
        if (v->limited[0] != '\0')
            draft_note(o->why, sizeof o->why, "%s", v->limited);
    } else {
        draft_note(o->why, sizeof o->why, "%s%s",
                   o->to == o->from ? "" : "no policy asked for it: ", d->alone_why);
    }
    if (o->limited[0] != '\0')
        draft_note(o->why, sizeof o->why, "limited: %s", o->limited);
}

static void when(const struct draft *d)
{
    struct autoscale_decision *o = d->out;
    if (o->to != o->from && !isnan(o->cost_month_after))
        draft_note(o->why, sizeof o->why, "USD %.0f -> %.0f a month", o->cost_month_before,
                   o->cost_month_after);
    if (o->to <= o->from)
        return;
    if (o->n_returns > 0)
        draft_note(o->why, sizeof o->why, "%zu come back from a drain", o->n_returns);
    if (o->useful_ms > 0)
        draft_note(o->why, sizeof o->why, "new ones help in %lld min",
                   (long long)((o->useful_ms + AUTOSCALE_MINUTE_MS - 1) / AUTOSCALE_MINUTE_MS));
}

static int one_other(char *to, size_t bytes, const char *kind, const struct autoscale_vote *v)
{
    if (v->move == AUTOSCALE_HOLD || v->move == AUTOSCALE_UNKNOWN)
        return snprintf(to, bytes, "%s %s", kind,
                        v->move == AUTOSCALE_HOLD ? "holds" : "cannot tell");
    if (v->rule[0] == '\0')
        return snprintf(to, bytes, "%s %d", kind, v->desired);
    return snprintf(to, bytes, "%s %d (%s)", kind, v->desired, v->rule);
}

static void others(const struct draft *d)
{
    struct autoscale_decision *o = d->out;
    char text[256] = "not followed: ";
    size_t n = strlen(text);
    bool any = false;
    for (size_t i = 0; i < d->in->settings.policies; i++) {
        char one[128];
        if ((int)i == o->deciding)
            continue;
        const int bytes = one_other(
            one, sizeof one, autoscale_kind_name(d->in->settings.policy[i].kind), &o->vote[i]);
        if (bytes < 0 || n + (size_t)bytes + 3 > sizeof text)
            break;
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", any ? ", " : "", one);
        any = true;
    }
    if (any)
        draft_note(o->why, sizeof o->why, "%s", text);
}

void draft_why(struct draft *d)
{
    what(d);
    who(d);
    when(d);
    others(d);
}
