#include "placement_tasks.h"

#include "t.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pr_pool *pools[MOST_THREADS + 1];
uint64_t seed = 20260301;

static uint64_t most_weight(const struct placement_graph *g)
{
    uint64_t most = g->vertex_weight == NULL ? 1 : 0;
    for (uint32_t v = 0; v < g->n && g->vertex_weight != NULL; v++)
        most = g->vertex_weight[v] > most ? g->vertex_weight[v] : most;
    return most;
}

/* Capacities that the vertices fit into; equal, unequal, some 0, tight or with
 * some per cent of room. */
static void give_capacities(struct task *t, struct pr_rng *rng)
{
    const uint64_t weight = t->g.vertex_weight_sum, most = most_weight(&t->g);
    const bool equal = pr_rng_below(rng, 2) == 0;
    const double imbalance = pr_rng_below(rng, 3) == 0 ? 0 : 0.1 * pr_rng_unit(rng);
    double *share = calloc(t->blocks, sizeof *share), sum = 0;
    uint64_t room = 0;
    t->capacity = calloc(t->blocks, sizeof *t->capacity);
    assert_non_null(share);
    assert_non_null(t->capacity);
    for (uint32_t b = 0; b < t->blocks; b++) {
        share[b] = equal ? 1 : b > 0 && pr_rng_below(rng, 5) == 0 ? 0 : 0.05 + pr_rng_unit(rng);
        sum += share[b];
    }
    for (uint32_t b = 0; b < t->blocks; b++) {
        if (!(share[b] > 0))
            continue;
        const double even = share[b] / sum * (double)weight;
        t->capacity[b] = (uint64_t)(even * (1 + imbalance)) + 1 + (most > 1 ? most : 0);
        room += t->capacity[b];
    }
    /* With the heaviest vertex to spare in every block, any order fits. */
    t->must_fit = room >= weight + (most > 1 ? most * t->blocks : 0);
    free(share);
}

/* Few, and never more in a block than a tenth of what it takes. */
static void fix_some(struct task *t, struct pr_rng *rng)
{
    uint64_t *held = calloc(t->blocks, sizeof *held);
    t->fixed = malloc((t->g.n + 1) * sizeof *t->fixed);
    assert_non_null(held);
    assert_non_null(t->fixed);
    for (uint32_t v = 0; v < t->g.n; v++) {
        const uint32_t b = (uint32_t)pr_rng_below(rng, t->blocks);
        const uint64_t weight = placement_vertex_weight(&t->g, v);
        t->fixed[v] = PLACEMENT_FREE;
        if (pr_rng_below(rng, 8) != 0 || held[b] + weight > t->capacity[b] / 10)
            continue;
        held[b] += weight;
        t->fixed[v] = (uint16_t)b;
    }
    free(held);
}

static uint32_t random_blocks(struct pr_rng *rng, uint32_t n)
{
    switch (pr_rng_below(rng, 6)) {
    case 0:
        return 1 + (uint32_t)pr_rng_below(rng, 3);
    case 1:
        return n + (uint32_t)pr_rng_below(rng, 40); /* some stay empty */
    case 2:
        return 1 + n / (1 + (uint32_t)pr_rng_below(rng, 5));
    default:
        return 2 + (uint32_t)pr_rng_below(rng, 70);
    }
}

void random_task(struct task *t, struct pr_rng *rng, uint32_t most_vertices)
{
    static const uint32_t edge_weights[] = { 1, 1, 100, UINT32_MAX };
    static const uint64_t vertex_weights[] = { 1, 1, 9, (uint64_t)1 << 40 };
    *t = (struct task){ .seed = pr_rng_next(rng) };
    t->look.kind = (enum graph_kind)pr_rng_below(rng, KINDS);
    t->look.n = 1 + (uint32_t)pr_rng_below(rng, t->look.kind == KIND_CLIQUE ? 120 : most_vertices);
    t->look.edge_weight = edge_weights[pr_rng_below(rng, PR_COUNT(edge_weights))];
    t->look.vertex_weight = vertex_weights[pr_rng_below(rng, PR_COUNT(vertex_weights))];
    t->g = graph_of_look(&t->look, pr_rng_next(rng));
    t->blocks = random_blocks(rng, t->look.n);
    give_capacities(t, rng);
    if (pr_rng_below(rng, 3) == 0)
        fix_some(t, rng);
}

