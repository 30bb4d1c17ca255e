/* The tree and the units of a solve, checked and made ready. */
#ifndef PLACEMENT_HIERARCHY_TREE_H
#define PLACEMENT_HIERARCHY_TREE_H

#include "engine/hierarchy_private.h"

/* A level: whose child each site is, and what is placed where. */
struct hierarchy_level {
    uint32_t sites, parents; /* parents: sites of the level above, 1 above level 0 */
    uint64_t *capacity;      /* [sites] of its leaves together */
    uint32_t *begin;         /* [parents + 1] into child; one more while it is made */
    uint16_t *child;         /* [sites] by parent; those without leaves are left out */
    uint16_t *rank;          /* [sites] among the children of its parent */
    uint16_t *parent;        /* [sites] */
    uint16_t *today, *fixed; /* [units] site or PLACEMENT_FREE; NULL: none */
    uint16_t *site;          /* [units] what is solved */
};

struct hierarchy_tree {
    const struct placement_hierarchy_input *in;
    uint32_t levels;
    struct hierarchy_level level[PLACEMENT_MAX_LEVELS];
    struct placement_graph owned;        /* of units, where slots join partitions */
    const struct placement_graph *graph; /* of units */
    uint32_t *unit;                      /* [partitions]; NULL: each is one */
    bool *changed;                       /* [units]; NULL: unknown */
};

/* PR_EINVAL, PR_ENOMEM as placement_hierarchy_solve; hierarchy_tree_done frees
 * it in any case. */
PR_CHECKED enum pr_code hierarchy_tree_init(struct hierarchy_tree *t,
                                            const struct placement_hierarchy_input *in,
                                            struct pr_err *err);
void hierarchy_tree_done(struct hierarchy_tree *t);

/* begin (zeroed, [parents + 2]), child and rank from parent; has: sites to list,
 * NULL: all. */
void hierarchy_list_children(struct hierarchy_level *v, const bool *has);

static inline uint32_t hierarchy_unit(const struct hierarchy_tree *t, uint32_t partition)
{
    return t->unit == NULL ? partition : t->unit[partition];
}

#endif
