/* What a fleet costs a month. Pure. */
#ifndef AUTOSCALE_COST_H
#define AUTOSCALE_COST_H

#include "core/fleet.h"

enum { AUTOSCALE_MONTH_HOURS = 730 };

/* USD for members instances of the type that the fleet runs on; NAN: it has no type. */
double autoscale_cost_month(const struct autoscale_fleet *f, int members);
double autoscale_cost_month_of(const struct autoscale_instance_type *type, int members);

#endif
