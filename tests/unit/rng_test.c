#include "t.h"

#include "prism/rng.h"

#include <math.h>

static void same_seed_same_sequence(void **state)
{
    (void)state;
    struct pr_rng a, b, c;
    pr_rng_init(&a, 1);
    pr_rng_init(&b, 1);
    pr_rng_init(&c, 2);
    int differs = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t x = pr_rng_next(&a);
        assert_true(x == pr_rng_next(&b));
        differs += x != pr_rng_next(&c);
    }
    assert_true(differs > 90);
}

static void below_stays_below_and_reaches_all(void **state)
{
    (void)state;
    struct pr_rng r;
    int seen[7] = { 0 };
    pr_rng_init(&r, 3);
    for (int i = 0; i < 7000; i++)
        seen[pr_rng_below(&r, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 850, 1150);
    assert_int_equal(pr_rng_below(&r, 1), 0);
    for (int i = 0; i < 1000; i++)
        assert_true(pr_rng_unit(&r) < 1.0);
}

/* Frequencies against the exact distribution. */
static void zipf_has_its_distribution(void **state)
{
    (void)state;
    static const double row[] = { 0.8, 1.0, 1.2 };
    enum { N = 1000, DRAWS = 400000 };
    for (size_t e = 0; e < PR_COUNT(row); e++) {
        struct pr_rng r;
        struct pr_zipf z;
        static int seen[N + 1];
        double norm = 0;
        pr_rng_init(&r, 11);
        pr_zipf_init(&z, N, row[e]);
        for (int k = 0; k <= N; k++)
            seen[k] = 0;
        for (int i = 0; i < DRAWS; i++) {
            uint64_t k = pr_zipf_next(&z, &r);
            assert_in_range(k, 1, N);
            seen[k]++;
        }
        for (int k = 1; k <= N; k++)
            norm += pow(k, -row[e]);
        for (int k = 1; k <= 20; k++) {
            double want = pow(k, -row[e]) / norm * DRAWS;
            assert_true(fabs(seen[k] - want) < 5 * sqrt(want));
        }
    }
}

static void zipf_of_one_is_one(void **state)
{
    (void)state;
    struct pr_rng r;
    struct pr_zipf z;
    pr_rng_init(&r, 1);
    pr_zipf_init(&z, 1, 1.2);
    for (int i = 0; i < 100; i++)
        assert_int_equal(pr_zipf_next(&z, &r), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_sequence),
        cmocka_unit_test(below_stays_below_and_reaches_all),
        cmocka_unit_test(zipf_has_its_distribution),
        cmocka_unit_test(zipf_of_one_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
