#include "core/locality.h"

#include "engine/hierarchy.h"
#include "engine/number.h"
#include "prism/slot.h"

#include <stdlib.h>
#include <string.h>

/* A part keeps a number for its vertices' sake when half of them are there. */
#define KEEP_RATIO 0.5

struct locality {
    const struct placement_locality_input *in;
    uint32_t parts;
    uint32_t per_zone[PLACEMENT_MAX_ZONES];
    uint16_t *part;   /* [n] */
    uint64_t *weight; /* [parts] of a part's vertices */
    uint16_t *zone;   /* [parts] */
    uint16_t *slot;   /* [parts] of a number */
    uint32_t *number; /* [parts] of a part */
    uint32_t *start;  /* [parts + 1] into order */
    uint32_t *order;  /* [n] vertices by part */
    uint64_t *here;   /* [parts] weight of one part in a number today; 0 between parts */
    struct placement_overlap *overlap;
    size_t overlaps, room;
    uint16_t leaf_of_slot[PLACEMENT_SLOTS], leaf_after[PLACEMENT_SLOTS];
};

static bool reserve(struct locality *l)
{
    const size_t n = (size_t)l->in->graph->n + 1, parts = (size_t)l->parts + 2;
    l->part = malloc(n * sizeof *l->part);
    l->order = malloc(n * sizeof *l->order);
    l->weight = calloc(parts, sizeof *l->weight);
    l->zone = calloc(parts, sizeof *l->zone);
    l->slot = calloc(parts, sizeof *l->slot);
    l->number = calloc(parts, sizeof *l->number);
    l->start = calloc(parts, sizeof *l->start);
    l->here = calloc(parts, sizeof *l->here);
    return l->part != NULL && l->order != NULL && l->weight != NULL && l->zone != NULL &&
           l->slot != NULL && l->number != NULL && l->start != NULL && l->here != NULL;
}

static void release(struct locality *l)
{
    free(l->part);
    free(l->order);
    free(l->weight);
    free(l->zone);
    free(l->slot);
    free(l->number);
    free(l->start);
    free(l->here);
    free(l->overlap);
    free(l);
}

static enum pr_code divide(struct locality *l, struct pr_err *err)
{
    const struct placement_store *s = l->in->store;
    uint32_t at = 0;
    for (uint32_t p = 0; p < s->partitions; p++)
        l->per_zone[s->zone_of[p]]++;
    for (uint32_t z = 0; z < s->zones; z++)
        for (uint32_t i = 0; i < l->per_zone[z]; i++)
            l->zone[at++] = (uint16_t)z;
    const struct placement_divide_input d = { .graph = l->in->graph,
                                              .zone = l->in->zone,
                                              .zones = s->zones,
                                              .parts = l->per_zone,
                                              .imbalance = l->in->imbalance,
                                              .seed = l->in->seed,
                                              .seeds = 1,
                                              .pool = l->in->pool,
                                              .watch = l->in->watch };
    struct placement_divide_result r;
    return placement_divide(&d, l->part, &r, err);
}

static void order_by_part(struct locality *l)
{
    const struct placement_graph *g = l->in->graph;
    for (uint32_t v = 0; v < g->n; v++) {
        l->start[l->part[v] + 1]++;
        l->weight[l->part[v]] += placement_vertex_weight(g, v);
    }
    for (uint32_t i = 0; i < l->parts; i++)
        l->start[i + 1] += l->start[i];
    for (uint32_t v = g->n; v-- > 0;) /* backwards: ends become starts, order stays */
        l->order[--l->start[l->part[v] + 1]] = v;
    memmove(l->start, l->start + 1, l->parts * sizeof *l->start);
    l->start[l->parts] = g->n;
}

static bool add_overlap(struct locality *l, uint32_t part, uint32_t number)
{
    if (l->overlaps == l->room) {
        const size_t room = l->room == 0 ? 4096 : 2 * l->room;
        struct placement_overlap *grown = realloc(l->overlap, room * sizeof *grown);
        if (grown == NULL)
            return false;
        l->overlap = grown;
        l->room = room;
    }
    l->overlap[l->overlaps++] = (struct placement_overlap){ part, number, l->here[number] };
    l->here[number] = 0;
    return true;
}

