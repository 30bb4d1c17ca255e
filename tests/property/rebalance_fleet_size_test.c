/* The largest fleet that we promise: 1000 nodes, 16,384 slots, 64,000
 * partitions, planned in 5 s on one core. It takes a hundredth of that, so the
 * bound holds on a busy machine; the time is printed. argv[1] sets the seed. */
#include "t.h"

#include "rebalance_fleet.h"

#include "prism/rng.h"
#include "prism/slot.h"

#include <stdlib.h>
#include <time.h>

enum { SHARDS = 333, PARTITIONS = 64000, NODES = 30, BOUND_MS = 5000 };

static uint64_t seed = 20261121;

/* Partitions of Zipf sizes and rates, on slots by the key's hash tag. */
static struct rf *large_fleet(void)
{
    struct rf *r = calloc(1, sizeof *r);
    struct pr_rng g;
    assert_non_null(r);
    pr_rng_init(&g, seed);
    rf_make(r, 3, SHARDS, 2, 0);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        struct rebalance_slot_facts *s = &r->slot[pr_partition_slot(p)];
        s->bytes += 20e6 * (0.5 + pr_rng_unit(&g));
        s->keys += 20000;
        s->ops_per_s += 40 * pr_rng_unit(&g) * pr_rng_unit(&g);
    }
    return r;
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void plan_in_time(struct rf *r, enum rebalance_goal_kind kind, const int16_t *node, size_t n,
                         const int16_t *group)
{
    const struct rebalance_goal goal = {
        .kind = kind, .node = node, .n = n, .group_of_slot = group, .groups = SHARDS
    };
    struct rebalance_fleet_plan p;
    struct pr_arena arena;
    struct pr_err err;
    pr_arena_init(&arena, 0);
    const double t0 = cpu_ms();
    assert_ok(rebalance_fleet_plan(&r->f, &goal, NULL, &arena, &p, &err), &err);
    const double ms = cpu_ms() - t0;
    print_message(
        "%s: %.0f ms, %u slots, %.1f GB (bound %.1f, heat %.1f), %d waves, uneven %.3f -> "
        "%.3f, hot %.3f -> %.3f\n",
        rebalance_goal_name(kind), ms, p.slots, p.bytes / 1e9, p.bound_bytes / 1e9,
        p.heat_bytes / 1e9, p.waves, p.uneven_before, p.uneven_after, p.hot_before, p.hot_after);
    assert_true(ms < BOUND_MS);
    assert_true(p.slots > 0);
    assert_true(p.bytes - p.heat_bytes <= 1.05 * p.bound_bytes);
    pr_arena_done(&arena);
}

static void balance_of_a_large_fleet(void **state)
{
    (void)state;
    struct rf *r = large_fleet();
    plan_in_time(r, REBALANCE_BALANCE, NULL, 0, NULL);
    free(r);
}

static void thirty_nodes_join_a_large_fleet(void **state)
{
    (void)state;
    struct rf *r = large_fleet();
    int16_t node[NODES];
    for (int i = 0; i < NODES; i++)
        node[i] = rf_add_node(r, i % 3);
    plan_in_time(r, REBALANCE_JOIN, node, NODES, NULL);
    free(r);
}

static void thirty_nodes_leave_a_large_fleet(void **state)
{
    (void)state;
    struct rf *r = large_fleet();
    int16_t node[NODES];
    for (int i = 0; i < NODES; i++)
        node[i] = (int16_t)i; /* ten whole shards */
    plan_in_time(r, REBALANCE_DRAIN, node, NODES, NULL);
    free(r);
}

/* As much as can be wrong: one zone, everything on ten shards, Zipf rates. */
static void nearly_every_slot_moves(void **state)
{
    (void)state;
    struct rf *r = large_fleet();
    struct pr_rng g;
    struct pr_zipf zipf;
    pr_rng_init(&g, seed);
    pr_zipf_init(&zipf, REBALANCE_SLOTS, 0.8);
    for (size_t n = 0; n < r->f.nodes; n++)
        r->node[n].zone = 0;
    for (size_t i = 0; i < r->f.shards; i++)
        r->shard[i].home_zone = 0;
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        r->slot[s].shard = (int16_t)(s % 10);
    for (int i = 0; i < 1000000; i++)
        r->slot[pr_zipf_next(&zipf, &g) - 1].ops_per_s += 1;
    plan_in_time(r, REBALANCE_BALANCE, NULL, 0, NULL);
    free(r);
}

static void groups_for_every_shard(void **state)
{
    (void)state;
    struct rf *r = large_fleet();
    int16_t *group = calloc(REBALANCE_SLOTS, sizeof *group);
    assert_non_null(group);
    for (int s = 0; s < REBALANCE_SLOTS; s++) /* shifted by a third of a run */
        group[s] = (int16_t)((s + 16) % REBALANCE_SLOTS * SHARDS / REBALANCE_SLOTS);
    plan_in_time(r, REBALANCE_ASSIGN, NULL, 0, group);
    free(group);
    free(r);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(balance_of_a_large_fleet),
        cmocka_unit_test(thirty_nodes_join_a_large_fleet),
        cmocka_unit_test(thirty_nodes_leave_a_large_fleet),
        cmocka_unit_test(nearly_every_slot_moves),
        cmocka_unit_test(groups_for_every_shard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
