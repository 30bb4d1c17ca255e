#include "engine/refine.h"
#include "engine/refine_state.h"
#include "engine/watched.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void refine_for(struct refine *r, uint64_t n, uint64_t grain,
                void (*fn)(void *, unsigned, uint64_t, uint64_t), void *ctx)
{
    if (!r->stopped)
        r->stopped =
            !placement_watched_for(r->in->pool, r->in->watch, r->in->done, n, grain, fn, ctx);
}

/* --- ties ----------------------------------------------------------------- */

struct refine_ties refine_ties_of(struct refine *r, unsigned worker, uint32_t v)
{
    if (r->tie != NULL)
        return (struct refine_ties){ r->tie + (uint64_t)v * r->k, NULL, r->k };
    struct refine_worker *w = &r->worker[worker];
    const struct placement_row row = placement_row(r->g, v, w->scratch);
    uint32_t n = 0;
    for (uint32_t i = 0; i < row.n; i++) {
        const uint16_t b = r->block[row.to[i]];
        if (w->sum[b] == 0)
            w->touched[n++] = b;
        w->sum[b] += placement_arc_weight(&row, i);
    }
    return (struct refine_ties){ w->sum, w->touched, n };
}

void refine_ties_end(struct refine *r, unsigned worker, const struct refine_ties *t)
{
    for (uint32_t i = 0; t->list != NULL && i < t->n; i++)
        r->worker[worker].sum[t->list[i]] = 0;
}

static void fill_ties(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct refine *r = ctx;
    memset(r->tie + begin * r->k, 0, (end - begin) * r->k * sizeof *r->tie);
    for (uint64_t v = begin; v < end; v++) {
        const struct placement_row row =
            placement_row(r->g, (uint32_t)v, r->worker[worker].scratch);
        uint32_t *tie = r->tie + v * r->k;
        for (uint32_t i = 0; i < row.n; i++)
            tie[r->block[row.to[i]]] += placement_arc_weight(&row, i);
    }
}

/* --- moving --------------------------------------------------------------- */

struct pick {
    struct refine *r;
    bool (*fn)(struct refine *, unsigned, uint32_t);
};

static void pick_chunk(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct pick *p = ctx;
    uint32_t n = 0, *out = p->r->picked + begin;
    for (uint64_t v = begin; v < end; v++)
        if (p->fn(p->r, worker, (uint32_t)v))
            out[n++] = (uint32_t)v;
    p->r->picked_in[begin / REFINE_CHUNK] = n;
}

void refine_pick(struct refine *r, bool (*fn)(struct refine *, unsigned, uint32_t))
{
    struct pick p = { .r = r, .fn = fn };
    refine_for(r, r->g->n, REFINE_CHUNK, pick_chunk, &p);
    r->n_picked = 0;
    for (uint64_t begin = 0; begin < r->g->n && !r->stopped; begin += REFINE_CHUNK) {
        const uint32_t n = r->picked_in[begin / REFINE_CHUNK];
        memmove(r->picked + r->n_picked, r->picked + begin, n * sizeof *r->picked);
        r->n_picked += n;
    }
}

static inline void add(struct refine *r, uint32_t *at, uint32_t w)
{
    if (r->shared)
        atomic_fetch_add_explicit((_Atomic uint32_t *)at, w, memory_order_relaxed);
    else
        *at += w;
}

/* The neighbours' blocks are read nowhere in this pass, so blocks may change. */
static void apply_chunk(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct refine *r = ctx;
    struct refine_worker *w = &r->worker[worker];
    for (uint64_t i = begin; i < end; i++) {
        const uint32_t v = r->picked[i];
        const uint16_t from = r->block[v], to = r->dest[v];
        const int64_t weight = (int64_t)placement_vertex_weight(r->g, v);
        r->block[v] = to;
        w->delta[from] -= weight;
        w->delta[to] += weight;
        const struct placement_row row = placement_row(r->g, v, w->scratch);
        for (uint32_t a = 0; a < row.n; a++) {
            const uint32_t u = row.to[a], arc = placement_arc_weight(&row, a);
            if (r->tie != NULL) {
                add(r, &r->tie[(uint64_t)u * r->k + from], -arc);
                add(r, &r->tie[(uint64_t)u * r->k + to], arc);
            } else {
                atomic_store_explicit((_Atomic uint8_t *)&r->dirty[u], 1, memory_order_relaxed);
            }
        }
        if (r->tie == NULL)
            atomic_store_explicit((_Atomic uint8_t *)&r->dirty[v], 1, memory_order_relaxed);
    }
}

void refine_apply(struct refine *r)
{
    pr_pool_for(r->in->pool, r->n_picked, 64, apply_chunk, r);
    for (unsigned i = 0; i < pr_pool_threads(r->in->pool); i++)
        for (uint32_t b = 0; b < r->k; b++) {
            r->size[b] += (uint64_t)r->worker[i].delta[b];
            r->worker[i].delta[b] = 0;
        }
}

