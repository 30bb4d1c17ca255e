#include "engine/refine_state.h"
#include "prism/rng.h"

#include <stdlib.h>
#include <string.h>

/* Moves out of overfull blocks are made cheapest first, by the power of two
 * that their loss per unit of vertex weight lies under. */
enum { PRICES = 48, PRICE_SCALE_BITS = 8, NOT_OFFERED = 255, FEW_BLOCKS = 256 };

struct rebalance {
    uint32_t *over;   /* [k] number among the overfull blocks, UINT32_MAX: is none */
    uint16_t *block;  /* [n] the overfull blocks */
    uint64_t *excess; /* [n] weight that has to leave */
    uint8_t *limit;   /* [n] highest price that has to be paid */
    uint64_t *offer;  /* [threads * n * PRICES] vertex weight to be had at a price */
    uint8_t *price;   /* [vertices] */
    uint32_t n;
    uint16_t *roomy; /* [n_roomy] blocks with room, for vertices with no tie to any such */
    uint32_t n_roomy;
    uint64_t salt; /* another choice each round */
};

bool refine_overfull(const struct refine *r)
{
    for (uint32_t b = 0; b < r->k; b++)
        if (r->size[b] > r->in->capacity[b])
            return true;
    return false;
}

static uint8_t price_of(int64_t loss, uint64_t weight)
{
    if (loss <= 0)
        return 0;
    const uint64_t scaled = ((uint64_t)loss << PRICE_SCALE_BITS) / (weight == 0 ? 1 : weight);
    const unsigned bits = scaled == 0 ? 0 : 64 - (unsigned)__builtin_clzll(scaled);
    return (uint8_t)(1 + (bits < PRICES - 2 ? bits : PRICES - 2));
}

static bool has_room(const struct refine *r, uint32_t b, uint64_t weight)
{
    return r->in->capacity[b] > 0 && r->size[b] + weight <= r->in->capacity[b];
}

/* Sets dest and price of every vertex of an overfull block that could go. */
static void offer_chunk(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct refine *r = ctx;
    struct rebalance *re = r->rebalance;
    uint64_t *offer = re->offer + (uint64_t)worker * re->n * PRICES;
    for (uint64_t at = begin; at < end; at++) {
        const uint32_t v = (uint32_t)at, over = re->over[r->block[v]];
        re->price[v] = NOT_OFFERED;
        if (over == UINT32_MAX || refine_is_fixed(r, v))
            continue;
        const uint64_t weight = placement_vertex_weight(r->g, v);
        const struct refine_ties t = refine_ties_of(r, worker, v);
        uint32_t best = 0;
        uint16_t to =
            re->n_roomy == 0 ? r->block[v] : re->roomy[pr_mix64(v + re->salt) % re->n_roomy];
        for (uint32_t i = 0; i < t.n; i++) {
            const uint32_t b = refine_tied(&t, i);
            if (t.sum[b] > best && b != r->block[v] && has_room(r, b, weight)) {
                best = t.sum[b];
                to = (uint16_t)b;
            }
        }
        const int64_t loss = (int64_t)t.sum[r->block[v]] - (best > 0 ? best : t.sum[to]);
        refine_ties_end(r, worker, &t);
        if (to == r->block[v] || !has_room(r, to, weight))
            continue;
        r->dest[v] = to;
        re->price[v] = price_of(loss, weight);
        offer[over * PRICES + re->price[v]] += weight;
    }
}

static void set_limits(struct refine *r)
{
    struct rebalance *re = r->rebalance;
    for (uint32_t o = 0; o < re->n; o++) {
        uint64_t have = 0;
        unsigned p = 0;
        for (; p < PRICES; p++) {
            for (unsigned t = 0; t < pr_pool_threads(r->in->pool); t++)
                have += re->offer[((uint64_t)t * re->n + o) * PRICES + p];
            if (have >= re->excess[o])
                break;
        }
        re->limit[o] = (uint8_t)(p < PRICES ? p : PRICES - 1);
    }
}

static bool affordable(struct refine *r, unsigned worker, uint32_t v)
{
    const struct rebalance *re = r->rebalance;
    (void)worker;
    return re->price[v] != NOT_OFFERED && re->price[v] <= re->limit[re->over[r->block[v]]];
}

