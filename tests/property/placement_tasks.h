/* Things to cut for property tests of the partitioner, and what must hold of
 * every cut. PRISM_SEED repeats a failed run. */
#ifndef PLACEMENT_TASKS_H
#define PLACEMENT_TASKS_H

#include "placement_graphs.h"

#include "engine/partition.h"

enum { MOST_THREADS = 4 };
extern struct pr_pool *pools[MOST_THREADS + 1]; /* [threads] */
extern uint64_t seed;
/* Of the group: seed, told, and pools. */
int tasks_set_up(void **state);
int tasks_tear_down(void **state);

/* One thing to cut. */
struct task {
    struct graph_look look;
    struct placement_graph g;
    uint32_t blocks;
    uint64_t *capacity;
    uint16_t *fixed; /* or NULL */
    uint64_t seed;
    bool must_fit; /* a way to fit them exists, and every simple one finds it */
};

/* Any kind of graph, capacities that fit, perhaps fixed vertices. */
void random_task(struct task *t, struct pr_rng *rng, uint32_t most_vertices);
void task_done(struct task *t);
const char *words(const struct task *t); /* for messages; valid until the next call */

uint16_t *blocks_of(const struct task *t); /* [n + 1], malloced */
enum pr_code cut_task(const struct task *t, struct pr_pool *pool, uint32_t seeds, uint16_t *block,
                      struct placement_partition_result *r, struct pr_err *err);
/* Of plain rows, read here. */
uint64_t cut_by_hand(const struct placement_graph *g, const uint16_t *block);
/* Every vertex in a block, none overfull, fixed where they are, the cut as said
 * (gap-coded graphs aside). */
void check_cut(const struct task *t, const uint16_t *block, uint64_t cut);
/* Cut and checked; false when it was refused, as it may be. */
bool cut_well(const struct task *t, uint16_t *block, struct placement_partition_result *r);

#endif
