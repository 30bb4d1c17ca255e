/* Joins lease, decider, carrier, answers and what members say to the service. */
#ifndef AUTOSCALE_SHELL_H
#define AUTOSCALE_SHELL_H

#include "io/settings.h"

#include "prism/io/service.h"

struct autoscale_shell;

PR_CHECKED enum pr_code autoscale_shell_open(struct autoscale_shell **s, struct pr_service *svc,
                                             const struct autoscale_config *cfg,
                                             struct pr_err *err);
/* Before the service is closed: what is in hand ends, the lease is given back. NULL is fine. */
void autoscale_shell_stop(struct autoscale_shell *s);
/* After it was closed, so that no request is being answered. NULL is fine. */
void autoscale_shell_close(struct autoscale_shell *s);
/* For pr_service_run; ctx: the shell. */
enum pr_code autoscale_shell_tick(void *ctx, int64_t now_ms, struct pr_err *err);

#endif
