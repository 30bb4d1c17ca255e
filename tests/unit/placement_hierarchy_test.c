#include "t.h"

#include "engine/hierarchy.h"

#include "placement_csr.h"
#include "prism/rng.h"

#include <stdbool.h>

enum { ZONES = 3, GROUPS = 6, NODES = 24, PARTS = 1200 };

/* Three zones of two groups of four nodes; partitions that were made for a
 * node each, tied to each other by node, less by group, less by zone. */
struct world {
    struct placement_tree tree;
    uint16_t parent[2][NODES];
    uint64_t capacity[NODES];
    uint16_t home[PARTS]; /* node that a partition was made for */
    struct placement_graph graph;
    struct placement_hierarchy_input in;
    struct placement_hierarchy_result out;
    uint16_t leaf[PARTS];
};

static uint32_t peer(const struct world *w, struct pr_rng *rng, uint32_t p, uint32_t span)
{
    for (;;) {
        const uint32_t q = (uint32_t)pr_rng_below(rng, PARTS);
        if (q != p && w->home[q] / span == w->home[p] / span)
            return q;
    }
}

/* Edges within a node, a group, a zone and anywhere, from each partition. */
static void tie(struct world *w, struct pr_rng *rng)
{
    static const struct {
        uint32_t span, edges, weight;
    } kind[] = { { 1, 12, 20 }, { 4, 6, 10 }, { 8, 4, 6 }, { 24, 2, 3 } };
    struct csr_edge *edge = malloc(PARTS * 24 * sizeof *edge);
    size_t m = 0;
    assert_non_null(edge);
    for (uint32_t p = 0; p < PARTS; p++)
        for (size_t k = 0; k < PR_COUNT(kind); k++)
            for (uint32_t i = 0; i < kind[k].edges; i++)
                edge[m++] = (struct csr_edge){ p, peer(w, rng, p, kind[k].span), kind[k].weight };
    w->graph = csr_make(PARTS, edge, m);
    free(edge);
}

/* spare: of the nodes' capacity, over what the partitions weigh; percent. */
static struct world *new_world(uint64_t seed, bool weighted, unsigned spare)
{
    struct world *w = calloc(1, sizeof *w);
    struct pr_rng rng;
    assert_non_null(w);
    pr_rng_init(&rng, seed);
    for (uint32_t i = 0; i < NODES; i++)
        w->parent[1][i] = (uint16_t)(i / 4);
    for (uint32_t i = 0; i < GROUPS; i++)
        w->parent[0][i] = (uint16_t)(i / 2);
    for (uint32_t p = 0; p < PARTS; p++)
        w->home[p] = (uint16_t)(p % NODES);
    tie(w, &rng);
    if (weighted) {
        w->graph.vertex_weight = malloc(PARTS * sizeof *w->graph.vertex_weight);
        assert_non_null(w->graph.vertex_weight);
        w->graph.vertex_weight_sum = 0;
        for (uint32_t p = 0; p < PARTS; p++) {
            w->graph.vertex_weight[p] = 50 + pr_rng_below(&rng, 100);
            w->graph.vertex_weight_sum += w->graph.vertex_weight[p];
        }
    }
    for (uint32_t i = 0; i < NODES; i++)
        w->capacity[i] = w->graph.vertex_weight_sum * (100 + spare) / 100 / NODES + 1;
    w->tree = (struct placement_tree){ .levels = 3,
                                       .sites = { ZONES, GROUPS, NODES },
                                       .parent = { NULL, w->parent[0], w->parent[1] },
                                       .capacity = w->capacity };
    w->in = (struct placement_hierarchy_input){ .graph = &w->graph,
                                                .tree = &w->tree,
                                                .moves = UINT64_MAX,
                                                .reference_ratio = { 1, 1, 1 },
                                                .lost_ratio = 0.02,
                                                .seed = 1,
                                                .seeds = 1 };
    return w;
}

static void free_world(struct world *w)
{
    placement_graph_done(&w->graph);
    free(w);
}

static uint16_t site(const struct world *w, uint16_t leaf, uint32_t level)
{
    for (uint32_t l = w->tree.levels - 1; l > level; l--)
        leaf = w->tree.parent[l][leaf];
    return leaf;
}

static uint64_t cut_at(const struct world *w, const uint16_t *leaf, uint32_t level)
{
    uint64_t twice = 0;
    for (uint32_t p = 0; p < w->graph.n; p++) {
        const struct placement_row r = placement_row(&w->graph, p, NULL);
        for (uint32_t i = 0; i < r.n; i++)
            if (site(w, leaf[p], level) != site(w, leaf[r.to[i]], level))
                twice += placement_arc_weight(&r, i);
    }
    return twice / 2;
}

