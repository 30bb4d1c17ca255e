/* Why a vertex is where it is. Pure. */
#ifndef PLACEMENT_EXPLAIN_H
#define PLACEMENT_EXPLAIN_H

#include "core/store.h"

#include <stdint.h>

/* What is known of a vertex and of the zones; no graph: its own edges suffice. */
struct placement_explain_input {
    uint32_t zones;
    const uint64_t *tie;      /* [zones] weight of the vertex's edges into each zone */
    const uint64_t *load;     /* [zones] vertex weight in each zone, the vertex's own counted */
    const uint64_t *capacity; /* [zones] */
    uint64_t weight;          /* of the vertex */
    uint16_t zone;            /* as placed */
};

struct placement_explanation {
    uint16_t zone, preferred; /* preferred: most edge weight, capacity aside */
    uint64_t gain;            /* edge weight no longer cut if it moved to preferred */
    const char *why;          /* static */
};

void placement_explain(const struct placement_explain_input *in, struct placement_explanation *out);

#endif
