/* When blocks are full, a vertex gets into one only as another leaves it: the
 * one that loses least goes where it fits best, often to the place just left,
 * and the pair moves when both together save more than they cost. */
#include "engine/warm_internal.h"

#include <stdlib.h>
#include <string.h>

enum { TRIES = 8 };

struct swapping {
    struct warm *w;
    struct warm_heap wish;     /* who wants into a full block, by what it would save */
    int64_t *most;             /* [blocks] the best wish for a block; 0: none */
    struct warm_heap *leaving; /* [sought] of a sought block, who may leave, by bound */
    uint32_t *number;          /* [blocks] index into leaving, where most > 0 */
    uint32_t sought;
    uint64_t found;
    bool canceled;
};

/* Wishes that have come true or to nothing are dropped. */
static void collect_wishes(struct swapping *s)
{
    struct warm *w = s->w;
    for (size_t i = 0; i < w->blocked.n; i++) {
        if (!warm_go_on(w, 0.9)) {
            s->canceled = true;
            return;
        }
        const uint32_t v = w->blocked.v[i];
        const struct warm_choice c = warm_choose(w, &w->ties[0], v, false);
        w->bound[v] = c.bound; /* as one who leaves it may go where another makes room */
        if (c.go_net > 0)
            warm_push(&w->heap, c.bound, v); /* room has come */
        else if (c.want_net > 0)
            warm_push(&s->wish, c.want_net, v);
        if (c.want_net > 0 && c.want_net > s->most[c.want]) {
            if (s->most[c.want] == 0)
                s->number[c.want] = s->sought++;
            s->most[c.want] = c.want_net;
        }
    }
    w->blocked.n = 0;
}

static bool collect_leaving(struct swapping *s)
{
    const struct warm *w = s->w;
    s->leaving = calloc((size_t)s->sought + 1, sizeof *s->leaving);
    if (s->leaving == NULL)
        return false;
    for (uint32_t u = 0; u < w->g->n; u++) {
        const int64_t most = s->most[w->block[u]], bound = w->bound[u];
        if (most > 0 && bound != WARM_UNKNOWN && bound > -most)
            warm_push(&s->leaving[s->number[w->block[u]]], bound, u);
    }
    for (uint32_t i = 0; i < s->sought; i++)
        if (s->leaving[i].failed)
            return false;
    return true;
}

/* What an exchange has saved so far. */
struct saved {
    int64_t net, gain;
    double paid;
};

/* v is in block b already, which may be overfull by that. Lets somebody leave;
 * false: nobody who makes room for less than what is saved, or canceled. */
static bool make_room(struct swapping *s, uint32_t v, uint16_t b, struct saved saved)
{
    const int64_t net = saved.net;
    struct warm *w = s->w;
    struct warm_heap *leaving = &s->leaving[s->number[b]];
    struct warm_entry aside[TRIES];
    unsigned tried = 0;
    bool done = false;
    while (!done && tried < TRIES && leaving->n > 0 && leaving->e[0].key > -net) {
        if (!warm_go_on(w, 0.9)) { /* those with nowhere to go are no tries */
            s->canceled = true;
            break;
        }
        const struct warm_entry e = warm_pop(leaving);
        warm_worked(w, 1);
        if (w->block[e.v] != b || e.v == v || w->bound[e.v] == WARM_NEVER)
            continue;
        const struct warm_choice c = warm_choose(w, &w->ties[0], e.v, true);
        if (c.go == b)
            continue; /* has nowhere to go this round */
        aside[tried++] = (struct warm_entry){ c.go_net < e.key ? c.go_net : e.key, e.v };
        const double paid = saved.paid + warm_paid(w, e.v, b, c.go);
        if (c.go_net <= -net || (double)(saved.gain + c.go_gain) <= paid ||
            placement_vertex_weight(w->g, e.v) < warm_excess(w, b))
            continue;
        if (!warm_allowed(w, e.v, c.go)) {
            w->capped = true;
            continue;
        }
        tried--;
        done = true;
        w->bound[e.v] = (c.bound > 0 ? c.bound : 0) - c.go_net; /* it may want back */
        warm_move(w, e.v, c.go, c.go_gain);
        if (w->bound[e.v] > 0)
            warm_push(&w->heap, w->bound[e.v], e.v);
    }
    while (tried > 0) {
        tried--;
        warm_push(leaving, aside[tried].key, aside[tried].v);
    }
    return done;
}

static void grant(struct swapping *s, uint32_t v)
{
    struct warm *w = s->w;
    const uint16_t from = w->block[v];
    const struct warm_choice c = warm_choose(w, &w->ties[0], v, false);
    w->bound[v] = c.bound_go;
    if (c.go_net > 0) {
        warm_push(&w->heap, c.bound_go, v);
        return;
    }
    if (c.want_net <= 0 || s->most[c.want] == 0 || !warm_allowed(w, v, c.want))
        return;
    const int64_t gain = warm_gain(w, v, c.want);
    w->moved += warm_counts(w, v, c.want);
    w->moved -= warm_counts(w, v, from);
    warm_set(w, v, c.want);
    const struct saved saved = { c.want_net, gain, warm_paid(w, v, from, c.want) };
    if (!make_room(s, v, c.want, saved)) {
        w->moved += warm_counts(w, v, from);
        w->moved -= warm_counts(w, v, c.want);
        warm_set(w, v, from);
        return;
    }
    s->found++;
    w->cut -= (uint64_t)gain;
    if (c.want == w->in->today[v])
        w->forced[v] = 0;
    w->bound[v] = WARM_UNKNOWN;
    warm_push(&w->heap, WARM_UNKNOWN, v);
    warm_tell(w, v, from);
}

enum pr_code warm_swap(struct warm *w, uint64_t *found, struct pr_err *err)
{
    struct swapping s = { .w = w,
                          .most = calloc(w->in->blocks, sizeof *s.most),
                          .number = calloc(w->in->blocks, sizeof *s.number) };
    enum pr_code rc = PR_OK;
    bool ok = s.most != NULL && s.number != NULL;
    if (ok) {
        collect_wishes(&s);
        ok = s.canceled || collect_leaving(&s);
    }
    while (ok && s.wish.n > 0 && !s.canceled) {
        if (warm_go_on(w, 0.9))
            grant(&s, warm_pop(&s.wish).v);
        else
            s.canceled = true;
    }
    if (s.canceled)
        rc = warm_canceled(err);
    else if (!ok || s.wish.failed)
        rc = warm_no_memory(w, err);
    for (uint32_t i = 0; s.leaving != NULL && i < s.sought; i++)
        free(s.leaving[i].e);
    free(s.leaving);
    free(s.wish.e);
    free(s.most);
    free(s.number);
    *found = s.found;
    return rc;
}