/* What holds for every result: a leaf each, within capacity at every level
 * (a site's is its leaves'), cuts and moves counted independently. */
static void check(const struct world *w)
{
    uint64_t held[NODES] = { 0 };
    for (uint32_t p = 0; p < w->graph.n; p++) {
        assert_true(w->leaf[p] < w->tree.sites[w->tree.levels - 1]);
        held[w->leaf[p]] += placement_vertex_weight(&w->graph, p);
    }
    for (uint32_t i = 0; i < w->tree.sites[w->tree.levels - 1]; i++)
        assert_true(held[i] <= w->capacity[i]);
    for (uint32_t l = 0; l < w->tree.levels; l++) {
        uint64_t moved = 0, weight = 0;
        for (uint32_t p = 0; w->in.today != NULL && p < w->graph.n; p++) {
            if (w->in.today[p] == PLACEMENT_FREE ||
                site(w, w->in.today[p], l) == site(w, w->leaf[p], l))
                continue;
            moved++;
            weight += placement_vertex_weight(&w->graph, p);
        }
        assert_int_equal(cut_at(w, w->leaf, l), w->out.level[l].cut);
        assert_int_equal(moved, w->out.level[l].moved);
        assert_int_equal(weight, w->out.level[l].moved_weight);
    }
}

static void solve(struct world *w)
{
    struct pr_err err;
    assert_ok(placement_hierarchy_solve(&w->in, w->leaf, &w->out, &err), &err);
    check(w);
}

static void partitions_find_the_nodes_they_were_made_for(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct world *w = new_world(seed, seed % 2 == 0, 10);
        solve(w);
        for (uint32_t l = 0; l < 3; l++) {
            const uint64_t made = cut_at(w, w->home, l);
            assert_true(w->out.level[l].cut <= made + made / 4);
            assert_true(w->out.level[l].fresh);
        }
        assert_false(w->out.flat);
        free_world(w);
    }
}

static void solved_again_nothing_moves(void **state)
{
    (void)state;
    struct world *w = new_world(4, true, 8);
    uint16_t today[PARTS];
    const uint32_t none[] = { 0 };
    solve(w);
    memcpy(today, w->leaf, sizeof today);
    w->in.today = today;
    w->in.changed = none; /* of length 0 */
    solve(w);
    assert_int_equal(w->out.level[2].moved, 0);
    for (uint32_t l = 0; l < 3; l++)
        assert_false(w->out.level[l].fresh);
    w->in.changed = NULL; /* unknown: any may move that saves more than it costs */
    w->in.price = 1e9;
    solve(w);
    assert_int_equal(w->out.level[2].moved, 0);
    w->in.price = 0;
    const uint64_t before = cut_at(w, today, 2);
    solve(w);
    assert_true(w->out.level[2].cut <= before);
    free_world(w);
}

static void renamed_sites_move_nothing(void **state)
{
    (void)state;
    struct world *w = new_world(5, true, 8);
    uint16_t today[PARTS];
    solve(w);
    /* Zones, the groups in them and the nodes in those in another order. */
    for (uint32_t p = 0; p < PARTS; p++) {
        const uint32_t zone = (w->leaf[p] / 8u + 1) % 3, group = 1 - w->leaf[p] / 4u % 2;
        today[p] = (uint16_t)(zone * 8 + group * 4 + (w->leaf[p] + 3u) % 4);
    }
    w->in.today = today;
    w->in.fresh = true;
    solve(w);
    assert_true(w->out.level[0].fresh);
    assert_int_equal(w->out.level[2].moved, 0);
    free_world(w);
}

static void partitions_without_a_place_get_one_and_the_others_stay(void **state)
{
    (void)state;
    struct world *w = new_world(6, false, 10);
    uint16_t today[PARTS];
    solve(w);
    memcpy(today, w->leaf, sizeof today);
    for (uint32_t p = 0; p < PARTS; p += 100)
        today[p] = PLACEMENT_FREE;
    w->in.today = today;
    w->in.price = 1000;
    const uint64_t before = w->out.level[2].cut;
    solve(w);
    assert_int_equal(w->out.level[2].moved, 0);
    assert_true(w->out.level[2].cut <= before + before / 50);
    free_world(w);
}

static void the_cap_on_moves_holds(void **state)
{
    (void)state;
    struct world *w = new_world(7, false, 10);
    struct pr_rng rng;
    uint16_t today[PARTS];
    pr_rng_init(&rng, 7);
    memcpy(today, w->home, sizeof today);
    for (uint32_t i = 0; i < 300; i++) { /* swaps, so that capacity holds */
        const uint32_t a = (uint32_t)pr_rng_below(&rng, PARTS);
        const uint32_t b = (uint32_t)pr_rng_below(&rng, PARTS);
        const uint16_t t = today[a];
        today[a] = today[b];
        today[b] = t;
    }
    w->in.today = today;
    w->in.moves = 20;
    solve(w);
    assert_true(w->out.level[2].moved <= 20);
    assert_true(w->out.level[2].moved > 0);
    assert_true(w->out.capped);
    w->in.moves = UINT64_MAX;
    solve(w);
    assert_true(w->out.level[2].moved > 100);
    assert_true(w->out.level[2].cut < cut_at(w, today, 2));
    free_world(w);
}

