#include "core/choose_private.h"

#include <string.h>

static struct choose_site *roomiest(struct choose *c, int zone)
{
    struct choose_site *best = NULL;
    for (int s = 0; s < c->sites; s++)
        if (c->site[s].zone == zone && c->site[s].room > (best == NULL ? 0 : best->room))
            best = &c->site[s];
    return best;
}

/* True when zone a wants a member more than b does. */
static bool wants_more(const struct choose *c, int a, int b)
{
    const struct choose_zone *x = &c->zone[a], *y = &c->zone[b];
    if (x->dead != y->dead)
        return y->dead;
    const bool x_full = x->stay >= x->most, y_full = y->stay >= y->most;
    if (x_full != y_full)
        return y_full;
    const double x_lacks = x->ideal - x->stay, y_lacks = y->ideal - y->stay;
    if (x_lacks > y_lacks || x_lacks < y_lacks)
        return x_lacks > y_lacks;
    return x->stay < y->stay; /* else the first */
}

/* One member in each of `n` zones, or none at all. */
static bool one_each(struct choose *c, int n, bool record)
{
    struct choose_site *site[AUTOSCALE_ZONES];
    bool used[AUTOSCALE_ZONES] = { false };
    for (int i = 0; i < n; i++) {
        int best = -1;
        for (int z = 0; z < c->fleet->zones; z++)
            if (!used[z] && roomiest(c, z) != NULL && (best < 0 || wants_more(c, z, best)))
                best = z;
        if (best < 0)
            return false;
        used[best] = true;
        site[i] = roomiest(c, best);
    }
    for (int i = 0; i < n; i++) {
        c->zone[site[i]->zone].stay++;
        site[i]->room--;
        *(record ? &site[i]->get : &site[i]->ordered) += 1;
    }
    return true;
}

int choose_new(struct choose *c, int members, bool record)
{
    int placed = 0;
    const int unit = c->fleet->unit;
    for (; placed % unit != members % unit; placed++) /* what a broken unit lacks */
        if (!one_each(c, 1, record))
            return placed;
    for (; placed < members; placed += unit)
        if (!one_each(c, unit, record))
            break;
    return placed;
}
