#include "engine/cluster.h"

#include "prism/rng.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 32,           /* vertices that are visited one after the other */
    BATCHES = 128,        /* about so many a pass ... */
    BATCH_ARCS = 1 << 15, /* ... but none smaller */
};

/* A pass visits chunks in random order, some chunks a batch. All vertices of a
 * batch choose by the labels that the batch found; then their choices are
 * carried out in order. So threads change nothing, and batches are small
 * enough for labels to spread within a pass. */
struct clustering {
    const struct placement_cluster_input *in;
    const struct placement_graph *g;
    uint32_t *label;
    uint64_t *weight;       /* [n] of a cluster, by label */
    uint32_t *order;        /* [chunks] */
    uint32_t chunks, first; /* first chunk (in order) of the batch */
    uint32_t *choice;       /* [batch's chunks * CHUNK] */
    uint64_t salt;
    bool two_hop; /* choose the best cluster whether there is room or not */
    struct chooser {
        uint32_t *sum;     /* [n] edge weight to a cluster, 0 between vertices */
        uint32_t *touched; /* [degree_max] */
        uint32_t *scratch;
    } * worker;
};

/* Weightless vertices count a little, so that only empty clusters weigh 0. */
static inline uint64_t weight_of(const struct placement_graph *g, uint32_t v)
{
    const uint64_t w = placement_vertex_weight(g, v);
    return w == 0 ? 1 : w;
}

static uint64_t shuffle_key(const struct clustering *c, uint32_t label)
{
    return (label + c->salt) * 0x9e3779b97f4a7c15ull;
}

static inline uint32_t gather(const struct clustering *c, struct chooser *w,
                              struct placement_row row)
{
    uint32_t touched = 0;
    for (uint32_t i = 0; i < row.n; i++) {
        const uint32_t l = c->label[row.to[i]], sum = w->sum[l];
        w->touched[touched] = l; /* stays when it is new: a branch would be guessed wrong */
        touched += sum == 0;
        w->sum[l] = sum + (row.weight == NULL ? 1 : row.weight[i]);
    }
    return touched;
}

static bool may_join(const struct clustering *c, uint32_t v, uint32_t label, uint64_t own_weight)
{
    const struct placement_cluster_input *in = c->in;
    if (!c->two_hop && c->weight[label] + own_weight > in->max_weight)
        return false;
    if (in->within != NULL && in->within[v] != in->within[label])
        return false;
    return in->fixed == NULL || in->fixed[label] == PLACEMENT_FREE;
}

static uint32_t choose(const struct clustering *c, struct chooser *w, uint32_t v)
{
    const uint32_t own = c->label[v];
    if (c->in->fixed != NULL && c->in->fixed[v] != PLACEMENT_FREE)
        return own;
    const struct placement_row row = placement_row(c->g, v, w->scratch);
    const uint64_t own_weight = weight_of(c->g, v);
    const uint32_t touched = row.weight == NULL
                                 ? gather(c, w, (struct placement_row){ row.to, NULL, row.n })
                                 : gather(c, w, row);
    uint32_t best = own, best_sum = 0;
    uint64_t best_key = 0;
    for (uint32_t i = 0; i < touched; i++) {
        const uint32_t l = w->touched[i], sum = w->sum[l];
        w->sum[l] = 0;
        if (sum < best_sum)
            continue;
        const uint64_t key = shuffle_key(c, l);
        if (sum == best_sum && key <= best_key)
            continue;
        if (l != own && !may_join(c, v, l, own_weight))
            continue;
        best = l;
        best_sum = sum;
        best_key = key;
    }
    return best;
}

static void choose_chunks(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct clustering *c = ctx;
    for (uint64_t i = begin; i < end; i++) {
        const uint64_t from = (uint64_t)c->order[c->first + i] * CHUNK;
        for (uint64_t v = from; v < from + CHUNK && v < c->g->n; v++)
            c->choice[i * CHUNK + (v - from)] = choose(c, &c->worker[worker], (uint32_t)v);
    }
}

