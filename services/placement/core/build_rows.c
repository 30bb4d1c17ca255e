/* From a list of edges to sorted rows. Each edge first goes to the row of its
 * smaller end only (half the memory; the list is freed then); those rows are
 * sorted and merged, spread out in place to full length, and each edge is added
 * to the row of its larger end. Whatever fills rows gives each worker a range of
 * them, which looks at all edges and takes its own: cheaper than sharing rows. */
#include "core/build_internal.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_GRAIN = 1 << 12, FLAT_GRAIN = 1 << 16 };
enum { PIECES_SLICE = 256, ROWS_SLICE = 1 << 20, FLAT_SLICE = 1 << 24 };
enum { RANGE_ARCS = 1 << 23 };

struct rows {
    struct placement_builder *b;
    const struct edge_pieces *list;
    const struct numbering *nb;
    struct placement_graph *g; /* g->to, g->weight: half rows at first */
    uint64_t *end;             /* [n] of each half row; while it is filled: where the next goes */
    uint32_t *count;           /* [n] of a row */
    uint32_t *counts;          /* [workers * n] each worker's own; NULL: they share one */
    unsigned ranges;           /* of rows, each filled by one worker */
    uint32_t range[PR_POOL_MAX + 1]; /* where they begin */
    uint64_t overflow; /* the first edge too heavy: ends in 32 bits each; UINT64_MAX */
    uint64_t weight_sum;
    uint32_t weight_max;
    bool twice; /* some edge stands there twice */
};

static enum pr_code no_memory(struct pr_err *err)
{
    return pr_fail(err, PR_ENOMEM, "out of memory building the graph");
}

static inline uint64_t begin_of(const struct rows *r, uint64_t v)
{
    return v == 0 ? 0 : r->end[v - 1];
}

static unsigned workers(const struct rows *r)
{
    return pr_pool_threads(r->b->opts.pool);
}

/* --- counting ------------------------------------------------------------------ */

/* Counters of their own for all workers, when they take less than a list of
 * edges that is not there yet, and 32 bits suffice. */
static void own_counters(struct rows *r, uint64_t entries)
{
    const size_t all = (size_t)workers(r) * r->g->n;
    if (all <= entries && entries < UINT32_MAX)
        r->counts = calloc(all, sizeof *r->counts);
}

static void drop_counters(struct rows *r)
{
    free(r->counts);
    r->counts = NULL;
}

static inline void count_up(const struct rows *r, unsigned worker, uint32_t v)
{
    if (r->counts != NULL)
        r->counts[(size_t)worker * r->g->n + v]++;
    else
        __atomic_fetch_add(&r->count[v], 1, __ATOMIC_RELAXED);
}

static void add_counters(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct rows *r = ctx;
    (void)worker;
    for (unsigned w = 0; w < workers(r); w++)
        for (uint64_t v = begin; v < end; v++)
            r->count[v] += r->counts[(size_t)w * r->g->n + v];
}

static void sum_counters(struct rows *r)
{
    if (r->counts != NULL)
        pr_pool_for(r->b->opts.pool, r->g->n, ROWS_GRAIN, add_counters, r);
    drop_counters(r);
}

/* Cuts the rows so that each range gets about as many entries. Called for
 * every row in turn; filled: before it. */
static inline void cut_range(struct rows *r, unsigned *next, uint32_t v, uint64_t filled,
                             uint64_t total)
{
    while (*next < r->ranges && filled >= total / r->ranges * *next)
        r->range[(*next)++] = v;
}

static void end_ranges(struct rows *r, unsigned next)
{
    while (next <= r->ranges)
        r->range[next++] = r->g->n;
}

/* --- half rows --------------------------------------------------------------- */

/* Makes the held pairs numbers, the smaller first, and counts rows. */
static void count_pieces(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct rows *r = ctx;
    for (uint64_t p = begin; p < end; p++) {
        const struct edge_piece *const e = &r->list->piece[p];
        for (size_t i = 0; i < e->n; i++) {
            const uint32_t a = numbering_of(r->nb, e->pair[2 * i]),
                           z = numbering_of(r->nb, e->pair[2 * i + 1]);
            const uint32_t lo = a < z ? a : z, hi = a < z ? z : a;
            e->pair[2 * i] = lo;
            e->pair[2 * i + 1] = hi;
            if (lo != hi)
                count_up(r, worker, lo);
        }
    }
}

