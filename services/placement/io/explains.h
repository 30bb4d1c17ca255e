/* Answers prism.rpc.placement.explain: why a run wants a vertex where it does. */
#ifndef PLACEMENT_EXPLAINS_H
#define PLACEMENT_EXPLAINS_H

#include "io/settings.h"
#include "prism/io/service.h"

struct placement_explains; /* thread-safe; one answer at a time */

PR_CHECKED enum pr_code placement_explains_open(struct placement_explains **x,
                                                struct pr_service *svc,
                                                const struct placement_config *cfg,
                                                struct pr_err *err);
void placement_explains_close(struct placement_explains *x); /* NULL is fine */

/* A pr_rpc_fn; ctx: struct placement_explains. PR_EDATA: malformed request;
 * PR_EINVAL: not a vertex id; PR_ENOTFOUND: no such run, its targets are no
 * longer kept, its graph file is gone, or the file does not name the vertex. */
enum pr_code placement_explains_answer(void *ctx, const struct pr_msg *msg, void **reply,
                                       size_t *len, struct pr_err *err);

#endif
