#include "engine/hierarchy_private.h"
#include "engine/subgraph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct divide {
    const struct placement_divide_input *in;
    struct placement_members members;
    uint16_t *part;  /* [n] */
    uint32_t *first; /* [zones + 1] first part of a zone */
    double reached;  /* of the whole work */
    struct placement_divide_result result;
};

/* One zone's graph and what its parts may hold. */
struct zone_cut {
    struct placement_graph graph;
    uint32_t parts, outsized;
    uint64_t heaviest;  /* of the vertices that are not outsized */
    uint64_t rest;      /* weight of those */
    uint64_t *capacity; /* [parts] */
    uint16_t *fixed;    /* [n]; NULL: none is outsized */
    uint16_t *block;    /* [n] */
};

static void zone_done(struct zone_cut *z)
{
    placement_graph_done(&z->graph);
    free(z->capacity);
    free(z->fixed);
    free(z->block);
}

static uint64_t share_limit(uint64_t weight, uint32_t parts, double imbalance)
{
    const uint64_t even = weight / parts + (weight % parts != 0);
    /* The tiny step keeps rounding noise from moving a whole number. */
    const double most = floor((double)weight / parts * (1 + imbalance) + 1e-9);
    return most > (double)even ? (uint64_t)most : even;
}

struct heavy {
    uint64_t weight;
    uint32_t vertex;
};

static int heavier(const void *a, const void *b)
{
    const struct heavy *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return x->vertex < y->vertex ? -1 : 1;
}

/* A vertex above the share of a part gets one for itself, so that the others
 * are not widened to its size; then the share of the rest is less, and so on. */
