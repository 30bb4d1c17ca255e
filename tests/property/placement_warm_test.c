/* Whatever graph, blocks, capacities, fixed vertices and price: the warm start
 * ends within capacity, never worse than it began, says what it did, and gives
 * the same whatever the threads, the coding or the names of blocks. PRISM_SEED
 * picks another sequence. */
#include "t.h"

#include "core/code.h"
#include "engine/warm.h"
#include "placement_csr.h"
#include "prism/rng.h"

#include <inttypes.h>

#define FREE PLACEMENT_FREE

enum { MOST_N = 400, MOST_BLOCKS = 12, THREADS = 4 };

static struct pr_pool *pool[THREADS + 1]; /* [i] of i threads */

struct sample {
    struct placement_graph g;
    uint16_t today[MOST_N + 1], fixed[MOST_N + 1];
    uint64_t capacity[MOST_BLOCKS];
    struct placement_warm_input in;
    bool roomy; /* surely fits: every capacity has room for the heaviest more than its share */
};

static size_t random_edges(struct pr_rng *rng, uint32_t n, bool weighted, struct csr_edge *edge,
                           size_t m)
{
    for (size_t i = 0; i < m; i++) {
        const uint64_t from = pr_rng_below(rng, n);
        const uint64_t to = pr_rng_below(rng, 3) == 0
                                ? pr_rng_below(rng, n)
                                : (from + pr_rng_below(rng, 12)) % n; /* mostly near by */
        edge[i] = (struct csr_edge){ (uint32_t)from, (uint32_t)to,
                                     weighted ? (uint32_t)(1 + pr_rng_below(rng, 9)) : 1 };
        if (pr_rng_below(rng, 8) == 0)
            edge[i].from = 0; /* a hub */
    }
    return m;
}

/* Unweighted graphs have no duplicates, which would weigh 2. */
static struct placement_graph random_graph(struct pr_rng *rng, bool weighted)
{
    static struct csr_edge edge[4 * MOST_N];
    const uint32_t n = MOST_BLOCKS + (uint32_t)pr_rng_below(rng, MOST_N - MOST_BLOCKS);
    const size_t m = pr_rng_below(rng, 6) == 0 ? 0 : pr_rng_below(rng, 4 * n);
    struct placement_graph g = csr_make(n, edge, random_edges(rng, n, weighted, edge, m));
    if (!weighted && g.weight != NULL) {
        free(g.weight);
        g.weight = NULL;
        g.weight_max = 1;
        g.weight_sum = g.arcs / 2;
    }
    return g;
}

static void random_vertex_weights(struct pr_rng *rng, struct placement_graph *g)
{
    g->vertex_weight = malloc(g->n * sizeof *g->vertex_weight);
    assert_non_null(g->vertex_weight);
    g->vertex_weight_sum = 0;
    for (uint32_t v = 0; v < g->n; v++) {
        g->vertex_weight[v] =
            pr_rng_below(rng, 10) == 0 ? pr_rng_below(rng, 100) : pr_rng_below(rng, 5);
        g->vertex_weight_sum += g->vertex_weight[v];
    }
}

static uint64_t heaviest(const struct placement_graph *g)
{
    uint64_t most = 0;
    for (uint32_t v = 0; v < g->n; v++)
        if (placement_vertex_weight(g, v) > most)
            most = placement_vertex_weight(g, v);
    return most;
}

/* Today holds the first vertices in blocks 0, 1, ..: none is empty, so none
 * takes its place in an order from its name. */
static void random_today(struct pr_rng *rng, struct sample *s)
{
    const uint32_t k = s->in.blocks, n = s->g.n;
    const bool fixes = pr_rng_below(rng, 2) == 0, news = pr_rng_below(rng, 2) == 0;
    for (uint32_t v = 0; v < n; v++) {
        s->today[v] = (uint16_t)(v < k                       ? v
                                 : pr_rng_below(rng, 4) == 0 ? pr_rng_below(rng, k)
                                                             : (uint64_t)v * k / n);
        if (news && v >= k && pr_rng_below(rng, 8) == 0)
            s->today[v] = FREE;
        s->fixed[v] = fixes && pr_rng_below(rng, 10) == 0 ? (uint16_t)pr_rng_below(rng, k) : FREE;
    }
    if (fixes)
        s->in.fixed = s->fixed;
}

