/* Which block of a cut becomes which partition number. A number's Redis slot
 * is given (its hash tag), and a slot lives on one node, so numbers that share
 * a slot are a unit: they cannot part. Pure; docs/explanation/placement.md. */
#ifndef PLACEMENT_NUMBER_H
#define PLACEMENT_NUMBER_H

#include "core/graph.h"

enum { PLACEMENT_SLOTS = 16384, PLACEMENT_MAX_LEAVES = 65000 };

/* Vertex weight of a block that is in the partition of this number today. */
struct placement_overlap {
    uint32_t block, number;
    uint64_t weight;
};

struct placement_number_input {
    uint32_t partitions;          /* blocks, and numbers: P of the store */
    const uint16_t *slot;         /* [partitions] slot of a number (pr_partition_slot) */
    const uint16_t *leaf_of_slot; /* [PLACEMENT_SLOTS] node today; PLACEMENT_FREE: unowned */
    uint32_t leaves, zones;
    const uint16_t *zone_of_leaf; /* [leaves] */

    const uint64_t *weight; /* [partitions] vertex weight of a block; one of 0 goes anywhere */
    const uint16_t *zone;   /* [partitions] of a block; read where it weighs something */
    const uint16_t *leaf;   /* [partitions] wished for, in the block's zone, or PLACEMENT_FREE;
                               NULL: no wishes */
    const struct placement_graph *ties;      /* between blocks: who should share a slot. NULL: those
                                                with numbers near each other */
    const struct placement_overlap *overlap; /* [overlaps] each pair once, any order */
    size_t overlaps;
    double keep_ratio; /* a block keeps a number for its vertices' sake when at least this much
                          of its weight is there; 0..1. Below, ties decide, and overlaps only
                          among the numbers of a slot */
};

struct placement_number_result {
    uint32_t slots_moved;      /* slots that change zone, or had no node */
    uint32_t numbers_moved;    /* numbers in them */
    uint64_t kept_weight;      /* vertex weight whose partition number stays */
    uint32_t in_wished_leaf;   /* blocks */
    uint32_t misplaced;        /* blocks whose number is in another zone than theirs: only when */
    uint64_t misplaced_weight; /* slots cannot be divided to fit the zones' counts of blocks */
};

/* number[partitions]: a permutation; leaf_of_slot[PLACEMENT_SLOTS]: where slots
 * must be for it, equal to in->leaf_of_slot but for slots_moved of them. A slot
 * changes zone only when a zone has fewer numbers than blocks, and then those
 * that hold least of what stays in their zone. Moving slots within a zone is
 * left to placement_hierarchy_solve on the numbered partitions.
 * Both are written only on PR_OK. PR_EINVAL: an index out of range, a zone with
 * blocks and no leaf; PR_ENOMEM. */
PR_CHECKED enum pr_code placement_number(const struct placement_number_input *in, uint32_t *number,
                                         uint16_t *leaf_of_slot,
                                         struct placement_number_result *out, struct pr_err *err);

#endif
