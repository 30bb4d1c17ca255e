#include "engine/multilevel.h"

#include "engine/bisect.h"
#include "engine/cluster.h"
#include "engine/contract.h"
#include "engine/refine.h"
#include "prism/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEVELS = 64,
    CLUSTER_PASSES = 2,
    SMALLEST = 300,        /* vertices below which coarsening ends ... */
    SMALLEST_A_BLOCK = 16, /* ... or so many a block */
    PARTS_A_BLOCK = 3,     /* clusters that the smallest block takes at least */
    PARTS_LATER = 12,
    TRIES = 8, /* cuts of the smallest graph */
    BISECT_TRIES = 3,
    STALE = 10,
    CYCLES = 2, /* the second coarsens within the first's blocks */
};

struct level {
    struct placement_graph own; /* of this level, but the first */
    const struct placement_graph *graph;
    uint32_t *group; /* [n] vertex of the next level */
    uint16_t *fixed; /* [n] or NULL; owned but on the first */
    uint16_t *block; /* [n] of a later cycle: what there is to improve; as fixed */
};

struct multilevel {
    const struct placement_partition_input *in;
    uint64_t seed;
    struct level level[LEVELS];
    unsigned levels; /* the last is the smallest */
    unsigned cycle;
    bool quick;
};

static uint64_t least_capacity(const struct placement_partition_input *in)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t b = 0; b < in->blocks; b++)
        if (in->capacity[b] > 0 && in->capacity[b] < least)
            least = in->capacity[b];
    return least;
}

static uint32_t smallest(const struct placement_partition_input *in)
{
    const uint64_t blocks = (uint64_t)in->blocks * SMALLEST_A_BLOCK;
    return blocks > SMALLEST ? (uint32_t)blocks : SMALLEST;
}

/* Heavy clusters find the shape of a cut; the lighter ones of a later cycle
 * improve it. */
static uint64_t cluster_limit(const struct placement_partition_input *in, bool later)
{
    const uint64_t even = in->graph->vertex_weight_sum / smallest(in) * 3;
    const uint64_t part = least_capacity(in) / (later ? PARTS_LATER : PARTS_A_BLOCK);
    const uint64_t limit = even > part ? even : part;
    return limit == 0 ? 1 : limit;
}

static enum pr_code out_of_memory(const struct placement_graph *g, struct pr_err *err)
{
    return pr_fail(err, PR_ENOMEM, "out of memory cutting %u vertices", g->n);
}

/* What all vertices of a group share: their block if fixed, or the one that a
 * later cycle starts from. */
static enum pr_code project_up(const struct level *fine, const struct level *coarse,
                               const uint16_t *from, uint16_t **to, struct pr_err *err)
{
    if (from == NULL)
        return PR_OK;
    *to = malloc(((size_t)coarse->graph->n + 1) * sizeof **to);
    if (*to == NULL)
        return out_of_memory(coarse->graph, err);
    for (uint32_t v = 0; v < fine->graph->n; v++)
        (*to)[fine->group[v]] = from[v];
    return PR_OK;
}

static double done(const struct multilevel *m, double of_cycle)
{
    return (m->cycle + of_cycle) / CYCLES;
}

/* Makes the next level; *enough when it is not worth one. */
static enum pr_code coarsen(struct multilevel *m, bool *enough, struct pr_err *err)
{
    struct level *fine = &m->level[m->levels - 1], *coarse = &m->level[m->levels];
    const struct placement_graph *g = fine->graph;
    /* The first level takes about half of the way down, and so on. */
    const double from = done(m, 0.5 * (1 - pow(0.5, m->levels - 1))),
                 to = done(m, 0.5 * (1 - pow(0.5, m->levels)));
    uint32_t *group = malloc(((size_t)g->n + 1) * sizeof *group), clusters;
    if (group == NULL)
        return out_of_memory(g, err);
    const struct placement_cluster_input c = {
        .graph = g,
        .max_weight = cluster_limit(m->in, fine->block != NULL),
        .fixed = fine->fixed,
        .within = fine->block,
        .passes = CLUSTER_PASSES,
        .seed = pr_mix64(m->seed + m->levels),
        .pool = m->in->pool,
        .watch = &m->in->watch,
        .done_from = from,
        .done_to = to,
    };
    enum pr_code rc = placement_cluster(&c, group, &clusters, err);
    *enough = rc == PR_OK && clusters > g->n - g->n / 20;
    if (rc == PR_OK && !*enough)
        rc = placement_contract(g, group, m->in->pool, &coarse->own, NULL, &m->in->watch, to, err);
    if (rc != PR_OK || *enough) {
        free(group);
        return rc;
    }
    fine->group = group;
    coarse->graph = &coarse->own;
    m->levels++;
    rc = project_up(fine, coarse, fine->fixed, &coarse->fixed, err);
    return rc == PR_OK ? project_up(fine, coarse, fine->block, &coarse->block, err) : rc;
}

/* apart: by one of several workers, none of which may ask the watch. */
static enum pr_code refine(struct multilevel *m, unsigned at, bool apart, uint16_t *block,
                           uint64_t *cut, bool *balanced, struct pr_err *err)
{
    const struct level *l = &m->level[at];
    const struct placement_refine_input r = {
        .graph = l->graph,
        .blocks = m->in->blocks,
        .capacity = m->in->capacity,
        .fixed = l->fixed,
        .patience = at == 0 ? 0.25 : 0.75,
        .stale = STALE,
        .pool = apart ? NULL : m->in->pool,
        .watch = apart ? NULL : &m->in->watch,
        .done = done(m, 0.5 + 0.5 * pow(0.5, at + 1)),
    };
    return placement_refine_level(&r, block, cut, balanced, err);
}