/* --- rounds --------------------------------------------------------------- */

static int32_t clamped(int64_t x)
{
    return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (int32_t)x;
}

/* Where v would go, and whether that is worth a thought: at no loss, or at one
 * that is small beside its tie to where it is. */
static uint16_t wish_of(struct refine *r, unsigned worker, uint32_t v, uint32_t *own, int32_t *gain)
{
    const struct refine_ties t = refine_ties_of(r, worker, v);
    const uint16_t at = r->block[v];
    uint32_t best = 0;
    uint16_t to = PLACEMENT_FREE;
    *own = t.sum[at];
    for (uint32_t i = 0; i < t.n; i++) {
        const uint32_t b = refine_tied(&t, i);
        if (t.sum[b] > best && b != at && r->in->capacity[b] > 0) {
            best = t.sum[b];
            to = (uint16_t)b;
        }
    }
    refine_ties_end(r, worker, &t);
    if (to == PLACEMENT_FREE || refine_is_fixed(r, v))
        return PLACEMENT_FREE;
    const int64_t won = (int64_t)best - *own;
    *gain = clamped(won);
    return won >= 0 || (double)-won < r->in->patience * *own ? to : PLACEMENT_FREE;
}

static void wish_chunk(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct refine *r = ctx;
    uint64_t inner = 0;
    for (uint64_t at = begin; at < end; at++) {
        const uint32_t v = (uint32_t)at;
        uint32_t own;
        uint16_t wish;
        if (r->tie != NULL) {
            wish = wish_of(r, worker, v, &own, &r->gain[v]);
        } else {
            if (r->dirty[v]) {
                r->wish[v] = wish_of(r, worker, v, &r->own[v], &r->gain[v]);
                r->dirty[v] = 0;
            }
            wish = r->wish[v];
            own = r->own[v];
        }
        inner += own;
        r->dest[v] = r->locked[v] ? PLACEMENT_FREE : wish;
    }
    r->worker[worker].inner += inner;
}

/* Finds where everybody would go; returns the cut as it is. */
static uint64_t find_wishes(struct refine *r)
{
    uint64_t inner = 0;
    for (unsigned i = 0; i < pr_pool_threads(r->in->pool); i++)
        r->worker[i].inner = 0;
    refine_for(r, r->g->n, REFINE_CHUNK, wish_chunk, r);
    for (unsigned i = 0; i < pr_pool_threads(r->in->pool); i++)
        inner += r->worker[i].inner;
    return r->g->weight_sum - inner / 2;
}

/* Whether the move still pays when every neighbour that gains more has gone
 * where it wants to. */
static bool pays(struct refine *r, unsigned worker, uint32_t v)
{
    const uint16_t to = r->dest[v], from = r->block[v];
    if (to == PLACEMENT_FREE)
        return false;
    const struct placement_row row = placement_row(r->g, v, r->worker[worker].scratch);
    const int32_t gain = r->gain[v];
    int64_t won = 0;
    for (uint32_t i = 0; i < row.n; i++) {
        const uint32_t u = row.to[i];
        uint16_t at = r->block[u];
        if (r->dest[u] != PLACEMENT_FREE && (r->gain[u] > gain || (u < v && r->gain[u] == gain)))
            at = r->dest[u];
        if (at == to)
            won += placement_arc_weight(&row, i);
        else if (at == from)
            won -= placement_arc_weight(&row, i);
    }
    return won > 0;
}

static void lock_picked(struct refine *r)
{
    memset(r->locked, 0, r->g->n);
    for (uint32_t i = 0; i < r->n_picked; i++)
        r->locked[r->picked[i]] = 1;
}

static bool open_state(struct refine *r)
{
    const struct placement_graph *g = r->g;
    const unsigned threads = pr_pool_threads(r->in->pool);
    const size_t n = (size_t)g->n + 1;
    /* The table costs n * k; where that is much, ties are gathered again when
     * a neighbour has moved. */
    const bool table = r->k <= 4 || (uint64_t)g->n * r->k <= g->arcs;
    r->size = calloc(r->k, sizeof *r->size);
    r->dest = malloc(n * sizeof *r->dest);
    r->gain = calloc(n, sizeof *r->gain);
    r->locked = calloc(n, 1);
    r->picked = malloc(n * sizeof *r->picked);
    r->picked_in = malloc((g->n / REFINE_CHUNK + 1) * sizeof *r->picked_in);
    r->worker = calloc(threads, sizeof *r->worker);
    if (table) {
        r->tie = malloc(n * r->k * sizeof *r->tie);
    } else {
        r->wish = malloc(n * sizeof *r->wish);
        r->own = malloc(n * sizeof *r->own);
        r->dirty = malloc(n);
    }
    if (r->size == NULL || r->dest == NULL || r->gain == NULL || r->locked == NULL ||
        r->picked == NULL || r->picked_in == NULL || r->worker == NULL ||
        (table ? r->tie == NULL : r->wish == NULL || r->own == NULL || r->dirty == NULL))
        return false;
    for (unsigned i = 0; i < threads; i++) {
        struct refine_worker *w = &r->worker[i];
        w->sum = calloc((size_t)r->k + 1, sizeof *w->sum);
        w->touched = malloc(((size_t)r->k + 1) * sizeof *w->touched);
        w->scratch = malloc(((size_t)g->degree_max + 1) * sizeof *w->scratch);
        w->delta = calloc((size_t)r->k + 1, sizeof *w->delta);
        if (w->sum == NULL || w->touched == NULL || w->scratch == NULL || w->delta == NULL)
            return false;
    }
    for (uint32_t v = 0; v < g->n; v++)
        r->size[r->block[v]] += placement_vertex_weight(g, v);
    if (table)
        refine_for(r, g->n, REFINE_CHUNK, fill_ties, r);
    else
        memset(r->dirty, 1, g->n);
    return true;
}

