/* What the parts of community detection share: the levels of contraction and
 * the memory that is taken once and used at every level. Pure. */
#ifndef PLACEMENT_COMMUNITY_LEVEL_H
#define PLACEMENT_COMMUNITY_LEVEL_H

#include "engine/community.h"
#include "prism/rng.h"

#include <stdatomic.h>

struct community_level {
    const struct placement_graph *g;
    struct placement_graph made; /* *g, unless it is the caller's */
    uint64_t *strength;          /* [n] edge weight at a vertex, that inside it twice */
    uint32_t *label;             /* [n] community: any number below n */
    uint32_t *parent;            /* [n] vertex of the next level */
};

/* All counters are 0 between two vertices. */
struct community_worker {
    uint32_t *count;   /* [n] edges to a community, where edges weigh 1 */
    uint64_t *sum;     /* [n] edge weight to a community */
    uint32_t *touched; /* [n + 1] communities that are not 0 */
    uint32_t *scratch; /* [degree_max] for rows of a coded graph */
};

struct community_work {
    struct pr_pool *pool;
    struct placement_watch watch;
    struct pr_rng rng;
    double per;             /* resolution over twice the edge weight */
    uint64_t max_weight;    /* of vertices of a community; UINT64_MAX: no limit */
    uint64_t max_total;     /* strength a community may grow to; UINT64_MAX: no limit */
    uint64_t *total;        /* [n] strength of a community */
    uint64_t *weight;       /* [n] vertex weight of a community; NULL without limit */
    _Atomic uint8_t *state; /* [n] of a vertex while moving */
    uint32_t *want;         /* [n] community that a vertex is about to join */
    uint32_t *batch;        /* vertices decided on together */
    uint32_t *order;        /* blocks of vertices, shuffled */
    uint8_t *yield;         /* of the batch: lets a neighbour go first */
    uint64_t *group_total;  /* [n] strength of a group, while refining */
    struct community_worker *worker;
    unsigned threads;
    uint64_t scanned, scanned_all; /* entries of rows looked at, and about how many will be */
    uint64_t unwatched;
    bool canceled;
};

enum {
    COMMUNITY_BATCH_MAX = 8192,
    COMMUNITY_SMALL_ARCS = 50000, /* smaller graphs are worked on vertex by vertex */
};

/* Vertices to decide on together: so few that hardly two are neighbours. It
 * depends on the graph alone, never on threads. */
uint32_t placement_community_batch(const struct placement_graph *g);

/* Entries of v's row, known without reading it. */
static inline uint64_t placement_community_degree(const struct community_level *l, uint32_t v)
{
    return l->g->coded != NULL ? l->strength[v] : l->g->start[v + 1] - l->g->start[v];
}

/* Asks the watch now and then; false: stop. For the calling thread, which also
 * is worker 0 of the pool. */
bool placement_community_go_on(struct community_work *w, uint64_t scanned);

/* Sums up w->total and w->weight from labels. */
void placement_community_totals(struct community_work *w, const struct community_level *l);

/* Moves vertices to the community where modularity gains most until a round
 * moves fewer than still of n. */
void placement_community_move(struct community_work *w, struct community_level *l, double still);

/* Sets l->parent to connected groups within communities, each labelled with
 * one of its vertices: what may move as one on the next level. */
void placement_community_refine(struct community_work *w, struct community_level *l);

/* Numbers communities by first vertex; split: parts of one that no edge joins
 * get numbers of their own. l is the finest level. Returns how many;
 * when canceled that is without meaning. */
uint32_t placement_community_number(struct community_work *w, const struct community_level *l,
                                    bool split, uint32_t *community);

/* placement_modularity, watched unless w is NULL; NAN when out of memory. When
 * canceled it is without meaning. */
double placement_community_modularity(struct community_work *w, const struct placement_graph *g,
                                      const uint32_t *label, double resolution,
                                      struct pr_pool *pool);

/* Lets communities (numbered 0..*count-1) below min_weight join neighbours;
 * *below stay too light. PR_ENOMEM. */
PR_CHECKED enum pr_code placement_community_join_small(struct community_work *w,
                                                       const struct placement_graph *g,
                                                       uint64_t min_weight, uint32_t *community,
                                                       uint32_t *count, uint32_t *below,
                                                       struct pr_err *err);

#endif
