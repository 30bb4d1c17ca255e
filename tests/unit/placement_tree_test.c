/* Corners of placement_hierarchy_solve: what hardly fits, and many leaves. */
#include "t.h"

#include "engine/hierarchy.h"

#include "placement_csr.h"
#include "prism/rng.h"

#include <stdbool.h>

static void units_that_hardly_fit_are_packed(void **state)
{
    (void)state;
    /* Four nodes in two groups; weights that fit in one way only: 6 + 4, 7 + 3. */
    const struct csr_edge edge[] = { { 0, 2, 100 }, { 1, 3, 1 }, { 0, 1, 50 } };
    const uint16_t parent[] = { 0, 0, 1, 1 }, want[] = { 2, 0, 1, 3 };
    const uint64_t capacity[] = { 6, 4, 7, 3 };
    const uint16_t today[] = { 2, 1, 0, 3 };
    struct placement_graph g = csr_make(4, edge, PR_COUNT(edge));
    uint64_t weight[] = { 7, 6, 4, 3 };
    g.vertex_weight = weight;
    g.vertex_weight_sum = 20;
    const struct placement_tree tree = { 2, { 2, 4 }, { NULL, parent }, capacity };
    struct placement_hierarchy_input in = {
        .graph = &g, .tree = &tree, .seeds = 1, .moves = UINT64_MAX
    };
    struct placement_hierarchy_result out;
    struct pr_err err;
    uint16_t leaf[4];
    assert_ok(placement_hierarchy_solve(&in, leaf, &out, &err), &err);
    assert_memory_equal(leaf, want, sizeof leaf);
    in.today = today;
    assert_ok(placement_hierarchy_solve(&in, leaf, &out, &err), &err);
    assert_memory_equal(leaf, want, sizeof leaf);
    assert_int_equal(out.level[1].moved, 2);
    weight[3] = 4; /* and now in none */
    g.vertex_weight_sum = 21;
    assert_int_equal(placement_hierarchy_solve(&in, leaf, &out, &err), PR_EFULL);
    g.vertex_weight = NULL;
    placement_graph_done(&g);
}

static void within_pinned_zones_too(void **state)
{
    (void)state;
    /* Zone 0 as above but with a level of groups; zone 1 has one node. */
    const struct csr_edge edge[] = { { 0, 2, 100 }, { 1, 3, 1 }, { 0, 1, 50 }, { 3, 4, 9 } };
    const uint16_t zone_of_group[] = { 0, 0, 1 }, group_of_node[] = { 0, 0, 1, 1, 2 };
    const uint16_t want[] = { 2, 0, 1, 3, 4 };
    const uint64_t capacity[] = { 6, 4, 7, 3, 8 };
    uint16_t zone[] = { 0, 0, 0, 0, 1 };
    struct placement_graph g = csr_make(5, edge, PR_COUNT(edge));
    uint64_t weight[] = { 7, 6, 4, 3, 8 };
    g.vertex_weight = weight;
    g.vertex_weight_sum = 28;
    const struct placement_tree tree = {
        3, { 2, 3, 5 }, { NULL, zone_of_group, group_of_node }, capacity
    };
    struct placement_hierarchy_input in = {
        .graph = &g, .tree = &tree, .fixed = { zone }, .seeds = 1, .moves = UINT64_MAX
    };
    struct placement_hierarchy_result out;
    struct pr_err err;
    uint16_t leaf[5];
    assert_ok(placement_hierarchy_solve(&in, leaf, &out, &err), &err);
    assert_memory_equal(leaf, want, sizeof leaf);
    assert_int_equal(out.level[0].cut, 9);
    zone[3] = 1; /* zone 1 cannot hold 3 + 8 */
    assert_int_equal(placement_hierarchy_solve(&in, leaf, &out, &err), PR_EFULL);
    zone[3] = PLACEMENT_FREE; /* nor need it */
    const enum pr_code rc = placement_hierarchy_solve(&in, leaf, &out, &err);
    assert_true(rc == PR_EFULL || (rc == PR_OK && leaf[3] == 3)); /* never something else */
    g.vertex_weight = NULL;
    placement_graph_done(&g);
}

enum { LEAVES = 100, EACH = 10, N = LEAVES * EACH };

/* A hundred leaves under one site, partitions in as many cliques. */
struct wide {
    struct placement_graph graph;
    uint64_t capacity[LEAVES];
    struct placement_tree tree;
    struct placement_hierarchy_input in;
    struct placement_hierarchy_result out;
    uint16_t leaf[N], today[N];
};

