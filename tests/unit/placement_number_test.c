#include "t.h"

#include "engine/number.h"

#include "engine/partition.h" /* PLACEMENT_FREE */
#include "placement_csr.h"
#include "prism/rng.h"
#include "prism/slot.h"

#include <inttypes.h>
#include <stdbool.h>

enum { MAX_P = 5000, MAX_LEAVES = 16 };

/* Everything that a call reads and writes, for up to MAX_P partitions. */
struct world {
    struct placement_number_input in;
    struct placement_number_result out;
    uint16_t slot[MAX_P], leaf_of_slot[PLACEMENT_SLOTS], zone_of_leaf[MAX_LEAVES];
    uint64_t weight[MAX_P];
    uint16_t zone[MAX_P], leaf[MAX_P];
    struct placement_overlap overlap[4 * MAX_P];
    uint32_t number[MAX_P];
    uint16_t leaf_after[PLACEMENT_SLOTS];
};

/* Blocks of weight 10; slots of `shared` numbers each, dealt to leaves in turn. */
static struct world *new_world(uint32_t partitions, uint32_t shared, uint32_t leaves,
                               uint32_t zones)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->in = (struct placement_number_input){ .partitions = partitions,
                                             .slot = w->slot,
                                             .leaf_of_slot = w->leaf_of_slot,
                                             .leaves = leaves,
                                             .zones = zones,
                                             .zone_of_leaf = w->zone_of_leaf,
                                             .weight = w->weight,
                                             .zone = w->zone,
                                             .overlap = w->overlap };
    for (uint32_t p = 0; p < partitions; p++) {
        w->slot[p] = (uint16_t)(p / shared);
        w->weight[p] = 10;
        w->leaf[p] = PLACEMENT_FREE;
    }
    for (uint32_t s = 0; s < PLACEMENT_SLOTS; s++)
        w->leaf_of_slot[s] = (uint16_t)(s % leaves);
    for (uint32_t l = 0; l < leaves; l++)
        w->zone_of_leaf[l] = (uint16_t)(l % zones);
    return w;
}

static uint16_t zone_after(const struct world *w, uint32_t number)
{
    return w->zone_of_leaf[w->leaf_after[w->slot[number]]];
}

/* What holds for every result. */
static void check(const struct world *w)
{
    const uint32_t n = w->in.partitions;
    bool used[MAX_P] = { false };
    uint32_t misplaced = 0, slots_moved = 0, wished = 0;
    uint64_t kept = 0;
    for (uint32_t b = 0; b < n; b++) {
        assert_true(w->number[b] < n);
        assert_false(used[w->number[b]]);
        used[w->number[b]] = true;
        assert_true(w->leaf_after[w->slot[w->number[b]]] < w->in.leaves);
        misplaced += w->weight[b] > 0 && zone_after(w, w->number[b]) != w->zone[b];
        wished += w->in.leaf != NULL && w->weight[b] > 0 &&
                  w->leaf[b] == w->leaf_after[w->slot[w->number[b]]];
    }
    for (size_t i = 0; i < w->in.overlaps; i++)
        if (w->number[w->overlap[i].block] == w->overlap[i].number)
            kept += w->overlap[i].weight;
    for (uint32_t s = 0; s < PLACEMENT_SLOTS; s++)
        slots_moved += w->leaf_after[s] != w->leaf_of_slot[s];
    assert_int_equal(misplaced, w->out.misplaced);
    assert_int_equal(slots_moved, w->out.slots_moved);
    assert_int_equal(wished, w->out.in_wished_leaf);
    assert_int_equal(kept, w->out.kept_weight);
}

static void solve(struct world *w)
{
    struct pr_err err;
    assert_ok(placement_number(&w->in, w->number, w->leaf_after, &w->out, &err), &err);
    check(w);
}

static void blocks_that_are_where_they_were_keep_all_numbers(void **state)
{
    (void)state;
    struct world *w = new_world(4096, 1, 6, 3);
    for (uint32_t p = 0; p < 4096; p++) {
        w->slot[p] = pr_partition_slot(p);
        w->overlap[p] = (struct placement_overlap){ (p * 5 + 3) % 4096, p, 10 };
    }
    for (uint32_t i = 0; i < 4096; i++)
        w->zone[w->overlap[i].block] =
            w->zone_of_leaf[w->leaf_of_slot[w->slot[w->overlap[i].number]]];
    w->in.overlaps = 4096;
    w->in.keep_ratio = 0.5;
    solve(w);
    assert_int_equal(w->out.kept_weight, 40960);
    assert_int_equal(w->out.slots_moved, 0);
    assert_int_equal(w->out.misplaced, 0);
    free(w);
}

