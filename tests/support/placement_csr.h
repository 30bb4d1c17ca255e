/* Graphs for tests, made without the code that reads and builds them. */
#ifndef PRISM_TEST_PLACEMENT_CSR_H
#define PRISM_TEST_PLACEMENT_CSR_H

#include "core/graph.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct csr_edge {
    uint32_t from, to, weight; /* weight >= 1 */
};

static inline int csr_order(const void *a, const void *b)
{
    const struct csr_edge *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->to < y->to ? -1 : x->to > y->to;
}

/* Loops dropped, duplicates added up, no weights when all are 1. */
static inline struct placement_graph csr_make(uint32_t n, const struct csr_edge *edge, size_t m)
{
    struct placement_graph g = { .n = n, .vertex_weight_sum = n };
    struct csr_edge *arc = malloc((2 * m + 1) * sizeof *arc);
    g.start = calloc((size_t)n + 1, sizeof *g.start);
    g.to = malloc((2 * m + 1) * sizeof *g.to);
    g.weight = malloc((2 * m + 1) * sizeof *g.weight);
    assert(arc != NULL && g.start != NULL && g.to != NULL && g.weight != NULL);
    size_t arcs = 0;
    for (size_t i = 0; i < m; i++)
        if (edge[i].from != edge[i].to) {
            arc[arcs++] = edge[i];
            arc[arcs++] = (struct csr_edge){ edge[i].to, edge[i].from, edge[i].weight };
        }
    qsort(arc, arcs, sizeof *arc, csr_order);
    for (size_t i = 0; i < arcs; i++) {
        g.weight_sum += arc[i].weight;
        if (i > 0 && csr_order(&arc[i], &arc[i - 1]) == 0) {
            g.weight[g.arcs - 1] += arc[i].weight;
        } else {
            g.to[g.arcs] = arc[i].to;
            g.weight[g.arcs++] = arc[i].weight;
            g.start[arc[i].from + 1]++;
        }
        if (g.weight[g.arcs - 1] > g.weight_max)
            g.weight_max = g.weight[g.arcs - 1];
    }
    g.weight_sum /= 2;
    for (uint32_t v = 0; v < n; v++) {
        if (g.start[v + 1] > g.degree_max)
            g.degree_max = (uint32_t)g.start[v + 1];
        g.start[v + 1] += g.start[v];
    }
    if (g.weight_max <= 1) {
        free(g.weight);
        g.weight = NULL;
    }
    free(arc);
    return g;
}

static inline void *csr_duplicate(const void *from, size_t bytes)
{
    void *to = from == NULL ? NULL : malloc(bytes + 1);
    assert(from == NULL || to != NULL);
    return from == NULL ? NULL : memcpy(to, from, bytes);
}

/* A plain graph once more. */
static inline struct placement_graph csr_copy(const struct placement_graph *g)
{
    struct placement_graph c = *g;
    assert(g->coded == NULL);
    c.id = csr_duplicate(g->id, g->n * sizeof *g->id);
    c.start = csr_duplicate(g->start, ((size_t)g->n + 1) * sizeof *g->start);
    c.to = csr_duplicate(g->to, g->arcs * sizeof *g->to);
    c.weight = csr_duplicate(g->weight, g->arcs * sizeof *g->weight);
    c.vertex_weight = csr_duplicate(g->vertex_weight, g->n * sizeof *g->vertex_weight);
    return c;
}

static inline void csr_weigh(struct placement_graph *g, const uint64_t *weight)
{
    g->vertex_weight = csr_duplicate(weight, g->n * sizeof *weight);
    g->vertex_weight_sum = 0;
    for (uint32_t v = 0; v < g->n; v++)
        g->vertex_weight_sum += weight[v];
}

/* Two triangles 0-1-2 and 3-4-5 of weight 2 joined by 2-3 of weight 1. */
static inline struct placement_graph two_triangles(void)
{
    static const struct csr_edge edge[] = { { 0, 1, 2 }, { 1, 2, 2 }, { 0, 2, 2 }, { 3, 4, 2 },
                                            { 4, 5, 2 }, { 3, 5, 2 }, { 2, 3, 1 } };
    return csr_make(6, edge, PR_COUNT(edge));
}

#endif