/* Keeps of the picked those that may go: below the limit price first, at it
 * only as many as it takes. Sizes are booked while choosing. */
static void choose(struct refine *r, uint64_t *size /* [k] scratch */)
{
    struct rebalance *re = r->rebalance;
    memcpy(size, r->size, r->k * sizeof *size);
    for (int at_limit = 0; at_limit < 2; at_limit++)
        for (uint32_t i = 0; i < r->n_picked; i++) {
            const uint32_t v = r->picked[i];
            const uint16_t from = r->block[v], to = r->dest[v];
            const uint64_t weight = placement_vertex_weight(r->g, v);
            if (re->price[v] == NOT_OFFERED ||
                (re->price[v] == re->limit[re->over[from]]) != at_limit)
                continue;
            if (size[from] <= r->in->capacity[from] || size[to] + weight > r->in->capacity[to])
                continue;
            size[from] -= weight;
            size[to] += weight;
            re->price[v] = NOT_OFFERED; /* goes */
        }
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->n_picked; i++)
        if (re->price[r->picked[i]] == NOT_OFFERED)
            r->picked[n++] = r->picked[i];
    r->n_picked = n;
}

static void find_blocks(struct refine *r)
{
    struct rebalance *re = r->rebalance;
    for (uint32_t b = 0; b < r->k; b++) {
        const uint64_t size = r->size[b], capacity = r->in->capacity[b];
        re->over[b] = UINT32_MAX;
        if (size > capacity) {
            re->over[b] = re->n;
            re->block[re->n] = (uint16_t)b;
            re->excess[re->n++] = size - capacity;
        } else if (size < capacity) {
            re->roomy[re->n_roomy++] = (uint16_t)b;
        }
        re->salt += size;
    }
}

bool refine_rebalance(struct refine *r, bool *ok)
{
    const size_t k = (size_t)r->k + 1;
    struct rebalance re = { 0 };
    uint64_t *size = malloc(k * sizeof *size);
    re.over = malloc(k * sizeof *re.over);
    re.block = malloc(k * sizeof *re.block);
    re.roomy = malloc(k * sizeof *re.roomy);
    re.excess = malloc(k * sizeof *re.excess);
    re.limit = malloc(k);
    re.price = malloc((size_t)r->g->n + 1);
    r->rebalance = &re;
    *ok = size != NULL && re.over != NULL && re.block != NULL && re.roomy != NULL &&
          re.excess != NULL && re.limit != NULL && re.price != NULL;
    if (*ok) {
        find_blocks(r);
        re.offer =
            calloc((size_t)pr_pool_threads(r->in->pool) * re.n * PRICES + 1, sizeof *re.offer);
        *ok = re.offer != NULL;
    }
    r->n_picked = 0;
    if (*ok) {
        refine_for(r, r->g->n, REFINE_CHUNK, offer_chunk, r);
        set_limits(r);
        refine_pick(r, affordable);
        if (!r->stopped) {
            choose(r, size);
            refine_apply(r);
        }
    }
    free(size);
    free(re.over);
    free(re.block);
    free(re.roomy);
    free(re.excess);
    free(re.limit);
    free(re.offer);
    free(re.price);
    r->rebalance = NULL;
    return *ok && r->n_picked > 0;
}

/* --- the last resort ------------------------------------------------------ */

struct parcel {
    uint64_t weight;
    uint32_t v;
};

static int heavier_first(const void *a, const void *b)
{
    const struct parcel *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return x->v < y->v ? -1 : x->v > y->v;
}

/* Blocks by room, most first. Room only shrinks, so an entry is put right when
 * it comes to the top. */
struct rooms {
    const struct placement_refine_input *in;
    uint64_t *size, *room; /* [blocks] room as the heap believes */
    uint32_t *heap;        /* [blocks] */
};

static void sink(struct rooms *r, uint32_t i)
{
    const uint32_t b = r->heap[i];
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= r->in->blocks)
            break;
        if (child + 1 < r->in->blocks && r->room[r->heap[child + 1]] > r->room[r->heap[child]])
            child++;
        if (r->room[r->heap[child]] <= r->room[b])
            break;
        r->heap[i] = r->heap[child];
        i = child;
    }
    r->heap[i] = b;
}

