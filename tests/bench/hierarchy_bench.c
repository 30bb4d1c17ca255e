/* placement-bench-hierarchy [threads [partitions [edges each]]]: how long it takes to
 * place the graph of 64,000 partitions (20 M edges between them) in a tree of
 * zones, placement groups and nodes, afresh and warm, and to number them. */
#include "engine/hierarchy.h"
#include "engine/number.h"
#include "prism/rng.h"
#include "prism/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* Two placement groups a zone, 27 nodes a group: 162 shards. */
enum { ZONES = 3, GROUPS = 6, EACH = 27, NODES = GROUPS * EACH };

struct bench {
    struct placement_graph graph;
    uint16_t *home, *slot, *leaf, *today;
    uint16_t group_of[NODES], zone_of_group[GROUPS], zone_of[NODES];
    uint64_t capacity[NODES];
    struct placement_tree tree;
    struct placement_hierarchy_input in;
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *take(size_t bytes)
{
    void *p = calloc(1, bytes + 8);
    if (p == NULL) {
        fputs("out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return p;
}

static void must(enum pr_code rc, const struct pr_err *err)
{
    if (rc == PR_OK)
        return;
    fprintf(stderr, "%s\n", err->text);
    exit(EXIT_FAILURE);
}

/* --- a graph of partitions that were made for nodes ------------------------- */

static uint32_t pick_peer(const struct bench *b, struct pr_rng *rng, uint32_t p)
{
    static const uint32_t span[] = { 1, 1, 1, EACH, EACH, 2 * EACH, 2 * EACH, NODES, NODES, NODES };
    const uint32_t s = span[pr_rng_below(rng, 10)], n = b->graph.n;
    const uint32_t node = b->home[p] / s * s + (uint32_t)pr_rng_below(rng, s);
    const uint32_t rows = (n - node - 1) / NODES + 1; /* home of p is p mod NODES */
    return node + NODES * (uint32_t)pr_rng_below(rng, rows);
}

static int ascending(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t edge_weight(uint32_t a, uint32_t b)
{
    const uint64_t lo = a < b ? a : b, hi = a < b ? b : a;
    return 1 + (uint32_t)(pr_mix64(lo << 32 | hi) % 100);
}

static void finish_rows(struct placement_graph *g)
{
    uint64_t out = 0;
    for (uint32_t v = 0; v < g->n; v++) {
        const uint64_t begin = g->start[v], end = g->start[v + 1];
        qsort(g->to + begin, end - begin, sizeof *g->to, ascending);
        g->start[v] = out;
        for (uint64_t i = begin; i < end; i++)
            if (g->to[i] != v && (out == g->start[v] || g->to[out - 1] != g->to[i]))
                g->to[out++] = g->to[i];
        g->degree_max =
            out - g->start[v] > g->degree_max ? (uint32_t)(out - g->start[v]) : g->degree_max;
    }
    g->start[g->n] = g->arcs = out;
    g->weight = take(out * sizeof *g->weight);
    for (uint32_t v = 0; v < g->n; v++) {
        for (uint64_t i = g->start[v]; i < g->start[v + 1]; i++) {
            g->weight[i] = edge_weight(v, g->to[i]);
            g->weight_sum += g->weight[i];
        }
    }
    g->weight_max = 100;
    g->weight_sum /= 2;
}

static void make_graph(struct bench *b, uint32_t n, uint32_t each)
{
    struct placement_graph *g = &b->graph;
    struct pr_rng rng;
    g->n = n;
    g->vertex_weight = take(n * sizeof *g->vertex_weight);
    g->start = take(((size_t)n + 2) * sizeof *g->start);
    g->to = take(2 * (size_t)n * each * sizeof *g->to);
    uint32_t *peer = take((size_t)n * each * sizeof *peer);
    pr_rng_init(&rng, 1);
    for (uint32_t p = 0; p < n; p++) {
        b->home[p] = (uint16_t)(p % NODES);
        g->vertex_weight[p] = 90 + pr_rng_below(&rng, 21);
        g->vertex_weight_sum += g->vertex_weight[p];
    }
    for (uint32_t p = 0; p < n; p++) {
        for (uint32_t i = 0; i < each; i++) {
            const uint32_t q = pick_peer(b, &rng, p);
            peer[(size_t)p * each + i] = q;
            g->start[p + 2]++;
            g->start[q + 2]++;
        }
    }
    for (uint32_t v = 0; v < n; v++)
        g->start[v + 2] += g->start[v + 1];
    for (uint32_t p = 0; p < n; p++) {
        for (uint32_t i = 0; i < each; i++) {
            const uint32_t q = peer[(size_t)p * each + i];
            g->to[g->start[p + 1]++] = q;
            g->to[g->start[q + 1]++] = p;
        }
    }
    free(peer);
    finish_rows(g);
}

static void make_tree(struct bench *b)
{
    for (uint32_t i = 0; i < NODES; i++) {
        b->group_of[i] = (uint16_t)(i / EACH);
        b->zone_of[i] = (uint16_t)(i / EACH / 2);
        b->capacity[i] = b->graph.vertex_weight_sum * 110 / 100 / NODES;
    }
    for (uint32_t i = 0; i < GROUPS; i++)
        b->zone_of_group[i] = (uint16_t)(i / 2);
    b->tree = (struct placement_tree){ .levels = 3,
                                       .sites = { ZONES, GROUPS, NODES },
                                       .parent = { NULL, b->zone_of_group, b->group_of },
                                       .capacity = b->capacity };
}

/* --- measuring ------------------------------------------------------------ */

static void solve(struct bench *b, const char *what)
{
    struct placement_hierarchy_result out;
    struct pr_err err;
    struct rusage use;
    const double at = now_s(), sum = (double)b->graph.weight_sum;
    must(placement_hierarchy_solve(&b->in, b->leaf, &out, &err), &err);
    const double seconds = now_s() - at;
    getrusage(RUSAGE_SELF, &use);
    printf("%-28s %6.2f s, units %5u, cut %.4f %.4f %.4f, moved %llu %llu %llu, peak %ld MiB%s\n",
           what, seconds, out.units, (double)out.level[0].cut / sum, (double)out.level[1].cut / sum,
           (double)out.level[2].cut / sum, (unsigned long long)out.level[0].moved,
           (unsigned long long)out.level[1].moved, (unsigned long long)out.level[2].moved,
           use.ru_maxrss / 1024, out.flat ? ", flat" : "");
    fflush(stdout);
    for (int l = 0; l < 3; l++)
        b->in.reference_ratio[l] = (double)out.level[l].cut / sum;
}

/* Today, but one partition in a hundred exchanged its node with another. */
static void disturb(struct bench *b)
{
    struct pr_rng rng;
    pr_rng_init(&rng, 2);
    memcpy(b->today, b->leaf, b->graph.n * sizeof *b->today);
    for (uint32_t i = 0; i < b->graph.n / 200; i++) {
        const uint32_t p = (uint32_t)pr_rng_below(&rng, b->graph.n);
        const uint32_t q = (uint32_t)pr_rng_below(&rng, b->graph.n);
        const uint16_t t = b->today[p];
        b->today[p] = b->today[q];
        b->today[q] = t;
    }
}

/* Also takes the slots that come of it, and where they are, for the solves after. */
static void number(struct bench *b)
{
    const uint32_t n = b->graph.n;
    struct placement_number_result out;
    struct pr_err err;
    uint16_t *leaf_of_slot = take(2 * PLACEMENT_SLOTS * sizeof *leaf_of_slot);
    uint16_t *zone = take(n * sizeof *zone);
    uint32_t *numbers = take(n * sizeof *numbers);
    for (uint32_t s = 0; s < PLACEMENT_SLOTS; s++)
        leaf_of_slot[s] = (uint16_t)(s * NODES / PLACEMENT_SLOTS);
    for (uint32_t p = 0; p < n; p++)
        zone[p] = b->zone_of[b->leaf[p]];
    const struct placement_number_input in = { .partitions = n,
                                               .slot = b->slot,
                                               .leaf_of_slot = leaf_of_slot,
                                               .leaves = NODES,
                                               .zones = ZONES,
                                               .zone_of_leaf = b->zone_of,
                                               .weight = b->graph.vertex_weight,
                                               .zone = zone,
                                               .leaf = b->leaf,
                                               .ties = &b->graph };
    const double at = now_s();
    must(placement_number(&in, numbers, leaf_of_slot + PLACEMENT_SLOTS, &out, &err), &err);
    printf("%-28s %6.2f s, slots moved %u, blocks in the node they wished %u of %u, misplaced %u\n",
           "numbers", now_s() - at, out.slots_moved, out.in_wished_leaf, n, out.misplaced);
    uint16_t *slot = take(n * sizeof *slot);
    for (uint32_t p = 0; p < n; p++) {
        slot[p] = b->slot[numbers[p]];
        b->today[p] = leaf_of_slot[PLACEMENT_SLOTS + slot[p]];
    }
    free(b->slot);
    b->slot = slot;
    free(leaf_of_slot);
    free(zone);
    free(numbers);
}

int main(int argc, char **argv)
{
    const unsigned threads = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    const uint32_t n = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 64000;
    const uint32_t each = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 330;
    struct bench b = { .home = take(n * sizeof *b.home),
                       .slot = take(n * sizeof *b.slot),
                       .leaf = take(n * sizeof *b.leaf),
                       .today = take(n * sizeof *b.today) };
    struct pr_err err;
    if (n < NODES || n > PLACEMENT_MAX_BLOCKS || each == 0) {
        fprintf(stderr, "usage: %s [threads [partitions [edges each]]]\n", argv[0]);
        return EXIT_FAILURE;
    }
    for (uint32_t p = 0; p < n; p++)
        b.slot[p] = pr_partition_slot(p);
    make_graph(&b, n, each);
    make_tree(&b);
    b.in = (struct placement_hierarchy_input){ .graph = &b.graph,
                                               .tree = &b.tree,
                                               .moves = UINT64_MAX,
                                               .lost_ratio = 0.02,
                                               .seed = 1,
                                               .seeds = 1 };
    must(pr_pool_new(threads, &b.in.pool, &err), &err);
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("%u partitions, %llu edges, %d nodes, %u threads; graph made, peak %ld MiB\n", n,
           (unsigned long long)b.graph.arcs / 2, NODES, threads, use.ru_maxrss / 1024);
    solve(&b, "partitions, fresh");
    disturb(&b);
    b.in.today = b.today;
    solve(&b, "partitions, warm, 1 % astray");
    number(&b);
    b.in.slot = b.slot;
    b.in.price = 1;
    solve(&b, "slots, warm");
    memcpy(b.today, b.leaf, n * sizeof *b.today);
    solve(&b, "slots, warm, unchanged");
    b.in.fresh = true;
    solve(&b, "slots, fresh, named");
    pr_pool_free(b.in.pool);
    placement_graph_done(&b.graph);
    free(b.home);
    free(b.slot);
    free(b.leaf);
    free(b.today);
    return EXIT_SUCCESS;
}
