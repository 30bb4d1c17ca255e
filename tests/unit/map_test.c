#include "t.h"

#include "prism/map.h"
#include "prism/rng.h"

#include <stdio.h>

static void every_key_is_allowed(void **state)
{
    (void)state;
    struct pr_map m;
    uint64_t v;
    pr_map_init(&m);
    assert_false(pr_map_get(&m, 0, &v));
    assert_false(pr_map_del(&m, 0));
    assert_int_equal(pr_map_put(&m, 0, 1), PR_OK);
    assert_int_equal(pr_map_put(&m, UINT64_MAX, 2), PR_OK);
    assert_int_equal(pr_map_put(&m, 0, 3), PR_OK);
    assert_int_equal(m.count, 2);
    assert_true(pr_map_get(&m, 0, &v) && v == 3);
    assert_true(pr_map_get(&m, UINT64_MAX, &v) && v == 2);
    pr_map_done(&m);
}

/* Against a plain array, through growth, deletion and reuse. */
static void agrees_with_an_array_under_random_use(void **state)
{
    (void)state;
    enum { KEYS = 509, STEPS = 200000 };
    static uint64_t want[KEYS];
    static bool there[KEYS];
    const uint64_t seed = 7;
    printf("seed %llu\n", (unsigned long long)seed);
    struct pr_rng r;
    struct pr_map m;
    size_t count = 0;
    pr_rng_init(&r, seed);
    pr_map_init(&m);
    for (int i = 0; i < STEPS; i++) {
        size_t k = pr_rng_below(&r, KEYS);
        uint64_t v = 0;
        switch (pr_rng_below(&r, 3)) {
        case 0:
            assert_int_equal(pr_map_put(&m, k * 0x10001, (uint64_t)i), PR_OK);
            count += !there[k];
            there[k] = true;
            want[k] = (uint64_t)i;
            break;
        case 1:
            assert_int_equal(pr_map_del(&m, k * 0x10001), there[k]);
            count -= there[k];
            there[k] = false;
            break;
        default:
            assert_int_equal(pr_map_get(&m, k * 0x10001, &v), there[k]);
            assert_true(!there[k] || v == want[k]);
        }
        assert_int_equal(m.count, count);
    }
    size_t pos = 0, seen = 0;
    uint64_t k, v;
    while (pr_map_each(&m, &pos, &k, &v)) {
        assert_true(there[k / 0x10001] && want[k / 0x10001] == v);
        seen++;
    }
    assert_int_equal(seen, count);
    pr_map_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_allowed),
        cmocka_unit_test(agrees_with_an_array_under_random_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
