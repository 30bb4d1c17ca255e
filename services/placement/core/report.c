#include "core/report.h"

#include <math.h>
#include <string.h>

#define MONTH_S      2592000.0 /* 30 days */
#define BYTES_PER_GB 1e9

static double imbalance_of(const uint64_t *vertices, uint32_t zones, const double *share,
                           uint32_t n)
{
    double worst = 0;
    for (uint32_t z = 0; z < zones; z++) {
        if (share[z] <= 0 && vertices[z] > 0)
            return INFINITY;
        const double over = share[z] > 0 ? (double)vertices[z] / (share[z] * n) - 1 : 0;
        if (over > worst)
            worst = over;
    }
    return worst;
}

void placement_figures(const struct placement_graph *g, const uint16_t *zone, uint32_t zones,
                       const double *share, struct placement_figures *out)
{
    memset(out, 0, sizeof *out);
    for (uint32_t v = 0; v < g->n; v++) {
        out->vertices[zone[v]]++;
        const struct placement_row row = placement_row(g, v, NULL);
        for (uint32_t i = 0; i < row.n; i++)
            out->matrix[zone[v]][zone[row.to[i]]] += placement_arc_weight(&row, i);
    }
    out->imbalance = imbalance_of(out->vertices, zones, share, g->n);

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

double placement_dollars_per_month(double cross_share, const struct placement_price *p)
{
    return p->traffic_bytes_per_s * cross_share * MONTH_S / BYTES_PER_GB * p->dollars_per_gb *
           p->billed_sides;
}
