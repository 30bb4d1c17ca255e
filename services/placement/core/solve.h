/* The one decision of placement: which zone for every vertex. A placement that
 * exists is improved; a new one is cut when there is none, or when locality is
 * lost, and kept only when it saves more than its moves cost. The service and
 * the offline command both ask here. Pure; byte-identical whatever the pool. */
#ifndef PLACEMENT_SOLVE_H
#define PLACEMENT_SOLVE_H

#include "core/store.h"
#include "engine/partition.h"

enum placement_mode {
    PLACEMENT_AUTO, /* warm; full when the rule below says so */
    PLACEMENT_WARM, /* never a full run */
    PLACEMENT_FULL  /* always a full run; today still competes */
};
const char *placement_mode_name(enum placement_mode mode);

struct placement_solve_input {
    const struct placement_graph *graph;
    uint32_t zones;      /* 1..PLACEMENT_MAX_ZONES */
    const double *ratio; /* [zones] capacity relative to the others; 0: takes nothing */
    double imbalance;    /* 0..1 above its share that a zone may hold */
    uint64_t seed;
    uint32_t seeds;
    const uint16_t *today; /* [n] zone, or PLACEMENT_FREE (new); NULL: no placement yet */
    const uint16_t *fixed; /* [n] zone, or PLACEMENT_FREE; NULL: all free */
    enum placement_mode mode;
    double move_price; /* >= 0 edge weight that moving one unit of vertex weight must save */
    uint64_t move_cap; /* most vertices moved for the cut's sake */
    double keep_ratio; /* >= 0: a new cut must be better by more than this ratio of it */
    /* AUTO cuts anew when there is no reference, or when warm's cut ratio is
     * above reference_ratio by more than lost_ratio of it. */
    double reference_ratio; /* what the last full run ended with; negative: unknown */
    double lost_ratio;
    struct pr_pool *pool;
    struct placement_watch watch;
};

struct placement_solve_result {
    double share[PLACEMENT_MAX_ZONES];
    uint64_t capacity[PLACEMENT_MAX_ZONES];
    enum placement_mode mode; /* what was taken: PLACEMENT_WARM or PLACEMENT_FULL */
    const char *why;          /* static */
    uint64_t cut;             /* weight of edges between zones, each once */
    uint64_t cut_warm;        /* today, improved; UINT64_MAX: not computed */
    uint64_t cut_full;        /* best new cut; UINT64_MAX: not computed */
    uint64_t seed;            /* of the new cut */
    uint64_t placed, forced;  /* by the warm start: see engine/warm.h */
    bool capped;
};

/* On PR_OK no zone is above its capacity; else zone[n] holds nothing of use.
 * PR_EINVAL, PR_EFULL: refused, the text says why (no capacity, more zones than
 * vertices, a vertex heavier than a zone, fixed vertices that do not fit, ...);
 * PR_ECANCELED; PR_ENOMEM. */
PR_CHECKED enum pr_code placement_solve(const struct placement_solve_input *in, uint16_t *zone,
                                        struct placement_solve_result *out, struct pr_err *err);

/* Share of edge weight that lies between zones when vertices lie anywhere, as
 * often in a zone as its share says: what every placement is to be compared with. */
double placement_random_ratio(const double *share, uint32_t zones);

#endif
