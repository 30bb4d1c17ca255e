/* The service: reads the topology every second, and runs the groups. */
#ifndef DR_SHELL_H
#define DR_SHELL_H

#include "io/settings.h"

#include "prism/io/service.h"

struct dr_shell;

PR_CHECKED enum pr_code dr_shell_open(struct dr_shell **out, struct pr_service *svc,
                                      const struct dr_config *cfg, struct pr_err *err);
enum pr_code dr_shell_tick(void *shell, int64_t now_ms, struct pr_err *err);
void dr_shell_stop(struct dr_shell *s); /* what has arrived is written; NULL is fine */
void dr_shell_close(struct dr_shell *s);

#endif
