#include "t.h"

#include "core/explain.h"

#include <string.h>

static void says_what_held_a_vertex_back(void **state)
{
    (void)state;
    static const struct {
        uint64_t tie[2], weight, load_b, capacity_b, gain;
        uint16_t preferred;
        const char *why;
    } row[] = {
        { { 1, 3 }, 1, 2, 3, 2, 1, "cut of the whole graph" },
        { { 1, 3 }, 1, 3, 3, 2, 1, "is full" },
        { { 1, 3 }, 2, 2, 3, 2, 1, "is full" }, /* room, but not for its weight */
        { { 1, 3 }, 1, 0, 0, 2, 1, "has no capacity" },
        { { 3, 3 }, 1, 0, 3, 0, 0, "is in its zone" }, /* a tie is no reason to move */
        { { 3, 1 }, 1, 0, 3, 0, 0, "is in its zone" },
        { { 0, 0 }, 1, 0, 3, 0, 0, "no edges" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const uint64_t load[] = { 2, row[i].load_b }, capacity[] = { 3, row[i].capacity_b };
        const struct placement_explain_input in = { .zones = 2,
                                                    .tie = row[i].tie,
                                                    .load = load,
                                                    .capacity = capacity,
                                                    .weight = row[i].weight,
                                                    .zone = 0 };
        struct placement_explanation got;
        placement_explain(&in, &got);
        assert_int_equal(got.zone, 0);
        assert_int_equal(got.preferred, row[i].preferred);
        assert_int_equal(got.gain, row[i].gain);
        if (strstr(got.why, row[i].why) == NULL)
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, got.why, row[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(says_what_held_a_vertex_back) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
