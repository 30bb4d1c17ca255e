#include "core/owner.h"

static size_t holders(const struct dr_claim *claim, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += claim[i].keys > 0;
    return sum;
}

/* Of those with keys; DR_NO_SHARD: none took it. */
static int last_taker(const struct dr_claim *claim, size_t n)
{
    int best = DR_NO_SHARD;
    for (size_t i = 0; i < n; i++)
        if (claim[i].keys > 0 && claim[i].took > 0 &&
            (best == DR_NO_SHARD || claim[i].took > claim[best].took))
            best = (int)i;
    return best;
}

/* The one with keys, or the only one with keys that did not own it; DR_NO_SHARD: none or several.
 */
static int only(const struct dr_claim *claim, size_t n, bool or_owned)
{
    int found = DR_NO_SHARD;
    for (size_t i = 0; i < n; i++)
        if (claim[i].keys > 0 && (or_owned || !claim[i].owned)) {
            if (found != DR_NO_SHARD)
                return DR_NO_SHARD;
            found = (int)i;
        }
    return found;
}

static int newest_owner(const struct dr_claim *claim, size_t n, bool with_keys)
{
    int best = DR_NO_SHARD;
    for (size_t i = 0; i < n; i++)
        if (claim[i].owned && (!with_keys || claim[i].keys > 0) &&
            (best == DR_NO_SHARD || claim[i].epoch > claim[best].epoch))
            best = (int)i;
    return best;
}

int dr_slot_owner(const struct dr_claim *claim, size_t n)
{
    const bool some = holders(claim, n) > 0;
    int best = only(claim, n, true);
    if (best == DR_NO_SHARD)
        best = last_taker(claim, n);
    if (best == DR_NO_SHARD)
        best = only(claim, n, false);
    if (best == DR_NO_SHARD)
        best = newest_owner(claim, n, some);
    for (size_t i = n; i-- > 0 && best == DR_NO_SHARD;)
        if (claim[i].keys > 0)
            best = (int)i;
    return best;
}

bool dr_slot_unsure(const struct dr_claim *claim, size_t n, uint64_t unread)
{
    const int taker = last_taker(claim, n), owner = newest_owner(claim, n, true);
    if (holders(claim, n) < 2)
        return false;
    if (taker != DR_NO_SHARD)
        return unread > claim[taker].took;
    if (unread > 0)
        return true;
    for (size_t i = 0; i < n; i++)
        if (claim[i].keys > 0 && (!claim[i].owned || owner == DR_NO_SHARD ||
                                  ((int)i != owner && claim[i].epoch == claim[owner].epoch)))
            return true;
    return false;
}
