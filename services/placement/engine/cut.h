/* What an assignment cuts. Pure. */
#ifndef PLACEMENT_CUT_H
#define PLACEMENT_CUT_H

#include "core/graph.h"
#include "core/watch.h"

/* Weight of the edges whose ends have different labels, each once. watch may be
 * NULL; it is told done. PR_ECANCELED, PR_ENOMEM. */
PR_CHECKED enum pr_code placement_cut(const struct placement_graph *g, const uint16_t *label,
                                      struct pr_pool *pool, const struct placement_watch *watch,
                                      double done, uint64_t *cut, struct pr_err *err);

#endif
