/* Joins watcher, planner, executor and explanations to the service. */
#ifndef REBALANCE_SHELL_H
#define REBALANCE_SHELL_H

#include "io/executor.h"
#include "io/fleet/explains.h"
#include "io/planner.h"
#include "io/standstill.h"
#include "io/watcher.h"

struct rebalance_shell {
    struct pr_service *svc; /* borrowed */
    struct rebalance_watcher watcher;
    struct rebalance_planner planner;
    struct rebalance_executor *executor;
    struct rebalance_explains *explains;
    struct rebalance_standstill standstill;
    int64_t sweep_ms; /* when plans and dr's rows of old ones are looked at next */
};

PR_CHECKED enum pr_code rebalance_shell_open(struct rebalance_shell *s, struct pr_service *svc,
                                             const struct rebalance_config *cfg,
                                             struct pr_err *err);
/* Before the service is closed; zeroed is fine. */
void rebalance_shell_stop(struct rebalance_shell *s);
/* After the service was closed, so that no command is being handled. */
void rebalance_shell_close(struct rebalance_shell *s);
/* For pr_service_run; ctx: struct rebalance_shell. */
enum pr_code rebalance_shell_tick(void *ctx, int64_t now_ms, struct pr_err *err);

#endif
