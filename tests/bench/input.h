/* What the workers of both sides are given: the graph, and the terms of a cut. */
#ifndef PRISM_BENCH_INPUT_H
#define PRISM_BENCH_INPUT_H

#include "bench.h"
#include "core/graph.h"

/* Loads t->graph through the project's reader and builder. */
PR_CHECKED enum pr_code bench_load(const struct bench_task *t, struct pr_pool *pool,
                                   struct placement_graph *g, struct pr_err *err);

/* Writes the distinct edges of t->graph, loops dropped, to t->out as bin32.
 * Many edges are spread over temporary files beside it, so that memory stays
 * at some hundred MiB. */
PR_CHECKED enum pr_code bench_prepare(const struct bench_task *t, struct bench_outcome *o,
                                      struct pr_err *err);

struct bench_terms {
    double *share;      /* [blocks] sum 1 */
    uint64_t *capacity; /* [blocks] */
    uint16_t *fixed;    /* [n] or NULL */
};
/* Gives g the weights of t's variant, and says what its cut must respect. */
PR_CHECKED enum pr_code bench_terms_init(const struct bench_task *t, struct placement_graph *g,
                                         struct bench_terms *out, struct pr_err *err);
void bench_terms_done(struct bench_terms *t);

/* Cut, imbalance, fixed vertices and hash of a cut, into *o. */
PR_CHECKED enum pr_code bench_score_cut(const struct bench_task *t, const struct placement_graph *g,
                                        const struct bench_terms *terms, const uint16_t *block,
                                        struct bench_outcome *o, struct pr_err *err);
PR_CHECKED enum pr_code bench_score_communities(const struct placement_graph *g,
                                                const uint32_t *label, struct bench_outcome *o,
                                                struct pr_err *err);

#endif
