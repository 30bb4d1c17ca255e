/* What holds of every cut, whatever the graph: seeded random graphs, capacities
 * and fixed vertices. */
#include "placement_tasks.h"
#include "t.h"

#include "core/code.h"

#include <stdlib.h>
#include <string.h>

static void same_again(const struct task *t, struct pr_pool *pool, unsigned threads,
                       const uint16_t *block, const struct placement_partition_result *r)
{
    struct placement_partition_result other;
    struct pr_err err = { 0 };
    uint16_t *again = blocks_of(t);
    if (cut_task(t, pool, 1, again, &other, &err) != PR_OK)
        fail_msg("%s: with %u threads: %s", words(t), threads, err.text);
    if (memcmp(again, block, t->g.n * sizeof *block) != 0 || other.cut != r->cut)
        fail_msg("%s: with %u threads another result", words(t), threads);
    free(again);
}

static unsigned rounds(uint32_t most_vertices, unsigned count, uint64_t first)
{
    struct pr_rng rng;
    unsigned cut = 0;
    pr_rng_init(&rng, first);
    for (unsigned round = 0; round < count; round++) {
        struct task t;
        struct placement_partition_result r;
        random_task(&t, &rng, most_vertices);
        uint16_t *block = blocks_of(&t);
        if (cut_well(&t, block, &r)) {
            cut++;
            same_again(&t, NULL, 1, block, &r);
            same_again(&t, pools[2 + round % 3], 2 + round % 3, block, &r);
        }
        free(block);
        task_done(&t);
    }
    return cut;
}

static void every_cut_is_valid_and_the_same_with_any_threads(void **state)
{
    (void)state;
    assert_true(rounds(40, 160 / T_SLOWER, seed) >= 140 / T_SLOWER);
    assert_true(rounds(1500, 80 / T_SLOWER, seed + 1) >= 70 / T_SLOWER);
}

static void large_graphs_too(void **state)
{
    (void)state;
    assert_true(rounds(60000, 8 / T_SLOWER, seed + 2) >= 5 / T_SLOWER);
}

/* As a plain graph is cut by the like of it: other batches, another result. */
static void gap_coded_graphs_are_cut_as_well(void **state)
{
    (void)state;
    struct pr_rng rng;
    pr_rng_init(&rng, seed + 5);
    for (unsigned round = 0; round < 60 / T_SLOWER; round++) {
        struct task plain, t;
        struct placement_partition_result r;
        struct pr_err err = { 0 };
        struct pr_rng again = rng;
        random_task(&plain, &rng, round % 10 == 0 ? 20000 : 1500);
        random_task(&t, &again, round % 10 == 0 ? 20000 : 1500);
        uint16_t *block = blocks_of(&t);
        if (t.g.weight == NULL) {
            assert_ok(placement_graph_code(&t.g, NULL, &err), &err);
            if (cut_well(&t, block, &r)) {
                check_cut(&plain, block, r.cut);
                same_again(&t, pools[2], 2, block, &r);
            }
        }
        free(block);
        task_done(&t);
        task_done(&plain);
    }
}

static void tight_blocks_of_equal_vertices_are_filled(void **state)
{
    (void)state;
    struct pr_rng rng;
    pr_rng_init(&rng, seed + 3);
    for (int kind = 0; kind < KINDS; kind++) {
        struct task t = { .look = { .kind = (enum graph_kind)kind },
                          .seed = seed,
                          .must_fit = true };
        struct placement_partition_result r;
        t.blocks = 2 + (uint32_t)pr_rng_below(&rng, 9);
        t.look.n = t.blocks * (1 + (uint32_t)pr_rng_below(&rng, 60));
        t.g = graph_of_look(&t.look, pr_rng_next(&rng));
        t.capacity = calloc(t.blocks, sizeof *t.capacity);
        for (uint32_t b = 0; b < t.blocks; b++)
            t.capacity[b] = t.look.n / t.blocks; /* not one to spare */
        uint16_t *block = blocks_of(&t);
        assert_true(cut_well(&t, block, &r));
        free(block);
        task_done(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_is_valid_and_the_same_with_any_threads),
        cmocka_unit_test(large_graphs_too),
        cmocka_unit_test(gap_coded_graphs_are_cut_as_well),
        cmocka_unit_test(tight_blocks_of_equal_vertices_are_filled),
    };
    return cmocka_run_group_tests(tests, tasks_set_up, tasks_tear_down);
}
