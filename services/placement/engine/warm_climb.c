/* Out of local optima: what no vertex gains alone, a handful of neighbours may
 * gain together (a page and its pictures). From a vertex that would lose little
 * a few moves are tried at a loss, best first among those whom they touch, after
 * Fiduccia and Mattheyses; the best prefix stays when it saves more than it
 * costs, the rest is undone. The work is limited to a part of one pass, and ends
 * early when it finds nothing for long. */
#include "engine/warm_internal.h"

#include <stdlib.h>

enum {
    BUCKETS = 12,  /* of seeds, by loss in mean edge weights */
    FLOOR = 4,     /* mean edge weights that one step may lose */
    STEPS = 24,    /* vertices of a climb */
    PATIENCE = 10, /* steps without a new best */
    POPS = 4 * STEPS,
    MAX_DEGREE = 256 /* hubs do not follow */
};

struct step {
    uint32_t v;
    uint16_t from;
    uint8_t forced;
    int64_t gain;
    size_t told; /* length of the log before */
};

struct climb {
    struct warm *w;
    struct step step[STEPS];
    unsigned steps;
};

static uint32_t degree(const struct warm *w, uint32_t v)
{
    const uint64_t n = w->g->start[v + 1] - w->g->start[v]; /* of a coded row bytes: alike */
    return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static bool moved_already(const struct climb *c, uint32_t v)
{
    for (unsigned i = 0; i < c->steps; i++)
        if (c->step[i].v == v)
            return true;
    return false;
}

static void undo(struct climb *c, unsigned keep)
{
    struct warm *w = c->w;
    while (c->steps > keep) {
        const struct step *s = &c->step[--c->steps];
        w->moved -= warm_counts(w, s->v, w->block[s->v]);
        warm_set(w, s->v, s->from);
        w->forced[s->v] = s->forced;
        w->moved += warm_counts(w, s->v, s->from);
        w->cut += (uint64_t)s->gain;
        while (w->log.n > s->told) {
            const struct warm_entry *e = &w->log.e[--w->log.n];
            w->bound[e->v] = e->key;
        }
    }
}

/* Moves v where it loses least; false: nowhere, or the limit on moves is reached. */
static bool advance(struct climb *c, uint32_t v, const struct warm_choice *to)
{
    struct warm *w = c->w;
    if (!warm_allowed(w, v, to->go))
        return false;
    c->step[c->steps++] = (struct step){ v, w->block[v], w->forced[v], to->go_gain, w->log.n };
    warm_log(w, v);
    w->bound[v] = (to->bound > 0 ? to->bound : 0) - to->go_net;
    warm_move(w, v, to->go, to->go_gain);
    return true;
}

/* Returns the vertices moved. */
static unsigned climb_from(struct climb *c, uint32_t seed)
{
    struct warm *w = c->w;
    int64_t total = 0, best = 0, gain = 0;
    double paid = 0;
    unsigned best_steps = 0, pops = 0;
    c->steps = 0;
    w->log.n = 0;
    w->heap.n = 0;
    warm_push(&w->heap, w->bound[seed], seed);
    while (w->heap.n > 0 && c->steps < STEPS && c->steps < best_steps + PATIENCE && pops++ < POPS) {
        const struct warm_entry e = warm_pop(&w->heap);
        if (degree(w, e.v) > MAX_DEGREE || moved_already(c, e.v))
            continue;
        const struct warm_choice to = warm_choose(w, &w->ties[0], e.v, false);
        if (to.go == w->block[e.v])
            continue;
        if (to.go_net < e.key && w->heap.n > 0 && to.go_net < w->heap.e[0].key) {
            warm_push(&w->heap, to.go_net, e.v);
            continue;
        }
        paid += warm_paid(w, e.v, w->block[e.v], to.go);
        if (!advance(c, e.v, &to))
            break;
        gain += to.go_gain;
        total += to.go_net;
        if (total > best && (double)gain > paid) {
            best = total;
            best_steps = c->steps;
        }
    }
    undo(c, best_steps);
    return best_steps;
}

/* seed[]: by loss in units, then by number. */
static uint32_t *collect(const struct warm *w, int64_t unit, size_t *n)
{
    size_t at[BUCKETS + 1] = { 0 };
    for (uint32_t v = 0; v < w->g->n; v++)
        if (w->bound[v] <= 0 && -w->bound[v] / unit < BUCKETS)
            at[-w->bound[v] / unit + 1]++;
    for (unsigned i = 0; i < BUCKETS; i++)
        at[i + 1] += at[i];
    *n = at[BUCKETS];
    uint32_t *seed = malloc((*n + 1) * sizeof *seed);
    for (uint32_t v = 0; seed != NULL && v < w->g->n; v++)
        if (w->bound[v] <= 0 && -w->bound[v] / unit < BUCKETS)
            seed[at[-w->bound[v] / unit]++] = v;
    return seed;
}

enum pr_code warm_climb(struct warm *w, uint64_t *found, struct pr_err *err)
{
    struct climb c = { .w = w };
    const uint64_t changes = (uint64_t)w->in->n_changed + w->stirred.n;
    size_t seeds;
    *found = 0;
    const int64_t unit = (int64_t)(w->g->arcs == 0 ? 1 : 2 * w->g->weight_sum / w->g->arcs);
    uint32_t *seed = collect(w, unit, &seeds);
    enum pr_code rc = PR_OK;
    if (seed == NULL)
        return warm_no_memory(w, err);
    uint64_t budget = w->in->changed == NULL ? w->g->arcs / 8 + 65536 : 256 * changes, vain = 0;
    const uint64_t patience = budget / 6;
    w->climbing = true;
    w->floor = -FLOOR * unit;
    for (size_t i = 0; i < seeds && rc == PR_OK; i++) {
        const uint64_t read = w->ties[0].work;
        const unsigned moved = climb_from(&c, seed[i]);
        const uint64_t work = w->ties[0].work - read;
        *found += moved;
        vain = moved > 0 ? 0 : vain + work;
        if (work >= budget || vain >= patience || w->moved >= w->in->moves)
            break;
        budget -= work;
        if (!warm_go_on(w, 0.9))
            rc = warm_canceled(err);
    }
    w->climbing = false;
    w->floor = 0;
    w->heap.n = 0;
    free(seed);
    if (rc == PR_OK && (w->heap.failed || w->log.failed))
        rc = warm_no_memory(w, err);
    return rc;
}
