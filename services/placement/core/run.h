/* One placement from graph and store to target routes and figures. Pure: no
 * I/O, clock or randomness but the seed. */
#ifndef PLACEMENT_RUN_H
#define PLACEMENT_RUN_H

#include "core/assign.h"
#include "core/report.h"
#include "core/solve.h"
#include "core/store.h"

#include <stdbool.h>
#include <stdint.h>

/* In this order; READ, STORE and WRITE are the shell's. */
enum placement_phase {
    PLACEMENT_READ,
    PLACEMENT_BUILD,
    PLACEMENT_CUT,
    PLACEMENT_ASSIGN,
    PLACEMENT_REPORT,
    PLACEMENT_WRITE,
    PLACEMENT_PHASES
};
const char *placement_phase_name(enum placement_phase p);
/* Progress of the whole run when `done` (0..1) of a phase is; only grows. */
double placement_progress(enum placement_phase p, double done);

enum { PLACEMENT_MAX_SEEDS = 16 };

struct placement_params {
    uint64_t seed;
    uint32_t seeds;           /* 1..PLACEMENT_MAX_SEEDS tries, seed, seed + 1, ...; the best is
                                 kept */
    double imbalance;         /* see placement_capacity */
    enum placement_mode mode; /* these: see core/solve.h */
    double keep_ratio;        /* 0..1 */
    double move_price, lost_ratio, reference_ratio;
    uint64_t move_cap;
    bool by_locality; /* partitions too: see core/locality.h; else as core/assign.h says */
};

struct placement_input {
    const struct placement_graph *graph;
    const struct placement_store *store;
    const struct placement_today *today;
    const uint16_t *fixed; /* [n] zone of the store, or PLACEMENT_FREE; NULL: all free */
    struct placement_params params;
    struct pr_pool *pool; /* may be NULL */
    /* Called as work advances; false: stop (PR_ECANCELED). May be NULL. */
    bool (*go_on)(void *ctx, enum placement_phase phase, double done);
    void *ctx;
};

struct placement_result {
    uint16_t *zone;      /* [n] wanted */
    uint32_t *partition; /* [n] wanted */
    uint32_t *current;   /* [n] today */
    uint32_t *load;      /* [partitions] vertices */
    struct placement_targets targets;
    struct placement_solve_result solved; /* which way was taken, and why */
    struct placement_figures before, after;
    uint64_t moves;        /* vertices whose wanted partition is not today's */
    uint64_t zone_moves;   /* of those, to another zone */
    uint64_t moved_weight; /* vertex weight of moves */
};

/* What today's placement is worth on the graph, and nothing else: fills before,
 * and share and capacity of solved. Errors as placement_compute. */
PR_CHECKED enum pr_code placement_measure(const struct placement_input *in,
                                          struct placement_result *out, struct pr_err *err);

/* PR_EINVAL, PR_EFULL: refused, the text says why; PR_ECANCELED; PR_ENOMEM.
 * *out is written only on PR_OK; placement_result_done frees it. */
PR_CHECKED enum pr_code placement_compute(const struct placement_input *in,
                                          struct placement_result *out, struct pr_err *err);
void placement_result_done(struct placement_result *r);

#endif
