/* Whatever the graph, the zones and the way that is taken: every zone ends within its
 * capacity, every vertex in a partition of its zone, and the target routes say
 * so. PRISM_SEED picks another sequence. */
#include "t.h"

#include "core/build.h"
#include "core/run.h"
#include "prism/rng.h"
#include "prism/routes.h"
#include "prism/slot.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct placement_graph random_graph(struct pr_rng *rng)
{
    const uint64_t n = 2 + pr_rng_below(rng, 400), spread = 1 + pr_rng_below(rng, 1u << 20);
    struct pr_zipf hubs;
    struct graph_edges edges = { .n = 1 + pr_rng_below(rng, 4 * n) };
    struct placement_graph g;
    pr_zipf_init(&hubs, n, 0.6 + pr_rng_unit(rng));
    edges.edge = calloc(edges.n, sizeof *edges.edge);
    assert_non_null(edges.edge);
    for (size_t i = 0; i < edges.n; i++)
        edges.edge[i] =
            (struct graph_edge){ pr_rng_below(rng, n) * spread, pr_zipf_next(&hubs, rng) * spread,
                                 (uint32_t)(1 + pr_rng_below(rng, 100)) };
    assert_int_equal(placement_graph_build(&edges, &g, NULL), PR_OK);
    free(edges.edge);
    return g;
}

/* 1..8 zones with capacities that may be 0, tiny or huge; each with capacity
 * has at least one partition. */
static struct placement_store random_store(struct pr_rng *rng)
{
    struct placement_store s = { .zones = (uint32_t)(1 + pr_rng_below(rng, 8)) };
    for (uint32_t z = 0; z < s.zones; z++) {
        s.zone[z].id[0] = (char)('a' + z);
        s.zone[z].capacity_ratio =
            pr_rng_below(rng, 4) == 0 ? 0 : pow(10, 4 * pr_rng_unit(rng) - 2);
    }
    s.partitions = s.zones + (uint32_t)pr_rng_below(rng, 60);
    s.zone_of = calloc(s.partitions, sizeof *s.zone_of);
    assert_non_null(s.zone_of);
    for (uint32_t p = 0; p < s.partitions; p++)
        s.zone_of[p] = (uint16_t)(p < s.zones ? p : pr_rng_below(rng, s.zones));
    return s;
}

/* Some vertices are away from home already. */
static void random_today(struct pr_rng *rng, const struct placement_graph *g,
                         struct placement_today *t)
{
    struct pr_buf b;
    size_t bytes;
    pr_buf_init(&b, 0);
    for (uint32_t v = 0; v < g->n; v++)
        if (pr_rng_below(rng, 3) == 0)
            pr_routes_add(&b, placement_vertex_hash(placement_id(g, v)),
                          (uint32_t)pr_rng_below(rng, t->partitions));
    if (b.len > 0) {
        assert_int_equal(pr_routes_sort(b.data, b.len, &bytes), PR_OK);
        const struct placement_blob blob = { b.data, bytes };
        assert_int_equal(placement_today_delta(t, 1, blob, NULL), PR_OK);
    }
    pr_buf_done(&b);
}

static uint64_t cut_of(const struct placement_graph *g, const uint16_t *zone)
{
    uint64_t twice = 0;
    for (uint32_t v = 0; v < g->n; v++) {
        const struct placement_row row = placement_row(g, v, NULL);
        for (uint32_t i = 0; i < row.n; i++)
            twice += zone[row.to[i]] != zone[v] ? placement_arc_weight(&row, i) : 0;
    }
    return twice / 2;
}

static void check_result(const struct placement_input *in, const struct placement_result *r)
{
    const struct placement_graph *g = in->graph;
    uint64_t size[PLACEMENT_MAX_ZONES] = { 0 };
    double sum = 0;
    for (uint32_t z = 0; z < in->store->zones; z++)
        sum += in->store->zone[z].capacity_ratio;
    for (uint32_t v = 0; v < g->n; v++) {
        const uint64_t hash = placement_vertex_hash(placement_id(g, v));
        const uint32_t home = pr_home_partition(hash, in->store->partitions);
        uint32_t target = home;
        size[r->zone[v]]++;
        (void)pr_routes_find(r->targets.blob.data + r->targets.start[home],
                             r->targets.start[home + 1] - r->targets.start[home], hash, &target);
        assert_int_equal(target, r->partition[v]);
        assert_int_equal(in->store->zone_of[target], r->zone[v]);
    }
    for (uint32_t z = 0; z < in->store->zones; z++) {
        /* At most imbalance above the share, or the share itself rounded up. */
        const double even = in->store->zone[z].capacity_ratio / sum * g->n;
        const double most = fmax(floor(even * (1 + in->params.imbalance) + 1e-6), ceil(even));
        if ((double)size[z] > most)
            fail_msg("zone %u holds %" PRIu64 ", at most %g", z, size[z], most);
    }
    assert_int_equal(cut_of(g, r->zone), r->after.cut);
}

static unsigned zones_with_capacity(const struct placement_store *s)
{
    unsigned n = 0;
    for (uint32_t z = 0; z < s->zones; z++)
        n += s->zone[z].capacity_ratio > 0;
    return n;
}

static void every_zone_stays_within_its_capacity(void **state)
{
    (void)state;
    const char *wish = getenv("PRISM_SEED");
    const uint64_t seed = wish != NULL ? strtoull(wish, NULL, 10) : 20261121;
    struct pr_rng rng;
    unsigned placed = 0;
    print_message("seed %" PRIu64 "\n", seed);
    pr_rng_init(&rng, seed);
    for (unsigned round = 0; round < 600; round++) {
        struct placement_graph g = random_graph(&rng);
        struct placement_store s = random_store(&rng);
        struct placement_today today;
        struct placement_result r;
        struct pr_err err;
        assert_int_equal(placement_today_init(&today, s.partitions, NULL), PR_OK);
        random_today(&rng, &g, &today);
        const struct placement_input in = {
            .graph = &g,
            .store = &s,
            .today = &today,
            .params = { .seed = round,
                        .seeds = (uint32_t)(1 + pr_rng_below(&rng, 3)),
                        .imbalance = 0.03 + 0.02 * pr_rng_unit(&rng),
                        .mode = (enum placement_mode)pr_rng_below(&rng, 3),
                        .keep_ratio = 0.02,
                        .move_price = pr_rng_below(&rng, 2) == 0 ? 0 : 10 * pr_rng_unit(&rng),
                        .lost_ratio = 0.1,
                        .reference_ratio = pr_rng_below(&rng, 2) == 0 ? -1 : pr_rng_unit(&rng),
                        .move_cap =
                            pr_rng_below(&rng, 2) == 0 ? UINT64_MAX : pr_rng_below(&rng, 50) },
        };
        const unsigned zones = zones_with_capacity(&s);
        const enum pr_code rc = placement_compute(&in, &r, &err);
        if (zones == 0 || zones > g.n) {
            assert_int_equal(rc, PR_EINVAL);
        } else {
            if (rc != PR_OK)
                fail_msg("round %u: %s", round, err.text);
            check_result(&in, &r);
            placement_result_done(&r);
            placed++;
        }
        placement_today_done(&today);
        placement_store_done(&s);
        placement_graph_done(&g);
    }
    assert_true(placed > 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_zone_stays_within_its_capacity) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
