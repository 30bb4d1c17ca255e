/* Edge weights of any size for code that adds them in 32 bits. Pure. */
#ifndef PLACEMENT_SCALE_H
#define PLACEMENT_SCALE_H

#include "core/graph.h"

/* *out: g with, where its weights sum above 2^31, weights of as many leading
 * bits as do not (each at least 1). All but such weights is borrowed from g. */
PR_CHECKED enum pr_code placement_scaled(const struct placement_graph *g,
                                         struct placement_graph *out, struct pr_err *err);
void placement_scaled_done(const struct placement_graph *g, struct placement_graph *scaled);

#endif