static void a_place_that_lost_its_locality_is_solved_afresh(void **state)
{
    (void)state;
    struct world *w = new_world(8, false, 10);
    uint16_t today[PARTS];
    solve(w);
    const uint64_t cut = w->out.level[0].cut;
    for (uint32_t p = 0; p < PARTS; p++)
        today[p] = (uint16_t)(p / 50); /* as good as random */
    w->in.today = today;
    w->in.price = 1e6; /* which a warm start cannot leave */
    solve(w);
    assert_false(w->out.level[0].fresh); /* nothing is known to be better than a cut of 1 */
    for (uint32_t l = 0; l < 3; l++)
        w->in.reference_ratio[l] = l == 1 ? -1 : 0.05;
    solve(w);
    for (uint32_t l = 0; l < 3; l++)
        assert_true(w->out.level[l].fresh);
    assert_true(w->out.level[0].cut <= cut + cut / 10);
    free_world(w);
}

static void sites_without_capacity_stay_empty_and_others_fill_by_theirs(void **state)
{
    (void)state;
    struct world *w = new_world(9, true, 0);
    const uint64_t sum = w->graph.vertex_weight_sum;
    for (uint32_t i = 0; i < NODES; i++) /* zone 2 takes none, zone 0 twice what 1 takes */
        w->capacity[i] = i >= 16 ? 0 : sum * (i < 8 ? 2 : 1) * 105 / 100 / 24;
    solve(w);
    for (uint32_t p = 0; p < PARTS; p++)
        assert_true(w->leaf[p] < 16);
    /* Today everything is in the zone that was emptied. */
    uint16_t today[PARTS];
    for (uint32_t p = 0; p < PARTS; p++)
        today[p] = (uint16_t)(16 + w->home[p] % 8);
    w->in.today = today;
    solve(w);
    assert_int_equal(w->out.level[0].moved, PARTS);
    free_world(w);
}

static void partitions_of_a_slot_stay_together(void **state)
{
    (void)state;
    struct world *w = new_world(10, true, 15);
    uint16_t slot[PARTS];
    for (uint32_t p = 0; p < PARTS; p++)
        slot[p] = (uint16_t)(60000 - p * 7 % PARTS / 4); /* whatever they are numbered */
    w->in.slot = slot;
    solve(w);
    assert_int_equal(w->out.units, PARTS / 4);
    for (uint32_t p = 0; p < PARTS; p++)
        for (uint32_t q = 0; q < p; q++)
            if (slot[p] == slot[q])
                assert_int_equal(w->leaf[p], w->leaf[q]);
    /* Places of today that part a slot are refused. */
    struct pr_err err;
    uint16_t today[PARTS];
    memcpy(today, w->leaf, sizeof today);
    w->in.today = today;
    solve(w);
    today[17] = (uint16_t)((today[17] + 1) % NODES);
    assert_int_equal(placement_hierarchy_solve(&w->in, w->leaf, &w->out, &err), PR_EINVAL);
    free_world(w);
}

static void pins_hold_at_any_level(void **state)
{
    (void)state;
    struct world *w = new_world(11, false, 10);
    uint16_t zone[PARTS], leaf[PARTS], today[PARTS];
    for (uint32_t p = 0; p < PARTS; p++) {
        zone[p] = p % 3 == 0 ? (uint16_t)(p / 3 % 3) : PLACEMENT_FREE;
        leaf[p] = p % 30 == 1 ? (uint16_t)(p / 10 % NODES) : PLACEMENT_FREE;
    }
    w->in.fixed[0] = zone;
    w->in.fixed[2] = leaf;
    for (unsigned round = 0; round < 3; round++) {
        solve(w);
        for (uint32_t p = 0; p < PARTS; p++) {
            if (zone[p] != PLACEMENT_FREE)
                assert_int_equal(site(w, w->leaf[p], 0), zone[p]);
            if (leaf[p] != PLACEMENT_FREE)
                assert_int_equal(w->leaf[p], leaf[p]);
        }
        memcpy(today, w->home, sizeof today);
        w->in.today = today; /* then warm, then fresh with naming */
        w->in.fresh = round == 1;
    }
    for (uint32_t p = 0; p < PARTS; p++) /* all zones are given, as a cut gives them */
        zone[p] = site(w, w->home[p], 0);
    w->in.fixed[2] = NULL;
    solve(w);
    assert_int_equal(w->out.level[0].cut, cut_at(w, w->home, 0));
    w->in.fixed[2] = leaf;
    /* A pin to a leaf against a pin to another zone. */
    struct pr_err err;
    zone[0] = 1;
    leaf[0] = 0;
    assert_int_equal(placement_hierarchy_solve(&w->in, w->leaf, &w->out, &err), PR_EINVAL);
    free_world(w);
}

