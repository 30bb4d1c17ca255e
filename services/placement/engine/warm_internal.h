/* Shared by the parts of the warm start: state, choice and move of one vertex. */
#ifndef PLACEMENT_WARM_INTERNAL_H
#define PLACEMENT_WARM_INTERNAL_H

#include "engine/warm.h"

/* Largest first; equal keys: lower vertex first, so the order of pushes does
 * not matter. */
struct warm_entry {
    int64_t key;
    uint32_t v;
};
struct warm_heap {
    struct warm_entry *e;
    size_t n, cap;
    bool failed; /* out of memory once; checked where the work ends */
};
void warm_push(struct warm_heap *h, int64_t key, uint32_t v);
struct warm_entry warm_pop(struct warm_heap *h); /* n > 0 */

struct warm_list {
    uint32_t *v;
    size_t n, cap;
    bool failed;
};
void warm_add(struct warm_list *l, uint32_t v);

/* One a worker: edge weight from a vertex to blocks, all 0 between uses. */
struct warm_ties {
    uint64_t *tie;     /* [blocks] */
    uint16_t *touched; /* [blocks] */
    uint32_t *scratch; /* [degree_max] of coded graphs */
    uint64_t cut;      /* twice, of the rows this worker read */
    uint64_t work;     /* row entries read since the watch was asked; of worker 0 */
};

/* Upper bounds of what a vertex saves by its best move. They are exact when a
 * row is read and follow neighbours' moves in O(1), so that a hub is read again
 * only when it may really move. Of who waits in blocked: by its best move into
 * a block that had room then. */
#define WARM_UNKNOWN INT64_MAX       /* its row has not been read */
#define WARM_NEVER   (INT64_MIN / 2) /* fixed */

struct warm {
    const struct placement_warm_input *in;
    const struct placement_graph *g;
    uint16_t *block;        /* [n] now */
    uint64_t *load;         /* [blocks] */
    uint32_t *first;        /* [blocks] first vertex today: breaks ties whatever the names */
    uint16_t *roomiest;     /* tournament over blocks; [1] holds the one with most room */
    uint32_t leaves;        /* of it */
    struct warm_ties *ties; /* [threads] */
    unsigned threads;
    int64_t *bound;           /* [n] */
    uint8_t *forced;          /* [n] left its block because of capacity or fixed */
    struct warm_list stirred; /* placed, or moved by force */
    struct warm_heap heap;    /* by bound; while repairing by what relief costs */
    struct warm_list blocked; /* want into a full block; may repeat */
    bool repairing, climbing;
    int64_t floor;        /* told vertices are queued when their bound is above; 0 but in climbs */
    struct warm_heap log; /* while climbing: bounds before they changed, to undo; no heap */
    uint64_t cut;
    uint64_t moved; /* away for the cut's sake */
    bool capped;
    double done;
};

static inline bool warm_open(const struct warm *w, uint16_t b)
{
    return w->in->capacity[b] > 0;
}

static inline bool warm_fits(const struct warm *w, uint16_t b, uint64_t weight)
{
    const uint64_t capacity = w->in->capacity[b];
    return capacity > 0 && w->load[b] <= capacity && weight <= capacity - w->load[b];
}

static inline uint64_t warm_excess(const struct warm *w, uint16_t b)
{
    return w->load[b] > w->in->capacity[b] ? w->load[b] - w->in->capacity[b] : 0;
}

static inline bool warm_fixed(const struct warm *w, uint32_t v)
{
    return w->in->fixed != NULL && w->in->fixed[v] != PLACEMENT_FREE;
}

/* A block of today it could return to. */
static inline bool warm_has_home(const struct warm *w, uint32_t v)
{
    const uint16_t today = w->in->today[v];
    return today != PLACEMENT_FREE && warm_open(w, today);
}

/* What being away costs. */
static inline double warm_price(const struct warm *w, uint32_t v)
{
    const uint64_t weight = placement_vertex_weight(w->g, v);
    return weight == 0 || !warm_has_home(w, v) ? 0 : w->in->price * (double)weight;
}

