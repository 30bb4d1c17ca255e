#include "t.h"

#include "engine/hierarchy.h"

#include "placement_csr.h"
#include "prism/rng.h"

#include <inttypes.h>
#include <stdbool.h>

enum { MAX_N = 400, MAX_SITES = 40 };

/* A random tree with a random graph to place in it. */
struct world {
    struct placement_tree tree;
    uint16_t parent[PLACEMENT_MAX_LEVELS][MAX_SITES];
    uint64_t capacity[MAX_SITES];
    struct placement_graph graph;
    uint16_t slot[MAX_N], today[MAX_N], leaf[MAX_N];
    struct placement_hierarchy_input in;
    struct placement_hierarchy_result out;
};

static uint32_t below(struct pr_rng *rng, uint32_t n)
{
    return (uint32_t)pr_rng_below(rng, n);
}

static void random_graph(struct world *w, struct pr_rng *rng)
{
    static struct csr_edge edge[8 * MAX_N];
    const uint32_t n = 1 + below(rng, MAX_N), m = below(rng, 8 * n);
    for (uint32_t i = 0; i < m; i++)
        edge[i] = (struct csr_edge){ below(rng, n), below(rng, n), 1 + below(rng, 30) };
    w->graph = csr_make(n, edge, m);
    if (below(rng, 2) == 0)
        return;
    w->graph.vertex_weight = malloc(n * sizeof *w->graph.vertex_weight);
    assert_non_null(w->graph.vertex_weight);
    w->graph.vertex_weight_sum = 0;
    for (uint32_t v = 0; v < n; v++) {
        w->graph.vertex_weight[v] = below(rng, 9); /* some weigh nothing */
        w->graph.vertex_weight_sum += w->graph.vertex_weight[v];
    }
}

/* Leaves of any capacity, none included, half as much again together as needed
 * and room for some of the heaviest units where there is any. */
static void random_tree(struct world *w, struct pr_rng *rng)
{
    uint64_t share[MAX_SITES], sum = 0;
    w->tree.levels = 1 + below(rng, PLACEMENT_MAX_LEVELS);
    for (uint32_t l = 0; l < w->tree.levels; l++) {
        w->tree.sites[l] = 1 + below(rng, l + 1 == w->tree.levels ? MAX_SITES : 4 * (l + 1));
        w->tree.parent[l] = w->parent[l];
        for (uint32_t s = 0; l > 0 && s < w->tree.sites[l]; s++)
            w->parent[l][s] = (uint16_t)below(rng, w->tree.sites[l - 1]);
    }
    const uint32_t leaves = w->tree.sites[w->tree.levels - 1];
    for (uint32_t i = 0; i < leaves; i++) {
        share[i] = i > 0 && below(rng, 5) == 0 ? 0 : 1 + below(rng, 4);
        sum += share[i];
    }
    for (uint32_t i = 0; i < leaves; i++)
        w->capacity[i] =
            share[i] == 0 ? 0 : w->graph.vertex_weight_sum * share[i] * 3 / 2 / sum + 100;
    w->tree.capacity = w->capacity;
}

static struct world *new_world(struct pr_rng *rng)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    random_graph(w, rng);
    random_tree(w, rng);
    const bool slots = below(rng, 2) == 0;
    for (uint32_t p = 0; p < w->graph.n; p++)
        w->slot[p] = (uint16_t)below(rng, w->graph.n / 3 + 1);
    w->in = (struct placement_hierarchy_input){ .graph = &w->graph,
                                                .tree = &w->tree,
                                                .slot = slots ? w->slot : NULL,
                                                .moves = below(rng, 3) == 0 ? 5 : UINT64_MAX,
                                                .price = below(rng, 3),
                                                .reference_ratio = { -1, 0.1, -1, 1 },
                                                .lost_ratio = 0.05,
                                                .seed = below(rng, 100),
                                                .seeds = 1 + below(rng, 2) };
    return w;
}

