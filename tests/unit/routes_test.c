#include "t.h"

#include "prism/map.h"
#include "prism/rng.h"
#include "prism/routes.h"
#include "prism/slot.h"

#include <stdio.h>

enum { P = 16 };

static void entries_are_found_by_hash(void **state)
{
    (void)state;
    struct pr_buf b;
    uint32_t p = 99;
    pr_buf_init(&b, 0);
    assert_false(pr_routes_find("", 0, 1, &p));
    pr_routes_add(&b, 0, 1);
    pr_routes_add(&b, 500, 2);
    pr_routes_add(&b, UINT64_MAX, 3);
    assert_int_equal(b.len, 3 * PR_ROUTE_BYTES);
    assert_true(pr_routes_find(b.data, b.len, 0, &p) && p == 1);
    assert_true(pr_routes_find(b.data, b.len, 500, &p) && p == 2);
    assert_true(pr_routes_find(b.data, b.len, UINT64_MAX, &p) && p == 3);
    assert_false(pr_routes_find(b.data, b.len, 501, &p));
    pr_buf_done(&b);
}

static void damaged_blobs_are_refused_by_entry(void **state)
{
    (void)state;
    struct pr_buf b;
    struct pr_err err;
    pr_buf_init(&b, 0);
    assert_int_equal(pr_routes_check("", 0, P, &err), PR_OK);
    pr_routes_add(&b, 5, 1);
    pr_routes_add(&b, 5, 2);
    assert_int_equal(pr_routes_check(b.data, b.len, P, &err), PR_EDATA);
    assert_string_equal(err.text, "route entry 1 is out of order");
    assert_int_equal(pr_routes_check(b.data, b.len - 1, P, &err), PR_EDATA);
    pr_buf_reset(&b);
    pr_routes_add(&b, 5, P);
    assert_int_equal(pr_routes_check(b.data, b.len, P, &err), PR_EDATA);
    assert_string_equal(err.text, "route entry 0 names partition 16 of 16");
    pr_buf_done(&b);
}

static void sorting_keeps_the_last_of_equals(void **state)
{
    (void)state;
    struct pr_buf b;
    struct pr_err err;
    uint32_t p;
    size_t n;
    pr_buf_init(&b, 0);
    pr_routes_add(&b, 9, 1);
    pr_routes_add(&b, 3, 2);
    pr_routes_add(&b, 9, 4);
    assert_int_equal(pr_routes_sort(b.data, b.len, &n), PR_OK);
    assert_int_equal(n, 2 * PR_ROUTE_BYTES);
    assert_ok(pr_routes_check(b.data, n, P, &err), &err);
    assert_true(pr_routes_find(b.data, n, 9, &p) && p == 4);
    pr_buf_done(&b);
}

/* merge(base, delta) looks up like delta over base, and drops entries at home. */
static void merge_equals_a_map_overlay(void **state)
{
    (void)state;
    const uint64_t seed = 5;
    printf("seed %llu\n", (unsigned long long)seed);
    struct pr_rng r;
    pr_rng_init(&r, seed);
    for (int round = 0; round < 200; round++) {
        struct pr_buf in[2], out;
        struct pr_map want;
        struct pr_err err;
        size_t len[2];
        pr_map_init(&want);
        pr_buf_init(&out, 0);
        for (int i = 0; i < 2; i++) {
            pr_buf_init(&in[i], 0);
            uint64_t n = pr_rng_below(&r, 40);
            for (uint64_t k = 0; k < n; k++) {
                uint64_t hash = pr_rng_below(&r, 64);
                uint32_t p = (uint32_t)pr_rng_below(&r, P);
                pr_routes_add(&in[i], hash, p);
                assert_int_equal(pr_map_put(&want, hash, p), PR_OK);
            }
            assert_int_equal(pr_routes_sort(in[i].data, in[i].len, &len[i]), PR_OK);
        }
        assert_int_equal(pr_routes_merge(in[0].data, len[0], in[1].data, len[1], P, &out), PR_OK);
        assert_ok(pr_routes_check(out.data, out.len, P, &err), &err);
        for (uint64_t hash = 0; hash < 64; hash++) {
            uint64_t w = 0;
            uint32_t got = 0, home = pr_home_partition(hash, P);
            bool there = pr_map_get(&want, hash, &w) && w != home;
            assert_int_equal(pr_routes_find(out.data, out.len, hash, &got), there);
            assert_true(!there || got == w);
        }
        pr_buf_done(&in[0]);
        pr_buf_done(&in[1]);
        pr_buf_done(&out);
        pr_map_done(&want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_found_by_hash),
        cmocka_unit_test(damaged_blobs_are_refused_by_entry),
        cmocka_unit_test(sorting_keeps_the_last_of_equals),
        cmocka_unit_test(merge_equals_a_map_overlay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
