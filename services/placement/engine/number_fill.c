/* Which blocks share a slot: those with the most edge weight between them. */
#include "engine/number_private.h"

#include <stdlib.h>
#include <string.h>

struct fill {
    struct number_plan *p;
    uint64_t *tie;     /* [partitions] weight of a block's edges to those of the slot at hand */
    uint32_t *touched; /* [n_touched] blocks with a tie */
    uint32_t n_touched;
    uint32_t *scratch;      /* a decoded row */
    uint32_t *first, *next; /* [PLACEMENT_SLOTS], [partitions] lists of the blocks of a slot */
    uint32_t *slots;        /* [PLACEMENT_SLOTS] those with room, by leaf, then by number */
    uint32_t n_slots;
    uint32_t *group;         /* [partitions] a round puts blocks of a group .. */
    uint32_t *group_of_leaf; /* [leaves] .. into the leaves of the group */
    uint32_t *order;         /* [partitions] blocks by group, then by number */
    uint32_t *start, *at;    /* [groups + 1] into order; at: the first that may still wait */
};

static bool waits(const struct fill *f, uint32_t block, uint32_t group)
{
    return f->p->slot[block] == NUMBER_NONE && f->group[block] == group;
}

static void touch(struct fill *f, uint32_t block, uint32_t group)
{
    const struct placement_graph *g = f->p->in->ties;
    if (g == NULL)
        return;
    const struct placement_row r = placement_row(g, block, f->scratch);
    for (uint32_t i = 0; i < r.n; i++) {
        const uint32_t b = r.to[i];
        if (!waits(f, b, group))
            continue;
        if (f->tie[b] == 0)
            f->touched[f->n_touched++] = b;
        f->tie[b] += placement_arc_weight(&r, i);
    }
}

static void forget(struct fill *f)
{
    for (uint32_t i = 0; i < f->n_touched; i++)
        f->tie[f->touched[i]] = 0;
    f->n_touched = 0;
}

static uint32_t most_tied(const struct fill *f, uint32_t group)
{
    uint32_t best = NUMBER_NONE;
    for (uint32_t i = 0; i < f->n_touched; i++) {
        const uint32_t b = f->touched[i];
        if (waits(f, b, group) && (best == NUMBER_NONE || f->tie[b] > f->tie[best] ||
                                   (b < best && f->tie[b] == f->tie[best])))
            best = b;
    }
    return best;
}

static void fill_slot(struct fill *f, uint32_t slot, uint32_t group)
{
    struct number_plan *p = f->p;
    if (f->at[group] == f->start[group + 1])
        return;
    for (uint32_t b = f->first[slot]; b != NUMBER_NONE; b = f->next[b])
        touch(f, b, group);
    while (p->room[slot] > 0) {
        uint32_t b = most_tied(f, group);
        for (; b == NUMBER_NONE && f->at[group] < f->start[group + 1]; f->at[group]++)
            if (waits(f, f->order[f->at[group]], group))
                b = f->order[f->at[group]];
        if (b == NUMBER_NONE)
            break;
        p->slot[b] = slot;
        f->next[b] = f->first[slot];
        f->first[slot] = b;
        if (--p->room[slot] > 0)
            touch(f, b, group);
    }
    forget(f);
}

static void sort_by_group(struct fill *f, uint32_t groups)
{
    const uint32_t n = f->p->in->partitions;
    const size_t bytes = ((size_t)groups + 1) * sizeof *f->start;
    memset(f->start, 0, bytes);
    for (uint32_t b = 0; b < n; b++)
        f->start[f->group[b] + 1]++;
    for (uint32_t g = 0; g < groups; g++)
        f->start[g + 1] += f->start[g];
    memcpy(f->at, f->start, bytes);
    for (uint32_t b = 0; b < n; b++)
        f->order[f->at[f->group[b]]++] = b;
    memcpy(f->at, f->start, bytes);
}

static void fill_round(struct fill *f, uint32_t groups)
{
    sort_by_group(f, groups);
    for (uint32_t i = 0; i < f->n_slots; i++)
        fill_slot(f, f->slots[i], f->group_of_leaf[f->p->leaf[f->slots[i]]]);
}

