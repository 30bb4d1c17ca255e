/* Carries out prism.cmd.placement.run: one run from its row to its end. */
#ifndef PLACEMENT_JOB_H
#define PLACEMENT_JOB_H

#include "io/settings.h"
#include "prism/io/service.h"

struct placement_worker {
    struct pr_service *svc;
    const struct placement_config *cfg;
    struct pr_db *db; /* the worker's own connection */
};

/* A pr_msg_fn; ctx: struct placement_worker. PR_OK: the run has ended (done,
 * failed or canceled), or had before. Retryable codes and PR_ECANCELED
 * (stopping): deliver it again. PR_EDATA, PR_ENOTFOUND: dead letter. */
enum pr_code placement_job(void *ctx, const struct pr_msg *msg, struct pr_err *err);

#endif
