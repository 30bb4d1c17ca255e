/* Flows are of least cost and full size; unnamed groups lose as few bytes as
 * any permutation would. The seed is printed; argv[1] sets it. */
#include "t.h"

#include "rebalance_fleet.h"

#include "core/fleet/flow.h"

#include "prism/rng.h"

#include <stdlib.h>

enum { NETS = 400, MAX_NODES = 14, MAX_ARCS = 60, FLEETS = 60 };

static uint64_t seed = 20261121;

/* --- flow: judged by its residual network ----------------------------------------- */

static size_t random_net(struct pr_rng *g, int nodes, struct flow_arc *arc)
{
    const size_t arcs = 1 + pr_rng_below(g, MAX_ARCS - 1);
    for (size_t k = 0; k < arcs; k++)
        arc[k] = (struct flow_arc){ (int)pr_rng_below(g, (uint64_t)nodes),
                                    (int)pr_rng_below(g, (uint64_t)nodes),
                                    (int64_t)pr_rng_below(g, 20), (int64_t)pr_rng_below(g, 50), 7 };
    return arcs;
}

static void assert_conserved(int nodes, const struct flow_arc *arc, size_t arcs, int64_t sent)
{
    int64_t net[MAX_NODES] = { 0 };
    for (size_t k = 0; k < arcs; k++) {
        assert_true(arc[k].flow >= 0 && arc[k].flow <= arc[k].cap);
        net[arc[k].from] -= arc[k].flow;
        net[arc[k].to] += arc[k].flow;
    }
    assert_true(net[0] == -sent && net[nodes - 1] == sent);
    for (int v = 1; v < nodes - 1; v++)
        assert_true(net[v] == 0);
}

/* Shortest ways of the residual network between all nodes: a way from source
 * to sink means that more fits, a negative way home that it can be cheaper. */
static void assert_optimal(int nodes, const struct flow_arc *arc, size_t arcs)
{
    const int64_t far = INT64_MAX / 4;
    int64_t way[MAX_NODES][MAX_NODES];
    for (int a = 0; a < nodes; a++)
        for (int b = 0; b < nodes; b++)
            way[a][b] = a == b ? 0 : far;
    for (size_t k = 0; k < arcs; k++) {
        const int a = arc[k].from, b = arc[k].to;
        if (arc[k].flow < arc[k].cap && arc[k].cost < way[a][b])
            way[a][b] = arc[k].cost;
        if (arc[k].flow > 0 && -arc[k].cost < way[b][a])
            way[b][a] = -arc[k].cost;
    }
    for (int m = 0; m < nodes; m++)
        for (int a = 0; a < nodes; a++)
            for (int b = 0; b < nodes; b++)
                if (way[a][m] < far && way[m][b] < far && way[a][m] + way[m][b] < way[a][b])
                    way[a][b] = way[a][m] + way[m][b];
    assert_true(way[0][nodes - 1] == far);
    for (int a = 0; a < nodes; a++)
        assert_true(way[a][a] == 0);
}

static void flows_are_full_and_of_least_cost(void **state)
{
    (void)state;
    struct pr_rng g;
    pr_rng_init(&g, seed);
    for (int i = 0; i < NETS; i++) {
        struct flow_arc arc[MAX_ARCS];
        struct pr_arena arena;
        struct pr_err err;
        int64_t sent;
        const int nodes = 2 + (int)pr_rng_below(&g, MAX_NODES - 1);
        const size_t arcs = random_net(&g, nodes, arc);
        pr_arena_init(&arena, 0);
        assert_ok(flow_solve(nodes, arc, arcs, &arena, &sent, &err), &err);
        assert_conserved(nodes, arc, arcs, sent);
        assert_optimal(nodes, arc, arcs);
        pr_arena_done(&arena);
    }
}

/* --- unnamed groups: judged by all permutations -------------------------------------- */

static double lost(const struct rf *r, const int16_t *group, const int *shard_of_group)
{
    double bytes = 0;
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        if (shard_of_group[group[s]] != r->slot[s].shard)
            bytes += r->slot[s].bytes;
    return bytes;
}

static double least_lost(const struct rf *r, const int16_t *group, int *shard, int n, int at)
{
    if (at == n)
        return lost(r, group, shard);
    double best = 1e300;
    for (int k = at; k < n; k++) {
        const int a = shard[at], b = shard[k];
        shard[at] = b;
        shard[k] = a;
        const double bytes = least_lost(r, group, shard, n, at + 1);
        best = bytes < best ? bytes : best;
        shard[at] = a;
        shard[k] = b;
    }
    return best;
}

static void groups_keep_as_many_bytes_as_can_be(void **state)
{
    (void)state;
    struct pr_rng g;
    struct rf *r = calloc(1, sizeof *r);
    int16_t *group = calloc(REBALANCE_SLOTS, sizeof *group);
    assert_true(r != NULL && group != NULL);
    pr_rng_init(&g, seed);
    for (int i = 0; i < FLEETS; i++) {
        int shard[5] = { 0, 1, 2, 3, 4 };
        struct rebalance_fleet_plan p;
        struct pr_arena arena;
        struct pr_err err;
        const int n = 1 + (int)pr_rng_below(&g, 5);
        const struct rebalance_goal goal = { .kind = REBALANCE_ASSIGN,
                                             .group_of_slot = group,
                                             .groups = (size_t)n };
        rf_make(r, 1, n, 0, 0);
        for (int s = 0; s < REBALANCE_SLOTS; s++) {
            r->slot[s].bytes = 1e6 * (double)pr_rng_below(&g, 9);
            r->slot[s].shard = (int16_t)pr_rng_below(&g, (uint64_t)n);
            group[s] = (int16_t)((r->slot[s].shard + 3 * (pr_rng_below(&g, 4) == 0)) % n);
        }
        pr_arena_init(&arena, 0);
        assert_ok(rebalance_fleet_plan(&r->f, &goal, NULL, &arena, &p, &err), &err);
        const double least = least_lost(r, group, shard, n, 0);
        assert_true(p.bytes <= least * (1 + 1e-3) && p.bytes >= least);
        assert_true(p.bound_bytes <= least && p.bound_bytes >= least * (1 - 1e-2));
        pr_arena_done(&arena);
    }
    free(group);
    free(r);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flows_are_full_and_of_least_cost),
        cmocka_unit_test(groups_keep_as_many_bytes_as_can_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
