/* What placement records of the traffic between slots, as rebalance reads it: the same
 * cross-zone share as the figures of a run, before and after slots change zones. */
#include "t.h"

#include "core/policy/crossing.h"
#include "core/report.h"
#include "core/traffic.h"
#include "placement_csr.h"

#include "prism/rng.h"
#include "prism/slot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ZONES = 3, PARTITIONS = 96, VERTICES = 6000, EDGES = 40000 };

static struct scene {
    struct placement_store store;
    struct placement_graph graph;
    uint32_t partition[VERTICES];
    uint16_t shard_of[PARTITIONS], zone_of[PARTITIONS], block_of[PARTITIONS];
    uint16_t slot[PARTITIONS];
    int16_t zone_of_slot[PR_SLOTS];
} s;
static struct pr_arena arena;
static struct pr_err err;

/* Vertices mostly know their neighbours in the row, so shards talk to themselves most. */
static void make(uint32_t shards, uint64_t seed)
{
    static struct csr_edge edge[EDGES];
    uint16_t zone_of_shard[PARTITIONS], block_of_shard[PARTITIONS];
    struct pr_rng rng;
    placement_graph_done(&s.graph);
    pr_rng_init(&rng, seed);
    for (size_t i = 0; i < EDGES; i++) {
        const uint32_t from = (uint32_t)pr_rng_below(&rng, VERTICES);
        const uint64_t far = pr_rng_below(&rng, 4) == 0 ? VERTICES : VERTICES / 50;
        edge[i] = (struct csr_edge){ from, (uint32_t)((from + pr_rng_below(&rng, far)) % VERTICES),
                                     1 + (uint32_t)pr_rng_below(&rng, 5) };
    }
    s.graph = csr_make(VERTICES, edge, EDGES);
    for (uint32_t v = 0; v < VERTICES; v++)
        s.partition[v] = v / (VERTICES / PARTITIONS) % PARTITIONS;
    for (uint32_t g = 0; g < shards; g++)
        zone_of_shard[g] = (uint16_t)(g % ZONES);
    s.store = (struct placement_store){
        .partitions = PARTITIONS, .zones = ZONES, .zone_of = s.zone_of, .block_of = s.block_of
    };
    s.store.blocks = placement_blocks(zone_of_shard, shards, ZONES, block_of_shard);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        s.slot[p] = pr_partition_slot(p);
        s.shard_of[p] = (uint16_t)(p * shards / PARTITIONS);
        s.zone_of[p] = zone_of_shard[s.shard_of[p]];
        s.block_of[p] = block_of_shard[s.shard_of[p]];
        s.zone_of_slot[s.slot[p]] = (int16_t)s.zone_of[p];
    }
}

static double recorded(const struct pr_buf *b)
{
    struct pr_traffic t;
    double share = -1;
    assert_ok(pr_traffic_open(b->data, b->len, &t, &err), &err);
    assert_ok(rebalance_cross_share(&t, s.zone_of_slot, ZONES, &arena, &share, &err), &err);
    return share;
}

/* By looking at every edge. */
static double counted(void)
{
    double all = 0, crossing = 0;
    for (uint32_t v = 0; v < VERTICES; v++) {
        const struct placement_row row = placement_row(&s.graph, v, NULL);
        for (uint32_t i = 0; i < row.n; i++) {
            const double w = placement_arc_weight(&row, i);
            const int16_t here = s.zone_of_slot[s.slot[s.partition[v]]],
                          there = s.zone_of_slot[s.slot[s.partition[row.to[i]]]];
            all += w;
            crossing += here == there ? 0 : w;
        }
    }
    return crossing / all;
}

static void rezone_shard(uint16_t shard, int16_t zone)
{
    for (uint32_t p = 0; p < PARTITIONS; p++)
        if (s.shard_of[p] == shard)
            s.zone_of_slot[s.slot[p]] = zone;
}

static void assert_near(double got, double want, double within)
{
    if (!(fabs(got - want) <= within))
        fail_msg("%.9f is not %.9f", got, want);
}

static void whole_shards_that_change_zones_are_told_exactly(void **state)
{
    (void)state;
    struct pr_buf b;
    pr_buf_init(&b, 0);
    make(9, 1);
    assert_int_equal(s.store.blocks, 9);
    assert_ok(placement_traffic(&s.graph, &s.store, s.partition, NULL, &b, &err), &err);
    const double today = counted();
    assert_true(today > 0.2 && today < 0.7);
    assert_near(recorded(&b), today, 1e-6);
    rezone_shard(0, 1); /* zone a's shards have failed over */
    rezone_shard(3, 2);
    rezone_shard(6, 1);
    assert_true(fabs(counted() - today) > 0.01);
    assert_near(recorded(&b), counted(), 1e-6);
    for (uint16_t g = 0; g < 9; g++)
        rezone_shard(g, 2);
    assert_near(recorded(&b), 0, 1e-12);
    pr_buf_done(&b);
}

static void the_run_s_own_figures_agree(void **state)
{
    (void)state;
    struct pr_buf b;
    static uint16_t zone[VERTICES];
    static const double even[ZONES] = { 1.0 / 3, 1.0 / 3, 1.0 / 3 };
    struct placement_figures *f = malloc(sizeof *f);
    struct pr_pool *pool = NULL;
    assert_non_null(f);
    assert_ok(pr_pool_new(4, &pool, &err), &err);
    pr_buf_init(&b, 0);
    make(6, 2);
    for (uint32_t v = 0; v < VERTICES; v++)
        zone[v] = s.zone_of[s.partition[v]];
    assert_ok(placement_figures(&s.graph, zone, ZONES, even, NULL, f, &err), &err);
    assert_ok(placement_traffic(&s.graph, &s.store, s.partition, pool, &b, &err), &err);
    assert_near(recorded(&b), f->cross_share, 1e-6);
    pr_pool_free(pool);
    pr_buf_done(&b);
    free(f);
}

