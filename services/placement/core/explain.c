#include "core/explain.h"

#include "core/balance.h"

void placement_explain(const struct placement_explain_input *in, struct placement_explanation *out)
{
    const uint16_t zone = in->zone[in->v];
    *out = (struct placement_explanation){ .zone = zone, .preferred = zone };
    placement_ties(in->graph, in->zone, in->zones, in->v, out->tie);
    for (uint16_t z = 0; z < in->zones; z++)
        if (out->tie[z] > out->tie[out->preferred])
            out->preferred = z;
    out->gain = (int64_t)(out->tie[out->preferred] - out->tie[zone]);

    if (in->graph->start[in->v] == in->graph->start[in->v + 1])
        out->why = "no edges: any zone is as good";
    else if (out->preferred == zone)
        out->why = "most of its edge weight is in its zone";
    else if (in->capacity[out->preferred] == 0)
        out->why = "the zone of most of its neighbours has no capacity";
    else if (in->vertices[out->preferred] >= in->capacity[out->preferred])
        out->why = "the zone of most of its neighbours is full";
    else
        out->why = "the cut of the whole graph was chosen over this vertex alone";
}
