/* Where new members go and who leaves. */
#include "t.h"

#include "core/choose.h"

#include <stdio.h>
#include <string.h>

enum { MOST = 1200 };

static struct autoscale_fleet fleet;
static struct autoscale_node node[MOST];
static char name[MOST][32], shard[MOST][32];
static size_t nodes;
static double traffic[AUTOSCALE_ZONES];
static struct autoscale_decision got;
static char limited[160];

static void singles(const int *in_zone)
{
    autoscale_fleet_proxies(&fleet);
    memset(traffic, 0, sizeof traffic);
    nodes = 0;
    for (int z = 0; z < fleet.zones; z++)
        for (int i = 0; i < in_zone[z]; i++, nodes++) {
            (void)snprintf(name[nodes], sizeof name[0], "p-%d-%d", z, i);
            node[nodes] = (struct autoscale_node){
                .id = name[nodes],
                .shard = "",
                .zone = z,
                .group = -1,
            };
        }
}

/* Shards of three, their primaries over the zones in turn. */
static void shards(int n)
{
    autoscale_fleet_redis(&fleet);
    memset(traffic, 0, sizeof traffic);
    nodes = 0;
    for (int s = 0; s < n; s++)
        for (int z = 0; z < 3; z++, nodes++) {
            (void)snprintf(name[nodes], sizeof name[0], "r-%d-%d", s, z);
            (void)snprintf(shard[nodes], sizeof shard[0], "s%03d", s);
            node[nodes] = (struct autoscale_node){
                .id = name[nodes],
                .shard = shard[nodes],
                .zone = z,
                .group = z * 2 + s % 2,
                .primary = s % 3 == z,
                .bytes = 1000,
            };
        }
}

static int choose(int from, int to, int rest)
{
    const struct autoscale_choose in = {
        .fleet = &fleet,
        .node = node,
        .nodes = nodes,
        .zone_traffic = traffic,
        .from = from,
        .to = to,
        .rest = rest,
    };
    struct pr_err err = { .text = "" };
    int result = -1;
    memset(&got, 0, sizeof got);
    assert_ok(autoscale_choose(&in, &got, &result, limited, sizeof limited, &err), &err);
    return result;
}

/* Over all places of a zone. */
static struct autoscale_place of_zone(int zone)
{
    struct autoscale_place sum = { .zone = zone };
    for (size_t i = 0; i < got.places; i++)
        if (got.place[i].zone == zone) {
            sum.give += got.place[i].give;
            sum.get += got.place[i].get;
            sum.back += got.place[i].back;
        }
    return sum;
}

static void assert_gets(int a, int b, int c)
{
    const int want[] = { a, b, c };
    for (int z = 0; z < 3; z++)
        if (of_zone(z).get != want[z])
            fail_msg("zone %d gets %d, want %d", z, of_zone(z).get, want[z]);
}

static void assert_gives(int a, int b, int c)
{
    const int want[] = { a, b, c };
    for (int z = 0; z < 3; z++)
        if (of_zone(z).give != want[z])
            fail_msg("zone %d gives %d, want %d", z, of_zone(z).give, want[z]);
}

static void assert_leaves(const char *ids)
{
    char all[1024] = "";
    for (size_t i = 0; i < got.n_leaves; i++) {
        strcat(all, i == 0 ? "" : " ");
        strcat(all, node[got.leaves[i]].id);
    }
    assert_string_equal(all, ids);
}

static void new_ones_even_the_zones(void **state)
{
    (void)state;
    singles((const int[]){ 20, 18, 16 });
    assert_int_equal(choose(54, 60, 0), 60);
    assert_gets(0, 2, 4);
    assert_int_equal(choose(54, 57, 0), 57);
    assert_gets(0, 1, 2);
    nodes = 0; /* nobody knows them: 334, 333, 333 */
    assert_int_equal(choose(0, 1000, 0), 1000);
    assert_gets(334, 333, 333);
    assert_int_equal(choose(1000, 999, 0), 999);
    assert_gives(1, 0, 0);
}

static void ordered_ones_count_where_they_were_wanted(void **state)
{
    (void)state;
    singles((const int[]){ 20, 20, 14 }); /* 6 are on their way to the third */
    assert_int_equal(choose(60, 63, 0), 63);
    assert_gets(1, 1, 1);
    assert_int_equal(choose(60, 57, 0), 57); /* nobody leaves while others have not even come */
    assert_gives(0, 0, 3);
    assert_int_equal((int)got.n_leaves, 0);
    assert_int_equal(choose(60, 51, 0), 51);
    assert_gives(2, 1, 6); /* 18, 19 and 14: what evenness is left to choose */
    assert_int_equal((int)got.n_leaves, 3);
}

