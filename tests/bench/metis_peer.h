/* METIS (libmetis 5.1, multilevel k-way) as a peer to compare with; never part
 * of what ships. Not for two threads at once: METIS draws from rand(). */
#ifndef PRISM_METIS_PEER_H
#define PRISM_METIS_PEER_H

#include "core/graph.h"

struct metis_peer_input {
    const struct placement_graph *graph; /* plain rows */
    uint32_t blocks;
    const uint64_t *capacity; /* [blocks] > 0: shares in proportion; what exceeds the graph's
                                 weight is the allowed imbalance, which METIS does not
                                 always keep */
    uint64_t seed;
};

/* seconds (may be NULL): of METIS alone. PR_EINVAL: gap-coded rows, no
 * vertices; PR_EFULL: beyond METIS's 32-bit numbers (2^31 - 1 arcs, as much for
 * the sum of all arc or vertex weights); PR_ENOMEM. */
PR_CHECKED enum pr_code metis_peer(const struct metis_peer_input *in, uint16_t *block,
                                   double *seconds, struct pr_err *err);
const char *metis_peer_version(void);

#endif
