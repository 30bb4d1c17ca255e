/* Which shards leave by their bytes, and where primaries go and stay by the traffic. */
#include "t.h"

#include "core/choose.h"

#include <stdio.h>
#include <string.h>

enum { MOST = 60 };

static struct autoscale_fleet fleet;
static struct autoscale_node node[MOST];
static char name[MOST][16], shard[MOST][16];
static size_t nodes;
static double traffic[AUTOSCALE_ZONES];
static struct autoscale_decision got;

/* Shards of three, each with so many bytes, its primary in the zone that is said ("abc..."). */
static void shards(const char *primaries, const uint64_t *bytes)
{
    autoscale_fleet_redis(&fleet);
    memset(traffic, 0, sizeof traffic);
    nodes = 0;
    for (int s = 0; primaries[s] != '\0'; s++)
        for (int z = 0; z < 3; z++, nodes++) {
            (void)snprintf(name[nodes], sizeof name[0], "r-%d-%d", s, z);
            (void)snprintf(shard[nodes], sizeof shard[0], "s%d", s);
            node[nodes] = (struct autoscale_node){ .id = name[nodes],
                                                   .shard = shard[nodes],
                                                   .zone = z,
                                                   .group = -1,
                                                   .primary = primaries[s] == 'a' + z,
                                                   .slots = 1000,
                                                   .bytes = bytes == NULL ? 1000 : bytes[s] };
        }
}

static void no_bytes_of(int s)
{
    for (int z = 0; z < 3; z++) {
        node[s * 3 + z].bytes = 0;
        node[s * 3 + z].unsized = true;
    }
}

static int choose(int from, int to)
{
    const struct autoscale_choose in = { .fleet = &fleet,
                                         .node = node,
                                         .nodes = nodes,
                                         .zone_traffic = traffic,
                                         .traffic_from = "placement run 12",
                                         .from = from,
                                         .to = to };
    struct pr_err err = { .text = "" };
    char limited[160];
    int result = -1;
    memset(&got, 0, sizeof got);
    assert_ok(autoscale_choose(&in, &got, &result, limited, sizeof limited, &err), &err);
    return result;
}