/* First the wishes for nodes, then the zones, then whoever is left: blocks that
 * weigh nothing, or for which their zone has no number. */
static void fill_rounds(struct fill *f)
{
    const struct placement_number_input *in = f->p->in;
    if (in->leaf != NULL) {
        for (uint32_t b = 0; b < in->partitions; b++)
            f->group[b] =
                in->weight[b] == 0 || in->leaf[b] == PLACEMENT_FREE ? in->leaves : in->leaf[b];
        for (uint32_t l = 0; l < in->leaves; l++)
            f->group_of_leaf[l] = l;
        fill_round(f, in->leaves + 1);
    }
    for (uint32_t b = 0; b < in->partitions; b++)
        f->group[b] = in->weight[b] == 0 ? in->zones : in->zone[b];
    for (uint32_t l = 0; l < in->leaves; l++)
        f->group_of_leaf[l] = in->zone_of_leaf[l];
    fill_round(f, in->zones + 1);

    memset(f->group, 0, in->partitions * sizeof *f->group);
    memset(f->group_of_leaf, 0, in->leaves * sizeof *f->group_of_leaf);
    fill_round(f, 1);
}

/* Slots with room by leaf, and the blocks that slots have already. */
static void list_slots(struct fill *f)
{
    const struct number_plan *p = f->p;
    uint32_t used = 0;
    memset(f->at, 0, p->in->leaves * sizeof *f->at);
    for (uint32_t s = 0; s < PLACEMENT_SLOTS; s++)
        if (p->room[s] > 0)
            f->at[p->leaf[s]]++;
    for (uint32_t l = 0; l < p->in->leaves; l++) {
        const uint32_t count = f->at[l];
        f->at[l] = used;
        used += count;
    }
    for (uint32_t s = 0; s < PLACEMENT_SLOTS; s++)
        if (p->room[s] > 0)
            f->slots[f->at[p->leaf[s]]++] = s;
    f->n_slots = used;

    for (uint32_t s = 0; s < PLACEMENT_SLOTS; s++)
        f->first[s] = NUMBER_NONE;
    for (uint32_t b = 0; b < p->in->partitions; b++) {
        if (p->slot[b] == NUMBER_NONE)
            continue;
        f->next[b] = f->first[p->slot[b]];
        f->first[p->slot[b]] = b;
    }
}

enum pr_code number_fill_slots(struct number_plan *p, struct pr_err *err)
{
    const struct placement_graph *g = p->in->ties;
    const size_t n = p->in->partitions, leaves = p->in->leaves;
    const size_t groups = (leaves > p->in->zones ? leaves : p->in->zones) + 2;
    struct fill f = { .p = p };
    f.tie = calloc(n, sizeof *f.tie);
    f.touched = malloc(n * sizeof *f.touched);
    f.scratch = malloc(((size_t)(g == NULL ? 0 : g->degree_max) + 1) * sizeof *f.scratch);
    f.first = malloc(PLACEMENT_SLOTS * sizeof *f.first);
    f.next = malloc(n * sizeof *f.next);
    f.slots = malloc(PLACEMENT_SLOTS * sizeof *f.slots);
    f.group = malloc(n * sizeof *f.group);
    f.group_of_leaf = malloc(leaves * sizeof *f.group_of_leaf);
    f.order = malloc(n * sizeof *f.order);
    f.start = malloc(groups * sizeof *f.start);
    f.at = malloc(groups * sizeof *f.at);
    enum pr_code rc = PR_OK;
    if (f.tie == NULL || f.touched == NULL || f.scratch == NULL || f.first == NULL ||
        f.next == NULL || f.slots == NULL || f.group == NULL || f.group_of_leaf == NULL ||
        f.order == NULL || f.start == NULL || f.at == NULL) {
        rc = pr_fail(err, PR_ENOMEM, "out of memory for the slots of %zu partitions", n);
    } else {
        list_slots(&f);
        fill_rounds(&f);
    }
    void *const all[] = { f.tie,   f.touched, f.scratch,       f.first, f.next, f.slots,
                          f.group, f.order,   f.group_of_leaf, f.start, f.at };
    for (size_t i = 0; i < PR_COUNT(all); i++)
        free(all[i]);
    return rc;
}
