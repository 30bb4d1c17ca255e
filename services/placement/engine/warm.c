/* The warm start: take today's blocks, place what has none, read the edges once
 * (cut, and how much each vertex would save), repair, search. */
#include "engine/warm_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 1024,    /* vertices */
    SLICE = 1 << 25, /* row entries, or bytes of coded ones, between two looks at the watch */
    FEW = 8,         /* blocks counted without a list of those met */
    WAYS = 2,
    CHANGED_PART = 32, /* of the vertices, and some: above, one pass over all edges is cheaper */
    CHANGED_FEW = 1024
};

static bool bad_block(uint16_t b, uint32_t blocks)
{
    return b != PLACEMENT_FREE && b >= blocks;
}

static enum pr_code check(const struct placement_warm_input *in, struct pr_err *err)
{
    if (in->blocks == 0 || in->blocks > PLACEMENT_MAX_BLOCKS)
        return pr_fail(err, PR_EINVAL, "%u blocks, 1 to %d are supported", in->blocks,
                       PLACEMENT_MAX_BLOCKS);
    if (!(in->price >= 0))
        return pr_fail(err, PR_EINVAL, "price %g of a move is below 0", in->price);
    for (uint32_t v = 0; v < in->graph->n; v++) {
        if (bad_block(in->today[v], in->blocks))
            return pr_fail(err, PR_EINVAL, "vertex %u is in block %u, there are %u", v,
                           in->today[v], in->blocks);
        if (in->fixed != NULL && bad_block(in->fixed[v], in->blocks))
            return pr_fail(err, PR_EINVAL, "vertex %u is fixed in block %u, there are %u", v,
                           in->fixed[v], in->blocks);
    }
    for (uint32_t i = 0; in->changed != NULL && i < in->n_changed; i++)
        if (in->changed[i] >= in->graph->n)
            return pr_fail(err, PR_EINVAL, "changed vertex %u, the graph has %u", in->changed[i],
                           in->graph->n);
    return PR_OK;
}

static uint64_t add_capped(uint64_t a, uint64_t b)
{
    return a + b < a ? UINT64_MAX : a + b;
}

/* What no placement could satisfy. w->load serves as room for the fixed ones. */
static enum pr_code check_room(struct warm *w, struct pr_err *err)
{
    const struct placement_warm_input *in = w->in;
    uint64_t all = 0, most = 0, total = 0;
    for (uint32_t b = 0; b < in->blocks; b++) {
        all = add_capped(all, in->capacity[b]);
        if (in->capacity[b] > most)
            most = in->capacity[b];
    }
    for (uint32_t v = 0; v < w->g->n; v++) {
        const uint64_t weight = placement_vertex_weight(w->g, v);
        if (total + weight < total)
            return pr_fail(err, PR_EFULL, "vertex weights exceed 64 bits");
        total += weight;
        if (warm_fixed(w, v))
            w->load[in->fixed[v]] += weight;
        else if (weight > most || most == 0)
            return pr_fail(err, PR_EFULL,
                           "vertex %u of weight %llu is %llu above the largest capacity", v,
                           (unsigned long long)weight, (unsigned long long)(weight - most));
    }
    for (uint32_t b = 0; b < in->blocks; b++)
        if (w->load[b] > in->capacity[b])
            return pr_fail(err, PR_EFULL, "vertices fixed in block %u are %llu above its capacity",
                           b, (unsigned long long)(w->load[b] - in->capacity[b]));
    if (total > all)
        return pr_fail(err, PR_EFULL, "vertices of weight %llu are %llu above all capacities",
                       (unsigned long long)total, (unsigned long long)(total - all));
    return PR_OK;
}

static bool allocate(struct warm *w)
{
    const size_t n = (size_t)w->g->n + 1, blocks = w->in->blocks;
    w->threads = pr_pool_threads(w->in->pool);
    for (w->leaves = 1; w->leaves < blocks;)
        w->leaves *= 2;
    w->block = malloc(n * sizeof *w->block);
    w->bound = malloc(n * sizeof *w->bound);
    w->forced = calloc(n, sizeof *w->forced);
    w->load = calloc(blocks, sizeof *w->load);
    w->first = malloc(blocks * sizeof *w->first);
    w->roomiest = malloc(2 * (size_t)w->leaves * sizeof *w->roomiest);
    w->ties = calloc(w->threads, sizeof *w->ties);
    bool ok = w->block != NULL && w->bound != NULL && w->forced != NULL && w->load != NULL &&
              w->first != NULL && w->roomiest != NULL && w->ties != NULL;
    for (unsigned i = 0; ok && i < w->threads; i++) {
        struct warm_ties *t = &w->ties[i];
        t->tie = calloc(blocks, sizeof *t->tie);
        t->touched = malloc(blocks * sizeof *t->touched);
        if (w->g->coded != NULL)
            t->scratch = malloc(((size_t)w->g->degree_max + 1) * sizeof *t->scratch);
        ok = t->tie != NULL && t->touched != NULL && (w->g->coded == NULL || t->scratch != NULL);
    }
    return ok;
}

