/* What the files of the hierarchy share. */
#ifndef PLACEMENT_HIERARCHY_PRIVATE_H
#define PLACEMENT_HIERARCHY_PRIVATE_H

#include "engine/cut.h"
#include "engine/hierarchy.h"
#include "engine/warm.h"

/* A part of the whole's progress, which only grows. */
struct hierarchy_span {
    const struct placement_watch *watch;
    double from, to;
    double *reached; /* of the whole */
};

struct placement_watch hierarchy_watch(struct hierarchy_span *s);

/* A site at the level above and its children, as one cut. */
struct hierarchy_cell {
    const struct placement_graph *graph; /* of its units */
    uint32_t children;
    const uint64_t *capacity; /* [children] most they may ever hold */
    uint64_t *limit;          /* [children] scratch */
    uint32_t depth;           /* levels from the children to the leaves, 1: they are leaves */
    const uint16_t *today;    /* [graph->n] child or PLACEMENT_FREE; NULL: none */
    const uint16_t *fixed;    /* [graph->n] child or PLACEMENT_FREE; NULL: none */
    const uint32_t *changed;  /* [n_changed]; NULL: unknown */
    uint32_t n_changed;
    uint64_t moves; /* left of the cap */
    struct placement_watch watch;
};

/* Fresh: children named so that little moves. PR_EFULL: not fitted. */
PR_CHECKED enum pr_code hierarchy_cell_fresh(const struct placement_hierarchy_input *in,
                                             const struct hierarchy_cell *c, uint16_t *block,
                                             struct pr_err *err);

PR_CHECKED enum pr_code hierarchy_cell_warm(const struct placement_hierarchy_input *in,
                                            const struct hierarchy_cell *c, uint16_t *block,
                                            struct placement_warm_result *out, struct pr_err *err);

/* Renames blocks so that the most weight stays where it is today among
 * namings in which every block fits; blocks with pins keep their names. */
PR_CHECKED enum pr_code hierarchy_name(const struct hierarchy_cell *c, uint16_t *block,
                                       struct pr_err *err);

#endif
