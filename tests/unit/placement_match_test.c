#include "t.h"

#include "core/match.h"

#include "placement_csr.h"
#include "prism/rng.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

static void renamed_zones_move_nothing(void **state)
{
    (void)state;
    /* Block 0 is today's zone 2, 1 is 0, 2 is 1. */
    const uint64_t overlap[] = { 1, 2, 97, 95, 0, 5, 3, 96, 1 };
    const uint64_t size[] = { 100, 100, 100 }, capacity[] = { 105, 105, 105 };
    const struct placement_match_input in = { 3, overlap, size, capacity };
    uint16_t zone[3];
    assert_int_equal(placement_match(&in, zone, NULL), PR_OK);
    assert_int_equal(zone[0], 2);
    assert_int_equal(zone[1], 0);
    assert_int_equal(zone[2], 1);
}

static void the_sum_counts_not_the_greedy_choice(void **state)
{
    (void)state;
    /* Greedy takes 10 and is left with 0; the best sum is 9 + 8. */
    const uint64_t overlap[] = { 10, 9, 8, 0 }, size[] = { 1, 1 }, capacity[] = { 1, 1 };
    const struct placement_match_input in = { 2, overlap, size, capacity };
    uint16_t zone[2];
    assert_int_equal(placement_match(&in, zone, NULL), PR_OK);
    assert_int_equal(zone[0], 1);
    assert_int_equal(zone[1], 0);
}

static void a_block_never_gets_a_zone_too_small_for_it(void **state)
{
    (void)state;
    const uint64_t overlap[] = { 0, 200, 100, 0 }, size[] = { 200, 100 }, capacity[] = { 210, 105 };
    const struct placement_match_input in = { 2, overlap, size, capacity };
    uint16_t zone[2];
    assert_int_equal(placement_match(&in, zone, NULL), PR_OK);
    assert_int_equal(zone[0], 0);
    assert_int_equal(zone[1], 1);
}

static void no_legal_naming_is_an_error(void **state)
{
    (void)state;
    const uint64_t overlap[4] = { 0 }, size[] = { 200, 200 }, capacity[] = { 210, 105 };
    const struct placement_match_input in = { 2, overlap, size, capacity };
    uint16_t zone[2];
    assert_int_equal(placement_match(&in, zone, NULL), PR_EINVAL);
}

static uint64_t best_by_trying_all(const struct placement_match_input *in, uint32_t block,
                                   unsigned used)
{
    uint64_t best = 0;
    if (block == in->k)
        return 0;
    for (uint32_t z = 0; z < in->k; z++) {
        if (used & (1u << z))
            continue;
        const uint64_t got =
            in->overlap[block * in->k + z] + best_by_trying_all(in, block + 1, used | (1u << z));
        if (got > best)
            best = got;
    }
    return best;
}

static void equals_the_best_of_all_permutations(void **state)
{
    (void)state;
    struct pr_rng rng;
    const uint64_t seed = 20261121;
    print_message("seed %" PRIu64 "\n", seed);
    pr_rng_init(&rng, seed);
    for (unsigned round = 0; round < 300; round++) {
        uint64_t overlap[36], size[6] = { 0 }, capacity[6] = { 0 }, sum = 0;
        uint16_t zone[6];
        struct placement_match_input in = { (uint32_t)(1 + pr_rng_below(&rng, 6)), overlap, size,
                                            capacity };
        for (uint32_t i = 0; i < in.k * in.k; i++)
            overlap[i] = pr_rng_below(&rng, 20);
        assert_int_equal(placement_match(&in, zone, NULL), PR_OK);
        unsigned used = 0;
        for (uint32_t b = 0; b < in.k; b++) {
            sum += overlap[b * in.k + zone[b]];
            used |= 1u << zone[b];
        }
        assert_int_equal(used, (1u << in.k) - 1);
        assert_int_equal(sum, best_by_trying_all(&in, 0, 0));
    }
}

static void overlaps_of_any_size_are_compared(void **state)
{
    (void)state;
    const uint64_t big = (uint64_t)1 << 62;
    const uint64_t overlap[] = { big, big - (big >> 4), big - (big >> 4), 0 };
    const uint64_t size[] = { 1, 1 }, capacity[] = { 1, 1 };
    const struct placement_match_input in = { 2, overlap, size, capacity };
    uint16_t zone[2];
    assert_int_equal(placement_match(&in, zone, NULL), PR_OK);
    assert_int_equal(zone[0], 1);
    assert_int_equal(zone[1], 0);
}