static void single_nodes_go_where_the_traffic_is(void **state)
{
    (void)state;
    singles((const int[]){ 20, 20, 20 });
    traffic[0] = 0.6;
    traffic[1] = 0.3;
    traffic[2] = 0.1;
    assert_int_equal(choose(60, 66, 0), 66);
    assert_gets(6, 0, 0); /* 26 of 66: at most 120 % of 22 are 27 */
    assert_int_equal(choose(60, 72, 0), 72);
    assert_gets(9, 3, 0); /* 29 of 24 at most */
    assert_int_equal(choose(60, 66, 44), 66);
    assert_gets(2, 2, 2); /* 44 must be left whichever zone is lost */
    assert_int_equal(choose(60, 66, 42), 66);
    assert_gets(4, 2, 0);
}

static void a_dead_zone_gets_nothing_while_others_can(void **state)
{
    (void)state;
    singles((const int[]){ 20, 20, 20 });
    for (size_t i = 0; i < 20; i++)
        node[i].failed = true;
    assert_int_equal(choose(60, 66, 0), 66);
    assert_gets(0, 3, 3);
}

static void units_get_one_in_each_zone_and_the_emptiest_group(void **state)
{
    (void)state;
    shards(17); /* 9 in the first group of each zone, 8 in the second */
    assert_int_equal(choose(51, 57, 0), 57);
    assert_gets(2, 2, 2);
    assert_int_equal((int)got.places, 6);
    for (size_t i = 0; i < got.places; i++)
        assert_int_equal(got.place[i].get, 1); /* 10 and 9 in the end: first the second group */
    assert_int_equal(choose(51, 54, 0), 54);
    for (size_t i = 0; i < got.places; i++)
        assert_int_equal(got.place[i].group % 2, 1);
}

static void a_group_is_never_overfull(void **state)
{
    (void)state;
    shards(16);
    for (int g = 0; g < fleet.groups; g++)
        fleet.group[g].max = 9;
    assert_int_equal(choose(48, 54, 0), 54);
    assert_int_equal(choose(48, 60, 0), 54);
    assert_non_null(strstr(limited, "room for 6 of 12"));
    fleet.group[5].max = 8; /* one zone has room for one: a unit needs all three */
    assert_int_equal(choose(48, 54, 0), 51);
    fleet.group[4].max = 8;
    assert_int_equal(choose(48, 54, 0), 48);
}

