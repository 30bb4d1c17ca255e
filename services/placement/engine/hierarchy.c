#include "engine/hierarchy_tree.h"

#include "engine/subgraph.h"

#include <stdlib.h>
#include <string.h>

struct solve {
    struct hierarchy_tree tree;
    struct placement_hierarchy_result result;
    uint64_t moves;  /* left of the cap */
    bool capped;     /* the cap was reached at the level at hand */
    double reached;  /* of the whole */
    uint16_t *trial; /* [units] a second solution of a level */
};

/* A cell's arrays, numbered as in its graph; all of them by children's ranks. */
struct cell {
    struct hierarchy_cell c;
    struct placement_graph owned;
    uint64_t *capacity, *limit;
    uint16_t *today, *fixed, *block;
    uint32_t *changed;
};

static void cell_done(struct cell *x)
{
    placement_graph_done(&x->owned);
    free(x->capacity);
    free(x->limit);
    free(x->today);
    free(x->fixed);
    free(x->block);
    free(x->changed);
}

static uint16_t rank_under(const struct hierarchy_level *v, uint16_t site, uint32_t parent)
{
    return site == PLACEMENT_FREE || v->parent[site] != parent ? PLACEMENT_FREE : v->rank[site];
}

static bool cell_allocate(struct cell *x, const struct solve *s, const struct hierarchy_level *v)
{
    const size_t n = (size_t)x->c.graph->n + 1, k = (size_t)x->c.children + 1;
    x->capacity = malloc(k * sizeof *x->capacity);
    x->limit = malloc(k * sizeof *x->limit);
    x->block = malloc(n * sizeof *x->block);
    if (v->today != NULL)
        x->today = malloc(n * sizeof *x->today);
    if (v->fixed != NULL)
        x->fixed = malloc(n * sizeof *x->fixed);
    if (s->tree.changed != NULL)
        x->changed = malloc(n * sizeof *x->changed);
    return x->capacity != NULL && x->limit != NULL && x->block != NULL &&
           (v->today == NULL || x->today != NULL) && (v->fixed == NULL || x->fixed != NULL) &&
           (s->tree.changed == NULL || x->changed != NULL);
}

/* member: units of the cell; NULL: all. */
static enum pr_code cell_fill(struct cell *x, const struct solve *s, uint32_t l, uint32_t parent,
                              const uint32_t *member, struct pr_err *err)
{
    const struct hierarchy_level *v = &s->tree.level[l];
    const uint16_t *child = v->child + v->begin[parent];
    x->c.children = v->begin[parent + 1] - v->begin[parent];
    x->c.depth = s->tree.levels - l;
    x->c.moves = s->moves;
    if (!cell_allocate(x, s, v))
        return pr_fail(err, PR_ENOMEM, "out of memory to place %u partitions", x->c.graph->n);
    for (uint32_t i = 0; i < x->c.children; i++)
        x->capacity[i] = v->capacity[child[i]];
    for (uint32_t i = 0; i < x->c.graph->n; i++) {
        const uint32_t u = member == NULL ? i : member[i];
        if (x->today != NULL)
            x->today[i] = rank_under(v, v->today[u], parent);
        if (x->fixed != NULL)
            x->fixed[i] = rank_under(v, v->fixed[u], parent);
        if (x->changed != NULL && s->tree.changed[u])
            x->changed[x->c.n_changed++] = i;
    }
    x->c.capacity = x->capacity;
    x->c.limit = x->limit;
    x->c.today = x->today;
    x->c.fixed = x->fixed;
    x->c.changed = x->changed;
    return PR_OK;
}

