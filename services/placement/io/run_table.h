/* The life of a run in PostgreSQL: placement_runs, operations, the targets it
 * writes, and the event that says so. Source: migrations. */
#ifndef PLACEMENT_RUN_TABLE_H
#define PLACEMENT_RUN_TABLE_H

#include "core/run.h"
#include "prism/io/db.h"

#include <stdbool.h>
#include <stdint.h>

enum { PLACEMENT_UUID = 40 };

struct placement_run_row {
    int64_t id;
    char operation_id[PLACEMENT_UUID];
    bool finished;         /* done, failed or canceled already */
    bool cancel_requested; /* of its operation, or the operation is canceled */
    char *source, *params; /* JSON; malloc; freed by placement_run_row_done */
};

/* Marks run and operation as running and reads what to do. A run that is found
 * running (of a service that died) is taken over: the result is the same.
 * PR_ENOTFOUND: no such run. */
PR_CHECKED enum pr_code placement_run_start(struct pr_db *db, int64_t run_id,
                                            struct placement_run_row *out, struct pr_err *err);
void placement_run_row_done(struct placement_run_row *r);

/* Cut ratio that the newest done run ended with which cut this source's file anew,
 * whether it took the new cut or found it no better; -1: none. */
PR_CHECKED enum pr_code placement_run_reference(struct pr_db *db, const struct placement_run_row *r,
                                                double *ratio, struct pr_err *err);

/* eta_s: negative when unknown. *cancel: cancellation was asked for. */
PR_CHECKED enum pr_code placement_run_progress(struct pr_db *db, const char *operation_id,
                                               const char *phase, double ratio, double eta_s,
                                               bool *cancel, struct pr_err *err);
PR_CHECKED enum pr_code placement_run_canceling(struct pr_db *db, const char *operation_id,
                                                bool *cancel, struct pr_err *err);

/* How a run ended. */
struct placement_ending {
    const struct placement_run_row *row;
    const char *event_id; /* of the command, recorded as processed */
    const char *state;    /* "done", "failed" or "canceled" */
    const char *error;    /* of a failed run; NULL */
    /* of a done run; NULL: */
    const char *report; /* JSON */
    /* slot_traffic of today's places and of the wanted ones; NULL: not counted */
    const struct pr_buf *traffic_before, *traffic_after;
    /* of one with targets; NULL: */
    const struct placement_store *store;
    const struct placement_result *result;
    uint64_t vertices;
    int64_t keep_runs;
};

/* Everything in one transaction: targets, hints, report, states of run and
 * operation, removal of old targets, the event, the processed mark. When the
 * command was processed before, or the run has ended, nothing happens and
 * *ended is false. */
PR_CHECKED enum pr_code placement_run_end(struct pr_db *db, const struct placement_ending *e,
                                          bool *ended, struct pr_err *err);

#endif
