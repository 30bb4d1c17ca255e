#include "core/parts.h"

#include "core/report.h"
#include "engine/hierarchy.h"

#include <stdlib.h>
#include <string.h>

struct parts {
    const struct placement_parts_input *in;
    uint32_t *part; /* [n] */
    uint64_t zone_weight[PLACEMENT_MAX_ZONES];
    uint32_t per_zone[PLACEMENT_MAX_ZONES]; /* parts of a zone */
    /* When today's are kept: */
    uint16_t *zone_of; /* [parts] */
    uint64_t *weight;  /* [parts] */
    uint64_t *limit;   /* [parts] */
    uint64_t *tie;     /* [parts] of the vertex at hand; 0 between vertices */
    uint32_t *row;     /* [degree_max] */
};

static enum pr_code no_memory(const struct parts *p, struct pr_err *err)
{
    return pr_fail(err, PR_ENOMEM, "out of memory for %u partitions", p->in->parts);
}

/* --- anew ------------------------------------------------------------------ */

static enum pr_code divide(struct parts *p, struct pr_err *err)
{
    const struct placement_parts_input *in = p->in;
    enum pr_code rc = placement_deal_parts(p->zone_weight, in->zones, in->parts, p->per_zone, err);
    if (rc != PR_OK)
        return rc;
    uint16_t *part = malloc(((size_t)in->graph->n + 1) * sizeof *part);
    if (part == NULL)
        return no_memory(p, err);
    const struct placement_divide_input d = { .graph = in->graph,
                                              .zone = in->zone,
                                              .zones = in->zones,
                                              .parts = p->per_zone,
                                              .imbalance = in->imbalance,
                                              .seed = in->seed,
                                              .seeds = in->seeds,
                                              .pool = in->pool,
                                              .watch = in->watch };
    struct placement_divide_result r;
    rc = placement_divide(&d, part, &r, err);
    for (uint32_t v = 0; rc == PR_OK && v < in->graph->n; v++)
        p->part[v] = part[v];
    free(part);
    return rc;
}

/* --- kept ------------------------------------------------------------------ */

static bool reserve(struct parts *p)
{
    const size_t n = (size_t)p->in->parts + 1;
    p->zone_of = calloc(n, sizeof *p->zone_of);
    p->weight = calloc(n, sizeof *p->weight);
    p->limit = calloc(n, sizeof *p->limit);
    p->tie = calloc(n, sizeof *p->tie);
    p->row = malloc(((size_t)p->in->graph->degree_max + 1) * sizeof *p->row);
    return p->zone_of != NULL && p->weight != NULL && p->limit != NULL && p->tie != NULL &&
           p->row != NULL;
}

/* The zone that most of a part's weight is in; a part without vertices is left
 * to the zone that has fewest parts for its weight. */
static bool find_zones(struct parts *p)
{
    const struct placement_parts_input *in = p->in;
    uint64_t *in_zone = calloc((size_t)in->parts * in->zones, sizeof *in_zone);
    if (in_zone == NULL)
        return false;
    for (uint32_t v = 0; v < in->graph->n; v++)
        if (in->today[v] < in->parts)
            in_zone[(size_t)in->today[v] * in->zones + in->zone[v]] +=
                placement_vertex_weight(in->graph, v);
    for (uint32_t i = 0; i < in->parts; i++) {
        const uint64_t *w = in_zone + (size_t)i * in->zones;
        uint16_t best = 0;
        for (uint16_t z = 1; z < in->zones; z++)
            best = w[z] > w[best] ? z : best;
        p->zone_of[i] = w[best] > 0 ? best : PLACEMENT_FREE;
        if (w[best] > 0)
            p->per_zone[best]++;
    }
    free(in_zone);
    for (uint32_t i = 0; i < in->parts; i++) {
        uint16_t best = 0;
        if (p->zone_of[i] != PLACEMENT_FREE)
            continue;
        for (uint16_t z = 1; z < in->zones; z++)
            if ((double)p->zone_weight[z] / (p->per_zone[z] + 1) >
                (double)p->zone_weight[best] / (p->per_zone[best] + 1))
                best = z;
        p->zone_of[i] = best;
        p->per_zone[best]++;
    }
    return true;
}

static bool every_zone_has_parts(const struct parts *p)
{
    for (uint32_t z = 0; z < p->in->zones; z++)
        if (p->zone_weight[z] > 0 && p->per_zone[z] == 0)
            return false;
    return true;
}

