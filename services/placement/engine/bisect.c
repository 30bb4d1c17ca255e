#include "engine/bisect.h"

#include "engine/partition.h"
#include "engine/subgraph.h"
#include "prism/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FM_PASSES = 6, ABSENT = -1 };

/* A max-heap of vertices by gain, then by a random key, that knows where each
 * vertex is, so that gains can change. */
struct heap {
    uint32_t *vertex;
    uint32_t n;
};

struct bisection {
    const struct placement_bisect_input *in;
    const struct placement_graph *g;
    uint16_t *side;
    int64_t *gain; /* [n] cut saved by changing sides */
    uint32_t *key; /* [n] */
    int32_t *at;   /* [n] place in the heap of the vertex's side, or ABSENT */
    uint8_t *locked;
    struct heap heap[2];
    uint64_t weight[2];
    int64_t cut;
    uint32_t *moved; /* [n] in order */
    uint16_t *best;  /* [n] */
    struct pr_rng rng;
};

/* --- heap ----------------------------------------------------------------- */

static bool above(const struct bisection *b, uint32_t u, uint32_t v)
{
    return b->gain[u] != b->gain[v] ? b->gain[u] > b->gain[v] : b->key[u] > b->key[v];
}

static void place(struct bisection *b, struct heap *h, uint32_t i, uint32_t v)
{
    h->vertex[i] = v;
    b->at[v] = (int32_t)i;
}

