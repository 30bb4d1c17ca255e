#include "core/parts.h"

#include "core/report.h"
#include "engine/hierarchy.h"

#include <stdlib.h>
#include <string.h>

/* Beyond this part of all weight, moving vertices out of parts one by one makes
 * worse parts than cutting anew. */
#define ANEW_RATIO 0.25
enum { ASK_EVERY = 4096 }; /* vertices */

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
    /* A heap of parts for each zone, the lightest first. */
    uint32_t heap_of[PLACEMENT_MAX_ZONES]; /* where it begins */
    uint32_t *heap;                        /* [parts] */
    uint32_t *at;                          /* [parts] place in its zone's heap */
    bool stretched;
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
    p->stretched = rc == PR_OK && r.stretched;
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
    p->heap = calloc(n, sizeof *p->heap);
    p->at = calloc(n, sizeof *p->at);
    return p->heap != NULL && p->at != NULL && p->zone_of != NULL && p->weight != NULL &&
           p->limit != NULL && p->tie != NULL && p->row != NULL;
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

/* Half as many as a zone would be dealt are enough: few move, and parts of one
 * zone are still even. */
static bool every_zone_has_parts(const struct parts *p)
{
    uint32_t dealt[PLACEMENT_MAX_ZONES];
    struct pr_err err;
    if (placement_deal_parts(p->zone_weight, p->in->zones, p->in->parts, dealt, &err) != PR_OK)
        return false;
    for (uint32_t z = 0; z < p->in->zones; z++)
        if (2 * (uint64_t)p->per_zone[z] < dealt[z])
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

/* --- the lightest part of a zone ------------------------------------------- */

static bool lighter(const struct parts *p, uint32_t a, uint32_t b)
{
    return p->weight[a] != p->weight[b] ? p->weight[a] < p->weight[b] : a < b;
}

static void put(struct parts *p, uint32_t *heap, uint32_t at, uint32_t part)
{
    heap[at] = part;
    p->at[part] = at;
}

/* Gives a part its place again after its weight has changed. */
static void sift(struct parts *p, uint32_t part)
{
    const uint16_t zone = p->zone_of[part];
    uint32_t *heap = p->heap + p->heap_of[zone], at = p->at[part];
    const uint32_t n = p->per_zone[zone];
    for (; at > 0 && lighter(p, part, heap[(at - 1) / 2]); at = (at - 1) / 2)
        put(p, heap, at, heap[(at - 1) / 2]);
    for (uint32_t next = 2 * at + 1; next < n; next = 2 * at + 1) {
        next += next + 1 < n && lighter(p, heap[next + 1], heap[next]);
        if (!lighter(p, heap[next], part))
            break;
        put(p, heap, at, heap[next]);
        at = next;
    }
    put(p, heap, at, part);
}

static void make_heaps(struct parts *p)
{
    uint32_t n[PLACEMENT_MAX_ZONES] = { 0 };
    for (uint32_t z = 1; z < p->in->zones; z++)
        p->heap_of[z] = p->heap_of[z - 1] + p->per_zone[z - 1];
    for (uint32_t i = 0; i < p->in->parts; i++) {
        const uint16_t z = p->zone_of[i];
        put(p, p->heap + p->heap_of[z], n[z]++, i);
    }
    for (uint32_t z = 0; z < p->in->zones; z++) /* from the last to the first */
        for (uint32_t at = n[z]; at-- > 0;)
            sift(p, p->heap[p->heap_of[z] + at]);
}

static void add_weight(struct parts *p, uint32_t part, uint64_t weight)
{
    p->weight[part] += weight; /* may be minus something */
    sift(p, part);
}

/* --- where a vertex is tied to ---------------------------------------------- */

struct pull {
    uint32_t to;       /* tied most, in the zone, with room; UINT32_MAX: none */
    uint64_t tie, own; /* to it; to the part that the vertex is in */
};

static struct pull find_pull(struct parts *p, uint32_t v)
{
    const struct placement_row row = placement_row(p->in->graph, v, p->row);
    const uint64_t weight = placement_vertex_weight(p->in->graph, v);
    struct pull best = { .to = UINT32_MAX };
    for (uint32_t i = 0; i < row.n; i++)
        if (p->part[row.to[i]] != UINT32_MAX)
            p->tie[p->part[row.to[i]]] += placement_arc_weight(&row, i);
    if (p->part[v] != UINT32_MAX)
        best.own = p->tie[p->part[v]];
    for (uint32_t i = 0; i < row.n; i++) {
        const uint32_t to = p->part[row.to[i]];
        if (to == UINT32_MAX || to == p->part[v] || p->zone_of[to] != p->in->zone[v] ||
            p->weight[to] + weight > p->limit[to])
            continue;
        if (best.to == UINT32_MAX || p->tie[to] > best.tie ||
            (to < best.to && p->tie[to] == best.tie))
            best = (struct pull){ to, p->tie[to], best.own };
    }
    for (uint32_t i = 0; i < row.n; i++)
        if (p->part[row.to[i]] != UINT32_MAX)
            p->tie[p->part[row.to[i]]] = 0;
    return best;
}

static enum pr_code ask(const struct parts *p, double done, struct pr_err *err)
{
    const struct placement_watch *w = &p->in->watch;
    return w->go_on == NULL || w->go_on(w->ctx, done)
               ? PR_OK
               : pr_fail(err, PR_ECANCELED, "canceled while parts were kept");
}

/* --- today's, and who must change ------------------------------------------- */

/* Weight of what stays; false: too much of it would have to leave again. */
static bool stay(struct parts *p)
{
    const struct placement_graph *g = p->in->graph;
    uint64_t beyond = 0;
    for (uint32_t v = 0; v < g->n; v++) {
        p->part[v] = stays(p, v) ? p->in->today[v] : UINT32_MAX;
        if (p->part[v] != UINT32_MAX)
            p->weight[p->part[v]] += placement_vertex_weight(g, v);
    }
    for (uint32_t i = 0; i < p->in->parts; i++)
        beyond += p->weight[i] > p->limit[i] ? p->weight[i] - p->limit[i] : 0;
    return (double)beyond <= ANEW_RATIO * (double)g->vertex_weight_sum;
}

static enum pr_code join(struct parts *p, struct pr_err *err)
{
    const struct placement_graph *g = p->in->graph;
    for (uint32_t v = 0; v < g->n; v++) {
        if (v % ASK_EVERY == 0 && ask(p, 0.5 * v / g->n, err) != PR_OK)
            return PR_ECANCELED;
        if (p->part[v] != UINT32_MAX)
            continue;
        const struct pull pull = find_pull(p, v);
        const uint32_t lightest = p->heap[p->heap_of[p->in->zone[v]]];
        p->part[v] = pull.to == UINT32_MAX ? lightest : pull.to;
        add_weight(p, p->part[v], placement_vertex_weight(g, v));
    }
    return PR_OK;
}

struct leaver {
    int64_t loss; /* edge weight into its part, less what it has into another */
    uint32_t part, vertex;
};

static int by_loss(const void *a, const void *b)
{
    const struct leaver *x = a, *y = b;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    if (x->loss != y->loss)
        return x->loss < y->loss ? -1 : 1;
    return x->vertex < y->vertex ? -1 : 1;
}

static bool overfull(const struct parts *p, uint32_t part)
{
    return p->weight[part] > p->limit[part];
}

/* All vertices of overfull parts, least tied ones first. */
static enum pr_code find_leavers(struct parts *p, struct leaver **out, uint32_t *n,
                                 struct pr_err *err)
{
    const struct placement_graph *g = p->in->graph;
    uint32_t at = 0;
    *n = 0;
    for (uint32_t v = 0; v < g->n; v++)
        *n += overfull(p, p->part[v]) && placement_vertex_weight(g, v) > 0;
    struct leaver *leaver = *out = malloc(((size_t)*n + 1) * sizeof *leaver);
    if (leaver == NULL)
        return no_memory(p, err);
    for (uint32_t v = 0; v < g->n; v++) {
        if (v % ASK_EVERY == 0 && ask(p, 0.5 + 0.4 * v / g->n, err) != PR_OK)
            return PR_ECANCELED;
        if (!overfull(p, p->part[v]) || placement_vertex_weight(g, v) == 0)
            continue;
        const struct pull pull = find_pull(p, v);
        leaver[at++] = (struct leaver){ (int64_t)pull.own - (int64_t)pull.tie, p->part[v], v };
    }
    qsort(leaver, *n, sizeof *leaver, by_loss);
    return PR_OK;
}

/* To where it has room; else to the lightest when that makes both more even. */
static void leave(struct parts *p, uint32_t v)
{
    const uint32_t from = p->part[v], lightest = p->heap[p->heap_of[p->zone_of[from]]];
    const uint64_t weight = placement_vertex_weight(p->in->graph, v);
    uint32_t to = find_pull(p, v).to;
    if (to == UINT32_MAX && p->weight[lightest] + weight < p->weight[from])
        to = lightest;
    if (to == UINT32_MAX)
        return;
    add_weight(p, from, 0 - weight);
    p->part[v] = to;
    add_weight(p, to, weight);
}

static enum pr_code make_room(struct parts *p, struct pr_err *err)
{
    struct leaver *leaver = NULL;
    uint32_t n = 0;
    enum pr_code rc = find_leavers(p, &leaver, &n, err);
    for (uint32_t i = 0; rc == PR_OK && i < n; i++) {
        if (i % ASK_EVERY == 0)
            rc = ask(p, 0.9 + 0.1 * i / n, err);
        if (rc == PR_OK && overfull(p, leaver[i].part))
            leave(p, leaver[i].vertex);
    }
    free(leaver);
    for (uint32_t i = 0; i < p->in->parts; i++)
        p->stretched |= overfull(p, i);
    return rc;
}

/* *kept false: they are to be made anew. */
static enum pr_code keep(struct parts *p, bool *kept, struct pr_err *err)
{
    bool any = false;
    if (!reserve(p) || !find_zones(p))
        return no_memory(p, err);
    *kept = every_zone_has_parts(p);
    if (!*kept)
        return PR_OK;
    find_limits(p);
    *kept = stay(p);
    if (!*kept)
        return PR_OK;
    make_heaps(p);
    enum pr_code rc = join(p, err);
    for (uint32_t i = 0; i < p->in->parts; i++)
        any |= overfull(p, i);
    return rc == PR_OK && any ? make_room(p, err) : rc;
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
    if (p->in->graph->vertex_weight_sum > 0)
        out->imbalance =
            (double)out->heaviest * p->in->parts / (double)p->in->graph->vertex_weight_sum - 1;
    out->stretched = p->stretched;
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
    if (out->kept)
        rc = keep(&p, &out->kept, err);
    if (rc == PR_OK && !out->kept)
        rc = divide(&p, err);
    if (rc == PR_OK)
        rc = measure(&p, out, err);
    free(p.zone_of);
    free(p.weight);
    free(p.limit);
    free(p.tie);
    free(p.row);
    free(p.heap);
    free(p.at);
    return rc;
}

uint64_t placement_parts_bytes(const struct placement_graph *g, double share, uint32_t parts,
                               unsigned threads)
{
    const double part = share < 0 ? 0 : share > 1 ? 1 : share;
    const uint64_t arcs = (uint64_t)((double)g->arcs * part);
    const uint32_t n = (uint32_t)(g->n * part) + 1;
    const uint64_t zone = 12 * arcs + 12 * (uint64_t)n; /* its graph */
    const uint64_t lists = 24 * (uint64_t)g->n;         /* parts, members, who leaves */
    return placement_partition_bytes(n, arcs, g->weight != NULL, parts, threads) + zone + lists;
}
