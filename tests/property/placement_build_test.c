/* Random multigraphs against a naive reference: every builder setting, number of
 * threads and order of edges gives the same rows, plain and gap-coded. */
#include "t.h"

#include "core/build.h"
#include "core/code.h"
#include "prism/rng.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct input {
    struct graph_edge *edge;
    size_t edges;
    struct graph_vertex *vertex;
    size_t vertices;
};

/* --- the reference: sorted lists, nothing clever ------------------------------ */

struct reference {
    uint64_t *id;
    size_t n;
    struct graph_edge *arc; /* both directions, sorted, merged; no loops */
    size_t arcs;
};

static int by_id(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int by_ends(const void *a, const void *b)
{
    const struct graph_edge *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->to < y->to ? -1 : x->to > y->to;
}

static struct reference refer(const struct input *in)
{
    struct reference r = { .n = 0 };
    r.id = malloc((2 * in->edges + in->vertices + 1) * sizeof *r.id);
    r.arc = malloc((2 * in->edges + 1) * sizeof *r.arc);
    size_t ids = 0, arcs = 0;
    for (size_t i = 0; i < in->edges; i++) {
        const struct graph_edge e = in->edge[i];
        r.id[ids++] = e.from;
        r.id[ids++] = e.to;
        if (e.from == e.to)
            continue;
        r.arc[arcs++] = e;
        r.arc[arcs++] = (struct graph_edge){ e.to, e.from, e.weight };
    }
    for (size_t i = 0; i < in->vertices; i++)
        r.id[ids++] = in->vertex[i].id;
    qsort(r.id, ids, sizeof *r.id, by_id);
    for (size_t i = 0; i < ids; i++)
        if (r.n == 0 || r.id[r.n - 1] != r.id[i])
            r.id[r.n++] = r.id[i];
    qsort(r.arc, arcs, sizeof *r.arc, by_ends);
    for (size_t i = 0; i < arcs; i++) {
        if (r.arcs > 0 && by_ends(&r.arc[r.arcs - 1], &r.arc[i]) == 0)
            r.arc[r.arcs - 1].weight += r.arc[i].weight;
        else
            r.arc[r.arcs++] = r.arc[i];
    }
    return r;
}

static uint64_t weight_in(const struct input *in, uint64_t id)
{
    uint64_t weight = 1;
    for (size_t i = 0; i < in->vertices; i++)
        if (in->vertex[i].id == id)
            weight = in->vertex[i].weight;
    return weight;
}

static void assert_equals(const struct placement_graph *g, const struct reference *r,
                          const struct input *in, uint64_t seed)
{
    uint64_t sum = 0, vertex_sum = 0;
    uint32_t max = 0, degree_max = 0, *scratch = malloc((g->degree_max + 1) * sizeof *scratch);
    size_t at = 0;
    bool ok = g->n == r->n && g->arcs == r->arcs;
    ok &= (g->id == NULL) == (r->id[r->n - 1] == r->n - 1);
    for (uint32_t v = 0; v < g->n && ok; v++) {
        const struct placement_row row = placement_row(g, v, scratch);
        ok &= placement_id(g, v) == r->id[v] && at + row.n <= r->arcs;
        degree_max = row.n > degree_max ? row.n : degree_max;
        for (uint32_t i = 0; i < row.n && ok; i++, at++) {
            const uint32_t w = placement_arc_weight(&row, i);
            ok &= r->arc[at].from == r->id[v] && r->arc[at].to == placement_id(g, row.to[i]) &&
                  r->arc[at].weight == w;
            sum += w;
            max = w > max ? w : max;
        }
        ok &= placement_vertex_weight(g, v) == weight_in(in, r->id[v]);
        vertex_sum += placement_vertex_weight(g, v);
    }
    ok &= at == r->arcs && g->weight_sum == sum / 2 && g->weight_max == max;
    ok &= g->degree_max == degree_max && g->vertex_weight_sum == vertex_sum;
    ok &= max > 1 || g->weight == NULL;
    free(scratch);
    if (!ok)
        fail_msg("seed %llu: not the reference's graph", (unsigned long long)seed);
}

/* --- random input --------------------------------------------------------------- */

static uint64_t random_id(struct pr_rng *r, uint64_t n, unsigned kind)
{
    const uint64_t k = pr_rng_below(r, n);
    switch (kind) {
    case 0: /* without gaps, nearly */
        return k;
    case 1: /* gaps */
        return 3 * k + 7;
    case 2: /* far apart, still 32 bits */
        return k * (UINT32_MAX / n);
    case 3: /* 64 bits */
        return UINT64_MAX - pr_mix64(k);
    case 4: /* some of each: the map comes late */
        return k % 97 == 0 ? UINT64_MAX - k : k;
    default: /* a star, nearly */
        return pr_rng_below(r, 3) == 0 ? k : 5;
    }
}

static struct input random_input(uint64_t seed)
{
    struct pr_rng r;
    pr_rng_init(&r, seed);
    struct input in = { .edges = pr_rng_below(&r, 3) == 0 ? pr_rng_below(&r, 40)
                                                          : pr_rng_below(&r, 20000) };
    const uint64_t n = 1 + pr_rng_below(&r, 1 + pr_rng_below(&r, 5000));
    const unsigned kind = (unsigned)(seed % 6);
    const bool weighted = pr_rng_below(&r, 2) == 0, once = pr_rng_below(&r, 2) == 0;
    in.edge = malloc((in.edges + 1) * sizeof *in.edge);
    for (size_t i = 0; i < in.edges; i++) {
        /* weights that begin late, too */
        const bool heavy = weighted && i >= in.edges / 3;
        in.edge[i] = (struct graph_edge){ random_id(&r, n, kind), random_id(&r, n, kind),
                                          heavy ? 1 + (uint32_t)pr_rng_below(&r, 100) : 1 };
    }
    if (once && !weighted && in.edges > 0) { /* no duplicates, so no weights at all */
        const struct reference ref = refer(&in);
        size_t kept = 0;
        for (size_t i = 0; i < ref.arcs; i++)
            if (ref.arc[i].from < ref.arc[i].to)
                in.edge[kept++] = (struct graph_edge){ ref.arc[i].to, ref.arc[i].from, 1 };
        in.edges = kept;
        free(ref.id);
        free(ref.arc);
    }
    in.vertices = in.edges == 0 ? 1 + n / 8 : pr_rng_below(&r, 2) * (1 + n / 8);
    in.vertex = malloc((in.vertices + 1) * sizeof *in.vertex);
    const bool ones = pr_rng_below(&r, 3) == 0;
    for (size_t i = 0; i < in.vertices; i++)
        in.vertex[i] =
            (struct graph_vertex){ random_id(&r, n, kind), ones ? 1 : pr_rng_below(&r, 1 << 20) };
    if (in.vertices > 0)
        in.vertex[in.vertices - 1].weight = 9; /* not all 0 */
    return in;
}

static void shuffle(struct input *in, uint64_t seed)
{
    struct pr_rng r;
    pr_rng_init(&r, seed);
    for (size_t i = in->edges; i > 1; i--) {
        const size_t j = pr_rng_below(&r, i);
        const struct graph_edge e = in->edge[j];
        in->edge[j] = in->edge[i - 1];
        in->edge[i - 1] = (struct graph_edge){ e.to, e.from, e.weight };
    }
}

static struct placement_graph built(const struct input *in, struct pr_pool *pool, bool coded)
{
    const struct placement_build_opts opts = { .pool = pool, .coded = coded };
    struct pr_err err = { .text = "" };
    struct placement_builder *b;
    struct placement_graph g;
    assert_ok(placement_builder_new(&opts, &b, &err), &err);
    for (size_t at = 0, take; at < in->edges; at += take) {
        take = in->edges - at < 1000 ? in->edges - at : 1000;
        const struct graph_batch batch = { .edge = in->edge + at, .edges = take };
        assert_ok(placement_builder_sink(b, &batch, &err), &err);
    }
    assert_ok(placement_builder_add_vertices(b, in->vertex, in->vertices, &err), &err);
    assert_int_equal(placement_builder_edges(b), in->edges);
    assert_ok(placement_builder_finish(b, &g, &err), &err);
    placement_builder_free(b);
    return g;
}

static void every_way_to_build_gives_the_reference(void **state)
{
    (void)state;
    enum { ROUNDS = T_ROUNDS(150), FIRST_SEED = 1 };
    struct pr_pool *pool[5] = { NULL };
    struct pr_err err;
    for (unsigned t = 1; t < PR_COUNT(pool); t++)
        assert_ok(pr_pool_new(t, &pool[t], &err), &err);
    print_message("seeds %d..%d\n", FIRST_SEED, FIRST_SEED + ROUNDS - 1);
    unsigned coded = 0;
    for (uint64_t seed = FIRST_SEED; seed < FIRST_SEED + ROUNDS; seed++) {
        struct input in = random_input(seed);
        const struct reference ref = refer(&in);
        for (unsigned t = 0; t < PR_COUNT(pool); t++) {
            struct placement_graph g = built(&in, pool[t], false);
            assert_equals(&g, &ref, &in, seed);
            if (g.weight == NULL) {
                assert_ok(placement_graph_code(&g, pool[t], &err), &err);
                assert_non_null(g.coded);
                assert_equals(&g, &ref, &in, seed);
                coded++;
            } else {
                assert_int_equal(placement_graph_code(&g, pool[t], &err), PR_EINVAL);
            }
            struct placement_graph direct = built(&in, pool[t], true);
            assert_equals(&direct, &ref, &in, seed);
            assert_true((direct.coded != NULL) == (g.coded != NULL));
            if (g.coded != NULL)
                assert_memory_equal(direct.coded, g.coded, g.start[g.n]);
            placement_graph_done(&direct);
            placement_graph_done(&g);
            shuffle(&in, seed + t);
        }
        free(in.edge);
        free(in.vertex);
        free(ref.id);
        free(ref.arc);
    }
    assert_true(coded > ROUNDS / 8);
    for (unsigned t = 1; t < PR_COUNT(pool); t++)
        pr_pool_free(pool[t]);
}

static void assert_same(const struct placement_graph *a, const struct placement_graph *b)
{
    assert_int_equal(a->n, b->n);
    assert_true(a->arcs == b->arcs && a->degree_max == b->degree_max &&
                a->weight_max == b->weight_max && a->weight_sum == b->weight_sum);
    assert_memory_equal(a->start, b->start, (a->n + 1) * sizeof *a->start);
    if (a->to != NULL)
        assert_memory_equal(a->to, b->to, a->arcs * sizeof *a->to);
    else
        assert_memory_equal(a->coded, b->coded, a->start[a->n]);
    assert_true((a->weight == NULL) == (b->weight == NULL));
    if (a->weight != NULL)
        assert_memory_equal(a->weight, b->weight, a->arcs * sizeof *a->weight);
}

/* Long enough for several slices, pieces and rounds of coding; a hub and a tail
 * of vertices without edges, whose coded rows are longer than the plain ones. */
static void large_graphs_do_not_depend_on_the_threads(void **state)
{
    (void)state;
    enum { EDGES = 1500000, VERTICES = 200000, TAIL = 300000 };
    struct pr_err err;
    struct pr_rng r;
    struct input in = { .edges = EDGES, .vertices = TAIL };
    in.edge = malloc(EDGES * sizeof *in.edge);
    in.vertex = malloc(TAIL * sizeof *in.vertex);
    for (unsigned kind = 0; kind < 3; kind++) { /* plain, with duplicates, with weights */
        pr_rng_init(&r, kind);
        for (uint64_t i = 0; i < EDGES; i++) {
            const uint64_t from = i % VERTICES, step = 1 + i / VERTICES;
            in.edge[i] = (struct graph_edge){ from, i % 5 == 0 ? 7 : (from + step) % VERTICES, 1 };
            if (kind == 0) /* all different */
                in.edge[i] = (struct graph_edge){ from, (from + step) % VERTICES, 1 };
            if (kind == 2)
                in.edge[i].weight = 1 + (uint32_t)pr_rng_below(&r, 9);
        }
        for (uint64_t i = 0; i < TAIL; i++)
            in.vertex[i] = (struct graph_vertex){ VERTICES + i, 1 };
        struct placement_graph one = built(&in, NULL, true);
        assert_int_equal(one.n, VERTICES + TAIL);
        assert_true((one.coded != NULL) == (kind == 0));
        for (unsigned t = T_SLOWER > 1 ? 4 : 2; t <= 4; t++) {
            struct pr_pool *pool;
            assert_ok(pr_pool_new(t, &pool, &err), &err);
            shuffle(&in, t);
            struct placement_graph g = built(&in, pool, true);
            assert_same(&g, &one);
            placement_graph_done(&g);
            pr_pool_free(pool);
        }
        placement_graph_done(&one);
    }
    free(in.edge);
    free(in.vertex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_to_build_gives_the_reference),
        cmocka_unit_test(large_graphs_do_not_depend_on_the_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
