/* However the warm start spends its time, it asks the watch now and then. Asks
 * are counted against the row entries that must be read. */
#include "t.h"

#include "engine/warm.h"
#include "placement_csr.h"

#define FREE PLACEMENT_FREE

enum {
    UNIT = 1 << 20, /* row entries between two asks */
    N = 1800,       /* vertices with edges to all others: some 3 units */
    PASS = 3        /* units in one pass over such a graph */
};

struct asks {
    unsigned all;
    unsigned early; /* before the search, which is half of it */
    unsigned most;  /* then stop; 0: never */
};

static bool count(void *ctx, double done)
{
    struct asks *a = ctx;
    a->all++;
    a->early += done <= 0.5;
    return a->most == 0 || a->all < a->most;
}

/* The first have edges to all of the second that are not they. */
static struct placement_graph dense(uint32_t first, uint32_t n, bool inside)
{
    struct placement_graph g = { .n = n, .vertex_weight_sum = n, .weight_max = 1 };
    g.start = malloc(((size_t)n + 1) * sizeof *g.start);
    g.to = malloc((size_t)n * n * sizeof *g.to);
    assert_true(g.start != NULL && g.to != NULL);
    g.start[0] = 0;
    for (uint32_t v = 0; v < n; v++) {
        for (uint32_t u = 0; u < n; u++)
            if (inside ? u != v : (u < first) != (v < first))
                g.to[g.arcs++] = u;
        g.start[v + 1] = g.arcs;
        if (g.arcs - g.start[v] > g.degree_max)
            g.degree_max = (uint32_t)(g.arcs - g.start[v]);
    }
    g.weight_sum = g.arcs / 2;
    return g;
}

/* Looked for a placed neighbour, placed (its row is read twice), counted. */
static void placing_asks(void **state)
{
    (void)state;
    static uint16_t today[N], block[N];
    const uint64_t capacity[] = { N }, cut_today = 0;
    const uint32_t none = 0;
    struct placement_graph g = dense(0, N, true);
    struct placement_warm_result r;
    struct asks plain = { 0 }, listed = { 0 };
    assert_true(g.arcs > PASS * UNIT);
    for (uint32_t v = 0; v < N; v++)
        today[v] = FREE;
    struct placement_warm_input in = {
        .graph = &g, .blocks = 1, .capacity = capacity, .today = today, .watch = { count, &plain }
    };
    assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
    assert_true(plain.early >= 2 + 4 * PASS); /* one at the start, one by the pass over edges */

    /* Counted twice instead, and the neighbours are queued. */
    in.watch.ctx = &listed;
    in.changed = &none;
    in.cut_today = &cut_today;
    assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
    assert_int_equal(r.cut, 0);
    assert_true(listed.early >= 1 + 6 * PASS);
    placement_graph_done(&g);
}

/* Block 0 is 1 too heavy, block 1 has room for 1, and all weigh 2. */
static void a_vain_relief_asks(void **state)
{
    (void)state;
    static uint16_t today[N], block[N];
    static uint64_t weight[N];
    const uint64_t capacity[] = { 2 * N - 1, 1 };
    struct placement_graph g = dense(0, N, true);
    struct placement_warm_result r;
    struct asks asks = { 0 };
    for (uint32_t v = 0; v < N; v++)
        weight[v] = 2;
    csr_weigh(&g, weight);
    const struct placement_warm_input in = {
        .graph = &g, .blocks = 2, .capacity = capacity, .today = today, .watch = { count, &asks }
    };
    assert_int_equal(placement_warm(&in, block, &r, NULL), PR_EFULL);
    assert_true(asks.all >= 2 + PASS);
    asks = (struct asks){ .most = 3 };
    assert_int_equal(placement_warm(&in, block, &r, NULL), PR_ECANCELED);
    assert_int_equal(asks.all, 3);
    placement_graph_done(&g);
}

/* Four heavy vertices that must be packed anew, each with edges to all others,
 * which weigh nothing. Both that are moved are read twice. */
static void a_new_packing_asks(void **state)
{
    (void)state;
    enum { HEAVY = 4, LEAVES = UNIT + 1000, ALL = HEAVY + LEAVES };
    static const uint64_t heavy[HEAVY] = { 5, 4, 3, 3 };
    const uint64_t capacity[] = { 8, 7 };
    uint64_t *weight = calloc(ALL, sizeof *weight);
    uint16_t *today = calloc(ALL, sizeof *today), *block = malloc(ALL * sizeof *block);
    struct placement_graph g = { .n = ALL,
                                 .arcs = 2ull * HEAVY * LEAVES,
                                 .weight_max = 1,
                                 .weight_sum = (uint64_t)HEAVY * LEAVES,
                                 .degree_max = LEAVES };
    struct placement_warm_result r;
    struct asks asks = { 0 };
    uint64_t arcs = 0;
    g.start = malloc((ALL + 1) * sizeof *g.start);
    g.to = malloc(g.arcs * sizeof *g.to);
    assert_true(weight != NULL && today != NULL && block != NULL && g.start != NULL &&
                g.to != NULL);
    g.start[0] = 0;
    for (uint32_t v = 0; v < ALL; v++) {
        const uint32_t from = v < HEAVY ? HEAVY : 0, to = v < HEAVY ? ALL : HEAVY;
        for (uint32_t u = from; u < to; u++)
            g.to[arcs++] = u;
        g.start[v + 1] = arcs;
    }
    memcpy(weight, heavy, sizeof heavy);
    csr_weigh(&g, weight);
    today[2] = today[3] = 1;
    const struct placement_warm_input in = {
        .graph = &g, .blocks = 2, .capacity = capacity, .today = today, .watch = { count, &asks }
    };
    assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
    assert_int_equal(r.forced, 2);
    /* At the start, by the pass over edges, twice for who cannot leave, then twice. */
    assert_true(asks.early >= 6);
    placement_graph_done(&g);
    free(weight);
    free(today);
    free(block);
}

/* The light ones want into the block of the heavy ones, which is full, and no
 * heavy one fits where a light one was. */
static void vain_exchanges_ask(void **state)
{
    (void)state;
    enum { LIGHT = 1024, HEAVY = 3200, ALL = LIGHT + HEAVY };
    static uint64_t weight[ALL];
    static uint16_t today[ALL], block[ALL];
    const uint64_t capacity[] = { LIGHT, 2 * HEAVY };
    struct placement_graph g = dense(LIGHT, ALL, false);
    struct placement_warm_result r;
    struct asks asks = { 0 };
    assert_true(g.arcs / 2 > PASS * UNIT);
    for (uint32_t v = 0; v < ALL; v++) {
        weight[v] = v < LIGHT ? 1 : 2;
        today[v] = v >= LIGHT;
    }
    csr_weigh(&g, weight);
    const struct placement_warm_input in = { .graph = &g,
                                             .blocks = 2,
                                             .capacity = capacity,
                                             .today = today,
                                             .price = 600, /* a heavy one has no wish */
                                             .moves = UINT64_MAX,
                                             .watch = { count, &asks } };
    assert_int_equal(placement_warm(&in, block, &r, NULL), PR_OK);
    assert_int_equal(r.moved, 0);
    /* Rows of the light ones: searched, wished, granted (twice each); of the heavy ones:
     * asked to make room. */
    assert_true(asks.all >= 2 + 5 * PASS);
    placement_graph_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(placing_asks),
        cmocka_unit_test(a_vain_relief_asks),
        cmocka_unit_test(a_new_packing_asks),
        cmocka_unit_test(vain_exchanges_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
