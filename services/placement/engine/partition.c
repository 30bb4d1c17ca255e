#include "engine/partition.h"

#include "engine/multisection.h"
#include "engine/refine.h"
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

/* --- sums of any size ----------------------------------------------------- */

/* The levels add edge weights in 32 bits. Where all together do not fit, they
 * work on weights of as many leading bits as do. */
static enum pr_code scale_down(const struct placement_graph *g, struct placement_graph *out,
                               struct pr_err *err)
{
    unsigned shift = 0;
    *out = *g;
    if (g->weight_sum <= UINT32_MAX / 2)
        return PR_OK;
    if (g->weight == NULL)
        return PR_OK;
    /* Each weight is at least 1, whatever the shift. */
    while ((g->weight_sum >> shift) + g->arcs / 2 > UINT32_MAX / 2 && shift < 32)
        shift++;
    out->weight = malloc((g->arcs + 1) * sizeof *out->weight);
    if (out->weight == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for %llu edge weights", ull(g->arcs));
    uint64_t twice = 0;
    for (uint64_t a = 0; a < g->arcs; a++) {
        out->weight[a] = g->weight[a] >> shift == 0 ? 1 : g->weight[a] >> shift;
        twice += out->weight[a];
    }
    out->weight_sum = twice / 2;
    return PR_OK;
}

struct cutting {
    const struct placement_graph *g;
    const uint16_t *block;
    uint32_t **scratch; /* [threads] */
    uint64_t *twice;    /* [threads] */
};

static void cut_chunk(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct cutting *c = ctx;
    uint64_t twice = 0;
    for (uint64_t v = begin; v < end; v++) {
        const struct placement_row row = placement_row(c->g, (uint32_t)v, c->scratch[worker]);
        for (uint32_t i = 0; i < row.n; i++)
            if (c->block[row.to[i]] != c->block[v])
                twice += placement_arc_weight(&row, i);
    }
    c->twice[worker] += twice;
}

static enum pr_code count_cut(const struct placement_partition_input *in, const uint16_t *block,
                              uint64_t *cut, struct pr_err *err)
{
    const unsigned threads = pr_pool_threads(in->pool);
    struct cutting c = { .g = in->graph, .block = block };
    c.scratch = calloc(threads, sizeof *c.scratch);
    c.twice = calloc(threads, sizeof *c.twice);
    bool ok = c.scratch != NULL && c.twice != NULL;
    for (unsigned i = 0; i < threads && ok; i++) {
        c.scratch[i] = malloc(((size_t)in->graph->degree_max + 1) * sizeof **c.scratch);
        ok = c.scratch[i] != NULL;
    }
    if (ok)
        pr_pool_for(in->pool, in->graph->n, 16384, cut_chunk, &c);
    *cut = 0;
    for (unsigned i = 0; i < threads && ok; i++)
        *cut += c.twice[i];
    *cut /= 2;
    for (unsigned i = 0; c.scratch != NULL && i < threads; i++)
        free(c.scratch[i]);
    free(c.scratch);
    free(c.twice);
    return ok ? PR_OK : pr_fail(err, PR_ENOMEM, "out of memory measuring a cut");
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
    if (!placement_pack(&r, block))
        return pr_fail(err, PR_EFULL,
                       "no way was found to fit %u vertices of weight %llu into the %u blocks: "
                       "allow more imbalance",
                       in->graph->n, ull(in->graph->vertex_weight_sum), in->blocks);
    return placement_refine_level(&r, block, &cut, &balanced, err);
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
        rc = scale_down(in->graph, &scaled, err);
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
            rc = count_cut(in, trial, &cut, err);
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
    if (scaled.weight != in->graph->weight)
        free(scaled.weight);
    free(trial);
    free(kept);
    return rc;
}

/* Measured on web, social, road and synthetic graphs: 40 to 46 bytes a vertex
 * and up to half a byte an entry for coarser levels; rounded up to be on the
 * safe side. Blocks' counters and the 32-bit copy of huge weights come on top. */
uint64_t placement_partition_bytes(uint32_t n, uint64_t arcs, bool weighted, uint32_t blocks,
                                   unsigned threads)
{
    const uint64_t scaled = weighted ? 4 * arcs : 0;
    return (uint64_t)n * (48 + 6 * (uint64_t)threads) + 2 * arcs + scaled +
           (uint64_t)blocks * 512 * threads;
}
