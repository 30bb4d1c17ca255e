#include "core/owner.h"

int dr_slot_owner(const struct dr_claim *claim, size_t n)
{
    int best = DR_NO_SHARD, holder = DR_NO_SHARD;
    size_t holders = 0;
    for (size_t i = 0; i < n; i++)
        if (claim[i].keys > 0) {
            holders++;
            holder = (int)i;
        }
    if (holders == 1)
        return holder;
    for (size_t i = 0; i < n; i++)
        if (claim[i].keys > 0 && claim[i].took > 0 &&
            (best == DR_NO_SHARD || claim[i].took > claim[best].took))
            best = (int)i;
    if (best != DR_NO_SHARD)
        return best;
    for (size_t i = 0; i < n; i++)
        if (claim[i].owned && (holders == 0 || claim[i].keys > 0) &&
            (best == DR_NO_SHARD || claim[i].epoch > claim[best].epoch))
            best = (int)i;
    return best != DR_NO_SHARD ? best : holder;
}
