#include "engine/community_level.h"

#include <math.h>
#include <stdlib.h>

enum {
    VERTEX_GRAIN = 8192,
    CHUNK_ARCS = 1 << 17, /* about so many entries are in one: when to ask the watch */
};

struct modularity {
    struct community_work *watched; /* may be NULL */
    const struct placement_graph *g;
    const uint32_t *label;
    uint32_t **scratch;
    _Atomic uint64_t *total, inside; /* whole numbers: any order gives the same sum */
};

static void sum_modularity(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct modularity *m = ctx;
    uint64_t inside = 0;
    if (worker == 0 && m->watched != NULL && !placement_community_go_on(m->watched, CHUNK_ARCS))
        return;
    for (uint32_t v = (uint32_t)begin; v < end; v++) {
        const struct placement_row row = placement_row(m->g, v, m->scratch[worker]);
        const uint32_t own = m->label[v];
        uint64_t strength = 0;
        for (uint32_t i = 0; i < row.n; i++) {
            const uint32_t weight = placement_arc_weight(&row, i);
            strength += weight;
            inside += m->label[row.to[i]] == own ? weight : 0;
        }
        atomic_fetch_add_explicit(&m->total[own], strength, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&m->inside, inside, memory_order_relaxed);
}

double placement_community_modularity(struct community_work *w, const struct placement_graph *g,
                                      const uint32_t *label, double resolution,
                                      struct pr_pool *pool)
{
    const unsigned threads = pr_pool_threads(pool);
    struct modularity m = { .watched = w, .g = g, .label = label };
    m.total = calloc((size_t)g->n + 1, sizeof *m.total);
    m.scratch = calloc(threads, sizeof *m.scratch);
    bool ok = m.total != NULL && m.scratch != NULL;
    for (unsigned i = 0; ok && g->coded != NULL && i < threads; i++) {
        m.scratch[i] = malloc(((size_t)g->degree_max + 1) * sizeof **m.scratch);
        ok = m.scratch[i] != NULL;
    }

    double q = ok ? 0 : (double)NAN;
    if (ok && g->weight_sum > 0) {
        const double all = 2 * (double)g->weight_sum;
        pr_pool_for(pool, g->n, VERTEX_GRAIN, sum_modularity, &m);
        for (uint32_t c = 0; c < g->n; c++) {
            const double share = (double)m.total[c] / all;
            q -= resolution * share * share;
        }
        q += (double)m.inside / all;
    }
    for (unsigned i = 0; m.scratch != NULL && i < threads; i++)
        free(m.scratch[i]);
    free(m.scratch);
    free((void *)m.total);
    return q;
}

double placement_modularity(const struct placement_graph *g, const uint32_t *label,
                            double resolution, struct pr_pool *pool)
{
    return placement_community_modularity(NULL, g, label, resolution, pool);
}