static enum pr_code set_apart(struct zone_cut *z, double imbalance, struct pr_err *err)
{
    const struct placement_graph *g = &z->graph;
    z->rest = g->vertex_weight_sum;
    z->heaviest = 1;
    if (g->vertex_weight == NULL)
        return PR_OK;
    struct heavy *heavy = malloc(((size_t)g->n + 1) * sizeof *heavy);
    if (heavy == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for %u vertex weights", g->n);
    for (uint32_t v = 0; v < g->n; v++)
        heavy[v] = (struct heavy){ g->vertex_weight[v], v };
    qsort(heavy, g->n, sizeof *heavy, heavier);
    while (z->outsized < g->n && z->outsized + 1 < z->parts &&
           heavy[z->outsized].weight > share_limit(z->rest, z->parts - z->outsized, imbalance))
        z->rest -= heavy[z->outsized++].weight;
    z->heaviest = z->outsized < g->n ? heavy[z->outsized].weight : 0;

    enum pr_code rc = PR_OK;
    if (z->outsized > 0 && (z->fixed = malloc((size_t)g->n * sizeof *z->fixed)) == NULL)
        rc = pr_fail(err, PR_ENOMEM, "out of memory for %u vertices", g->n);
    for (uint32_t v = 0; v < g->n && z->fixed != NULL; v++)
        z->fixed[v] = PLACEMENT_FREE;
    for (uint32_t i = 0; i < z->outsized && rc == PR_OK; i++) { /* the last parts are theirs */
        const uint32_t part = z->parts - 1 - i;
        z->fixed[heavy[i].vertex] = (uint16_t)part;
        z->capacity[part] = heavy[i].weight;
    }
    free(heavy);
    return rc;
}

static enum pr_code cut_zone(struct divide *d, uint32_t zone, struct zone_cut *z,
                             struct pr_err *err)
{
    const struct placement_divide_input *in = d->in;
    const uint32_t regular = z->parts - z->outsized;
    const uint32_t before = d->members.begin[zone], n = in->graph->n;
    struct hierarchy_span span = { &in->watch, (double)before / n,
                                   (double)(before + z->graph.n) / n, &d->reached };
    const struct placement_partition_input cut = { .graph = &z->graph,
                                                   .blocks = z->parts,
                                                   .capacity = z->capacity,
                                                   .fixed = z->fixed,
                                                   .seed = in->seed,
                                                   .seeds = in->seeds,
                                                   .pool = in->pool,
                                                   .watch = hierarchy_watch(&span) };
    struct placement_partition_result result;
    for (uint32_t p = 0; p < regular; p++)
        z->capacity[p] = share_limit(z->rest, regular, in->imbalance);
    enum pr_code rc = placement_partition(&cut, z->block, &result, err);
    if (rc != PR_EFULL)
        return rc;
    /* With this much room, filling the least full part in any order fits. */
    for (uint32_t p = 0; p < regular; p++)
        z->capacity[p] = (z->rest - z->heaviest) / regular + z->heaviest;
    d->result.stretched = true;
    return placement_partition(&cut, z->block, &result, err);
}

static enum pr_code divide_zone(struct divide *d, uint32_t zone, struct pr_err *err)
{
    const struct placement_divide_input *in = d->in;
    const uint32_t *member = d->members.member + d->members.begin[zone];
    struct zone_cut z = { .parts = in->parts[zone] };
    const uint32_t n = d->members.begin[zone + 1] - d->members.begin[zone];
    if (n == 0)
        return PR_OK;
    if (z.parts == 0)
        return pr_fail(err, PR_EINVAL, "zone %u has %u vertices and no part", zone, n);
    enum pr_code rc =
        placement_subgraph(in->graph, in->zone, &d->members, (uint16_t)zone, &z.graph, err);
    if (rc != PR_OK)
        return rc;
    z.capacity = calloc(z.parts, sizeof *z.capacity);
    z.block = malloc((size_t)n * sizeof *z.block);
    if (z.capacity == NULL || z.block == NULL)
        rc = pr_fail(err, PR_ENOMEM, "out of memory for %u parts of zone %u", z.parts, zone);
    if (rc == PR_OK)
        rc = set_apart(&z, in->imbalance, err);
    if (rc == PR_OK)
        rc = cut_zone(d, zone, &z, err);
    for (uint32_t i = 0; i < n && rc == PR_OK; i++)
        d->part[member[i]] = (uint16_t)(d->first[zone] + z.block[i]);
    d->result.outsized += z.outsized;
    zone_done(&z);
    return rc == PR_OK ? PR_OK : pr_wrap(err, rc, "zone %u", zone);
}

static enum pr_code check(const struct placement_divide_input *in, struct pr_err *err)
{
    uint64_t sum = 0;
    if (in->zones == 0 || in->zones > PLACEMENT_MAX_BLOCKS)
        return pr_fail(err, PR_EINVAL, "%u zones to divide", in->zones);
    if (!(in->imbalance >= 0 && in->imbalance <= 1e6))
        return pr_fail(err, PR_EINVAL, "imbalance %g of parts is below 0", in->imbalance);
    for (uint32_t z = 0; z < in->zones; z++)
        sum += in->parts[z];
    if (sum == 0 || sum > PLACEMENT_MAX_BLOCKS)
        return pr_fail(err, PR_EINVAL, "%llu parts, 1 to %d are supported", (unsigned long long)sum,
                       PLACEMENT_MAX_BLOCKS);
    for (uint32_t v = 0; v < in->graph->n; v++)
        if (in->zone[v] >= in->zones)
            return pr_fail(err, PR_EINVAL, "vertex %llu is in zone %u of %u",
                           (unsigned long long)placement_id(in->graph, v), in->zone[v], in->zones);
    return PR_OK;
}

static enum pr_code count_empty(struct divide *d, struct pr_err *err)
{
    const uint32_t parts = d->first[d->in->zones];
    bool *used = calloc((size_t)parts + 1, sizeof *used);
    if (used == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for %u parts", parts);
    d->result.empty = parts;
    for (uint32_t v = 0; v < d->in->graph->n; v++) {
        d->result.empty -= !used[d->part[v]];
        used[d->part[v]] = true;
    }
    free(used);
    return PR_OK;
}

enum pr_code placement_divide(const struct placement_divide_input *in, uint16_t *part,
                              struct placement_divide_result *out, struct pr_err *err)
{
    struct divide d = { .in = in };
    enum pr_code rc = check(in, err);
    if (rc == PR_OK)
        rc = placement_members_init(in->zone, in->graph->n, in->zones, &d.members, err);
    if (rc != PR_OK)
        return rc;
    d.part = malloc(((size_t)in->graph->n + 1) * sizeof *d.part);
    d.first = calloc((size_t)in->zones + 1, sizeof *d.first);
    if (d.part == NULL || d.first == NULL)
        rc = pr_fail(err, PR_ENOMEM, "out of memory dividing %u vertices", in->graph->n);
    for (uint32_t z = 0; z < in->zones && rc == PR_OK; z++) {
        d.first[z + 1] = d.first[z] + in->parts[z];
        rc = divide_zone(&d, z, err);
    }
    if (rc == PR_OK)
        rc = placement_cut(in->graph, d.part, in->pool, &in->watch, 1, &d.result.cut, err);
    if (rc == PR_OK)
        rc = count_empty(&d, err);
    if (rc == PR_OK) {
        memcpy(part, d.part, in->graph->n * sizeof *part);
        *out = d.result;
    }
    free(d.part);
    free(d.first);
    placement_members_done(&d.members);
    return rc;
}

/* The zone that is furthest below (sign 1) or above (-1) its quota of parts. */
static uint32_t furthest(const uint64_t *weight, const uint32_t *parts, uint32_t zones, double each,
                         int sign)
{
    uint32_t best = zones;
    double most = 0;
    for (uint32_t z = 0; z < zones; z++) {
        const double off = sign * ((double)weight[z] * each - parts[z]);
        if (weight[z] > 0 && (sign > 0 || parts[z] > 1) && (best == zones || off > most)) {
            best = z;
            most = off;
        }
    }
    return best;
}

enum pr_code placement_deal_parts(const uint64_t *weight, uint32_t zones, uint32_t total,
                                  uint32_t *parts, struct pr_err *err)
{
    double sum = 0;
    uint32_t with_weight = 0;
    uint64_t dealt = 0;
    for (uint32_t z = 0; z < zones; z++) {
        sum += (double)weight[z];
        with_weight += weight[z] > 0;
    }
    if (with_weight == 0 || with_weight > total)
        return pr_fail(err, PR_EINVAL, "%u parts for %u zones with weight", total, with_weight);
    const double each = (double)total / sum;
    for (uint32_t z = 0; z < zones; z++) {
        const double quota = floor((double)weight[z] * each);
        parts[z] = weight[z] == 0 ? 0 : quota < 1 ? 1 : (uint32_t)quota;
        dealt += parts[z];
    }
    for (; dealt < total; dealt++)
        parts[furthest(weight, parts, zones, each, 1)]++;
    for (; dealt > total; dealt--)
        parts[furthest(weight, parts, zones, each, -1)]--;
    return PR_OK;
}
