/* Gap coding: a row is its degree (seven bits a byte), then its gaps in groups of
 * four behind a byte with their lengths: a fifth to a half of the plain size. For
 * graphs without edge weights. Pure; the result does not depend on the pool. */
#ifndef PLACEMENT_CODE_H
#define PLACEMENT_CODE_H

#include "core/graph.h"

/* Replaces the plain rows by coded ones, in the same memory, which then shrinks.
 * PR_EINVAL: the graph has edge weights; PR_ENOMEM: it is as it was. A coded
 * graph stays as it is. */
PR_CHECKED enum pr_code placement_graph_code(struct placement_graph *g, struct pr_pool *pool,
                                             struct pr_err *err);

#endif