static void release(struct warm *w)
{
    for (unsigned i = 0; w->ties != NULL && i < w->threads; i++) {
        free(w->ties[i].tie);
        free(w->ties[i].touched);
        free(w->ties[i].scratch);
    }
    free(w->ties);
    free(w->block);
    free(w->bound);
    free(w->forced);
    free(w->load);
    free(w->first);
    free(w->roomiest);
    free(w->stirred.v);
    free(w->heap.e);
    free(w->blocked.v);
    free(w->log.e);
}

/* Everybody where it is today or fixed; those without a block are homeless. */
static void start(struct warm *w)
{
    const struct placement_warm_input *in = w->in;
    memset(w->load, 0, in->blocks * sizeof *w->load);
    memset(w->first, 0xff, in->blocks * sizeof *w->first);
    for (uint32_t v = 0; v < w->g->n; v++) {
        const uint16_t today = in->today[v];
        uint16_t b = today;
        if (today != PLACEMENT_FREE && w->first[today] == UINT32_MAX)
            w->first[today] = v;
        if (warm_fixed(w, v))
            b = in->fixed[v];
        else if (b != PLACEMENT_FREE && !warm_open(w, b))
            b = PLACEMENT_FREE;
        w->bound[v] = warm_fixed(w, v) ? WARM_NEVER : WARM_UNKNOWN;
        w->block[v] = b;
        if (b != PLACEMENT_FREE)
            w->load[b] += placement_vertex_weight(w->g, v);
        if (b == PLACEMENT_FREE || b != today) {
            w->forced[v] = today != PLACEMENT_FREE;
            warm_add(&w->stirred, v);
        }
    }
    warm_rank_rooms(w);
}

/* --- one pass over the edges ----------------------------------------------- */

/* Most edge weight from v to one other block that takes vertices at all. Several
 * counters a block, since adding to the one just written has to wait for it. */
static uint64_t most_elsewhere(const struct warm *w, const struct placement_row *row, uint32_t v)
{
    uint64_t tie[WAYS][FEW] = { 0 }, most = 0;
    for (uint32_t i = 0; i < row->n; i++)
        tie[i % WAYS][w->block[row->to[i]]] += placement_arc_weight(row, i);
    for (uint16_t b = 0; b < w->in->blocks; b++) {
        uint64_t sum = 0;
        for (unsigned i = 0; i < WAYS; i++)
            sum += tie[i][b];
        if (sum > most && b != w->block[v] && warm_open(w, b))
            most = sum;
    }
    return most;
}

static void read_row(struct warm *w, struct warm_ties *t, uint32_t v)
{
    const struct placement_row row = placement_row(w->g, v, t->scratch);
    const uint16_t here = w->block[v];
    uint64_t own = 0, all = row.n;
    if (row.weight == NULL) {
        for (uint32_t i = 0; i < row.n; i++)
            own += w->block[row.to[i]] == here;
    } else {
        all = 0;
        for (uint32_t i = 0; i < row.n; i++) {
            own += row.weight[i] * (uint64_t)(w->block[row.to[i]] == here); /* no branch */
            all += row.weight[i];
        }
    }
    t->cut += all - own;
    if (w->in->changed != NULL || w->bound[v] == WARM_NEVER)
        return;
    const bool settled = here == w->in->today[v] || !warm_has_home(w, v);
    const int64_t cost = here == w->in->today[v] ? warm_cost(w, v) : 0;
    if (settled && own == all)
        w->bound[v] = -(int64_t)own - cost;
    else if (settled && w->in->blocks <= FEW)
        w->bound[v] = (int64_t)most_elsewhere(w, &row, v) - (int64_t)own - cost;
    else
        w->bound[v] = warm_choose(w, t, v, false).bound;
}

struct slice {
    struct warm *w;
    uint32_t begin;
};

static void read_chunk(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    const struct slice *s = ctx;
    for (uint64_t i = begin; i < end; i++)
        read_row(s->w, &s->w->ties[worker], s->begin + (uint32_t)i);
}

/* In slices, so that the caller's thread gets to ask the watch. */
static enum pr_code read_rows(struct warm *w, struct pr_err *err)
{
    const uint64_t *at = w->g->start;
    uint32_t end;
    for (uint32_t begin = 0; begin < w->g->n; begin = end) {
        for (end = begin + 1; end < w->g->n && at[end] - at[begin] < SLICE;)
            end = w->g->n - end < CHUNK ? w->g->n : end + CHUNK;
        struct slice s = { w, begin };
        pr_pool_for(w->in->pool, end - begin, CHUNK, read_chunk, &s);
        if (!warm_ask(w, 0.1 + 0.4 * (double)end / w->g->n))
            return warm_canceled(err);
    }
    uint64_t twice = 0;
    for (unsigned i = 0; i < w->threads; i++)
        twice += w->ties[i].cut;
    w->cut = twice / 2;
    return PR_OK;
}

