#include "core/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MONTH_S      2592000.0 /* 30 days */
#define BYTES_PER_GB 1e9

enum { GRAIN = 4096 };

static double imbalance_of(const uint64_t *weight, uint32_t zones, const double *share,
                           uint64_t sum)
{
    double worst = 0;
    for (uint32_t z = 0; z < zones; z++) {
        if (share[z] <= 0 && weight[z] > 0)
            return INFINITY;
        const double over =
            share[z] > 0 && sum > 0 ? (double)weight[z] / (share[z] * (double)sum) - 1 : 0;
        if (over > worst)
            worst = over;
    }
    return worst;
}

/* What one worker counts; whole numbers, so their sum does not depend on who
 * counted what. */
struct counts {
    uint64_t vertices[PLACEMENT_MAX_ZONES], weight[PLACEMENT_MAX_ZONES];
    uint64_t matrix[PLACEMENT_MAX_ZONES][PLACEMENT_MAX_ZONES];
    uint32_t *row; /* [degree_max] of coded graphs */
};

struct figures_job {
    const struct placement_graph *g;
    const uint16_t *zone;
    struct counts *count; /* [workers] */
};

static void count_chunk(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    const struct figures_job *j = ctx;
    struct counts *c = &j->count[worker];
    for (uint32_t v = (uint32_t)begin; v < end; v++) {
        const uint16_t z = j->zone[v];
        const struct placement_row row = placement_row(j->g, v, c->row);
        c->vertices[z]++;
        c->weight[z] += placement_vertex_weight(j->g, v);
        for (uint32_t i = 0; i < row.n; i++)
            c->matrix[z][j->zone[row.to[i]]] += placement_arc_weight(&row, i);
    }
}

static void add_counts(const struct counts *c, uint32_t zones, struct placement_figures *out)
{
    for (uint32_t z = 0; z < zones; z++) {
        out->vertices[z] += c->vertices[z];
        out->weight[z] += c->weight[z];
        for (uint32_t y = 0; y < zones; y++)
            out->matrix[z][y] += c->matrix[z][y];
    }
}

static void sum_up(const struct placement_graph *g, uint32_t zones, const double *share,
                   struct placement_figures *out)
{
    out->imbalance = imbalance_of(out->weight, zones, share, g->vertex_weight_sum);
    const double both_ends = 2 * (double)g->weight_sum;
    for (uint32_t z = 0; z < zones; z++) {
        double ends = 0; /* of edges in this zone */
        for (uint32_t y = 0; y < zones; y++)
            ends += (double)out->matrix[z][y];
        if (g->weight_sum > 0)
            out->modularity +=
                (double)out->matrix[z][z] / both_ends - (ends / both_ends) * (ends / both_ends);
        out->matrix[z][z] /= 2; /* both ends were counted */
        for (uint32_t y = z + 1; y < zones; y++)
            out->cut += out->matrix[z][y];
    }
    if (g->weight_sum > 0)
        out->cross_share = (double)out->cut / (double)g->weight_sum;
}

enum pr_code placement_figures(const struct placement_graph *g, const uint16_t *zone,
                               uint32_t zones, const double *share, struct pr_pool *pool,
                               struct placement_figures *out, struct pr_err *err)
{
    const unsigned workers = pr_pool_threads(pool);
    struct figures_job j = { g, zone, calloc(workers, sizeof *j.count) };
    bool ok = j.count != NULL;
    for (unsigned w = 0; w < workers && ok && g->coded != NULL; w++)
        ok = (j.count[w].row = malloc(((size_t)g->degree_max + 1) * sizeof(uint32_t))) != NULL;
    if (ok) {
        pr_pool_for(pool, g->n, GRAIN, count_chunk, &j);
        memset(out, 0, sizeof *out);
        for (unsigned w = 0; w < workers; w++)
            add_counts(&j.count[w], zones, out);
        sum_up(g, zones, share, out);
    }
    for (unsigned w = 0; w < workers && j.count != NULL; w++)
        free(j.count[w].row);
    free(j.count);
    return ok ? PR_OK : pr_fail(err, PR_ENOMEM, "out of memory for the figures");
}

/* --- any labels ----------------------------------------------------------- */

struct labels_job {
    const struct placement_graph *g;
    const uint32_t *label;
    uint64_t *weight; /* [labels] of vertices */
    uint64_t *ends;   /* [labels] of edges, those inside counted twice */
    uint32_t *row;
};

