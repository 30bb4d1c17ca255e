#include "engine/contract.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    VERTEX_GRAIN = 16384,
    CHUNK_ARCS = 1 << 16, /* about so many entries of the fine graph a chunk of groups */
};

/* Chunks of groups are taken in ascending order; each is gathered in its
 * worker's buffer and copied behind its predecessor's as soon as that one's
 * length is known. So rows come out in order, in one pass, in place. */
struct contraction {
    const struct placement_graph *g;
    uint32_t *group; /* [n] */
    uint32_t groups;
    uint32_t *first;          /* [n] label -> first vertex, then first vertex -> number */
    uint32_t *member, *begin; /* vertices by group; [groups + 1] */
    uint32_t *chunk;          /* [chunks + 1] first group of a chunk */
    uint32_t chunks;
    struct placement_graph *out;
    uint64_t *inside;
    atomic_uint next_chunk;
    atomic_uint turn; /* chunk whose place is known: it is `placed` */
    uint64_t placed;
    const struct placement_watch *watch;
    double done;
    atomic_bool stop;
    struct gatherer {
        uint64_t *sum;     /* [groups] weight to a group, 0 between rows */
        uint32_t *scratch; /* [degree_max] for coded rows */
        uint32_t *to, *weight;
        uint64_t n, cap;
        uint32_t weight_max, degree_max;
        uint64_t inside;
        bool failed;
    } * worker;
};

/* --- numbering ------------------------------------------------------------ */

static void find_first(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct contraction *c = ctx;
    (void)worker;
    for (uint32_t v = (uint32_t)begin; v < end; v++) {
        _Atomic uint32_t *at = (_Atomic uint32_t *)&c->first[c->group[v]];
        uint32_t seen = atomic_load_explicit(at, memory_order_relaxed);
        while (v < seen && !atomic_compare_exchange_weak_explicit(
                               at, &seen, v, memory_order_relaxed, memory_order_relaxed)) {
        }
    }
}

/* Twice: to the group's first vertex, and from that to its number. */
static void look_up(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct contraction *c = ctx;
    (void)worker;
    for (uint64_t v = begin; v < end; v++)
        c->group[v] = c->first[c->group[v]];
}

static bool number(struct contraction *c, struct pr_pool *pool)
{
    const uint32_t n = c->g->n;
    c->first = malloc(((size_t)n + 1) * sizeof *c->first);
    if (c->first == NULL)
        return false;
    memset(c->first, 0xff, ((size_t)n + 1) * sizeof *c->first);
    pr_pool_for(pool, n, VERTEX_GRAIN, find_first, c);
    pr_pool_for(pool, n, VERTEX_GRAIN, look_up, c);
    for (uint32_t v = 0; v < n; v++)
        if (c->group[v] == v)
            c->first[v] = c->groups++;
    pr_pool_for(pool, n, VERTEX_GRAIN, look_up, c);
    return true;
}

/* Stable counting sort. */
static bool collect_members(struct contraction *c)
{
    const uint32_t n = c->g->n;
    c->member = malloc(((size_t)n + 1) * sizeof *c->member);
    c->begin = calloc((size_t)c->groups + 3, sizeof *c->begin);
    if (c->member == NULL || c->begin == NULL)
        return false;
    /* Counted two places ahead and filled one ahead, begin ends up in place. */
    for (uint32_t v = 0; v < n; v++)
        c->begin[c->group[v] + 2]++;
    for (uint32_t i = 2; i <= c->groups + 1; i++)
        c->begin[i] += c->begin[i - 1];
    for (uint32_t v = 0; v < n; v++)
        c->member[c->begin[c->group[v] + 1]++] = v;
    return true;
}

static uint64_t length(const struct placement_graph *g, uint32_t v)
{
    return g->start[v + 1] - g->start[v];
}

static bool cut_chunks(struct contraction *c)
{
    uint64_t in_chunk = 0;
    c->chunk = malloc(((size_t)c->groups + 2) * sizeof *c->chunk);
    if (c->chunk == NULL)
        return false;
    c->chunk[0] = 0;
    for (uint32_t i = 0; i < c->groups; i++) {
        for (uint32_t m = c->begin[i]; m < c->begin[i + 1]; m++)
            in_chunk += length(c->g, c->member[m]) + 4;
        if (in_chunk >= CHUNK_ARCS || i + 1 == c->groups) {
            c->chunk[++c->chunks] = i + 1;
            in_chunk = 0;
        }
    }
    return true;
}

