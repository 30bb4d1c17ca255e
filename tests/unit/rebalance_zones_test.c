/* Zones that fail and come back, fail-overs, alarms, spares: rows in, rows out. */
#include "t.h"

#include "core/zones.h"

#include <stdio.h>
#include <string.h>

enum { NODES = 12, SLOTS = 16384 };

/* Six shards of a primary and a replica: primaries s0..s5 in zones a b c a b c, the replica of
 * each in the next zone. */
static struct {
    struct pr_arena arena;
    struct rebalance_node before[NODES], now[NODES];
    struct rebalance_shard shard[6];
    const char *replica[6][1];
    int64_t silent[NODES];
    struct rebalance_image image;
    struct rebalance_zones_in in;
    struct rebalance_zones out;
} t;

static const char *const node_id[NODES] = { "p0", "p1", "p2", "p3", "p4", "p5",
                                            "r0", "r1", "r2", "r3", "r4", "r5" };
static const char *const shard_id[6] = { "s0", "s1", "s2", "s3", "s4", "s5" };
static const char *const zone_id[3] = { "a", "b", "c" };

static int begin(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    pr_arena_init(&t.arena, 0);
    for (int i = 0; i < NODES; i++) {
        const int s = i % 6;
        t.now[i] = (struct rebalance_node){ .id = node_id[i],
                                            .host = "h",
                                            .zone = zone_id[(s + i / 6) % 3],
                                            .redis_id = node_id[i],
                                            .shard = shard_id[s],
                                            .role = i < 6 ? REBALANCE_PRIMARY : REBALANCE_REPLICA,
                                            .state = REBALANCE_UP,
                                            .slots = i < 6 ? SLOTS / 6 + (s < SLOTS % 6) : 0 };
        t.before[i] = t.now[i];
    }
    for (int s = 0; s < 6; s++) {
        t.replica[s][0] = node_id[s + 6];
        t.shard[s] = (struct rebalance_shard){ .id = shard_id[s],
                                               .primary = node_id[s],
                                               .zone = zone_id[s % 3],
                                               .replica = t.replica[s],
                                               .replicas = 1,
                                               .slots = t.now[s].slots };
    }
    t.image = (struct rebalance_image){
        .node = t.now, .nodes = NODES, .shard = t.shard, .shards = 6, .slots_owned = SLOTS
    };
    t.in =
        (struct rebalance_zones_in){ .before = t.before, .image = &t.image, .silent_ms = t.silent };
    return 0;
}

static int end(void **state)
{
    (void)state;
    pr_arena_done(&t.arena);
    return 0;
}

static void judge(void)
{
    struct pr_err err = { 0 };
    assert_ok(rebalance_zones_judge(&t.in, &t.arena, &t.out, &err), &err);
}

static void fails(int node, int64_t silent_ms)
{
    t.now[node].state = REBALANCE_NODE_FAILED;
    t.silent[node] = silent_ms;
}

/* The replica of a shard leads it; the former primary has no slots. */
static void promote(int shard)
{
    t.now[shard + 6].role = REBALANCE_PRIMARY;
    t.now[shard + 6].slots = t.now[shard].slots;
    t.now[shard].slots = 0;
    t.shard[shard].primary = node_id[shard + 6];
}

static void zone_a_fails(void)
{
    for (int i = 0; i < NODES; i++)
        if (strcmp(t.now[i].zone, "a") == 0)
            fails(i, 5000 + i);
}

static void all_is_well(void **state)
{
    (void)state;
    judge();
    assert_int_equal(t.out.zones, 3);
    for (int z = 0; z < 3; z++) {
        assert_string_equal(t.out.zone[z].id, zone_id[z]);
        assert_int_equal(t.out.zone[z].state, REBALANCE_ZONE_UP);
        assert_int_equal(t.out.zone[z].nodes, 4);
        assert_int_equal(t.out.zone[z].primaries, 2);
        assert_int_equal(t.out.zone[z].alarms, 0);
    }
    assert_true(t.out.quorum);
    assert_int_equal(t.out.uncovered, 0);
    assert_int_equal(t.out.failovers, 0);
    assert_int_equal(t.out.incidents, 0);
}