static void sift(struct bisection *b, struct heap *h, uint32_t i, uint32_t v)
{
    while (i > 0 && above(b, v, h->vertex[(i - 1) / 2])) {
        place(b, h, i, h->vertex[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && above(b, h->vertex[child + 1], h->vertex[child]))
            child++;
        if (!above(b, h->vertex[child], v))
            break;
        place(b, h, i, h->vertex[child]);
        i = child;
    }
    place(b, h, i, v);
}

static void push(struct bisection *b, struct heap *h, uint32_t v)
{
    h->n++;
    sift(b, h, h->n - 1, v);
}

static void pull(struct bisection *b, struct heap *h, uint32_t v)
{
    const uint32_t i = (uint32_t)b->at[v], last = h->vertex[--h->n];
    b->at[v] = ABSENT;
    if (last != v)
        sift(b, h, i, last);
}

/* --- state ---------------------------------------------------------------- */

static bool is_fixed(const struct bisection *b, uint32_t v)
{
    return b->in->fixed != NULL && b->in->fixed[v] != PLACEMENT_FREE;
}

static void compute_gains(struct bisection *b)
{
    b->cut = 0;
    b->weight[0] = b->weight[1] = 0;
    for (uint32_t v = 0; v < b->g->n; v++) {
        const struct placement_row row = placement_row(b->g, v, NULL);
        int64_t gain = 0;
        for (uint32_t i = 0; i < row.n; i++) {
            const int64_t w = placement_arc_weight(&row, i);
            const bool same = b->side[row.to[i]] == b->side[v];
            gain += same ? -w : w;
            b->cut += same ? 0 : w;
        }
        b->gain[v] = gain;
        b->weight[b->side[v]] += placement_vertex_weight(b->g, v);
    }
    b->cut /= 2;
}

/* Moves v across; neighbours that wait in a heap take their new places, and
 * when growing those that do not yet, join. */
static void cross(struct bisection *b, uint32_t v, bool growing)
{
    const uint16_t from = b->side[v], to = (uint16_t)(1 - from);
    const uint64_t weight = placement_vertex_weight(b->g, v);
    const struct placement_row row = placement_row(b->g, v, NULL);
    b->cut -= b->gain[v];
    b->gain[v] = -b->gain[v];
    b->side[v] = to;
    b->weight[from] -= weight;
    b->weight[to] += weight;
    for (uint32_t i = 0; i < row.n; i++) {
        const uint32_t u = row.to[i];
        const int64_t w = placement_arc_weight(&row, i);
        b->gain[u] += b->side[u] == to ? -2 * w : 2 * w;
        if (b->at[u] != ABSENT)
            sift(b, &b->heap[b->side[u]], (uint32_t)b->at[u], u);
        else if (growing && b->side[u] == 1 && !is_fixed(b, u))
            push(b, &b->heap[1], u);
    }
}

/* --- growing -------------------------------------------------------------- */

/* Side 0 grows from a random vertex, always by the one that costs least. */
static void grow(struct bisection *b)
{
    const uint32_t n = b->g->n;
    uint32_t next = (uint32_t)pr_rng_below(&b->rng, n), tried = 0;
    for (uint32_t v = 0; v < n; v++) {
        b->side[v] = is_fixed(b, v) ? b->in->fixed[v] : 1;
        b->at[v] = ABSENT;
        b->key[v] = (uint32_t)pr_rng_next(&b->rng);
    }
    b->heap[1].n = 0;
    compute_gains(b);
    for (uint32_t v = 0; b->in->fixed != NULL && v < n; v++) {
        const struct placement_row row = placement_row(b->g, v, NULL);
        for (uint32_t i = 0; b->side[v] == 0 && i < row.n; i++)
            if (b->side[row.to[i]] == 1 && !is_fixed(b, row.to[i]) && b->at[row.to[i]] == ABSENT)
                push(b, &b->heap[1], row.to[i]);
    }
    while (b->weight[0] < b->in->target) {
        uint32_t v;
        if (b->heap[1].n > 0) {
            v = b->heap[1].vertex[0];
            pull(b, &b->heap[1], v);
        } else { /* the component is used up */
            while (tried < n && (b->side[next] == 0 || is_fixed(b, next) || b->locked[next])) {
                next = next + 1 < n ? next + 1 : 0;
                tried++;
            }
            if (tried == n)
                return;
            v = next;
        }
        const uint64_t weight = placement_vertex_weight(b->g, v);
        if (b->weight[0] + weight > b->in->limit[0] && b->weight[0] > 0) {
            b->locked[v] = 1; /* too heavy for what is left */
            continue;
        }
        cross(b, v, true);
    }
}

/* --- Fiduccia-Mattheyses -------------------------------------------------- */

static uint64_t overweight(const struct bisection *b)
{
    uint64_t over = 0;
    for (int s = 0; s < 2; s++)
        if (b->weight[s] > b->in->limit[s])
            over += b->weight[s] - b->in->limit[s];
    return over;
}

static bool fits(const struct bisection *b, uint32_t v)
{
    const int to = 1 - b->side[v];
    return b->in->limit[to] > 0 &&
           b->weight[to] + placement_vertex_weight(b->g, v) <= b->in->limit[to];
}

/* The next vertex to cross: from an overfull side, else the best that fits.
 * UINT32_MAX: none. Vertices that do not fit are out for this pass. */
static uint32_t next_move(struct bisection *b)
{
    for (int s = 0; s < 2; s++)
        if (b->weight[s] > b->in->limit[s] && b->heap[s].n > 0)
            return b->heap[s].vertex[0];
    for (;;) {
        uint32_t best = UINT32_MAX;
        for (int s = 0; s < 2; s++)
            if (b->heap[s].n > 0 && (best == UINT32_MAX || above(b, b->heap[s].vertex[0], best)))
                best = b->heap[s].vertex[0];
        if (best == UINT32_MAX || fits(b, best))
            return best;
        pull(b, &b->heap[b->side[best]], best);
    }
}

static bool fm_pass(struct bisection *b)
{
    const uint32_t n = b->g->n, patience = 64 + n / 16;
    uint32_t moves = 0, kept = 0;
    uint64_t best_over = overweight(b);
    int64_t best_cut = b->cut;
    bool better = false;
    b->heap[0].n = b->heap[1].n = 0;
    for (uint32_t v = 0; v < n; v++)
        b->at[v] = ABSENT;
    for (uint32_t v = 0; v < n; v++)
        if (!is_fixed(b, v))
            push(b, &b->heap[b->side[v]], v);
    while (moves - kept < patience) {
        const uint32_t v = next_move(b);
        if (v == UINT32_MAX)
            break;
        pull(b, &b->heap[b->side[v]], v);
        cross(b, v, false);
        b->moved[moves++] = v;
        const uint64_t over = overweight(b);
        if (over < best_over || (over == best_over && b->cut < best_cut)) {
            best_over = over;
            best_cut = b->cut;
            kept = moves;
            better = true;
        }
    }
    b->heap[0].n = b->heap[1].n = 0;
    for (uint32_t v = 0; v < n; v++)
        b->at[v] = ABSENT;
    while (moves > kept)
        cross(b, b->moved[--moves], false);
    return better;
}

static bool open(struct bisection *b)
{
    const size_t n = (size_t)b->g->n + 1;
    b->gain = malloc(n * sizeof *b->gain);
    b->key = malloc(n * sizeof *b->key);
    b->at = malloc(n * sizeof *b->at);
    b->locked = malloc(n);
    b->heap[0].vertex = malloc(n * sizeof(uint32_t));
    b->heap[1].vertex = malloc(n * sizeof(uint32_t));
    b->moved = malloc(n * sizeof *b->moved);
    b->best = malloc(n * sizeof *b->best);
    return b->gain != NULL && b->key != NULL && b->at != NULL && b->locked != NULL &&
           b->heap[0].vertex != NULL && b->heap[1].vertex != NULL && b->moved != NULL &&
           b->best != NULL;
}

static void search(struct bisection *b)
{
    uint64_t best_over = UINT64_MAX;
    int64_t best_cut = INT64_MAX;
    for (unsigned i = 0; i < b->in->tries; i++) {
        memset(b->locked, 0, b->g->n);
        grow(b);
        for (unsigned p = 0; p < FM_PASSES && fm_pass(b); p++) {
        }
        const uint64_t over = overweight(b);
        if (over < best_over || (over == best_over && b->cut < best_cut)) {
            best_over = over;
            best_cut = b->cut;
            memcpy(b->best, b->side, b->g->n * sizeof *b->best);
        }
    }
    memcpy(b->side, b->best, b->g->n * sizeof *b->side);
}

enum pr_code placement_bisect(const struct placement_bisect_input *in, uint16_t *side,
                              struct pr_err *err)
{
    struct bisection b = { .in = in, .g = in->graph, .side = side };
    enum pr_code rc = PR_OK;
    if (in->graph->n == 0)
        return PR_OK;
    pr_rng_init(&b.rng, in->seed);
    if (open(&b))
        search(&b);
    else
        rc = pr_fail(err, PR_ENOMEM, "out of memory bisecting %u vertices", in->graph->n);
    free(b.gain);
    free(b.key);
    free(b.at);
    free(b.locked);
    free(b.heap[0].vertex);
    free(b.heap[1].vertex);
    free(b.moved);
    free(b.best);
    return rc;
}

/* --- recursion ------------------------------------------------------------ */

struct recursion {
    const uint64_t *capacity;
    unsigned tries;
};

/* How far the sides may exceed their parts, so that after all bisections still
 * to come, no block exceeds its capacity. */
static void set_limits(struct placement_bisect_input *in, uint64_t total, double left, double right,
                       uint32_t blocks)
{
    const double room = left + right, depth = ceil(log2((double)blocks));
    const double slack = total == 0 ? 1 : pow(room / (double)total, 1 / depth);
    in->target = (uint64_t)((double)total * (left / room) + 0.5);
    in->limit[0] = (uint64_t)((double)total * (left / room) * slack);
    in->limit[1] = (uint64_t)((double)total * (right / room) * slack);
}

static enum pr_code split(const struct recursion *r, const struct placement_graph *g,
                          const uint16_t *fixed, uint32_t lo, uint32_t hi, uint64_t seed,
                          uint16_t *block, struct pr_err *err);

/* Solves one side on its own graph and writes it back. */
static enum pr_code split_side(const struct recursion *r, const struct placement_graph *g,
                               const uint16_t *fixed, const struct placement_members *m,
                               const uint16_t *side, uint16_t s, uint32_t lo, uint32_t hi,
                               uint64_t seed, uint16_t *block, struct pr_err *err)
{
    struct placement_graph sub;
    const uint32_t *member = m->member + m->begin[s];
    enum pr_code rc = placement_subgraph(g, side, m, s, &sub, err);
    if (rc != PR_OK)
        return rc;
    uint16_t *sub_block = malloc(((size_t)sub.n + 1) * 2 * sizeof *sub_block);
    uint16_t *sub_fixed = sub_block == NULL ? NULL : sub_block + sub.n + 1;
    if (sub_block == NULL)
        rc = pr_fail(err, PR_ENOMEM, "out of memory bisecting %u vertices", g->n);
    for (uint32_t i = 0; i < sub.n && fixed != NULL && rc == PR_OK; i++)
        sub_fixed[i] = fixed[member[i]];
    if (rc == PR_OK)
        rc = split(r, &sub, fixed == NULL ? NULL : sub_fixed, lo, hi, seed, sub_block, err);
    for (uint32_t i = 0; i < sub.n && rc == PR_OK; i++)
        block[member[i]] = sub_block[i];
    free(sub_block);
    placement_graph_done(&sub);
    return rc;
}

static double sum_of(const uint64_t *capacity, uint32_t lo, uint32_t hi)
{
    double sum = 0;
    for (uint32_t b = lo; b < hi; b++)
        sum += (double)capacity[b];
    return sum;
}

static enum pr_code split(const struct recursion *r, const struct placement_graph *g,
                          const uint16_t *fixed, uint32_t lo, uint32_t hi, uint64_t seed,
                          uint16_t *block, struct pr_err *err)
{
    const uint32_t mid = lo + (hi - lo) / 2;
    const double left = sum_of(r->capacity, lo, mid), right = sum_of(r->capacity, mid, hi);
    if (hi - lo == 1 || g->n == 0 || left + right <= 0) {
        for (uint32_t v = 0; v < g->n; v++) /* what weighs nothing may be fixed where no room is */
            block[v] = fixed != NULL && fixed[v] != PLACEMENT_FREE ? fixed[v] : (uint16_t)lo;
        return PR_OK;
    }
    struct placement_bisect_input in = { .graph = g, .tries = r->tries, .seed = pr_mix64(seed) };
    struct placement_members m = { 0 };
    uint16_t *side = malloc(((size_t)g->n + 1) * sizeof *side);
    uint16_t *fixed_side = fixed == NULL ? NULL : malloc(((size_t)g->n + 1) * sizeof *fixed_side);
    enum pr_code rc = PR_OK;
    if (side == NULL || (fixed != NULL && fixed_side == NULL))
        rc = pr_fail(err, PR_ENOMEM, "out of memory bisecting %u vertices", g->n);
    for (uint32_t v = 0; v < g->n && fixed_side != NULL; v++)
        fixed_side[v] = fixed[v] == PLACEMENT_FREE ? PLACEMENT_FREE : fixed[v] >= mid;
    in.fixed = fixed_side;
    set_limits(&in, g->vertex_weight_sum, left, right, hi - lo);
    if (rc == PR_OK)
        rc = placement_bisect(&in, side, err);
    if (rc == PR_OK)
        rc = placement_members_init(side, g->n, 2, &m, err);
    if (rc == PR_OK)
        rc = split_side(r, g, fixed, &m, side, 0, lo, mid, seed * 2 + 1, block, err);
    if (rc == PR_OK)
        rc = split_side(r, g, fixed, &m, side, 1, mid, hi, seed * 2 + 2, block, err);
    placement_members_done(&m);
    free(side);
    free(fixed_side);
    return rc;
}

/* Bisecting reads rows in an order that gap-coded ones are slow for. */
static enum pr_code plain_copy(const struct placement_graph *g, struct placement_graph *out,
                               struct pr_err *err)
{
    struct placement_members all = { 0 };
    uint16_t *one = calloc((size_t)g->n + 1, sizeof *one);
    if (one == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory bisecting %u vertices", g->n);
    enum pr_code rc = placement_members_init(one, g->n, 1, &all, err);
    if (rc == PR_OK)
        rc = placement_subgraph(g, one, &all, 0, out, err);
    placement_members_done(&all);
    free(one);
    return rc;
}

enum pr_code placement_bisect_all(const struct placement_graph *g, uint32_t blocks,
                                  const uint64_t *capacity, const uint16_t *fixed, unsigned tries,
                                  uint64_t seed, uint16_t *block, struct pr_err *err)
{
    const struct recursion r = { .capacity = capacity, .tries = tries };
    struct placement_graph plain = { 0 };
    enum pr_code rc = g->coded == NULL ? PR_OK : plain_copy(g, &plain, err);
    if (rc == PR_OK)
        rc = split(&r, g->coded == NULL ? g : &plain, fixed, 0, blocks, seed, block, err);
    placement_graph_done(&plain);
    return rc;
}