static void the_heaviest_overlap_goes_first(void **state)
{
    (void)state;
    struct world *w = new_world(3, 1, 1, 1);
    const struct placement_overlap o[] = { { 0, 2, 5 }, { 1, 2, 6 }, { 1, 0, 4 }, { 0, 1, 3 } };
    memcpy(w->overlap, o, sizeof o);
    w->in.overlaps = PR_COUNT(o);
    solve(w);
    assert_int_equal(w->number[1], 2);
    assert_int_equal(w->number[0], 1);
    assert_int_equal(w->number[2], 0);
    assert_int_equal(w->out.kept_weight, 9);
    free(w);
}

static void a_number_in_another_zone_is_not_kept(void **state)
{
    (void)state;
    struct world *w = new_world(2, 1, 2, 2); /* number 0 is in zone 0, 1 in 1 */
    w->zone[0] = 1;
    w->zone[1] = 0;
    w->overlap[0] = (struct placement_overlap){ 0, 0, 10 };
    w->in.overlaps = 1;
    solve(w);
    assert_int_equal(w->number[0], 1);
    assert_int_equal(w->out.kept_weight, 0);
    assert_int_equal(w->out.slots_moved, 0);
    free(w);
}

static void a_lesser_overlap_counts_within_the_slot_only(void **state)
{
    (void)state;
    struct world *w = new_world(4, 2, 1, 1);
    const struct csr_edge edge[] = { { 0, 1, 9 }, { 2, 3, 9 } };
    struct placement_graph ties = csr_make(4, edge, PR_COUNT(edge));
    /* 0 and 1 belong together; 1 was in number 3, a bit, and 0 in number 1. */
    const struct placement_overlap o[] = { { 1, 3, 2 }, { 0, 1, 1 } };
    memcpy(w->overlap, o, sizeof o);
    w->in.overlaps = PR_COUNT(o);
    w->in.ties = &ties;
    w->in.keep_ratio = 0.5;
    solve(w);
    assert_int_equal(w->slot[w->number[0]], w->slot[w->number[1]]);
    assert_int_equal(w->slot[w->number[2]], w->slot[w->number[3]]);
    assert_int_equal(w->number[0], 1);
    w->in.keep_ratio = 0.1; /* now both are kept, and the tie is not */
    solve(w);
    assert_int_equal(w->number[1], 3);
    assert_int_equal(w->number[0], 1);
    placement_graph_done(&ties);
    free(w);
}

static void blocks_that_are_tied_share_a_slot(void **state)
{
    (void)state;
    enum { BLOCKS = 400, EACH = 4, GROUPS = BLOCKS / EACH };
    struct csr_edge edge[BLOCKS * EACH];
    struct world *w = new_world(BLOCKS, EACH, 4, 2);
    size_t m = 0;
    /* Block b is of group b % GROUPS: nobody's neighbours are near in number. */
    for (uint32_t b = 0; b < BLOCKS; b++) {
        w->zone[b] = (uint16_t)(b % GROUPS % 2);
        for (uint32_t i = b % GROUPS; i < b; i += GROUPS)
            edge[m++] = (struct csr_edge){ i, b, 5 };
        edge[m++] = (struct csr_edge){ b, (b + 1) % BLOCKS, 2 };
    }
    struct placement_graph ties = csr_make(BLOCKS, edge, m);
    w->in.ties = &ties;
    solve(w);
    for (uint32_t b = GROUPS; b < BLOCKS; b++)
        assert_int_equal(w->slot[w->number[b]], w->slot[w->number[b % GROUPS]]);
    placement_graph_done(&ties);
    free(w);
}

static void without_ties_neighbours_in_number_share_a_slot(void **state)
{
    (void)state;
    struct world *w = new_world(40, 4, 2, 1);
    solve(w);
    for (uint32_t b = 0; b < 40; b++)
        assert_int_equal(w->slot[w->number[b]], w->slot[w->number[b / 4 * 4]]);
    free(w);
}

static void wishes_for_nodes_are_met_where_numbers_suffice(void **state)
{
    (void)state;
    struct world *w = new_world(240, 3, 4, 2);
    for (uint32_t b = 0; b < 240; b++) {
        w->leaf[b] = (uint16_t)(b / 60);
        w->zone[b] = w->zone_of_leaf[w->leaf[b]];
    }
    w->in.leaf = w->leaf;
    solve(w);
    assert_int_equal(w->out.in_wished_leaf, 240);
    assert_int_equal(w->out.slots_moved, 0);
    for (uint32_t b = 0; b < 60; b++) /* node 0 has 60 numbers, and 20 more wish to be there */
        w->leaf[b] = 0;
    for (uint32_t b = 120; b < 140; b++)
        w->leaf[b] = 0;
    solve(w);
    assert_int_equal(w->out.in_wished_leaf, 220);
    assert_int_equal(w->out.misplaced, 0);
    free(w);
}