/* How much more is cut now than with the stirred vertices where they were
 * today. Edges of new ones count as not there then, or (kept) as they are now. */
static enum pr_code grown_cut(struct warm *w, bool kept, uint64_t *grown, struct pr_err *err)
{
    const uint16_t *today = w->in->today;
    uint64_t twice = 0; /* modulo 2^64; an edge of two stirred ones is met twice */
    for (size_t i = 0; i < w->stirred.n; i++) {
        if (!warm_go_on(w, 0.1))
            return warm_canceled(err);
        const uint32_t v = w->stirred.v[i];
        const struct placement_row row = placement_row(w->g, v, w->ties[0].scratch);
        warm_worked(w, (uint64_t)row.n + 1);
        const uint16_t was_v = kept && today[v] == PLACEMENT_FREE ? w->block[v] : today[v];
        for (uint32_t a = 0; a < row.n; a++) {
            const uint32_t u = row.to[a];
            const uint16_t was_u = kept && today[u] == PLACEMENT_FREE ? w->block[u] : today[u];
            const bool now = w->block[u] != w->block[v];
            const bool was = was_u != was_v && was_u != PLACEMENT_FREE && was_v != PLACEMENT_FREE;
            const bool met_twice = today[u] != w->block[u];
            const uint64_t weight = (uint64_t)placement_arc_weight(&row, a) * (met_twice ? 1 : 2);
            twice += (now ? weight : 0) - (was ? weight : 0);
        }
    }
    *grown = (uint64_t)((int64_t)twice / 2); /* modulo 2^64 too: it may have shrunk */
    return PR_OK;
}

/* --- all of it ------------------------------------------------------------- */

static enum pr_code improve(struct warm *w, struct placement_warm_result *r, struct pr_err *err)
{
    const struct placement_warm_input *in = w->in;
    start(w);
    if (w->stirred.failed)
        return warm_no_memory(w, err);
    if (!warm_ask(w, 0))
        return warm_canceled(err);
    enum pr_code rc = warm_place(w, err);
    if (rc != PR_OK)
        return rc;
    uint64_t grown = 0;
    const bool known = in->changed != NULL && in->cut_today != NULL;
    rc = known ? grown_cut(w, false, &grown, err) : read_rows(w, err);
    if (known)
        w->cut = *in->cut_today + grown;
    if (rc == PR_OK)
        rc = grown_cut(w, true, &grown, err);
    r->cut_before = w->cut - grown;
    if (rc == PR_OK)
        rc = warm_repair(w, err);
    if (rc == PR_OK)
        rc = warm_search(w, err);
    uint64_t found = 0;
    if (rc == PR_OK)
        rc = warm_climb(w, &found, err);
    return rc == PR_OK && found > 0 ? warm_search(w, err) : rc;
}

static void count_moves(const struct warm *w, struct placement_warm_result *r)
{
    for (uint32_t v = 0; v < w->g->n; v++) {
        if (w->in->today[v] == PLACEMENT_FREE)
            r->placed++;
        else if (w->block[v] != w->in->today[v])
            r->forced += w->forced[v];
    }
    r->moved = w->moved;
    r->cut = w->cut;
    r->capped = w->capped;
}

enum pr_code placement_warm(const struct placement_warm_input *in, uint16_t *block,
                            struct placement_warm_result *out, struct pr_err *err)
{
    struct placement_warm_input all = *in;
    struct warm w = { .in = in, .g = in->graph };
    struct placement_warm_result r = { 0 };
    enum pr_code rc = check(in, err);
    if (rc != PR_OK)
        return rc;
    if (in->n_changed > in->graph->n / CHANGED_PART + CHANGED_FEW) {
        all.changed = NULL;
        w.in = &all;
    }
    rc = allocate(&w) ? check_room(&w, err) : warm_no_memory(&w, err);
    if (rc == PR_OK)
        rc = improve(&w, &r, err);
    if (rc == PR_OK) {
        count_moves(&w, &r);
        memcpy(block, w.block, w.g->n * sizeof *block);
        *out = r;
    }
    release(&w);
    return rc;
}

bool placement_warm_spent(uint64_t cut, uint64_t weight_sum, double reference_ratio,
                          double lost_ratio)
{
    if (weight_sum == 0)
        return false;
    return (double)cut / (double)weight_sum > reference_ratio * (1 + lost_ratio);
}