static struct wide *new_wide(void)
{
    static struct csr_edge edge[N * EACH];
    struct wide *w = calloc(1, sizeof *w);
    size_t m = 0;
    assert_non_null(w);
    for (uint32_t v = 0; v < N; v++) {
        for (uint32_t u = v + LEAVES; u < N; u += LEAVES)
            edge[m++] = (struct csr_edge){ v, u, 3 };
        edge[m++] = (struct csr_edge){ v, (v + 1) % N, 1 };
    }
    w->graph = csr_make(N, edge, m);
    for (uint32_t i = 0; i < LEAVES; i++)
        w->capacity[i] = EACH + 1;
    w->tree = (struct placement_tree){ .levels = 1, .sites = { LEAVES }, .capacity = w->capacity };
    w->in = (struct placement_hierarchy_input){ .graph = &w->graph,
                                                .tree = &w->tree,
                                                .moves = UINT64_MAX,
                                                .reference_ratio = { 1 },
                                                .seeds = 1 };
    return w;
}

static void solve(struct wide *w)
{
    struct pr_err err;
    assert_ok(placement_hierarchy_solve(&w->in, w->leaf, &w->out, &err), &err);
}

static void many_leaves_keep_their_names(void **state)
{
    (void)state;
    struct wide *w = new_wide();
    uint16_t pin[N];
    solve(w);
    for (uint32_t v = 0; v < N; v++)
        w->today[v] = (uint16_t)((w->leaf[v] * 7u + 5) % LEAVES);
    w->in.today = w->today;
    w->in.fresh = true;
    solve(w);
    assert_int_equal(w->out.level[0].moved, 0);
    /* Pins win over names. */
    memset(pin, 0xff, sizeof pin);
    pin[3] = (uint16_t)((w->today[3] + 1) % LEAVES);
    w->in.fixed[0] = pin;
    solve(w);
    assert_int_equal(w->leaf[3], pin[3]);
    placement_graph_done(&w->graph);
    free(w);
}

static void only_what_changed_is_looked_at(void **state)
{
    (void)state;
    struct wide *w = new_wide();
    uint32_t changed[] = { 5 };
    solve(w);
    memcpy(w->today, w->leaf, sizeof w->today);
    for (uint32_t i = 0; i < 4; i++) /* two exchanges: 5 with 6, and 17 with 18 */
        w->today[(const uint32_t[]){ 5, 6, 17, 18 }[i]] =
            w->leaf[(const uint32_t[]){ 6, 5, 18, 17 }[i]];
    w->in.today = w->today;
    w->in.changed = changed;
    w->in.n_changed = 1;
    solve(w);
    assert_int_equal(w->leaf[105], w->leaf[5]); /* back with its clique */
    assert_true(w->leaf[117] != w->leaf[17]);   /* not looked at */
    changed[0] = N;
    struct pr_err err;
    assert_int_equal(placement_hierarchy_solve(&w->in, w->leaf, &w->out, &err), PR_EINVAL);
    placement_graph_done(&w->graph);
    free(w);
}

static void weights_of_any_size_are_named(void **state)
{
    (void)state;
    /* Beyond what the matching of names can add up. */
    const struct csr_edge edge[] = { { 0, 1, 5 }, { 2, 3, 5 } };
    struct placement_graph g = csr_make(4, edge, PR_COUNT(edge));
    uint64_t weight[] = { 1ull << 45, 1ull << 44, 1ull << 45, 1ull << 44 };
    const uint64_t capacity[] = { 1ull << 46, 1ull << 46 };
    const uint16_t today[] = { 1, 1, 0, 0 };
    const struct placement_tree tree = { .levels = 1, .sites = { 2 }, .capacity = capacity };
    const struct placement_hierarchy_input in = {
        .graph = &g, .tree = &tree, .today = today, .fresh = true, .seeds = 1
    };
    struct placement_hierarchy_result out;
    struct pr_err err;
    uint16_t leaf[4];
    g.vertex_weight = weight;
    g.vertex_weight_sum = 3ull << 45;
    assert_ok(placement_hierarchy_solve(&in, leaf, &out, &err), &err);
    assert_memory_equal(leaf, today, sizeof leaf);
    g.vertex_weight = NULL;
    placement_graph_done(&g);
}

static void memory_grows_with_what_is_asked(void **state)
{
    (void)state;
    const uint64_t less = placement_hierarchy_bytes(64000, 40000000, 160, false, 1);
    assert_true(less > 40000000ull * 8);
    assert_true(placement_hierarchy_bytes(64000, 40000000, 160, true, 1) > less);
    assert_true(placement_hierarchy_bytes(64000, 50000000, 160, false, 1) > less);
    assert_true(placement_hierarchy_bytes(64000, 40000000, 160, false, 8) >= less);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_that_hardly_fit_are_packed),
        cmocka_unit_test(within_pinned_zones_too),
        cmocka_unit_test(many_leaves_keep_their_names),
        cmocka_unit_test(only_what_changed_is_looked_at),
        cmocka_unit_test(weights_of_any_size_are_named),
        cmocka_unit_test(memory_grows_with_what_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