static void one_primary_is_no_incident_of_its_zone(void **state)
{
    (void)state;
    fails(0, 5100);
    judge();
    assert_int_equal(t.out.zone[0].state, REBALANCE_ZONE_HURT);
    assert_int_equal(t.out.uncovered, t.now[0].slots);
    assert_int_equal(t.out.incidents, 0);
    assert_int_equal(t.out.failovers, 1);
    assert_int_equal(t.out.failover[0].what, REBALANCE_FAILOVER_BEGAN);
    assert_string_equal(t.out.failover[0].shard, "s0");
    assert_string_equal(t.out.failover[0].from, "p0");
    assert_int_equal(t.out.failover[0].silent_ms, 5100);
}

static void several_primaries_within_the_window_are(void **state)
{
    (void)state;
    static const struct {
        int64_t ago_ms;
        bool back; /* the first one */
        size_t want;
    } row[] = { { 0, false, 1 },
                { REBALANCE_ZONE_WINDOW_MS, false, 1 },
                { REBALANCE_ZONE_WINDOW_MS + 1, false, 0 },
                { 0, true, 0 } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        (void)end(NULL);
        (void)begin(NULL);
        struct rebalance_failover f = {
            .id = 1, .shard = "s0", .zone = "a", .from = "p0", .failed_ago_ms = row[i].ago_ms
        };
        t.in.failover = &f;
        t.in.failovers = 1;
        promote(0);
        if (!row[i].back)
            fails(0, 9000);
        t.before[0] = t.now[0];
        fails(3, 5000);
        judge();
        assert_int_equal(t.out.incidents, row[i].want);
        if (row[i].want == 0)
            continue;
        assert_int_equal(t.out.incident[0].id, 0);
        assert_false(t.out.incident[0].whole);
        assert_int_equal(t.out.incident[0].silent_ms, 5000);
    }
}

static void zone_fails_is_covered_and_comes_back(void **state)
{
    (void)state;
    zone_a_fails();
    judge();
    assert_int_equal(t.out.zone[0].state, REBALANCE_ZONE_DOWN);
    assert_int_equal(t.out.zone[0].alarms, REBALANCE_ALARM_DOWN);
    assert_true(t.out.quorum); /* four of six */
    assert_int_equal(t.out.incidents, 1);
    const struct rebalance_incident_change *c = &t.out.incident[0];
    assert_true(c->id == 0 && c->whole && c->quorum && c->changed && !c->covered && !c->ended);
    assert_int_equal(c->failed, 4);
    assert_int_equal(c->primaries, 2);
    assert_int_equal(c->all_primaries, 6);
    assert_int_equal(c->uncovered, t.now[0].slots + t.now[3].slots);
    assert_int_equal(c->silent_ms, 5000); /* the newest of four */
    assert_int_equal(t.out.failovers, 2);

    struct rebalance_failover f[] = {
        { .id = 7, .shard = "s0", .zone = "a", .from = "p0", .open = true },
        { .id = 8, .shard = "s3", .zone = "a", .from = "p3", .open = true }
    };
    struct rebalance_incident i = {
        .id = 5, .zone = "a", .whole = true, .quorum = true, .back_ago_ms = -1
    };
    t.in.failover = f;
    t.in.failovers = 2;
    t.in.incident = &i;
    t.in.incidents = 1;
    judge(); /* again: nothing new */
    assert_int_equal(t.out.failovers, 0);
    assert_int_equal(t.out.incidents, 1);
    assert_false(t.out.incident[0].changed);

    promote(0);
    judge();
    assert_int_equal(t.out.failovers, 1);
    assert_int_equal(t.out.failover[0].id, 7);
    assert_int_equal(t.out.failover[0].what, REBALANCE_FAILOVER_PROMOTED);
    assert_string_equal(t.out.failover[0].to, "r0");
    assert_false(t.out.incident[0].covered);

    f[0].open = false;
    promote(3);
    judge();
    assert_int_equal(t.out.failovers, 1);
    c = &t.out.incident[0];
    assert_true(c->changed && c->covered && !c->back && c->quorum);
    assert_int_equal(t.out.zone[1].alarms, REBALANCE_ALARM_MAJORITY); /* four of six */
    assert_int_equal(t.out.zone[2].alarms, 0);

    f[1].open = false;
    i.covered = true;
    for (int n = 0; n < NODES; n++)
        t.now[n].state = REBALANCE_UP;
    t.now[3].role = REBALANCE_REPLICA;
    judge(); /* p0 leads nothing, and follows nobody yet */
    assert_int_equal(t.out.zone[0].unplaced, 1);
    assert_false(t.out.incident[0].back);
    t.now[0].role = REBALANCE_REPLICA;
    static const struct {
        int64_t back_ago_ms;
        bool ended, changed;
    } row[] = { { -1, false, true },
                { 0, false, false },
                { REBALANCE_ZONE_CALM_MS - 1, false, false },
                { REBALANCE_ZONE_CALM_MS, true, true } };
    for (size_t k = 0; k < PR_COUNT(row); k++) {
        i.back_ago_ms = row[k].back_ago_ms;
        judge();
        assert_true(t.out.incident[0].back);
        assert_int_equal(t.out.incident[0].ended, row[k].ended);
        assert_int_equal(t.out.incident[0].changed, row[k].changed);
    }
    fails(8, 5000); /* r2, of this zone: not back any more */
    i.back_ago_ms = 0;
    judge();
    c = &t.out.incident[0];
    assert_true(c->changed && !c->back && !c->ended);
}

