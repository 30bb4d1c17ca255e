#include "engine/partition.h"

#include "engine/cut.h"
#include "engine/multisection.h"
#include "engine/refine.h"
#include "engine/scale.h"
#include "prism/rng.h"

#include <stdlib.h>
#include <string.h>

/* --- what is asked -------------------------------------------------------- */

static unsigned long long ull(uint64_t x)
{
    return x;
}

static enum pr_code check_fixed(const struct placement_partition_input *in, struct pr_err *err)
{
    uint64_t *held = calloc((size_t)in->blocks + 1, sizeof *held);
    enum pr_code rc = held == NULL ? pr_fail(err, PR_ENOMEM, "out of memory") : PR_OK;
    for (uint32_t v = 0; v < in->graph->n && rc == PR_OK; v++) {
        const uint16_t b = in->fixed[v];
        if (b == PLACEMENT_FREE)
            continue;
        if (b >= in->blocks)
            rc = pr_fail(err, PR_EINVAL, "vertex %llu is fixed to block %u of %u",
                         ull(placement_id(in->graph, v)), b, in->blocks);
        else
            held[b] += placement_vertex_weight(in->graph, v);
    }
    for (uint32_t b = 0; b < in->blocks && rc == PR_OK; b++)
        if (held[b] > in->capacity[b])
            rc = pr_fail(err, PR_EFULL,
                         "vertices of weight %llu are fixed to block %u, which "
                         "takes %llu",
                         ull(held[b]), b, ull(in->capacity[b]));
    free(held);
    return rc;
}

static enum pr_code check(const struct placement_partition_input *in, struct pr_err *err)
{
    const struct placement_graph *g = in->graph;
    uint64_t most = 0, room = 0;
    if (in->blocks == 0 || in->blocks > PLACEMENT_MAX_BLOCKS)
        return pr_fail(err, PR_EINVAL, "%u blocks, 1 to %d are supported", in->blocks,
                       PLACEMENT_MAX_BLOCKS);
    if (in->seeds == 0)
        return pr_fail(err, PR_EINVAL, "no seed to try");
    for (uint32_t b = 0; b < in->blocks; b++) {
        most = in->capacity[b] > most ? in->capacity[b] : most;
        room = room + in->capacity[b] < room ? UINT64_MAX : room + in->capacity[b];
    }
    if (room < g->vertex_weight_sum)
        return pr_fail(err, PR_EFULL, "the vertices weigh %llu, all blocks together take %llu",
                       ull(g->vertex_weight_sum), ull(room));
    for (uint32_t v = 0; v < g->n && g->vertex_weight != NULL; v++)
        if (g->vertex_weight[v] > most)
            return pr_fail(err, PR_EFULL, "vertex %llu weighs %llu, the largest block takes %llu",
                           ull(placement_id(g, v)), ull(g->vertex_weight[v]), ull(most));
    return in->fixed == NULL ? PR_OK : check_fixed(in, err);
}

/* --- tries ---------------------------------------------------------------- */

/* Weights too odd for single moves: pack, then improve what that left. */
static enum pr_code force(const struct placement_partition_input *in, uint16_t *block,
                          struct pr_err *err)
{
    const struct placement_refine_input r = { .graph = in->graph,
                                              .blocks = in->blocks,
                                              .capacity = in->capacity,
                                              .fixed = in->fixed,
                                              .stale = 4,
                                              .pool = in->pool,
                                              .watch = &in->watch,
                                              .done = 1 };
    uint64_t cut;
    bool balanced;
    enum pr_code rc = placement_pack(&r, block, err);
    /* Packed, it is the first state that refining notes, and stays the best. */
    return rc == PR_OK ? placement_refine_level(&r, block, &cut, &balanced, err) : rc;
}

static enum pr_code try_seed(const struct placement_partition_input *in, uint64_t seed,
                             uint16_t *block, struct pr_err *err)
{
    bool balanced;
    enum pr_code rc = placement_multisection(in, pr_mix64(seed), false, block, &balanced, err);
    return rc == PR_OK && !balanced ? force(in, block, err) : rc;
}

/* One try's part of the progress, which only grows. */
struct part {
    const struct placement_watch *watch;
    double from, to, most;
};

static bool part_go_on(void *ctx, double done)
{
    struct part *p = ctx;
    p->most = done > p->most ? done : p->most;
    return p->watch->go_on == NULL ||
           p->watch->go_on(p->watch->ctx, p->from + p->most * (p->to - p->from));
}

enum pr_code placement_partition(const struct placement_partition_input *in, uint16_t *block,
                                 struct placement_partition_result *out, struct pr_err *err)
{
    struct placement_graph scaled = { 0 };
    enum pr_code rc = check(in, err);
    if (rc == PR_OK)
        rc = placement_scaled(in->graph, &scaled, err);
    if (rc != PR_OK)
        return rc;

    struct placement_partition_input one = *in;
    struct placement_partition_result best = { .cut = UINT64_MAX };
    uint16_t *trial = malloc(((size_t)in->graph->n + 1) * sizeof *trial);
    uint16_t *kept = malloc(((size_t)in->graph->n + 1) * sizeof *kept);
    one.graph = &scaled;
    if (trial == NULL || kept == NULL)
        rc = pr_fail(err, PR_ENOMEM, "out of memory cutting %u vertices", in->graph->n);
    for (uint32_t i = 0; i < in->seeds && rc == PR_OK; i++) {
        struct part p = { &in->watch, (double)i / in->seeds, (i + 1.0) / in->seeds, 0 };
        uint64_t cut = 0;
        one.watch = (struct placement_watch){ part_go_on, &p };
        rc = try_seed(&one, in->seed + i, trial, err);
        if (rc == PR_OK)
            rc = placement_cut(in->graph, trial, in->pool, &one.watch, 1, &cut, err);
        if (rc == PR_OK && cut < best.cut) {
            uint16_t *swap = kept;
            best = (struct placement_partition_result){ cut, in->seed + i };
            kept = trial;
            trial = swap;
        }
    }
    if (rc == PR_OK) {
        memcpy(block, kept, in->graph->n * sizeof *block);
        *out = best;
    }
    placement_scaled_done(in->graph, &scaled);
    free(trial);
    free(kept);
    return rc;
}

/* Measured on web, social, road and synthetic graphs: 30 to 35 bytes a vertex
 * and up to half a byte an entry for coarser levels, rounded up; ties of every
 * vertex to every block (refine.c), blocks' counters and a copy of huge weights
 * come on top. */
uint64_t placement_partition_bytes(uint32_t n, uint64_t arcs, bool weighted, uint32_t blocks,
                                   unsigned threads)
{
    const uint64_t scaled = weighted ? 4 * arcs : 0, cells = (uint64_t)n * blocks;
    const uint64_t ties = blocks <= 4 || cells <= arcs ? 4 * cells : 7 * (uint64_t)n + arcs;
    return (uint64_t)n * (40 + 6 * (uint64_t)threads) + 2 * arcs + ties + scaled +
           (uint64_t)blocks * 512 * threads;
}
