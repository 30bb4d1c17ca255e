#include "engine/community_level.h"

#include <string.h>

enum {
    CHUNK = 64,      /* vertices of a batch that a worker takes at a time */
    BLOCK_BITS = 4,  /* vertices of a block stay neighbours in the order: one line of labels */
    ROUNDS_MAX = 64, /* rounding can make two gains disagree for ever */
};

/* A batch is worked on in three steps: every vertex of it chooses against
 * labels that stand still; those that want to move wake their neighbours and
 * let one with whom they would merely change places go first; then all the
 * others move, one by one, where the community they want still is as wanted.
 * The first two run in parallel, and none depends on who takes what. */
enum state { IDLE, AWAKE, LEAVING, LEAVING_AND_AWAKE };

struct mover {
    struct community_work *w;
    const struct community_level *l;
    uint32_t in_batch;
    uint32_t block, vertex; /* where the next batch begins: place in order, vertex */
    uint32_t blocks;
    unsigned bits;
    uint64_t moved;
};

static inline uint8_t state_of(const struct community_work *w, uint32_t v)
{
    return atomic_load_explicit(&w->state[v], memory_order_relaxed);
}

static inline void set_state(struct community_work *w, uint32_t v, enum state s)
{
    atomic_store_explicit(&w->state[v], (uint8_t)s, memory_order_relaxed);
}

/* --- choosing ------------------------------------------------------------- */

static inline bool has_room(const struct community_work *w, const struct community_level *l,
                            uint32_t v, uint32_t community)
{
    if (w->total[community] + l->strength[v] > w->max_total)
        return false;
    return w->weight == NULL ||
           placement_vertex_weight(l->g, v) <= w->max_weight - w->weight[community];
}

/* The largest gain; of equal ones the first in the row. Without edge weight a
 * community cannot win, so its total, far away in memory, is not looked up
 * where the edges alone decide. */
__attribute__((always_inline)) static inline uint32_t choose(const struct community_work *w,
                                                             const struct community_level *l,
                                                             const struct community_worker *k,
                                                             uint32_t v, bool weighted)
{
    const struct placement_row row = placement_row(l->g, v, k->scratch);
    const uint32_t *label = l->label, own = label[v];
    const uint64_t *total = w->total, strength = l->strength[v];
    uint32_t *touched = k->touched, *count = k->count, seen = 0, best = own;
    uint64_t *sum = k->sum;
    for (uint32_t i = 0; i < row.n; i++) {
        const uint32_t t = label[row.to[i]];
        touched[seen] = t;
        seen += (weighted ? sum[t] : count[t]) == 0;
        if (weighted)
            sum[t] += row.weight[i];
        else
            count[t]++;
    }

    const double pull = w->per * (double)strength;
    double most =
        (weighted ? (double)sum[own] : (double)count[own]) - pull * (double)(total[own] - strength);
    for (uint32_t i = 0; i < seen; i++) {
        const uint32_t t = touched[i];
        const double edges = weighted ? (double)sum[t] : (double)count[t];
        if (weighted)
            sum[t] = 0;
        else
            count[t] = 0;
        if (edges <= most || t == own)
            continue;
        const double gain = edges - pull * (double)total[t];
        if (gain > most && has_room(w, l, v, t)) {
            most = gain;
            best = t;
        }
    }
    return best;
}

static void decide(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    const struct mover *m = ctx;
    struct community_work *w = m->w;
    struct community_worker *k = &w->worker[worker];
    for (uint64_t i = begin; i < end; i++) {
        const uint32_t v = w->batch[i];
        const uint32_t t =
            m->l->g->weight == NULL ? choose(w, m->l, k, v, false) : choose(w, m->l, k, v, true);
        if (t == m->l->label[v])
            continue;
        w->want[v] = t;
        set_state(w, v, LEAVING);
    }
}

/* --- waking --------------------------------------------------------------- */

/* Wakes whom v's move may concern. true: a neighbour before v wants to come
 * where v is, while v wants to go where it is. */
