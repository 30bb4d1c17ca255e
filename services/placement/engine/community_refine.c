#include "engine/community_level.h"

#include <string.h>

enum {
    CHUNK = 64,
    GROUP_MEAN = 4,  /* vertices a group, below which the next level is hardly smaller */
    DEGREE_MEAN = 8, /* entries a row, above which that matters */
};

struct refiner {
    struct community_work *w;
    const struct community_level *l;
    uint32_t next;
    uint32_t groups, most_groups; /* of two or more; beyond which to give up */
    bool large;
};

static bool is_alone(const struct refiner *r, uint32_t v)
{
    return r->l->parent[v] == v && r->w->group_total[v] == r->l->strength[v];
}

/* The group of its own community that v gains most by joining; itself when v
 * holds on to the community too weakly (Leiden's condition), or nothing gains.
 * Among single edges that is the smallest group, so groups stay small; large
 * prefers the larger of those with most edges. */
static uint32_t choose(const struct refiner *r, struct community_worker *k, uint32_t v)
{
    const struct community_work *w = r->w;
    const struct community_level *l = r->l;
    const struct placement_row row = placement_row(l->g, v, k->scratch);
    const uint32_t own = l->label[v];
    uint32_t touched = 0, best = v;
    uint64_t inside = 0;
    for (uint32_t i = 0; i < row.n; i++) {
        if (l->label[row.to[i]] != own)
            continue;
        const uint32_t t = l->parent[row.to[i]], weight = placement_arc_weight(&row, i);
        k->touched[touched] = t;
        touched += k->sum[t] == 0;
        k->sum[t] += weight;
        inside += weight;
    }
    const double pull = w->per * (double)l->strength[v];
    const bool holds = (double)inside >= pull * (double)(w->total[own] - l->strength[v]);
    double most = 0;
    uint64_t largest = 0;
    for (uint32_t i = 0; i < touched; i++) {
        const uint32_t t = k->touched[i];
        const double edges = (double)k->sum[t];
        k->sum[t] = 0;
        if (!holds || t == v || edges < most)
            continue;
        const double gain = edges - pull * (double)w->group_total[t];
        const double value = r->large && gain > 0 ? edges : gain;
        if (value > most || (r->large && value == most && w->group_total[t] > largest)) {
            most = value;
            largest = w->group_total[t];
            best = t;
        }
    }
    return best;
}

static void decide(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct refiner *r = ctx;
    for (uint64_t i = begin; i < end; i++)
        r->w->want[i] = choose(r, &r->w->worker[worker], r->w->batch[i]);
}

/* Only who is alone may leave, and only for a group that is still there: so a
 * group, once of two, never loses a member, and stays connected. Returns how
 * many choose again, first in the batch. */
static uint32_t commit(struct refiner *r, uint32_t count)
{
    const struct community_work *w = r->w;
    uint32_t again = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t v = w->batch[i], t = w->want[i];
        if (t == v || !is_alone(r, v))
            continue;
        if (r->l->parent[t] != t) {
            w->batch[again++] = v;
            continue;
        }
        r->groups += w->group_total[t] == r->l->strength[t];
        w->group_total[t] += r->l->strength[v];
        w->group_total[v] = 0;
        r->l->parent[v] = t;
    }
    return again;
}

/* false: too many groups, or canceled. */
static bool refine(struct refiner *r)
{
    struct community_work *w = r->w;
    const struct community_level *l = r->l;
    const uint32_t n = l->g->n, in_batch = placement_community_batch(l->g);
    for (uint32_t v = 0; v < n; v++)
        l->parent[v] = v;
    memcpy(w->group_total, l->strength, (size_t)n * sizeof *w->group_total);

    uint32_t count = 0;
    do {
        uint64_t arcs = 0;
        for (; r->next < n && count < in_batch && arcs < (uint64_t)in_batch * 64; r->next++)
            if (is_alone(r, r->next)) {
                w->batch[count++] = r->next;
                arcs += placement_community_degree(l, r->next);
            }
        pr_pool_for(w->pool, count, CHUNK, decide, r);
        count = commit(r, count);
        if (!placement_community_go_on(w, arcs) || r->groups > r->most_groups)
            return false;
    } while (count > 0 || r->next < n);
    return true;
}

void placement_community_refine(struct community_work *w, struct community_level *l)
{
    struct refiner r = { .w = w, .l = l, .most_groups = l->g->n };
    if (l->g->arcs / DEGREE_MEAN > l->g->n)
        r.most_groups = l->g->n / GROUP_MEAN;
    if (refine(&r) || w->canceled)
        return;
    r = (struct refiner){ .w = w, .l = l, .most_groups = l->g->n, .large = true };
    (void)refine(&r);
}
