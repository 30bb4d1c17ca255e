/* Graph in compressed rows: vertices numbered 0..n-1 by ascending id, every
 * edge in the rows of both ends, no loops, no duplicates. Pure. */
#ifndef PLACEMENT_GRAPH_H
#define PLACEMENT_GRAPH_H

#include "prism/err.h"
#include "prism/pool.h"

#include <stddef.h>
#include <stdint.h>

struct placement_graph {
    uint32_t n; /* vertices, those without edges included */
    uint32_t degree_max;
    uint64_t arcs;           /* entries of all rows: two an edge */
    uint64_t *id;            /* [n] as in the file, ascending; NULL: v itself */
    uint64_t *start;         /* [n + 1] first entry of a row in to; of a coded graph, first byte */
    uint32_t *to;            /* [arcs] ascending within a row; NULL when coded */
    uint8_t *coded;          /* rows gap-coded (code.c); NULL when plain */
    uint32_t *weight;        /* [arcs] >= 1; NULL: every edge weighs 1. Never with coded */
    uint64_t *vertex_weight; /* [n] NULL: every vertex weighs 1 */
    uint64_t weight_sum;     /* over edges, each counted once */
    uint64_t vertex_weight_sum;
    uint32_t weight_max;
};

/* One row; borrowed. */
struct placement_row {
    const uint32_t *to;
    const uint32_t *weight; /* NULL: every edge weighs 1 */
    uint32_t n;
};

uint32_t placement_row_decode(const struct placement_graph *g, uint32_t v, uint32_t *to);

/* scratch: room for degree_max entries, the caller's (one a thread), used by
 * coded graphs only; may be NULL for a plain one. */
static inline struct placement_row placement_row(const struct placement_graph *g, uint32_t v,
                                                 uint32_t *scratch)
{
    if (__builtin_expect(g->coded != NULL, 0))
        return (struct placement_row){ scratch, NULL, placement_row_decode(g, v, scratch) };
    const uint64_t at = g->start[v];
    return (struct placement_row){ g->to + at, g->weight == NULL ? NULL : g->weight + at,
                                   (uint32_t)(g->start[v + 1] - at) };
}

static inline uint32_t placement_arc_weight(const struct placement_row *r, uint32_t i)
{
    return r->weight == NULL ? 1 : r->weight[i];
}

static inline uint64_t placement_vertex_weight(const struct placement_graph *g, uint32_t v)
{
    return g->vertex_weight == NULL ? 1 : g->vertex_weight[v];
}

static inline uint64_t placement_id(const struct placement_graph *g, uint32_t v)
{
    return g->id == NULL ? v : g->id[v];
}

void placement_graph_done(struct placement_graph *g);

/* Hash of a vertex whose id is this number's decimal text. */
uint64_t placement_vertex_hash(uint64_t id);

#endif
