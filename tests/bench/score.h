/* Figures of a result, computed by the bench itself so that nobody marks his
 * own work. */
#ifndef PRISM_BENCH_SCORE_H
#define PRISM_BENCH_SCORE_H

#include "core/graph.h"

#include <stdbool.h>

/* Weight of edges between labels, each once. */
PR_CHECKED enum pr_code score_cut(const struct placement_graph *g, const uint16_t *block,
                                  uint64_t *cut, struct pr_err *err);
/* Newman's modularity at resolution 1; labels below n. */
PR_CHECKED enum pr_code score_modularity(const struct placement_graph *g, const uint32_t *label,
                                         double *modularity, uint64_t *communities,
                                         struct pr_err *err);
/* Largest load over its share, less 1. PR_EINTERNAL: a block out of range. */
PR_CHECKED enum pr_code score_imbalance(const struct placement_graph *g, const uint16_t *block,
                                        uint32_t blocks, const double *share, double *imbalance,
                                        struct pr_err *err);
uint64_t score_hash(const void *bytes, size_t n);

/* Share of the vertices that are elsewhere than today once the blocks have the
 * names that leave most where they are (greedily, largest overlap first). */
PR_CHECKED enum pr_code score_moved(const uint16_t *today, const uint16_t *block, uint32_t n,
                                    uint32_t blocks, bool rename, double *ratio,
                                    struct pr_err *err);

#endif