/* By one thread: with many labels, adding to arrays of each thread costs more
 * than it saves. Returns the cut. */
static uint64_t walk_labels(const struct labels_job *j)
{
    uint64_t cut = 0;
    for (uint32_t v = 0; v < j->g->n; v++) {
        const struct placement_row row = placement_row(j->g, v, j->row);
        const uint32_t l = j->label[v];
        j->weight[l] += placement_vertex_weight(j->g, v);
        for (uint32_t i = 0; i < row.n; i++) {
            const uint32_t w = placement_arc_weight(&row, i);
            j->ends[l] += w;
            cut += j->label[row.to[i]] == l ? 0 : w;
        }
    }
    return cut / 2;
}

enum pr_code placement_label_figures(const struct placement_graph *g, const uint32_t *label,
                                     uint32_t labels, uint64_t *weight,
                                     struct placement_label_figures *out, struct pr_err *err)
{
    struct labels_job j = { g, label, weight, calloc((size_t)labels + 1, sizeof *j.ends),
                            malloc(((size_t)g->degree_max + 1) * sizeof *j.row) };
    const bool ok = j.ends != NULL && j.row != NULL;
    if (ok) {
        memset(weight, 0, labels * sizeof *weight);
        *out = (struct placement_label_figures){ .cut = walk_labels(&j) };
        if (g->weight_sum > 0) {
            out->cross_share = (double)out->cut / (double)g->weight_sum;
            out->modularity = 1 - out->cross_share;
        }
        for (uint32_t l = 0; l < labels && g->weight_sum > 0; l++) {
            const double part = (double)j.ends[l] / (2 * (double)g->weight_sum);
            out->modularity -= part * part;
        }
    }
    free(j.ends);
    free(j.row);
    return ok ? PR_OK : pr_fail(err, PR_ENOMEM, "out of memory for the figures");
}

static int by_number(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Its place among the labels, ascending. */
static uint32_t rank_of(const uint32_t *known, uint32_t n, uint32_t label)
{
    uint32_t lo = 0, hi = n;
    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if (known[mid] < label)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

enum pr_code placement_labels_dense(const uint32_t *label, uint32_t n, uint32_t *dense,
                                    uint32_t *labels, struct pr_err *err)
{
    uint32_t *known = malloc(((size_t)n + 1) * sizeof *known), kept = 0;
    bool sorted = true;
    if (known == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for the labels of %u vertices", n);
    for (uint32_t v = 0; v < n; v++) { /* neighbours in the file often have the same one */
        if (kept > 0 && known[kept - 1] == label[v])
            continue;
        sorted &= kept == 0 || known[kept - 1] < label[v];
        known[kept++] = label[v];
    }
    if (!sorted) {
        const uint32_t all = kept;
        qsort(known, all, sizeof *known, by_number);
        kept = 0;
        for (uint32_t i = 0; i < all; i++)
            if (kept == 0 || known[kept - 1] != known[i])
                known[kept++] = known[i];
    }
    for (uint32_t v = 0; v < n; v++)
        dense[v] = rank_of(known, kept, label[v]);
    *labels = kept;
    free(known);
    return PR_OK;
}

/* Below this share of edge weight between zones a store is as good as local. */
#define GOAL 0.05

void placement_verdict(double cut_ratio, double random_ratio, char text[PLACEMENT_VERDICT_BYTES])
{
    char against[96] = "nothing can be better";
    const char *hope = "";
    if (cut_ratio > 0)
        (void)snprintf(against, sizeof against, "%.3g times less than at random (%.3g %%)",
                       random_ratio / cut_ratio, random_ratio * 100);
    if (cut_ratio > GOAL)
        hope = "; how little is reachable is a property of the graph: more seeds gain a few per "
               "cent of the cut, and no engine makes a densely tied graph local";
    (void)snprintf(text, PLACEMENT_VERDICT_BYTES,
                   "%.3g %% of the edge weight is between zones, %s%s", cut_ratio * 100, against,
                   hope);
}

double placement_dollars_per_month(double cross_share, const struct placement_price *p)
{
    return p->traffic_bytes_per_s * cross_share * MONTH_S / BYTES_PER_GB * p->dollars_per_gb *
           p->billed_sides;
}
