#include "score.h"

#include "prism/slot.h"

#include <stdlib.h>

static enum pr_code scratch_of(const struct placement_graph *g, uint32_t **out, struct pr_err *err)
{
    *out = malloc(((size_t)g->degree_max + 1) * sizeof **out);
    return *out == NULL ? pr_fail(err, PR_ENOMEM, "out of memory scoring") : PR_OK;
}

enum pr_code score_cut(const struct placement_graph *g, const uint16_t *block, uint64_t *cut,
                       struct pr_err *err)
{
    uint32_t *scratch;
    uint64_t twice = 0;
    if (scratch_of(g, &scratch, err) != PR_OK)
        return PR_ENOMEM;
    for (uint32_t v = 0; v < g->n; v++) {
        const struct placement_row row = placement_row(g, v, scratch);
        for (uint32_t i = 0; i < row.n; i++)
            if (block[row.to[i]] != block[v])
                twice += placement_arc_weight(&row, i);
    }
    free(scratch);
    *cut = twice / 2;
    return PR_OK;
}

/* inside[c]: twice the edge weight within c; strength[c]: of its vertices. */
static void sum_communities(const struct placement_graph *g, const uint32_t *label,
                            uint32_t *scratch, uint64_t *inside, uint64_t *strength)
{
    for (uint32_t v = 0; v < g->n; v++) {
        const struct placement_row row = placement_row(g, v, scratch);
        for (uint32_t i = 0; i < row.n; i++) {
            const uint64_t weight = placement_arc_weight(&row, i);
            strength[label[v]] += weight;
            if (label[row.to[i]] == label[v])
                inside[label[v]] += weight;
        }
    }
}

enum pr_code score_modularity(const struct placement_graph *g, const uint32_t *label,
                              double *modularity, uint64_t *communities, struct pr_err *err)
{
    uint32_t *scratch;
    if (scratch_of(g, &scratch, err) != PR_OK)
        return PR_ENOMEM;
    uint64_t *inside = calloc(g->n, sizeof *inside), *strength = calloc(g->n, sizeof *strength);
    uint8_t *used = calloc(g->n, 1);
    enum pr_code rc = PR_OK;
    if (inside == NULL || strength == NULL || used == NULL)
        rc = pr_fail(err, PR_ENOMEM, "out of memory scoring");
    for (uint32_t v = 0; v < g->n && rc == PR_OK; v++) {
        if (label[v] >= g->n)
            rc = pr_fail(err, PR_EINTERNAL, "vertex %u has label %u of %u", v, label[v], g->n);
        else
            used[label[v]] = 1;
    }
    if (rc == PR_OK) {
        const double all = 2 * (double)g->weight_sum;
        sum_communities(g, label, scratch, inside, strength);
        *modularity = 0;
        *communities = 0;
        for (uint32_t c = 0; c < g->n; c++) {
            const double part = (double)strength[c] / all;
            *modularity += (double)inside[c] / all - part * part;
            *communities += used[c];
        }
    }
    free(scratch);
    free(inside);
    free(strength);
    free(used);
    return rc;
}

enum pr_code score_imbalance(const struct placement_graph *g, const uint16_t *block,
                             uint32_t blocks, const double *share, double *imbalance,
                             struct pr_err *err)
{
    uint64_t *load = calloc(blocks, sizeof *load);
    enum pr_code rc = load == NULL ? pr_fail(err, PR_ENOMEM, "out of memory scoring") : PR_OK;
    for (uint32_t v = 0; v < g->n && rc == PR_OK; v++) {
        if (block[v] >= blocks)
            rc = pr_fail(err, PR_EINTERNAL, "vertex %u is in block %u of %u", v, block[v], blocks);
        else
            load[block[v]] += placement_vertex_weight(g, v);
    }
    *imbalance = -1;
    for (uint32_t b = 0; b < blocks && rc == PR_OK; b++) {
        const double part = (double)load[b] / ((double)g->vertex_weight_sum * share[b]) - 1;
        if (part > *imbalance)
            *imbalance = part;
    }
    free(load);
    return rc;
}

uint64_t score_hash(const void *bytes, size_t n)
{
    return pr_vertex_hash(bytes, n);
}

/* Names for blocks: repeatedly the pair that shares most vertices. */
static void name_blocks(uint64_t *shared, uint32_t blocks, uint16_t *name)
{
    for (uint32_t round = 0; round < blocks; round++) {
        uint32_t best = 0, from = 0;
        bool found = false;
        for (uint32_t i = 0; i < blocks * blocks; i++)
            if (shared[i] != UINT64_MAX && (!found || shared[i] > shared[best])) {
                best = i;
                found = true;
            }
        from = best / blocks;
        name[from] = (uint16_t)(best % blocks);
        for (uint32_t i = 0; i < blocks; i++) {
            shared[from * blocks + i] = UINT64_MAX;
            shared[i * blocks + name[from]] = UINT64_MAX;
        }
    }
}

enum pr_code score_moved(const uint16_t *today, const uint16_t *block, uint32_t n, uint32_t blocks,
                         bool rename, double *ratio, struct pr_err *err)
{
    uint64_t *shared = calloc((size_t)blocks * blocks, sizeof *shared), moved = 0;
    uint16_t *name = calloc(blocks, sizeof *name);
    if (shared == NULL || name == NULL) {
        free(shared);
        free(name);
        return pr_fail(err, PR_ENOMEM, "out of memory scoring");
    }
    for (uint32_t b = 0; b < blocks; b++)
        name[b] = (uint16_t)b;
    for (uint32_t v = 0; v < n; v++)
        shared[block[v] * blocks + today[v]]++;
    if (rename)
        name_blocks(shared, blocks, name);
    for (uint32_t v = 0; v < n; v++)
        moved += name[block[v]] != today[v];
    *ratio = (double)moved / n;
    free(shared);
    free(name);
    return PR_OK;
}