static bool find_overlaps(struct locality *l)
{
    for (uint32_t i = 0; i < l->parts; i++) {
        for (uint32_t k = l->start[i]; k < l->start[i + 1]; k++)
            l->here[l->in->current[l->order[k]]] +=
                placement_vertex_weight(l->in->graph, l->order[k]);
        for (uint32_t k = l->start[i]; k < l->start[i + 1]; k++) {
            const uint32_t number = l->in->current[l->order[k]];
            if (l->here[number] > 0 && !add_overlap(l, i, number))
                return false;
        }
    }
    return true;
}

/* Nodes are not known here, so each zone is one: a number's slot stays in its
 * zone, because every zone has as many parts as numbers. */
static enum pr_code number_parts(struct locality *l, struct pr_err *err)
{
    const struct placement_store *s = l->in->store;
    uint16_t zone_of_leaf[PLACEMENT_MAX_ZONES];
    for (uint16_t z = 0; z < s->zones; z++)
        zone_of_leaf[z] = z;
    for (uint32_t i = 0; i < PLACEMENT_SLOTS; i++)
        l->leaf_of_slot[i] = PLACEMENT_FREE;
    for (uint32_t p = 0; p < s->partitions; p++) {
        l->slot[p] = pr_partition_slot(p);
        l->leaf_of_slot[l->slot[p]] = s->zone_of[p];
    }
    const struct placement_number_input in = { .partitions = l->parts,
                                               .slot = l->slot,
                                               .leaf_of_slot = l->leaf_of_slot,
                                               .leaves = s->zones,
                                               .zones = s->zones,
                                               .zone_of_leaf = zone_of_leaf,
                                               .weight = l->weight,
                                               .zone = l->zone,
                                               .overlap = l->overlap,
                                               .overlaps = l->overlaps,
                                               .keep_ratio = KEEP_RATIO };
    struct placement_number_result r;
    return placement_number(&in, l->number, l->leaf_after, &r, err);
}

static enum pr_code write_out(const struct locality *l, uint32_t *partition, uint32_t *load,
                              struct pr_err *err)
{
    const struct placement_store *s = l->in->store;
    memset(load, 0, s->partitions * sizeof *load);
    for (uint32_t v = 0; v < l->in->graph->n; v++) {
        partition[v] = l->number[l->part[v]];
        if (s->zone_of[partition[v]] != l->in->zone[v])
            return pr_fail(err, PR_EINTERNAL, "partition %u is not in the zone of its vertices",
                           partition[v]);
        load[partition[v]]++;
    }
    return PR_OK;
}

enum pr_code placement_locality(const struct placement_locality_input *in, uint32_t *partition,
                                uint32_t *load, struct pr_err *err)
{
    if (in->store->partitions > PLACEMENT_MAX_BLOCKS)
        return pr_fail(err, PR_EFULL, "%u partitions cannot be cut by locality, at most %d",
                       in->store->partitions, PLACEMENT_MAX_BLOCKS);
    struct locality *l = calloc(1, sizeof *l); /* its slots are large */
    if (l == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for %u partitions", in->store->partitions);
    l->in = in;
    l->parts = in->store->partitions;
    enum pr_code rc = PR_OK;
    if (!reserve(l))
        rc = pr_fail(err, PR_ENOMEM, "out of memory for %u partitions", l->parts);
    if (rc == PR_OK)
        rc = divide(l, err);
    if (rc == PR_OK) {
        order_by_part(l);
        if (!find_overlaps(l))
            rc = pr_fail(err, PR_ENOMEM, "out of memory for %u partitions", l->parts);
    }
    if (rc == PR_OK)
        rc = number_parts(l, err);
    if (rc == PR_OK)
        rc = write_out(l, partition, load, err);
    release(l);
    return rc;
}