static uint32_t roomiest(struct rooms *r)
{
    for (;;) {
        const uint32_t b = r->heap[0];
        const uint64_t room = r->in->capacity[b] - r->size[b];
        if (r->room[b] == room)
            return b;
        r->room[b] = room;
        sink(r, 0);
    }
}

/* How parcels choose, in the order in which it is tried. */
enum packing {
    KEEP,     /* the own block while it has room, else the one with most */
    ROOMIEST, /* the block with most room */
    TIGHTEST, /* the block with least room that has enough: for few blocks */
    PACKINGS
};

static bool holds(const struct rooms *r, uint32_t b, uint64_t weight)
{
    return r->in->capacity[b] > 0 && r->size[b] + weight <= r->in->capacity[b];
}

static uint32_t tightest(const struct rooms *r, uint64_t weight)
{
    uint32_t best = 0;
    for (uint32_t b = 1; b < r->in->blocks; b++)
        if (holds(r, b, weight) &&
            (!holds(r, best, weight) ||
             r->in->capacity[b] - r->size[b] < r->in->capacity[best] - r->size[best]))
            best = b;
    return best;
}

static bool put(struct rooms *r, struct parcel p, enum packing how, uint16_t *block)
{
    uint32_t to = block[p.v];
    if (how == TIGHTEST)
        to = tightest(r, p.weight);
    else if (how == ROOMIEST || !holds(r, to, p.weight))
        to = roomiest(r);
    if (!holds(r, to, p.weight))
        return false;
    r->size[to] += p.weight;
    block[p.v] = (uint16_t)to;
    return true;
}

static bool rooms_init(struct rooms *r)
{
    const size_t k = (size_t)r->in->blocks + 1;
    r->size = calloc(k, sizeof *r->size);
    r->room = malloc(k * sizeof *r->room);
    r->heap = malloc(k * sizeof *r->heap);
    return r->size != NULL && r->room != NULL && r->heap != NULL;
}

static bool fixed_fit(struct rooms *r)
{
    for (uint32_t b = 0; b < r->in->blocks; b++) {
        if (r->size[b] > r->in->capacity[b])
            return false;
        r->room[b] = r->in->capacity[b] - r->size[b];
        r->heap[b] = b;
    }
    for (uint32_t i = r->in->blocks / 2 + 1; i-- > 0;)
        sink(r, i);
    return true;
}

static bool pack(struct rooms *r, struct parcel *parcel, enum packing how, uint16_t *block)
{
    const struct placement_graph *g = r->in->graph;
    uint32_t n = 0;
    memset(r->size, 0, r->in->blocks * sizeof *r->size);
    for (uint32_t v = 0; v < g->n; v++) {
        const uint64_t weight = placement_vertex_weight(g, v);
        if (r->in->fixed != NULL && r->in->fixed[v] != PLACEMENT_FREE) {
            r->size[r->in->fixed[v]] += weight;
            block[v] = r->in->fixed[v];
        } else {
            parcel[n++] = (struct parcel){ weight, v };
        }
    }
    if (!fixed_fit(r))
        return false;
    qsort(parcel, n, sizeof *parcel, heavier_first);
    for (uint32_t i = 0; i < n; i++)
        if (!put(r, parcel[i], how, block))
            return false;
    return true;
}

enum pr_code placement_pack(const struct placement_refine_input *in, uint16_t *block,
                            struct pr_err *err)
{
    const struct placement_graph *g = in->graph;
    struct rooms r = { .in = in };
    struct parcel *parcel = malloc(((size_t)g->n + 1) * sizeof *parcel);
    const bool memory = rooms_init(&r) && parcel != NULL;
    bool ok = false;
    for (enum packing how = KEEP; how < PACKINGS && memory && !ok; how++)
        ok = (how != TIGHTEST || in->blocks <= FEW_BLOCKS) && pack(&r, parcel, how, block);
    free(parcel);
    free(r.size);
    free(r.room);
    free(r.heap);
    if (ok)
        return PR_OK;
    if (!memory)
        return pr_fail(err, PR_ENOMEM, "out of memory packing %u vertices", g->n);
    return pr_fail(err, PR_EFULL,
                   "no way was found to fit %u vertices of weight %llu into the %u blocks: "
                   "allow more imbalance",
                   g->n, (unsigned long long)g->vertex_weight_sum, in->blocks);
}