static void results_do_not_depend_on_threads(void **state)
{
    (void)state;
    struct world *w = new_world(13, true, 6);
    uint16_t first[PARTS];
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct pr_err err;
        assert_ok(pr_pool_new(threads, &w->in.pool, &err), &err);
        solve(w);
        pr_pool_free(w->in.pool);
        w->in.pool = NULL;
        if (threads == 1)
            memcpy(first, w->leaf, sizeof first);
        assert_memory_equal(first, w->leaf, sizeof first);
    }
    free_world(w);
}

static void one_level_and_one_leaf_are_fine(void **state)
{
    (void)state;
    struct world *w = new_world(14, true, 10);
    uint64_t all = w->graph.vertex_weight_sum;
    w->tree.levels = 1;
    w->tree.sites[0] = 1;
    w->tree.capacity = &all;
    w->capacity[0] = all;
    solve(w);
    assert_int_equal(w->out.level[0].cut, 0);
    w->tree.sites[0] = 5;
    w->tree.capacity = w->capacity;
    for (uint32_t i = 0; i < 5; i++)
        w->capacity[i] = all / 5 + 200;
    solve(w);
    assert_true(w->out.level[0].cut > 0);
    free_world(w);
}

static void bad_trees_and_places_are_refused(void **state)
{
    (void)state;
    struct world *w = new_world(15, false, 10);
    struct pr_err err;
    uint16_t place[PARTS];
    w->tree.levels = 0;
    assert_int_equal(placement_hierarchy_solve(&w->in, w->leaf, &w->out, &err), PR_EINVAL);
    w->tree.levels = 3;
    w->parent[1][3] = GROUPS;
    assert_int_equal(placement_hierarchy_solve(&w->in, w->leaf, &w->out, &err), PR_EINVAL);
    for (uint32_t i = 0; i < NODES; i++) /* group 5 has no node */
        w->parent[1][i] = (uint16_t)(i / 5);
    solve(w);
    memset(place, 0xff, sizeof place);
    place[7] = 5;
    w->in.fixed[1] = place;
    assert_int_equal(placement_hierarchy_solve(&w->in, w->leaf, &w->out, &err), PR_EINVAL);
    w->in.fixed[1] = NULL;
    place[7] = NODES;
    w->in.today = place;
    assert_int_equal(placement_hierarchy_solve(&w->in, w->leaf, &w->out, &err), PR_EINVAL);
    w->in.today = NULL;
    w->in.price = -1;
    assert_int_equal(placement_hierarchy_solve(&w->in, w->leaf, &w->out, &err), PR_EINVAL);
    free_world(w);
}

struct watched {
    double last, stop_at;
    bool fell;
};

static bool watch(void *ctx, double done)
{
    struct watched *s = ctx;
    s->fell |= done < s->last || done > 1;
    s->last = done;
    return done < s->stop_at;
}

static void progress_only_grows_and_work_can_be_stopped(void **state)
{
    (void)state;
    struct world *w = new_world(16, false, 10);
    struct watched s = { .stop_at = 2 };
    struct pr_err err;
    w->in.watch = (struct placement_watch){ watch, &s };
    solve(w);
    assert_false(s.fell);
    s = (struct watched){ .stop_at = 0.5 };
    assert_int_equal(placement_hierarchy_solve(&w->in, w->leaf, &w->out, &err), PR_ECANCELED);
    free_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partitions_find_the_nodes_they_were_made_for),
        cmocka_unit_test(solved_again_nothing_moves),
        cmocka_unit_test(renamed_sites_move_nothing),
        cmocka_unit_test(partitions_without_a_place_get_one_and_the_others_stay),
        cmocka_unit_test(the_cap_on_moves_holds),
        cmocka_unit_test(a_place_that_lost_its_locality_is_solved_afresh),
        cmocka_unit_test(sites_without_capacity_stay_empty_and_others_fill_by_theirs),
        cmocka_unit_test(partitions_of_a_slot_stay_together),
        cmocka_unit_test(pins_hold_at_any_level),
        cmocka_unit_test(results_do_not_depend_on_threads),
        cmocka_unit_test(one_level_and_one_leaf_are_fine),
        cmocka_unit_test(bad_trees_and_places_are_refused),
        cmocka_unit_test(progress_only_grows_and_work_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