/* The edges of a piece that begin in rows first..first + span - 1, loops not. */
static size_t pick(const struct edge_piece *e, size_t from, size_t n, uint32_t first, uint32_t span,
                   uint32_t *picked)
{
    size_t k = 0;
    for (size_t i = from; i < from + n; i++) {
        const uint32_t lo = e->pair[2 * i], hi = e->pair[2 * i + 1];
        picked[k] = (uint32_t)i;
        k += (lo - first < span) & (lo != hi);
    }
    return k;
}

static void scatter_pieces(void *ctx, unsigned range, uint64_t begin, uint64_t end)
{
    enum { SOME = 512 };
    struct rows *r = ctx;
    const struct placement_graph *const g = r->g;
    const uint32_t first = r->range[range], span = r->range[range + 1] - first;
    uint32_t picked[SOME];
    for (uint64_t p = begin; p < end; p++) {
        const struct edge_piece *const e = &r->list->piece[p];
        for (size_t from = 0; from < e->n; from += SOME) {
            const size_t n = e->n - from < SOME ? e->n - from : SOME;
            const size_t k = pick(e, from, n, first, span, picked);
            for (size_t j = 0; j < k; j++) {
                const size_t i = picked[j];
                const uint64_t at = r->end[e->pair[2 * i]]++;
                g->to[at] = e->pair[2 * i + 1];
                if (g->weight != NULL)
                    g->weight[at] = e->weight == NULL ? 1 : e->weight[i];
            }
        }
    }
}

static uint64_t lay_out_half(struct rows *r)
{
    r->ranges = workers(r);
    uint64_t total = 0, sum = 0;
    unsigned next = 0;
    for (uint32_t v = 0; v < r->g->n; v++)
        total += r->count[v];
    for (uint32_t v = 0; v < r->g->n; v++) {
        cut_range(r, &next, v, sum, total);
        r->end[v] = sum;
        sum += r->count[v];
    }
    end_ranges(r, next);
    return sum;
}

static enum pr_code fill_half(struct rows *r, struct build_pass *pass, struct pr_err *err)
{
    struct placement_graph *const g = r->g;
    own_counters(r, r->b->edges);
    enum pr_code rc = build_pass_run(pass, 0.2, r->list->n, 1, PIECES_SLICE, count_pieces, r, err);
    sum_counters(r);
    if (rc != PR_OK)
        return rc;
    r->end = malloc(g->n * sizeof *r->end);
    if (r->end == NULL)
        return no_memory(err);
    const uint64_t sum = lay_out_half(r);
    g->to = malloc((sum + 1) * sizeof *g->to);
    if (r->b->weighted)
        g->weight = malloc((sum + 1) * sizeof *g->weight);
    if (g->to == NULL || (r->b->weighted && g->weight == NULL))
        return no_memory(err);
    return build_pass_ranges(pass, 0.2, r->ranges, r->list->n, PIECES_SLICE, scatter_pieces, r,
                             err);
}

static void sort_half(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct rows *r = ctx;
    const struct placement_graph *const g = r->g;
    (void)worker;
    bool twice = false;
    for (uint64_t v = begin; v < end; v++) {
        const uint64_t at = begin_of(r, v);
        twice |=
            row_sort(g->to + at, g->weight == NULL ? NULL : g->weight + at, r->end[v] - at, g->n);
    }
    if (twice)
        __atomic_store_n(&r->twice, true, __ATOMIC_RELAXED);
}

/* --- duplicates -------------------------------------------------------------- */