/* In whole numbers, as gains are: for one vertex "more than its price" is "more
 * than that rounded down". For several it is not: see warm_paid. */
static inline int64_t warm_cost(const struct warm *w, uint32_t v)
{
    const double most = (double)((int64_t)1 << 61), price = warm_price(w, v);
    return price < most ? (int64_t)price : (int64_t)1 << 61;
}

/* What v pays for going from one block to another; below 0: it returns. */
static inline double warm_paid(const struct warm *w, uint32_t v, uint16_t from, uint16_t to)
{
    const uint16_t today = w->in->today[v];
    return (from == today) == (to == today) ? 0
           : from == today                  ? warm_price(w, v)
                                            : -warm_price(w, v);
}

/* Whether v in b counts against the limit on moves. */
static inline bool warm_counts(const struct warm *w, uint32_t v, uint16_t b)
{
    return w->forced[v] == 0 && warm_has_home(w, v) && b != w->in->today[v];
}

/* Whether the limit on moves lets v leave its block for another one. One that is
 * away already may go further whatever the limit. */
static inline bool warm_allowed(const struct warm *w, uint32_t v, uint16_t to)
{
    return w->moved < w->in->moves || warm_counts(w, v, to) <= warm_counts(w, v, w->block[v]);
}

/* Where v would best go; net: edge weight saved less the cost of being away.
 * go has room (its own block: none has), want may be full. */
struct warm_choice {
    uint16_t want, go;
    int64_t want_net, go_net;
    int64_t go_gain; /* edge weight alone */
    int64_t bound;   /* of any move, room aside */
    int64_t bound_go;
};
/* anywhere: also blocks v has no edge to, for vertices that must leave. */
struct warm_choice warm_choose(struct warm *w, struct warm_ties *t, uint32_t v, bool anywhere);

/* The part of warm_move that ties nothing but v: for trying. */
void warm_set(struct warm *w, uint32_t v, uint16_t to);
/* Tells the neighbours of v, which is in its new block, that it came from one. */
void warm_tell(struct warm *w, uint32_t v, uint16_t from);
void warm_move(struct warm *w, uint32_t v, uint16_t to, int64_t gain);
/* Edge weight saved when v went from its block to another one. */
int64_t warm_gain(struct warm *w, uint32_t v, uint16_t to);
/* Adds to a block's load, modulo 2^64. */
void warm_load(struct warm *w, uint16_t b, uint64_t weight);
/* Every load is as it should be: the tournament anew. */
void warm_rank_rooms(struct warm *w);

/* Tells that so many row entries were read, or as much done. Loops that may read
 * rows without end ask warm_go_on each time round, before they can skip it. */
static inline void warm_worked(struct warm *w, uint64_t entries)
{
    w->ties[0].work += entries;
}

/* False: stop. Asks the watch once enough rows have been read. */
bool warm_go_on(struct warm *w, double done);
bool warm_ask(struct warm *w, double done); /* at once */

/* Queues v for leaving its block when that is overfull; repairing only. */
void warm_push_relief(struct warm *w, uint32_t v);

/* Homeless vertices (block PLACEMENT_FREE) get a block. */
PR_CHECKED enum pr_code warm_place(struct warm *w, struct pr_err *err);
PR_CHECKED enum pr_code warm_repair(struct warm *w, struct pr_err *err);
PR_CHECKED enum pr_code warm_search(struct warm *w, struct pr_err *err);
/* Exchanges for those that want into a full block; *found: how many. */
PR_CHECKED enum pr_code warm_swap(struct warm *w, uint64_t *found, struct pr_err *err);

/* Small groups whose members gain only together; *found: vertices moved. */
PR_CHECKED enum pr_code warm_climb(struct warm *w, uint64_t *found, struct pr_err *err);
void warm_log(struct warm *w, uint32_t v);

enum pr_code warm_no_memory(const struct warm *w, struct pr_err *err);
enum pr_code warm_canceled(struct pr_err *err);

#endif
