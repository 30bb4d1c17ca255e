/* Answers prism.rpc.placement.hint from the newest finished run. */
#ifndef PLACEMENT_HINTS_H
#define PLACEMENT_HINTS_H

#include "io/settings.h"
#include "prism/io/service.h"

struct placement_hints; /* thread-safe */

PR_CHECKED enum pr_code placement_hints_open(struct placement_hints **h, struct pr_service *svc,
                                             const struct placement_config *cfg,
                                             struct pr_err *err);
void placement_hints_close(struct placement_hints *h); /* NULL is fine */

/* A pr_rpc_fn; ctx: struct placement_hints. PR_EDATA: malformed request;
 * PR_EINVAL: an id is invalid (named), or too many neighbours, or the store
 * cannot be placed upon yet (why). */
enum pr_code placement_hints_answer(void *ctx, const struct pr_msg *msg, void **reply, size_t *len,
                                    struct pr_err *err);

#endif
