/* Region fail-over: the store of one site brought up at another from the bucket, and back the same
 * way. Runs at the site that takes over, with the bucket and the file PRISM_DR_SITES_PATH.
 *
 * What was decided and done is a journal in the bucket (io/region/journal.h): whoever runs these
 * after a crash goes on from it, and of two at once one is told so. The steps are a table in
 * core/region.h. All functions block for as long as the work takes (plan and status: seconds;
 * the others: minutes, and what a restore takes), may be called from any one thread each, and
 * share nothing.
 *
 * What they write is one JSON object, also on failure as far as it is known: *out is valid JSON
 * whenever it is not empty.
 *   plan     {"from","to","epoch","ready",
 *             "steps":[{"step","does","done_when"}],
 *             "problems":[{"what","fatal"}],
 *             "shards":[{"shard","generation","until_ms","age_ms"}],
 *             "expected_rpo_ms"}
 *             ready: execute would begin; fatal problems say what is in the way.
 *   status, and execute, resume, abort when they end
 *            {"owner","epoch","data",  who writes, by the newest marker ("" and 0: none yet), and
 *                                      under which name in the bucket its dr ships
 *             "failover":{"number","from","to","by","state","attempt","begun_ms","claimed_ms",
 *               "written_ms","ended_ms","rpo_ms","rto_ms","missing","can_abort","why",
 *               "steps":[{"step","state","begun_ms","ended_ms","text"}]}}
 *             or "failover":null when there never was one. Times: Unix ms, null: not yet.
 *             state: running, stopped (resume or abort it), aborting, done, aborted;
 *             of a step: waiting, running, done, failed, undone.
 *             One that was killed says running, as one does that runs: written_ms is when the
 *             journal was written last. why: of a stopped one.
 *             rpo_ms: age of what was brought back, the oldest shard's, when the old side was
 *             locked out (claimed, where nobody answered); 0: nothing was lost. missing: primaries
 *             of which something is. rto_ms: from execute to verified. */
#ifndef DR_REGION_IO_H
#define DR_REGION_IO_H

#include "io/settings.h"

#include "prism/buf.h"

#include <stdatomic.h>

struct dr_region_order {   /* borrowed */
    const char *to;        /* site that takes over; its name in the file */
    const char *by;        /* who asked, for the journal; up to 63 bytes */
    bool old_side_is_down; /* the operator's word for what of the old side cannot be reached */
    bool over_existing;    /* what the new side's Redis and PostgreSQL hold is replaced */
    bool accept_loss;      /* vertices may be lost or rolled back: see prism-dr restore-cluster */
    int64_t wait_ms;       /* for the last data of the old side; 0: 30,000 */
    const char *key;       /* of the order, for the journal; up to 255 bytes; NULL, "": none */
};

/* As they happen; step: "claim"; state as in the JSON; text: a sentence or "". May be NULL. */
typedef void dr_region_progress_fn(void *ctx, const char *step, const char *state,
                                   const char *text);
struct dr_region_run {           /* borrowed */
    const struct dr_config *cfg; /* loaded; PRISM_DR_SITES_PATH, bucket, PRISM_DR_PG_... */
    const char *db_uri;          /* PRISM_DB_URI, for sites without "postgres"; NULL: not set */
    dr_region_progress_fn *progress;
    void *ctx;
    const atomic_bool *cancel; /* looked at between steps, while waiting, and throughout the
                                * restore of Redis; may be NULL */
    const atomic_bool *cut;    /* ends requests to the bucket, also of the journal; may be NULL */
};

/* Nothing is changed anywhere. PR_OK also when problems are in the way: see "ready". PR_EINVAL:
 * the file, or no such site. */
PR_CHECKED enum pr_code dr_region_plan(const struct dr_region_run *run,
                                       const struct dr_region_order *order, struct pr_buf *out,
                                       struct pr_err *err);
/* Begins one, and brings it as far as it goes. The newest one, if it has the order's key: that was
 * this order, and *out tells of it, ended or not; nothing is done. PR_ECONFLICT: one is under way
 * (resume or abort it), or the plan is not ready; nothing was changed. PR_EFENCED: somebody else
 * resumed it meanwhile. Anything else: it has stopped at a step, named; what is needed is in the
 * words. */
PR_CHECKED enum pr_code dr_region_execute(const struct dr_region_run *run,
                                          const struct dr_region_order *order, struct pr_buf *out,
                                          struct pr_err *err);
/* Takes over the one that has stopped, whoever ran it; of order, to must be its site or NULL, and
 * old_side_is_down, over_existing, accept_loss are added to what it was begun with.
 * PR_ENOTFOUND: none is under way. Else as execute. */
PR_CHECKED enum pr_code dr_region_resume(const struct dr_region_run *run,
                                         const struct dr_region_order *order, struct pr_buf *out,
                                         struct pr_err *err);
/* Takes back what was done and makes the old side the owner again. PR_ECONFLICT: PostgreSQL may be
 * promoted, or without one Redis was begun with: fail back instead. PR_ENOTFOUND: none is under
 * way. An abort that stopped is gone on with by abort. */
PR_CHECKED enum pr_code dr_region_abort(const struct dr_region_run *run,
                                        const struct dr_region_order *order, struct pr_buf *out,
                                        struct pr_err *err);
PR_CHECKED enum pr_code dr_region_status(const struct dr_region_run *run, struct pr_buf *out,
                                         struct pr_err *err);

#endif
