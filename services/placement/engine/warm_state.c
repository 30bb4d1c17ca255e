#include "engine/warm_internal.h"

#include <stdlib.h>

enum { ASK_AFTER = 1 << 20 }; /* row entries: a few ms */

static bool before(const struct warm_entry *a, const struct warm_entry *b)
{
    return a->key != b->key ? a->key > b->key : a->v < b->v;
}

static bool heap_room(struct warm_heap *h)
{
    if (h->n < h->cap)
        return true;
    const size_t cap = h->cap == 0 ? 1024 : 2 * h->cap;
    struct warm_entry *grown = realloc(h->e, cap * sizeof *grown);
    if (grown == NULL) {
        h->failed = true;
        return false;
    }
    h->e = grown;
    h->cap = cap;
    return true;
}

void warm_log(struct warm *w, uint32_t v)
{
    if (heap_room(&w->log))
        w->log.e[w->log.n++] = (struct warm_entry){ w->bound[v], v };
}

void warm_push(struct warm_heap *h, int64_t key, uint32_t v)
{
    if (!heap_room(h))
        return;
    const struct warm_entry e = { key, v };
    size_t at = h->n++;
    while (at > 0 && before(&e, &h->e[(at - 1) / 2])) {
        h->e[at] = h->e[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    h->e[at] = e;
}

struct warm_entry warm_pop(struct warm_heap *h)
{
    const struct warm_entry top = h->e[0], last = h->e[--h->n];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && before(&h->e[child + 1], &h->e[child]))
            child++;
        if (!before(&h->e[child], &last))
            break;
        h->e[at] = h->e[child];
        at = child;
    }
    h->e[at] = last;
    return top;
}

void warm_add(struct warm_list *l, uint32_t v)
{
    if (l->n == l->cap) {
        const size_t cap = l->cap == 0 ? 1024 : 2 * l->cap;
        uint32_t *grown = realloc(l->v, cap * sizeof *grown);
        if (grown == NULL) {
            l->failed = true;
            return;
        }
        l->v = grown;
        l->cap = cap;
    }
    l->v[l->n++] = v;
}

bool warm_ask(struct warm *w, double done)
{
    const struct placement_watch *watch = &w->in->watch;
    w->ties[0].work = 0;
    if (done > w->done)
        w->done = done;
    return watch->go_on == NULL || watch->go_on(watch->ctx, w->done);
}

bool warm_go_on(struct warm *w, double done)
{
    return w->ties[0].work < ASK_AFTER || warm_ask(w, done);
}

enum pr_code warm_no_memory(const struct warm *w, struct pr_err *err)
{
    return pr_fail(err, PR_ENOMEM, "out of memory placing %u vertices anew", w->g->n);
}

enum pr_code warm_canceled(struct pr_err *err)
{
    return pr_fail(err, PR_ECANCELED, "canceled while improving today's placement");
}

/* --- the block with most room --------------------------------------------- */

static uint16_t roomier(const struct warm *w, uint16_t a, uint16_t b)
{
    if (a == PLACEMENT_FREE || b == PLACEMENT_FREE)
        return a == PLACEMENT_FREE ? b : a;
    const uint64_t room_a = warm_excess(w, a) > 0 ? 0 : w->in->capacity[a] - w->load[a];
    const uint64_t room_b = warm_excess(w, b) > 0 ? 0 : w->in->capacity[b] - w->load[b];
    if (room_a != room_b)
        return room_a > room_b ? a : b;
    if (warm_open(w, a) != warm_open(w, b)) /* both without room: an open one takes weight 0 */
        return warm_open(w, a) ? a : b;
    if (w->first[a] != w->first[b])
        return w->first[a] < w->first[b] ? a : b;
    return a < b ? a : b;
}

void warm_rank_rooms(struct warm *w)
{
    for (uint32_t i = 0; i < w->leaves; i++)
        w->roomiest[w->leaves + i] = i < w->in->blocks ? (uint16_t)i : PLACEMENT_FREE;
    for (uint32_t i = w->leaves - 1; i > 0; i--)
        w->roomiest[i] = roomier(w, w->roomiest[2 * i], w->roomiest[2 * i + 1]);
}

static void rank_room(struct warm *w, uint16_t b)
{
    for (uint32_t i = (w->leaves + b) / 2; i > 0; i /= 2)
        w->roomiest[i] = roomier(w, w->roomiest[2 * i], w->roomiest[2 * i + 1]);
}

void warm_load(struct warm *w, uint16_t b, uint64_t weight)
{
    w->load[b] += weight;
    rank_room(w, b);
}

/* --- one vertex ------------------------------------------------------------ */

/* What is weighed for each block v could go to. */
struct weighing {
    uint32_t v;
    uint64_t weight, own; /* own: edge weight inside its block */
    int64_t here;         /* cost of being where it is */
    int64_t cost;         /* of being anywhere but home */
    uint16_t home;        /* PLACEMENT_FREE: none */
};

