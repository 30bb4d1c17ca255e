#include "t.h"

#include "core/build.h"
#include "core/run.h"

#include "prism/routes.h"
#include "prism/slot.h"

#include <stdlib.h>
#include <string.h>

enum { PARTITIONS = 12, CLIQUES = 3, SIZE = 10, N = CLIQUES * SIZE };

struct fixture {
    struct placement_graph graph;
    struct placement_store store;
    struct placement_today today;
    struct pr_buf blob[PARTITIONS]; /* borrowed by today */
    unsigned phases;                /* go_on calls */
    unsigned stop_at;               /* 0: never */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct graph_edges edges = { .edge = calloc(CLIQUES * SIZE * SIZE, sizeof *edges.edge) };
    for (unsigned c = 0; c < CLIQUES; c++) {
        for (unsigned i = 0; i < SIZE; i++)
            for (unsigned j = i + 1; j < SIZE; j++)
                edges.edge[edges.n++] = (struct graph_edge){ c * SIZE + i, c * SIZE + j, 1 };
        edges.edge[edges.n++] = (struct graph_edge){ c * SIZE, (c + 1) % CLIQUES * SIZE + 1, 1 };
    }
    assert_int_equal(placement_graph_build(&edges, &f->graph, NULL), PR_OK);
    free(edges.edge);
    f->store = (struct placement_store){ .partitions = PARTITIONS,
                                         .zones = 3,
                                         .zone = { { "a", 1 }, { "b", 1 }, { "c", 1 } },
                                         .zone_of = malloc(PARTITIONS * sizeof(uint16_t)) };
    for (unsigned p = 0; p < PARTITIONS; p++)
        f->store.zone_of[p] = (uint16_t)(p % 3);
    assert_int_equal(placement_today_init(&f->today, PARTITIONS, NULL), PR_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (unsigned p = 0; p < PARTITIONS; p++)
        pr_buf_done(&f->blob[p]);
    placement_graph_done(&f->graph);
    placement_store_done(&f->store);
    placement_today_done(&f->today);
    free(f);
    return 0;
}

static bool go_on(void *ctx, enum placement_phase phase, double done)
{
    struct fixture *f = ctx;
    assert_in_range(phase, PLACEMENT_CUT, PLACEMENT_REPORT);
    assert_true(done >= 0 && done <= 1);
    return ++f->phases != f->stop_at;
}

static struct placement_input input_of(struct fixture *f)
{
    return (struct placement_input){
        .graph = &f->graph,
        .store = &f->store,
        .today = &f->today,
        .params = { .seed = 1,
                    .seeds = 3,
                    .imbalance = 0.05,
                    .keep_ratio = 0.02,
                    .lost_ratio = 0.1,
                    .reference_ratio = -1,
                    .move_cap = UINT64_MAX },
        .go_on = go_on,
        .ctx = f,
    };
}

/* Carries the targets out: today becomes what the result wants. */
static void carry_out(struct fixture *f, const struct placement_result *r)
{
    for (unsigned h = 0; h < PARTITIONS; h++) {
        pr_buf_reset(&f->blob[h]);
        pr_buf_add(&f->blob[h], r->targets.blob.data + r->targets.start[h],
                   r->targets.start[h + 1] - r->targets.start[h]);
        const struct placement_blob b = { f->blob[h].data, f->blob[h].len };
        assert_int_equal(placement_today_base(&f->today, h, b, NULL), PR_OK);
    }
}

static void cliques_end_in_one_zone_each(void **state)
{
    struct fixture *f = *state;
    const struct placement_input in = input_of(f);
    struct placement_result r;
    assert_int_equal(placement_compute(&in, &r, NULL), PR_OK);
    assert_int_equal(r.after.cut, 3);
    assert_true(r.before.cut > 60); /* by hash about two thirds of 138 */
    uint64_t moves = 0, loads = 0;
    for (uint32_t v = 0; v < N; v++) {
        const uint64_t hash = placement_vertex_hash(placement_id(&f->graph, v));
        assert_int_equal(f->store.zone_of[r.partition[v]], r.zone[v]);
        assert_int_equal(r.zone[v], r.zone[v / SIZE * SIZE]);
        moves += r.partition[v] != pr_home_partition(hash, PARTITIONS);
    }
    for (uint32_t p = 0; p < PARTITIONS; p++)
        loads += r.load[p];
    assert_int_equal(loads, N);
    assert_int_equal(r.moves, moves);
    assert_int_equal(r.zone_moves, moves); /* first run: nobody moves inside a zone */
    assert_int_equal(r.targets.blob.len, moves * PR_ROUTE_BYTES);
    placement_result_done(&r);
}

static void a_second_run_moves_nothing_whatever_its_seed(void **state)
{
    struct fixture *f = *state;
    struct placement_input in = input_of(f);
    struct placement_result r;
    assert_int_equal(placement_compute(&in, &r, NULL), PR_OK);
    assert_true(r.moves > 0);
    carry_out(f, &r);
    placement_result_done(&r);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        in.params.seed = seed;
        in.params.seeds = 1;
        assert_int_equal(placement_compute(&in, &r, NULL), PR_OK);
        assert_int_equal(r.moves, 0);
        placement_result_done(&r);
    }
}

