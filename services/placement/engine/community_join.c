#include "engine/community_level.h"
#include "engine/contract.h"

#include <stdlib.h>
#include <string.h>

/* Works on the graph of communities. Those that have been joined are chained,
 * so that the rows of all can be read. */
struct joiner {
    struct community_work *w;
    struct placement_graph g;
    uint32_t *into; /* [n] the vertex that names its community, itself at first */
    uint32_t *next; /* [n] chain of a community's vertices, from its name; UINT32_MAX ends it */
    uint32_t *last; /* [n] end of the chain */
    uint64_t *weight, *strength; /* [n] of communities */
    uint64_t min_weight;
    struct small {
        uint64_t weight;
        uint32_t name;
    } * small; /* lightest first */
};

static void close_joiner(struct joiner *j)
{
    placement_graph_done(&j->g);
    free(j->into);
    free(j->next);
    free(j->last);
    free(j->weight);
    free(j->strength);
    free(j->small);
}

static bool open_joiner(struct joiner *j, const uint64_t *inside)
{
    const size_t n = (size_t)j->g.n + 1;
    j->into = malloc(n * sizeof *j->into);
    j->next = malloc(n * sizeof *j->next);
    j->last = malloc(n * sizeof *j->last);
    j->weight = malloc(n * sizeof *j->weight);
    j->strength = malloc(n * sizeof *j->strength);
    j->small = malloc(n * sizeof *j->small);
    if (j->into == NULL || j->next == NULL || j->last == NULL || j->weight == NULL ||
        j->strength == NULL || j->small == NULL)
        return false;
    for (uint32_t c = 0; c < j->g.n; c++) {
        const struct placement_row row = placement_row(&j->g, c, NULL);
        j->into[c] = j->last[c] = c;
        j->next[c] = UINT32_MAX;
        j->weight[c] = placement_vertex_weight(&j->g, c);
        j->strength[c] = inside[c];
        for (uint32_t i = 0; i < row.n; i++)
            j->strength[c] += placement_arc_weight(&row, i);
    }
    return true;
}

/* The neighbour with which modularity loses least and that has room; name
 * itself when there is none. */
static uint32_t cheapest(const struct joiner *j, uint32_t name)
{
    struct community_worker *k = &j->w->worker[0];
    uint32_t touched = 0, best = name;
    double least = 0;
    for (uint32_t c = name; c != UINT32_MAX; c = j->next[c]) {
        const struct placement_row row = placement_row(&j->g, c, NULL);
        for (uint32_t i = 0; i < row.n; i++) {
            const uint32_t t = j->into[row.to[i]];
            k->touched[touched] = t;
            touched += k->sum[t] == 0;
            k->sum[t] += placement_arc_weight(&row, i);
        }
    }
    for (uint32_t i = 0; i < touched; i++) {
        const uint32_t t = k->touched[i];
        const double gain =
            (double)k->sum[t] - j->w->per * (double)j->strength[name] * (double)j->strength[t];
        k->sum[t] = 0;
        if (t == name || j->weight[name] > j->w->max_weight - j->weight[t])
            continue;
        if (best == name || gain > least || (gain == least && t < best)) {
            least = gain;
            best = t;
        }
    }
    return best;
}

static void join(struct joiner *j, uint32_t name, uint32_t to)
{
    for (uint32_t c = name; c != UINT32_MAX; c = j->next[c])
        j->into[c] = to;
    j->next[j->last[to]] = name;
    j->last[to] = j->last[name];
    j->weight[to] += j->weight[name];
    j->strength[to] += j->strength[name];
}

static int by_weight(const void *a, const void *b)
{
    const struct small *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight < y->weight ? -1 : 1;
    return x->name < y->name ? -1 : x->name > y->name;
}

static uint32_t collect_small(struct joiner *j)
{
    uint32_t n = 0;
    for (uint32_t c = 0; c < j->g.n; c++)
        if (j->into[c] == c && j->weight[c] < j->min_weight)
            j->small[n++] = (struct small){ j->weight[c], c };
    qsort(j->small, n, sizeof *j->small, by_weight);
    return n;
}

/* Each pass at least doubles what still is too light, or leaves it for good.
 * Returns how many stay. */
static uint32_t join_all(struct joiner *j)
{
    for (;;) {
        const uint32_t n = collect_small(j);
        uint32_t joined = 0;
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t name = j->small[i].name;
            if (j->into[name] != name || j->weight[name] >= j->min_weight)
                continue;
            const uint32_t to = cheapest(j, name);
            if (to == name)
                continue;
            join(j, name, to);
            joined++;
            if (!placement_community_go_on(j->w, j->g.degree_max))
                return n;
        }
        if (joined == 0)
            return n;
    }
}

enum pr_code placement_community_join_small(struct community_work *w,
                                            const struct placement_graph *g, uint64_t min_weight,
                                            uint32_t *community, uint32_t *count, uint32_t *below,
                                            struct pr_err *err)
{
    struct joiner j = { .w = w, .min_weight = min_weight };
    uint64_t *inside = NULL;
    enum pr_code rc = placement_contract(g, community, w->pool, &j.g, &inside, &w->watch, .99, err);
    if (rc == PR_OK && !open_joiner(&j, inside))
        rc = pr_fail(err, PR_ENOMEM, "out of memory joining %u communities", j.g.n);
    if (rc == PR_OK) {
        *below = join_all(&j);
        /* A name is not always the first of its community. */
        uint32_t *number = w->want;
        memset(number, 0xff, (size_t)j.g.n * sizeof *number);
        *count = 0;
        for (uint32_t c = 0; c < j.g.n; c++) {
            uint32_t *of = &number[j.into[c]];
            if (*of == UINT32_MAX)
                *of = (*count)++;
            j.last[c] = *of;
        }
        for (uint32_t v = 0; v < g->n; v++)
            community[v] = j.last[community[v]];
    }
    free(inside);
    close_joiner(&j);
    return rc;
}