static void random_capacity(struct pr_rng *rng, struct sample *s)
{
    uint64_t held[MOST_BLOCKS] = { 0 };
    const uint32_t k = s->in.blocks;
    const uint64_t share = s->g.vertex_weight_sum / k + 1;
    s->roomy = pr_rng_below(rng, 4) != 0;
    for (uint32_t v = 0; v < s->g.n; v++)
        if (s->in.fixed != NULL && s->fixed[v] != FREE)
            held[s->fixed[v]] += placement_vertex_weight(&s->g, v);
    for (uint32_t b = 0; b < k; b++) {
        s->capacity[b] = s->roomy ? share + heaviest(&s->g) + pr_rng_below(rng, share)
                                  : share / 2 + pr_rng_below(rng, share);
        if (s->roomy && s->capacity[b] < held[b])
            s->capacity[b] = held[b];
    }
    if (!s->roomy && pr_rng_below(rng, 4) == 0)
        s->capacity[pr_rng_below(rng, k)] = 0;
}

static struct sample *random_sample(struct pr_rng *rng)
{
    struct sample *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->g = random_graph(rng, pr_rng_below(rng, 2) == 0);
    if (pr_rng_below(rng, 2) == 0)
        random_vertex_weights(rng, &s->g);
    s->in = (struct placement_warm_input){
        .graph = &s->g,
        .blocks = (uint32_t)(1 + pr_rng_below(rng, MOST_BLOCKS)),
        .capacity = s->capacity,
        .today = s->today,
        .price = pr_rng_below(rng, 2) == 0 ? 0 : 3 * pr_rng_unit(rng),
        .moves = pr_rng_below(rng, 3) == 0 ? pr_rng_below(rng, 10) : UINT64_MAX,
    };
    random_today(rng, s);
    random_capacity(rng, s);
    return s;
}

static void sample_free(struct sample *s)
{
    placement_graph_done(&s->g);
    free(s);
}

static uint64_t cut_of(const struct placement_graph *g, const uint16_t *block)
{
    uint64_t twice = 0;
    for (uint32_t v = 0; v < g->n; v++)
        for (uint64_t a = g->start[v]; a < g->start[v + 1]; a++)
            if (block[g->to[a]] != block[v])
                twice += g->weight == NULL ? 1 : g->weight[a];
    return twice / 2;
}

static void check_blocks(const struct sample *s, const uint16_t *block)
{
    uint64_t load[MOST_BLOCKS] = { 0 };
    for (uint32_t v = 0; v < s->g.n; v++) {
        assert_in_range(block[v], 0, s->in.blocks - 1);
        load[block[v]] += placement_vertex_weight(&s->g, v);
        if (s->in.fixed != NULL && s->fixed[v] != FREE)
            assert_int_equal(block[v], s->fixed[v]);
        else
            assert_true(s->capacity[block[v]] > 0);
    }
    for (uint32_t b = 0; b < s->in.blocks; b++)
        assert_true(load[b] <= s->capacity[b]);
}

/* Nobody has to move: all are placed, where they are fixed, within capacity. */
static bool legal_today(const struct sample *s)
{
    uint64_t load[MOST_BLOCKS] = { 0 };
    for (uint32_t v = 0; v < s->g.n; v++) {
        const uint16_t today = s->today[v];
        if (today == FREE || s->capacity[today] == 0 ||
            (s->in.fixed != NULL && s->fixed[v] != FREE && s->fixed[v] != today))
            return false;
        load[today] += placement_vertex_weight(&s->g, v);
        if (load[today] > s->capacity[today])
            return false;
    }
    return true;
}

static void check_figures(const struct sample *s, const uint16_t *block,
                          const struct placement_warm_result *r)
{
    uint64_t fresh = 0, away = 0;
    double paid = 0;
    for (uint32_t v = 0; v < s->g.n; v++) {
        fresh += s->today[v] == FREE;
        if (s->today[v] == FREE || block[v] == s->today[v])
            continue;
        away++;
        paid += s->in.price * (double)placement_vertex_weight(&s->g, v);
    }
    assert_int_equal(r->cut, cut_of(&s->g, block));
    assert_int_equal(r->placed, fresh);
    assert_int_equal(r->moved + r->forced, away);
    assert_true(r->moved <= s->in.moves);
    assert_false(r->capped && s->in.moves >= s->g.n);
    if (fresh == 0)
        assert_int_equal(r->cut_before, cut_of(&s->g, s->today));
    if (legal_today(s)) {
        assert_int_equal(r->forced, 0);
        if (r->moved > 0)
            assert_true((double)r->cut + paid < (double)r->cut_before);
        else
            assert_int_equal(r->cut, r->cut_before);
    }
}