static void zone_whose_nodes_were_all_taken_out_is_over(void **state)
{
    (void)state;
    struct rebalance_incident i = {
        .id = 5, .zone = "a", .whole = true, .quorum = true, .covered = true, .back_ago_ms = -1
    };
    promote(0);
    promote(3);
    for (int n = 0; n < NODES; n++)
        if (strcmp(t.now[n].zone, "a") == 0)
            t.now[n].state = REBALANCE_GONE;
    t.in.incident = &i;
    t.in.incidents = 1;
    judge();
    assert_int_equal(t.out.zone[0].state, REBALANCE_ZONE_EMPTY);
    assert_true(t.out.incident[0].ended);
}

static void half_of_the_primaries_in_a_zone_is_an_alarm_and_without_them_nobody_elects(void **state)
{
    (void)state;
    static const struct {
        int in_a; /* of six */
        unsigned alarm;
        bool quorum; /* when a fails */
    } row[] = { { 2, 0, true },
                { 3, REBALANCE_ALARM_MAJORITY, false },
                { 4, REBALANCE_ALARM_MAJORITY, false } };
    for (size_t k = 0; k < PR_COUNT(row); k++) {
        (void)end(NULL);
        (void)begin(NULL);
        for (int p = 0; p < 6; p++)
            t.now[p].zone = p < row[k].in_a ? "a" : p % 2 == 0 ? "b" : "c";
        judge();
        assert_int_equal(t.out.zone[0].alarms, row[k].alarm);
        for (int n = 0; n < NODES; n++)
            if (strcmp(t.now[n].zone, "a") == 0)
                fails(n, 5000);
        judge();
        assert_int_equal(t.out.quorum, row[k].quorum);
        assert_int_equal((t.out.zone[0].alarms & REBALANCE_ALARM_NO_QUORUM) != 0, !row[k].quorum);
        assert_int_equal(t.out.incident[0].quorum, row[k].quorum);
    }
}

static void fail_over_between_two_looks_is_noted_once(void **state)
{
    (void)state;
    fails(1, 7000);
    promote(1);
    judge();
    assert_int_equal(t.out.failovers, 1);
    assert_int_equal(t.out.failover[0].id, 0);
    assert_int_equal(t.out.failover[0].what, REBALANCE_FAILOVER_PROMOTED);
    assert_string_equal(t.out.failover[0].from, "p1");
    assert_string_equal(t.out.failover[0].to, "r1");
    struct rebalance_failover f = { .id = 1, .shard = "s1", .zone = "b", .from = "p1" };
    t.in.failover = &f; /* written, but the topology was not */
    t.in.failovers = 1;
    judge();
    assert_int_equal(t.out.failovers, 0);
}

static void primary_that_returns_unreplaced_and_shard_that_goes(void **state)
{
    (void)state;
    struct rebalance_failover f[] = {
        { .id = 1, .shard = "s1", .zone = "b", .from = "p1", .open = true },
        { .id = 2, .shard = "gone", .zone = "b", .from = "p9", .open = true }
    };
    t.in.failover = f;
    t.in.failovers = 2;
    judge();
    assert_int_equal(t.out.failovers, 2);
    assert_int_equal(t.out.failover[0].what, REBALANCE_FAILOVER_RETURNED);
    assert_int_equal(t.out.failover[1].what, REBALANCE_FAILOVER_GONE);
}

