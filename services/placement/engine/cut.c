#include "engine/cut.h"

#include "engine/watched.h"

#include <stdlib.h>

enum { GRAIN = 4096 };

struct cutting {
    const struct placement_graph *g;
    const uint16_t *label;
    uint32_t *scratch; /* [threads * degree_max] for coded rows */
    uint64_t *twice;   /* [threads] */
};

static void cut_chunk(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct cutting *c = ctx;
    uint64_t twice = 0;
    for (uint64_t v = begin; v < end; v++) {
        const struct placement_row row = placement_row(
            c->g, (uint32_t)v,
            c->g->coded == NULL ? NULL : c->scratch + (size_t)worker * c->g->degree_max);
        for (uint32_t i = 0; i < row.n; i++)
            if (c->label[row.to[i]] != c->label[v])
                twice += placement_arc_weight(&row, i);
    }
    c->twice[worker] += twice;
}

enum pr_code placement_cut(const struct placement_graph *g, const uint16_t *label,
                           struct pr_pool *pool, const struct placement_watch *watch, double done,
                           uint64_t *cut, struct pr_err *err)
{
    const unsigned threads = pr_pool_threads(pool);
    const size_t decoded = g->coded == NULL ? 0 : (size_t)threads * g->degree_max;
    struct cutting c = { g, label, malloc((decoded + 1) * sizeof *c.scratch),
                         calloc(threads, sizeof *c.twice) };
    const bool ok = c.scratch != NULL && c.twice != NULL;
    const bool all = ok && placement_watched_for(pool, watch, done, g->n, GRAIN, cut_chunk, &c);
    uint64_t twice = 0;
    for (unsigned i = 0; i < threads && all; i++)
        twice += c.twice[i];
    free(c.scratch);
    free(c.twice);
    *cut = twice / 2;
    if (all)
        return PR_OK;
    return ok ? pr_fail(err, PR_ECANCELED, "canceled while measuring a cut")
              : pr_fail(err, PR_ENOMEM, "out of memory measuring a cut");
}