/* --- the smallest graph --------------------------------------------------- */

struct attempts {
    struct multilevel *m;
    struct attempt {
        uint16_t *block;
        uint64_t cut;
        bool balanced;
        enum pr_code rc;
    } attempt[TRIES];
};

static void attempt_some(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct attempts *a = ctx;
    struct multilevel *m = a->m;
    const struct level *l = &m->level[m->levels - 1];
    (void)worker;
    for (uint64_t i = begin; i < end; i++) {
        struct attempt *t = &a->attempt[i];
        t->block = malloc(((size_t)l->graph->n + 1) * sizeof *t->block);
        t->rc = t->block == NULL ? PR_ENOMEM : PR_OK;
        if (t->rc == PR_OK)
            t->rc =
                placement_bisect_all(l->graph, m->in->blocks, m->in->capacity, l->fixed,
                                     BISECT_TRIES, pr_mix64(m->seed ^ (i << 32)), t->block, NULL);
        if (t->rc == PR_OK)
            t->rc = refine(m, m->levels - 1, true, t->block, &t->cut, &t->balanced, NULL);
    }
}

static enum pr_code cut_smallest(struct multilevel *m, uint16_t *block, struct pr_err *err)
{
    struct attempts a = { .m = m };
    const struct placement_graph *g = m->level[m->levels - 1].graph;
    const struct attempt *best = &a.attempt[0];
    enum pr_code rc = PR_OK;
    const unsigned tries = m->quick ? 1 : TRIES;
    pr_pool_for(m->in->pool, tries, 1, attempt_some, &a);
    for (unsigned i = 0; i < tries; i++) {
        const struct attempt *t = &a.attempt[i];
        if (t->rc != PR_OK)
            rc = out_of_memory(g, err);
        else if ((t->balanced && !best->balanced) ||
                 (t->balanced == best->balanced && t->cut < best->cut))
            best = t;
    }
    if (rc == PR_OK)
        memcpy(block, best->block, g->n * sizeof *block);
    for (unsigned i = 0; i < tries; i++)
        free(a.attempt[i].block);
    return rc;
}

/* --- back ----------------------------------------------------------------- */

static void close_level(struct level *l, bool first)
{
    placement_graph_done(&l->own);
    free(l->group);
    l->group = NULL;
    if (first)
        return;
    free(l->fixed);
    free(l->block);
    l->fixed = NULL;
    l->block = NULL;
}

struct projection {
    const uint32_t *group;
    const uint16_t *coarse;
    uint16_t *fine;
};

static void project_chunk(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    const struct projection *p = ctx;
    (void)worker;
    for (uint64_t v = begin; v < end; v++)
        p->fine[v] = p->coarse[p->group[v]];
}

/* Both arrays hold the blocks of one level in turn; the result is in *block. */
static enum pr_code uncoarsen(struct multilevel *m, uint16_t **block, uint16_t **other,
                              bool *balanced, struct pr_err *err)
{
    uint64_t cut;
    enum pr_code rc = refine(m, m->levels - 1, false, *block, &cut, balanced, err);
    while (rc == PR_OK && m->levels > 1) {
        const struct level *fine = &m->level[m->levels - 2];
        struct projection p = { fine->group, *block, *other };
        pr_pool_for(m->in->pool, fine->graph->n, 16384, project_chunk, &p);
        *other = *block;
        *block = p.fine;
        close_level(&m->level[--m->levels], false);
        rc = refine(m, m->levels - 1, false, *block, &cut, balanced, err);
    }
    return rc;
}

static enum pr_code cycle(struct multilevel *m, uint16_t **block, uint16_t **other, bool *balanced,
                          struct pr_err *err)
{
    bool enough = false;
    enum pr_code rc = PR_OK;
    m->levels = 1;
    while (rc == PR_OK && !enough && m->levels < LEVELS &&
           m->level[m->levels - 1].graph->n > smallest(m->in))
        rc = coarsen(m, &enough, err);
    if (rc == PR_OK && m->level[0].block == NULL)
        rc = cut_smallest(m, *block, err);
    else if (rc == PR_OK)
        memcpy(*block, m->level[m->levels - 1].block,
               m->level[m->levels - 1].graph->n * sizeof **block);
    if (rc == PR_OK)
        rc = uncoarsen(m, block, other, balanced, err);
    for (unsigned i = 0; i < LEVELS; i++)
        close_level(&m->level[i], i == 0);
    return rc;
}

enum pr_code placement_multilevel(const struct placement_partition_input *in, uint64_t seed,
                                  bool quick, uint16_t *block, bool *balanced, struct pr_err *err)
{
    const size_t n = (size_t)in->graph->n + 1;
    struct multilevel *m = calloc(1, sizeof *m);
    uint16_t *one = malloc(n * sizeof *one), *two = malloc(n * sizeof *two);
    enum pr_code rc = PR_OK;
    if (m == NULL || one == NULL || two == NULL)
        rc = out_of_memory(in->graph, err);
    for (unsigned i = 0; i < CYCLES && rc == PR_OK; i++) {
        m->in = in;
        m->cycle = i;
        m->quick = quick;
        m->seed = pr_mix64(seed + i);
        m->level[0].graph = in->graph;
        m->level[0].fixed = (uint16_t *)in->fixed; /* only read */
        m->level[0].block = i == 0 ? NULL : block;
        rc = cycle(m, &one, &two, balanced, err);
        if (rc == PR_OK)
            memcpy(block, one, in->graph->n * sizeof *block);
    }
    free(m);
    free(one);
    free(two);
    return rc;
}
