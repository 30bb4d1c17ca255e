/* Shared by refine.c and rebalance.c. */
#ifndef PLACEMENT_REFINE_STATE_H
#define PLACEMENT_REFINE_STATE_H

#include "engine/refine.h"

enum { REFINE_CHUNK = 4096 /* vertices */ };

struct refine {
    const struct placement_refine_input *in;
    const struct placement_graph *g;
    uint32_t k;
    bool stopped; /* the watch said no: whatever was computed is not whole */
    bool shared;  /* more than one thread: counters are changed atomically */
    uint16_t *block;
    uint64_t *size;      /* [k] */
    uint32_t *tie;       /* [n * k] edge weight to every block, or NULL: gathered anew */
    uint16_t *dest;      /* [n] where a vertex would go; PLACEMENT_FREE: nowhere */
    int32_t *gain;       /* [n] by going there, within its range */
    uint8_t *locked;     /* [n] moved in the round before */
    uint32_t *picked;    /* [n] vertices to move, after pick(): the first n_picked */
    uint32_t *picked_in; /* [chunks] */
    uint32_t n_picked;
    /* Without tie: */
    uint16_t *wish;              /* [n] dest, locked or not */
    uint32_t *own;               /* [n] edge weight to the own block */
    uint8_t *dirty;              /* [n] wish, gain and own are out of date */
    struct rebalance *rebalance; /* while one is under way */
    struct refine_worker {
        uint32_t *sum;     /* [k] */
        uint32_t *touched; /* [k + 1] */
        uint32_t *scratch; /* [degree_max] */
        int64_t *delta;    /* [k] */
        uint64_t inner;
    } * worker;
};

/* Edge weights of one vertex to blocks: sum[list[0..n-1]], list NULL: 0..n-1. */
struct refine_ties {
    const uint32_t *sum, *list;
    uint32_t n;
};
struct refine_ties refine_ties_of(struct refine *r, unsigned worker, uint32_t v);
void refine_ties_end(struct refine *r, unsigned worker, const struct refine_ties *t);

static inline uint32_t refine_tied(const struct refine_ties *t, uint32_t i)
{
    return t->list == NULL ? i : t->list[i];
}

static inline bool refine_is_fixed(const struct refine *r, uint32_t v)
{
    return r->in->fixed != NULL && r->in->fixed[v] != PLACEMENT_FREE;
}

/* placement_watched_for with the input's watch; remembers that it said no. */
void refine_for(struct refine *r, uint64_t n, uint64_t grain,
                void (*fn)(void *ctx, unsigned worker, uint64_t begin, uint64_t end), void *ctx);

/* Collects in picked, in ascending order, the vertices for which fn is true. */
void refine_pick(struct refine *r, bool (*fn)(struct refine *r, unsigned worker, uint32_t v));
/* Moves the picked vertices to their dest. */
void refine_apply(struct refine *r);

/* One round of moves out of overfull blocks; false: nothing could be moved. */
bool refine_rebalance(struct refine *r, bool *ok);
bool refine_overfull(const struct refine *r);

#endif
