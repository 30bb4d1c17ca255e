/* The graph within a block. Pure. */
#ifndef PLACEMENT_SUBGRAPH_H
#define PLACEMENT_SUBGRAPH_H

#include "core/graph.h"

/* The vertices of every block. */
struct placement_members {
    uint32_t blocks;
    uint32_t *begin;  /* [blocks + 1] first member of a block */
    uint32_t *member; /* [n] by block, ascending within one */
    uint32_t *local;  /* [n] number of a vertex within its block */
};

/* block[n], each below blocks. PR_ENOMEM. */
PR_CHECKED enum pr_code placement_members_init(const uint16_t *block, uint32_t n, uint32_t blocks,
                                               struct placement_members *out, struct pr_err *err);
void placement_members_done(struct placement_members *m);

/* What g holds of one block: vertex i is m->member[m->begin[b] + i]; edges to
 * other blocks are left out. Without ids. PR_ENOMEM. */
PR_CHECKED enum pr_code placement_subgraph(const struct placement_graph *g, const uint16_t *block,
                                           const struct placement_members *m, uint16_t b,
                                           struct placement_graph *out, struct pr_err *err);

#endif
