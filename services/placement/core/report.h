/* What a placement is worth, in figures. Pure. */
#ifndef PLACEMENT_REPORT_H
#define PLACEMENT_REPORT_H

#include "core/graph.h"
#include "core/store.h"

#include <stdint.h>

/* One assignment of vertices to zones. */
struct placement_figures {
    uint64_t cut;       /* weight of edges between zones, each edge once */
    double cross_share; /* cut / weight of all edges; 0 without edges */
    double modularity;  /* weighted, of the zones as communities; 0 without edges */
    double imbalance;   /* largest zone load / its share of vertices - 1; at least 0 */
    uint64_t vertices[PLACEMENT_MAX_ZONES];
    /* Edge weight between two zones, stated both ways; inside a zone on the
     * diagonal. The diagonal and one half sum to the weight of all edges. */
    uint64_t matrix[PLACEMENT_MAX_ZONES][PLACEMENT_MAX_ZONES];
};

/* share[zones]: wanted part of the vertices; zones with share 0 do not count
 * towards imbalance unless they hold vertices (then it is infinite: INFINITY). */
void placement_figures(const struct placement_graph *g, const uint16_t *zone, uint32_t zones,
                       const double *share, struct placement_figures *out);

struct placement_price {
    double traffic_bytes_per_s; /* reference traffic, all of it */
    double dollars_per_gb;      /* per billed side; GB = 10^9 bytes */
    int billed_sides;           /* 1: one side pays; 2: sender and receiver both pay */
};

/* Dollars a month of 30 days for the cross-zone part of the traffic:
 * bytes/s x share x 2,592,000 s x price / 10^9 x sides. */
double placement_dollars_per_month(double cross_share, const struct placement_price *p);

#endif
