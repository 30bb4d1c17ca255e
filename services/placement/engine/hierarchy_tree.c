#include "engine/hierarchy_tree.h"

#include "engine/contract.h"

#include <stdlib.h>
#include <string.h>

static enum pr_code no_memory(const struct hierarchy_tree *t, struct pr_err *err)
{
    return pr_fail(err, PR_ENOMEM, "out of memory to place %u partitions", t->in->graph->n);
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return a + b < a ? UINT64_MAX : a + b;
}

/* --- sites ---------------------------------------------------------------- */

static enum pr_code check_tree(const struct placement_tree *tree, struct pr_err *err)
{
    if (tree->levels == 0 || tree->levels > PLACEMENT_MAX_LEVELS)
        return pr_fail(err, PR_EINVAL, "%u levels of sites, 1 to %d are supported", tree->levels,
                       PLACEMENT_MAX_LEVELS);
    for (uint32_t l = 0; l < tree->levels; l++) {
        if (tree->sites[l] == 0 || tree->sites[l] > PLACEMENT_MAX_BLOCKS)
            return pr_fail(err, PR_EINVAL, "%u sites at level %u, 1 to %d are supported",
                           tree->sites[l], l, PLACEMENT_MAX_BLOCKS);
        for (uint32_t s = 0; l > 0 && s < tree->sites[l]; s++)
            if (tree->parent[l][s] >= tree->sites[l - 1])
                return pr_fail(err, PR_EINVAL, "site %u of level %u lies in site %u of %u", s, l,
                               tree->parent[l][s], tree->sites[l - 1]);
    }
    return PR_OK;
}

static enum pr_code open_level(struct hierarchy_tree *t, uint32_t l, struct pr_err *err)
{
    const struct placement_tree *tree = t->in->tree;
    struct hierarchy_level *v = &t->level[l];
    v->sites = tree->sites[l];
    v->parents = l == 0 ? 1 : tree->sites[l - 1];
    v->capacity = calloc(v->sites, sizeof *v->capacity);
    v->begin = calloc((size_t)v->parents + 2, sizeof *v->begin);
    v->child = malloc(v->sites * sizeof *v->child);
    v->rank = calloc(v->sites, sizeof *v->rank);
    v->parent = calloc(v->sites, sizeof *v->parent);
    if (v->capacity == NULL || v->begin == NULL || v->child == NULL || v->rank == NULL ||
        v->parent == NULL)
        return no_memory(t, err);
    if (l != 0)
        memcpy(v->parent, tree->parent[l], v->sites * sizeof *v->parent);
    return PR_OK;
}

void hierarchy_list_children(struct hierarchy_level *v, const bool *has)
{
    /* Counted two places ahead and filled one ahead, begin ends up in place. */
    for (uint32_t s = 0; s < v->sites; s++)
        v->begin[v->parent[s] + 2u] += has == NULL || has[s];
    for (uint32_t p = 2; p <= v->parents + 1; p++)
        v->begin[p] += v->begin[p - 1];
    for (uint32_t s = 0; s < v->sites; s++)
        if (has == NULL || has[s])
            v->child[v->begin[v->parent[s] + 1u]++] = (uint16_t)s;
    for (uint32_t p = 0; p < v->parents; p++)
        for (uint32_t i = v->begin[p]; i < v->begin[p + 1]; i++)
            v->rank[v->child[i]] = (uint16_t)(i - v->begin[p]);
}

