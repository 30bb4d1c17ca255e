#include "engine/number_private.h"

#include <stdlib.h>
#include <string.h>

static enum pr_code check_blocks(const struct placement_number_input *in, struct pr_err *err)
{
    for (uint32_t b = 0; b < in->partitions; b++) {
        if (in->slot[b] >= PLACEMENT_SLOTS)
            return pr_fail(err, PR_EINVAL, "partition %u: no slot %u", b, in->slot[b]);
        if (in->weight[b] == 0)
            continue;
        if (in->zone[b] >= in->zones)
            return pr_fail(err, PR_EINVAL, "block %u: zone %u of %u", b, in->zone[b], in->zones);
        if (in->leaf == NULL || in->leaf[b] == PLACEMENT_FREE)
            continue;
        if (in->leaf[b] >= in->leaves || in->zone_of_leaf[in->leaf[b]] != in->zone[b])
            return pr_fail(err, PR_EINVAL, "block %u: node %u is not in its zone %u", b,
                           in->leaf[b], in->zone[b]);
    }
    return PR_OK;
}

static enum pr_code check(const struct placement_number_input *in, struct pr_err *err)
{
    if (in->partitions == 0 || in->leaves == 0 || in->zones == 0 ||
        in->leaves > PLACEMENT_MAX_LEAVES)
        return pr_fail(err, PR_EINVAL, "%u partitions, %u nodes, %u zones to number",
                       in->partitions, in->leaves, in->zones);
    if (!(in->keep_ratio >= 0 && in->keep_ratio <= 1))
        return pr_fail(err, PR_EINVAL, "keep ratio %g is outside 0..1", in->keep_ratio);
    if (in->ties != NULL && in->ties->n != in->partitions)
        return pr_fail(err, PR_EINVAL, "ties of %u blocks for %u partitions", in->ties->n,
                       in->partitions);
    for (uint32_t l = 0; l < in->leaves; l++)
        if (in->zone_of_leaf[l] >= in->zones)
            return pr_fail(err, PR_EINVAL, "node %u: zone %u of %u", l, in->zone_of_leaf[l],
                           in->zones);
    for (uint32_t s = 0; s < PLACEMENT_SLOTS; s++)
        if (in->leaf_of_slot[s] != PLACEMENT_FREE && in->leaf_of_slot[s] >= in->leaves)
            return pr_fail(err, PR_EINVAL, "slot %u: node %u of %u", s, in->leaf_of_slot[s],
                           in->leaves);
    for (size_t i = 0; i < in->overlaps; i++)
        if (in->overlap[i].block >= in->partitions || in->overlap[i].number >= in->partitions)
            return pr_fail(err, PR_EINVAL, "overlap of block %u and partition %u of %u",
                           in->overlap[i].block, in->overlap[i].number, in->partitions);
    return check_blocks(in, err);
}

