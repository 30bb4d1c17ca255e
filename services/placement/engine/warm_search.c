/* Local search from the frontier: best move first, and a move queues those
 * neighbours whom it gives a reason to follow. */
#include "engine/warm_internal.h"

enum { SWAP_ROUNDS = 8 };

/* Rows whose bound is unknown are read when their turn comes: first. */
static void look_at(struct warm *w, uint32_t v)
{
    if (w->bound[v] > 0)
        warm_push(&w->heap, w->bound[v], v);
}

static void look_around(struct warm *w, uint32_t v)
{
    const struct placement_row row = placement_row(w->g, v, w->ties[0].scratch);
    warm_worked(w, (uint64_t)row.n + 1);
    for (uint32_t i = 0; i < row.n; i++)
        look_at(w, row.to[i]);
}

static enum pr_code seed_heap(struct warm *w, struct pr_err *err)
{
    if (w->in->changed == NULL) { /* every row has been read */
        for (uint32_t v = 0; v < w->g->n; v++)
            look_at(w, v);
        return PR_OK;
    }
    for (uint32_t i = 0; i < w->in->n_changed; i++)
        look_at(w, w->in->changed[i]);
    for (size_t i = 0; i < w->stirred.n; i++) {
        if (!warm_go_on(w, 0.5))
            return warm_canceled(err);
        look_at(w, w->stirred.v[i]);
        look_around(w, w->stirred.v[i]);
    }
    return PR_OK;
}

/* Whether the limit on moves keeps v where it is. */
static bool held(const struct warm *w, uint32_t v)
{
    return w->moved >= w->in->moves && !w->forced[v] && warm_has_home(w, v) &&
           w->block[v] == w->in->today[v];
}

static void step(struct warm *w)
{
    const struct warm_entry e = warm_pop(&w->heap);
    if (e.key != w->bound[e.v]) { /* it changed since; a rise was queued when it came */
        if (e.key > w->bound[e.v] && w->bound[e.v] > 0)
            warm_push(&w->heap, w->bound[e.v], e.v);
        return;
    }
    if (w->capped && held(w, e.v))
        return; /* without looking: one that pays is known */
    const struct warm_choice c = warm_choose(w, &w->ties[0], e.v, false);
    w->bound[e.v] = c.bound_go;
    if (c.want_net > 0 && c.want_net > c.go_net)
        warm_add(&w->blocked, e.v);
    if (c.bound_go <= 0)
        return;
    if (c.bound_go < e.key) { /* less than believed: when its turn comes */
        warm_push(&w->heap, c.bound_go, e.v);
    } else if (held(w, e.v)) {
        w->capped = true;
    } else {
        w->bound[e.v] = 0; /* the best there was */
        warm_move(w, e.v, c.go, c.go_gain);
    }
}

static enum pr_code drain(struct warm *w, struct pr_err *err)
{
    uint64_t steps = 0;
    while (w->heap.n > 0) {
        if (!warm_go_on(w, 0.5 + 0.5 * (double)steps / (double)(steps + w->heap.n + 1)))
            return warm_canceled(err);
        warm_worked(w, 1);
        step(w);
        steps++;
    }
    return w->heap.failed || w->blocked.failed ? warm_no_memory(w, err) : PR_OK;
}

enum pr_code warm_search(struct warm *w, struct pr_err *err)
{
    enum pr_code rc = seed_heap(w, err);
    if (rc == PR_OK)
        rc = drain(w, err);
    for (unsigned i = 0;
         i < SWAP_ROUNDS && rc == PR_OK && w->blocked.n > 0 && w->moved < w->in->moves; i++) {
        uint64_t found;
        rc = warm_swap(w, &found, err);
        if (rc == PR_OK)
            rc = drain(w, err);
        if (found == 0)
            break;
    }
    return rc;
}
