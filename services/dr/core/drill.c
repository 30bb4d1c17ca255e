#include "core/drill.h"

#include "prism/schedule.h"

#include <stdio.h>

const char *dr_drill_outcome_name(enum dr_drill_outcome o)
{
    static const char *const name[] = { [DR_DRILL_GOOD] = "good",
                                        [DR_DRILL_LATE] = "late",
                                        [DR_DRILL_DAMAGED] = "damaged",
                                        [DR_DRILL_FAILED] = "failed" };
    return name[o];
}

void dr_drill_judge(const struct dr_drill_facts *f, const struct dr_drill_limits *l,
                    struct dr_drill_verdict *out)
{
    *out = (struct dr_drill_verdict){ .outcome = DR_DRILL_FAILED, .age_ms = -1 };
    if (f->rc != PR_OK) {
        (void)snprintf(out->reason, sizeof out->reason, "%s", f->error);
        return;
    }
    if (f->beat_ms > 0) /* clocks may differ a little */
        out->age_ms = f->begun_ms > f->beat_ms ? f->begun_ms - f->beat_ms : 0;
    if (f->base_keys != UINT64_MAX && f->base_keys != f->loaded_keys) {
        (void)snprintf(out->reason, sizeof out->reason,
                       "%llu keys were loaded from the base, its manifest says %llu",
                       (unsigned long long)f->loaded_keys, (unsigned long long)f->base_keys);
        return;
    }
    out->outcome = DR_DRILL_DAMAGED;
    if (f->skipped > 0) {
        (void)snprintf(out->reason, sizeof out->reason, "%zu generation%s damaged: %s", f->skipped,
                       f->skipped == 1 ? " is" : "s are", f->damage);
        return;
    }
    if (f->gap) {
        (void)snprintf(out->reason, sizeof out->reason, "pieces are missing: %s", f->why);
        return;
    }
    out->outcome = DR_DRILL_LATE;
    if (out->age_ms < 0)
        (void)snprintf(out->reason, sizeof out->reason,
                       "no heartbeat came back: nobody knows how old this is");
    else if (out->age_ms > l->age_ms)
        (void)snprintf(out->reason, sizeof out->reason,
                       "what came back was %lld ms old, %lld are allowed", (long long)out->age_ms,
                       (long long)l->age_ms);
    else if (l->took_ms > 0 && f->took_ms > l->took_ms)
        (void)snprintf(out->reason, sizeof out->reason, "it took %lld ms, %lld are allowed",
                       (long long)f->took_ms, (long long)l->took_ms);
    else
        out->outcome = DR_DRILL_GOOD;
}

enum pr_code dr_drill_due(const char *cron, const char *zone, int64_t since_ms, int64_t now_ms,
                          bool *due, struct pr_err *err)
{
    int64_t last_ms, next_ms;
    const enum pr_code rc = pr_schedule_around(cron, zone, now_ms, &last_ms, &next_ms, err);
    if (rc == PR_OK)
        *due = last_ms > since_ms;
    return rc;
}
