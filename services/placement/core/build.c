/* Holding edges and vertices until the graph is built. */
#include "core/build_internal.h"

#include <stdlib.h>

enum pr_code placement_builder_new(const struct placement_build_opts *opts,
                                   struct placement_builder **out, struct pr_err *err)
{
    struct placement_builder *b = calloc(1, sizeof *b);
    if (b == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for a graph builder");
    b->opts = *opts;
    *out = b;
    return PR_OK;
}

void builder_drop_edges(struct placement_builder *b)
{
    for (size_t r = 0; r < b->runs; r++) {
        free(b->run[r].pair);
        free(b->run[r].weight);
    }
    free(b->run);
    b->run = NULL;
    b->runs = b->run_cap = 0;
}

void placement_builder_free(struct placement_builder *b)
{
    if (b == NULL)
        return;
    builder_drop_edges(b);
    id_map_done(&b->map);
    free(b->vertex);
    free(b->vertex_weight);
    free(b);
}

uint64_t placement_builder_edges(const struct placement_builder *b)
{
    return b->edges;
}

/* --- memory ------------------------------------------------------------------ */

uint64_t placement_builder_bytes(const struct placement_build_size *size)
{
    const uint64_t m = size->edges, n = size->vertices, entry = size->weighted ? 8 : 4;
    /* ids; with them, a map and its sorting; vertices named apart */
    const uint64_t ids = n * (size->sparse ? 8 + 12 + 4 : 10),
                   named = size->vertex_weighted ? n * (12 + 8) : 0;
    const uint64_t sorting = size->sparse ? n * 32 : 0;
    const uint64_t list = m * (4 + entry), half = m * entry + n * 12;
    const uint64_t before = list + (half > sorting ? half : sorting),
                   after = m * 2 * entry + n * (8 + 8 + 4);
    /* readers, and the rounds of gap coding */
    const uint64_t fixed = (UINT64_C(4) << 20) + (size->coded ? UINT64_C(16) << 20 : 0);
    return fixed + ids + named + (before > after ? before : after);
}

enum pr_code builder_check_budget(const struct placement_builder *b, uint64_t vertices,
                                  bool weighted, struct pr_err *err)
{
    if (b->opts.budget_bytes == 0)
        return PR_OK;
    struct placement_build_size size = {
        .edges = b->edges,
        .vertices = vertices,
        .weighted = weighted,
        .vertex_weighted = b->vertices > 0,
        .coded = b->opts.coded,
        .sparse = b->mapped,
    };
    if (placement_builder_bytes(&size) <= b->opts.budget_bytes)
        return PR_OK;
    if (b->file_edges > b->edges) /* what the whole file would take is the better figure */
        size.edges = b->file_edges;
    return pr_fail(err, PR_EFULL, "graph needs about %llu MiB, the budget is %llu MiB",
                   (unsigned long long)((placement_builder_bytes(&size) >> 20) + 1),
                   (unsigned long long)(b->opts.budget_bytes >> 20));
}

/* How many vertices there may be, by what came so far. */
static uint64_t vertices_so_far(const struct placement_builder *b)
{
    const uint64_t most = 2 * b->edges + b->vertices;
    if (b->mapped)
        return b->map.n;
    return most < b->max_id ? most : (uint64_t)b->max_id + 1;
}

/* --- adding ------------------------------------------------------------------ */

static enum pr_code no_memory(const struct placement_builder *b, struct pr_err *err)
{
    return pr_fail(err, PR_ENOMEM, "out of memory holding %llu edges and %llu vertices",
                   (unsigned long long)b->edges, (unsigned long long)vertices_so_far(b));
}

static enum pr_code new_run(struct placement_builder *b, struct pr_err *err)
{
    if (b->runs == b->run_cap) {
        const size_t cap = b->run_cap == 0 ? 16 : b->run_cap * 2;
        struct edge_run *run = realloc(b->run, cap * sizeof *run);
        if (run == NULL)
            return no_memory(b, err);
        b->run = run;
        b->run_cap = cap;
    }
    struct edge_run run = { .cap = FIRST_RUN_EDGES };
    if (b->runs > 0)
        run.cap = b->run[b->runs - 1].cap * 4;
    if (run.cap > RUN_EDGES)
        run.cap = RUN_EDGES;
    run.pair = malloc(2 * run.cap * sizeof *run.pair);
    if (run.pair == NULL)
        return no_memory(b, err);
    b->run[b->runs++] = run;
    return PR_OK;
}

/* The first weight that is not 1: those before were. */
static enum pr_code start_weights(struct placement_builder *b, struct edge_run *run,
                                  struct pr_err *err)
{
    run->weight = malloc(run->cap * sizeof *run->weight);
    if (run->weight == NULL)
        return no_memory(b, err);
    for (size_t i = 0; i < run->n; i++)
        run->weight[i] = 1;
    b->weighted = true;
    return PR_OK;
}

struct seen {
    uint64_t max_id;
    uint32_t min_weight, max_weight;
};

static struct seen look(const struct graph_edge *edge, size_t n)
{
    struct seen s = { 0, UINT32_MAX, 0 };
    for (size_t i = 0; i < n; i++) {
        const uint64_t id = edge[i].from > edge[i].to ? edge[i].from : edge[i].to;
        s.max_id = id > s.max_id ? id : s.max_id;
        s.min_weight = edge[i].weight < s.min_weight ? edge[i].weight : s.min_weight;
        s.max_weight = edge[i].weight > s.max_weight ? edge[i].weight : s.max_weight;
    }
    return s;
}

/* Ids become 32 bits wide: as they are as long as that goes, by the map then. */
static enum pr_code see_id(struct placement_builder *b, uint64_t max_id, struct pr_err *err)
{
    if (b->mapped)
        return PR_OK;
    if (max_id >= UINT32_MAX)
        return builder_translate(b, err);
    if (max_id > b->max_id)
        b->max_id = (uint32_t)max_id;
    return PR_OK;
}

static enum pr_code hold(struct placement_builder *b, struct edge_run *run,
                         const struct graph_edge *edge, size_t n, struct pr_err *err)
{
    uint32_t *const pair = run->pair + 2 * run->n;
    enum pr_code rc = PR_OK;
    if (b->mapped)
        for (size_t i = 0; i < n && rc == PR_OK; i++) {
            rc = id_map_number(&b->map, edge[i].from, &pair[2 * i], err);
            if (rc == PR_OK)
                rc = id_map_number(&b->map, edge[i].to, &pair[2 * i + 1], err);
        }
    else
        for (size_t i = 0; i < n; i++) {
            pair[2 * i] = (uint32_t)edge[i].from;
            pair[2 * i + 1] = (uint32_t)edge[i].to;
        }
    if (run->weight != NULL)
        for (size_t i = 0; i < n; i++)
            run->weight[run->n + i] = edge[i].weight;
    run->n += n;
    b->edges += n;
    return rc;
}

enum pr_code placement_builder_add(struct placement_builder *b, const struct graph_edge *edge,
                                   size_t n, struct pr_err *err)
{
    const struct seen s = look(edge, n);
    if (n > 0 && s.min_weight == 0)
        return pr_fail(err, PR_EINVAL, "an edge of weight 0: want 1..4294967295");
    enum pr_code rc = see_id(b, s.max_id, err);
    while (n > 0 && rc == PR_OK) {
        struct edge_run *run = b->runs == 0 ? NULL : &b->run[b->runs - 1];
        if (run == NULL || run->n == run->cap) {
            if ((rc = new_run(b, err)) != PR_OK)
                return rc;
            run = &b->run[b->runs - 1];
        }
        if (run->weight == NULL && (s.max_weight > 1 || (b->weighted && run->n == 0)) &&
            (rc = start_weights(b, run, err)) != PR_OK)
            return rc;
        const size_t room = run->cap - run->n, take = n < room ? n : room;
        rc = hold(b, run, edge, take, err);
        edge += take;
        n -= take;
    }
    return rc == PR_OK ? builder_check_budget(b, vertices_so_far(b), b->weighted, err) : rc;
}

static enum pr_code grow_vertices(struct placement_builder *b, struct pr_err *err)
{
    const size_t cap = b->vertex_cap == 0 ? 1 << 12 : b->vertex_cap + b->vertex_cap / 2;
    uint32_t *vertex = realloc(b->vertex, cap * sizeof *vertex);
    if (vertex != NULL)
        b->vertex = vertex;
    uint64_t *weight = b->vertex_weight;
    if (vertex != NULL && weight != NULL &&
        (weight = realloc(weight, cap * sizeof *weight)) != NULL)
        b->vertex_weight = weight;
    if (vertex == NULL || (b->vertex_weight != NULL && weight == NULL))
        return no_memory(b, err);
    b->vertex_cap = cap;
    return PR_OK;
}

static enum pr_code add_vertex(struct placement_builder *b, const struct graph_vertex *v,
                               struct pr_err *err)
{
    enum pr_code rc = see_id(b, v->id, err);
    if (rc == PR_OK && b->vertices == b->vertex_cap)
        rc = grow_vertices(b, err);
    if (rc != PR_OK)
        return rc;
    uint32_t held = (uint32_t)v->id;
    if (b->mapped && (rc = id_map_number(&b->map, v->id, &held, err)) != PR_OK)
        return rc;
    if (v->weight != 1 && b->vertex_weight == NULL) {
        b->vertex_weight = malloc(b->vertex_cap * sizeof *b->vertex_weight);
        if (b->vertex_weight == NULL)
            return no_memory(b, err);
        for (size_t i = 0; i < b->vertices; i++)
            b->vertex_weight[i] = 1;
    }
    if (b->vertex_weight != NULL)
        b->vertex_weight[b->vertices] = v->weight;
    b->vertex[b->vertices++] = held;
    return PR_OK;
}

enum pr_code placement_builder_add_vertices(struct placement_builder *b,
                                            const struct graph_vertex *vertex, size_t n,
                                            struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < n && rc == PR_OK; i++)
        rc = add_vertex(b, &vertex[i], err);
    return rc == PR_OK ? builder_check_budget(b, vertices_so_far(b), b->weighted, err) : rc;
}

enum pr_code placement_builder_sink(void *builder, const struct graph_batch *batch,
                                    struct pr_err *err)
{
    struct placement_builder *b = builder;
    if (batch->read_bytes > 0 && batch->file_bytes > 0)
        b->file_edges = (uint64_t)((double)(b->edges + batch->edges) * (double)batch->file_bytes /
                                   (double)batch->read_bytes);
    enum pr_code rc = placement_builder_add_vertices(b, batch->vertex, batch->vertices, err);
    if (rc == PR_OK)
        rc = placement_builder_add(b, batch->edge, batch->edges, err);
    return rc;
}
