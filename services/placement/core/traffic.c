#include "core/traffic.h"

#include "prism/slot.h"
#include "prism/traffic.h"

#include <stdlib.h>

enum { GRAIN = 4096 };

uint32_t placement_blocks(const uint16_t *zone_of_shard, uint32_t shards, uint32_t zones,
                          uint16_t *block_of)
{
    uint32_t taken[PR_TRAFFIC_BLOCKS] = { 0 };
    const uint32_t each = PR_TRAFFIC_BLOCKS / zones;
    for (uint32_t s = 0; s < shards; s++) {
        const uint16_t z = zone_of_shard[s];
        block_of[s] = (uint16_t)(shards <= PR_TRAFFIC_BLOCKS ? s : z * each + taken[z]++ % each);
    }
    return shards <= PR_TRAFFIC_BLOCKS ? shards : zones * each;
}

struct counting {
    const struct placement_graph *g;
    const uint32_t *partition;
    uint16_t *slot_of;  /* [partitions] */
    uint16_t *block_of; /* [PR_SLOTS] */
    uint64_t *weight;   /* [PR_SLOTS][blocks + 1]: self, then to each block */
    uint32_t blocks;
    uint32_t *row; /* [workers][degree_max + 1] of coded graphs, else NULL */
};

/* One table for all workers: whole numbers, so their sum does not depend on who adds. */
static void count_chunk(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    const struct counting *c = ctx;
    uint32_t *scratch =
        c->row == NULL ? NULL : c->row + (size_t)worker * ((size_t)c->g->degree_max + 1);
    for (uint32_t v = (uint32_t)begin; v < end; v++) {
        const struct placement_row row = placement_row(c->g, v, scratch);
        const uint16_t from = c->slot_of[c->partition[v]];
        uint64_t *sum = c->weight + (size_t)from * (c->blocks + 1);
        for (uint32_t i = 0; i < row.n; i++) {
            const uint16_t to = c->slot_of[c->partition[row.to[i]]];
            const uint32_t at = to == from ? 0 : 1 + c->block_of[to];
            __atomic_fetch_add(&sum[at], placement_arc_weight(&row, i), __ATOMIC_RELAXED);
        }
    }
}

static void write_rows(const struct counting *c, struct pr_buf *out)
{
    pr_traffic_begin(out, c->blocks);
    for (uint32_t s = 0; s < PR_SLOTS; s++) {
        const uint64_t *sum = c->weight + (size_t)s * (c->blocks + 1);
        struct pr_traffic_row row = { .slot = (uint16_t)s,
                                      .block = c->block_of[s],
                                      .self = (double)sum[0] };
        uint64_t any = sum[0];
        for (uint32_t b = 0; b < c->blocks; b++) {
            row.to[b] = (double)sum[b + 1];
            any |= sum[b + 1];
        }
        if (any != 0)
            pr_traffic_add(out, &row, c->blocks);
    }
}

enum pr_code placement_traffic(const struct placement_graph *g, const struct placement_store *store,
                               const uint32_t *partition, struct pr_pool *pool, struct pr_buf *out,
                               struct pr_err *err)
{
    struct counting c = {
        .g = g,
        .partition = partition,
        .blocks = store->blocks,
        .slot_of = malloc(store->partitions * sizeof *c.slot_of),
        .block_of = calloc(PR_SLOTS, sizeof *c.block_of),
        .weight = calloc((size_t)PR_SLOTS * (store->blocks + 1), sizeof *c.weight),
        .row = g->coded == NULL
                   ? NULL
                   : malloc(pr_pool_threads(pool) * ((size_t)g->degree_max + 1) * sizeof *c.row),
    };
    const bool ok = c.slot_of != NULL && c.block_of != NULL && c.weight != NULL &&
                    (c.row != NULL || g->coded == NULL);
    for (uint32_t p = 0; ok && p < store->partitions; p++) {
        c.slot_of[p] = pr_partition_slot(p);
        c.block_of[c.slot_of[p]] = store->block_of[p];
    }
    if (ok) {
        pr_pool_for(pool, g->n, GRAIN, count_chunk, &c);
        write_rows(&c, out);
    }
    free(c.slot_of);
    free(c.block_of);
    free(c.weight);
    free(c.row);
    return ok && !out->failed ? PR_OK : pr_fail(err, PR_ENOMEM, "out of memory for the traffic");
}
