/* Refusals, cancellation, and what seeds and names may change. */
#include "placement_tasks.h"
#include "t.h"

#include "engine/refine.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void what_cannot_fit_is_refused_in_words(void **state)
{
    (void)state;
    uint64_t capacity[3] = { 40, 40, 40 };
    uint16_t block[100], before[100], fixed[100];
    struct placement_partition_result r;
    struct pr_err err = { 0 };
    struct task t = { .look = { .kind = KIND_RANDOM, .n = 100 }, .blocks = 3 };
    t.g = graph_of_look(&t.look, seed);
    t.capacity = capacity;
    memset(block, 0xab, sizeof block);
    memcpy(before, block, sizeof block);

    capacity[2] = 19; /* 99 for 100 vertices */
    assert_int_equal(cut_task(&t, NULL, 1, block, &r, &err), PR_EFULL);
    assert_non_null(strstr(err.text, "99"));
    capacity[2] = 40;
    for (unsigned v = 0; v < 100; v++)
        fixed[v] = v < 41 ? 1 : PLACEMENT_FREE; /* 41 in a block of 40 */
    t.fixed = fixed;
    assert_int_equal(cut_task(&t, NULL, 1, block, &r, &err), PR_EFULL);
    assert_non_null(strstr(err.text, "block 1"));
    fixed[7] = 3;
    assert_int_equal(cut_task(&t, NULL, 1, block, &r, &err), PR_EINVAL);
    t.fixed = NULL;

    t.g.vertex_weight = calloc(100, sizeof *t.g.vertex_weight); /* vertex 5 is too heavy */
    t.g.vertex_weight[5] = 41;
    t.g.vertex_weight_sum = 41;
    assert_int_equal(cut_task(&t, NULL, 1, block, &r, &err), PR_EFULL);
    assert_non_null(strstr(err.text, "41"));
    t.blocks = 0;
    assert_int_equal(cut_task(&t, NULL, 1, block, &r, &err), PR_EINVAL);
    assert_memory_equal(block, before, sizeof block); /* only written on PR_OK */
    placement_graph_done(&t.g);
}

/* --- cancel ------------------------------------------------------------------- */

struct stopper {
    pthread_t caller;
    unsigned asked, after; /* says no from this call on */
    double done;
    bool shrank, elsewhere;
};

