#include "t.h"

#include "prism/rng.h"
#include "prism/stats.h"

#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void quantiles_are_within_a_bucket(void **state)
{
    (void)state;
    enum { N = 20000 };
    static struct pr_hist h;
    static uint64_t v[N];
    static const double q[] = { 0, 0.5, 0.9, 0.99, 0.999 };
    struct pr_rng r;
    pr_rng_init(&r, 1);
    memset(&h, 0, sizeof h);
    for (int i = 0; i < N; i++) {
        v[i] = pr_rng_next(&r) >> pr_rng_below(&r, 64);
        pr_hist_add(&h, v[i]);
    }
    qsort(v, N, sizeof *v, ascending);
    for (size_t i = 0; i < PR_COUNT(q); i++) {
        double want = (double)v[(size_t)(q[i] * N)], got = (double)pr_hist_quantile(&h, q[i]);
        assert_true(got >= want && got <= want * 1.0626 + 1);
    }
    assert_true(pr_hist_quantile(&h, 1) == v[N - 1]);
}

static void empty_and_extreme_values(void **state)
{
    (void)state;
    static struct pr_hist h, g;
    assert_true(pr_hist_quantile(&h, 0.5) == 0);
    pr_hist_add(&h, UINT64_MAX);
    pr_hist_add(&g, 0);
    pr_hist_merge(&h, &g);
    assert_int_equal(h.count, 2);
    assert_true(pr_hist_quantile(&h, 0) == 0);
    assert_true(pr_hist_quantile(&h, 1) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_within_a_bucket),
        cmocka_unit_test(empty_and_extreme_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