/* Two vertices change places, and full zones (10 of 10) allow no single move:
 * whichever way the run takes, it brings these two back and moves nobody else. */
static void a_swap_is_undone_and_nothing_else_moves(void **state)
{
    struct fixture *f = *state;
    struct placement_input in = input_of(f);
    struct placement_result r;
    assert_int_equal(placement_compute(&in, &r, NULL), PR_OK);
    carry_out(f, &r);
    const uint32_t one = r.partition[0], other = r.partition[SIZE];
    placement_result_done(&r);
    struct pr_buf swap;
    pr_buf_init(&swap, 0);
    pr_routes_add(&swap, placement_vertex_hash(0), other);
    pr_routes_add(&swap, placement_vertex_hash(SIZE), one);
    assert_int_equal(pr_routes_sort(swap.data, swap.len, &swap.len), PR_OK);
    const struct placement_blob blob = { swap.data, swap.len };
    assert_int_equal(placement_today_delta(&f->today, 1, blob, NULL), PR_OK);
    pr_buf_done(&swap);
    in.params.seeds = 1;
    for (in.params.seed = 1; in.params.seed <= 3; in.params.seed++) {
        assert_int_equal(placement_compute(&in, &r, NULL), PR_OK);
        assert_int_equal(r.moves, 2);
        assert_int_equal(r.after.cut, 3);
        placement_result_done(&r);
    }
}

static void today_is_kept_when_a_new_cut_is_hardly_better(void **state)
{
    struct fixture *f = *state;
    struct placement_input in = input_of(f);
    struct placement_result r;
    assert_int_equal(placement_compute(&in, &r, NULL), PR_OK);
    assert_int_equal(r.after.cut, 3); /* the best there is, whichever way found it */
    carry_out(f, &r);
    placement_result_done(&r);
    in.params.mode = PLACEMENT_FULL;
    assert_int_equal(placement_compute(&in, &r, NULL), PR_OK);
    assert_int_equal(r.solved.mode, PLACEMENT_WARM);
    assert_string_equal(r.solved.why, "a new cut is hardly better");
    assert_int_equal(r.moves, 0);
    assert_true(r.solved.cut_full >= r.after.cut);
    placement_result_done(&r);
}

static void the_graph_is_cut_anew_only_when_locality_is_lost(void **state)
{
    struct fixture *f = *state;
    struct placement_input in = input_of(f);
    struct placement_result r;
    in.params.reference_ratio = 1; /* nothing can be that bad */
    assert_int_equal(placement_compute(&in, &r, NULL), PR_OK);
    assert_int_equal(r.solved.mode, PLACEMENT_WARM);
    assert_true(r.solved.cut_full == UINT64_MAX);
    placement_result_done(&r);
    in.params.reference_ratio = 0.001;
    assert_int_equal(placement_compute(&in, &r, NULL), PR_OK);
    assert_true(r.solved.cut_full != UINT64_MAX);
    placement_result_done(&r);
}

static void a_zone_of_no_capacity_is_emptied(void **state)
{
    struct fixture *f = *state;
    const struct placement_input in = input_of(f);
    struct placement_result r;
    f->store.zone[1].capacity_ratio = 0; /* b holds vertices today and may keep none */
    assert_int_equal(placement_compute(&in, &r, NULL), PR_OK);
    assert_int_equal(r.after.vertices[1], 0);
    assert_true(r.after.vertices[0] <= r.solved.capacity[0]);
    assert_true(r.after.vertices[2] <= r.solved.capacity[2]);
    assert_int_equal(r.solved.capacity[0], 15); /* 15.75 */
    placement_result_done(&r);
}

static void fixed_vertices_are_where_they_must_be(void **state)
{
    struct fixture *f = *state;
    struct placement_input in = input_of(f);
    struct placement_result r;
    uint16_t fixed[N];
    for (uint32_t v = 0; v < N; v++)
        fixed[v] = PLACEMENT_FREE;
    fixed[0] = 2;
    fixed[SIZE] = 0;
    in.fixed = fixed;
    for (in.params.mode = PLACEMENT_AUTO; in.params.mode <= PLACEMENT_FULL; in.params.mode++) {
        assert_int_equal(placement_compute(&in, &r, NULL), PR_OK);
        assert_int_equal(r.zone[0], 2);
        assert_int_equal(r.zone[SIZE], 0);
        placement_result_done(&r);
    }
}

/* Each clique of ten is cut into its zone's four partitions; a second run keeps them. */
static void partitions_by_locality_are_in_their_zones_and_stay(void **state)
{
    struct fixture *f = *state;
    struct placement_input in = input_of(f);
    struct placement_result r;
    uint32_t loads = 0;
    in.params.by_locality = true;
    assert_int_equal(placement_compute(&in, &r, NULL), PR_OK);
    assert_int_equal(r.after.cut, 3);
    for (uint32_t v = 0; v < N; v++)
        assert_int_equal(f->store.zone_of[r.partition[v]], r.zone[v]);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        assert_true(r.load[p] <= 3);
        loads += r.load[p];
    }
    assert_int_equal(loads, N);
    carry_out(f, &r);
    placement_result_done(&r);
    in.params.reference_ratio = 1;
    assert_int_equal(placement_compute(&in, &r, NULL), PR_OK);
    assert_int_equal(r.moves, 0);
    placement_result_done(&r);
}

