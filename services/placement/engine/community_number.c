#include "engine/community_level.h"

#include <string.h>

enum {
    VERTEX_GRAIN = 4096,
    CHUNK_ARCS = 1 << 15, /* few entries of a row are looked at */
};

/* Pieces of communities are trees of hooks, each vertex on a smaller one of the
 * same piece. The first hook that is found joins nearly all; only communities
 * that then seem to be in pieces are looked at more closely. */
struct pieces {
    struct community_work *w;
    const struct community_level *l;
    uint32_t *hook;  /* [n] a vertex itself: the first of a piece */
    uint64_t *count; /* [n] pieces of a community */
};

static void find_hooks(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    const struct pieces *p = ctx;
    const uint32_t *label = p->l->label;
    if (worker == 0 && !placement_community_go_on(p->w, CHUNK_ARCS))
        return;
    for (uint32_t v = (uint32_t)begin; v < end; v++) {
        const struct placement_row row = placement_row(p->l->g, v, p->w->worker[worker].scratch);
        p->hook[v] = v;
        for (uint32_t i = 0; i < row.n && row.to[i] < v; i++) /* rows of the finest ascend */
            if (label[row.to[i]] == label[v]) {
                p->hook[v] = row.to[i];
                break;
            }
    }
}

static uint32_t first_of(uint32_t *hook, uint32_t v)
{
    while (hook[v] != v) {
        hook[v] = hook[hook[v]];
        v = hook[v];
    }
    return v;
}

static void join_around(struct pieces *p, uint32_t v)
{
    const struct placement_row row = placement_row(p->l->g, v, p->w->worker[0].scratch);
    const uint32_t *label = p->l->label, own = label[v];
    uint32_t a = first_of(p->hook, v);
    for (uint32_t i = 0; i < row.n && p->count[own] > 1; i++) {
        if (label[row.to[i]] != own)
            continue;
        const uint32_t b = first_of(p->hook, row.to[i]);
        if (a == b)
            continue;
        p->hook[a > b ? a : b] = a > b ? b : a;
        a = a > b ? b : a;
        p->count[own]--;
    }
}

/* false: canceled. */
static bool find_pieces(struct pieces *p)
{
    const struct community_level *l = p->l;
    const uint32_t n = l->g->n;
    pr_pool_for(p->w->pool, n, VERTEX_GRAIN, find_hooks, p);
    if (!placement_community_go_on(p->w, n))
        return false; /* some vertices have no hook */
    memset(p->count, 0, (size_t)n * sizeof *p->count);
    for (uint32_t v = 0; v < n; v++)
        p->count[l->label[v]] += p->hook[v] == v;
    for (unsigned all = 0; all <= 1; all++)
        for (uint32_t v = 0; v < n; v++)
            if ((all || p->hook[v] == v) && p->count[l->label[v]] > 1) {
                join_around(p, v);
                if (!placement_community_go_on(p->w, placement_community_degree(l, v)))
                    return false;
            }
    return placement_community_go_on(p->w, n);
}

uint32_t placement_community_number(struct community_work *w, const struct community_level *l,
                                    bool split, uint32_t *community)
{
    const uint32_t n = l->g->n;
    uint32_t count = 0;
    if (split) {
        struct pieces p = { .w = w, .l = l, .hook = w->want, .count = w->group_total };
        if (!find_pieces(&p))
            return 0;
        for (uint32_t v = 0; v < n; v++)
            community[v] = p.hook[v] == v ? count++ : community[first_of(p.hook, v)];
        return count;
    }
    uint32_t *number = w->want;
    memset(number, 0xff, (size_t)n * sizeof *number);
    for (uint32_t v = 0; v < n; v++) {
        if (number[l->label[v]] == UINT32_MAX)
            number[l->label[v]] = count++;
        community[v] = number[l->label[v]];
    }
    return count;
}
