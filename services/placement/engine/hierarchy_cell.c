/* One site's units cut among its children. */
#include "engine/hierarchy_private.h"

#include "core/match.h"
#include "core/store.h" /* PLACEMENT_MAX_ZONES: what core/match.h takes */

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool span_go_on(void *ctx, double done)
{
    struct hierarchy_span *s = ctx;
    const double now = s->from + done * (s->to - s->from);
    if (now > *s->reached)
        *s->reached = now;
    return s->watch->go_on == NULL || s->watch->go_on(s->watch->ctx, *s->reached);
}

struct placement_watch hierarchy_watch(struct hierarchy_span *s)
{
    return (struct placement_watch){ span_go_on, s };
}

/* --- limits --------------------------------------------------------------- */

/* A child filled to the brim leaves its own children no choice, and units that
 * cannot be divided no way to fit. So the room to spare is dealt out over the
 * levels below: of d levels, this one uses up 1/d. */
static void set_limits(const struct hierarchy_cell *c)
{
    const struct placement_graph *g = c->graph;
    double room = 0;
    uint64_t heaviest = g->vertex_weight == NULL ? 1 : 0;
    for (uint32_t i = 0; i < c->children; i++)
        room += (double)c->capacity[i];
    for (uint32_t v = 0; g->vertex_weight != NULL && v < g->n; v++)
        heaviest = g->vertex_weight[v] > heaviest ? g->vertex_weight[v] : heaviest;
    const double full = room > 0 ? fmin((double)g->vertex_weight_sum / room, 1) : 1;
    const double most = full + (1 - full) / c->depth;
    for (uint32_t i = 0; i < c->children; i++) {
        const double even = ceil((double)c->capacity[i] * full) + (double)heaviest;
        const double limit = fmax(ceil((double)c->capacity[i] * most), even);
        c->limit[i] =
            c->depth == 1 || limit >= (double)c->capacity[i] ? c->capacity[i] : (uint64_t)limit;
    }
}