static uint32_t commit(struct clustering *c, uint32_t chunks)
{
    uint32_t moved = 0;
    for (uint32_t i = 0; i < chunks; i++) {
        const uint64_t from = (uint64_t)c->order[c->first + i] * CHUNK;
        for (uint64_t v = from; v < from + CHUNK && v < c->g->n; v++) {
            const uint32_t to = c->choice[(uint64_t)i * CHUNK + (v - from)], own = c->label[v];
            if (to == own)
                continue;
            const uint64_t w = weight_of(c->g, (uint32_t)v);
            /* Empty: its last vertex left in this batch, perhaps for our own cluster. */
            if (c->weight[to] == 0 || c->weight[to] + w > c->in->max_weight)
                continue;
            c->weight[to] += w;
            c->weight[own] -= w;
            c->label[v] = to;
            moved++;
        }
    }
    return moved;
}

static uint64_t chunk_arcs(const struct clustering *c, uint32_t chunk)
{
    const uint64_t from = (uint64_t)chunk * CHUNK;
    const uint64_t to = from + CHUNK < c->g->n ? from + CHUNK : c->g->n;
    return c->g->start[to] - c->g->start[from] + CHUNK;
}

static void shuffle(struct clustering *c, struct pr_rng *rng)
{
    for (uint32_t i = c->chunks; i > 1; i--) {
        const uint32_t j = (uint32_t)pr_rng_below(rng, i), swap = c->order[i - 1];
        c->order[i - 1] = c->order[j];
        c->order[j] = swap;
    }
}

static bool go_on(const struct clustering *c, double part)
{
    const struct placement_watch *w = c->in->watch;
    return w == NULL || w->go_on == NULL ||
           w->go_on(w->ctx, c->in->done_from + part * (c->in->done_to - c->in->done_from));
}

/* Returns vertices moved, or UINT32_MAX when told to stop. */
static uint32_t pass(struct clustering *c, unsigned number, struct pr_rng *rng)
{
    const uint64_t arcs = c->g->start[c->g->n] + c->g->n;
    const uint64_t batch_arcs = arcs / BATCHES > BATCH_ARCS ? arcs / BATCHES : BATCH_ARCS;
    uint32_t moved = 0;
    shuffle(c, rng);
    c->salt = pr_rng_next(rng);
    for (c->first = 0; c->first < c->chunks;) {
        uint64_t in_batch = 0;
        uint32_t n = 0;
        while (c->first + n < c->chunks && in_batch < batch_arcs)
            in_batch += chunk_arcs(c, c->order[c->first + n++]);
        pr_pool_for(c->in->pool, n, 8, choose_chunks, c);
        moved += commit(c, n);
        c->first += n;
        if (!go_on(c, (number + (double)c->first / c->chunks) / c->in->passes))
            return UINT32_MAX;
    }
    return moved;
}

/* Vertices that found no room (leaves of a full hub) or have no edge pair up:
 * those that would join the same cluster are alike. */
static void pair_singletons(struct clustering *c, uint32_t *waiting /* [n + 1] */)
{
    struct chooser *w = &c->worker[0];
    const uint32_t n = c->g->n;
    memset(waiting, 0xff, ((size_t)n + 1) * sizeof *waiting);
    c->two_hop = true;
    for (uint32_t v = 0; v < n; v++) {
        const uint64_t weight = weight_of(c->g, v);
        if (c->label[v] != v || c->weight[v] != weight ||
            (c->in->fixed != NULL && c->in->fixed[v] != PLACEMENT_FREE))
            continue;
        const uint32_t wanted = choose(c, w, v);
        uint32_t *slot = &waiting[wanted == v ? n : wanted];
        if (*slot != UINT32_MAX && c->weight[*slot] + weight <= c->in->max_weight &&
            (c->in->within == NULL || c->in->within[*slot] == c->in->within[v])) {
            c->label[v] = *slot;
            c->weight[*slot] += weight;
            c->weight[v] = 0;
        } else {
            *slot = v;
        }
    }
    c->two_hop = false;
}