void task_done(struct task *t)
{
    placement_graph_done(&t->g);
    free(t->capacity);
    free(t->fixed);
}

const char *words(const struct task *t)
{
    static char text[200];
    snprintf(text, sizeof text,
             "PRISM_SEED=%" PRIu64 ": %s, n %u, edge weights to %u, vertex weights to %" PRIu64
             ", %u blocks, %s",
             seed, graph_kind_name[t->look.kind], t->look.n, t->look.edge_weight,
             t->look.vertex_weight, t->blocks, t->fixed == NULL ? "none fixed" : "some fixed");
    return text;
}

enum pr_code cut_task(const struct task *t, struct pr_pool *pool, uint32_t seeds, uint16_t *block,
                      struct placement_partition_result *r, struct pr_err *err)
{
    const struct placement_partition_input in = { .graph = &t->g,
                                                  .blocks = t->blocks,
                                                  .capacity = t->capacity,
                                                  .fixed = t->fixed,
                                                  .seed = t->seed,
                                                  .seeds = seeds,
                                                  .pool = pool };
    err->text[0] = '\0';
    return placement_partition(&in, block, r, err);
}

uint16_t *blocks_of(const struct task *t)
{
    uint16_t *block = malloc((t->g.n + 1) * sizeof *block);
    assert_non_null(block);
    memset(block, 0xee, (t->g.n + 1) * sizeof *block);
    return block;
}

uint64_t cut_by_hand(const struct placement_graph *g, const uint16_t *block)
{
    uint64_t cut = 0;
    for (uint32_t v = 0; v < g->n; v++)
        for (uint64_t a = g->start[v]; a < g->start[v + 1]; a++)
            if (g->to[a] > v && block[g->to[a]] != block[v])
                cut += g->weight == NULL ? 1 : g->weight[a];
    return cut;
}

void check_cut(const struct task *t, const uint16_t *block, uint64_t cut)
{
    uint64_t *load = calloc(t->blocks, sizeof *load);
    assert_non_null(load);
    for (uint32_t v = 0; v < t->g.n; v++) {
        if (block[v] >= t->blocks)
            fail_msg("%s: vertex %u in block %u", words(t), v, block[v]);
        load[block[v]] += placement_vertex_weight(&t->g, v);
        if (t->fixed != NULL && t->fixed[v] != PLACEMENT_FREE && t->fixed[v] != block[v])
            fail_msg("%s: vertex %u in block %u, fixed to %u", words(t), v, block[v], t->fixed[v]);
    }
    for (uint32_t b = 0; b < t->blocks; b++)
        if (load[b] > t->capacity[b])
            fail_msg("%s: block %u holds %" PRIu64 ", at most %" PRIu64, words(t), b, load[b],
                     t->capacity[b]);
    if (t->g.coded == NULL && cut_by_hand(&t->g, block) != cut)
        fail_msg("%s: cut %" PRIu64 ", said %" PRIu64, words(t), cut_by_hand(&t->g, block), cut);
    free(load);
}

bool cut_well(const struct task *t, uint16_t *block, struct placement_partition_result *r)
{
    struct pr_err err = { 0 };
    const enum pr_code rc = cut_task(t, pools[1], 1, block, r, &err);
    if (rc == PR_EFULL && !t->must_fit && err.text[0] != '\0')
        return false;
    if (rc != PR_OK)
        fail_msg("%s: %s (%s)", words(t), err.text, pr_code_name(rc));
    check_cut(t, block, r->cut);
    return true;
}

int tasks_set_up(void **state)
{
    (void)state;
    const char *wish = getenv("PRISM_SEED");
    seed = wish != NULL ? strtoull(wish, NULL, 10) : seed;
    print_message("PRISM_SEED=%" PRIu64 "\n", seed);
    for (unsigned t = 1; t <= MOST_THREADS; t++)
        if (pr_pool_new(t, &pools[t], NULL) != PR_OK)
            return -1;
    return 0;
}

int tasks_tear_down(void **state)
{
    (void)state;
    for (unsigned t = 1; t <= MOST_THREADS; t++)
        pr_pool_free(pools[t]);
    return 0;
}