static void note_overflow(struct rows *r, uint64_t lo, uint32_t hi)
{
    const uint64_t edge = lo << 32 | hi;
    uint64_t seen = __atomic_load_n(&r->overflow, __ATOMIC_RELAXED);
    while (edge < seen && !__atomic_compare_exchange_n(&r->overflow, &seen, edge, false,
                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

/* Merges within each row and leaves its new length in count. */
static void merge_half(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct rows *r = ctx;
    (void)worker;
    for (uint64_t v = begin; v < end; v++) {
        uint32_t *const to = r->g->to + begin_of(r, v), *const w = r->g->weight + begin_of(r, v);
        const uint64_t n = r->end[v] - begin_of(r, v);
        uint32_t kept = 0;
        for (uint64_t i = 0; i < n;) {
            const uint32_t hi = to[i];
            uint64_t sum = 0;
            for (; i < n && to[i] == hi; i++)
                sum += r->b->weighted ? w[i] : 1;
            if (sum > UINT32_MAX)
                note_overflow(r, v, hi);
            to[kept] = hi;
            w[kept++] = (uint32_t)sum;
        }
        r->count[v] = kept;
    }
}

static void close_gaps(struct rows *r)
{
    struct placement_graph *const g = r->g;
    uint64_t from = 0, to = 0;
    for (uint32_t v = 0; v < g->n; v++) {
        const uint32_t n = r->count[v];
        memmove(g->to + to, g->to + from, n * sizeof *g->to);
        memmove(g->weight + to, g->weight + from, n * sizeof *g->weight);
        from = r->end[v];
        to += n;
        r->end[v] = to;
    }
}

static enum pr_code merge(struct rows *r, struct build_pass *pass, struct pr_err *err)
{
    struct placement_graph *const g = r->g;
    if (!r->twice)
        return PR_OK;
    if (g->weight == NULL) {
        const enum pr_code rc = builder_check_budget(r->b, g->n, true, err);
        if (rc != PR_OK)
            return rc;
        g->weight = malloc((r->end[g->n - 1] + 1) * sizeof *g->weight);
        if (g->weight == NULL)
            return no_memory(err);
    }
    enum pr_code rc = build_pass_run(pass, 0.1, g->n, ROWS_GRAIN, ROWS_SLICE, merge_half, r, err);
    if (rc != PR_OK)
        return rc;
    if (r->overflow != UINT64_MAX) {
        const uint32_t lo = (uint32_t)(r->overflow >> 32), hi = (uint32_t)r->overflow;
        const uint64_t *const id = r->nb->id;
        return pr_fail(err, PR_EFULL, "edge %llu - %llu: its weights add up to more than %u",
                       (unsigned long long)(id == NULL ? lo : id[lo]),
                       (unsigned long long)(id == NULL ? hi : id[hi]), UINT32_MAX);
    }
    close_gaps(r);
    return PR_OK;
}

/* --- full rows --------------------------------------------------------------- */

static void count_larger(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct rows *r = ctx;
    const struct placement_graph *const g = r->g;
    uint64_t sum = 0;
    uint32_t max = 0;
    for (uint64_t i = begin; i < end; i++) {
        count_up(r, worker, g->to[i]);
        const uint32_t w = g->weight == NULL ? 1 : g->weight[i];
        sum += w;
        max = w > max ? w : max;
    }
    __atomic_fetch_add(&r->weight_sum, sum, __ATOMIC_RELAXED);
    uint32_t seen = __atomic_load_n(&r->weight_max, __ATOMIC_RELAXED);
    while (max > seen && !__atomic_compare_exchange_n(&r->weight_max, &seen, max, false,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static enum pr_code lay_out(struct rows *r, struct pr_err *err)
{
    struct placement_graph *const g = r->g;
    g->start = malloc(((size_t)g->n + 1) * sizeof *g->start);
    if (g->start == NULL)
        return no_memory(err);
    uint64_t sum = 0, filled = 0;
    unsigned next = 0;
    /* so many that what is written at a time stays near */
    const uint64_t near = r->end[g->n - 1] / RANGE_ARCS;
    r->ranges = near < workers(r) ? workers(r) : near < PR_POOL_MAX ? (unsigned)near : PR_POOL_MAX;
    for (uint32_t v = 0; v < g->n; v++) {
        cut_range(r, &next, v, filled, r->end[g->n - 1]);
        g->start[v] = sum;
        const uint32_t degree = r->count[v] + (uint32_t)(r->end[v] - begin_of(r, v));
        g->degree_max = degree > g->degree_max ? degree : g->degree_max;
        sum += degree;
        filled += r->count[v];
    }
    end_ranges(r, next);
    g->start[g->n] = g->arcs = sum;
    return PR_OK;
}

/* To full length; where it was nothing moves yet. */
static bool stretch(uint32_t **rows, uint64_t arcs)
{
    uint32_t *grown = realloc(*rows, (arcs + 1) * sizeof *grown);
    if (grown != NULL)
        *rows = grown;
    return grown != NULL;
}

/* Each half row to the end of its full row; from the last, so that nothing is
 * overwritten. */
static void spread(struct rows *r)
{
    struct placement_graph *const g = r->g;
    for (uint32_t v = g->n; v-- > 0;) {
        const uint64_t from = begin_of(r, v), n = r->end[v] - from, to = g->start[v + 1] - n;
        memmove(g->to + to, g->to + from, n * sizeof *g->to);
        if (g->weight != NULL)
            memmove(g->weight + to, g->weight + from, n * sizeof *g->weight);
    }
}

/* Of the sorted entries at..stop - 1 the first that is not below v. */
static inline uint64_t not_below(const uint32_t *to, uint64_t at, uint64_t stop, uint32_t v)
{
    while (at < stop) {
        const uint64_t mid = at + (stop - at) / 2;
        if (to[mid] < v)
            at = mid + 1;
        else
            stop = mid;
    }
    return at;
}

/* Smaller ends come in ascending order, so that the rows become sorted. */
static void scatter_larger(void *ctx, unsigned range, uint64_t begin, uint64_t end)
{
    struct rows *r = ctx;
    const struct placement_graph *const g = r->g;
    const uint32_t first = r->range[range], last = r->range[range + 1];
    for (uint64_t v = begin; v < end && first < last; v++) {
        const uint64_t stop = g->start[v + 1], row = stop - (r->end[v] - begin_of(r, v));
        uint64_t a = first == 0 ? row : not_below(g->to, row, stop, first);
        for (uint32_t hi; a < stop && (hi = g->to[a]) < last; a++) {
            const uint64_t at = g->start[hi] + r->count[hi]++;
            g->to[at] = (uint32_t)v;
            if (g->weight != NULL)
                g->weight[at] = g->weight[a];
        }
    }
}

static enum pr_code complete(struct rows *r, struct build_pass *pass, struct pr_err *err)
{
    struct placement_graph *const g = r->g;
    memset(r->count, 0, g->n * sizeof *r->count);
    enum pr_code rc =
        build_pass_run(pass, 0.1, r->end[g->n - 1], FLAT_GRAIN, FLAT_SLICE, count_larger, r, err);
    if (rc == PR_OK && r->weight_sum > UINT64_MAX / 4)
        rc = pr_fail(err, PR_EFULL, "the edge weights add up to more than 2^62");
    if (rc == PR_OK)
        rc = lay_out(r, err);
    if (rc != PR_OK)
        return rc;
    if (r->weight_max <= 1) {
        free(g->weight);
        g->weight = NULL;
    }
    if (!stretch(&g->to, g->arcs) || (g->weight != NULL && !stretch(&g->weight, g->arcs)))
        return no_memory(err);
    spread(r);
    memset(r->count, 0, g->n * sizeof *r->count);
    rc = build_pass_ranges(pass, 0.2, r->ranges, g->n, ROWS_SLICE, scatter_larger, r, err);
    g->weight_sum = r->weight_sum;
    g->weight_max = r->weight_max;
    return rc;
}

enum pr_code builder_rows(struct placement_builder *b, struct edge_pieces *list,
                          const struct numbering *nb, struct placement_graph *g, struct pr_err *err)
{
    struct rows r = { .b = b, .list = list, .nb = nb, .g = g, .overflow = UINT64_MAX };
    struct build_pass pass = { .b = b };
    r.count = calloc(g->n, sizeof *r.count);
    enum pr_code rc = r.count == NULL ? no_memory(err) : fill_half(&r, &pass, err);
    builder_drop_edges(b);
    if (rc == PR_OK)
        rc = build_pass_run(&pass, 0.2, g->n, ROWS_GRAIN, ROWS_SLICE, sort_half, &r, err);
    if (rc == PR_OK)
        rc = merge(&r, &pass, err);
    if (rc == PR_OK)
        rc = complete(&r, &pass, err);
    free(r.end);
    free(r.count);
    return rc;
}
