#include "core/explain.h"

void placement_explain(const struct placement_explain_input *in, struct placement_explanation *out)
{
    const uint16_t zone = in->zone;
    uint64_t all = 0;
    *out = (struct placement_explanation){ .zone = zone, .preferred = zone };
    for (uint16_t z = 0; z < in->zones; z++) {
        all += in->tie[z];
        if (in->tie[z] > in->tie[out->preferred])
            out->preferred = z;
    }
    out->gain = in->tie[out->preferred] - in->tie[zone];

    const uint16_t to = out->preferred;
    if (all == 0)
        out->why = "no edges: any zone is as good";
    else if (to == zone)
        out->why = "most of its edge weight is in its zone";
    else if (in->capacity[to] == 0)
        out->why = "the zone of most of its neighbours has no capacity";
    else if (in->load[to] >= in->capacity[to] || in->capacity[to] - in->load[to] < in->weight)
        out->why = "the zone of most of its neighbours is full";
    else
        out->why = "the cut of the whole graph was chosen over this vertex alone";
}