/* --- rows ----------------------------------------------------------------- */

static bool make_room(struct gatherer *w, uint64_t more)
{
    if (w->n + more <= w->cap)
        return true;
    const uint64_t cap = w->n + more + w->cap / 2 + CHUNK_ARCS;
    uint32_t *to = realloc(w->to, cap * sizeof *to);
    if (to != NULL)
        w->to = to;
    uint32_t *weight = to == NULL ? NULL : realloc(w->weight, cap * sizeof *weight);
    if (weight == NULL)
        return false;
    w->weight = weight;
    w->cap = cap;
    return true;
}

/* New neighbours of the group under way go behind w->to[w->n]. Inlined twice:
 * without weights the loop is shorter. */
static inline uint32_t gather(struct gatherer *w, const uint32_t *group, struct placement_row row,
                              uint32_t touched)
{
    uint64_t *sum = w->sum;
    uint32_t *to = w->to + w->n;
    for (uint32_t i = 0; i < row.n; i++) {
        const uint32_t t = group[row.to[i]];
        to[touched] = t; /* stays when it is new: a branch would be guessed wrong */
        touched += sum[t] == 0;
        sum[t] += row.weight == NULL ? 1 : row.weight[i];
    }
    return touched;
}

static void close_row(struct contraction *c, struct gatherer *w, uint32_t group, uint32_t touched)
{
    uint32_t *to = w->to + w->n, *weight = w->weight + w->n, degree = 0;
    for (uint32_t i = 0; i < touched; i++) {
        const uint32_t t = to[i];
        const uint64_t sum = w->sum[t];
        w->sum[t] = 0;
        if (t == group) {
            w->inside += sum;
            if (c->inside != NULL)
                c->inside[group] = sum;
            continue;
        }
        to[degree] = t;
        weight[degree] = sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
        if (weight[degree] > w->weight_max)
            w->weight_max = weight[degree];
        degree++;
    }
    if (degree > w->degree_max)
        w->degree_max = degree;
    w->n += degree;
    c->out->start[group + 1] = degree; /* its end, once the chunk has its place */
}

static bool gather_chunk(struct contraction *c, struct gatherer *w, uint32_t chunk)
{
    w->n = 0;
    for (uint32_t i = c->chunk[chunk]; i < c->chunk[chunk + 1]; i++) {
        uint32_t touched = 0;
        uint64_t weight = 0;
        for (uint32_t m = c->begin[i]; m < c->begin[i + 1]; m++) {
            const uint32_t v = c->member[m];
            const struct placement_row row = placement_row(c->g, v, w->scratch);
            weight += placement_vertex_weight(c->g, v);
            if (!make_room(w, (uint64_t)touched + row.n + 1))
                return false;
            touched =
                row.weight == NULL
                    ? gather(w, c->group, (struct placement_row){ row.to, NULL, row.n }, touched)
                    : gather(w, c->group, row, touched);
        }
        c->out->vertex_weight[i] = weight;
        close_row(c, w, i, touched);
    }
    return true;
}

/* The chunk before is under way at another worker, or done: a short wait. */
static void await_turn(struct contraction *c, uint32_t chunk)
{
    for (unsigned i = 0; atomic_load(&c->turn) != chunk; i++)
        if (i > 1000)
            sched_yield();
}

static bool go_on(struct contraction *c)
{
    return atomic_load(&c->stop) || c->watch == NULL || c->watch->go_on == NULL ||
           c->watch->go_on(c->watch->ctx, c->done);
}

static void gather_chunks(void *ctx, unsigned worker)
{
    struct contraction *c = ctx;
    struct gatherer *w = &c->worker[worker];
    for (;;) {
        const uint32_t chunk = atomic_fetch_add(&c->next_chunk, 1);
        if (chunk >= c->chunks)
            return;
        if (worker == 0 && !go_on(c)) /* only the caller may ask */
            atomic_store(&c->stop, true);
        w->failed = w->failed || atomic_load(&c->stop) || !gather_chunk(c, w, chunk);
        if (w->failed) /* the turn is passed on all the same: others wait for it */
            w->n = 0;
        await_turn(c, chunk);
        uint64_t at = c->placed;
        c->placed += w->n;
        atomic_store(&c->turn, chunk + 1);
        if (w->failed)
            continue;
        memcpy(c->out->to + at, w->to, w->n * sizeof *w->to);
        memcpy(c->out->weight + at, w->weight, w->n * sizeof *w->weight);
        for (uint32_t i = c->chunk[chunk]; i < c->chunk[chunk + 1]; i++) {
            at += c->out->start[i + 1];
            c->out->start[i + 1] = at;
        }
    }
}

