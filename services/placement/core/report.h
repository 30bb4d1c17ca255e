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
    double imbalance;   /* largest zone weight / its share of all - 1; at least 0 */
    uint64_t vertices[PLACEMENT_MAX_ZONES];
    uint64_t weight[PLACEMENT_MAX_ZONES]; /* of the vertices */
    /* Edge weight between two zones, stated both ways; inside a zone on the
     * diagonal. The diagonal and one half sum to the weight of all edges. */
    uint64_t matrix[PLACEMENT_MAX_ZONES][PLACEMENT_MAX_ZONES];
};

/* share[zones]: wanted part of the vertex weight; zones with share 0 do not
 * count towards imbalance unless they hold vertices (then it is infinite:
 * INFINITY). PR_ENOMEM. */
PR_CHECKED enum pr_code placement_figures(const struct placement_graph *g, const uint16_t *zone,
                                          uint32_t zones, const double *share, struct pr_pool *pool,
                                          struct placement_figures *out, struct pr_err *err);

/* The same of labels below any number: partitions, communities, or more zones
 * than fit above. weight[labels]: receives the vertex weight of each. */
struct placement_label_figures {
    uint64_t cut;
    double cross_share, modularity;
};
PR_CHECKED enum pr_code
placement_label_figures(const struct placement_graph *g, const uint32_t *label, uint32_t labels,
                        uint64_t *weight, struct placement_label_figures *out, struct pr_err *err);

/* Labels of any size numbered 0.. in their order, so that what is kept of each
 * takes memory by vertices and not by the largest label. PR_ENOMEM. */
PR_CHECKED enum pr_code placement_labels_dense(const uint32_t *label, uint32_t n, uint32_t *dense,
                                               uint32_t *labels, struct pr_err *err);

/* What a cut is worth against vertices placed at random, and what may be hoped
 * for, in words for people; text is always terminated. */
enum { PLACEMENT_VERDICT_BYTES = 320 };
void placement_verdict(double cut_ratio, double random_ratio, char text[PLACEMENT_VERDICT_BYTES]);

struct placement_price {
    double traffic_bytes_per_s; /* reference traffic, all of it */
    double dollars_per_gb;      /* per billed side; GB = 10^9 bytes */
    int billed_sides;           /* 1: one side pays; 2: sender and receiver both pay */
};

/* Dollars a month of 30 days for the cross-zone part of the traffic:
 * bytes/s x share x 2,592,000 s x price / 10^9 x sides. */
double placement_dollars_per_month(double cross_share, const struct placement_price *p);

#endif