static enum pr_code solve_cell(struct solve *s, uint32_t l, uint32_t parent, bool warm,
                               const uint16_t *above, const struct placement_members *m,
                               struct hierarchy_span *span, uint16_t *site, struct pr_err *err)
{
    const struct hierarchy_level *v = &s->tree.level[l];
    const uint32_t *member = m == NULL ? NULL : m->member + m->begin[parent];
    struct cell x = { .c = { .graph = s->tree.graph, .watch = hierarchy_watch(span) } };
    enum pr_code rc = PR_OK;
    if (m != NULL) {
        rc = placement_subgraph(s->tree.graph, above, m, (uint16_t)parent, &x.owned, err);
        x.c.graph = &x.owned;
    }
    if (rc == PR_OK)
        rc = cell_fill(&x, s, l, parent, member, err);
    if (rc == PR_OK && warm) {
        struct placement_warm_result w;
        rc = hierarchy_cell_warm(s->tree.in, &x.c, x.block, &w, err);
        if (rc == PR_OK) {
            s->moves -= w.moved < s->moves ? w.moved : s->moves;
            s->capped |= w.capped;
        }
    } else if (rc == PR_OK) {
        rc = hierarchy_cell_fresh(s->tree.in, &x.c, x.block, err);
    }
    for (uint32_t i = 0; rc == PR_OK && i < x.c.graph->n; i++)
        site[member == NULL ? i : member[i]] = v->child[v->begin[parent] + x.block[i]];
    cell_done(&x);
    return rc == PR_OK ? PR_OK : pr_wrap(err, rc, "within site %u above level %u", parent, l);
}

/* The cells of level l: one for each site at the level above, whose site of
 * each unit is given; NULL: one cell. */
static enum pr_code solve_cells(struct solve *s, uint32_t l, const uint16_t *above, bool warm,
                                uint16_t *site, struct pr_err *err)
{
    const uint32_t parents = s->tree.level[l].parents, n = s->tree.graph->n;
    const double levels = s->tree.levels;
    struct placement_members m = { 0 };
    struct hierarchy_span span = { &s->tree.in->watch, l / levels, (l + 1) / levels, &s->reached };
    if (n == 0)
        return PR_OK;
    if (above == NULL)
        return solve_cell(s, l, 0, warm, NULL, NULL, &span, site, err);
    enum pr_code rc = placement_members_init(above, n, parents, &m, err);
    for (uint32_t p = 0; p < parents && rc == PR_OK; p++) {
        span.from = (l + (double)m.begin[p] / n) / levels;
        span.to = (l + (double)m.begin[p + 1] / n) / levels;
        if (m.begin[p + 1] > m.begin[p])
            rc = solve_cell(s, l, p, warm, above, &m, &span, site, err);
    }
    placement_members_done(&m);
    return rc;
}

static bool spent(const struct solve *s, uint64_t cut, double reference_ratio)
{
    return placement_warm_spent(cut, s->tree.in->graph->weight_sum, reference_ratio,
                                s->tree.in->lost_ratio);
}

static const uint16_t *above(const struct solve *s, uint32_t l)
{
    return l == 0 ? NULL : s->tree.level[l - 1].site;
}

static enum pr_code solve_warm(struct solve *s, uint32_t l, struct pr_err *err)
{
    uint16_t *site = s->tree.level[l].site;
    s->capped = false;
    enum pr_code rc = solve_cells(s, l, above(s, l), true, site, err);
    return rc != PR_OK ? rc
                       : placement_cut(s->tree.graph, site, s->tree.in->pool, NULL, 0,
                                       &s->result.level[l].cut, err);
}

/* A fresh solution, which where there is a warm one must cut clearly less. */
static enum pr_code solve_fresh(struct solve *s, uint32_t l, bool warm, bool *kept,
                                struct pr_err *err)
{
    const struct placement_graph *g = s->tree.in->graph;
    struct placement_level *out = &s->result.level[l];
    uint64_t cut = 0;
    *kept = false;
    enum pr_code rc = solve_cells(s, l, above(s, l), false, s->trial, err);
    if (rc == PR_OK)
        rc = placement_cut(s->tree.graph, s->trial, s->tree.in->pool, NULL, 0, &cut, err);
    if (rc == PR_EFULL && warm)
        return PR_OK;
    if (rc != PR_OK)
        return rc;
    const double ratio = g->weight_sum == 0 ? 0 : (double)cut / (double)g->weight_sum;
    if (warm && !spent(s, out->cut, ratio))
        return PR_OK;
    memcpy(s->tree.level[l].site, s->trial, s->tree.graph->n * sizeof *s->trial);
    out->cut = cut;
    out->fresh = true;
    *kept = true;
    return PR_OK;
}