static void assert_says(const char *words)
{
    if (strstr(got.place_why, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", got.place_why, words);
}

static void assert_says_not(const char *words)
{
    if (strstr(got.place_why, words) != NULL)
        fail_msg("\"%s\" says \"%s\"", got.place_why, words);
}

/* --- bytes --------------------------------------------------------------------------------- */

static void of_two_shards_with_equal_slots_the_lighter_leaves(void **state)
{
    (void)state;
    const uint64_t bytes[] = { 5000, 5000, 5000, 4999, 5000, 5000, 5000, 5000, 5000 };
    shards("abcabcabc", bytes);
    assert_int_equal(choose(27, 24), 24);
    assert_string_equal(node[got.leaves[2]].id, "r-3-0"); /* the primary, last */
    assert_says("1 of 9 shards leave: s3 (4999 bytes, us-west-2a)");
    assert_says_not("slots");
    /* Slots do not matter where bytes are known: fewer slots, more bytes. */
    for (int z = 0; z < 3; z++)
        node[15 + z].slots = 1;
    assert_int_equal(choose(27, 24), 24);
    assert_string_equal(node[got.leaves[2]].shard, "s3");
}

static void a_replica_says_what_its_silent_primary_holds(void **state)
{
    (void)state;
    const uint64_t bytes[] = { 9000, 8000, 7000, 6000, 5000, 4000, 3000, 2000, 1000 };
    shards("abcabcabc", bytes);
    node[26].bytes = 0; /* s8's primary, in zone c */
    node[26].unsized = true;
    assert_int_equal(choose(27, 24), 24);
    assert_string_equal(node[got.leaves[2]].shard, "s8");
    assert_says("s8 (1000 bytes, us-west-2c)");
    assert_says_not("not known");
}

static void a_shard_without_bytes_is_taken_by_its_slots(void **state)
{
    (void)state;
    const uint64_t bytes[] = { 9000, 9000, 9000, 9000, 4000, 9000, 9000, 9000, 9000 };
    shards("abcabcabc", bytes);
    no_bytes_of(8); /* 1000 slots of 8.375 bytes each */
    assert_int_equal(choose(27, 24), 24);
    assert_string_equal(node[got.leaves[2]].shard, "s4"); /* 0 bytes would have been the fewest */
    assert_says("bytes of 1 are not known: by their slots and the others' mean");
    for (int z = 0; z < 3; z++)
        node[24 + z].slots = 400;
    assert_int_equal(choose(27, 24), 24);
    assert_string_equal(node[got.leaves[2]].shard, "s8");
    assert_says("s8 (3350 bytes, us-west-2c)");
}

static void slots_stand_for_bytes_when_nobody_knows_any(void **state)
{
    (void)state;
    shards("abcabcabc", NULL);
    for (int s = 0; s < 9; s++)
        no_bytes_of(s);
    for (int z = 0; z < 3; z++)
        node[15 + z].slots = 999;
    assert_int_equal(choose(27, 24), 24);
    assert_string_equal(node[got.leaves[2]].shard, "s5");
    assert_says("s5 (999 slots, us-west-2c)");
    assert_says("nobody knows their bytes: by slots");
}

/* One unit for all of them: its bytes are not compared with the others' slots. */
static void a_shard_without_slots_is_the_lightest_by_slots(void **state)
{
    (void)state;
    const uint64_t bytes[] = { 0, 0, 0, 0, 0, 1000000, 0, 0, 0 };
    shards("abcabcabc", bytes);
    for (int s = 0; s < 9; s++)
        if (s != 5)
            no_bytes_of(s);
    for (int z = 0; z < 3; z++)
        node[15 + z].slots = 0;
    assert_int_equal(choose(27, 24), 24);
    assert_string_equal(node[got.leaves[2]].shard, "s5");
    assert_says("s5 (0 slots, us-west-2c)");
}

/* --- traffic ------------------------------------------------------------------------------- */

static int primaries_wanted(int zone)
{
    int sum = 0;
    for (size_t i = 0; i < got.places; i++)
        sum += got.place[i].zone == zone ? got.place[i].primaries : 0;
    return sum;
}

static void primaries_of_new_shards_go_where_the_fewest_and_the_traffic_are(void **state)
{
    (void)state;
    static const struct {
        const char *has;
        double traffic[3];
        int more, want[3];
        bool by_traffic;
    } row[] = {
        { "abcabc", { 0, 0, 0 }, 1, { 1, 0, 0 }, false }, /* unknown: the first */
        { "abcabc", { .2, .5, .3 }, 1, { 0, 1, 0 }, true },
        { "abcabc", { .2, .5, .3 }, 2, { 0, 1, 1 }, true },
        { "abcabc", { .2, .5, .3 }, 3, { 1, 1, 1 }, true },
        { "abcabc", { .2, .5, .3 }, 4, { 1, 2, 1 }, true },
        { "abcab", { .2, .7, .1 }, 1, { 0, 0, 1 }, false }, /* balance goes before traffic */
        { "abcac", { .2, .7, .1 }, 2, { 0, 2, 0 }, true },
        { "aabb", { .1, .1, .8 }, 1, { 1, 0, 0 }, true }, /* zone c has no slots to give */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        shards(row[i].has, NULL);
        memcpy(traffic, row[i].traffic, sizeof row[i].traffic);
        const int has = (int)nodes;
        assert_int_equal(choose(has, has + 3 * row[i].more), has + 3 * row[i].more);
        for (int z = 0; z < 3; z++)
            if (primaries_wanted(z) != row[i].want[z])
                fail_msg("row %zu: zone %d gets %d primaries, want %d", i, z, primaries_wanted(z),
                         row[i].want[z]);
        assert_says("primaries of new shards: us-west-2");
        if (row[i].by_traffic)
            assert_says("% (placement run 12)");
        else
            assert_says_not("placement run 12");
    }
    shards("abcabc", NULL);
    traffic[1] = 1;
    (void)choose(18, 21);
    assert_says("primaries of new shards: us-west-2b 1, where the fewest are; of equal zones where "
                "most traffic is: us-west-2a 0 %, us-west-2b 100 %, us-west-2c 0 % (placement run "
                "12)");
    for (size_t i = 0; i < nodes; i++)
        node[i].failed = node[i].zone == 1; /* what has failed is no primary, and no place */
    (void)choose(18, 21);
    assert_int_equal(primaries_wanted(1), 0);
    for (size_t i = 0; i < nodes; i++)
        node[i].primary = false;
    (void)choose(18, 21);
    assert_string_equal(got.place_why, ""); /* nobody knows who is primary */
}

static void a_drain_that_is_called_off_makes_no_primary(void **state)
{
    (void)state;
    shards("abcabcabc", NULL);
    for (size_t i = 24; i < 27; i++)
        node[i].leaving = true;
    assert_int_equal(choose(24, 27), 27);
    assert_int_equal((int)got.n_returns, 3);
    assert_int_equal(primaries_wanted(0) + primaries_wanted(1) + primaries_wanted(2), 0);
}

/* Mean 1000: a tenth of it is nothing that anybody would move a primary for. */
static void of_shards_that_cost_the_same_one_leaves_where_least_traffic_is(void **state)
{
    (void)state;
    static const struct {
        const char *has;
        uint64_t bytes[9];
        double traffic[3];
        const char *leaves; /* shard */
    } row[] = {
        { "abcabcabc",
          { 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000 },
          { .5, .2, .3 },
          "s1" },
        { "abcabcabc",
          { 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000 },
          { .5, .3, .2 },
          "s2" },
        { "abcabcabc",
          { 950, 1049, 1000, 1000, 1049, 1000, 1000, 1049, 1000 },
          { .5, .2, .3 },
          "s1" }, /* 99 more than the cheapest, of a mean of 1010 */
        { "abcabcabc",
          { 900, 1100, 1000, 1000, 1000, 1000, 1000, 1000, 1000 },
          { .5, .2, .3 },
          "s4" }, /* 100: just so */
        { "abcabcabc",
          { 950, 1100, 1000, 1000, 1100, 1000, 1000, 1100, 1000 },
          { .5, .2, .3 },
          "s2" }, /* 150 more */
        { "abcabcabc",
          { 800, 1100, 1000, 1000, 1000, 1000, 1000, 1000, 1100 },
          { .5, .2, .3 },
          "s0" }, /* more than a tenth apart: bytes count */
        { "aabcabcab",
          { 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000 },
          { .8, .1, .1 },
          "s0" }, /* four of nine: balance goes before traffic */
        { "abcabcabc",
          { 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 990 },
          { 0, 0, 0 },
          "s8" }, /* unknown: bytes alone */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        shards(row[i].has, row[i].bytes);
        memcpy(traffic, row[i].traffic, sizeof row[i].traffic);
        assert_int_equal(choose(27, 24), 24);
        if (strcmp(node[got.leaves[0]].shard, row[i].leaves) != 0)
            fail_msg("row %zu: %s leaves: %s", i, node[got.leaves[0]].shard, got.place_why);
        if (traffic[0] > 0)
            assert_says("(placement run 12)");
    }
}

static void several_leave_by_turns(void **state)
{
    (void)state;
    shards("abcabcabcabc", NULL);
    traffic[0] = 0.6;
    traffic[1] = 0.3;
    traffic[2] = 0.1;
    assert_int_equal(choose(36, 24), 24);
    int left[3] = { 4, 4, 4 };
    for (size_t i = 0; i < got.n_leaves; i++)
        left[node[got.leaves[i]].zone] -= node[got.leaves[i]].primary;
    assert_int_equal(left[0], 3); /* c, b, a, and c again */
    assert_int_equal(left[1], 3);
    assert_int_equal(left[2], 2);
    assert_says("4 of 12 shards leave: ");
    assert_says(", ...");
}

/* --- the shares ---------------------------------------------------------------------------- */

static void a_zones_traffic_is_what_is_read_from_it(void **state)
{
    (void)state;
    static const struct {
        int zones;
        double matrix[9], share[3];
        bool known;
    } row[] = {
        { 2, { 3, 2, 2, 0 }, { 0.8, 0.2 }, true }, /* 8 of 10 ends */
        { 2, { 1, 0, 0, 1 }, { 0.5, 0.5 }, true },
        { 3, { 0, 4, 0, 4, 0, 0, 0, 0, 0 }, { 0.5, 0.5, 0 }, true },
        { 3, { 0 }, { 0 }, false },
        { 1, { 7 }, { 1 }, true },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        double share[3] = { -1, -1, -1 };
        assert_int_equal(autoscale_zone_traffic(row[i].matrix, row[i].zones, share), row[i].known);
        for (int z = 0; z < row[i].zones; z++)
            assert_true(share[z] == row[i].share[z]);
    }
}

int main(void)
{
    const struct CMUnitTest test[] = {
        cmocka_unit_test(of_two_shards_with_equal_slots_the_lighter_leaves),
        cmocka_unit_test(a_replica_says_what_its_silent_primary_holds),
        cmocka_unit_test(a_shard_without_bytes_is_taken_by_its_slots),
        cmocka_unit_test(slots_stand_for_bytes_when_nobody_knows_any),
        cmocka_unit_test(a_shard_without_slots_is_the_lightest_by_slots),
        cmocka_unit_test(primaries_of_new_shards_go_where_the_fewest_and_the_traffic_are),
        cmocka_unit_test(a_drain_that_is_called_off_makes_no_primary),
        cmocka_unit_test(of_shards_that_cost_the_same_one_leaves_where_least_traffic_is),
        cmocka_unit_test(several_leave_by_turns),
        cmocka_unit_test(a_zones_traffic_is_what_is_read_from_it),
    };
    return cmocka_run_group_tests(test, NULL, NULL);
}
