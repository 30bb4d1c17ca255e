/* Empties overfull blocks down to their capacity, cheapest loss first. */
#include "engine/warm_internal.h"

#include <stdlib.h>
#include <string.h>

/* Doubles as whole numbers in the same order. */
static int64_t ordered(double d)
{
    int64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return bits < 0 ? INT64_MIN - bits : bits;
}

/* What leaving saves (net, mostly below 0) for each unit of excess it takes
 * away, so that one heavy vertex does not go where a light one suffices. */
static int64_t relief_key(const struct warm *w, uint32_t v, int64_t net)
{
    const uint64_t weight = placement_vertex_weight(w->g, v);
    const uint64_t excess = warm_excess(w, w->block[v]);
    const double relief = (double)(weight < excess ? weight : excess);
    return ordered(net < 0 ? (double)net / relief : (double)net);
}

void warm_push_relief(struct warm *w, uint32_t v)
{
    if (warm_excess(w, w->block[v]) == 0 || placement_vertex_weight(w->g, v) == 0 ||
        w->bound[v] == WARM_NEVER)
        return;
    warm_push(&w->heap, relief_key(w, v, w->bound[v]), v);
}

static bool any_overfull(const struct warm *w, uint16_t *which)
{
    for (uint32_t b = 0; b < w->in->blocks; b++)
        if (warm_excess(w, (uint16_t)b) > 0) {
            *which = (uint16_t)b;
            return true;
        }
    return false;
}

static void force(struct warm *w, uint32_t v, uint16_t to, int64_t gain)
{
    if (!w->forced[v]) {
        w->forced[v] = w->in->today[v] != PLACEMENT_FREE;
        warm_add(&w->stirred, v);
    }
    warm_move(w, v, to, gain);
}

/* Keys are bounds from above: of equal or better ones none is passed over. */
static enum pr_code relieve(struct warm *w, struct pr_err *err)
{
    for (uint32_t v = 0; v < w->g->n; v++)
        warm_push_relief(w, v);
    while (w->heap.n > 0) {
        warm_worked(w, 1);
        if (!warm_go_on(w, 0.5))
            return warm_canceled(err);
        const struct warm_entry e = warm_pop(&w->heap);
        if (warm_excess(w, w->block[e.v]) == 0)
            continue;
        const struct warm_choice c = warm_choose(w, &w->ties[0], e.v, true);
        w->bound[e.v] = c.bound;
        if (c.go == w->block[e.v])
            continue;
        const int64_t key = relief_key(w, e.v, c.go_net);
        if (key < e.key && w->heap.n > 0 && key < w->heap.e[0].key) {
            warm_push(&w->heap, key, e.v);
            continue;
        }
        force(w, e.v, c.go, c.go_gain);
    }
    return w->heap.failed || w->stirred.failed ? warm_no_memory(w, err) : PR_OK;
}

/* --- weighted vertices that nothing has room for --------------------------- */

struct heavy {
    uint64_t weight;
    uint32_t v;
};

static int heavier_first(const void *a, const void *b)
{
    const struct heavy *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return x->v < y->v ? -1 : x->v > y->v;
}

/* to[n]: the heaviest first, each where it is when that still fits, else where
 * most room is. False: one fits nowhere. Leaves loads as they would be. */
static bool pack(struct warm *w, struct heavy *order, uint16_t *to)
{
    uint32_t n = 0;
    memset(w->load, 0, w->in->blocks * sizeof *w->load);
    for (uint32_t v = 0; v < w->g->n; v++) {
        to[v] = w->block[v];
        if (warm_fixed(w, v))
            w->load[to[v]] += placement_vertex_weight(w->g, v);
        else if (placement_vertex_weight(w->g, v) > 0)
            order[n++] = (struct heavy){ placement_vertex_weight(w->g, v), v };
    }
    qsort(order, n, sizeof *order, heavier_first);
    warm_rank_rooms(w);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t v = order[i].v;
        if (!warm_fits(w, to[v], order[i].weight))
            to[v] = w->roomiest[1];
        if (!warm_fits(w, to[v], order[i].weight))
            return false;
        warm_load(w, to[v], order[i].weight);
    }
    return true;
}

static enum pr_code repack(struct warm *w, struct pr_err *err)
{
    uint16_t full = 0;
    (void)any_overfull(w, &full);
    const uint64_t excess = warm_excess(w, full);
    struct heavy *order = malloc(((size_t)w->g->n + 1) * sizeof *order);
    uint16_t *to = malloc(((size_t)w->g->n + 1) * sizeof *to);
    uint64_t *load = malloc(w->in->blocks * sizeof *load);
    enum pr_code rc = PR_OK;
    if (order == NULL || to == NULL || load == NULL) {
        rc = warm_no_memory(w, err);
    } else {
        memcpy(load, w->load, w->in->blocks * sizeof *load);
        if (!pack(w, order, to))
            rc = pr_fail(err, PR_EFULL,
                         "block %u is %llu above its capacity, and no other has room for "
                         "what could leave it",
                         full, (unsigned long long)excess);
        memcpy(w->load, load, w->in->blocks * sizeof *load);
        warm_rank_rooms(w);
    }
    for (uint32_t v = 0; v < w->g->n && rc == PR_OK; v++) {
        if (!warm_go_on(w, 0.5))
            rc = warm_canceled(err);
        else if (to[v] != w->block[v])
            force(w, v, to[v], warm_gain(w, v, to[v]));
    }
    free(order);
    free(to);
    free(load);
    return rc;
}

enum pr_code warm_repair(struct warm *w, struct pr_err *err)
{
    uint16_t full;
    if (!any_overfull(w, &full))
        return PR_OK;
    w->repairing = true;
    enum pr_code rc = relieve(w, err);
    if (rc == PR_OK && any_overfull(w, &full))
        rc = repack(w, err);
    w->repairing = false;
    w->heap.n = 0;
    if (rc == PR_OK && (w->heap.failed || w->stirred.failed))
        rc = warm_no_memory(w, err);
    return rc;
}
