/* Naming from the vertices, and for more blocks than the exact method takes. */
#include "core/match.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BLOCKS = 65000 };

struct pair {
    uint64_t overlap;
    uint16_t block, zone;
};

struct many {
    uint32_t k;
    const uint64_t *capacity;
    uint64_t *size;    /* [k] of blocks */
    struct pair *pair; /* [pairs] overlaps that are not 0 */
    size_t pairs;
    uint16_t *by_size; /* [k] blocks, largest first */
    uint16_t *by_room; /* [k] zones, most capacity first */
    uint64_t *class;   /* [k] capacity of the zone a block gets when both go by size */
    bool *taken;       /* [k] zones */
};

static int most_first(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    if (x->overlap != y->overlap)
        return x->overlap > y->overlap ? -1 : 1;
    if (x->block != y->block)
        return x->block < y->block ? -1 : 1;
    return x->zone < y->zone ? -1 : x->zone > y->zone;
}

/* order[k]: 0..k-1 by descending value; equal ones by number. */
static bool rank(uint32_t k, const uint64_t *value, uint16_t *order)
{
    struct pair *p = malloc(k * sizeof *p);
    if (p == NULL)
        return false;
    for (uint32_t i = 0; i < k; i++)
        p[i] = (struct pair){ value[i], (uint16_t)i, 0 };
    qsort(p, k, sizeof *p, most_first);
    for (uint32_t i = 0; i < k; i++)
        order[i] = p[i].block;
    free(p);
    return true;
}

/* Vertices by block (at[b]..at[b + 1] in member), then one counter a zone. */
static bool count_overlaps(struct many *m, const struct placement_graph *g, const uint16_t *block,
                           const uint16_t *today)
{
    uint64_t *at = calloc((size_t)m->k + 2, sizeof *at);
    uint32_t *member = malloc(((size_t)g->n + 1) * sizeof *member);
    uint64_t *tie = calloc(m->k, sizeof *tie);
    m->pair = malloc(((size_t)g->n + 1) * sizeof *m->pair); /* a vertex makes one at most */
    const bool ok = at != NULL && member != NULL && tie != NULL && m->pair != NULL;
    for (uint32_t v = 0; ok && v < g->n; v++)
        at[block[v] + 2]++;
    for (uint32_t b = 0; ok && b < m->k; b++)
        at[b + 1] += at[b];
    for (uint32_t v = 0; ok && v < g->n; v++)
        member[at[block[v] + 1]++] = v;
    for (uint32_t b = 0; ok && b < m->k; b++) {
        const size_t first = m->pairs;
        for (uint64_t i = at[b]; i < at[b + 1]; i++) {
            const uint16_t zone = today[member[i]];
            const uint64_t weight = placement_vertex_weight(g, member[i]);
            m->size[b] += weight;
            if (zone == UINT16_MAX || weight == 0)
                continue;
            if (tie[zone] == 0)
                m->pair[m->pairs++] = (struct pair){ 0, (uint16_t)b, zone };
            tie[zone] += weight;
        }
        for (size_t i = first; i < m->pairs; i++) {
            m->pair[i].overlap = tie[m->pair[i].zone];
            tie[m->pair[i].zone] = 0;
        }
    }
    free(at);
    free(member);
    free(tie);
    return ok;
}

static enum pr_code match_few(const struct many *m, uint16_t *zone_of_block, struct pr_err *err)
{
    uint64_t *overlap = calloc((size_t)m->k * m->k, sizeof *overlap);
    if (overlap == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory naming %u blocks", m->k);
    for (size_t i = 0; i < m->pairs; i++)
        overlap[(size_t)m->pair[i].block * m->k + m->pair[i].zone] = m->pair[i].overlap;
    const struct placement_match_input in = {
        .k = m->k, .overlap = overlap, .size = m->size, .capacity = m->capacity
    };
    enum pr_code rc = placement_match(&in, zone_of_block, err);
    free(overlap);
    return rc;
}

/* By descending overlap, then what is left by size. With strict a block goes
 * only to a zone as large as the one it gets by size alone: then all find one. */
static bool match_greedily(struct many *m, bool strict, uint16_t *zone_of_block)
{
    memset(zone_of_block, 0xff, m->k * sizeof *zone_of_block);
    memset(m->taken, 0, m->k * sizeof *m->taken);
    for (size_t i = 0; i < m->pairs; i++) {
        const struct pair *p = &m->pair[i];
        const uint64_t room = m->capacity[p->zone];
        if (zone_of_block[p->block] != UINT16_MAX || m->taken[p->zone] ||
            (strict ? room != m->class[p->block] : room < m->size[p->block]))
            continue;
        zone_of_block[p->block] = p->zone;
        m->taken[p->zone] = true;
    }
    uint32_t z = 0;
    for (uint32_t i = 0; i < m->k; i++) {
        const uint16_t b = m->by_size[i];
        if (zone_of_block[b] != UINT16_MAX)
            continue;
        while (m->taken[m->by_room[z]])
            z++;
        if (m->size[b] > m->capacity[m->by_room[z]])
            return false;
        zone_of_block[b] = m->by_room[z];
        m->taken[m->by_room[z]] = true;
    }
    return true;
}

static enum pr_code match_many(struct many *m, uint16_t *zone_of_block, struct pr_err *err)
{
    qsort(m->pair, m->pairs, sizeof *m->pair, most_first);
    if (!rank(m->k, m->size, m->by_size) || !rank(m->k, m->capacity, m->by_room))
        return pr_fail(err, PR_ENOMEM, "out of memory naming %u blocks", m->k);
    for (uint32_t i = 0; i < m->k; i++) {
        m->class[m->by_size[i]] = m->capacity[m->by_room[i]];
        if (m->size[m->by_size[i]] > m->capacity[m->by_room[i]])
            return pr_fail(err, PR_EINVAL,
                           "no naming of the blocks fits: block %u of %llu is above every "
                           "capacity left",
                           m->by_size[i], (unsigned long long)m->size[m->by_size[i]]);
    }
    if (!match_greedily(m, false, zone_of_block))
        (void)match_greedily(m, true, zone_of_block);
    return PR_OK;
}

enum pr_code placement_match_blocks(const struct placement_graph *g, uint32_t k,
                                    const uint16_t *block, const uint16_t *today,
                                    const uint64_t *capacity, uint16_t *zone_of_block,
                                    struct pr_err *err)
{
    if (k == 0 || k > MOST_BLOCKS)
        return pr_fail(err, PR_EINVAL, "%u blocks to name, 1 to %d are supported", k, MOST_BLOCKS);
    struct many m = { .k = k, .capacity = capacity };
    m.size = calloc(k, sizeof *m.size);
    m.by_size = malloc(k * sizeof *m.by_size);
    m.by_room = malloc(k * sizeof *m.by_room);
    m.class = malloc(k * sizeof *m.class);
    m.taken = malloc(k * sizeof *m.taken);
    enum pr_code rc = PR_OK;
    if (m.size == NULL || m.by_size == NULL || m.by_room == NULL || m.class == NULL ||
        m.taken == NULL || !count_overlaps(&m, g, block, today))
        rc = pr_fail(err, PR_ENOMEM, "out of memory naming %u blocks", k);
    else if (k <= PLACEMENT_MATCH_EXACT)
        rc = match_few(&m, zone_of_block, err);
    else
        rc = match_many(&m, zone_of_block, err);
    free(m.size);
    free(m.pair);
    free(m.by_size);
    free(m.by_room);
    free(m.class);
    free(m.taken);
    return rc;
}
