#include "prism/backoff.h"

#include "t.h"

static void ceiling_doubles_up_to_the_cap(void **state)
{
    (void)state;
    static const struct {
        struct pr_backoff b;
        int attempt;
        int64_t want;
    } row[] = {
        { { 200, 10000 }, -1, 200 },
        { { 200, 10000 }, 0, 200 },
        { { 200, 10000 }, 1, 400 },
        { { 200, 10000 }, 5, 6400 },
        { { 200, 10000 }, 6, 10000 }, /* 12,800 capped */
        { { 200, 10000 }, 1000, 10000 },
        { { 200, 200 }, 3, 200 },
        { { 300, 200 }, 0, 200 },
        { { 0, 0 }, 0, 1 },
        { { -5, -5 }, 9, 1 },
        { { 1, INT64_MAX }, 62, INT64_C(1) << 62 },
        { { 1, INT64_MAX }, 63, INT64_MAX },
        { { 1, INT64_MAX }, 64, INT64_MAX },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(pr_backoff_ceiling_ms(&row[i].b, row[i].attempt), row[i].want);
}

/* Full jitter: everything from nothing to the ceiling, evenly. */
static void gaps_fill_the_whole_range(void **state)
{
    (void)state;
    const struct pr_backoff b = { 100, 100 };
    enum { SEEDS = 20000 };
    int64_t sum = 0, low = INT64_MAX, high = -1;

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        const int64_t gap = pr_backoff_ms(&b, 3, seed, 0);
        assert_true(gap >= 0 && gap <= 100);
        sum += gap;
        low = gap < low ? gap : low;
        high = gap > high ? gap : high;
    }
    assert_int_equal(low, 0);
    assert_int_equal(high, 100);
    assert_true(sum > 49 * (int64_t)SEEDS && sum < 51 * (int64_t)SEEDS);
}

static void equal_seeds_wait_equally_and_others_do_not(void **state)
{
    (void)state;
    const struct pr_backoff b = { 1000, 60000 };
    int differ = 0;

    for (int attempt = 0; attempt < 20; attempt++) {
        assert_int_equal(pr_backoff_ms(&b, attempt, 7, 0), pr_backoff_ms(&b, attempt, 7, 0));
        differ += pr_backoff_ms(&b, attempt, 7, 0) != pr_backoff_ms(&b, attempt, 8, 0);
    }
    assert_true(differ >= 19);
}

static void what_the_server_asks_for_comes_on_top(void **state)
{
    (void)state;
    const struct pr_backoff b = { 200, 10000 };

    for (int attempt = 0; attempt < 8; attempt++) {
        const int64_t gap = pr_backoff_ms(&b, attempt, 1, 0);
        assert_int_equal(pr_backoff_ms(&b, attempt, 1, 3000), 3000 + gap);
        assert_int_equal(pr_backoff_ms(&b, attempt, 1, -1), gap);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ceiling_doubles_up_to_the_cap),
        cmocka_unit_test(gaps_fill_the_whole_range),
        cmocka_unit_test(equal_seeds_wait_equally_and_others_do_not),
        cmocka_unit_test(what_the_server_asks_for_comes_on_top),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