/* One heavy vertex of block 1 in zone 1 against two light ones in zone 0. */
static void heavy_vertices_stay(void **state)
{
    (void)state;
    uint64_t weight[] = { 1, 1, 5, 1, 1, 5 };
    struct placement_graph g = { .n = 6, .vertex_weight = weight };
    const uint16_t block[] = { 1, 1, 1, 0, 0, 0 };
    const uint16_t today[] = { 0, 0, 1, 1, 1, UINT16_MAX };
    const uint64_t capacity[] = { 7, 7 };
    uint16_t zone[2];
    assert_int_equal(placement_match_blocks(&g, 2, block, today, capacity, zone, NULL), PR_OK);
    assert_int_equal(zone[0], 0);
    assert_int_equal(zone[1], 1);
}

/* Every vertex of block b is in zone of[b] but a few strays; above and below
 * the number up to which the exact method works. */
static void many_renamed_blocks_get_their_names_back(void **state)
{
    (void)state;
    static const uint32_t count[] = { 64, 65, 1000, 65000 };
    struct pr_rng rng;
    pr_rng_init(&rng, 20261121);
    for (size_t i = 0; i < PR_COUNT(count); i++) {
        enum { EACH = 4 };
        const uint32_t k = count[i];
        const struct placement_graph g = { .n = k * EACH };
        uint16_t *of = malloc(k * sizeof *of), *zone = malloc(k * sizeof *zone);
        uint16_t *block = malloc(g.n * sizeof *block), *today = malloc(g.n * sizeof *today);
        uint64_t *capacity = malloc(k * sizeof *capacity);
        assert_true(of != NULL && zone != NULL && block != NULL && today != NULL &&
                    capacity != NULL);
        for (uint32_t b = 0; b < k; b++) {
            const uint64_t at = pr_rng_below(&rng, b + 1u);
            of[b] = of[at];
            of[at] = (uint16_t)b;
            capacity[b] = EACH;
        }
        for (uint32_t v = 0; v < g.n; v++) {
            block[v] = (uint16_t)(v / EACH);
            today[v] = v % EACH == 0 ? (uint16_t)pr_rng_below(&rng, k) : of[v / EACH];
        }
        assert_int_equal(placement_match_blocks(&g, k, block, today, capacity, zone, NULL), PR_OK);
        assert_memory_equal(zone, of, k * sizeof *zone);
        free(of);
        free(zone);
        free(block);
        free(today);
        free(capacity);
    }
}

/* Whatever the sizes, capacities and overlaps: when some naming fits, one that
 * fits is found. */
static void a_naming_that_fits_is_found(void **state)
{
    (void)state;
    enum { K = 70, N = 700 };
    struct pr_rng rng;
    const uint64_t seed = 20261121;
    print_message("seed %" PRIu64 "\n", seed);
    pr_rng_init(&rng, seed);
    for (unsigned round = 0; round < 300; round++) {
        const struct placement_graph g = { .n = N };
        uint16_t block[N], today[N], zone[K];
        uint64_t size[K] = { 0 }, capacity[K];
        bool used[K] = { false };
        for (uint32_t v = 0; v < N; v++) {
            block[v] = (uint16_t)(pr_rng_below(&rng, K) * pr_rng_below(&rng, K) / K);
            today[v] = (uint16_t)pr_rng_below(&rng, K);
            size[block[v]]++;
        }
        for (uint32_t b = 0; b < K; b++) /* fits with the zones in reverse */
            capacity[K - 1 - b] = size[b] + pr_rng_below(&rng, 3);
        assert_int_equal(placement_match_blocks(&g, K, block, today, capacity, zone, NULL), PR_OK);
        for (uint32_t b = 0; b < K; b++) {
            assert_true(size[b] <= capacity[zone[b]]);
            assert_false(used[zone[b]]);
            used[zone[b]] = true;
        }
        memset(capacity + 1, 0, sizeof capacity - sizeof *capacity);
        assert_int_equal(placement_match_blocks(&g, K, block, today, capacity, zone, NULL),
                         PR_EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renamed_zones_move_nothing),
        cmocka_unit_test(the_sum_counts_not_the_greedy_choice),
        cmocka_unit_test(a_block_never_gets_a_zone_too_small_for_it),
        cmocka_unit_test(no_legal_naming_is_an_error),
        cmocka_unit_test(equals_the_best_of_all_permutations),
        cmocka_unit_test(overlaps_of_any_size_are_compared),
        cmocka_unit_test(heavy_vertices_stay),
        cmocka_unit_test(many_renamed_blocks_get_their_names_back),
        cmocka_unit_test(a_naming_that_fits_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
