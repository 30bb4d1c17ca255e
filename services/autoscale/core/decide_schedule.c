/* What people set: min and max of the fleet, and what the calendar makes of them now. */
#include "core/decide_private.h"

#include <stdio.h>

enum pr_code draft_schedule(struct draft *d, struct pr_err *err)
{
    const struct autoscale_input *in = d->in;
    const struct autoscale_fleet *f = d->fleet;
    const int64_t now_ms = in->view.now_ms;
    const bool known = in->decided_ms > 0 && in->decided_ms < now_ms;
    struct autoscale_schedule_now now;
    const enum pr_code rc = autoscale_schedule_at(
        &in->settings.schedule, known ? in->decided_ms : now_ms - AUTOSCALE_MINUTE_MS, now_ms, &now,
        err);
    if (rc != PR_OK)
        return rc;

    d->set_floor = f->min;
    (void)snprintf(d->out->floor_why, sizeof d->out->floor_why, "min %d", f->min);
    if (now.min > f->min) {
        d->set_floor = now.min;
        (void)snprintf(d->out->floor_why, sizeof d->out->floor_why, "schedule %s: min %d",
                       now.min_name, now.min);
    }
    d->view.max = f->max;
    (void)snprintf(d->limit_why, sizeof d->limit_why, "max %d", f->max);
    if (now.max > 0 && now.max < f->max) { /* but never below what the fleet must have */
        d->view.max = now.max > f->min ? now.max : f->min;
        (void)snprintf(d->limit_why, sizeof d->limit_why, "schedule %s: max %d", now.max_name,
                       now.max);
    }
    d->view.min = d->set_floor < d->view.max ? d->set_floor : d->view.max;
    d->limit = autoscale_fleet_whole(f, d->view.max, false);
    if (d->limit < autoscale_fleet_whole(f, f->min, true))
        d->limit = autoscale_fleet_whole(f, f->min, true);
    if (now.desired > 0) {
        d->scheduled = now.desired < d->view.min   ? d->view.min
                       : now.desired > d->view.max ? d->view.max
                                                   : now.desired;
        (void)snprintf(d->scheduled_why, sizeof d->scheduled_why, "schedule %s: %d wanted",
                       now.desired_name, now.desired);
    }
    return PR_OK;
}
