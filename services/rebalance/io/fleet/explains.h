/* Answers prism.rpc.rebalance.explain: why a slot or a node is where it is, and what
 * holds it there. Looks at the cluster, at most every few seconds. */
#ifndef REBALANCE_EXPLAINS_H
#define REBALANCE_EXPLAINS_H

#include "io/settings.h"

#include "prism/io/service.h"

struct rebalance_explains;

PR_CHECKED enum pr_code rebalance_explains_open(struct rebalance_explains **x,
                                                struct pr_service *svc,
                                                const struct rebalance_config *cfg,
                                                struct pr_err *err);
void rebalance_explains_close(struct rebalance_explains *x); /* NULL is fine */
/* A pr_rpc_fn; ctx: struct rebalance_explains. */
enum pr_code rebalance_explains_answer(void *ctx, const struct pr_msg *msg, void **reply,
                                       size_t *len, struct pr_err *err);

#endif
