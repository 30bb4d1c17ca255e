/* Floors and limits, and the size that they, the votes, the units and the budgets leave. */
#include "core/decide_private.h"

#include "core/budget.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Fleets that are scaled by their queue may measure no CPU at all. */
static bool by_queue_alone(const struct draft *d)
{
    const struct autoscale_settings *s = &d->in->settings;
    const size_t deciding = s->combine == AUTOSCALE_FIRST ? 1 : s->policies;
    for (size_t i = 0; i < deciding; i++)
        if (s->policy[i].kind != AUTOSCALE_QUEUE)
            return false;
    return true;
}

static void say_cap(struct draft *d)
{
    if (strstr(d->out->limited, d->cap_why) == NULL)
        draft_note(d->out->limited, sizeof d->out->limited, "at most %d: %s", d->cap, d->cap_why);
    if (strstr(d->out->alarm_why, d->cap_why) == NULL)
        draft_alarm(d, "%s", d->cap_why);
}

static void zone_floor(struct draft *d)
{
    const struct autoscale_fleet *f = d->fleet;
    if (f->zone_loss_pct <= 0 || f->zones < 2)
        return;
    if (isnan(d->load)) {
        if (d->no_in[0] == '\0' && !by_queue_alone(d))
            (void)snprintf(d->no_in, sizeof d->no_in,
                           "load is unknown, and with it what the loss of a zone takes");
        return;
    }
    d->zone_floor = autoscale_fleet_zone_floor(f, d->load);
    if (d->zone_floor > d->cap) { /* which is what is wanted now, at least */
        d->zone_floor = d->cap;
        say_cap(d);
    }
}

void draft_floors(struct draft *d)
{
    struct autoscale_decision *o = d->out;
    zone_floor(d);
    o->floor = d->set_floor; /* floor_why is the schedule's, or min */
    if (d->zone_floor > d->set_floor) {
        o->floor = d->zone_floor;
        (void)snprintf(o->floor_why, sizeof o->floor_why,
                       "loss of a zone: a load of %.1f members needs %d, so that %d of %d zones "
                       "stay under %g %%",
                       d->load, d->zone_floor, d->fleet->zones - 1, d->fleet->zones,
                       d->fleet->zone_loss_pct);
    }
}

static void hold(struct draft *d, const char *why)
{
    draft_note(d->out->limited, sizeof d->out->limited, "%s", why);
    d->target = d->view.desired;
}

/* What the data say to the votes. */
static void apply_guard(struct draft *d)
{
    const int from = d->view.desired;
    if (d->target > from && d->no_out)
        hold(d, d->no_in);
    if (d->target > from && d->target > d->cap) {
        say_cap(d);
        d->target = d->cap;
    }
    if (d->target < from && d->no_in[0] != '\0')
        hold(d, d->no_in);
}

/* A schedule's begin is an order: it moves the fleet in either direction, but takes nothing
 * away from what a policy wants, nor while nobody knows the load. */
static void apply_schedule(struct draft *d)
{
    const int from = d->view.desired;
    const bool out = d->scheduled > from && d->scheduled > d->target;
    const bool in = d->scheduled < from && d->move != AUTOSCALE_OUT && d->scheduled < d->target;
    if (d->scheduled == 0 || !(out || in))
        return;
    if (in && d->no_in[0] != '\0') { /* it will not be looked at again: say so */
        draft_note(d->out->limited, sizeof d->out->limited, "not by %s: %s", d->scheduled_why,
                   d->no_in);
        return;
    }
    d->target = d->scheduled;
    d->alone_why = d->scheduled_why;
}

static void apply_floor_and_limit(struct draft *d)
{
    struct autoscale_decision *o = d->out;
    const int from = d->view.desired, floor = d->no_out ? d->set_floor : o->floor;
    if (d->target < floor) {
        if (floor > from)
            d->alone_why = o->floor_why;
        else
            draft_note(o->limited, sizeof o->limited, "floor %d (%s)", floor, o->floor_why);
        d->target = floor;
    }
    if (d->target > d->view.max) {
        if (from > d->view.max)
            d->alone_why = d->limit_why;
        draft_note(o->limited, sizeof o->limited, "%s", d->limit_why);
        d->target = d->view.max;
    }
}

static void apply_units(struct draft *d)
{
    struct autoscale_decision *o = d->out;
    const int from = d->view.desired;
    o->to =
        autoscale_fleet_round(d->fleet, from, d->target, o->floor < d->limit ? o->floor : d->limit);
    if (o->to > d->limit && o->to > from)
        o->to = d->limit > from ? d->limit : from;
    if (o->to != d->target)
        draft_note(o->limited, sizeof o->limited, "whole units of %d: %d becomes %d",
                   d->fleet->unit, d->target, o->to);
}

static void apply_budget(struct draft *d)
{
    struct autoscale_decision *o = d->out;
    const bool outward = o->to > o->from;
    char why[128];
    if (o->to == o->from || d->alone_why != NULL ||
        autoscale_budget_allows(&d->in->settings.budget, &d->view, outward, why, sizeof why))
        return;
    if (outward && d->urgent[0] != '\0') {
        draft_note(o->limited, sizeof o->limited, "not by the %s: urgent, %s", why, d->urgent);
        return;
    }
    draft_note(o->limited, sizeof o->limited, "%s", why);
    o->to = o->from;
}

static void alarm_if_short(struct draft *d)
{
    const struct autoscale_decision *o = d->out;
    const int votes = d->wanted > d->view.desired ? d->wanted : 0; /* else it is no need */
    const int most = o->floor > votes ? o->floor : votes;
    const int need = most > d->view.max ? most : 0;
    if (need > 0 && (o->to >= d->limit || o->from >= d->limit))
        draft_alarm(d, "at the most there may be (%s) and short: %d are needed", d->limit_why,
                    need);
}

void draft_size(struct draft *d)
{
    struct autoscale_decision *o = d->out;
    o->from = d->view.desired;
    apply_guard(d);
    apply_schedule(d);
    apply_floor_and_limit(d);
    apply_units(d);
    apply_budget(d);
    alarm_if_short(d);
    if (d->alone_why != NULL && o->to != o->from)
        o->deciding = -1;
    o->move = o->to > o->from                ? AUTOSCALE_OUT
              : o->to < o->from              ? AUTOSCALE_IN
              : d->move == AUTOSCALE_UNKNOWN ? AUTOSCALE_UNKNOWN
                                             : AUTOSCALE_HOLD;
}
