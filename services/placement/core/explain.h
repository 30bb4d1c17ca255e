/* Why a vertex is where it is. Pure. */
#ifndef PLACEMENT_EXPLAIN_H
#define PLACEMENT_EXPLAIN_H

#include "core/graph.h"
#include "core/store.h"

#include <stdint.h>

struct placement_explain_input {
    const struct placement_graph *graph;
    const uint16_t *zone; /* [n] as placed */
    uint32_t zones;
    const uint64_t *vertices; /* [zones] load of each zone */
    const uint64_t *capacity; /* [zones] */
    uint32_t v;
};

struct placement_explanation {
    uint64_t tie[PLACEMENT_MAX_ZONES]; /* [zones] weight of edges into each zone */
    uint16_t zone, preferred;          /* preferred: most weight, capacity aside */
    int64_t gain;    /* edge weight no longer cut if it moved to preferred; 0 or more */
    const char *why; /* static */
};

void placement_explain(const struct placement_explain_input *in, struct placement_explanation *out);

#endif