static enum pr_code solve_level(struct solve *s, uint32_t l, bool warm, struct pr_err *err)
{
    const double reference = s->tree.in->reference_ratio[l];
    const uint64_t moves = s->moves;
    bool fresh = false;
    enum pr_code rc = warm ? solve_warm(s, l, err) : PR_EFULL;
    if (rc == PR_EFULL)
        warm = false;
    else if (rc != PR_OK)
        return rc;
    if (!warm || reference < 0 || spent(s, s->result.level[l].cut, reference))
        rc = solve_fresh(s, l, warm, &fresh, err);
    if (fresh)
        s->moves = moves;
    else if (warm)
        s->result.capped |= s->capped;
    return rc;
}

static enum pr_code solve_levels(struct solve *s, bool warm, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    s->moves = s->tree.in->moves;
    s->result = (struct placement_hierarchy_result){ .flat = false };
    for (uint32_t l = 0; l < s->tree.levels && rc == PR_OK; l++)
        rc = solve_level(s, l, warm, err);
    return rc;
}

/* The deepest level above the leaves with pins, one more; 0 without any.
 * *whole: all units are pinned there. */
static uint32_t below_pins(const struct solve *s, bool *whole)
{
    uint32_t l = s->tree.levels - 1;
    while (l > 0 && s->tree.level[l - 1].fixed == NULL)
        l--;
    *whole = true;
    for (uint32_t u = 0; l > 0 && u < s->tree.graph->n; u++)
        *whole = *whole && s->tree.level[l - 1].fixed[u] != PLACEMENT_FREE;
    return l;
}

/* Makes the leaves children of sites at level `top` - 1 (0: of the one above
 * all), as if there were no levels between. */
static bool flatten(const struct solve *s, uint32_t top, struct hierarchy_level *v)
{
    const uint32_t last = s->tree.levels - 1;
    v->parents = top == 0 ? 1 : s->tree.level[top - 1].sites;
    v->begin = calloc((size_t)v->parents + 2, sizeof *v->begin);
    v->child = malloc(v->sites * sizeof *v->child);
    v->rank = malloc(v->sites * sizeof *v->rank);
    v->parent = calloc(v->sites, sizeof *v->parent);
    if (v->begin == NULL || v->child == NULL || v->rank == NULL || v->parent == NULL)
        return false;
    for (uint32_t leaf = 0; leaf < v->sites && top > 0; leaf++) {
        uint16_t up = (uint16_t)leaf;
        for (uint32_t l = last; l >= top; l--)
            up = s->tree.level[l].parent[up];
        v->parent[leaf] = up;
    }
    hierarchy_list_children(v, NULL);
    return true;
}