static void measuring_says_what_today_is_worth_and_wants_nothing(void **state)
{
    struct fixture *f = *state;
    const struct placement_input in = input_of(f);
    struct placement_result r, cut;
    assert_int_equal(placement_measure(&in, &r, NULL), PR_OK);
    assert_int_equal(placement_compute(&in, &cut, NULL), PR_OK);
    assert_int_equal(r.before.cut, cut.before.cut);
    assert_int_equal(r.moves, 0);
    placement_result_done(&r);
    placement_result_done(&cut);
}

static void capacities_are_of_weight_when_only_measuring_too(void **state)
{
    struct fixture *f = *state;
    const struct placement_input in = input_of(f);
    struct placement_result r, cut;
    f->graph.vertex_weight = malloc(N * sizeof *f->graph.vertex_weight);
    assert_non_null(f->graph.vertex_weight);
    f->graph.vertex_weight_sum = 0;
    for (unsigned v = 0; v < N; v++)
        f->graph.vertex_weight_sum += f->graph.vertex_weight[v] = 7;
    assert_int_equal(placement_measure(&in, &r, NULL), PR_OK);
    assert_int_equal(placement_compute(&in, &cut, NULL), PR_OK);
    for (unsigned z = 0; z < 3; z++) {
        assert_int_equal(r.solved.capacity[z], 73); /* 70 and a twentieth */
        assert_int_equal(r.solved.capacity[z], cut.solved.capacity[z]);
    }
    placement_result_done(&r);
    placement_result_done(&cut);
}

static void equal_inputs_give_equal_results(void **state)
{
    struct fixture *f = *state;
    const struct placement_input in = input_of(f);
    struct placement_result a, b;
    assert_int_equal(placement_compute(&in, &a, NULL), PR_OK);
    assert_int_equal(placement_compute(&in, &b, NULL), PR_OK);
    assert_memory_equal(a.partition, b.partition, N * sizeof *a.partition);
    assert_int_equal(a.targets.blob.len, b.targets.blob.len);
    assert_memory_equal(a.targets.blob.data, b.targets.blob.data, a.targets.blob.len);
    placement_result_done(&a);
    placement_result_done(&b);
}

static void stops_at_any_phase_when_told(void **state)
{
    struct fixture *f = *state;
    const struct placement_input in = input_of(f);
    struct placement_result r;
    struct pr_err err;
    assert_int_equal(placement_compute(&in, &r, NULL), PR_OK);
    placement_result_done(&r);
    const unsigned phases = f->phases;
    assert_true(phases >= 3);
    for (unsigned i = 1; i <= phases; i++) {
        f->phases = 0;
        f->stop_at = i;
        assert_int_equal(placement_compute(&in, &r, &err), PR_ECANCELED);
    }
}

static void refusals_come_before_work(void **state)
{
    struct fixture *f = *state;
    struct placement_input in = input_of(f);
    struct placement_result r;
    struct pr_err err;
    in.params.seeds = 0;
    assert_int_equal(placement_compute(&in, &r, &err), PR_EINVAL);
    in.params.seeds = PLACEMENT_MAX_SEEDS + 1;
    assert_int_equal(placement_compute(&in, &r, &err), PR_EINVAL);
    in = input_of(f);
    in.params.imbalance = 0.5;
    assert_int_equal(placement_compute(&in, &r, &err), PR_EINVAL);
    assert_int_equal(f->phases, 0);
}

static void progress_only_grows(void **state)
{
    (void)state;
    double last = -1;
    for (unsigned p = 0; p < PLACEMENT_PHASES; p++)
        for (unsigned i = 0; i <= 4; i++) {
            const double at = placement_progress((enum placement_phase)p, i / 4.0);
            assert_true(at >= last - 1e-12 && at <= 1);
            last = at;
        }
    assert_true(last > 0.999);
    assert_string_equal(placement_phase_name(PLACEMENT_CUT), "cut");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cliques_end_in_one_zone_each),
        TEST(a_second_run_moves_nothing_whatever_its_seed),
        TEST(a_swap_is_undone_and_nothing_else_moves),
        TEST(today_is_kept_when_a_new_cut_is_hardly_better),
        TEST(the_graph_is_cut_anew_only_when_locality_is_lost),
        TEST(a_zone_of_no_capacity_is_emptied),
        TEST(fixed_vertices_are_where_they_must_be),
        TEST(partitions_by_locality_are_in_their_zones_and_stay),
        TEST(measuring_says_what_today_is_worth_and_wants_nothing),
        TEST(capacities_are_of_weight_when_only_measuring_too),
        TEST(equal_inputs_give_equal_results),
        TEST(stops_at_any_phase_when_told),
        TEST(refusals_come_before_work),
        TEST(progress_only_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
