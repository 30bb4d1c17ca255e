#include "t.h"

#include "core/hint.h"

#include <string.h>

static uint16_t zone_of[6] = { 0, 1, 2, 0, 1, 2 };

static void goes_where_most_neighbours_are(void **state)
{
    (void)state;
    static const struct {
        uint64_t votes[3];
        double capacity[3];
        uint16_t want;
    } row[] = {
        /* the hash's home is 0, in zone a */
        { { 0, 0, 0 }, { 1, 1, 1 }, 0 },                                  /* no neighbours: home */
        { { 1, 2, 0 }, { 1, 1, 1 }, 1 }, { { 2, 2, 2 }, { 1, 1, 1 }, 0 }, /* tie: home's zone */
        { { 1, 2, 2 }, { 1, 1, 1 }, 1 },                                  /* tie elsewhere: first */
        { { 1, 9, 2 }, { 1, 0, 1 }, 2 },                                  /* b takes none */
        { { 9, 0, 1 }, { 0, 1, 1 }, 2 }, /* home's zone takes none */
        { { 9, 0, 0 }, { 0, 1, 1 }, 0 }, /* no zone that may take it has a vote */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct placement_store s = { .partitions = 6,
                                           .zones = 3,
                                           .zone = { { "a", row[i].capacity[0] },
                                                     { "b", row[i].capacity[1] },
                                                     { "c", row[i].capacity[2] } },
                                           .zone_of = zone_of };
        struct placement_hint_input in = { .store = &s, .hash = 6 };
        memcpy(in.votes, row[i].votes, sizeof row[i].votes);
        const struct placement_hint got = placement_hint_choose(&in);
        assert_int_equal(got.zone, row[i].want);
        assert_int_equal(zone_of[got.partition], row[i].want);
        if (row[i].want == 0)
            assert_int_equal(got.partition, 0);
    }
}

static void spreads_over_the_partitions_of_a_zone(void **state)
{
    (void)state;
    const struct placement_store s = { .partitions = 6,
                                       .zones = 3,
                                       .zone = { { "a", 1 }, { "b", 1 }, { "c", 1 } },
                                       .zone_of = zone_of };
    unsigned hits[6] = { 0 };
    for (uint64_t i = 0; i < 1000; i++) {
        const struct placement_hint_input in = { .store = &s, .hash = 6 * i, .votes = { 0, 1, 0 } };
        const struct placement_hint got = placement_hint_choose(&in);
        hits[got.partition]++;
        assert_int_equal(placement_hint_choose(&in).partition, got.partition);
    }
    assert_in_range(hits[1], 440, 560);
    assert_int_equal(hits[1] + hits[4], 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_where_most_neighbours_are),
        cmocka_unit_test(spreads_over_the_partitions_of_a_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