static void members_that_leave_come_back_first(void **state)
{
    (void)state;
    shards(18);
    for (size_t i = 0; i < nodes; i++) {
        node[i].leaving = i >= 48;           /* two shards */
        node[i].bytes = i >= 51 ? 900 : 800; /* the second has moved less yet */
    }
    assert_int_equal(choose(48, 51, 0), 51);
    assert_int_equal((int)got.n_returns, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(got.returns[i] >= 51);
    assert_gets(0, 0, 0);
    assert_int_equal(of_zone(0).back, 1);
    assert_int_equal(choose(48, 57, 0), 57);
    assert_int_equal((int)got.n_returns, 6);
    assert_gets(1, 1, 1);
    node[53].failed = true; /* that shard is not what it was */
    assert_int_equal(choose(48, 54, 0), 54);
    assert_int_equal((int)got.n_returns, 3);
    assert_gets(1, 1, 1);
    assert_int_equal(choose(48, 45, 0), 45); /* further in: they go on leaving */
    assert_int_equal((int)got.n_returns, 0);
    for (size_t i = 0; i < got.n_leaves; i++)
        assert_false(node[got.leaves[i]].leaving);
}

static void single_leavers_failed_first_then_fewest_bytes(void **state)
{
    (void)state;
    singles((const int[]){ 4, 4, 4 });
    for (size_t i = 0; i < nodes; i++)
        node[i].bytes = 100 + i;
    assert_int_equal(choose(12, 9, 0), 9);
    assert_leaves("p-0-0 p-1-0 p-2-0");
    node[11].failed = true;
    node[5].bytes = 1;
    assert_int_equal(choose(12, 9, 0), 9);
    assert_leaves("p-2-3 p-1-1 p-0-0"); /* one of each zone all the same */
    assert_gives(1, 1, 1);
    node[0].leaving = true; /* not among those that are wanted: 11 of 12 stay now */
    assert_int_equal(choose(11, 10, 0), 10);
    assert_leaves("p-2-3");
}

static void single_leavers_stay_where_the_traffic_is(void **state)
{
    (void)state;
    singles((const int[]){ 20, 20, 20 });
    traffic[0] = 0.5;
    traffic[1] = 0.3;
    traffic[2] = 0.2;
    assert_int_equal(choose(60, 54, 0), 54);
    assert_gives(0, 2, 4); /* 20, 18, 16 */
    assert_int_equal(choose(60, 54, 36), 54);
    assert_gives(2, 2, 2); /* 36 must be left */
}

static void shards_leave_whole_with_the_fewest_bytes(void **state)
{
    (void)state;
    shards(9);
    for (size_t i = 0; i < nodes; i++)
        node[i].bytes = 1000 - i / 3;
    assert_int_equal(choose(27, 24, 0), 24);
    assert_leaves("r-8-0 r-8-1 r-8-2"); /* its primary, in the last zone, last */
    node[3].failed = true;
    assert_int_equal(choose(27, 24, 0), 24);
    assert_leaves("r-1-0 r-1-2 r-1-1");
    node[12].leaving = true; /* a drain has begun with one of shard 4: all of it follows */
    assert_int_equal(choose(26, 24, 0), 24);
    assert_leaves("r-4-2 r-4-1");
}

static void free_nodes_leave_before_shards(void **state)
{
    (void)state;
    shards(9);
    node[nodes] = (struct autoscale_node){ .id = "new", .shard = "", .zone = 1, .group = 2 };
    nodes++;
    assert_int_equal(choose(28, 27, 0), 27);
    assert_leaves("new");
}

static void no_zone_keeps_half_of_the_primaries(void **state)
{
    (void)state;
    shards(9);
    for (size_t i = 0; i < nodes; i++) /* the cheapest have their primaries in zones b and c */
        node[i].bytes = (i / 3) % 3 == 0 ? 1000 : 1 + i / 3;
    assert_int_equal(choose(27, 18, 0), 18);
    int left[3] = { 3, 3, 3 };
    for (size_t i = 0; i < got.n_leaves; i++)
        left[node[got.leaves[i]].zone] -= node[got.leaves[i]].primary;
    for (int z = 0; z < 3; z++)
        assert_true(left[z] * 2 < 6);
    assert_int_equal(left[0], 2); /* no more of the dear ones than must go */
}

static void too_few_primaries_are_not_broken_up_further(void **state)
{
    (void)state;
    shards(4);
    assert_int_equal(choose(12, 9, 0), 9); /* zone a has two of four: one of them goes */
    assert_true(node[got.leaves[2]].primary && node[got.leaves[2]].zone == 0);
    shards(3);
    assert_int_equal(choose(9, 6, 0), 9);
    assert_int_equal((int)got.n_leaves, 0);
    assert_non_null(strstr(limited, "at least 3 stay"));
    shards(9);
    for (size_t i = 0; i < nodes; i++)
        node[i].primary = node[i].zone == 0; /* all of them in zone a */
    assert_int_equal(choose(27, 24, 0), 27);
    assert_non_null(strstr(limited, "us-west-2a would keep half"));
}

static void refuses_nodes_that_are_nowhere(void **state)
{
    (void)state;
    static const struct {
        int zone, group;
        const char *words;
    } row[] = { { 3, -1, "node r-0-0: zone 3 of 3" },
                { -1, -1, "node r-0-0: zone -1" },
                { 0, 6, "placement group 6 of 6" },
                { 0, 2, "in zone us-west-2a, but its group redis-b-1 is not" } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        shards(9);
        node[0].zone = row[i].zone;
        node[0].group = row[i].group;
        const struct autoscale_choose in = {
            .fleet = &fleet,
            .node = node,
            .nodes = nodes,
            .zone_traffic = traffic,
        };
        struct pr_err err = { .text = "" };
        int to;
        assert_int_equal(autoscale_choose(&in, &got, &to, limited, sizeof limited, &err),
                         PR_EINVAL);
        assert_non_null(strstr(err.text, row[i].words));
    }
}

int main(void)
{
    const struct CMUnitTest test[] = {
        cmocka_unit_test(new_ones_even_the_zones),
        cmocka_unit_test(ordered_ones_count_where_they_were_wanted),
        cmocka_unit_test(single_nodes_go_where_the_traffic_is),
        cmocka_unit_test(a_dead_zone_gets_nothing_while_others_can),
        cmocka_unit_test(units_get_one_in_each_zone_and_the_emptiest_group),
        cmocka_unit_test(a_group_is_never_overfull),
        cmocka_unit_test(members_that_leave_come_back_first),
        cmocka_unit_test(single_leavers_failed_first_then_fewest_bytes),
        cmocka_unit_test(single_leavers_stay_where_the_traffic_is),
        cmocka_unit_test(shards_leave_whole_with_the_fewest_bytes),
        cmocka_unit_test(free_nodes_leave_before_shards),
        cmocka_unit_test(no_zone_keeps_half_of_the_primaries),
        cmocka_unit_test(too_few_primaries_are_not_broken_up_further),
        cmocka_unit_test(refuses_nodes_that_are_nowhere),
    };
    return cmocka_run_group_tests(test, NULL, NULL);
}
