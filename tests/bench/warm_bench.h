/* A graph that grew by 1 %: yesterday's placement improved, against a new cut. */
#ifndef PRISM_WARM_BENCH_H
#define PRISM_WARM_BENCH_H

#include "bench.h"
#include "core/graph.h"

/* old and grown have the same vertices. changed: ends of the new edges,
 * ascending, each once. */
struct warm_graphs {
    struct placement_graph old, grown;
    uint32_t *changed;
    uint32_t n_changed;
};

/* t->kind BENCH_WARM: the file's graph, and 1 % more edges between random
 * vertices; BENCH_WARM_OWN: the file's graph is the grown one, 1 % of its edges
 * were missing. */
PR_CHECKED enum pr_code warm_graphs_init(const struct bench_task *t, struct pr_pool *pool,
                                         struct warm_graphs *out, struct pr_err *err);
void warm_graphs_done(struct warm_graphs *g);

#endif