static void as_few_slots_as_needed_change_zone_and_those_that_hold_least(void **state)
{
    (void)state;
    /* 20 slots of 2 numbers, 10 in each zone; zone 1 needs 4 numbers more. */
    struct world *w = new_world(40, 2, 2, 2);
    for (uint32_t b = 0; b < 40; b++) {
        w->zone[b] = b >= 16;
        w->overlap[b] = (struct placement_overlap){ b, b, 10 };
    }
    /* Of zone 0's slots (the even ones: numbers 4 i, 4 i + 1) those of numbers
     * from 16 on hold what is wanted in zone 1. */
    w->in.overlaps = 40;
    solve(w);
    assert_int_equal(w->out.slots_moved, 2);
    assert_int_equal(w->out.numbers_moved, 4);
    assert_int_equal(w->out.misplaced, 0);
    for (uint32_t s = 0; s < 8; s++)
        assert_int_equal(w->leaf_after[s], w->leaf_of_slot[s]);
    free(w);
}

static void a_zone_may_take_over_most_of_another(void **state)
{
    (void)state;
    struct world *w = new_world(4000, 4, 10, 2); /* 2,000 numbers in each zone */
    for (uint32_t b = 0; b < 4000; b++) {
        w->zone[b] = b >= 401;
        w->leaf[b] = (uint16_t)(b >= 401 ? 1 + b % 2 * 2 : 0); /* of 1, 3, 5, 7, 9 only two */
    }
    w->slot[3999] = 5000; /* in zone 0; so that odd counts add up, */
    w->slot[3998] = 5002; /* not that of any other number */
    w->in.leaf = w->leaf;
    solve(w);
    assert_int_equal(w->out.misplaced, 0);
    for (uint32_t s = 0; s < PLACEMENT_SLOTS; s++)
        if (w->leaf_after[s] != w->leaf_of_slot[s])
            assert_true(w->leaf_after[s] == 1 || w->leaf_after[s] == 3);
    free(w);
}

static void slots_of_odd_sizes_add_up(void **state)
{
    (void)state;
    /* Zone 0 (leaf 0) has slots of 3, 3, 5 and 2 numbers, and needs 7 of the 13. */
    struct world *w = new_world(13, 1, 2, 2);
    const uint16_t slot[] = { 0, 0, 0, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6 };
    memcpy(w->slot, slot, sizeof slot);
    for (uint32_t b = 7; b < 13; b++)
        w->zone[b] = 1;
    solve(w); /* 6 move: 3 and 3, not 5 and too little or too much */
    assert_int_equal(w->out.numbers_moved, 6);
    assert_int_equal(w->leaf_after[0], 1);
    assert_int_equal(w->leaf_after[2], 1);
    assert_int_equal(w->out.misplaced, 0);
    free(w);
}

static void what_cannot_be_divided_is_reported(void **state)
{
    (void)state;
    struct world *w = new_world(4, 4, 2, 2); /* one slot, two zones with blocks */
    w->zone[3] = 1;
    w->weight[3] = 7;
    solve(w);
    assert_int_equal(w->out.misplaced, 1);
    assert_int_equal(w->out.misplaced_weight, 7);
    assert_int_equal(w->out.slots_moved, 0);
    w->weight[3] = 0; /* but a block without vertices may be anywhere */
    solve(w);
    assert_int_equal(w->out.misplaced, 0);
    free(w);
}

static void slots_without_a_node_get_one_before_others_move(void **state)
{
    (void)state;
    struct world *w = new_world(12, 1, 4, 2);
    for (uint32_t s = 0; s < 4; s++)
        w->leaf_of_slot[s] = PLACEMENT_FREE;
    for (uint32_t b = 0; b < 12; b++)
        w->zone[b] = b >= 4; /* zone 0 has numbers 4, 6, 8, 10: enough */
    solve(w);
    assert_int_equal(w->out.slots_moved, 4);
    for (uint32_t s = 0; s < 4; s++)
        assert_int_equal(w->zone_of_leaf[w->leaf_after[s]], 1);
    for (uint32_t b = 0; b < 12; b++)
        w->weight[b] = 0; /* nobody needs them, and they still get a node */
    solve(w);
    assert_int_equal(w->out.slots_moved, 4);
    free(w);
}