static void spares_go_where_the_shard_has_nobody(void **state)
{
    (void)state;
    static const struct {
        const char *zone; /* of the spare */
        size_t want;
    } row[] = { { "b", 1 }, { "c", 1 }, { "a", 1 }, { "", 0 } };
    for (size_t k = 0; k < PR_COUNT(row); k++) {
        (void)end(NULL);
        (void)begin(NULL);
        zone_a_fails(); /* s0, s3: promoted in b; s2, s5 (primaries in c) lost replicas */
        promote(0);
        promote(3);
        /* p4 is a spare now; its shard is no more */
        t.now[4] = (struct rebalance_node){
            .id = "p4", .zone = row[k].zone, .shard = "", .state = REBALANCE_UP
        };
        t.image.shards = 4;
        const char **id;
        size_t n;
        struct pr_err err = { 0 };
        assert_ok(rebalance_zones_spares(&t.image, 0, &t.arena, &id, &n, &err), &err);
        assert_int_equal(n, row[k].want);
        if (n > 0)
            assert_string_equal(id[0], "p4");
    }
}

/* Two replicas: each shard still has members in both other zones. */
static void no_zone_is_doubled(void **state)
{
    (void)state;
    const char **id;
    size_t n;
    struct pr_err err = { 0 };
    t.now[8].shard = t.now[9].shard = t.now[10].shard = t.now[11].shard = "";
    t.now[4].shard = t.now[5].shard = "";
    t.now[4].slots = t.now[5].slots = 0;
    t.now[2] = (struct rebalance_node){ .id = "p2",
                                        .zone = "c",
                                        .shard = "s0",
                                        .redis_id = "",
                                        .role = REBALANCE_REPLICA,
                                        .state = REBALANCE_UP };
    t.image.shards = 1; /* s0: p0 in a, r0 in b, p2 in c */
    fails(0, 5000);
    promote(0);
    for (int i = 3; i < NODES; i++)
        if (strcmp(t.now[i].zone, "a") == 0)
            t.now[i].state = REBALANCE_NODE_FAILED;
    assert_ok(rebalance_zones_spares(&t.image, 0, &t.arena, &id, &n, &err), &err);
    assert_int_equal(n, 0); /* p4, p5, r4 are free, in b and c */
}

static void nothing_lost_takes_no_spare(void **state)
{
    (void)state;
    const char **id;
    size_t n;
    struct pr_err err = { 0 };
    t.now[11].shard = "";
    t.image.shards = 5;
    assert_ok(rebalance_zones_spares(&t.image, 0, &t.arena, &id, &n, &err), &err);
    assert_int_equal(n, 0);
}

static void what_was_refused_is_tried_again(void **state)
{
    (void)state;
    static const struct {
        struct rebalance_stand_ins made;
        bool may;
    } row[] = {
        { { false, 0, 0 }, true },      { { true, 0, 0 }, false },
        { { false, 1, 9999 }, false },  { { false, 1, 10000 }, true },
        { { false, 2, 19999 }, false }, { { false, 2, 20000 }, true },
        { { true, 2, 599999 }, false }, { { false, 7, REBALANCE_STAND_IN_MS }, false },
        { { false, 7, 640000 }, true }, { { false, UINT32_MAX, 640000 }, true },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (rebalance_zones_may_stand_in(&row[i].made) != row[i].may)
            fail_msg("row %zu", i);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(all_is_well),
        T(one_primary_is_no_incident_of_its_zone),
        T(several_primaries_within_the_window_are),
        T(zone_fails_is_covered_and_comes_back),
        T(zone_whose_nodes_were_all_taken_out_is_over),
        T(half_of_the_primaries_in_a_zone_is_an_alarm_and_without_them_nobody_elects),
        T(fail_over_between_two_looks_is_noted_once),
        T(primary_that_returns_unreplaced_and_shard_that_goes),
        T(spares_go_where_the_shard_has_nobody),
        T(no_zone_is_doubled),
        T(nothing_lost_takes_no_spare),
        T(what_was_refused_is_tried_again),
    };
    return cmocka_run_group_tests_name("zones", tests, NULL, NULL);
}