static enum pr_code open_sites(struct hierarchy_tree *t, struct pr_err *err)
{
    bool *has = malloc(PLACEMENT_MAX_BLOCKS * sizeof *has);
    bool *above = malloc(PLACEMENT_MAX_BLOCKS * sizeof *above);
    enum pr_code rc = has == NULL || above == NULL ? no_memory(t, err) : PR_OK;
    for (uint32_t l = 0; l < t->levels && rc == PR_OK; l++)
        rc = open_level(t, l, err);
    for (uint32_t l = t->levels; l-- > 0 && rc == PR_OK;) {
        struct hierarchy_level *v = &t->level[l];
        if (l == t->levels - 1) {
            memcpy(v->capacity, t->in->tree->capacity, v->sites * sizeof *v->capacity);
            memset(has, true, v->sites);
        }
        hierarchy_list_children(v, has);
        memset(above, false, v->parents);
        for (uint32_t s = 0; s < v->sites; s++) {
            above[v->parent[s]] |= has[s];
            if (l > 0) {
                uint64_t *sum = &t->level[l - 1].capacity[v->parent[s]];
                *sum = add(*sum, v->capacity[s]);
            }
        }
        bool *swap = has;
        has = above;
        above = swap;
    }
    free(has);
    free(above);
    return rc;
}

/* --- units ---------------------------------------------------------------- */

static enum pr_code join_slots(struct hierarchy_tree *t, struct pr_err *err)
{
    const uint32_t n = t->in->graph->n;
    t->graph = t->in->graph;
    if (t->in->slot == NULL)
        return PR_OK;
    uint32_t *first = malloc(((size_t)UINT16_MAX + 1) * sizeof *first);
    t->unit = malloc(((size_t)n + 1) * sizeof *t->unit);
    if (first == NULL || t->unit == NULL) {
        free(first);
        return no_memory(t, err);
    }
    memset(first, 0xff, ((size_t)UINT16_MAX + 1) * sizeof *first);
    for (uint32_t p = 0; p < n; p++) {
        uint32_t *f = &first[t->in->slot[p]];
        if (*f == UINT32_MAX)
            *f = p;
        t->unit[p] = *f;
    }
    free(first);
    t->graph = &t->owned;
    return placement_contract(t->in->graph, t->unit, t->in->pool, &t->owned, NULL, &t->in->watch, 0,
                              err);
}

static enum pr_code new_units(const struct hierarchy_tree *t, uint16_t **out, struct pr_err *err)
{
    *out = malloc(((size_t)t->graph->n + 1) * sizeof **out);
    if (*out == NULL)
        return no_memory(t, err);
    memset(*out, 0xff, ((size_t)t->graph->n + 1) * sizeof **out); /* PLACEMENT_FREE */
    return PR_OK;
}

/* A place of each partition to a place of each unit. */
static enum pr_code gather(const struct hierarchy_tree *t, const uint16_t *place, uint32_t sites,
                           const char *what, uint16_t *out, struct pr_err *err)
{
    for (uint32_t p = 0; p < t->in->graph->n; p++) {
        uint16_t *of = &out[hierarchy_unit(t, p)];
        if (place[p] == PLACEMENT_FREE)
            continue;
        if (place[p] >= sites)
            return pr_fail(err, PR_EINVAL, "partition %u %s site %u of %u", p, what, place[p],
                           sites);
        if (*of != PLACEMENT_FREE && *of != place[p])
            return pr_fail(err, PR_EINVAL,
                           "partition %u %s site %u and another one of its slot %s site %u", p,
                           what, place[p], what, *of);
        *of = place[p];
    }
    return PR_OK;
}

static enum pr_code open_today(struct hierarchy_tree *t, struct pr_err *err)
{
    const uint32_t last = t->levels - 1;
    if (t->in->today == NULL)
        return PR_OK;
    for (uint32_t l = t->levels; l-- > 0;) {
        struct hierarchy_level *v = &t->level[l];
        enum pr_code rc = new_units(t, &v->today, err);
        if (rc == PR_OK && l == last)
            rc = gather(t, t->in->today, v->sites, "is in", v->today, err);
        if (rc != PR_OK)
            return rc;
        for (uint32_t u = 0; l < last && u < t->graph->n; u++) {
            const uint16_t below = t->level[l + 1].today[u];
            v->today[u] = below == PLACEMENT_FREE ? PLACEMENT_FREE : t->level[l + 1].parent[below];
        }
    }
    return PR_OK;
}

