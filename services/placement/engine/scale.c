#include "engine/scale.h"

#include <stdlib.h>

enum { MOST = INT32_MAX };

enum pr_code placement_scaled(const struct placement_graph *g, struct placement_graph *out,
                              struct pr_err *err)
{
    unsigned shift = 0;
    *out = *g;
    if (g->weight_sum <= MOST || g->weight == NULL)
        return PR_OK;
    while ((g->weight_sum >> shift) + g->arcs / 2 > MOST && shift < 32)
        shift++;
    out->weight = malloc((g->arcs + 1) * sizeof *out->weight);
    if (out->weight == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for %llu edge weights",
                       (unsigned long long)g->arcs);
    uint64_t twice = 0;
    for (uint64_t a = 0; a < g->arcs; a++) {
        out->weight[a] = g->weight[a] >> shift == 0 ? 1 : g->weight[a] >> shift;
        twice += out->weight[a];
    }
    out->weight_sum = twice / 2;
    out->weight_max = g->weight_max >> shift == 0 ? 1 : g->weight_max >> shift;
    return PR_OK;
}

void placement_scaled_done(const struct placement_graph *g, struct placement_graph *scaled)
{
    if (scaled->weight != g->weight)
        free(scaled->weight);
    *scaled = (struct placement_graph){ 0 };
}
