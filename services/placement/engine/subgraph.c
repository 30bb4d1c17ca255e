#include "engine/subgraph.h"

#include <stdbool.h>
#include <stdlib.h>

enum pr_code placement_members_init(const uint16_t *block, uint32_t n, uint32_t blocks,
                                    struct placement_members *out, struct pr_err *err)
{
    struct placement_members m = {
        .blocks = blocks,
        .begin = calloc((size_t)blocks + 2, sizeof *m.begin),
        .member = malloc(((size_t)n + 1) * sizeof *m.member),
        .local = malloc(((size_t)n + 1) * sizeof *m.local),
    };
    if (m.begin == NULL || m.member == NULL || m.local == NULL) {
        placement_members_done(&m);
        return pr_fail(err, PR_ENOMEM, "out of memory for the members of %u blocks", blocks);
    }
    /* Counted two places ahead and filled one ahead, begin ends up in place. */
    for (uint32_t v = 0; v < n; v++)
        m.begin[block[v] + 2u]++;
    for (uint32_t b = 2; b <= blocks + 1; b++)
        m.begin[b] += m.begin[b - 1];
    for (uint32_t v = 0; v < n; v++)
        m.member[m.begin[block[v] + 1u]++] = v;
    for (uint32_t b = 0; b < blocks; b++)
        for (uint32_t i = m.begin[b]; i < m.begin[b + 1]; i++)
            m.local[m.member[i]] = i - m.begin[b];
    *out = m;
    return PR_OK;
}

void placement_members_done(struct placement_members *m)
{
    free(m->begin);
    free(m->member);
    free(m->local);
    *m = (struct placement_members){ 0 };
}

static bool open_out(const struct placement_graph *g, const uint32_t *member,
                     struct placement_graph *o)
{
    uint64_t arcs = 0; /* from above: a coded row has fewer entries than bytes */
    for (uint32_t i = 0; i < o->n; i++)
        arcs += g->start[member[i] + 1] - g->start[member[i]];
    o->start = malloc(((size_t)o->n + 1) * sizeof *o->start);
    o->to = malloc((arcs + 1) * sizeof *o->to);
    if (g->weight != NULL)
        o->weight = malloc((arcs + 1) * sizeof *o->weight);
    if (g->vertex_weight != NULL)
        o->vertex_weight = malloc(((size_t)o->n + 1) * sizeof *o->vertex_weight);
    return o->start != NULL && o->to != NULL && (g->weight == NULL || o->weight != NULL) &&
           (g->vertex_weight == NULL || o->vertex_weight != NULL);
}

static void fill(const struct placement_graph *g, const uint16_t *block,
                 const struct placement_members *m, uint16_t b, uint32_t *scratch,
                 struct placement_graph *o)
{
    const uint32_t *member = m->member + m->begin[b];
    uint64_t twice = 0;
    o->start[0] = 0;
    for (uint32_t i = 0; i < o->n; i++) {
        const struct placement_row row = placement_row(g, member[i], scratch);
        const uint64_t first = o->arcs;
        for (uint32_t a = 0; a < row.n; a++) {
            if (block[row.to[a]] != b)
                continue;
            const uint32_t w = placement_arc_weight(&row, a);
            o->to[o->arcs] = m->local[row.to[a]];
            if (o->weight != NULL)
                o->weight[o->arcs] = w;
            o->arcs++;
            twice += w;
            o->weight_max = w > o->weight_max ? w : o->weight_max;
        }
        o->start[i + 1] = o->arcs;
        if (o->arcs - first > o->degree_max)
            o->degree_max = (uint32_t)(o->arcs - first);
        const uint64_t vertex_weight = placement_vertex_weight(g, member[i]);
        if (o->vertex_weight != NULL)
            o->vertex_weight[i] = vertex_weight;
        o->vertex_weight_sum += vertex_weight;
    }
    o->weight_sum = twice / 2;
}

enum pr_code placement_subgraph(const struct placement_graph *g, const uint16_t *block,
                                const struct placement_members *m, uint16_t b,
                                struct placement_graph *out, struct pr_err *err)
{
    struct placement_graph o = { .n = m->begin[b + 1u] - m->begin[b] };
    uint32_t *scratch = malloc(((size_t)g->degree_max + 1) * sizeof *scratch);
    if (scratch == NULL || !open_out(g, m->member + m->begin[b], &o)) {
        free(scratch);
        placement_graph_done(&o);
        return pr_fail(err, PR_ENOMEM, "out of memory for a graph of %u vertices", o.n);
    }
    fill(g, block, m, b, scratch, &o);
    free(scratch);
    uint32_t *fit = realloc(o.to, (o.arcs + 1) * sizeof *fit);
    if (fit != NULL)
        o.to = fit;
    if (o.weight != NULL && (fit = realloc(o.weight, (o.arcs + 1) * sizeof *fit)) != NULL)
        o.weight = fit;
    *out = o;
    return PR_OK;
}
