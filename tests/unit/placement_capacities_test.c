#include "t.h"

#include "core/capacity.h"

#include <math.h>
#include <string.h>

static void shares_are_filled_up_to_the_imbalance_and_always_suffice(void **state)
{
    (void)state;
    static const struct {
        double ratio[3];
        uint64_t weight, want[3];
        double imbalance;
    } row[] = {
        { { 1, 1, 1 }, 300, { 105, 105, 105 }, 0.05 },
        { { 1, 1, 1 }, 10, { 4, 4, 4 }, 0.05 }, /* 3.5, but 10 must fit */
        { { 1, 1, 0.5 }, 100, { 42, 42, 21 }, 0.05 },
        { { 2, 0, 2 }, 100, { 50, 0, 50 }, 0 },
        { { 1, 1, 1 }, 3, { 2, 2, 2 }, 1 },
        { { 1, 0, 0 }, 7, { 7, 0, 0 }, 0.05 }, /* never more than there is */
        { { 1, 1, 1 },
          (uint64_t)9 << 59,
          { (uint64_t)3 << 59, (uint64_t)3 << 59, (uint64_t)3 << 59 },
          0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        double share[3];
        uint64_t got[3], room = 0;
        assert_int_equal(placement_capacities(row[i].ratio, 3, row[i].weight, row[i].imbalance,
                                              share, got, NULL),
                         PR_OK);
        for (unsigned z = 0; z < 3; z++) {
            const double off = fabs((double)got[z] - (double)row[i].want[z]);
            if (off > (double)row[i].want[z] * 1e-15)
                fail_msg("row %zu: zone %u may hold %llu, want %llu", i, z,
                         (unsigned long long)got[z], (unsigned long long)row[i].want[z]);
            room += got[z];
        }
        assert_true(room >= row[i].weight);
    }
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const struct {
        double ratio[2], imbalance;
        const char *why;
    } row[] = {
        { { 0, 0 }, 0.05, "none of 2 zones" },   { { 1, -1 }, 0.05, "zone 1" },
        { { NAN, 1 }, 0.05, "zone 0" },          { { 1, INFINITY }, 0.05, "zone 1" },
        { { 1, 1 }, -0.1, "imbalance" },         { { 1, 1 }, NAN, "imbalance" },
        { { 1e308, 1e308 }, 0.05, "none of 2" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        double share[2];
        uint64_t capacity[2];
        struct pr_err err;
        assert_int_equal(
            placement_capacities(row[i].ratio, 2, 10, row[i].imbalance, share, capacity, &err),
            PR_EINVAL);
        assert_non_null(strstr(err.text, row[i].why));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_filled_up_to_the_imbalance_and_always_suffice),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