static void bad_input_is_refused(void **state)
{
    (void)state;
    struct pr_err err;
    struct world *w = new_world(8, 2, 2, 2);
    w->in.leaf = w->leaf;
    solve(w);
    w->leaf[5] = 1; /* its zone is 0 */
    assert_int_equal(placement_number(&w->in, w->number, w->leaf_after, &w->out, &err), PR_EINVAL);
    w->leaf[5] = PLACEMENT_FREE;
    w->zone[2] = 2;
    assert_int_equal(placement_number(&w->in, w->number, w->leaf_after, &w->out, &err), PR_EINVAL);
    w->zone[2] = 1;
    w->zone_of_leaf[1] = 0; /* a zone with a block and no node */
    assert_int_equal(placement_number(&w->in, w->number, w->leaf_after, &w->out, &err), PR_EINVAL);
    w->zone_of_leaf[1] = 1;
    w->overlap[0] = (struct placement_overlap){ 0, 8, 1 };
    w->in.overlaps = 1;
    assert_int_equal(placement_number(&w->in, w->number, w->leaf_after, &w->out, &err), PR_EINVAL);
    w->in.overlaps = 0;
    w->in.keep_ratio = 1.5;
    assert_int_equal(placement_number(&w->in, w->number, w->leaf_after, &w->out, &err), PR_EINVAL);
    free(w);
}

static void shake(struct world *w, struct pr_rng *rng)
{
    const uint32_t n = w->in.partitions;
    for (uint32_t s = 0; s < PLACEMENT_SLOTS; s++)
        w->leaf_of_slot[s] =
            pr_rng_below(rng, 50) == 0 ? PLACEMENT_FREE : (uint16_t)pr_rng_below(rng, w->in.leaves);
    for (uint32_t b = 0; b < n; b++) {
        w->slot[b] = pr_partition_slot(b);
        w->zone[b] = (uint16_t)pr_rng_below(rng, w->in.zones);
        w->weight[b] = pr_rng_below(rng, 8) == 0 ? 0 : 1 + pr_rng_below(rng, 100);
        if (pr_rng_below(rng, 3) == 0)
            continue;
        do
            w->leaf[b] = (uint16_t)pr_rng_below(rng, w->in.leaves);
        while (w->zone_of_leaf[w->leaf[b]] != w->zone[b]);
    }
    w->in.overlaps = pr_rng_below(rng, 4 * (uint64_t)n);
    for (size_t i = 0; i < w->in.overlaps; i++)
        w->overlap[i] =
            (struct placement_overlap){ (uint32_t)(i / 4), (uint32_t)((i % 4 * n / 4 + i * 7) % n),
                                        pr_rng_below(rng, 30) };
    w->in.keep_ratio = pr_rng_unit(rng);
    w->in.leaf = pr_rng_below(rng, 2) == 0 ? NULL : w->leaf;
}

static void any_world_is_numbered_and_the_same_way_twice(void **state)
{
    (void)state;
    const uint64_t seed = 20261122;
    struct pr_rng rng;
    print_message("seed %" PRIu64 "\n", seed);
    pr_rng_init(&rng, seed);
    for (unsigned round = 0; round < 40; round++) {
        const uint32_t n = (uint32_t)(1 + pr_rng_below(&rng, round % 4 == 0 ? MAX_P : 300));
        const uint32_t leaves = (uint32_t)(1 + pr_rng_below(&rng, MAX_LEAVES));
        const uint32_t zones =
            (uint32_t)(1 + pr_rng_below(&rng, leaves < 4 ? leaves : 4)); /* each has a leaf */
        struct world *w = new_world(n, 1, leaves, zones);
        struct csr_edge *edge = malloc(8 * (size_t)n * sizeof *edge);
        assert_non_null(edge);
        shake(w, &rng);
        for (uint32_t i = 0; i < 8 * n; i++)
            edge[i] = (struct csr_edge){ (uint32_t)pr_rng_below(&rng, n),
                                         (uint32_t)pr_rng_below(&rng, n), 1 + i % 9 };
        struct placement_graph ties = csr_make(n, edge, 8 * (size_t)n);
        w->in.ties = &ties;
        solve(w);
        if (n > 250) /* there single slots abound */
            assert_int_equal(w->out.misplaced, 0);
        uint32_t number[MAX_P];
        memcpy(number, w->number, n * sizeof *number);
        solve(w);
        assert_memory_equal(number, w->number, n * sizeof *number);
        placement_graph_done(&ties);
        free(edge);
        free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_that_are_where_they_were_keep_all_numbers),
        cmocka_unit_test(the_heaviest_overlap_goes_first),
        cmocka_unit_test(a_number_in_another_zone_is_not_kept),
        cmocka_unit_test(a_lesser_overlap_counts_within_the_slot_only),
        cmocka_unit_test(blocks_that_are_tied_share_a_slot),
        cmocka_unit_test(without_ties_neighbours_in_number_share_a_slot),
        cmocka_unit_test(wishes_for_nodes_are_met_where_numbers_suffice),
        cmocka_unit_test(as_few_slots_as_needed_change_zone_and_those_that_hold_least),
        cmocka_unit_test(a_zone_may_take_over_most_of_another),
        cmocka_unit_test(slots_of_odd_sizes_add_up),
        cmocka_unit_test(what_cannot_be_divided_is_reported),
        cmocka_unit_test(slots_without_a_node_get_one_before_others_move),
        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(any_world_is_numbered_and_the_same_way_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
