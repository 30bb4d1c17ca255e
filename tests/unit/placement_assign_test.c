#include "t.h"

#include "core/assign.h"

#include "prism/routes.h"
#include "prism/slot.h"

#include <string.h>

/* Hash h has home h mod 6; zones of partitions: 0,3 in a; 1,4 in b; 2,5 in c. */
static uint16_t zone_of[6] = { 0, 1, 2, 0, 1, 2 };
static struct placement_store store = {
    .partitions = 6, .zones = 3, .zone = { { "a", 1 }, { "b", 1 }, { "c", 1 } }, .zone_of = zone_of
};

static void a_vertex_moves_only_when_it_must(void **state)
{
    (void)state;
    static const struct {
        uint64_t hash;
        uint32_t current;
        uint16_t zone;
        uint32_t want;
    } row[] = {
        { 6, 0, 0, 0 },  /* at home, home in the zone */
        { 12, 3, 0, 3 }, /* away, but in the zone: stays */
        { 18, 1, 0, 0 }, /* away in another zone: goes home */
        { 24, 0, 1, 1 }, /* home in another zone: least loaded of b */
        { 30, 0, 1, 4 }, /* the next one */
        { 36, 0, 1, 1 },
    };
    uint64_t hash[PR_COUNT(row)];
    uint32_t current[PR_COUNT(row)], partition[PR_COUNT(row)], load[6];
    uint16_t zone[PR_COUNT(row)];
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        hash[i] = row[i].hash;
        current[i] = row[i].current;
        zone[i] = row[i].zone;
    }
    const struct placement_assign_input in = { &store, PR_COUNT(row), hash, current, zone };
    assert_int_equal(placement_assign(&in, partition, load, NULL), PR_OK);
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(partition[i], row[i].want);
    const uint32_t want_load[6] = { 2, 2, 0, 1, 1, 0 };
    assert_memory_equal(load, want_load, sizeof want_load);
}

static void newcomers_even_out_the_partitions_of_a_zone(void **state)
{
    (void)state;
    enum { N = 60 };
    uint64_t hash[N];
    uint32_t current[N], partition[N], load[6];
    uint16_t zone[N];
    for (uint32_t i = 0; i < N; i++) { /* 20 already at 2, 40 arrive from a */
        hash[i] = i < 20 ? 2 + 6 * i : 6 * i;
        current[i] = i < 20 ? 2 : 0;
        zone[i] = 2;
    }
    const struct placement_assign_input in = { &store, N, hash, current, zone };
    assert_int_equal(placement_assign(&in, partition, load, NULL), PR_OK);
    assert_int_equal(load[2], 30);
    assert_int_equal(load[5], 30);
}

static void a_zone_without_partition_is_named(void **state)
{
    (void)state;
    uint16_t ab[6] = { 0, 1, 0, 1, 0, 1 };
    struct placement_store s = store;
    const uint64_t hash[] = { 0 };
    const uint32_t current[] = { 0 };
    const uint16_t zone[] = { 2 };
    uint32_t partition[1], load[6];
    struct pr_err err;
    s.zone_of = ab;
    const struct placement_assign_input in = { &s, 1, hash, current, zone };
    assert_int_equal(placement_assign(&in, partition, load, &err), PR_EINVAL);
    assert_string_equal(err.text, "zone c has no partition");
}

static uint32_t target_of(const struct placement_targets *t, uint64_t hash)
{
    const uint32_t home = pr_home_partition(hash, 6);
    uint32_t partition = home;
    (void)pr_routes_find(t->blob.data + t->start[home], t->start[home + 1] - t->start[home], hash,
                         &partition);
    return partition;
}

static void targets_list_only_vertices_away_from_home(void **state)
{
    (void)state;
    const uint64_t hash[] = { 13, 6, 0, 1, 7 };
    const uint32_t current[] = { 1, 0, 0, 1, 1 }, partition[] = { 1, 3, 5, 2, 4 };
    const uint16_t zone[] = { 1, 0, 2, 2, 1 };
    struct placement_today today;
    struct placement_targets t;
    assert_int_equal(placement_today_init(&today, 6, NULL), PR_OK);
    const struct placement_assign_input in = { &store, 5, hash, current, zone };
    assert_int_equal(placement_targets_build(&in, partition, &today, &t, NULL), PR_OK);
    assert_int_equal(t.blob.len, 4 * PR_ROUTE_BYTES); /* 13 stays home */
    for (uint32_t h = 0; h < 6; h++)
        assert_int_equal(
            pr_routes_check(t.blob.data + t.start[h], t.start[h + 1] - t.start[h], 6, NULL), PR_OK);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(target_of(&t, hash[i]), partition[i]);
    assert_int_equal(t.carried, 0);
    placement_targets_done(&t);
    placement_today_done(&today);
}

static void routes_of_vertices_outside_the_graph_are_kept(void **state)
{
    (void)state;
    struct pr_buf base, delta;
    struct placement_today today;
    struct placement_targets t;
    pr_buf_init(&base, 0);
    pr_buf_init(&delta, 0);
    pr_routes_add(&base, 6, 2);  /* in the graph: replaced */
    pr_routes_add(&base, 12, 4); /* outside: kept */
    pr_routes_add(&base, 18, 5); /* outside, changed by a delta */
    pr_routes_add(&delta, 18, 1);
    pr_routes_add(&delta, 25, 3); /* outside, known by delta only */
    assert_int_equal(placement_today_init(&today, 6, NULL), PR_OK);
    assert_int_equal(
        placement_today_base(&today, 0, (struct placement_blob){ base.data, base.len }, NULL),
        PR_OK);
    assert_int_equal(
        placement_today_delta(&today, 1, (struct placement_blob){ delta.data, delta.len }, NULL),
        PR_OK);

    const uint64_t hash[] = { 6, 0 };
    const uint32_t current[] = { 2, 0 }, partition[] = { 0, 3 };
    const uint16_t zone[] = { 0, 0 };
    const struct placement_assign_input in = { &store, 2, hash, current, zone };
    assert_int_equal(placement_targets_build(&in, partition, &today, &t, NULL), PR_OK);
    assert_int_equal(target_of(&t, 6), 0); /* back home: no entry */
    assert_int_equal(target_of(&t, 0), 3);
    assert_int_equal(target_of(&t, 12), 4);
    assert_int_equal(target_of(&t, 18), 1);
    assert_int_equal(target_of(&t, 25), 3);
    assert_int_equal(t.carried, 3);
    assert_int_equal(t.blob.len, 4 * PR_ROUTE_BYTES);
    placement_targets_done(&t);
    placement_today_done(&today);
    pr_buf_done(&base);
    pr_buf_done(&delta);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vertex_moves_only_when_it_must),
        cmocka_unit_test(newcomers_even_out_the_partitions_of_a_zone),
        cmocka_unit_test(a_zone_without_partition_is_named),
        cmocka_unit_test(targets_list_only_vertices_away_from_home),
        cmocka_unit_test(routes_of_vertices_outside_the_graph_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
