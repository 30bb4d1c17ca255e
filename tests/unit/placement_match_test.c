#include "t.h"

#include "core/match.h"

#include "prism/rng.h"

#include <inttypes.h>

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

/* Below 0: no naming fits. */
static int64_t best_by_trying_all(const struct placement_match_input *in, uint32_t block,
                                  unsigned used)
{
    int64_t best = -1;
    if (block == in->k)
        return 0;
    for (uint32_t z = 0; z < in->k; z++) {
        if (used & (1u << z) || in->size[block] > in->capacity[z])
            continue;
        const int64_t rest = best_by_trying_all(in, block + 1, used | (1u << z));
        const int64_t got = (int64_t)in->overlap[block * in->k + z] + rest;
        if (rest >= 0 && got > best)
            best = got;
    }
    return best;
}

static void equals_the_best_of_all_permutations(void **state)
{
    (void)state;
    struct pr_rng rng;
    const uint64_t seed = 20261121;
    unsigned fits = 0, none = 0;
    print_message("seed %" PRIu64 "\n", seed);
    pr_rng_init(&rng, seed);
    for (unsigned round = 0; round < 300; round++) {
        uint64_t overlap[36], size[6], capacity[6];
        int64_t sum = 0;
        uint16_t zone[6];
        struct placement_match_input in = { (uint32_t)(1 + pr_rng_below(&rng, 6)), overlap, size,
                                            capacity };
        for (uint32_t i = 0; i < in.k * in.k; i++)
            overlap[i] = pr_rng_below(&rng, 20);
        for (uint32_t i = 0; i < in.k; i++) {
            size[i] = pr_rng_below(&rng, 6);
            capacity[i] = 2 + pr_rng_below(&rng, 6);
        }
        const int64_t best = best_by_trying_all(&in, 0, 0);
        assert_int_equal(placement_match(&in, zone, NULL), best < 0 ? PR_EINVAL : PR_OK);
        if (best < 0) {
            none++;
            continue;
        }
        fits++;
        unsigned used = 0;
        for (uint32_t b = 0; b < in.k; b++) {
            assert_true(size[b] <= capacity[zone[b]]);
            sum += (int64_t)overlap[b * in.k + zone[b]];
            used |= 1u << zone[b];
        }
        assert_int_equal(used, (1u << in.k) - 1);
        assert_int_equal(sum, best);
    }
    assert_true(fits > 100 && none > 20);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renamed_zones_move_nothing),
        cmocka_unit_test(the_sum_counts_not_the_greedy_choice),
        cmocka_unit_test(a_block_never_gets_a_zone_too_small_for_it),
        cmocka_unit_test(no_legal_naming_is_an_error),
        cmocka_unit_test(equals_the_best_of_all_permutations),
        cmocka_unit_test(overlaps_of_any_size_are_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
