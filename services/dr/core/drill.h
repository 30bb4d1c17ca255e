/* A drill: a shard is restored to scratch and loaded, to prove that it can be, how long that
 * takes, and how old what comes back is. Pure: when it is due, and what came of it. */
#ifndef DR_DRILL_H
#define DR_DRILL_H

#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dr_drill_outcome {
    DR_DRILL_GOOD,
    DR_DRILL_LATE,    /* restored, but what came back is too old, or it took too long */
    DR_DRILL_DAMAGED, /* an older generation had to be used, or pieces are missing */
    DR_DRILL_FAILED,  /* nothing that can be trusted came back */
};
const char *dr_drill_outcome_name(enum dr_drill_outcome o); /* "good", "late", ... */

struct dr_drill_facts {
    enum pr_code rc;    /* of restoring, loading, asking */
    const char *error;  /* its words, when not PR_OK */
    size_t skipped;     /* newer generations that are damaged */
    const char *damage; /* of the newest of them */
    bool gap;           /* newer pieces are there that nothing leads to */
    const char *why;    /* where the stream ends */
    uint64_t base_keys; /* as the manifest says; UINT64_MAX: it does not */
    uint64_t loaded_keys;
    int64_t begun_ms, beat_ms; /* Unix epoch: of the drill; newest heartbeat that came back, or 0 */
    int64_t took_ms;           /* from the beginning until it answered */
};
struct dr_drill_limits {
    int64_t age_ms;  /* RPO */
    int64_t took_ms; /* RTO; 0: none */
};
struct dr_drill_verdict {
    enum dr_drill_outcome outcome;
    int64_t age_ms; /* of what came back when the drill began; -1: not known */
    char reason[256];
};
void dr_drill_judge(const struct dr_drill_facts *f, const struct dr_drill_limits *l,
                    struct dr_drill_verdict *out);

/* Whether a time of the schedule has come since since_ms (Unix epoch: of the last one that was
 * scheduled, or of when this was set up). cron, zone: see prism/schedule.h. PR_EINVAL: no such
 * schedule. */
PR_CHECKED enum pr_code dr_drill_due(const char *cron, const char *zone, int64_t since_ms,
                                     int64_t now_ms, bool *due, struct pr_err *err);

#endif