/* What lies there already may stay as far as capacity allows. */
static enum pr_code raise_limits(const struct hierarchy_cell *c, const uint16_t *place,
                                 struct pr_err *err)
{
    if (place == NULL)
        return PR_OK;
    uint64_t *held = calloc((size_t)c->children + 1, sizeof *held);
    if (held == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for %u sites", c->children);
    for (uint32_t v = 0; v < c->graph->n; v++)
        if (place[v] != PLACEMENT_FREE)
            held[place[v]] += placement_vertex_weight(c->graph, v);
    for (uint32_t i = 0; i < c->children; i++) {
        const uint64_t may = held[i] < c->capacity[i] ? held[i] : c->capacity[i];
        c->limit[i] = may > c->limit[i] ? may : c->limit[i];
    }
    free(held);
    return PR_OK;
}

/* --- naming --------------------------------------------------------------- */

struct pair { /* weight of a block's units that are in a child today */
    uint32_t block, child;
    uint64_t weight;
};

struct naming {
    const struct hierarchy_cell *c;
    uint64_t *size;    /* [children] weight of a block */
    bool *pinned;      /* [children] blocks whose name is given */
    uint16_t *name;    /* [children] of a block; PLACEMENT_FREE: none yet */
    struct pair *pair; /* [pairs] */
    size_t pairs;
};

static int by_pair(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    if (x->block != y->block)
        return x->block < y->block ? -1 : 1;
    return x->child < y->child ? -1 : x->child > y->child;
}

static int heaviest_first(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return by_pair(a, b);
}

/* An empty partition's move is still some work, so each unit counts 1 more. */
static void count_pairs(struct naming *m, const uint16_t *block)
{
    const struct hierarchy_cell *c = m->c;
    size_t n = 0;
    for (uint32_t v = 0; v < c->graph->n; v++) {
        const uint64_t weight = placement_vertex_weight(c->graph, v);
        m->size[block[v]] += weight;
        if (c->fixed != NULL && c->fixed[v] != PLACEMENT_FREE)
            m->pinned[block[v]] = true;
        if (c->today[v] != PLACEMENT_FREE)
            m->pair[n++] = (struct pair){ block[v], c->today[v], weight + 1 };
    }
    qsort(m->pair, n, sizeof *m->pair, by_pair);
    for (size_t i = 0; i < n; i++) {
        struct pair *last = m->pairs > 0 ? &m->pair[m->pairs - 1] : NULL;
        if (last != NULL && last->block == m->pair[i].block && last->child == m->pair[i].child)
            last->weight += m->pair[i].weight;
        else
            m->pair[m->pairs++] = m->pair[i];
    }
}

/* The best of all namings; few children only. */
static enum pr_code name_by_matching(struct naming *m, struct pr_err *err)
{
    const uint32_t k = m->c->children;
    uint64_t total = 0;
    unsigned shift = 0;
    uint64_t *overlap = calloc((size_t)k * k, sizeof *overlap);
    if (overlap == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory to name %u blocks", k);
    for (size_t i = 0; i < m->pairs; i++)
        total += m->pair[i].weight;
    while (total >> shift >= (uint64_t)1 << 39) /* what the matching can add up */
        shift++;
    for (size_t i = 0; i < m->pairs; i++)
        overlap[(size_t)m->pair[i].block * k + m->pair[i].child] = m->pair[i].weight >> shift;
    for (uint32_t b = 0; b < k; b++)
        if (m->pinned[b])
            overlap[(size_t)b * k + b] += (total >> shift) + 1; /* above all that names can win */
    const struct placement_match_input in = { k, overlap, m->size, m->c->limit };
    enum pr_code rc = placement_match(&in, m->name, err);
    free(overlap);
    return rc;
}

static void take(struct naming *m, bool *taken, uint32_t block, uint32_t child)
{
    m->name[block] = (uint16_t)child;
    taken[child] = true;
}

/* Children too many for the matching: the heaviest overlaps first; then blocks
 * without a name keep theirs where it is free, and the others get what fits. */
static enum pr_code name_greedily(struct naming *m, struct pr_err *err)
{
    const uint32_t k = m->c->children;
    bool *taken = calloc((size_t)k + 1, sizeof *taken);
    if (taken == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory to name %u blocks", k);
    qsort(m->pair, m->pairs, sizeof *m->pair, heaviest_first);
    for (uint32_t b = 0; b < k; b++)
        if (m->pinned[b])
            take(m, taken, b, b);
    for (size_t i = 0; i < m->pairs; i++) {
        const struct pair *p = &m->pair[i];
        if (m->name[p->block] == PLACEMENT_FREE && !taken[p->child] &&
            m->c->limit[p->child] >= m->size[p->block])
            take(m, taken, p->block, p->child);
    }
    for (uint32_t b = 0; b < k; b++)
        if (m->name[b] == PLACEMENT_FREE && !taken[b])
            take(m, taken, b, b);
    bool fits = true;
    for (uint32_t b = 0; b < k && fits; b++) {
        for (uint32_t s = 0; s < k && m->name[b] == PLACEMENT_FREE; s++)
            if (!taken[s] && m->c->limit[s] >= m->size[b])
                take(m, taken, b, s);
        fits = m->name[b] != PLACEMENT_FREE;
    }
    for (uint32_t b = 0; b < k && !fits; b++) /* as the cut named them: that always fits */
        m->name[b] = (uint16_t)b;
    free(taken);
    return PR_OK;
}

enum pr_code hierarchy_name(const struct hierarchy_cell *c, uint16_t *block, struct pr_err *err)
{
    const size_t k = c->children;
    if (c->today == NULL)
        return PR_OK;
    struct naming m = { .c = c,
                        .size = calloc(k, sizeof *m.size),
                        .pinned = calloc(k, sizeof *m.pinned),
                        .name = malloc(k * sizeof *m.name),
                        .pair = malloc(((size_t)c->graph->n + 1) * sizeof *m.pair) };
    enum pr_code rc = PR_OK;
    if (m.size == NULL || m.pinned == NULL || m.name == NULL || m.pair == NULL) {
        rc = pr_fail(err, PR_ENOMEM, "out of memory to name %zu blocks", k);
    } else {
        memset(m.name, 0xff, k * sizeof *m.name);
        count_pairs(&m, block);
        rc = k <= PLACEMENT_MAX_ZONES ? name_by_matching(&m, err) : name_greedily(&m, err);
    }
    for (uint32_t v = 0; v < c->graph->n && rc == PR_OK; v++)
        block[v] = m.name[block[v]];
    free(m.size);
    free(m.pinned);
    free(m.name);
    free(m.pair);
    return rc;
}

/* --- solving -------------------------------------------------------------- */

/* True when nothing is left to decide: one child, or every unit is pinned. */
static bool settled(const struct hierarchy_cell *c, uint16_t *block)
{
    for (uint32_t v = 0; v < c->graph->n; v++) {
        const uint16_t pin = c->fixed == NULL ? PLACEMENT_FREE : c->fixed[v];
        if (pin == PLACEMENT_FREE && c->children > 1)
            return false;
        block[v] = pin == PLACEMENT_FREE ? 0 : pin;
    }
    return true;
}

static enum pr_code check_settled(const struct hierarchy_cell *c, const uint16_t *block,
                                  struct pr_err *err)
{
    memset(c->limit, 0, c->children * sizeof *c->limit);
    for (uint32_t v = 0; v < c->graph->n; v++)
        c->limit[block[v]] += placement_vertex_weight(c->graph, v);
    for (uint32_t i = 0; i < c->children; i++)
        if (c->limit[i] > c->capacity[i])
            return pr_fail(err, PR_EFULL, "child %u must hold %llu and may hold %llu", i,
                           (unsigned long long)c->limit[i], (unsigned long long)c->capacity[i]);
    return PR_OK;
}

enum pr_code hierarchy_cell_fresh(const struct placement_hierarchy_input *in,
                                  const struct hierarchy_cell *c, uint16_t *block,
                                  struct pr_err *err)
{
    struct placement_partition_input cut = { .graph = c->graph,
                                             .blocks = c->children,
                                             .capacity = c->limit,
                                             .fixed = c->fixed,
                                             .seed = in->seed,
                                             .seeds = in->seeds,
                                             .pool = in->pool,
                                             .watch = c->watch };
    struct placement_partition_result result;
    if (settled(c, block))
        return check_settled(c, block, err);
    set_limits(c);
    enum pr_code rc = raise_limits(c, c->fixed, err);
    if (rc == PR_OK)
        rc = placement_partition(&cut, block, &result, err);
    if (rc == PR_EFULL) {
        memcpy(c->limit, c->capacity, c->children * sizeof *c->limit);
        rc = placement_partition(&cut, block, &result, err);
    }
    return rc == PR_OK ? hierarchy_name(c, block, err) : rc;
}

enum pr_code hierarchy_cell_warm(const struct placement_hierarchy_input *in,
                                 const struct hierarchy_cell *c, uint16_t *block,
                                 struct placement_warm_result *out, struct pr_err *err)
{
    const struct placement_warm_input warm = { .graph = c->graph,
                                               .blocks = c->children,
                                               .capacity = c->limit,
                                               .today = c->today,
                                               .fixed = c->fixed,
                                               .changed = c->changed,
                                               .n_changed = c->n_changed,
                                               .price = in->price,
                                               .moves = c->moves,
                                               .pool = in->pool,
                                               .watch = c->watch };
    *out = (struct placement_warm_result){ .cut = 0 };
    if (settled(c, block))
        return check_settled(c, block, err);
    set_limits(c);
    enum pr_code rc = raise_limits(c, c->fixed, err);
    if (rc == PR_OK)
        rc = raise_limits(c, c->today, err);
    if (rc == PR_OK)
        rc = placement_warm(&warm, block, out, err);
    if (rc == PR_EFULL) {
        memcpy(c->limit, c->capacity, c->children * sizeof *c->limit);
        rc = placement_warm(&warm, block, out, err);
    }
    return rc;
}
