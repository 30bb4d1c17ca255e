/* Partitions within zones: made anew, or kept where vertices stay in their
 * zone. Pure; byte-identical whatever the pool. */
#ifndef PLACEMENT_PARTS_H
#define PLACEMENT_PARTS_H

#include "core/store.h"
#include "engine/partition.h"

struct placement_parts_input {
    const struct placement_graph *graph;
    const uint16_t *zone; /* [n] wanted */
    uint32_t zones, parts;
    double imbalance; /* how far above its even share of the zone a part may be */
    /* Today's parts, all below parts; UINT32_MAX: none. A part's zone is the one
     * that most of its weight is in. NULL: make them anew. */
    const uint32_t *today; /* [n] */
    uint64_t seed;
    uint32_t seeds;
    struct pr_pool *pool;
    struct placement_watch watch;
};

struct placement_parts_result {
    bool kept;         /* today's parts were kept: only vertices that must changed theirs */
    bool stretched;    /* vertices too heavy for it: a part is above its limit */
    uint64_t cut;      /* weight of edges between parts */
    uint64_t heaviest; /* vertex weight of a part */
    double imbalance;  /* heaviest over the even share of all parts, less 1 */
};

/* part[n] below parts, each part in one zone; nothing of use but on PR_OK. With
 * today's parts a vertex keeps its own when that is in its zone, else it joins
 * the part of its zone that it is tied to most and that has room, or the
 * lightest; and parts above their limit lose the vertices least tied to them.
 * When a quarter of all weight is beyond the limits (there are more parts than
 * before, say), or a zone has far too few parts, they are made anew.
 * PR_EINVAL: fewer parts than zones in use; PR_ECANCELED; PR_ENOMEM. */
PR_CHECKED enum pr_code placement_parts(const struct placement_parts_input *in, uint32_t *part,
                                        struct placement_parts_result *out, struct pr_err *err);

/* Bytes that a call takes beside the graph, part[n] included (an estimate from
 * above). share: of the graph that is in the largest zone. */
uint64_t placement_parts_bytes(const struct placement_graph *g, double share, uint32_t parts,
                               unsigned threads);

#endif