static void weigh(const struct warm *w, const struct weighing *g, uint16_t b, uint64_t tie,
                  struct warm_choice *c)
{
    if (w->in->capacity[b] == 0 || g->weight > w->in->capacity[b])
        return;
    const int64_t gain = (int64_t)(tie - g->own);
    const int64_t net = gain + g->here - (b == g->home ? 0 : g->cost);
    if (net > c->want_net) {
        c->want_net = net;
        c->want = b;
    }
    if (net > c->go_net && warm_fits(w, b, g->weight)) {
        c->go_net = net;
        c->go_gain = gain;
        c->go = b;
    }
}

/* Of equal blocks the first in the row wins, whatever its name. */
struct warm_choice warm_choose(struct warm *w, struct warm_ties *t, uint32_t v, bool anywhere)
{
    const uint16_t from = w->block[v];
    const struct placement_row row = placement_row(w->g, v, t->scratch);
    uint32_t touched = 0;
    t->work += (uint64_t)row.n + 1;
    for (uint32_t i = 0; i < row.n; i++) {
        const uint16_t b = w->block[row.to[i]];
        if (b == PLACEMENT_FREE)
            continue;
        if (t->tie[b] == 0)
            t->touched[touched++] = b;
        t->tie[b] += placement_arc_weight(&row, i);
    }

    struct warm_choice c = { from, from, INT64_MIN, INT64_MIN, 0, 0, 0 };
    struct weighing g = { .v = v,
                          .weight = placement_vertex_weight(w->g, v),
                          .cost = warm_cost(w, v),
                          .home = warm_has_home(w, v) ? w->in->today[v] : PLACEMENT_FREE };
    if (from != PLACEMENT_FREE) {
        g.own = t->tie[from];
        g.here = from == g.home ? 0 : g.cost;
    }
    for (uint32_t i = 0; i < touched; i++)
        if (t->touched[i] != from)
            weigh(w, &g, t->touched[i], t->tie[t->touched[i]], &c);
    const uint16_t roomiest = w->roomiest[1];
    if (g.home != PLACEMENT_FREE && g.home != from && t->tie[g.home] == 0)
        weigh(w, &g, g.home, 0, &c);
    if (anywhere && roomiest != from && t->tie[roomiest] == 0)
        weigh(w, &g, roomiest, 0, &c);
    for (uint32_t i = 0; i < touched; i++)
        t->tie[t->touched[i]] = 0;

    const int64_t untied = g.here - g.cost - (int64_t)g.own;
    c.bound = c.want_net > untied ? c.want_net : untied;
    c.bound_go = c.go_net > untied ? c.go_net : untied;
    return c;
}

void warm_set(struct warm *w, uint32_t v, uint16_t to)
{
    const uint16_t from = w->block[v];
    const uint64_t weight = placement_vertex_weight(w->g, v);
    w->block[v] = to;
    if (from != PLACEMENT_FREE)
        warm_load(w, from, 0 - weight);
    warm_load(w, to, weight);
}

int64_t warm_gain(struct warm *w, uint32_t v, uint16_t to)
{
    const uint16_t from = w->block[v];
    const struct placement_row row = placement_row(w->g, v, w->ties[0].scratch);
    int64_t gain = 0;
    warm_worked(w, (uint64_t)row.n + 1);
    for (uint32_t i = 0; i < row.n; i++) {
        const uint16_t b = w->block[row.to[i]];
        const int64_t weight = placement_arc_weight(&row, i);
        gain += b == to ? weight : b == from ? -weight : 0;
    }
    return gain;
}

void warm_tell(struct warm *w, uint32_t v, uint16_t from)
{
    const uint16_t to = w->block[v];
    const struct placement_row row = placement_row(w->g, v, w->ties[0].scratch);
    warm_worked(w, row.n);
    for (uint32_t i = 0; i < row.n; i++) {
        const uint32_t u = row.to[i];
        const int64_t weight = placement_arc_weight(&row, i);
        const uint16_t own = w->block[u];
        if (w->bound[u] == WARM_NEVER)
            continue;
        if (w->climbing)
            warm_log(w, u);
        if (w->bound[u] != WARM_UNKNOWN) {
            w->bound[u] += own == to ? -weight : own == from ? 2 * weight : weight;
            if (own == to)
                continue;
        }
        if (w->repairing)
            warm_push_relief(w, u);
        else if (w->bound[u] > w->floor)
            warm_push(&w->heap, w->bound[u], u);
    }
}

void warm_move(struct warm *w, uint32_t v, uint16_t to, int64_t gain)
{
    const uint16_t from = w->block[v];
    w->moved += warm_counts(w, v, to);
    w->moved -= warm_counts(w, v, from);
    warm_set(w, v, to);
    w->cut -= (uint64_t)gain;
    if (to == w->in->today[v])
        w->forced[v] = 0; /* home again: it may leave for the cut's sake later */
    warm_tell(w, v, from);
}