static void same(const struct placement_warm_input *in, enum pr_code want_rc, const uint16_t *want,
                 const struct placement_warm_result *want_r)
{
    uint16_t block[MOST_N];
    struct placement_warm_result r;
    assert_int_equal(placement_warm(in, block, &r, NULL), want_rc);
    if (want_rc != PR_OK)
        return;
    assert_memory_equal(block, want, in->graph->n * sizeof *block);
    assert_int_equal(r.cut, want_r->cut);
    assert_int_equal(r.cut_before, want_r->cut_before);
    assert_int_equal(r.moved, want_r->moved);
    assert_int_equal(r.forced, want_r->forced);
    assert_int_equal(r.capped, want_r->capped);
}

static void every_result_is_legal_and_no_worse(void **state)
{
    struct pr_rng rng;
    unsigned placed = 0, refused = 0, legal = 0;
    pr_rng_init(&rng, *(uint64_t *)*state);
    for (unsigned round = 0; round < T_ROUNDS(1500); round++) {
        struct sample *s = random_sample(&rng);
        uint16_t block[MOST_N];
        struct placement_warm_result r;
        struct pr_err err;
        const enum pr_code rc = placement_warm(&s->in, block, &r, &err);
        if (rc == PR_OK) {
            check_blocks(s, block);
            check_figures(s, block, &r);
            placed++;
            legal += legal_today(s);
        } else {
            if (rc != PR_EFULL || (s->roomy && s->in.fixed == NULL))
                fail_msg("round %u: %s", round, err.text);
            refused++;
        }
        sample_free(s);
    }
    print_message("%u placed, %u of them legal before, %u refused\n", placed, legal, refused);
    assert_true(placed > 1000 / T_SLOWER && legal > 200 / T_SLOWER);
}

/* As many moves as there are numbers for are as good as a few less. */
static void no_limit_is_like_a_limit_out_of_reach(void **state)
{
    struct pr_rng rng;
    unsigned moved = 0;
    pr_rng_init(&rng, *(uint64_t *)*state + 6);
    for (unsigned round = 0; round < T_ROUNDS(500); round++) {
        struct sample *s = random_sample(&rng);
        uint16_t block[MOST_N];
        struct placement_warm_result r;
        s->in.moves = UINT64_MAX;
        const enum pr_code rc = placement_warm(&s->in, block, &r, NULL);
        moved += rc == PR_OK && r.moved > 0;
        s->in.moves = UINT64_MAX - 1;
        same(&s->in, rc, block, &r);
        s->in.moves = 2 * (uint64_t)s->g.n;
        same(&s->in, rc, block, &r);
        sample_free(s);
    }
    assert_true(moved > 250 / T_SLOWER);
}

static void threads_and_coding_change_nothing(void **state)
{
    struct pr_rng rng;
    unsigned placed = 0, codable = 0;
    pr_rng_init(&rng, *(uint64_t *)*state + 1);
    for (unsigned round = 0; round < T_ROUNDS(200); round++) {
        struct sample *s = random_sample(&rng);
        uint16_t block[MOST_N];
        struct placement_warm_result r;
        const enum pr_code rc = placement_warm(&s->in, block, &r, NULL);
        placed += rc == PR_OK && r.cut < r.cut_before;
        struct placement_graph coded = { 0 };
        if (s->g.weight == NULL) {
            coded = csr_copy(&s->g);
            assert_int_equal(placement_graph_code(&coded, NULL, NULL), PR_OK);
            codable += rc == PR_OK && coded.coded != NULL;
        }
        for (unsigned t = 1; t <= THREADS; t++) {
            struct placement_warm_input in = s->in;
            in.pool = pool[t];
            same(&in, rc, block, &r);
            in.graph = &coded;
            if (s->g.weight == NULL)
                same(&in, rc, block, &r);
        }
        placement_graph_done(&coded);
        sample_free(s);
    }
    assert_true(placed > 65 / T_SLOWER && codable > 50 / T_SLOWER);
}