static uint16_t site(const struct world *w, uint16_t leaf, uint32_t level)
{
    for (uint32_t l = w->tree.levels - 1; l > level; l--)
        leaf = w->tree.parent[l][leaf];
    return leaf;
}

static void check(const struct world *w)
{
    const uint32_t last = w->tree.levels - 1;
    uint64_t held[MAX_SITES] = { 0 };
    for (uint32_t p = 0; p < w->graph.n; p++) {
        assert_true(w->leaf[p] < w->tree.sites[last]);
        held[w->leaf[p]] += placement_vertex_weight(&w->graph, p);
        for (uint32_t q = 0; w->in.slot != NULL && q < p; q++)
            assert_true(w->slot[p] != w->slot[q] || w->leaf[p] == w->leaf[q]);
    }
    for (uint32_t i = 0; i < w->tree.sites[last]; i++)
        assert_true(held[i] <= w->capacity[i]);
    for (uint32_t l = 0; l <= last; l++) {
        uint64_t twice = 0, moved = 0;
        for (uint32_t p = 0; p < w->graph.n; p++) {
            const uint16_t here = site(w, w->leaf[p], l);
            const struct placement_row r = placement_row(&w->graph, p, NULL);
            for (uint32_t i = 0; i < r.n; i++)
                twice += here != site(w, w->leaf[r.to[i]], l) ? placement_arc_weight(&r, i) : 0;
            moved += w->in.today != NULL && w->today[p] != PLACEMENT_FREE &&
                     here != site(w, w->today[p], l);
        }
        assert_int_equal(twice / 2, w->out.level[l].cut);
        assert_int_equal(moved, w->out.level[l].moved);
    }
}

/* With any number of threads the same. */
static void solve(struct world *w)
{
    uint16_t first[MAX_N];
    for (unsigned threads = 1; threads <= 3; threads++) {
        struct pr_err err;
        assert_ok(pr_pool_new(threads, &w->in.pool, &err), &err);
        assert_ok(placement_hierarchy_solve(&w->in, w->leaf, &w->out, &err), &err);
        pr_pool_free(w->in.pool);
        check(w);
        if (threads == 1)
            memcpy(first, w->leaf, sizeof first);
        assert_memory_equal(first, w->leaf, w->graph.n * sizeof *first);
    }
}

static void any_tree_is_filled_within_its_capacities(void **state)
{
    (void)state;
    const uint64_t seed = 20261121;
    const uint32_t none[] = { 0 };
    struct pr_rng rng;
    print_message("seed %" PRIu64 "\n", seed);
    pr_rng_init(&rng, seed);
    for (unsigned round = 0; round < T_ROUNDS(25); round++) {
        struct world *w = new_world(&rng);
        solve(w);
        /* Again without changes: nothing moves. */
        memcpy(w->today, w->leaf, sizeof w->today);
        w->in.today = w->today;
        w->in.changed = none;
        struct placement_hierarchy_input in = w->in;
        for (uint32_t l = 0; l < w->tree.levels; l++)
            w->in.reference_ratio[l] = 1;
        solve(w);
        assert_int_equal(w->out.level[w->tree.levels - 1].moved, 0);
        /* From any place, even one above capacity, and with new partitions. */
        w->in = in;
        w->in.changed = NULL;
        for (uint32_t p = 0; p < w->graph.n; p++) {
            const uint32_t of = w->in.slot != NULL ? w->slot[p] : p;
            const uint64_t mix = pr_mix64(seed + of);
            w->today[p] = (uint16_t)(mix / 7 % w->tree.sites[w->tree.levels - 1]);
            if (mix % 7 == 0)
                w->today[p] = PLACEMENT_FREE;
        }
        solve(w);
        w->in.fresh = true;
        solve(w);
        placement_graph_done(&w->graph);
        free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_tree_is_filled_within_its_capacities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
