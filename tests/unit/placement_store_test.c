#include "t.h"

#include "core/store.h"

#include "prism/routes.h"
#include "prism/slot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static uint16_t zone_of[6] = { 0, 1, 2, 0, 1, 2 };

static struct placement_store store_of(double a, double b, double c)
{
    return (struct placement_store){ .partitions = 6,
                                     .zones = 3,
                                     .zone = { { "a", a }, { "b", b }, { "c", c } },
                                     .zone_of = zone_of };
}

static void capacity_is_the_share_and_the_imbalance_rounded_down(void **state)
{
    (void)state;
    static const struct {
        double ratio[3];
        uint32_t n;
        double imbalance;
        uint64_t want[3];
    } row[] = {
        { { 1, 1, 1 }, 300, 0.05, { 105, 105, 105 } },
        { { 1, 1, 1 }, 301, 0.05, { 105, 105, 105 } }, /* 105.35 */
        { { 1, 1, 1 }, 300, 0.03, { 103, 103, 103 } },
        { { 2, 1, 1 }, 400, 0.05, { 210, 105, 105 } },
        { { 1, 0, 1 }, 100, 0.05, { 52, 0, 52 } },    /* 52.5 */
        { { 0, 0, 1 }, 100, 0.05, { 0, 0, 100 } },    /* never above n */
        { { 1, 1, 1e-9 }, 100, 0.05, { 52, 52, 1 } }, /* never below the share */
        { { 1, 1, 1 }, 3, 0.03, { 1, 1, 1 } },
        { { 1, 1, 1 }, 4, 0.03, { 2, 2, 2 } }, /* 1.33 */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct placement_store s =
            store_of(row[i].ratio[0], row[i].ratio[1], row[i].ratio[2]);
        double share[PLACEMENT_MAX_ZONES];
        uint64_t got[PLACEMENT_MAX_ZONES];
        assert_int_equal(placement_capacity(&s, row[i].n, row[i].imbalance, share, got, NULL),
                         PR_OK);
        for (unsigned z = 0; z < 3; z++)
            assert_int_equal(got[z], row[i].want[z]);
        assert_true(fabs(share[0] + share[1] + share[2] - 1) < 1e-12);
    }
}

static void refuses_what_cannot_hold_the_graph(void **state)
{
    (void)state;
    static const struct {
        double ratio[3];
        uint32_t n;
        double imbalance;
        const char *why;
    } row[] = {
        { { 0, 0, 0 }, 9, 0.05, "none of 3 zones has capacity" },
        { { 1, -1, 1 }, 9, 0.05, "zone b has capacity -1" },
        { { 1, NAN, 1 }, 9, 0.05, "zone b has capacity" },
        { { 1, 1, 1 }, 2, 0.05, "more zones (3) than vertices (2)" },
        { { 1, 1, 1 }, 9, 0.02, "imbalance 0.02 is outside" },
        { { 1, 1, 1 }, 9, 0.051, "imbalance 0.051 is outside" },
        { { 1, 1, 1 }, 9, NAN, "is outside" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct placement_store s =
            store_of(row[i].ratio[0], row[i].ratio[1], row[i].ratio[2]);
        double share[PLACEMENT_MAX_ZONES];
        uint64_t got[PLACEMENT_MAX_ZONES];
        struct pr_err err;
        assert_int_equal(placement_capacity(&s, row[i].n, row[i].imbalance, share, got, &err),
                         PR_EINVAL);
        if (strstr(err.text, row[i].why) == NULL)
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, err.text, row[i].why);
    }
}

static void names_a_zone_whose_primaries_are_gone(void **state)
{
    (void)state;
    uint16_t two[6] = { 0, 1, 0, 1, 0, 1 };
    struct placement_store s = store_of(1, 1, 1);
    double share[PLACEMENT_MAX_ZONES];
    uint64_t got[PLACEMENT_MAX_ZONES];
    struct pr_err err;
    s.zone_of = two;
    assert_int_equal(placement_capacity(&s, 9, 0.05, share, got, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "zone c"));
    s.zone[2].capacity_ratio = 0;
    assert_int_equal(placement_capacity(&s, 9, 0.05, share, got, &err), PR_OK);
    assert_int_equal(got[2], 0);
}

static struct placement_blob blob(const struct pr_buf *b)
{
    return (struct placement_blob){ b->data, b->len };
}

static void today_is_delta_then_base_then_home(void **state)
{
    (void)state;
    struct placement_today t;
    struct pr_buf base, first, second;
    pr_buf_init(&base, 0);
    pr_buf_init(&first, 0);
    pr_buf_init(&second, 0);
    /* Hashes whose home is 4: 4, 10, 16 (mod 6). */
    pr_routes_add(&base, 4, 1);
    pr_routes_add(&base, 10, 2);
    pr_routes_add(&first, 10, 3);
    pr_routes_add(&second, 10, 4); /* back home */
    assert_int_equal(placement_today_init(&t, 6, NULL), PR_OK);
    assert_int_equal(placement_today_find(&t, 10), 4);
    assert_int_equal(placement_today_base(&t, 4, blob(&base), NULL), PR_OK);
    assert_int_equal(placement_today_find(&t, 4), 1);
    assert_int_equal(placement_today_find(&t, 10), 2);
    assert_int_equal(placement_today_find(&t, 16), 4);
    assert_int_equal(placement_today_delta(&t, 1, blob(&first), NULL), PR_OK);
    assert_int_equal(placement_today_find(&t, 10), 3);
    assert_int_equal(placement_today_delta(&t, 2, blob(&second), NULL), PR_OK);
    assert_int_equal(placement_today_find(&t, 10), 4);
    assert_int_equal(placement_today_find(&t, 4), 1);
    placement_today_done(&t);
    pr_buf_done(&base);
    pr_buf_done(&first);
    pr_buf_done(&second);
}

static void malformed_routes_are_named(void **state)
{
    (void)state;
    struct placement_today t;
    struct pr_err err;
    const unsigned char zero[12] = { 0 };
    assert_int_equal(placement_today_init(&t, 6, NULL), PR_OK);
    assert_int_equal(placement_today_base(&t, 6, (struct placement_blob){ zero, 12 }, &err),
                     PR_EDATA);
    assert_int_equal(placement_today_base(&t, 5, (struct placement_blob){ zero, 11 }, &err),
                     PR_EDATA);
    assert_non_null(strstr(err.text, "home 5"));
    assert_int_equal(placement_today_delta(&t, 77, (struct placement_blob){ zero, 1 }, &err),
                     PR_EDATA);
    assert_non_null(strstr(err.text, "delta 77"));
    placement_today_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capacity_is_the_share_and_the_imbalance_rounded_down),
        cmocka_unit_test(refuses_what_cannot_hold_the_graph),
        cmocka_unit_test(names_a_zone_whose_primaries_are_gone),
        cmocka_unit_test(today_is_delta_then_base_then_home),
        cmocka_unit_test(malformed_routes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