static void find_limits(struct parts *p)
{
    for (uint32_t i = 0; i < p->in->parts; i++) {
        const uint16_t z = p->zone_of[i];
        const double even = (double)p->zone_weight[z] / p->per_zone[z];
        p->limit[i] = (uint64_t)(even * (1 + p->in->imbalance)) + 1;
    }
}

static bool stays(const struct parts *p, uint32_t v)
{
    const uint32_t today = p->in->today[v];
    return today < p->in->parts && p->zone_of[today] == p->in->zone[v];
}

static uint32_t lightest(const struct parts *p, uint16_t zone)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < p->in->parts; i++)
        if (p->zone_of[i] == zone && (best == UINT32_MAX || p->weight[i] < p->weight[best]))
            best = i;
    return best;
}

static uint32_t join(struct parts *p, uint32_t v)
{
    const struct placement_row row = placement_row(p->in->graph, v, p->row);
    const uint64_t weight = placement_vertex_weight(p->in->graph, v);
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < row.n; i++)
        if (p->part[row.to[i]] != UINT32_MAX)
            p->tie[p->part[row.to[i]]] += placement_arc_weight(&row, i);
    for (uint32_t i = 0; i < row.n; i++) {
        const uint32_t to = p->part[row.to[i]];
        if (to == UINT32_MAX || p->zone_of[to] != p->in->zone[v] ||
            p->weight[to] + weight > p->limit[to])
            continue;
        if (best == UINT32_MAX || p->tie[to] > p->tie[best] ||
            (p->tie[to] == p->tie[best] && to < best))
            best = to;
    }
    for (uint32_t i = 0; i < row.n; i++)
        if (p->part[row.to[i]] != UINT32_MAX)
            p->tie[p->part[row.to[i]]] = 0;
    return best == UINT32_MAX ? lightest(p, p->in->zone[v]) : best;
}

static void keep(struct parts *p)
{
    const struct placement_graph *g = p->in->graph;
    for (uint32_t v = 0; v < g->n; v++) {
        p->part[v] = stays(p, v) ? p->in->today[v] : UINT32_MAX;
        if (p->part[v] != UINT32_MAX)
            p->weight[p->part[v]] += placement_vertex_weight(g, v);
    }
    for (uint32_t v = 0; v < g->n; v++) {
        if (p->part[v] != UINT32_MAX)
            continue;
        p->part[v] = join(p, v);
        p->weight[p->part[v]] += placement_vertex_weight(g, v);
    }
}

/* --- both ------------------------------------------------------------------ */

static bool has_today(const struct placement_parts_input *in)
{
    for (uint32_t v = 0; in->today != NULL && v < in->graph->n; v++)
        if (in->today[v] < in->parts)
            return true;
    return false;
}

static enum pr_code measure(const struct parts *p, struct placement_parts_result *out,
                            struct pr_err *err)
{
    struct placement_label_figures f;
    uint64_t *weight = calloc((size_t)p->in->parts + 1, sizeof *weight);
    if (weight == NULL)
        return no_memory(p, err);
    enum pr_code rc = placement_label_figures(p->in->graph, p->part, p->in->parts, weight, &f, err);
    out->cut = rc == PR_OK ? f.cut : 0;
    for (uint32_t i = 0; i < p->in->parts; i++)
        out->heaviest = weight[i] > out->heaviest ? weight[i] : out->heaviest;
    free(weight);
    return rc;
}

enum pr_code placement_parts(const struct placement_parts_input *in, uint32_t *part,
                             struct placement_parts_result *out, struct pr_err *err)
{
    struct parts p = { .in = in, .part = part };
    enum pr_code rc = PR_OK;
    for (uint32_t v = 0; v < in->graph->n; v++)
        p.zone_weight[in->zone[v]] += placement_vertex_weight(in->graph, v);
    *out = (struct placement_parts_result){ .kept = has_today(in) };
    if (out->kept) {
        rc = reserve(&p) && find_zones(&p) ? PR_OK : no_memory(&p, err);
        out->kept = every_zone_has_parts(&p);
    }
    if (rc == PR_OK && out->kept) {
        find_limits(&p);
        keep(&p);
    } else if (rc == PR_OK) {
        rc = divide(&p, err);
    }
    if (rc == PR_OK)
        rc = measure(&p, out, err);
    free(p.zone_of);
    free(p.weight);
    free(p.limit);
    free(p.tie);
    free(p.row);
    return rc;
}