static uint32_t count(const struct clustering *c)
{
    uint32_t n = 0;
    for (uint32_t v = 0; v < c->g->n; v++)
        n += c->weight[v] > 0;
    return n;
}

/* All vertices fixed to one block are one cluster from the start. */
static bool gather_fixed(struct clustering *c)
{
    const uint16_t *fixed = c->in->fixed;
    if (fixed == NULL)
        return true;
    uint32_t *first = malloc(((size_t)UINT16_MAX + 1) * sizeof *first);
    if (first == NULL)
        return false;
    memset(first, 0xff, ((size_t)UINT16_MAX + 1) * sizeof *first);
    for (uint32_t v = 0; v < c->g->n; v++) {
        uint32_t *of_block = &first[fixed[v]];
        if (fixed[v] == PLACEMENT_FREE)
            continue;
        if (*of_block == UINT32_MAX) {
            *of_block = v;
            continue;
        }
        c->label[v] = *of_block;
        c->weight[*of_block] += c->weight[v];
        c->weight[v] = 0;
    }
    free(first);
    return true;
}

static bool open(struct clustering *c)
{
    const struct placement_graph *g = c->g;
    const unsigned threads = pr_pool_threads(c->in->pool);
    c->chunks = (g->n + CHUNK - 1) / CHUNK;
    c->weight = malloc(((size_t)g->n + 1) * sizeof *c->weight);
    c->order = malloc(((size_t)c->chunks + 1) * sizeof *c->order);
    c->choice = malloc(((size_t)c->chunks * CHUNK + 1) * sizeof *c->choice);
    c->worker = calloc(threads, sizeof *c->worker);
    if (c->weight == NULL || c->order == NULL || c->choice == NULL || c->worker == NULL)
        return false;
    for (unsigned i = 0; i < threads; i++) {
        c->worker[i].sum = calloc((size_t)g->n + 1, sizeof *c->worker[i].sum);
        c->worker[i].touched = malloc(((size_t)g->degree_max + 1) * sizeof(uint32_t));
        c->worker[i].scratch = malloc(((size_t)g->degree_max + 1) * sizeof(uint32_t));
        if (c->worker[i].sum == NULL || c->worker[i].touched == NULL ||
            c->worker[i].scratch == NULL)
            return false;
    }
    for (uint32_t v = 0; v < g->n; v++) {
        c->label[v] = v;
        c->weight[v] = weight_of(g, v);
    }
    for (uint32_t i = 0; i < c->chunks; i++)
        c->order[i] = i;
    return gather_fixed(c);
}

static void done(struct clustering *c)
{
    for (unsigned i = 0; c->worker != NULL && i < pr_pool_threads(c->in->pool); i++) {
        free(c->worker[i].sum);
        free(c->worker[i].touched);
        free(c->worker[i].scratch);
    }
    free(c->worker);
    free(c->weight);
    free(c->order);
    free(c->choice);
}

enum pr_code placement_cluster(const struct placement_cluster_input *in, uint32_t *label,
                               uint32_t *clusters, struct pr_err *err)
{
    struct clustering c = { .in = in, .g = in->graph, .label = label };
    struct pr_rng rng;
    enum pr_code rc = PR_OK;
    pr_rng_init(&rng, in->seed);
    if (!open(&c))
        rc = pr_fail(err, PR_ENOMEM, "out of memory clustering %u vertices", in->graph->n);
    for (unsigned i = 0; i < in->passes && rc == PR_OK; i++) {
        const uint32_t moved = pass(&c, i, &rng);
        if (moved == UINT32_MAX)
            rc = pr_fail(err, PR_ECANCELED, "canceled while coarsening");
        else if (moved < in->graph->n / 50)
            break;
    }
    if (rc == PR_OK) {
        *clusters = count(&c);
        if (*clusters > in->graph->n / 2) {
            pair_singletons(&c, c.choice);
            *clusters = count(&c);
        }
    }
    done(&c);
    return rc;
}
