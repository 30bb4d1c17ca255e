/* What a plan has to move: the difference between where vertices are and where
 * a placement run wants them. Pure.
 * Source: docs/reference/data-plane.md (routes), services/rebalance/README.md. */
#ifndef REBALANCE_DIFF_H
#define REBALANCE_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rebalance_reason {
    REBALANCE_TO_NEIGHBOURS, /* leaves its hash home for the partition that the run chose */
    REBALANCE_ONWARD,        /* was moved before, the run now wants it elsewhere */
    REBALANCE_TO_HOME,       /* was moved before, the run wants it at its hash home */
    REBALANCE_REASONS
};
const char *rebalance_reason_name(enum rebalance_reason r);

/* Packed routes (prism/routes.h) of one home partition; borrowed. */
struct rebalance_blob {
    const void *data;
    size_t bytes;
};

typedef void rebalance_move_fn(void *ctx, uint64_t hash, uint32_t from, uint32_t to,
                               enum rebalance_reason why);
/* Calls fn once for every vertex hash whose partition in `current` and `target`
 * differ, in the order of hashes; what is listed in neither stays at home. */
void rebalance_diff(struct rebalance_blob current, struct rebalance_blob target, uint32_t home,
                    rebalance_move_fn *fn, void *ctx);

/* Where partitions are: indexes into the caller's lists of nodes and zones. */
struct rebalance_sites {
    const uint16_t *node_of_slot;   /* [16384] */
    const uint16_t *zone_of_node;   /* [nodes] */
    const double *bytes_per_vertex; /* [nodes], measured mean */
    size_t nodes, zones;
    uint32_t partitions;
};

struct rebalance_counts { /* what rebalance_count adds up */
    const struct rebalance_sites *sites;
    uint64_t vertices, by_reason[REBALANCE_REASONS];
    uint64_t *by_node; /* [nodes x nodes], source major; owned by the caller */
    uint64_t *by_zone; /* [zones x zones] */
    double bytes, cross_zone_bytes;
};
/* A rebalance_move_fn; ctx is a struct rebalance_counts. */
rebalance_move_fn rebalance_count;

#endif