/* More chunks than threads, so that workers do meet. */
static void threads_change_nothing_on_a_larger_graph(void **state)
{
    enum { N = 20000, M = 60000, K = 5 };
    struct pr_rng rng;
    struct csr_edge *edge = malloc(M * sizeof *edge);
    uint16_t *today = malloc(N * sizeof *today), *block = malloc(2 * N * sizeof *block);
    uint64_t capacity[K];
    struct placement_warm_result r[2];
    assert_true(edge != NULL && today != NULL && block != NULL);
    pr_rng_init(&rng, *(uint64_t *)*state + 2);
    struct placement_graph g = csr_make(N, edge, random_edges(&rng, N, false, edge, M));
    for (uint32_t v = 0; v < N; v++)
        today[v] =
            (uint16_t)(pr_rng_below(&rng, 10) == 0 ? pr_rng_below(&rng, K) : (uint64_t)v * K / N);
    for (unsigned b = 0; b < K; b++)
        capacity[b] = N / K + N / K / 30;
    struct placement_warm_input in = {
        .graph = &g, .blocks = K, .capacity = capacity, .today = today, .moves = UINT64_MAX
    };
    assert_int_equal(placement_warm(&in, block, &r[0], NULL), PR_OK);
    assert_true(r[0].moved > 100 && r[0].cut < r[0].cut_before && !r[0].capped);
    assert_int_equal(r[0].cut, cut_of(&g, block));
    for (unsigned t = 2; t <= THREADS; t++) {
        in.pool = pool[t];
        assert_int_equal(placement_warm(&in, block + N, &r[1], NULL), PR_OK);
        assert_memory_equal(block, block + N, N * sizeof *block);
        assert_int_equal(r[0].cut, r[1].cut);
    }
    placement_graph_done(&g);
    free(edge);
    free(today);
    free(block);
}

static void renamed_blocks_give_the_renamed_result(void **state)
{
    struct pr_rng rng;
    unsigned placed = 0;
    pr_rng_init(&rng, *(uint64_t *)*state + 3);
    for (unsigned round = 0; round < T_ROUNDS(300); round++) {
        struct sample *s = random_sample(&rng);
        const uint32_t k = s->in.blocks;
        uint16_t block[MOST_N], name[MOST_BLOCKS], today[MOST_N], fixed[MOST_N];
        uint64_t capacity[MOST_BLOCKS];
        struct placement_warm_result r;
        const enum pr_code rc = placement_warm(&s->in, block, &r, NULL);
        placed += rc == PR_OK && r.cut < r.cut_before;
        for (uint16_t b = 0; b < k; b++) {
            const uint64_t at = pr_rng_below(&rng, b + 1u);
            name[b] = name[at];
            name[at] = b;
        }
        for (uint32_t b = 0; b < k; b++)
            capacity[name[b]] = s->capacity[b];
        for (uint32_t v = 0; v < s->g.n; v++) {
            today[v] = s->today[v] == FREE ? FREE : name[s->today[v]];
            fixed[v] = s->fixed[v] == FREE ? FREE : name[s->fixed[v]];
            if (rc == PR_OK)
                block[v] = name[block[v]];
        }
        struct placement_warm_input in = s->in;
        in.capacity = capacity;
        in.today = today;
        in.fixed = in.fixed == NULL ? NULL : fixed;
        same(&in, rc, block, &r);
        sample_free(s);
    }
    assert_true(placed > 100 / T_SLOWER);
}

/* Where nothing was left to gain, the ends of new edges start most of what pays;
 * who makes room for them is known to a look at all only. */
