/* What the files of placement_number share. */
#ifndef PLACEMENT_NUMBER_PRIVATE_H
#define PLACEMENT_NUMBER_PRIVATE_H

#include "engine/number.h"
#include "engine/partition.h" /* PLACEMENT_FREE */

#include <stdbool.h>

#define NUMBER_NONE UINT32_MAX

struct number_plan {
    const struct placement_number_input *in;
    uint32_t *size;                   /* [PLACEMENT_SLOTS] numbers of a slot */
    uint16_t *leaf;                   /* [PLACEMENT_SLOTS] of a slot, as planned */
    uint32_t *room;                   /* [PLACEMENT_SLOTS] numbers without a block */
    uint32_t *slot;                   /* [partitions] of a block, NUMBER_NONE */
    uint32_t *block;                  /* [partitions] of a number, NUMBER_NONE */
    uint32_t *number;                 /* [partitions] of a block, NUMBER_NONE; the caller's */
    struct placement_overlap *sorted; /* [overlaps] the heaviest first */
};

/* Zone of a slot as planned; in->zones when it has no node. */
static inline uint32_t number_zone_of_slot(const struct number_plan *p, uint32_t slot)
{
    return p->leaf[slot] == PLACEMENT_FREE ? p->in->zones : p->in->zone_of_leaf[p->leaf[slot]];
}

/* Changes p->leaf until every zone has a number for each of its blocks, if
 * slots can be divided so. PR_EINVAL, PR_ENOMEM. */
PR_CHECKED enum pr_code number_plan_slots(struct number_plan *p,
                                          struct placement_number_result *out, struct pr_err *err);

/* Gives every block without a slot one with room. PR_ENOMEM. */
PR_CHECKED enum pr_code number_fill_slots(struct number_plan *p, struct pr_err *err);

#endif