/* Levels above that did not leave the leaves enough choice are passed over. */
static enum pr_code solve_flat(struct solve *s, bool warm, struct pr_err *err)
{
    const uint32_t last = s->tree.levels - 1, n = s->tree.graph->n;
    struct hierarchy_level *leaves = &s->tree.level[last], kept = *leaves, flat = *leaves;
    bool whole;
    const uint32_t top = below_pins(s, &whole);
    const uint16_t *pinned = top == 0 ? NULL : s->tree.level[top - 1].fixed;
    if (!whole || top == last) /* nothing that can be passed over */
        return PR_EFULL;
    const bool ok = flatten(s, top, &flat);
    enum pr_code rc = PR_EFULL;
    *leaves = flat;
    if (!ok)
        rc = pr_fail(err, PR_ENOMEM, "out of memory to place %u partitions", n);
    if (ok && warm)
        rc = solve_cells(s, last, pinned, true, leaves->site, err);
    s->result = (struct placement_hierarchy_result){ .flat = true, .capped = s->capped };
    if (ok && rc == PR_EFULL) {
        warm = false;
        s->result.capped = false;
        rc = solve_cells(s, last, pinned, false, leaves->site, err);
    }
    free(flat.begin);
    free(flat.child);
    free(flat.rank);
    free(flat.parent);
    *leaves = kept;
    for (uint32_t l = last; rc == PR_OK && l-- > 0;)
        for (uint32_t u = 0; u < n; u++)
            s->tree.level[l].site[u] = s->tree.level[l + 1].parent[s->tree.level[l + 1].site[u]];
    for (uint32_t l = 0; l <= last && rc == PR_OK; l++) {
        s->result.level[l].fresh = !warm;
        rc = placement_cut(s->tree.graph, s->tree.level[l].site, s->tree.in->pool, NULL, 0,
                           &s->result.level[l].cut, err);
    }
    return rc;
}

static enum pr_code solve_tree(struct solve *s, struct pr_err *err)
{
    const struct placement_hierarchy_input *in = s->tree.in;
    const bool warm = in->today != NULL && !in->fresh;
    enum pr_code rc = solve_levels(s, warm, err);
    if (rc == PR_EFULL && warm)
        rc = solve_levels(s, false, err);
    if (rc != PR_EFULL)
        return rc;
    s->capped = false;
    s->moves = in->moves;
    return solve_flat(s, warm, err);
}

static void count_moves(struct solve *s)
{
    const struct placement_graph *g = s->tree.in->graph;
    for (uint32_t l = 0; s->tree.in->today != NULL && l < s->tree.levels; l++) {
        const struct hierarchy_level *v = &s->tree.level[l];
        for (uint32_t p = 0; p < g->n; p++) {
            const uint32_t u = hierarchy_unit(&s->tree, p);
            /* A slot's partition without a place today has not moved. */
            if (s->tree.in->today[p] == PLACEMENT_FREE || v->today[u] == v->site[u])
                continue;
            s->result.level[l].moved++;
            s->result.level[l].moved_weight += placement_vertex_weight(g, p);
        }
    }
}

enum pr_code placement_hierarchy_solve(const struct placement_hierarchy_input *in, uint16_t *leaf,
                                       struct placement_hierarchy_result *out, struct pr_err *err)
{
    struct solve s = { .reached = 0 };
    enum pr_code rc = hierarchy_tree_init(&s.tree, in, err);
    if (rc == PR_OK) {
        s.trial = malloc(((size_t)s.tree.graph->n + 1) * sizeof *s.trial);
        if (s.trial == NULL)
            rc = pr_fail(err, PR_ENOMEM, "out of memory to place %u partitions", in->graph->n);
    }
    if (rc == PR_OK)
        rc = solve_tree(&s, err);
    if (rc == PR_OK) {
        const uint16_t *site = s.tree.level[s.tree.levels - 1].site;
        count_moves(&s);
        s.result.units = s.tree.graph->n;
        for (uint32_t p = 0; p < in->graph->n; p++)
            leaf[p] = site[hierarchy_unit(&s.tree, p)];
        *out = s.result;
    }
    free(s.trial);
    hierarchy_tree_done(&s.tree);
    return rc;
}

uint64_t placement_hierarchy_bytes(uint32_t n, uint64_t arcs, uint32_t leaves, bool slots,
                                   unsigned threads)
{
    const uint64_t graph = arcs * 8 + (uint64_t)n * 16;
    const uint64_t arrays = (uint64_t)n * (PLACEMENT_MAX_LEVELS * 6 + 32) + (uint64_t)leaves * 64;
    /* The graph with slots joined; a cell's graph; the cut of one. */
    return (slots ? graph : 0) + graph + arrays +
           placement_partition_bytes(n, arcs, true, leaves, threads);
}
