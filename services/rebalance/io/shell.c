#include "io/shell.h"

#include "io/slot/run.h"

#include "prism/io/log.h"

enum { SWEEP_MS = 3000 };

enum pr_code rebalance_shell_open(struct rebalance_shell *s, struct pr_service *svc,
                                  const struct rebalance_config *cfg, struct pr_err *err)
{
    const struct rebalance_executor_options o = {
        .cfg = cfg, .db_uri = svc->common.db_uri, .instance = svc->instance, .metrics = svc->metrics
    };
    s->svc = svc;
    s->planner = (struct rebalance_planner){ .cfg = cfg, .metrics = svc->metrics };
    enum pr_code rc = rebalance_watcher_open(&s->watcher, svc, cfg, err);
    if (rc == PR_OK)
        rc = pr_db_open(&s->planner.db, svc->common.db_uri, "prism-rebalance-planner", err);
    if (rc == PR_OK)
        rc = rebalance_executor_start(&s->executor, &o, err);
    s->planner.executor = s->executor;
    if (rc == PR_OK)
        rc = rebalance_explains_open(&s->explains, svc, cfg, err);
    if (rc == PR_OK)
        rc = pr_bus_serve(svc->bus, "prism.rpc.rebalance.explain", "rebalance",
                          rebalance_explains_answer, s->explains, err);
    if (rc == PR_OK) /* one worker: the planner's connection is not shared */
        rc = pr_bus_consume(svc->bus, "PRISM_CMD", "rebalance", 1, rebalance_on_command,
                            &s->planner, err);
    return rc;
}

void rebalance_shell_stop(struct rebalance_shell *s)
{
    rebalance_watcher_close(&s->watcher);
    rebalance_executor_stop(s->executor);
}

void rebalance_shell_close(struct rebalance_shell *s)
{
    rebalance_executor_free(s->executor);
    rebalance_explains_close(s->explains);
    pr_db_close(s->planner.db);
    *s = (struct rebalance_shell){ 0 };
}

/* At the pace of the ticks, however often the executor has news: they may be lost. */
static void tell_progress(struct rebalance_shell *s)
{
    uint8_t news[REBALANCE_EVENT_BYTES];
    struct pr_err err = { 0 };
    const size_t n = rebalance_executor_news(s->executor, news);
    if (n > 0 && pr_bus_tell(s->svc->bus, "prism.evt.rebalance.progress", news, n, &err) != PR_OK)
        pr_debug(PR_EV("plan.progress_not_told"), PR_E(&err));
}

enum pr_code rebalance_shell_tick(void *ctx, int64_t now_ms, struct pr_err *err)
{
    struct rebalance_shell *s = ctx;
    tell_progress(s);
    enum pr_code rc = rebalance_watcher_tick(&s->watcher, err);
    if (rc == PR_OK && now_ms >= s->sweep_ms) {
        s->sweep_ms = now_ms + SWEEP_MS;
        rc = rebalance_gives_sweep(s->svc->db, err);
        if (rc == PR_OK)
            rc = rebalance_standstill_tell(&s->standstill, s->svc->db, s->svc->metrics, err);
    }
    return rc;
}