static bool go_on(void *ctx, double done)
{
    struct stopper *s = ctx;
    s->asked++;
    s->shrank = s->shrank || done < s->done || done > 1.0 + 1e-9 || !(done >= 0);
    s->elsewhere = s->elsewhere || !pthread_equal(pthread_self(), s->caller);
    s->done = done;
    return s->asked < s->after;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* whatever else runs */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void stops_when_told_and_only_grows_until_then(void **state)
{
    (void)state;
    struct task t = { .look = { .kind = KIND_POWER, .n = 30000 }, .blocks = 40 };
    struct pr_err err = { 0 };
    uint64_t capacity[40];
    t.g = graph_of_look(&t.look, seed);
    for (unsigned b = 0; b < 40; b++)
        capacity[b] = 30000 / 40 + 30;
    uint16_t *block = blocks_of(&t), *before = blocks_of(&t);
    struct stopper s = { .caller = pthread_self(), .after = UINT32_MAX };
    struct placement_partition_result r;
    struct placement_partition_input in = { .graph = &t.g,
                                            .blocks = 40,
                                            .capacity = capacity,
                                            .seed = 1,
                                            .seeds = 2,
                                            .pool = pools[2],
                                            .watch = { go_on, &s } };
    for (unsigned after = 1; after > 0;) {
        s = (struct stopper){ .caller = pthread_self(), .after = after };
        const double from = seconds();
        const enum pr_code rc = placement_partition(&in, block, &r, &err);
        assert_false(s.shrank);
        assert_false(s.elsewhere);
        if (rc == PR_OK) { /* asked less often than that */
            assert_true(after > 10);
            assert_true(s.asked < after);
            break;
        }
        assert_int_equal(rc, PR_ECANCELED);
        assert_true(seconds() - from < 20); /* also under a sanitizer */
        assert_memory_equal(block, before, t.g.n * sizeof *block);
        after = after < 8 ? after + 1 : after * 2;
    }
    free(block);
    free(before);
    placement_graph_done(&t.g);
}

/* --- quality that must hold ---------------------------------------------------- */

static void more_seeds_never_cut_more(void **state)
{
    (void)state;
    struct pr_rng rng;
    pr_rng_init(&rng, seed + 4);
    for (unsigned round = 0; round < T_ROUNDS(30); round++) {
        struct task t;
        struct placement_partition_result one, four;
        struct pr_err err = { 0 };
        random_task(&t, &rng, 600);
        uint16_t *block = blocks_of(&t);
        if (cut_well(&t, block, &one)) {
            assert_ok(cut_task(&t, pools[2], 4, block, &four, &err), &err);
            check_cut(&t, block, four.cut);
            if (four.cut > one.cut)
                fail_msg("%s: cut %" PRIu64 " with 4 seeds, %" PRIu64 " with one", words(&t),
                         four.cut, one.cut);
            assert_in_range(four.seed - t.seed, 0, 3);
        }
        free(block);
        task_done(&t);
    }
}

/* Into any block with room, in random order: with must_fit that works. */
static void fill_anyhow(const struct task *t, struct pr_rng *rng, uint16_t *block)
{
    uint64_t *load = calloc(t->blocks, sizeof *load);
    uint32_t *order = graph_renaming(t->g.n, pr_rng_next(rng));
    assert_non_null(load);
    for (uint32_t v = 0; v < t->g.n && t->fixed != NULL; v++)
        if (t->fixed[v] != PLACEMENT_FREE)
            load[block[v] = t->fixed[v]] += placement_vertex_weight(&t->g, v);
    for (uint32_t i = 0; i < t->g.n; i++) {
        const uint32_t v = order[i];
        const uint64_t weight = placement_vertex_weight(&t->g, v);
        uint32_t b = (uint32_t)pr_rng_below(rng, t->blocks);
        if (t->fixed != NULL && t->fixed[v] != PLACEMENT_FREE)
            continue;
        while (load[b] + weight > t->capacity[b])
            b = (b + 1) % t->blocks;
        block[v] = (uint16_t)b;
        load[b] += weight;
    }
    free(load);
    free(order);
}

static void refining_never_worsens(void **state)
{
    (void)state;
    struct pr_rng rng;
    unsigned refined = 0;
    pr_rng_init(&rng, seed + 6);
    for (unsigned round = 0; round < T_ROUNDS(60); round++) {
        struct task t;
        struct pr_err err = { 0 };
        uint64_t cut;
        bool balanced = false;
        random_task(&t, &rng, 3000);
        uint16_t *block = blocks_of(&t);
        if (t.must_fit && t.g.weight_sum <= UINT32_MAX / 2) {
            fill_anyhow(&t, &rng, block);
            const uint64_t before = cut_by_hand(&t.g, block);
            const struct placement_refine_input in = { .graph = &t.g,
                                                       .blocks = t.blocks,
                                                       .capacity = t.capacity,
                                                       .fixed = t.fixed,
                                                       .patience = pr_rng_unit(&rng),
                                                       .stale = 1 + round % 10,
                                                       .pool = pools[1 + round % 2] };
            assert_ok(placement_refine_level(&in, block, &cut, &balanced, &err), &err);
            check_cut(&t, block, cut);
            if (!balanced || cut > before)
                fail_msg("%s: cut %" PRIu64 " became %" PRIu64, words(&t), before, cut);
            refined++;
        }
        free(block);
        task_done(&t);
    }
    assert_true(refined > 30 / T_SLOWER);
}

static uint64_t cut_renamed(enum graph_kind kind, uint32_t n, const uint32_t *renamed,
                            uint32_t blocks)
{
    struct task t = { .look = { .kind = kind, .n = n, .renamed = renamed },
                      .blocks = blocks,
                      .seed = 1,
                      .must_fit = true };
    struct placement_partition_result r;
    struct pr_err err = { 0 };
    t.g = graph_of_look(&t.look, seed);
    t.capacity = calloc(blocks, sizeof *t.capacity);
    for (uint32_t b = 0; b < blocks; b++)
        t.capacity[b] = n / blocks + n / blocks / 20 + 1;
    uint16_t *block = blocks_of(&t);
    assert_ok(cut_task(&t, NULL, 4, block, &r, &err), &err);
    check_cut(&t, block, r.cut);
    free(block);
    task_done(&t);
    return r.cut;
}

/* Best of 4 seeds; names must not matter by more than a fifth and some edges. */
static void renaming_vertices_hardly_changes_the_cut(void **state)
{
    (void)state;
    static const struct {
        enum graph_kind kind;
        uint32_t n, blocks;
    } row[] = { { KIND_CLIQUES, 2400, 3 },   { KIND_CLIQUES, 8000, 40 }, { KIND_GRID, 10000, 3 },
                { KIND_GRID, 10000, 16 },    { KIND_PATH, 20000, 7 },    { KIND_PLANTED, 6000, 3 },
                { KIND_PLANTED, 20000, 30 }, { KIND_POWER, 8000, 3 } };
    for (size_t i = 0; i < PR_COUNT(row); i += T_SLOWER) {
        uint32_t *renamed = graph_renaming(row[i].n, seed + i);
        const uint64_t plain = cut_renamed(row[i].kind, row[i].n, NULL, row[i].blocks);
        const uint64_t other = cut_renamed(row[i].kind, row[i].n, renamed, row[i].blocks);
        const uint64_t less = plain < other ? plain : other, more = plain + other - less;
        print_message("%s of %u in %u: cut %" PRIu64 ", renamed %" PRIu64 "\n",
                      graph_kind_name[row[i].kind], row[i].n, row[i].blocks, plain, other);
        if ((double)more > 1.2 * (double)less + 10)
            fail_msg("PRISM_SEED=%" PRIu64 ": the cut depends on names", seed);
        free(renamed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_fit_is_refused_in_words),
        cmocka_unit_test(stops_when_told_and_only_grows_until_then),
        cmocka_unit_test(more_seeds_never_cut_more),
        cmocka_unit_test(refining_never_worsens),
        cmocka_unit_test(renaming_vertices_hardly_changes_the_cut),
    };
    return cmocka_run_group_tests(tests, tasks_set_up, tasks_tear_down);
}