static void close_state(struct refine *r)
{
    for (unsigned i = 0; r->worker != NULL && i < pr_pool_threads(r->in->pool); i++) {
        free(r->worker[i].sum);
        free(r->worker[i].touched);
        free(r->worker[i].scratch);
        free(r->worker[i].delta);
    }
    free(r->worker);
    free(r->size);
    free(r->tie);
    free(r->dest);
    free(r->gain);
    free(r->locked);
    free(r->picked);
    free(r->picked_in);
    free(r->wish);
    free(r->own);
    free(r->dirty);
}

static bool go_on(const struct refine *r)
{
    const struct placement_watch *w = r->in->watch;
    return !r->stopped && (w == NULL || w->go_on == NULL || w->go_on(w->ctx, r->in->done));
}

struct best {
    uint16_t *block; /* [n] */
    uint64_t cut, excess;
    bool kept;
};

static uint64_t excess_of(const struct refine *r)
{
    uint64_t sum = 0;
    for (uint32_t b = 0; b < r->k; b++)
        if (r->size[b] > r->in->capacity[b])
            sum += r->size[b] - r->in->capacity[b];
    return sum;
}

/* True when the state is better than the best by enough to go on for it. */
static bool note(struct refine *r, struct best *best, uint64_t cut)
{
    const uint64_t excess = excess_of(r);
    if (best->kept && (excess > best->excess || (excess == best->excess && cut >= best->cut)))
        return false;
    const bool much =
        !best->kept || excess < best->excess || (double)cut < 0.999 * (double)best->cut;
    best->kept = true;
    best->cut = cut;
    best->excess = excess;
    memcpy(best->block, r->block, r->g->n * sizeof *r->block);
    return much;
}

enum { ROUNDS_MAX = 200, REBALANCE_MAX = 12 };

static enum pr_code canceled(struct pr_err *err)
{
    return pr_fail(err, PR_ECANCELED, "canceled while refining");
}

static enum pr_code rounds(struct refine *r, struct best *best, struct pr_err *err)
{
    unsigned stale = 0, rebalanced = 0;
    for (unsigned round = 0; round < ROUNDS_MAX && stale <= r->in->stale; round++) {
        bool ok = true;
        const uint64_t cut = find_wishes(r);
        if (!go_on(r))
            return canceled(err);
        stale = note(r, best, cut) ? 0 : stale + 1;
        if (refine_overfull(r) && rebalanced < REBALANCE_MAX) {
            rebalanced++;
            if (!refine_rebalance(r, &ok)) {
                if (r->stopped)
                    return canceled(err);
                if (ok)
                    return PR_OK; /* nothing can be moved */
                return pr_fail(err, PR_ENOMEM, "out of memory balancing %u vertices", r->g->n);
            }
            continue;
        }
        rebalanced = 0;
        refine_pick(r, pays);
        if (r->stopped)
            return canceled(err);
        if (r->n_picked == 0)
            return PR_OK;
        lock_picked(r);
        refine_apply(r);
    }
    return PR_OK;
}

enum pr_code placement_refine_level(const struct placement_refine_input *in, uint16_t *block,
                                    uint64_t *cut, bool *balanced, struct pr_err *err)
{
    struct refine r = { .in = in,
                        .g = in->graph,
                        .k = in->blocks,
                        .block = block,
                        .shared = pr_pool_threads(in->pool) > 1 };
    struct best best = { .block = malloc(((size_t)r.g->n + 1) * sizeof *best.block) };
    enum pr_code rc;
    if (best.block == NULL || !open_state(&r))
        rc = pr_fail(err, PR_ENOMEM, "out of memory refining %u vertices", r.g->n);
    else
        rc = rounds(&r, &best, err);
    if (rc == PR_OK) {
        memcpy(block, best.block, r.g->n * sizeof *block);
        *cut = best.cut;
        *balanced = best.excess == 0;
    }
    close_state(&r);
    free(best.block);
    return rc;
}
