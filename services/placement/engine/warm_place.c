/* New vertices, and those of blocks that are gone: where most of their edge
 * weight goes. A placed vertex draws its homeless neighbours after it, first
 * come first served, so groups of new vertices grow from their ties to old
 * ones; a group without any starts where most room is. */
#include "engine/warm_internal.h"

#include <stdlib.h>

enum { QUEUED = 1 };

struct placing {
    struct warm *w;
    struct warm_list queue; /* read from at on */
    size_t at;
    uint8_t *state; /* [n] QUEUED once */
};

static void enqueue(struct placing *p, uint32_t v)
{
    if (p->w->block[v] != PLACEMENT_FREE || p->state[v] != 0)
        return;
    p->state[v] = QUEUED;
    warm_add(&p->queue, v);
}

/* Where nothing has room (weighted vertices) the roomiest block is overfilled:
 * repair packs it. */
static void place_one(struct placing *p, uint32_t v)
{
    struct warm *w = p->w;
    const struct warm_choice c = warm_choose(w, &w->ties[0], v, true);
    warm_set(w, v, c.go != PLACEMENT_FREE ? c.go : w->roomiest[1]);
    const struct placement_row row = placement_row(w->g, v, w->ties[0].scratch);
    for (uint32_t i = 0; i < row.n; i++)
        enqueue(p, row.to[i]);
    warm_worked(w, row.n);
}

static enum pr_code drain(struct placing *p, struct pr_err *err)
{
    while (p->at < p->queue.n && !p->queue.failed) {
        if (!warm_go_on(p->w, 0.1))
            return warm_canceled(err);
        place_one(p, p->queue.v[p->at++]);
    }
    return p->queue.failed ? warm_no_memory(p->w, err) : PR_OK;
}

static bool has_placed_neighbour(struct warm *w, uint32_t v)
{
    const struct placement_row row = placement_row(w->g, v, w->ties[0].scratch);
    warm_worked(w, (uint64_t)row.n + 1); /* at most: it ends at the first */
    for (uint32_t i = 0; i < row.n; i++)
        if (w->block[row.to[i]] != PLACEMENT_FREE)
            return true;
    return false;
}

enum pr_code warm_place(struct warm *w, struct pr_err *err)
{
    struct placing p = { .w = w, .state = calloc((size_t)w->g->n + 1, 1) };
    const size_t homeless = w->stirred.n;
    if (p.state == NULL)
        return warm_no_memory(w, err);
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < homeless && rc == PR_OK; i++) {
        if (!warm_go_on(w, 0.1))
            rc = warm_canceled(err);
        else if (has_placed_neighbour(w, w->stirred.v[i]))
            enqueue(&p, w->stirred.v[i]);
    }
    if (rc == PR_OK)
        rc = drain(&p, err);
    for (size_t i = 0; i < homeless && rc == PR_OK; i++) {
        enqueue(&p, w->stirred.v[i]);
        rc = drain(&p, err);
    }
    free(p.queue.v);
    free(p.state);
    return rc;
}
