#include "engine/metis_engine.h"

#include <metis.h>
#include <stdbool.h>
#include <stdlib.h>

_Static_assert(sizeof(idx_t) == sizeof(uint32_t), "METIS built with 64-bit numbers: "
                                                  "give it arrays of its own type");

static enum pr_code check(const struct placement_engine_input *in, struct pr_err *err)
{
    const struct placement_graph *g = in->graph;
    if (g->n == 0)
        return pr_fail(err, PR_EINVAL, "empty graph");
    if (in->blocks == 0 || in->blocks > g->n)
        return pr_fail(err, PR_EINVAL, "%u blocks of %u vertices", in->blocks, g->n);
    if (in->fixed != NULL)
        return pr_fail(err, PR_EINVAL, "METIS cannot keep vertices fixed");
    if (g->n >= INT32_MAX || g->arcs > INT32_MAX)
        return pr_fail(err, PR_EFULL, "%u vertices and %llu arcs: METIS's 32-bit numbers end at %d",
                       g->n, (unsigned long long)g->arcs, INT32_MAX);
    if (g->weight_sum > INT32_MAX / 2)
        return pr_fail(err, PR_EFULL,
                       "edge weights sum to %llu: METIS's 32-bit numbers allow %d; scale the "
                       "weights down",
                       (unsigned long long)g->weight_sum, INT32_MAX / 2);
    return PR_OK;
}

/* Below this many vertices for its smallest block METIS prints that it was asked
 * for too many parts, to standard output, and cuts badly. */
enum { LEAST_BLOCK = 4 };

static bool worth_cutting(const struct placement_engine_input *in)
{
    for (uint32_t b = 0; b < in->blocks; b++)
        if (in->share[b] * in->graph->n < LEAST_BLOCK)
            return false;
    return in->blocks > 1 && in->graph->arcs > 0;
}

/* Fills the blocks to their shares in vertex order; the caller refines. */
static void fill_by_share(const struct placement_engine_input *in, uint16_t *block)
{
    double end = in->share[0] * in->graph->n;
    uint16_t b = 0;
    for (uint32_t v = 0; v < in->graph->n; v++) {
        while (b + 1u < in->blocks && v >= end)
            end += in->share[++b] * in->graph->n;
        block[v] = b;
    }
}

static enum pr_code kway(const struct placement_engine_input *in, idx_t *xadj, idx_t *part,
                         real_t *share, struct pr_err *err)
{
    const struct placement_graph *g = in->graph;
    idx_t options[METIS_NOPTIONS], n = (idx_t)g->n, constraints = 1, k = (idx_t)in->blocks, cut;
    METIS_SetDefaultOptions(options);
    options[METIS_OPTION_SEED] = (idx_t)(in->seed & INT32_MAX);
    options[METIS_OPTION_UFACTOR] = (idx_t)(in->imbalance * 1000 + 0.5); /* thousandths */
    options[METIS_OPTION_NUMBERING] = 0;

    for (uint32_t b = 0; b < in->blocks; b++)
        share[b] = (real_t)in->share[b];
    for (uint32_t v = 0; v <= g->n; v++)
        xadj[v] = (idx_t)g->start[v];
    /* METIS reads to and weight as int32 (signed and unsigned may alias) and
     * changes neither; without weights it takes a faster path. */
    idx_t *weight = (idx_t *)g->weight;

    switch (METIS_PartGraphKway(&n, &constraints, xadj, (idx_t *)g->to, NULL, NULL, weight, &k,
                                share, NULL, options, &cut, part)) {
    case METIS_OK:
        return PR_OK;
    case METIS_ERROR_MEMORY:
        return pr_fail(err, PR_ENOMEM, "METIS ran out of memory on %u vertices, %llu arcs", g->n,
                       (unsigned long long)g->arcs);
    case METIS_ERROR_INPUT:
        return pr_fail(err, PR_EINTERNAL, "METIS refused its input (%u vertices, %u blocks)", g->n,
                       in->blocks);
    default:
        return pr_fail(err, PR_EINTERNAL, "METIS failed on %u vertices, %u blocks", g->n,
                       in->blocks);
    }
}

enum pr_code placement_metis(const struct placement_engine_input *in, uint16_t *block,
                             struct pr_err *err)
{
    const struct placement_graph *g = in->graph;
    enum pr_code rc = check(in, err);
    if (rc != PR_OK)
        return rc;
    if (!worth_cutting(in)) {
        fill_by_share(in, block);
        return PR_OK;
    }

    idx_t *xadj = malloc(((size_t)g->n + 1) * sizeof *xadj);
    idx_t *part = malloc(g->n * sizeof *part);
    real_t *share = malloc(in->blocks * sizeof *share);
    if (xadj == NULL || part == NULL || share == NULL)
        rc = pr_fail(err, PR_ENOMEM, "out of memory cutting %u vertices", g->n);
    else
        rc = kway(in, xadj, part, share, err);
    if (rc == PR_OK)
        for (uint32_t v = 0; v < g->n; v++)
            block[v] = (uint16_t)part[v];
    free(xadj);
    free(part);
    free(share);
    return rc;
}