/* Room for the most entries there can be; what is never written is never real
 * memory, and is given back in the end. */
static bool open_out(struct contraction *c, unsigned threads)
{
    struct placement_graph *o = c->out;
    o->n = c->groups;
    o->start = malloc(((size_t)o->n + 1) * sizeof *o->start);
    o->to = malloc((c->g->arcs + 1) * sizeof *o->to);
    o->weight = malloc((c->g->arcs + 1) * sizeof *o->weight);
    o->vertex_weight = malloc(((size_t)o->n + 1) * sizeof *o->vertex_weight);
    c->worker = calloc(threads, sizeof *c->worker);
    if (o->start == NULL || o->to == NULL || o->weight == NULL || o->vertex_weight == NULL ||
        c->worker == NULL)
        return false;
    o->start[0] = 0;
    for (unsigned i = 0; i < threads; i++) {
        struct gatherer *w = &c->worker[i];
        w->sum = calloc((size_t)c->groups + 1, sizeof *w->sum);
        w->scratch = malloc(((size_t)c->g->degree_max + 1) * sizeof *w->scratch);
        if (w->sum == NULL || w->scratch == NULL || !make_room(w, 1))
            return false;
    }
    return true;
}

static bool close_out(struct contraction *c, unsigned threads)
{
    struct placement_graph *o = c->out;
    uint64_t inside = 0;
    for (unsigned i = 0; i < threads; i++) {
        const struct gatherer *w = &c->worker[i];
        if (w->failed)
            return false;
        inside += w->inside;
        o->weight_max = w->weight_max > o->weight_max ? w->weight_max : o->weight_max;
        o->degree_max = w->degree_max > o->degree_max ? w->degree_max : o->degree_max;
    }
    o->arcs = c->placed;
    o->weight_sum = c->g->weight_sum - inside / 2;
    o->vertex_weight_sum = c->g->vertex_weight_sum;
    uint32_t *to = realloc(o->to, (o->arcs + 1) * sizeof *to);
    uint32_t *weight = realloc(o->weight, (o->arcs + 1) * sizeof *weight);
    o->to = to == NULL ? o->to : to;
    o->weight = weight == NULL ? o->weight : weight;
    return true;
}

enum pr_code placement_contract(const struct placement_graph *g, uint32_t *group,
                                struct pr_pool *pool, struct placement_graph *out,
                                uint64_t **inside, const struct placement_watch *watch, double done,
                                struct pr_err *err)
{
    const unsigned threads = pr_pool_threads(pool);
    struct placement_graph made = { 0 };
    struct contraction c = { .g = g, .group = group, .out = &made, .watch = watch, .done = done };
    bool ok = number(&c, pool) && collect_members(&c) && cut_chunks(&c);
    free(c.first);
    if (ok && inside != NULL) {
        c.inside = calloc((size_t)c.groups + 1, sizeof *c.inside);
        ok = c.inside != NULL;
    }
    ok = ok && open_out(&c, threads);
    if (ok) {
        pr_pool_run(pool, gather_chunks, &c);
        ok = close_out(&c, threads);
    }

    for (unsigned i = 0; c.worker != NULL && i < threads; i++) {
        free(c.worker[i].sum);
        free(c.worker[i].scratch);
        free(c.worker[i].to);
        free(c.worker[i].weight);
    }
    free(c.worker);
    free(c.member);
    free(c.begin);
    free(c.chunk);
    if (!ok) {
        free(c.inside);
        placement_graph_done(&made);
        if (atomic_load(&c.stop))
            return pr_fail(err, PR_ECANCELED, "canceled while coarsening");
        return pr_fail(err, PR_ENOMEM, "out of memory contracting %u vertices", g->n);
    }
    *out = made;
    if (inside != NULL)
        *inside = c.inside;
    return PR_OK;
}