static enum pr_code check_pins(const struct hierarchy_tree *t, uint32_t l, struct pr_err *err)
{
    const uint16_t *fixed = t->level[l].fixed;
    const uint32_t *begin = t->level[l + 1].begin;
    for (uint32_t u = 0; u < t->graph->n; u++)
        if (fixed[u] != PLACEMENT_FREE && begin[fixed[u]] == begin[fixed[u] + 1u])
            return pr_fail(err, PR_EINVAL,
                           "a partition is pinned to site %u of level %u, which has no leaf",
                           fixed[u], l);
    return PR_OK;
}

/* A pin at one level pins the levels above, too. */
static enum pr_code open_pins(struct hierarchy_tree *t, struct pr_err *err)
{
    for (uint32_t l = t->levels; l-- > 0;) {
        struct hierarchy_level *v = &t->level[l], *below = v + 1;
        const bool implied = l + 1 < t->levels && below->fixed != NULL;
        if (t->in->fixed[l] == NULL && !implied)
            continue;
        enum pr_code rc = new_units(t, &v->fixed, err);
        if (rc == PR_OK && t->in->fixed[l] != NULL)
            rc = gather(t, t->in->fixed[l], v->sites, "is pinned to", v->fixed, err);
        if (rc == PR_OK && l + 1 < t->levels)
            rc = check_pins(t, l, err);
        for (uint32_t u = 0; implied && rc == PR_OK && u < t->graph->n; u++) {
            if (below->fixed[u] == PLACEMENT_FREE)
                continue;
            const uint16_t up = below->parent[below->fixed[u]];
            if (v->fixed[u] != PLACEMENT_FREE && v->fixed[u] != up)
                rc = pr_fail(err, PR_EINVAL,
                             "a partition is pinned to site %u of level %u and to site %u of "
                             "level %u, which is in another",
                             v->fixed[u], l, below->fixed[u], l + 1);
            v->fixed[u] = up;
        }
        if (rc != PR_OK)
            return rc;
    }
    return PR_OK;
}

static enum pr_code open_changed(struct hierarchy_tree *t, struct pr_err *err)
{
    if (t->in->changed == NULL)
        return PR_OK;
    t->changed = calloc((size_t)t->graph->n + 1, sizeof *t->changed);
    if (t->changed == NULL)
        return no_memory(t, err);
    for (uint32_t i = 0; i < t->in->n_changed; i++) {
        if (t->in->changed[i] >= t->in->graph->n)
            return pr_fail(err, PR_EINVAL, "partition %u of %u changed", t->in->changed[i],
                           t->in->graph->n);
        t->changed[hierarchy_unit(t, t->in->changed[i])] = true;
    }
    return PR_OK;
}

enum pr_code hierarchy_tree_init(struct hierarchy_tree *t,
                                 const struct placement_hierarchy_input *in, struct pr_err *err)
{
    *t = (struct hierarchy_tree){ .in = in, .levels = in->tree->levels };
    enum pr_code rc = check_tree(in->tree, err);
    if (rc != PR_OK) {
        t->levels = 0;
        return rc;
    }
    if (!(in->price >= 0) || !(in->lost_ratio >= 0))
        return pr_fail(err, PR_EINVAL, "a price of %g, a lost ratio of %g: both are 0 or more",
                       in->price, in->lost_ratio);
    rc = open_sites(t, err);
    if (rc == PR_OK)
        rc = join_slots(t, err);
    for (uint32_t l = 0; l < t->levels && rc == PR_OK; l++)
        rc = new_units(t, &t->level[l].site, err);
    if (rc == PR_OK)
        rc = open_today(t, err);
    if (rc == PR_OK)
        rc = open_pins(t, err);
    if (rc == PR_OK)
        rc = open_changed(t, err);
    return rc;
}

void hierarchy_tree_done(struct hierarchy_tree *t)
{
    for (uint32_t l = 0; l < t->levels; l++) {
        struct hierarchy_level *v = &t->level[l];
        free(v->capacity);
        free(v->begin);
        free(v->child);
        free(v->rank);
        free(v->parent);
        free(v->today);
        free(v->fixed);
        free(v->site);
    }
    placement_graph_done(&t->owned);
    free(t->unit);
    free(t->changed);
}