static void a_spread_shard_is_estimated(void **state)
{
    (void)state;
    struct pr_buf b;
    pr_buf_init(&b, 0);
    make(9, 3);
    assert_ok(placement_traffic(&s.graph, &s.store, s.partition, NULL, &b, &err), &err);
    const double today = counted();
    for (uint32_t p = 0; p < PARTITIONS / 9; p++) /* most of shard 0 */
        if (p % 3 != 0)
            s.zone_of_slot[s.slot[p]] = 1;
    assert_true(fabs(counted() - today) > 0.01);
    assert_near(recorded(&b), counted(), 0.02);
    pr_buf_done(&b);
}

static void many_shards_share_blocks_within_their_zone(void **state)
{
    (void)state;
    uint16_t zone[100], block[100];
    uint32_t used[PR_TRAFFIC_BLOCKS] = { 0 };
    for (uint16_t g = 0; g < 100; g++)
        zone[g] = g % ZONES;
    assert_int_equal(placement_blocks(zone, PR_TRAFFIC_BLOCKS, ZONES, block), PR_TRAFFIC_BLOCKS);
    assert_int_equal(block[PR_TRAFFIC_BLOCKS - 1], PR_TRAFFIC_BLOCKS - 1);
    const uint32_t blocks = placement_blocks(zone, PR_TRAFFIC_BLOCKS + 1, ZONES, block);
    assert_int_equal(blocks, 63);
    for (uint32_t g = 0; g < PR_TRAFFIC_BLOCKS + 1; g++) {
        assert_int_equal(block[g] / 21, zone[g]);
        used[block[g]]++;
    }
    for (uint32_t i = 0; i < blocks; i++)
        assert_in_range(used[i], 1, 2);
    /* As many zones as blocks: a block each. */
    for (uint16_t g = 0; g < 100; g++)
        zone[g] = g % PR_TRAFFIC_BLOCKS;
    assert_int_equal(placement_blocks(zone, 100, PR_TRAFFIC_BLOCKS, block), PR_TRAFFIC_BLOCKS);
    assert_int_equal(block[99], 99 % PR_TRAFFIC_BLOCKS);

    /* Whole zones are exact then, too. */
    struct pr_buf b;
    pr_buf_init(&b, 0);
    make(PARTITIONS, 4);
    assert_ok(placement_traffic(&s.graph, &s.store, s.partition, NULL, &b, &err), &err);
    assert_near(recorded(&b), counted(), 1e-6);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        s.zone_of_slot[s.slot[p]] = (int16_t)((s.zone_of[p] + 1) / 2);
    assert_near(recorded(&b), counted(), 1e-6);
    pr_buf_done(&b);
}

/* --- by hand ------------------------------------------------------------------------ */

static void add(struct pr_buf *b, uint16_t slot, uint16_t block, double self, double first,
                double second)
{
    const struct pr_traffic_row row = {
        .slot = slot, .block = block, .self = self, .to = { first, second }
    };
    pr_traffic_add(b, &row, 2);
}

static void few_slots(void **state)
{
    (void)state;
    struct pr_buf b;
    int16_t *zone = s.zone_of_slot;
    pr_buf_init(&b, 0);
    pr_traffic_begin(&b, 2);
    assert_near(recorded(&b), 0, 0); /* no traffic at all */
    /* Slots 1 and 2 exchange 6, 1 and 9 exchange 4; 1 has 10 inside. */
    add(&b, 1, 0, 10, 6, 4);
    add(&b, 2, 0, 0, 6, 0);
    add(&b, 9, 1, 0, 4, 0);
    zone[1] = zone[2] = zone[9] = 0;
    assert_near(recorded(&b), 0, 0);
    zone[9] = 1;
    assert_near(recorded(&b), 8.0 / 30, 1e-9);
    zone[1] = 1; /* leaves 2, joins 9: what it talks is told from its own row */
    zone[2] = 0;
    const double want = (6 + 6 + 4 * 6.0 / 16) / 30; /* 9 knows its partner by block only */
    assert_near(recorded(&b), want, 1e-9);
    zone[1] = zone[2] = 0;
    zone[9] = -1; /* nobody serves it */
    assert_near(recorded(&b), 8.0 / 30, 1e-9);
    zone[1] = zone[2] = -1;
    assert_near(recorded(&b), 20.0 / 30, 1e-9); /* a vertex reaches itself */
    pr_buf_done(&b);
}

static int open(void **state)
{
    (void)state;
    pr_arena_init(&arena, 0);
    return 0;
}

static int done(void **state)
{
    (void)state;
    placement_graph_done(&s.graph);
    pr_arena_done(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_shards_that_change_zones_are_told_exactly),
        cmocka_unit_test(the_run_s_own_figures_agree),
        cmocka_unit_test(a_spread_shard_is_estimated),
        cmocka_unit_test(many_shards_share_blocks_within_their_zone),
        cmocka_unit_test(few_slots),
    };
    return cmocka_run_group_tests(tests, open, done);
}
