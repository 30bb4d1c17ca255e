/* Shared by the parts of the builder: holding edges (build.c), numbering
 * vertices (build_ids.c), rows (build_rows.c), sorting them (build_sort.c). */
#ifndef PLACEMENT_BUILD_INTERNAL_H
#define PLACEMENT_BUILD_INTERNAL_H

#include "core/build.h"

#include <stdbool.h>

/* Edges come in runs, so that a longer list never means copying it. The last
 * runs are above malloc's largest mmap threshold: freed, they are the system's
 * again, before the full rows are made. */
enum { FIRST_RUN_EDGES = 1 << 12, RUN_EDGES = (1 << 22) + (1 << 10) };

struct edge_run {
    uint32_t *pair;   /* [2 * cap] ids, or numbers in the map */
    uint32_t *weight; /* [cap]; NULL: all 1 */
    size_t n, cap;
};

/* Ids too large for 32 bits, numbered in the order in which they came. */
struct id_map {
    uint64_t *id;   /* [n] */
    uint32_t *slot; /* [cap] number or UINT32_MAX */
    size_t n, id_cap, cap;
};
PR_CHECKED enum pr_code id_map_number(struct id_map *m, uint64_t id, uint32_t *number,
                                      struct pr_err *err);
void id_map_done(struct id_map *m);

struct placement_builder {
    struct placement_build_opts opts;
    struct edge_run *run; /* [runs] */
    size_t runs, run_cap;
    uint64_t edges;
    uint32_t *vertex;        /* [vertices] named apart from edges; id, or number in the map */
    uint64_t *vertex_weight; /* [vertices]; NULL: all 1 */
    size_t vertices, vertex_cap;
    uint32_t max_id; /* while not mapped */
    bool weighted, mapped;
    struct id_map map;
    uint64_t file_edges; /* how many the file has, by what was read of it; 0: unknown */
};

/* 64 ids; together, because each look-up wants both. */
struct id_word {
    uint64_t bits;   /* which exist */
    uint32_t before; /* how many exist below these 64 */
};

/* From what is held (an id, or a number in the map) to a vertex. */
struct numbering {
    uint32_t n;
    uint64_t *id;         /* [n] ascending; NULL: v itself */
    struct id_word *word; /* of 64 ids each; NULL without gaps, and when mapped */
    uint32_t *rank;       /* of a number in the map; NULL: not mapped */
};

/* Compilers make a call of it where no instruction is sure to exist. */
static inline uint32_t count_bits(uint64_t x)
{
    x -= x >> 1 & UINT64_C(0x5555555555555555);
    x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
    x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (uint32_t)((x * UINT64_C(0x0101010101010101)) >> 56);
}

static inline uint32_t numbering_of(const struct numbering *nb, uint32_t held)
{
    if (nb->rank != NULL)
        return nb->rank[held];
    if (nb->word == NULL)
        return held;
    const struct id_word *const w = &nb->word[held / 64];
    return w->before + count_bits(w->bits & ((UINT64_C(1) << held % 64) - 1));
}

/* A cut of the list that one worker takes. */
struct edge_piece {
    uint32_t *pair;
    const uint32_t *weight;
    size_t n;
};
struct edge_pieces {
    struct edge_piece *piece;
    size_t n;
};

PR_CHECKED enum pr_code builder_number(struct placement_builder *b, const struct edge_pieces *list,
                                       struct numbering *out, struct pr_err *err);
void numbering_done(struct numbering *nb);
PR_CHECKED enum pr_code builder_translate(struct placement_builder *b, struct pr_err *err);
PR_CHECKED enum pr_code builder_check_budget(const struct placement_builder *b, uint64_t vertices,
                                             bool weighted, struct pr_err *err);
void builder_drop_edges(struct placement_builder *b);

/* Rows of g (start, to, weight, arcs, degree_max, sums) from the list, which it
 * frees on the way. g->n is set. */
PR_CHECKED enum pr_code builder_rows(struct placement_builder *b, struct edge_pieces *list,
                                     const struct numbering *nb, struct placement_graph *g,
                                     struct pr_err *err);

/* Sorts by to; weight may be NULL. limit: every entry is below it. True when
 * some entry stands there twice. */
bool row_sort(uint32_t *to, uint32_t *weight, size_t n, uint32_t limit);

/* Calls fn as pr_pool_for does, in slices between which it asks the watch;
 * done goes from *done by share. */
struct build_pass {
    struct placement_builder *b;
    double done;
};
PR_CHECKED enum pr_code build_pass_run(struct build_pass *p, double share, uint64_t n,
                                       uint64_t grain, uint64_t slice,
                                       void (*fn)(void *, unsigned, uint64_t, uint64_t), void *ctx,
                                       struct pr_err *err);

/* Calls fn for every range of rows, 0 .. ranges - 1, with all of [0, n) in slices:
 * each row is one worker's alone. */
PR_CHECKED enum pr_code build_pass_ranges(struct build_pass *p, double share, unsigned ranges,
                                          uint64_t n, uint64_t slice,
                                          void (*fn)(void *, unsigned, uint64_t, uint64_t),
                                          void *ctx, struct pr_err *err);

#endif