static void a_list_of_changes_saves_most_of_it(void **state)
{
    struct pr_rng rng;
    uint64_t saved_by_all = 0, saved_by_list = 0;
    pr_rng_init(&rng, *(uint64_t *)*state + 4);
    for (unsigned round = 0; round < 300; round++) {
        enum { N = 200, M = 500, NEW = 20, K = 4 };
        struct csr_edge edge[M + NEW];
        const uint64_t capacity[K] = { N / 3, N / 3, N / 3, N / 3 };
        uint16_t today[N], block[N];
        uint32_t changed[2 * NEW];
        struct placement_warm_result r;
        random_edges(&rng, N, true, edge, M + NEW);
        struct placement_graph old = csr_make(N, edge, M), g = csr_make(N, edge, M + NEW);
        struct placement_warm_input in = {
            .graph = &old, .blocks = K, .capacity = capacity, .today = today, .moves = UINT64_MAX
        };
        for (uint32_t v = 0; v < N; v++)
            today[v] = (uint16_t)(v * K / N);
        do {
            assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
            memcpy(today, block, sizeof today);
        } while (r.moved > 0);

        for (unsigned i = 0; i < NEW; i++) {
            changed[2 * i] = edge[M + i].from;
            changed[2 * i + 1] = edge[M + i].to;
        }
        in.graph = &g;
        assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
        assert_true(r.cut <= r.cut_before && !r.capped);
        saved_by_all += r.cut_before - r.cut;
        in.changed = changed;
        in.n_changed = 2 * NEW;
        assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
        assert_int_equal(r.cut, cut_of(&g, block));
        assert_true(r.cut <= r.cut_before && !r.capped);
        saved_by_list += r.cut_before - r.cut;
        const uint64_t cut_today = cut_of(&g, today);
        in.cut_today = &cut_today;
        same(&in, PR_OK, block, &r);
        placement_graph_done(&old);
        placement_graph_done(&g);
    }
    print_message("saved by a look at all %" PRIu64 ", by a list of changes %" PRIu64 "\n",
                  saved_by_all, saved_by_list);
    assert_true(saved_by_list > 0 && saved_by_list * 2 >= saved_by_all);
}

/* The caller's count of today's cut, without edges of new vertices, is enough. */
static void a_known_cut_is_carried_on(void **state)
{
    struct pr_rng rng;
    unsigned placed = 0, stirred = 0;
    pr_rng_init(&rng, *(uint64_t *)*state + 5);
    for (unsigned round = 0; round < T_ROUNDS(300); round++) {
        struct sample *s = random_sample(&rng);
        uint16_t block[MOST_N];
        uint64_t twice = 0;
        struct placement_warm_result r;
        for (uint32_t v = 0; v < s->g.n; v++)
            for (uint64_t a = s->g.start[v]; a < s->g.start[v + 1]; a++) {
                const uint16_t x = s->today[v], y = s->today[s->g.to[a]];
                if (x != y && x != FREE && y != FREE)
                    twice += s->g.weight == NULL ? 1 : s->g.weight[a];
            }
        const uint64_t cut = twice / 2;
        const uint32_t none = 0;
        s->in.changed = &none;
        s->in.cut_today = &cut;
        const enum pr_code rc = placement_warm(&s->in, block, &r, NULL);
        assert_true(rc == PR_OK || rc == PR_EFULL);
        if (rc == PR_OK) {
            check_blocks(s, block);
            check_figures(s, block, &r);
            placed++;
            stirred += r.placed + r.forced > 0;
        }
        sample_free(s);
    }
    assert_true(placed > 200 / T_SLOWER && stirred > 100 / T_SLOWER);
}

static int open_pools(void **state)
{
    static uint64_t seed;
    const char *wish = getenv("PRISM_SEED");
    seed = wish != NULL ? strtoull(wish, NULL, 10) : 20261121;
    print_message("seed %" PRIu64 "\n", seed);
    *state = &seed;
    for (unsigned t = 1; t <= THREADS; t++)
        assert_int_equal(pr_pool_new(t, &pool[t], NULL), PR_OK);
    return 0;
}

static int close_pools(void **state)
{
    (void)state;
    for (unsigned t = 1; t <= THREADS; t++)
        pr_pool_free(pool[t]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_result_is_legal_and_no_worse),
        cmocka_unit_test(no_limit_is_like_a_limit_out_of_reach),
        cmocka_unit_test(threads_and_coding_change_nothing),
        cmocka_unit_test(threads_change_nothing_on_a_larger_graph),
        cmocka_unit_test(renamed_blocks_give_the_renamed_result),
        cmocka_unit_test(a_list_of_changes_saves_most_of_it),
        cmocka_unit_test(a_known_cut_is_carried_on),
    };
    return cmocka_run_group_tests(tests, open_pools, close_pools);
}
