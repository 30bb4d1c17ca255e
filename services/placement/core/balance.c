#include "core/balance.h"

#include "core/store.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct candidate {
    int64_t loss; /* edge weight newly cut, less what is no longer cut */
    uint32_t v;
    uint16_t to;
};

struct heap {
    struct candidate *c;
    size_t n, cap;
};

static bool before(const struct candidate *a, const struct candidate *b)
{
    if (a->loss != b->loss)
        return a->loss < b->loss;
    return a->v != b->v ? a->v < b->v : a->to < b->to;
}

static bool heap_push(struct heap *h, struct candidate c)
{
    if (h->n == h->cap) {
        const size_t cap = h->cap == 0 ? 1024 : 2 * h->cap;
        struct candidate *grown = realloc(h->c, cap * sizeof *grown);
        if (grown == NULL)
            return false;
        h->c = grown;
        h->cap = cap;
    }
    size_t at = h->n++;
    while (at > 0 && before(&c, &h->c[(at - 1) / 2])) {
        h->c[at] = h->c[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    h->c[at] = c;
    return true;
}

static struct candidate heap_pop(struct heap *h)
{
    const struct candidate top = h->c[0], last = h->c[--h->n];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && before(&h->c[child + 1], &h->c[child]))
            child++;
        if (!before(&h->c[child], &last))
            break;
        h->c[at] = h->c[child];
        at = child;
    }
    h->c[at] = last;
    return top;
}

void placement_ties(const struct placement_graph *g, const uint16_t *block, uint32_t blocks,
                    uint32_t v, uint64_t *tie)
{
    memset(tie, 0, blocks * sizeof *tie);
    const struct placement_row row = placement_row(g, v, NULL);
    for (uint32_t i = 0; i < row.n; i++)
        tie[block[row.to[i]]] += placement_arc_weight(&row, i);
}

uint64_t placement_cut(const struct placement_graph *g, const uint16_t *block)
{
    uint64_t twice = 0;
    for (uint32_t v = 0; v < g->n; v++) {
        const struct placement_row row = placement_row(g, v, NULL);
        for (uint32_t i = 0; i < row.n; i++)
            if (block[row.to[i]] != block[v])
                twice += placement_arc_weight(&row, i);
    }
    return twice / 2;
}

struct balance {
    const struct placement_graph *g;
    uint32_t blocks;
    const uint64_t *capacity;
    uint16_t *block;
    uint64_t size[PLACEMENT_MAX_ZONES];
    struct heap heap;
};

static bool overfull(const struct balance *b, uint16_t block)
{
    return b->size[block] > b->capacity[block];
}

/* The cheapest move of v into a block with room; room exists while any block
 * is overfull, since capacities sum to n or more. */
static struct candidate cheapest(const struct balance *b, uint32_t v)
{
    uint64_t tie[PLACEMENT_MAX_ZONES];
    struct candidate best = { .loss = INT64_MAX, .v = v, .to = b->block[v] };
    placement_ties(b->g, b->block, b->blocks, v, tie);
    for (uint16_t to = 0; to < b->blocks; to++) {
        const int64_t loss = (int64_t)(tie[b->block[v]] - tie[to]);
        if (to != b->block[v] && b->size[to] < b->capacity[to] && loss < best.loss) {
            best.loss = loss;
            best.to = to;
        }
    }
    return best;
}

static bool push_all(struct balance *b)
{
    for (uint32_t v = 0; v < b->g->n; v++)
        if (overfull(b, b->block[v]) && !heap_push(&b->heap, cheapest(b, v)))
            return false;
    return true;
}

/* Applies the move; it may have made moves of neighbours cheaper. */
static bool apply(struct balance *b, struct candidate c)
{
    b->size[b->block[c.v]]--;
    b->size[c.to]++;
    b->block[c.v] = c.to;
    for (uint64_t a = b->g->start[c.v]; a < b->g->start[c.v + 1]; a++) {
        const uint32_t u = b->g->to[a];
        if (overfull(b, b->block[u]) && !heap_push(&b->heap, cheapest(b, u)))
            return false;
    }
    return true;
}

static bool drain(struct balance *b, uint64_t *moved)
{
    while (b->heap.n > 0) {
        const struct candidate c = heap_pop(&b->heap);
        if (!overfull(b, b->block[c.v]))
            continue;
        const struct candidate now = cheapest(b, c.v);
        if (now.loss > c.loss) { /* prices rose since it was queued */
            if (!heap_push(&b->heap, now))
                return false;
            continue;
        }
        if (!apply(b, now))
            return false;
        ++*moved;
    }
    return true;
}

enum pr_code placement_balance(const struct placement_graph *g, uint32_t blocks,
                               const uint64_t *capacity, uint16_t *block, uint64_t *moved,
                               struct pr_err *err)
{
    struct balance b = { .g = g, .blocks = blocks, .capacity = capacity, .block = block };
    uint64_t room = 0;
    for (uint32_t i = 0; i < blocks; i++)
        room += capacity[i];
    if (room < g->n)
        return pr_fail(err, PR_EINVAL, "capacity for %llu vertices, the graph has %u",
                       (unsigned long long)room, g->n);
    for (uint32_t v = 0; v < g->n; v++)
        b.size[block[v]]++;

    *moved = 0;
    const bool ok = push_all(&b) && drain(&b, moved);
    free(b.heap.c);
    return ok ? PR_OK : pr_fail(err, PR_ENOMEM, "out of memory balancing %u vertices", g->n);
}

static uint64_t refine_pass(const struct placement_graph *g, uint32_t blocks,
                            const uint64_t *capacity, uint16_t *block, uint64_t *size)
{
    uint64_t tie[PLACEMENT_MAX_ZONES], moved = 0;
    for (uint32_t v = 0; v < g->n; v++) {
        const uint16_t from = block[v];
        uint16_t best = from;
        placement_ties(g, block, blocks, v, tie);
        for (uint16_t to = 0; to < blocks; to++)
            if (tie[to] > tie[best] && (to == from || size[to] < capacity[to]))
                best = to;
        if (best == from)
            continue;
        size[from]--;
        size[best]++;
        block[v] = best;
        moved++;
    }
    return moved;
}

uint64_t placement_refine(const struct placement_graph *g, uint32_t blocks,
                          const uint64_t *capacity, uint16_t *block, unsigned passes)
{
    uint64_t size[PLACEMENT_MAX_ZONES] = { 0 }, all = 0;
    for (uint32_t v = 0; v < g->n; v++)
        size[block[v]]++;
    for (unsigned i = 0; i < passes; i++) {
        const uint64_t moved = refine_pass(g, blocks, capacity, block, size);
        all += moved;
        if (moved == 0)
            break;
    }
    return all;
}
