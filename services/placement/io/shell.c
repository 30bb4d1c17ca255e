#include "io/shell.h"

enum pr_code placement_shell_open(struct placement_shell *s, struct pr_service *svc,
                                  const struct placement_config *cfg, struct pr_err *err)
{
    s->worker = (struct placement_worker){ .svc = svc, .cfg = cfg };
    enum pr_code rc = pr_db_open(&s->worker.db, svc->common.db_uri, "prism-placement-worker", err);
    if (rc == PR_OK)
        rc = placement_hints_open(&s->hints, svc, cfg, err);
    if (rc == PR_OK)
        rc = placement_explains_open(&s->explains, svc, cfg, err);
    if (rc == PR_OK)
        rc = pr_bus_serve(svc->bus, "prism.rpc.placement.explain", "placement",
                          placement_explains_answer, s->explains, err);
    if (rc == PR_OK)
        rc = pr_bus_serve(svc->bus, "prism.rpc.placement.hint", "placement", placement_hints_answer,
                          s->hints, err);
    if (rc == PR_OK) /* one worker: a run takes every thread and its budget of memory */
        rc = pr_bus_consume(svc->bus, "PRISM_CMD", "placement", 1, placement_job, &s->worker, err);
    return rc;
}

void placement_shell_close(struct placement_shell *s)
{
    placement_hints_close(s->hints);
    placement_explains_close(s->explains);
    pr_db_close(s->worker.db);
    *s = (struct placement_shell){ 0 };
}

enum pr_code placement_shell_tick(void *ctx, int64_t now_ms, struct pr_err *err)
{
    (void)ctx;
    (void)now_ms;
    (void)err;
    return PR_OK;
}