static int heaviest_first(const void *a, const void *b)
{
    const struct placement_overlap *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    if (x->block != y->block)
        return x->block < y->block ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static enum pr_code plan_init(struct number_plan *p, uint32_t *number, struct pr_err *err)
{
    const struct placement_number_input *in = p->in;
    const size_t n = in->partitions;
    p->number = number;
    p->size = calloc(PLACEMENT_SLOTS, sizeof *p->size);
    p->leaf = malloc(PLACEMENT_SLOTS * sizeof *p->leaf);
    p->room = malloc(PLACEMENT_SLOTS * sizeof *p->room);
    p->slot = malloc(n * sizeof *p->slot);
    p->block = malloc(n * sizeof *p->block);
    p->sorted = malloc((in->overlaps + 1) * sizeof *p->sorted);
    if (p->size == NULL || p->leaf == NULL || p->room == NULL || p->slot == NULL ||
        p->block == NULL || p->sorted == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory to number %zu partitions", n);
    for (uint32_t q = 0; q < in->partitions; q++)
        p->size[in->slot[q]]++;
    memcpy(p->leaf, in->leaf_of_slot, PLACEMENT_SLOTS * sizeof *p->leaf);
    memcpy(p->room, p->size, PLACEMENT_SLOTS * sizeof *p->room);
    memset(p->slot, 0xff, n * sizeof *p->slot);
    memset(p->block, 0xff, n * sizeof *p->block);
    memset(p->number, 0xff, n * sizeof *p->number);
    if (in->overlaps > 0)
        memcpy(p->sorted, in->overlap, in->overlaps * sizeof *p->sorted);
    qsort(p->sorted, in->overlaps, sizeof *p->sorted, heaviest_first);
    return PR_OK;
}

static void plan_done(struct number_plan *p)
{
    free(p->size);
    free(p->leaf);
    free(p->room);
    free(p->slot);
    free(p->block);
    free(p->sorted);
}

static bool in_zone(const struct number_plan *p, uint32_t block, uint32_t slot)
{
    return p->in->weight[block] == 0 || number_zone_of_slot(p, slot) == p->in->zone[block];
}

static void settle(struct number_plan *p, uint32_t block, uint32_t number)
{
    p->block[number] = block;
    p->number[block] = number;
}

/* The blocks that keep a number, the heaviest overlap first. */
static void keep(struct number_plan *p)
{
    for (size_t i = 0; i < p->in->overlaps; i++) {
        const struct placement_overlap *o = &p->sorted[i];
        const uint32_t slot = p->in->slot[o->number];
        if (p->in->weight[o->block] == 0 || p->number[o->block] != NUMBER_NONE ||
            p->block[o->number] != NUMBER_NONE || !in_zone(p, o->block, slot) ||
            (double)o->weight < p->in->keep_ratio * (double)p->in->weight[o->block])
            continue;
        settle(p, o->block, o->number);
        p->slot[o->block] = slot;
        p->room[slot]--;
    }
}

/* Numbers of a slot to the blocks in it. Which of them a block gets is all the
 * same to the ties, so lesser overlaps count too. */
static void number_in_slots(struct number_plan *p, uint32_t *next)
{
    const struct placement_number_input *in = p->in;
    for (size_t i = 0; i < in->overlaps; i++) {
        const struct placement_overlap *o = &p->sorted[i];
        if (p->number[o->block] == NUMBER_NONE && p->block[o->number] == NUMBER_NONE &&
            p->slot[o->block] == in->slot[o->number])
            settle(p, o->block, o->number);
    }
    /* next: a list of the numbers left of each slot, the least first; room is spent. */
    for (uint32_t s = 0; s < PLACEMENT_SLOTS; s++)
        p->room[s] = NUMBER_NONE;
    for (uint32_t q = in->partitions; q-- > 0;) {
        if (p->block[q] != NUMBER_NONE)
            continue;
        next[q] = p->room[in->slot[q]];
        p->room[in->slot[q]] = q;
    }
    for (uint32_t b = 0; b < in->partitions; b++) {
        if (p->number[b] != NUMBER_NONE)
            continue;
        const uint32_t q = p->room[p->slot[b]];
        p->room[p->slot[b]] = next[q];
        settle(p, b, q);
    }
}

static void add_up(const struct number_plan *p, struct placement_number_result *out)
{
    const struct placement_number_input *in = p->in;
    for (size_t i = 0; i < in->overlaps; i++)
        if (p->number[in->overlap[i].block] == in->overlap[i].number)
            out->kept_weight += in->overlap[i].weight;
    for (uint32_t b = 0; b < in->partitions; b++) {
        const bool astray = !in_zone(p, b, p->slot[b]);
        out->misplaced += astray;
        out->misplaced_weight += astray ? in->weight[b] : 0;
        out->in_wished_leaf +=
            in->leaf != NULL && in->weight[b] > 0 && in->leaf[b] == p->leaf[p->slot[b]];
    }
}

enum pr_code placement_number(const struct placement_number_input *in, uint32_t *number,
                              uint16_t *leaf_of_slot, struct placement_number_result *out,
                              struct pr_err *err)
{
    struct number_plan p = { .in = in };
    struct placement_number_result r = { .slots_moved = 0 };
    uint32_t *spare = NULL;
    enum pr_code rc = check(in, err);
    if (rc == PR_OK) {
        spare = malloc(2 * (size_t)in->partitions * sizeof *spare);
        if (spare == NULL)
            rc = pr_fail(err, PR_ENOMEM, "out of memory to number %u partitions", in->partitions);
    }
    if (rc == PR_OK)
        rc = plan_init(&p, spare, err);
    if (rc == PR_OK)
        rc = number_plan_slots(&p, &r, err);
    if (rc == PR_OK) {
        keep(&p);
        rc = number_fill_slots(&p, err);
    }
    if (rc == PR_OK) {
        number_in_slots(&p, spare + in->partitions);
        add_up(&p, &r);
        memcpy(number, p.number, in->partitions * sizeof *number);
        memcpy(leaf_of_slot, p.leaf, PLACEMENT_SLOTS * sizeof *leaf_of_slot);
        *out = r;
    }
    free(spare);
    plan_done(&p);
    return rc;
}
