/* Joins the service: commands to runs, requests to hints. */
#ifndef PLACEMENT_SHELL_H
#define PLACEMENT_SHELL_H

#include "io/explains.h"
#include "io/hints.h"
#include "io/job.h"
#include "io/settings.h"
#include "prism/io/service.h"

struct placement_shell {
    struct placement_worker worker;
    struct placement_hints *hints;
    struct placement_explains *explains;
};

PR_CHECKED enum pr_code placement_shell_open(struct placement_shell *s, struct pr_service *svc,
                                             const struct placement_config *cfg,
                                             struct pr_err *err);
/* After the bus is closed: nothing runs any more. Accepts what was never opened. */
void placement_shell_close(struct placement_shell *s);

/* The work is done by the bus's threads; nothing to do at a tick. */
enum pr_code placement_shell_tick(void *ctx, int64_t now_ms, struct pr_err *err);

#endif
