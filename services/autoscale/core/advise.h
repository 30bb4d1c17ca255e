/* Vertical advice: when another instance type serves better than another number of members.
 * Pure; advice only, nobody acts on it by himself. Source: docs/explanation/autoscale.md. */
#ifndef AUTOSCALE_ADVISE_H
#define AUTOSCALE_ADVISE_H

#include "core/fleet.h"
#include "core/history.h"

enum autoscale_bound {
    AUTOSCALE_UNBOUND,
    AUTOSCALE_MEMORY_BOUND,
    AUTOSCALE_NETWORK_BOUND,
    AUTOSCALE_CPU_BOUND,
    AUTOSCALE_OVERSIZED /* a smaller type carries it */
};

struct autoscale_advice {
    enum autoscale_bound bound;
    int type;       /* index into the ladder; -1: the ladder has none that helps, or no advice */
    char text[256]; /* a sentence; "" no advice */
};

/* What has been low for long is so by v->longer, where somebody has looked, else by the samples.
 * least: the fleet may not have fewer members than it has, so that only a smaller type saves.
 * A mean counts when half of its window's minutes are there. */
void autoscale_advise(const struct autoscale_fleet *f, const struct autoscale_view *v, bool least,
                      struct autoscale_advice *out);

#endif