static bool wake(struct community_work *w, const struct community_level *l, uint32_t *scratch,
                 uint32_t v)
{
    const struct placement_row row = placement_row(l->g, v, scratch);
    const uint32_t from = l->label[v], to = w->want[v];
    bool yield = false;
    for (uint32_t i = 0; i < row.n; i++) {
        const uint32_t u = row.to[i];
        const uint8_t s = state_of(w, u);
        if (s == AWAKE)
            continue;
        if (s == IDLE) {
            if (l->label[u] != to)
                set_state(w, u, AWAKE);
            continue;
        }
        if (w->want[u] != to)
            set_state(w, u, LEAVING_AND_AWAKE);
        yield = yield || (u < v && w->want[u] == from && l->label[u] == to);
    }
    return yield;
}

static bool is_leaving(const struct community_work *w, uint32_t v)
{
    return state_of(w, v) >= LEAVING;
}

static void wake_around(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    const struct mover *m = ctx;
    struct community_work *w = m->w;
    for (uint64_t i = begin; i < end; i++)
        w->yield[i] =
            is_leaving(w, w->batch[i]) && wake(w, m->l, w->worker[worker].scratch, w->batch[i]);
}

/* --- moving --------------------------------------------------------------- */

static void commit(struct mover *m, uint32_t count)
{
    struct community_work *w = m->w;
    const struct community_level *l = m->l;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t v = w->batch[i];
        if (!is_leaving(w, v))
            continue;
        const uint32_t from = l->label[v], to = w->want[v];
        /* Whoever made up an empty community has left. */
        if (w->yield[i] || w->total[to] == 0 || !has_room(w, l, v, to)) {
            set_state(w, v, AWAKE);
            continue;
        }
        set_state(w, v, state_of(w, v) == LEAVING ? IDLE : AWAKE);
        w->total[from] -= l->strength[v];
        w->total[to] += l->strength[v];
        if (w->weight != NULL) {
            w->weight[from] -= placement_vertex_weight(l->g, v);
            w->weight[to] += placement_vertex_weight(l->g, v);
        }
        l->label[v] = to;
        m->moved++;
    }
}

/* --- rounds --------------------------------------------------------------- */

/* Communities form where a walk begins, so it must not follow the numbering;
 * shuffling whole blocks keeps most of its locality. */
static void shuffle(struct mover *m)
{
    const uint32_t n = m->l->g->n;
    uint32_t *order = m->w->order;
    m->bits = n >> BLOCK_BITS < 64 ? 0 : BLOCK_BITS;
    m->blocks = (uint32_t)((n + ((uint64_t)1 << m->bits) - 1) >> m->bits);
    for (uint32_t i = 0; i < m->blocks; i++)
        order[i] = i;
    for (uint32_t i = m->blocks; i > 1; i--) {
        const uint32_t j = (uint32_t)pr_rng_below(&m->w->rng, i), swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
}

/* The next vertices that are awake; they are idle then. */
static uint32_t next_batch(struct mover *m, uint64_t *arcs)
{
    struct community_work *w = m->w;
    const uint32_t n = m->l->g->n;
    uint32_t count = 0;
    *arcs = 0;
    for (; m->block < m->blocks; m->block++, m->vertex = 0) {
        const uint64_t first = (uint64_t)w->order[m->block] << m->bits;
        for (; m->vertex < 1u << m->bits && first + m->vertex < n; m->vertex++) {
            const uint32_t v = (uint32_t)first + m->vertex;
            if (state_of(w, v) == IDLE)
                continue;
            if (count == m->in_batch || *arcs >= (uint64_t)m->in_batch * 64)
                return count;
            set_state(w, v, IDLE);
            w->batch[count++] = v;
            *arcs += placement_community_degree(m->l, v);
        }
    }
    return count;
}

void placement_community_move(struct community_work *w, struct community_level *l, double still)
{
    struct mover m = { .w = w, .l = l, .in_batch = placement_community_batch(l->g) };
    shuffle(&m);
    for (uint32_t v = 0; v < l->g->n; v++)
        set_state(w, v, AWAKE);
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        uint32_t count;
        uint64_t arcs;
        m.block = m.vertex = 0;
        m.moved = 0;
        while ((count = next_batch(&m, &arcs)) > 0) {
            pr_pool_for(w->pool, count, CHUNK, decide, &m);
            pr_pool_for(w->pool, count, CHUNK, wake_around, &m);
            commit(&m, count);
            if (!placement_community_go_on(w, arcs))
                return;
        }
        const bool small = l->g->arcs < COMMUNITY_SMALL_ARCS; /* rounds cost nothing */
        if (m.moved == 0 || (!small && (double)m.moved < still * (double)l->g->n))
            return;
    }
}
