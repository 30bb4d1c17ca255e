/* Random graphs for property tests, built here and not by the code under test. */
#ifndef PLACEMENT_GRAPHS_H
#define PLACEMENT_GRAPHS_H

#include "core/graph.h"
#include "prism/rng.h"

enum graph_kind {
    KIND_RANDOM, /* every pair alike */
    KIND_POWER,  /* one end by a power law */
    KIND_STAR,   /* one hub with everything */
    KIND_HUBS,   /* a few hubs, each with much of everything */
    KIND_PATH,
    KIND_CLIQUE,
    KIND_CLIQUES, /* a ring of cliques */
    KIND_PAIRS,   /* every component is an edge */
    KIND_EMPTY,   /* every component is a vertex */
    KIND_GRID,
    KIND_PLANTED, /* communities of 50, a tenth of the edges between them */
    KINDS
};
extern const char *const graph_kind_name[KINDS];

struct graph_look {
    enum graph_kind kind;
    uint32_t n;
    uint32_t edge_weight;    /* edges weigh 1..this; 0, 1: none has a weight */
    uint64_t vertex_weight;  /* likewise; some weigh 0 */
    const uint32_t *renamed; /* [n] a vertex's number, or NULL */
};
/* The same look and seed, the same graph (renamed or not). Fails the test when
 * out of memory. */
struct placement_graph graph_of_look(const struct graph_look *look, uint64_t seed);

/* A random permutation of 0..n-1; the caller frees it. */
uint32_t *graph_renaming(uint32_t n, uint64_t seed);

#endif
