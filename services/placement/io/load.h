/* From a graph file to a graph: streamed, within a budget of memory, stopped
 * when the watch says so. For the service and the offline commands. */
#ifndef PLACEMENT_LOAD_H
#define PLACEMENT_LOAD_H

#include "core/graph.h"
#include "core/watch.h"
#include "prism/graph_read.h"

struct placement_read {
    const char *path;
    enum graph_format format;
    struct pr_pool *pool;
    uint64_t budget_bytes;              /* 0: none */
    bool coded;                         /* see core/build.h */
    struct placement_watch read, build; /* of the file; of what follows */
};

/* PR_EFULL: beyond the budget (named); other errors as graph_read_each. */
PR_CHECKED enum pr_code placement_graph_read(const struct placement_read *in,
                                             struct placement_graph *out, struct pr_err *err);

uint64_t placement_graph_bytes(const struct placement_graph *g);
/* PR_EFULL, naming estimate and budget: graph and more bytes do not fit.
 * *estimate is written either way. */
PR_CHECKED enum pr_code placement_afford(const struct placement_graph *g, uint64_t more_bytes,
                                         uint64_t budget_bytes, uint64_t *estimate,
                                         struct pr_err *err);
/* What may be used: the setting, or nine tenths of what is free; 0: unknown. */
uint64_t placement_budget(uint64_t setting_mib);

/* A pool of the setting's threads; 0: as many as processors. */
PR_CHECKED enum pr_code placement_pool_open(uint64_t setting, struct pr_pool **out,
                                            struct pr_err *err);

#endif
