#include "core/decide_private.h"

#include "core/advise.h"
#include "core/choose.h"
#include "core/cost.h"

#include "prism/text.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void append(char *to, size_t bytes, const char *fmt, va_list ap) PR_PRINTF(3, 0);
static void append(char *to, size_t bytes, const char *fmt, va_list ap)
{
    size_t at = strlen(to);
    if (at > 0 && at + 3 < bytes) {
        memcpy(to + at, "; ", 3);
        at += 2;
    }
    if (at + 1 < bytes)
        (void)vsnprintf(to + at, bytes - at, fmt, ap);
    pr_utf8_trim(to);
    pr_utf8_mend(to, strlen(to)); /* parts may have come cut; the store takes nothing else */
}

void draft_note(char *to, size_t bytes, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    append(to, bytes, fmt, ap);
    va_end(ap);
}

void draft_alarm(struct draft *d, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    append(d->out->alarm_why, sizeof d->out->alarm_why, fmt, ap);
    va_end(ap);
    d->out->alarm = true;
}

/* Members that must be left when a zone is lost. */
static int rest_of(const struct draft *d)
{
    if (d->zone_floor == 0)
        return 0;
    const double need = d->load * 100 / d->fleet->zone_loss_pct;
    return (int)ceil(need - need * 1e-9);
}

/* The floor takes members as evenly spread; where they are not, someone should know. */
static void check_spread(struct draft *d)
{
    const struct autoscale_decision *o = d->out;
    int stay[AUTOSCALE_ZONES] = { 0 }, all = 0, fullest = 0;
    for (size_t i = 0; i < d->in->nodes; i++)
        stay[d->in->node[i].zone] += !d->in->node[i].leaving;
    for (size_t i = 0; i < o->places; i++)
        stay[o->place[i].zone] += o->place[i].get + o->place[i].back - o->place[i].give;
    for (int z = 0; z < d->fleet->zones; z++) {
        all += stay[z];
        fullest = stay[z] > stay[fullest] ? z : fullest;
    }
    if (d->in->nodes > 0 && all >= o->to && o->to >= d->zone_floor &&
        all - stay[fullest] < rest_of(d))
        draft_alarm(d, "zone %s has %d of %d members: without it %d are left for a load of %.1f",
                    d->fleet->zone[fullest], stay[fullest], all, all - stay[fullest], d->load);
}

static enum pr_code place(struct draft *d, struct pr_err *err)
{
    struct autoscale_decision *o = d->out;
    const struct autoscale_choose how = {
        .fleet = d->fleet,
        .node = d->in->node,
        .nodes = d->in->nodes,
        .zone_traffic = d->in->zone_traffic,
        .traffic_from = d->in->traffic_from,
        .from = o->from,
        .to = o->to,
        .rest = rest_of(d),
    };
    char limited[sizeof o->limited];
    const int asked = o->to;
    const enum pr_code rc = autoscale_choose(&how, o, &o->to, limited, sizeof limited, err);
    if (rc != PR_OK)
        return rc;
    if (limited[0] != '\0') {
        draft_note(o->limited, sizeof o->limited, "%s", limited);
        if (asked > o->from)
            draft_alarm(d, "%d more are wanted: %s", asked - o->from, limited);
    }
    if (o->to == o->from && asked != o->from)
        o->move = AUTOSCALE_HOLD;
    if (d->zone_floor > 0)
        check_spread(d);
    return PR_OK;
}

static void consequences(struct draft *d)
{
    struct autoscale_decision *o = d->out;
    const struct autoscale_fleet *f = d->fleet;
    o->units_from = o->from / f->unit;
    o->units_to = o->to / f->unit;
    o->cost_month_before = autoscale_cost_month(f, o->from);
    o->cost_month_after = autoscale_cost_month(f, o->to);
    const bool all_come_back = o->to > o->from && o->n_returns == (size_t)(o->to - o->from);
    o->useful_ms = all_come_back ? 0 : d->view.useful_after_ms;
    struct autoscale_advice advice = { .type = -1 };
    const int least = autoscale_fleet_whole(f, o->floor, true);
    if (!d->bad)
        autoscale_advise(f, &d->view, o->to <= least, &advice);
    memcpy(o->advice, advice.text, sizeof o->advice);
}

enum pr_code autoscale_decide(const struct autoscale_input *in, struct autoscale_memory *memory,
                              struct autoscale_decision *out, struct pr_err *err)
{
    struct autoscale_decision o;
    memset(&o, 0, sizeof o); /* equal decisions are equal bytes */
    struct draft d = {
        .in = in,
        .fleet = &in->fleet,
        .view = in->view,
        .out = &o,
        .load = NAN,
        .cap = INT_MAX,
    };
    enum pr_code rc = draft_check(in, err);
    if (rc == PR_OK)
        rc = draft_schedule(&d, err);
    if (rc != PR_OK)
        return rc;
    if (d.view.useful_after_ms <= 0)
        d.view.useful_after_ms = in->fleet.boot_ms + in->fleet.move_ms;
    if (memory != in->memory)
        memcpy(memory, in->memory, in->settings.policies * sizeof *memory);
    draft_votes(&d, memory);
    draft_combine(&d);
    draft_guard(&d);
    draft_floors(&d);
    draft_size(&d);
    rc = place(&d, err);
    if (rc != PR_OK)
        return rc;
    consequences(&d);
    draft_why(&d);
    *out = o;
    return PR_OK;
}
